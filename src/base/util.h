/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* util.h - the few macros that every C program needs */
#pragma once

#include <stddef.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that holds *ptr as its member. */
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define MIN(a, b)                                  \
	__extension__({                            \
		__typeof__(a) min_a_ = (a);        \
		__typeof__(b) min_b_ = (b);        \
		min_a_ < min_b_ ? min_a_ : min_b_; \
	})

#define MAX(a, b)                                  \
	__extension__({                            \
		__typeof__(a) max_a_ = (a);        \
		__typeof__(b) max_b_ = (b);        \
		max_a_ > max_b_ ? max_a_ : max_b_; \
	})

#define UNUSED __attribute__((unused))

/* Locals that free themselves: CLEANUP(wrapper) struct x *x = ...; wrapper takes struct x **. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* A large local array on the packet path that is written before it is read: without this the
 * build's -ftrivial-auto-var-init fills it with zeros in each call. */
#if defined(__has_attribute)
#if __has_attribute(uninitialized)
#define UNINITIALIZED __attribute__((uninitialized))
#endif
#endif
#ifndef UNINITIALIZED
#define UNINITIALIZED
#endif
