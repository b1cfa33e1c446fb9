/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * breaker_model.h - what a breaker should do, the naive way: time ticks, and each operation knows
 * when it began
 */
#pragma once

#include "vpn/resilience/breaker.h"

struct model_op {
	unsigned spell;   /* the model's, when it began */
	unsigned n_news;  /* likewise */
	bool is_replaced; /* taken for lost, another began in its place */
};

struct model {
	struct breaker_conf conf;
	enum breaker_state state;
	unsigned spell;  /* states so far */
	unsigned n_news; /* so far */
	uint32_t failures, successes;
	nsec_t open_until;
	struct model_op *probe; /* on its way in half-open */
	nsec_t probe_until;
	uint64_t openings, closings, allowed, blocked;
};

static inline void model_init(struct model *m, const struct breaker_conf *conf)
{
	*m = (struct model){.conf = *conf, .state = BREAKER_CLOSED};
}

static inline void model_enter(struct model *m, enum breaker_state state)
{
	m->state = state;
	m->spell++;
	m->failures = 0;
	m->successes = 0;
	m->probe = NULL;
}

static inline void model_open(struct model *m, nsec_t now)
{
	model_enter(m, BREAKER_OPEN);
	m->open_until = now + m->conf.open_for;
	m->openings++;
}

static inline void model_tick(struct model *m, nsec_t now)
{
	if (m->state == BREAKER_OPEN && now >= m->open_until)
		model_enter(m, BREAKER_HALF_OPEN);
}

/* op: where to write what is known of the operation, the caller's until it reports. */
static inline bool model_allow(struct model *m, nsec_t now, struct model_op *op)
{
	model_tick(m, now);
	bool is_waited_for = m->probe != NULL && now < m->probe_until;
	if (m->state == BREAKER_OPEN || is_waited_for) {
		m->blocked++;
		return false;
	}
	m->allowed++;
	*op = (struct model_op){.spell = m->spell, .n_news = m->n_news};
	if (m->state == BREAKER_HALF_OPEN) {
		if (m->probe != NULL)
			m->probe->is_replaced = true;
		m->probe = op;
		m->probe_until = now + m->conf.open_for;
	}
	return true;
}

/* What a report means: 1 it succeeded, -1 it failed, 0 neither. true: it counts. */
static inline bool model_report(struct model *m, struct model_op *op, int what, nsec_t now)
{
	model_tick(m, now);
	if (op->spell != m->spell || op->is_replaced)
		return false;
	if (m->state == BREAKER_HALF_OPEN)
		m->probe = NULL;
	if (what < 0 && op->n_news < m->n_news)
		return false;
	if (what > 0) {
		m->failures = 0;
		m->successes++;
		if (m->state == BREAKER_HALF_OPEN && m->successes >= m->conf.successes) {
			model_enter(m, BREAKER_CLOSED);
			m->closings++;
		}
	} else if (what < 0) {
		m->failures++;
		if (m->state == BREAKER_HALF_OPEN || m->failures >= m->conf.failures)
			model_open(m, now);
	}
	return true;
}

static inline void model_news(struct model *m, nsec_t now)
{
	model_tick(m, now);
	if (m->state == BREAKER_OPEN)
		model_enter(m, BREAKER_HALF_OPEN);
	m->failures = 0;
	m->n_news++;
}

/* A step in time that often ends just before, at, or just behind the moment `until`. */
static inline nsec_t model_step(nsec_t now, nsec_t until, nsec_t usual, uint64_t random)
{
	uint64_t rest = random / 8;
	switch (random % 8) {
	case 0:
		return until > now ? until - 1 - now : 0;
	case 1:
		return until > now ? until - now : 1;
	case 2:
		return until > now ? until + 1 - now : 1;
	case 3:
		return rest % (4 * usual);
	case 4:
		return rest % usual;
	case 5:
		return rest % (usual / 8 + 1);
	default:
		return rest % 3;
	}
}
