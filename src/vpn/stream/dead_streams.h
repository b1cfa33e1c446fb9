/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dead_streams.h - which of its streams a peer called dead (REPLACES), for the acceptor
 *
 * Streams of one peer may come on several connections, which know nothing of each other: the HELLO
 * of a stream that its opener gave up may be read after the one that replaces it. So a number that
 * means nothing yet is remembered, and the stream that comes with it is refused. One for each peer;
 * owned by its shard. All zero is an empty one.
 */
#pragma once

#include <stdbool.h>

#include "vpn/stream/frame.h"

enum {
	DEAD_STREAMS_MAX = 64, /* numbers kept, the last ones: four HELLOs full of them */
};

struct dead_streams {
	uint64_t ids[DEAD_STREAMS_MAX]; /* 0: none */
	size_t next;                    /* the oldest: overwritten when all are taken */
};

/* This number is dead from now on. Twice is once. */
static inline void dead_streams_add(struct dead_streams *d, uint64_t id)
{
	for (size_t i = 0; i < DEAD_STREAMS_MAX; i++) {
		if (d->ids[i] == id)
			return;
	}
	d->ids[d->next] = id;
	d->next = (d->next + 1) % DEAD_STREAMS_MAX;
}

/* Was it called dead? Not if it has no number (0). */
static inline bool dead_streams_has(const struct dead_streams *d, uint64_t id)
{
	for (size_t i = 0; id != 0 && i < DEAD_STREAMS_MAX; i++) {
		if (d->ids[i] == id)
			return true;
	}
	return false;
}
