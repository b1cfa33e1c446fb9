/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * arena.h - memory that is given back all at once
 *
 * A configuration is many small objects with one life. Each belongs to the arena, and the only way
 * to free one is to free all.
 */
#pragma once

#include "base/span.h"

struct arena;

/* NULL where memory is short. */
struct arena *arena_new(void);

/* Takes NULL; returns NULL. */
struct arena *arena_free(struct arena *arena);

/* n zeroed objects of `size` bytes, aligned for any type; never NULL for n == 0. NULL where memory
 * is short. */
void *arena_alloc(struct arena *arena, size_t n, size_t size);

/* A copy of the bytes with a zero behind them. NULL where memory is short. */
char *arena_text(struct arena *arena, struct span text);
