/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* retry.c - see retry.h */
#include "vpn/resilience/retry.h"

#include <assert.h>

void retry_init(struct retry *r, const struct retry_conf *conf)
{
	assert(conf->tries > 0);
	*r = (struct retry){.conf = *conf};
}

void retry_reset(struct retry *r)
{
	r->failed = 0;
}

/* min(first * 2^doublings, max), also where first * 2^doublings has no place in a number. */
static nsec_t delay(const struct retry_conf *conf, uint32_t doublings)
{
	if (conf->first == 0)
		return 0;
	if (doublings >= 64 || conf->first > conf->max >> doublings)
		return conf->max;
	return conf->first << doublings;
}

/* 75% to 125% of it. */
static nsec_t jitter(nsec_t wait, uint64_t random)
{
	nsec_t quarter = wait / 4;
	return nsec_add(wait - quarter, random % (2 * quarter + 1));
}

nsec_t retry_next(struct retry *r, uint64_t random)
{
	if (retry_gave_up(r) || ++r->failed == r->conf.tries)
		return NSEC_NEVER;
	return nsec_min(jitter(delay(&r->conf, r->failed - 1), random), NSEC_NEVER - 1);
}
