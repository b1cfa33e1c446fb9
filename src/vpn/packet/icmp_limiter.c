/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* icmp_limiter.c - the bucket as one moment: when it will be full; each token moves it on */
#include "vpn/packet/icmp_limiter.h"

#include "base/limits.h"

#define TOKEN_TIME (NSEC_PER_SEC / ICMP_ERRORS_PER_SEC)

void icmp_limiter_init(struct icmp_limiter *limiter)
{
	limiter->full_at = 0;
}

bool icmp_limiter_take(struct icmp_limiter *limiter, nsec_t now)
{
	nsec_t full_at = limiter->full_at > now ? limiter->full_at : now;
	if (nsec_since(nsec_add(full_at, TOKEN_TIME), now) > ICMP_ERRORS_BURST * TOKEN_TIME)
		return false;
	limiter->full_at = nsec_add(full_at, TOKEN_TIME);
	return true;
}
