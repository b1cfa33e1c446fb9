/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* liveness.c - see liveness.h */
#include "p2p/host/liveness.h"

void liveness_init(struct liveness *l, nsec_t keepalive, nsec_t now)
{
	*l = (struct liveness){.state = LIVENESS_QUIET, .keepalive = keepalive, .alive_at = now};
}

static void live(struct liveness *l, nsec_t now)
{
	l->state = LIVENESS_QUIET;
	l->alive_at = now;
	l->sent_at = 0;
}

void liveness_heard(struct liveness *l, nsec_t now)
{
	l->unheard_at = 0;
	live(l, now);
}

void liveness_acked(struct liveness *l, nsec_t now)
{
	if (l->unheard_at == 0 || nsec_since(now, l->unheard_at) < LIVENESS_DEAF)
		live(l, now);
}

void liveness_sent(struct liveness *l, nsec_t now)
{
	if (l->sent_at == 0)
		l->sent_at = now;
}

static nsec_t ping_due(const struct liveness *l)
{
	nsec_t idle = nsec_add(l->alive_at, l->keepalive);
	if (l->sent_at == 0)
		return idle;
	return nsec_min(idle, nsec_add(l->sent_at, LIVENESS_PROBE));
}

nsec_t liveness_deadline(const struct liveness *l)
{
	switch (l->state) {
	case LIVENESS_QUIET:
		return ping_due(l);
	case LIVENESS_WAITING:
		return nsec_add(l->asked_at, LIVENESS_SUSPECT);
	case LIVENESS_SUSPECT_STATE:
		return nsec_add(l->asked_at, LIVENESS_DEAD);
	}
	return NSEC_NEVER;
}

enum liveness_verdict liveness_step(struct liveness *l, nsec_t now)
{
	if (now < liveness_deadline(l))
		return LIVENESS_OK;

	switch (l->state) {
	case LIVENESS_QUIET:
		l->state = LIVENESS_WAITING;
		l->asked_at = now;
		if (l->unheard_at == 0)
			l->unheard_at = now;
		return LIVENESS_PING;
	case LIVENESS_WAITING:
		l->state = LIVENESS_SUSPECT_STATE;
		return LIVENESS_SUSPECTED;
	case LIVENESS_SUSPECT_STATE:
		return LIVENESS_IS_DEAD;
	}
	return LIVENESS_OK;
}
