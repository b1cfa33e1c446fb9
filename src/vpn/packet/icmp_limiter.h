/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * icmp_limiter.h - a token bucket for ICMP errors, RFC 4443 2.4 (f)
 *
 * ICMP_ERRORS_PER_SEC in the long run, ICMP_ERRORS_BURST at once. Owned by one shard.
 */
#pragma once

#include <stdbool.h>

#include "base/time.h"

struct icmp_limiter {
	nsec_t full_at; /* when the bucket will be, or was, full */
};

/* Starts full. */
void icmp_limiter_init(struct icmp_limiter *limiter);
/* May one be sent now? Takes its token. */
bool icmp_limiter_take(struct icmp_limiter *limiter, nsec_t now);
