/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* worker_pool.c - see worker_pool.h */
#include "vpn/dispatch/worker_pool.h"

#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "vpn/dispatch/attempt.h"
#include "vpn/dispatch/dispatcher_internal.h"
#include "vpn/dispatch/receipt.h"
#include "vpn/dispatch/spread.h"
#include "vpn/dispatch/stream_manager.h"

/* --- time ---------------------------------------------------------------------------- */

/* When the timer has work to do. */
static nsec_t deadline(const struct worker_pool *pool, nsec_t now)
{
	nsec_t at = stream_pool_deadline(pool);
	if (pool->is_busy || pool->waiting != NULL || pool->spreads != NULL)
		at = nsec_min(at, nsec_add(now, POOL_STEP));
	return MAX(at, nsec_add(now, NSEC_PER_MSEC)); /* what is due cannot be done twice at once */
}

static void count_breaker(struct worker_pool *pool)
{
	struct metrics *m = pool->dispatcher->conf.metrics;
	const struct breaker *b = &pool->resilience.breaker;
	const struct {
		enum counter counter;
		uint64_t now, *before;
	} rows[] = {
		{COUNTER_BREAKER_OPENINGS, b->openings, &pool->counted.openings},
		{COUNTER_BREAKER_CLOSINGS, b->closings, &pool->counted.closings},
		{COUNTER_BREAKER_ALLOWED, b->allowed, &pool->counted.allowed},
		{COUNTER_BREAKER_BLOCKED, b->blocked, &pool->counted.blocked},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		metrics_add(m, rows[i].counter, rows[i].now - *rows[i].before);
		*rows[i].before = rows[i].now;
	}
}

static void tell_breaker(struct worker_pool *pool, nsec_t now)
{
	const struct dispatcher_conf *conf = &pool->dispatcher->conf;
	enum breaker_state state = breaker_state_at(&pool->resilience.breaker, now);
	if (state == pool->told)
		return;
	pool->told = state;
	if (conf->on_breaker != NULL)
		conf->on_breaker(conf->ctx, &pool->peer, state);
}

/* Nobody waits longer for a connection; what waited for a stream that died just now may have waited
 * long already, and goes with the next one. */
static void drop_stale(struct worker_pool *pool, nsec_t now)
{
	if (pool->down_since == 0 && pool->streams.n_up > 0) {
		pool->without_since = 0;
		return;
	}
	if (pool->without_since == 0)
		pool->without_since = now;
	if (nsec_since(now, pool->without_since) >= POOL_STALE)
		stream_manager_drop_waiting(pool, nsec_since(now, POOL_STALE), DROP_PEER_DOWN);
}

static void on_timer(struct loop_timer *timer, nsec_t now)
{
	struct worker_pool *pool = CONTAINER_OF(timer, struct worker_pool, timer);
	pool->is_busy = false;
	spread_step(pool, now);
	attempt_hear(pool, now);
	stream_pool_step(pool, now);
	if (pool->streams.is_new_needed)
		stream_manager_serve(pool); /* if none can be opened, in another way */
	if (pool->down_since != 0)
		stream_manager_hand_over(pool, now);
	drop_stale(pool, now);
	/* Load is looked at until it is over, also when no packet comes any more. */
	pool->is_busy = pool->is_busy || pool->share.packets > 0 ||
			pool->streams.n_up > pool->dispatcher->conf.settings.streams_min;
	count_breaker(pool);
	tell_breaker(pool, now);
	loop_timer_set(&pool->timer, deadline(pool, now));
}

void worker_pool_look(struct worker_pool *pool, nsec_t now)
{
	loop_timer_set(&pool->timer, now);
}

/* --- life ---------------------------------------------------------------------------- */

enum err worker_pool_new(struct dispatcher *d, const struct peer_id *peer,
			 struct worker_pool **ret_pool)
{
	const struct dispatch_settings *settings = &d->conf.settings;
	struct worker_pool *pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return ERR_NO_MEMORY;
	nsec_t now = loop_now(d->conf.loop);
	pool->dispatcher = d;
	pool->peer = *peer;
	pool->share = (struct share){
		.pool = d->conf.packets,
		.packets_max = settings->peer_packets_max,
		.bytes_max = settings->peer_bytes_max,
	};
	pool->down_since = pool->without_since = now;
	pool->is_closing = d->is_ending;
	stream_pool_init(pool, now);
	resilience_init(&pool->resilience, &settings->breaker, &settings->retry);
	loop_timer_init(&pool->timer, d->conf.loop, on_timer);
	*ret_pool = pool;
	return ERR_OK;
}

struct worker_pool *worker_pool_free(struct worker_pool *pool)
{
	if (pool == NULL)
		return NULL;
	assert(pool->n_workers == 0 && pool->waiting == NULL && pool->streams.n == 0);
	count_breaker(pool);
	loop_timer_stop(&pool->timer);
	free(pool);
	return NULL;
}

/* --- facts about the peer ------------------------------------------------------------ */

