/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * assembler.h - the next n bytes of a stream, however it was cut
 *
 * Where they lie whole in the input they are lent from there (the common case, no copy);
 * otherwise they are gathered in a buffer of fixed size. Owned by one reader.
 */
#pragma once

#include "base/span.h"

struct assembler {
	uint8_t *buf;
	size_t cap; /* bytes */
	size_t len; /* bytes gathered so far */
};

/* ERR_NO_MEMORY. */
MUST_USE enum err assembler_init(struct assembler *a, size_t cap);
void assembler_deinit(struct assembler *a);

/*
 * The next `want` bytes (1..cap, the same in each call until it is ERR_OK) from the front of *in.
 * ERR_OK: *ret is valid until the next call, and while the input is. ERR_AGAIN: all of *in is
 * consumed.
 */
MUST_USE enum err assembler_take(struct assembler *a, size_t want, struct span *in,
				 struct span *ret);
