/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* breaker.c - see breaker.h */
#include "vpn/resilience/breaker.h"

#include <assert.h>

#include "base/util.h"

static const char *const state_names[] = {
#define X(symbol, name) [symbol] = name,
	BREAKER_STATE_MAP(X)
#undef X
};
static_assert(ARRAY_LEN(state_names) == BREAKER_STATE_COUNT, "a name for each state");

const char *breaker_state_name(enum breaker_state state)
{
	return state_names[state];
}

void breaker_init(struct breaker *b, const struct breaker_conf *conf)
{
	assert(conf->failures > 0 && conf->successes > 0 && conf->open_for > 0);
	*b = (struct breaker){.conf = *conf, .state = BREAKER_CLOSED};
}

static void enter(struct breaker *b, enum breaker_state state)
{
	b->state = state;
	b->is_busy = false;
	b->failures = 0;
	b->successes = 0;
	b->ticket_state = b->ticket;
}

void breaker_open(struct breaker *b, nsec_t now)
{
	enter(b, BREAKER_OPEN);
	b->since = now;
	b->openings++;
}

static nsec_t patience_ends(const struct breaker *b)
{
	return nsec_add(b->since, b->conf.open_for);
}

enum breaker_state breaker_state_at(const struct breaker *b, nsec_t now)
{
	if (b->state == BREAKER_OPEN && now >= patience_ends(b))
		return BREAKER_HALF_OPEN;
	return b->state;
}

bool breaker_refuses(const struct breaker *b, nsec_t now)
{
	return breaker_state_at(b, now) == BREAKER_OPEN;
}

nsec_t breaker_deadline(const struct breaker *b, nsec_t now)
{
	bool is_patient = b->state == BREAKER_OPEN || b->is_busy;
	return is_patient ? MAX(patience_ends(b), now) : now;
}

bool breaker_allow(struct breaker *b, nsec_t now, uint64_t *ret_ticket)
{
	if (now < breaker_deadline(b, now)) {
		b->blocked++;
		return false;
	}
	if (b->state == BREAKER_OPEN)
		enter(b, BREAKER_HALF_OPEN);
	if (b->state == BREAKER_HALF_OPEN) {
		b->is_busy = true;
		b->since = now;
	}
	b->allowed++;
	*ret_ticket = ++b->ticket;
	return true;
}

/* Does the report of this operation say something about the present state? */
static bool is_current(const struct breaker *b, uint64_t ticket)
{
	assert(ticket > 0 && ticket <= b->ticket);
	if (b->state == BREAKER_HALF_OPEN)
		return b->is_busy && ticket == b->ticket;
	return ticket > b->ticket_state;
}

bool breaker_succeeded(struct breaker *b, uint64_t ticket)
{
	if (!is_current(b, ticket))
		return false;
	b->is_busy = false;
	b->failures = 0;
	if (b->state == BREAKER_HALF_OPEN && ++b->successes == b->conf.successes) {
		enter(b, BREAKER_CLOSED);
		b->closings++;
	}
	return true;
}

bool breaker_failed(struct breaker *b, uint64_t ticket, nsec_t now)
{
	if (!is_current(b, ticket))
		return false;
	b->is_busy = false;
	if (ticket <= b->ticket_news)
		return false;
	if (b->state == BREAKER_HALF_OPEN || ++b->failures == b->conf.failures)
		breaker_open(b, now);
	return true;
}

void breaker_cancelled(struct breaker *b, uint64_t ticket)
{
	if (is_current(b, ticket))
		b->is_busy = false;
}

void breaker_news(struct breaker *b)
{
	if (b->state == BREAKER_OPEN)
		enter(b, BREAKER_HALF_OPEN);
	b->failures = 0;
	b->ticket_news = b->ticket;
}
