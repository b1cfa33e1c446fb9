/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stream_manager.c - see stream_manager.h */
#include "vpn/dispatch/stream_manager.h"

#include <assert.h>

#include "vpn/dispatch/dispatcher_internal.h"
#include "vpn/dispatch/flush.h"
#include "vpn/dispatch/receipt.h"
#include "vpn/dispatch/spread.h"

void stream_manager_link(struct pool_stream *s, struct worker *w)
{
	w->stream = s;
	w->stream_prev = NULL;
	w->stream_next = s->workers;
	if (s->workers != NULL)
		s->workers->stream_prev = w;
	s->workers = w;
	s->n_workers++;
}

void stream_manager_unlink(struct worker *w)
{
	struct pool_stream *s = w->stream;
	if (w->stream_prev != NULL)
		w->stream_prev->stream_next = w->stream_next;
	else
		s->workers = w->stream_next;
	if (w->stream_next != NULL)
		w->stream_next->stream_prev = w->stream_prev;
	w->stream_prev = w->stream_next = NULL;
	w->stream = NULL;
	s->n_workers--;
}

void stream_manager_stand_waiting(struct worker *w)
{
	if (w->packets == 0 || w->place == WORKER_WAITING)
		return;
	assert(w->place == WORKER_IDLE && w->queue == NULL);
	w->place = WORKER_WAITING;
	worker_enqueue(&w->pool->waiting, w);
}

void stream_manager_stop_waiting(struct worker *w)
{
	if (w->place != WORKER_WAITING)
		return;
	worker_dequeue(&w->pool->waiting, w);
	w->place = WORKER_IDLE;
}

/* Where only a stream that cannot be opened would keep the order, it is given up. */
static struct pool_stream *pick(struct worker *w)
{
	struct worker_pool *pool = w->pool;
	struct pool_stream *s = pool->is_closing ? NULL : stream_pool_pick(pool, w);
	if (s != NULL || w->death == 0 || pool->streams.n_up == 0)
		return s;
	if (!resilience_refuses(&pool->resilience, loop_now(pool->dispatcher->conf.loop))) {
		pool->streams.is_new_needed = true;
		return NULL;
	}
	w->death = w->death_conn = 0;
	return stream_pool_pick(pool, w);
}

bool stream_manager_assign(struct worker *w)
{
	assert(w->stream == NULL);
	struct pool_stream *s = pick(w);
	if (s == NULL)
		return false;
	stream_manager_stop_waiting(w);
	stream_manager_link(s, w);
	w->is_unsure = false;
	w->sent_packets = w->sent_bytes = 0;
	fair_queue_join(&s->channel.queue, w);
	metrics_add(w->pool->dispatcher->conf.metrics, COUNTER_STREAMS_ACQUIRED, 1);
	if (w->packets > 0)
		pool_stream_wake(s);
	return true;
}

static void leave_queue(struct worker *w)
{
	if (w->queue != NULL)
		fair_queue_leave(w->queue, w);
	stream_manager_stand_waiting(w);
}

void stream_manager_release(struct worker *w)
{
	if (w->is_limb) {
		spread_lose_limb(w);
		return;
	}
	leave_queue(w);
	stream_manager_unlink(w);
}

void stream_manager_hold(struct pool_stream *s)
{
	for (struct worker *w = s->workers, *next; w != NULL; w = next) {
		next = w->stream_next;
		if (w->is_limb)
			spread_lose_limb(w); /* numbers keep its order */
		else
			leave_queue(w);
	}
}

void stream_manager_on_death(struct pool_stream *s)
{
	/* Who answered a probe has read the HELLO before it. */
	uint64_t heard = s->health.answered > 0 ? s->told : 0;
	for (struct worker *each = s->workers; each != NULL; each = each->stream_next) {
		struct worker *w = each->is_limb ? each->spread->trunk : each;
		if (each->sent_packets == 0)
			continue;
		/* One death before, that the peer may not have heard of, on another connection:
		 * then none is in order with both. */
		bool is_one = w->death <= heard || w->death_conn == s->facts.conn;
		w->death = s->pool->streams.deaths;
		w->death_conn = is_one ? s->facts.conn : 0;
	}
}

