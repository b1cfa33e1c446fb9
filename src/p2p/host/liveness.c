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

void liveness_heard_data(struct liveness *l, nsec_t now)
{
	liveness_heard(l, now);
	l->data_at = now;
}

void liveness_acked(struct liveness *l, nsec_t now, bool is_all)
{
	if (l->unheard_at != 0 && nsec_since(now, l->unheard_at) >= LIVENESS_DEAF)
		return;
	live(l, now);
	if (!is_all)
		l->sent_at = now;
}

void liveness_sent(struct liveness *l, nsec_t now)
{
	if (l->sent_at == 0)
		l->sent_at = now;
}

static nsec_t ping_due(const struct liveness *l)
{
	nsec_t due = nsec_add(l->alive_at, l->keepalive);
	if (l->sent_at != 0)
		due = nsec_min(due, nsec_add(l->sent_at, LIVENESS_PROBE));
	if (l->data_at != 0)
		due = nsec_min(due, nsec_add(l->data_at, LIVENESS_PROBE));
	return due;
}

nsec_t liveness_deadline(const struct liveness *l)
{
	switch (l->state) {
	case LIVENESS_QUIET:
		return ping_due(l);
	case LIVENESS_WAITING:
		return nsec_add(l->asked_at, l->patience);
	case LIVENESS_SUSPECT_STATE:
		return nsec_add(l->asked_at, LIVENESS_DEAD);
	}
	return NSEC_NEVER;
}

static void ask(struct liveness *l, nsec_t now, nsec_t patience)
{
	l->state = LIVENESS_WAITING;
	l->asked_at = now;
	l->patience = patience;
	l->data_at = 0;
	if (l->unheard_at == 0)
		l->unheard_at = now;
}

void liveness_doubt(struct liveness *l, nsec_t now)
{
	if (l->state == LIVENESS_QUIET)
		ask(l, now, LIVENESS_DOUBT);
}

enum liveness_verdict liveness_step(struct liveness *l, nsec_t now)
{
	if (now < liveness_deadline(l))
		return LIVENESS_OK;

	switch (l->state) {
	case LIVENESS_QUIET:
		ask(l, now, LIVENESS_SUSPECT);
		return LIVENESS_PING;
	case LIVENESS_WAITING:
		l->state = LIVENESS_SUSPECT_STATE;
		return LIVENESS_SUSPECTED;
	case LIVENESS_SUSPECT_STATE:
		return LIVENESS_IS_DEAD;
	}
	return LIVENESS_OK;
}
