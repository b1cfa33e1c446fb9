/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * time.h - time as a number
 *
 * nsec_t counts nanoseconds of a clock that never runs backwards and goes on while the machine
 * sleeps (CLOCK_BOOTTIME), or of the simulator's virtual clock. Only loop/ reads a clock; all
 * others are handed `now`. A deadline of NSEC_NEVER never comes.
 */
#pragma once

#include <stdint.h>

typedef uint64_t nsec_t;

#define NSEC_PER_USEC ((nsec_t)1000)
#define NSEC_PER_MSEC ((nsec_t)1000000)
#define NSEC_PER_SEC  ((nsec_t)1000000000)
#define NSEC_NEVER    UINT64_MAX

/* a + b, or NSEC_NEVER where that is past the end of time. */
static inline nsec_t nsec_add(nsec_t a, nsec_t b)
{
	nsec_t sum;
	return __builtin_add_overflow(a, b, &sum) ? NSEC_NEVER : sum;
}

/* later - earlier, or 0 where `later` is the earlier one. */
static inline nsec_t nsec_since(nsec_t later, nsec_t earlier)
{
	return later > earlier ? later - earlier : 0;
}

static inline nsec_t nsec_min(nsec_t a, nsec_t b)
{
	return a < b ? a : b;
}
