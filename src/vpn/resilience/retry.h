/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * retry.h - how long to wait after a failure: twice as long each time, and at last no more
 *
 * After failure i (from 0) min(first * 2^i, max), +-25% so that many who failed together do not
 * come back together. The failure of the last of `tries` attempts is followed by none:
 * it gave up, until retry_reset().
 *
 * Pure: the caller brings the randomness. Owned by who owns the attempts.
 */
#pragma once

#include <stdbool.h>

#include "base/time.h"

struct retry_conf {
	uint32_t tries; /* attempts in all, at least 1 */
	nsec_t first;   /* the wait after the first failure */
	nsec_t max;     /* the longest wait, before its jitter */
};

#define RETRY_CONF_DEFAULT \
	((struct retry_conf){.tries = 5, .first = NSEC_PER_SEC, .max = 30 * NSEC_PER_SEC})

struct retry {
	struct retry_conf conf;
	uint32_t failed; /* attempts since the reset; at most conf.tries */
};

/* The conf is copied. */
void retry_init(struct retry *r, const struct retry_conf *conf);

/* An attempt failed: how long to wait before the next; NSEC_NEVER: it gave up. */
nsec_t retry_next(struct retry *r, uint64_t random);

/* All tries are there again: an attempt succeeded, or there are news. */
void retry_reset(struct retry *r);

static inline bool retry_gave_up(const struct retry *r)
{
	return r->failed == r->conf.tries;
}
