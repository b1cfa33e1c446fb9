/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* line_limiter.h - at most one log line in a while, however often its cause happens; those that
 * were held back are counted. Pure, owned by one shard. All zero to begin with. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/time.h"

struct line_limiter {
	nsec_t next_at; /* not before */
	uint64_t held;  /* lines, since the last one */
};

/* May a line be written? *ret_held is then how many were not since the one before. */
static inline bool line_limiter_take(struct line_limiter *l, nsec_t now, nsec_t interval,
				     uint64_t *ret_held)
{
	if (now < l->next_at) {
		l->held++;
		return false;
	}
	*ret_held = l->held;
	l->held = 0;
	l->next_at = nsec_add(now, interval);
	return true;
}