void worker_pool_up(struct worker_pool *pool, nsec_t now)
{
	pool->down_since = 0;
	pool->streams.attempt_at = 0;
	resilience_news(&pool->resilience);
	stream_pool_fill(pool, now);
	worker_pool_look(pool, now);
}

void worker_pool_down(struct worker_pool *pool, nsec_t now)
{
	if (pool->down_since == 0)
		pool->down_since = now;
	for (struct spread *sp = pool->spreads; sp != NULL; sp = sp->next)
		spread_end_later(sp->trunk, now);
	stream_manager_hand_over(pool, now);
	worker_pool_look(pool, now);
}

void worker_pool_unreachable(struct worker_pool *pool, nsec_t now)
{
	struct resilience *r = &pool->resilience;
	uint64_t attempt;
	/* The dialer has its own pace; here it only counts. */
	if (breaker_allow(&r->breaker, now, &attempt))
		breaker_failed(&r->breaker, attempt, now);
	count_breaker(pool);
	tell_breaker(pool, now);
}

/* --- packets ------------------------------------------------------------------------- */

/* The packet goes no further: tell its sender, and count it. */
static void refuse(struct worker_pool *pool, struct packet *packet, const struct packet_info *info,
		   enum icmp_reason icmp, uint32_t mtu, enum drop reason)
{
	pool->share.dropped_packets++;
	dispatcher_refuse(pool->dispatcher, packet, info, icmp, mtu, reason);
}

static bool is_longer_than(const struct packet *packet, size_t mtu)
{
	return offload_segment_len(&packet->offload, packet->len) > mtu;
}

bool worker_pool_is_unsure(const struct worker *w, nsec_t now)
{
	return w->is_unsure && nsec_since(now, w->pool->broken_at) < DRAIN_TIMEOUT;
}

/*
 * Where the peer is not connected here, another shard may be its way. A key that went there comes
 * back when the peer is connected here, but not before all that was handed over has arrived: it
 * waits for that as for a stream that drains. A key whose stream broke waits for as long as what
 * was in it may still arrive. true: the packet is taken.
 */

static bool go_elsewhere(struct worker *w, struct packet *packet, nsec_t now)
{
	struct worker_pool *pool = w->pool;
	const struct dispatcher_conf *conf = &pool->dispatcher->conf;
	if (conf->hand_over == NULL || w->stream != NULL)
		return false;
	bool must_wait = false;
	if (pool->down_since == 0) {
		if (!w->is_handed)
			return false;
		if (!w->is_flushing)
			w->is_flushing = conf->flush(conf->ctx, &pool->peer, &w->key);
		must_wait = w->is_flushing;
	} else {
		must_wait = worker_pool_is_unsure(w, now);
	}
	if (must_wait) {
		stream_manager_wait(w, packet, now);
		return true;
	}
	stream_manager_hand_over_worker(w);
	worker_is_handed(w);
	conf->hand_over(conf->ctx, &pool->peer, packet, &w->key);
	return true;
}

static void send_without_stream(struct worker *w, struct packet *packet,
				const struct packet_info *info, nsec_t now)
{
	struct worker_pool *pool = w->pool;
	const struct stream_service *streams = &pool->dispatcher->conf.streams;
	if (pool->down_since != 0)
		streams->ops->demand(streams->ctx, &pool->peer);
	if (w->stream == NULL && resilience_refuses(&pool->resilience, now)) {
		refuse(pool, packet, info, ICMP_UNREACHABLE, 0, DROP_BREAKER_OPEN);
		return;
	}
	if (pool->down_since != 0 && nsec_since(now, pool->down_since) > POOL_STALE) {
		refuse(pool, packet, info, ICMP_UNREACHABLE, 0, DROP_PEER_DOWN);
		return;
	}
	stream_manager_wait(w, packet, now);
	stream_pool_fill(pool, now);
}

void worker_pool_send(struct worker *w, struct packet *packet, const struct packet_info *info,
		      nsec_t now)
{
	struct worker_pool *pool = w->pool;
	struct pool_stream *s = w->stream;
	if (!pool->is_busy) {
		pool->is_busy = true;
		/* Not later than what it is set for already. */
		loop_timer_set(&pool->timer, nsec_min(pool->timer.at, deadline(pool, now)));
	}
	if (w->spread != NULL) {
		spread_send(w, packet, info, now);
		return;
	}
	if (s == NULL && go_elsewhere(w, packet, now))
		return;
	if (s == NULL && stream_manager_assign(w))
		s = w->stream;
	if (w->queue == NULL) {
		send_without_stream(w, packet, info, now);
		return;
	}
	if (is_longer_than(packet, channel_mtu(&s->channel))) {
		refuse(pool, packet, info, ICMP_TOO_BIG, (uint32_t)channel_mtu(&s->channel),
		       DROP_TOO_BIG);
		return;
	}
	s->used_at = now;
	fair_queue_push(w->queue, w, packet, now);
	pool_stream_wake(s);
}
