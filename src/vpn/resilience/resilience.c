/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* resilience.c - see resilience.h */
#include "vpn/resilience/resilience.h"

#include "base/util.h"

void resilience_init(struct resilience *r, const struct breaker_conf *breaker,
		     const struct retry_conf *retry)
{
	breaker_init(&r->breaker, breaker);
	retry_init(&r->retry, retry);
	r->wait_until = 0;
	r->waited = 0;
}

static void forget_waits(struct resilience *r)
{
	retry_reset(&r->retry);
	r->wait_until = 0;
}

bool resilience_allow(struct resilience *r, nsec_t now, uint64_t *ret_ticket)
{
	if (now < r->wait_until) {
		r->waited++;
		return false;
	}
	return breaker_allow(&r->breaker, now, ret_ticket);
}

void resilience_succeeded(struct resilience *r, uint64_t ticket)
{
	if (breaker_succeeded(&r->breaker, ticket))
		forget_waits(r);
}

void resilience_failed(struct resilience *r, uint64_t ticket, nsec_t now, uint64_t random)
{
	if (!breaker_failed(&r->breaker, ticket, now))
		return;
	nsec_t wait = retry_next(&r->retry, random);
	if (wait == NSEC_NEVER && r->breaker.state != BREAKER_OPEN)
		breaker_open(&r->breaker, now);
	if (r->breaker.state == BREAKER_OPEN)
		forget_waits(r);
	else
		r->wait_until = nsec_add(now, wait);
}

void resilience_cancelled(struct resilience *r, uint64_t ticket)
{
	breaker_cancelled(&r->breaker, ticket);
}

void resilience_news(struct resilience *r)
{
	breaker_news(&r->breaker);
	forget_waits(r);
}

nsec_t resilience_deadline(const struct resilience *r, nsec_t now)
{
	return MAX(r->wait_until, breaker_deadline(&r->breaker, now));
}
