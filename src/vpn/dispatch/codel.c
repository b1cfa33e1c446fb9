/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* codel.c - see codel.h; names are those of RFC 8289 5, in our spelling */
#include "vpn/dispatch/codel.h"

#include <assert.h>
#include <stdbool.h>

static_assert(sizeof(struct codel) == 24, "there is one for each connection key");

enum {
	MEMORY = 16, /* intervals for which the rate of drops is remembered */
};

/* The largest whole number whose square is at most n. */
static uint64_t root(uint64_t n)
{
	uint64_t r = 0;
	for (uint64_t bit = (uint64_t)1 << 62; bit != 0; bit >>= 2) {
		uint64_t next = r + bit;
		r >>= 1;
		if (n >= next) {
			n -= next;
			r += bit;
		}
	}
	return r;
}

/* interval / sqrt(count), rounded down to whole nanoseconds: the root of the quotient's whole part
 * is the whole part of its root. Once for each drop, so a loop may be. */
static nsec_t step(const struct codel_conf *conf, uint32_t count)
{
	return root(conf->interval * conf->interval / count);
}

/* dodequeue()'s ok_to_drop */
static bool is_standing(struct codel *c, const struct codel_conf *conf, nsec_t sojourn,
			size_t backlog_bytes, nsec_t now)
{
	if (sojourn < conf->target || backlog_bytes <= conf->mtu_bytes) {
		c->first_above = 0;
		return false;
	}
	if (c->first_above == 0) {
		c->first_above = nsec_add(now, conf->interval);
		return false;
	}
	return now >= c->first_above;
}

enum codel_verdict codel_judge(struct codel *c, const struct codel_conf *conf, nsec_t sojourn,
			       size_t backlog_bytes, nsec_t now)
{
	assert(conf->interval > 0 && conf->interval <= CODEL_INTERVAL_MAX);
	if (!is_standing(c, conf, sojourn, backlog_bytes, now)) {
		c->dropping = 0;
		return CODEL_SEND;
	}
	if (c->dropping && now < c->drop_next)
		return CODEL_SEND;
	if (c->dropping) {
		c->count += c->count < CODEL_COUNT_MAX ? 1 : 0;
		c->drop_next = nsec_add(c->drop_next, step(conf, c->count));
		return CODEL_DROP;
	}
	/* Back so soon: go on at the rate that controlled the queue the last time. */
	uint32_t delta = c->count - c->last_count;
	bool is_soon = nsec_since(now, c->drop_next) < MEMORY * conf->interval;
	c->count = delta > 1 && is_soon ? delta : 1;
	c->last_count = c->count & CODEL_COUNT_MAX;
	c->dropping = 1;
	c->drop_next = nsec_add(now, step(conf, c->count));
	return CODEL_DROP;
}
