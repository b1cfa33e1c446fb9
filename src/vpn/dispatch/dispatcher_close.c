/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatcher_close.c - how a dispatcher ends, and what it shows of itself; see dispatcher.h */
#include <utlist.h>

#include "base/util.h"
#include "vpn/dispatch/dispatcher_internal.h"
#include "vpn/dispatch/flush.h"
#include "vpn/dispatch/spread.h"
#include "vpn/dispatch/stream_manager.h"

#define DRAIN_LOOK \
	(5 * NSEC_PER_MSEC) /* how often we look whether all is sent: a stop may wait so long */
#define END_PATIENCE \
	(500 * NSEC_PER_MSEC) /* for peers to end streams that we ended; then they are reset */

static size_t count_waiting(const struct dispatcher *d)
{
	size_t n = 0;
	for (const struct worker_pool *pool = d->pools; pool != NULL; pool = pool->hh.next)
		n += pool->share.packets;
	return n;
}

static size_t count_streams(const struct dispatcher *d)
{
	size_t n = 0;
	for (const struct worker_pool *pool = d->pools; pool != NULL; pool = pool->hh.next)
		n += pool->streams.n;
	return n;
}

void dispatcher_check_closed(struct dispatcher *d)
{
	if (d->is_ending && count_streams(d) == 0)
		loop_defer(d->conf.loop, &d->closed);
}

static void end_pool(struct worker_pool *pool)
{
	struct dispatcher *d = pool->dispatcher;
	pool->is_closing = true; /* keys that lose their stream get no other */
	d->dropped_closing += pool->share.packets;
	while (pool->spreads != NULL)
		spread_end(pool->spreads->trunk);
	struct pool_stream *s, *tmp;
	DL_FOREACH_SAFE (pool->streams.streams, s, tmp) {
		if (s->state == POOL_STREAM_CLOSING)
			continue;
		/* What it sent still arrives, unless it was cut in the middle. */
		if (s->state == POOL_STREAM_OPENING || s->channel.begun != NULL)
			pool_stream_fail(s, ERR_CLOSED);
		else
			pool_stream_finish(s);
	}
	stream_manager_drop_waiting(pool, NSEC_NEVER, DROP_CLOSING);
}

static void end(struct dispatcher *d, nsec_t now)
{
	d->is_ending = true;
	for (struct worker_pool *pool = d->pools; pool != NULL; pool = pool->hh.next)
		end_pool(pool);
	loop_timer_set(&d->drain, nsec_add(now, END_PATIENCE));
	dispatcher_check_closed(d);
}

/* They had their time. */
static void reset_all(struct dispatcher *d)
{
	for (struct worker_pool *pool = d->pools; pool != NULL; pool = pool->hh.next) {
		struct pool_stream *s, *tmp;
		DL_FOREACH_SAFE (pool->streams.streams, s, tmp)
			d->conf.streams.ops->reset(s->link, ERR_CLOSED);
	}
}

static void on_drain(struct loop_timer *timer, nsec_t now)
{
	struct dispatcher *d = CONTAINER_OF(timer, struct dispatcher, drain);
	if (d->is_ending)
		reset_all(d);
	else if (count_waiting(d) == 0 || now >= d->drain_by)
		end(d, now);
	else
		loop_timer_set(timer, nsec_min(nsec_add(now, DRAIN_LOOK), d->drain_by));
}

static void on_closed(struct loop_task *task)
{
	struct dispatcher *d = CONTAINER_OF(task, struct dispatcher, closed);
	loop_timer_stop(&d->drain);
	d->is_ended = true;
	flush_all(d);
	d->conf.on_closed(d->conf.ctx, d->dropped_closing);
}

void dispatcher_init_close(struct dispatcher *d)
{
	d->closed.run = on_closed;
	loop_timer_init(&d->drain, d->conf.loop, on_drain);
}

void dispatcher_close(struct dispatcher *d, nsec_t deadline)
{
	loop_assert_here(d->conf.loop);
	if (d->is_closing)
		return;
	d->is_closing = true;
	d->drain_by = deadline;
	loop_timer_set(&d->drain, loop_now(d->conf.loop));
}

/* --- for people ---------------------------------------------------------------------- */

static void stream_info(const struct pool_stream *s, struct dispatch_stream_info *ret)
{
	*ret = (struct dispatch_stream_info){
		.id = s->id,
		.state = s->state,
		.framing = s->framing,
		.n_keys = s->n_workers,
		.queued_packets = s->channel.queue.packets,
		.queued_bytes = s->channel.queue.bytes,
		.sent_packets = s->channel.sent_packets,
		.sent_bytes = s->channel.sent_bytes,
		.in_flight_bytes = s->facts.in_flight_bytes,
		.opened_at = s->opened_at,
		.rtt = s->opened_at == 0 || s->health.rtt_smoothed == NSEC_NEVER
			       ? 0
			       : s->health.rtt_smoothed,
		.is_retiring = s->is_retiring,
	};
}

void dispatcher_peer_info(const struct dispatcher *d, const struct peer_id *peer,
			  struct dispatch_peer_info *ret_info)
{
	loop_assert_here(d->conf.loop);
	struct worker_pool *pool;
	*ret_info = (struct dispatch_peer_info){.breaker = BREAKER_CLOSED};
	HASH_FIND(hh, d->pools, peer->bytes, peer->len, pool);
	if (pool == NULL)
		return;
	ret_info->sent_packets = pool->share.sent_packets;
	ret_info->sent_bytes = pool->share.sent_bytes;
	ret_info->dropped_packets = pool->share.dropped_packets;
	ret_info->queued_packets = pool->share.packets;
	ret_info->queued_bytes = pool->share.bytes;
	ret_info->n_keys = pool->n_workers;
	ret_info->rtt = pool->rtt;
	ret_info->load = load_score(&pool->streams.load);
	ret_info->breaker = breaker_state_at(&pool->resilience.breaker, loop_now(d->conf.loop));
	const struct pool_stream *s;
	DL_FOREACH (pool->streams.streams, s) {
		if (ret_info->n_streams < DISPATCH_STREAMS_SHOWN)
			stream_info(s, &ret_info->streams[ret_info->n_streams++]);
	}
}

enum err dispatcher_key_info(const struct dispatcher *d, const struct conn_key *key,
			     struct dispatch_key_info *ret_info)
{
	const struct worker *w = worker_table_find(d->table, key, worker_table_hash(d->table, key));
	if (w == NULL)
		return ERR_NOT_FOUND;
	*ret_info = (struct dispatch_key_info){
		.peer = w->pool->peer,
		.stream = w->stream != NULL ? w->stream->id : 0,
		.is_spread = w->spread != NULL,
		.queued_packets = w->packets,
		.queued_bytes = w->bytes,
		.sent_packets = w->sent_packets,
		.sent_bytes = w->sent_bytes,
	};
	return ERR_OK;
}

size_t dispatcher_worker_count(const struct dispatcher *d)
{
	return worker_table_count(d->table);
}
