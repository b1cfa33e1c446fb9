/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* attempt.c - see attempt.h */
#include "vpn/dispatch/attempt.h"

#include "vpn/dispatch/dispatcher_internal.h"

/* Who waits to open others need not wait as long as after a failure. */
static void succeed(struct pool_stream *s)
{
	resilience_succeeded(&s->pool->resilience, s->attempt);
	s->pool->streams.attempt_at = 0;
}

static void cancel(struct pool_stream *s)
{
	resilience_cancelled(&s->pool->resilience, s->attempt);
	s->pool->streams.attempt_at = 0;
}

/* Bytes that came from the peer so far; 0: the service cannot tell. */
static uint64_t heard_bytes(const struct worker_pool *pool)
{
	const struct stream_service *streams = &pool->dispatcher->conf.streams;
	return streams->ops->heard_bytes == NULL
		       ? 0
		       : streams->ops->heard_bytes(streams->ctx, &pool->peer);
}

static void fail(struct pool_stream *s, enum err why, nsec_t now)
{
	struct worker_pool *pool = s->pool;
	bool is_one_of_many = pool->failed_at != 0 &&
			      nsec_since(now, pool->failed_at) < ATTEMPTS_TOGETHER;
	pool->is_silent = why == ERR_TIMEOUT;
	pool->heard = heard_bytes(pool);
	if (is_one_of_many) {
		resilience_cancelled(&pool->resilience, s->attempt);
		pool->streams.attempt_at = nsec_add(now, ATTEMPTS_TOGETHER);
		return;
	}
	pool->failed_at = now;
	resilience_failed(&pool->resilience, s->attempt, now, dispatcher_random(pool->dispatcher));
}

void attempt_succeeded(struct pool_stream *s)
{
	if (!s->is_attempt)
		return;
	s->is_attempt = false;
	succeed(s);
}

void attempt_failed(struct pool_stream *s, enum err why, nsec_t now)
{
	if (!s->is_attempt)
		return;
	s->is_attempt = false;
	if (why == ERR_SUPERSEDED || why == ERR_CLOSED || why == ERR_NO_MEMORY)
		cancel(s);
	else
		fail(s, why, now);
}

void attempt_ended(struct pool_stream *s, enum err why, nsec_t now)
{
	if (s->opened_at != 0 && nsec_since(now, s->opened_at) >= STREAM_YOUNG) {
		attempt_succeeded(s);
	} else if (s->is_attempt) {
		s->is_attempt = false;
		fail(s, why, now);
	}
}

/* While half-open it is one success more for each STREAM_YOUNG, or a peer with one good stream
 * would never be trusted again. */
void attempt_vouch(struct pool_stream *s, nsec_t now)
{
	struct resilience *r = &s->pool->resilience;
	if (nsec_since(now, s->vouched_at) < STREAM_YOUNG)
		return;
	s->vouched_at = now;
	if (s->is_attempt)
		attempt_succeeded(s);
	else if (breaker_state_at(&r->breaker, now) == BREAKER_HALF_OPEN &&
		 resilience_allow(r, now, &s->attempt))
		succeed(s);
}

bool attempt_needs_vouching(const struct pool_stream *s)
{
	return s->is_attempt || s->pool->resilience.breaker.state != BREAKER_CLOSED;
}

void attempt_hear(struct worker_pool *pool, nsec_t now)
{
	if (!pool->is_silent || pool->down_since != 0 ||
	    breaker_state_at(&pool->resilience.breaker, now) != BREAKER_OPEN ||
	    heard_bytes(pool) <= pool->heard)
		return;
	pool->is_silent = false;
	pool->streams.attempt_at = 0;
	resilience_news(&pool->resilience);
}
