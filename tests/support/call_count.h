/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * call_count.h - how often this thread allocated and locked: for claims that it does not
 *
 * Counts what the program's own code calls: the linker (--wrap, see tests/meson.build) sends those
 * calls through here. What shared libraries call among themselves is not seen. Each thread has its
 * own count.
 */
#pragma once

#include <stddef.h>

struct call_count {
	size_t allocations; /* malloc, calloc, realloc, aligned_alloc */
	size_t frees;       /* of something */
	size_t locks;       /* mutexes and read-write locks, tried ones too */
};

/* Since this thread began. */
struct call_count call_count_now(void);
