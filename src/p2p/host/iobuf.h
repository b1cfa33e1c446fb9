/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * iobuf.h - large buffers that connections borrow while they have bytes in flight
 *
 * A busy connection reads and seals through buffers of 256 KiB; an idle one should cost nothing. So
 * buffers belong to the shard and are lent: taken when there is something to read or send, given
 * back when all of it is used up. What is free is kept for the next one: no allocation in steady
 * state. Owned by one shard.
 */
#pragma once

#include "base/span.h"

enum {
	IOBUF_LEN =
		4 *
		(65535 +
		 2), /* bytes; four whole Noise frames: one read or write call moves that much */
	IOBUF_KEEP_MAX = 64, /* free buffers that are kept: 16 MB */
};

struct iobuf {
	struct iobuf *next;
	size_t start; /* first byte in use */
	size_t end;   /* one behind the last */
	uint8_t bytes[IOBUF_LEN];
};

struct iobuf_pool {
	struct iobuf *free;
	size_t n_free;
	size_t n_lent;
};

/* NULL: out of memory. */
struct iobuf *iobuf_take(struct iobuf_pool *pool);
/* Takes NULL; returns NULL. */
struct iobuf *iobuf_give(struct iobuf_pool *pool, struct iobuf *buf);
/* All buffers must have been given back. */
void iobuf_pool_deinit(struct iobuf_pool *pool);