void stream_manager_release_all(struct pool_stream *s)
{
	struct metrics *m = s->pool->dispatcher->conf.metrics;
	metrics_add(m, COUNTER_KEYS_MOVED, s->n_workers);
	while (s->workers != NULL)
		stream_manager_release(s->workers);
}

void stream_manager_serve(struct worker_pool *pool)
{
	spread_serve(pool);
	struct worker *w = pool->waiting;
	if (w == NULL || pool->streams.n_up == 0)
		return;
	struct worker *last = w->prev;
	for (;;) {
		struct worker *next = w->next;
		bool is_last = w == last;
		if (w->stream == NULL && !w->is_flushing)
			(void)stream_manager_assign(w);
		if (is_last)
			return;
		w = next;
	}
}

bool stream_manager_keep(struct worker *w, struct packet *packet, nsec_t now)
{
	struct worker_pool *pool = w->pool;
	struct metrics *m = pool->dispatcher->conf.metrics;
	size_t most = pool->dispatcher->conf.settings.queue.worker_packets_max;
	while (w->head != NULL && (w->packets >= most || share_is_full(&pool->share, packet->len)))
		share_drop(&pool->share, m, worker_take(w), DROP_QUEUE_FULL);
	if (share_is_full(&pool->share, packet->len)) {
		pool->share.dropped_packets++;
		packet_end(packet, m, DROP_QUEUE_FULL);
		return false;
	}
	packet->queued_at = now;
	worker_append(w, packet);
	pool->share.packets++;
	pool->share.bytes += packet->len;
	if (w->spread != NULL && (pool->share.trunk == NULL || w->bytes > pool->share.trunk->bytes))
		pool->share.trunk = w;
	return true;
}

void stream_manager_wait(struct worker *w, struct packet *packet, nsec_t now)
{
	if (stream_manager_keep(w, packet, now))
		stream_manager_stand_waiting(w);
	else if (w->packets == 0)
		stream_manager_stop_waiting(w);
}

static void drop_older(struct worker *w, nsec_t before, enum drop reason)
{
	struct worker_pool *pool = w->pool;
	while (w->head != NULL && (before == NSEC_NEVER || w->head->queued_at < before))
		share_drop(&pool->share, pool->dispatcher->conf.metrics, worker_take(w), reason);
	if (w->head == NULL)
		stream_manager_stop_waiting(w);
}

void stream_manager_drop_waiting(struct worker_pool *pool, nsec_t before, enum drop reason)
{
	struct worker *w = pool->waiting;
	if (w == NULL)
		return;
	struct worker *last = w->prev;
	for (;;) {
		struct worker *next = w->next;
		bool is_last = w == last;
		drop_older(w, before, reason);
		if (is_last)
			return;
		w = next;
	}
}

void stream_manager_drop_worker(struct worker *w, enum drop reason)
{
	drop_older(w, NSEC_NEVER, reason);
}

void stream_manager_doubt(struct pool_stream *s, nsec_t now)
{
	if (s->workers != NULL)
		s->pool->broken_at = now;
	for (struct worker *w = s->workers; w != NULL; w = w->stream_next) {
		struct worker *key = w->is_limb ? w->spread->trunk : w;
		key->is_unsure = true;
	}
}

void stream_manager_hand_over_worker(struct worker *w)
{
	struct worker_pool *pool = w->pool;
	const struct dispatcher_conf *conf = &pool->dispatcher->conf;
	while (w->head != NULL) {
		struct packet *packet = worker_take(w);
		pool->share.packets--;
		pool->share.bytes -= packet->len;
		worker_is_handed(w);
		conf->hand_over(conf->ctx, &pool->peer, packet, &w->key);
	}
	stream_manager_stop_waiting(w);
}

void stream_manager_hand_over(struct worker_pool *pool, nsec_t now)
{
	struct worker *w = pool->waiting;
	if (w == NULL || pool->dispatcher->conf.hand_over == NULL)
		return;
	struct worker *last = w->prev;
	for (;;) {
		struct worker *next = w->next;
		bool is_last = w == last;
		if (w->stream == NULL && w->spread == NULL && !worker_pool_is_unsure(w, now))
			stream_manager_hand_over_worker(w);
		if (is_last)
			return;
		w = next;
	}
}
