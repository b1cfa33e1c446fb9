/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* stream_pool.c - see stream_pool.h */
#include "vpn/dispatch/stream_pool.h"

#include <utlist.h>

#include "base/util.h"
#include "vpn/dispatch/dispatcher_internal.h"
#include "vpn/dispatch/spread.h"
#include "vpn/dispatch/stream_manager.h"

#define CROWDED_FOR (3 * NSEC_PER_SEC)  /* a spare connection needs some round trips */
#define SPARE_IDLE  (10 * NSEC_PER_SEC) /* a pause of the one who needed it */

static const struct dispatch_settings *settings_of(const struct worker_pool *pool)
{
	return &pool->dispatcher->conf.settings;
}

static void count(const struct worker_pool *pool, enum counter counter)
{
	metrics_add(pool->dispatcher->conf.metrics, counter, 1);
}

void stream_pool_init(struct worker_pool *pool, nsec_t now)
{
	struct stream_pool *p = &pool->streams;
	*p = (struct stream_pool){.wanted = settings_of(pool)->streams_min};
	load_init(&p->load);
	p->cleanup_at = nsec_add(now, settings_of(pool)->stream_cleanup_interval);
}

/* --- which --------------------------------------------------------------------------- */

static bool is_usable(const struct pool_stream *s)
{
	return s->state == POOL_STREAM_UP && !s->is_retiring && !s->is_spare;
}

static bool has_less(const struct pool_stream *a, const struct pool_stream *b)
{
	if (a->facts.is_suspect != b->facts.is_suspect)
		return b->facts.is_suspect;
	if (a->channel.queue.bytes != b->channel.queue.bytes)
		return a->channel.queue.bytes < b->channel.queue.bytes;
	return a->n_workers < b->n_workers;
}

/* Would a packet of this key on this stream come behind all that the key sent before? */
static bool keeps_order(const struct pool_stream *s, const struct worker *w)
{
	return w == NULL || s->told >= w->death ||
	       (w->death_conn != 0 && s->facts.conn == w->death_conn);
}

struct pool_stream *stream_pool_pick(struct worker_pool *pool, const struct worker *w)
{
	struct pool_stream *best = NULL, *s;
	DL_FOREACH (pool->streams.streams, s) {
		if (is_usable(s) && keeps_order(s, w) && (best == NULL || has_less(s, best)))
			best = s;
	}
	return best;
}

/* --- opening ------------------------------------------------------------------------- */

static size_t wanted(const struct worker_pool *pool)
{
	const struct stream_pool *p = &pool->streams;
	if (p->is_new_needed)
		return MAX(p->wanted, p->n_up + 1);
	return p->wanted == 0 && pool->waiting != NULL ? 1 : p->wanted;
}

static bool open_one(struct worker_pool *pool, nsec_t now)
{
	struct stream_pool *p = &pool->streams;
	struct resilience *r = &pool->resilience;
	uint64_t attempt;
	bool is_retry = r->retry.failed > 0;
	if (!resilience_allow(r, now, &attempt)) {
		p->attempt_at = resilience_deadline(r, now);
		return false;
	}
	count(pool, COUNTER_STREAMS_TRIED);
	if (is_retry)
		count(pool, COUNTER_RETRIES);
	struct pool_stream *s;
	enum err e = pool_stream_open(pool, attempt, &s);
	if (e == ERR_OK)
		return true;
	/* Not connected is no news about the peer's streams; whoever finds it tells. */
	if (e == ERR_UNREACHABLE) {
		resilience_cancelled(r, attempt);
		p->attempt_at = NSEC_NEVER;
		worker_pool_down(pool, now);
		return false;
	}
	count(pool, COUNTER_STREAMS_FAILED);
	if (e == ERR_NO_MEMORY) { /* nor is it the peer's fault */
		resilience_cancelled(r, attempt);
		p->attempt_at = nsec_add(now, settings_of(pool)->retry.first);
		return false;
	}
	resilience_failed(r, attempt, now, dispatcher_random(pool->dispatcher));
	p->attempt_at = resilience_deadline(r, now);
	return false;
}

/* Is one missing that there is room for, now or when attempts are allowed again? */
static bool is_missing(const struct worker_pool *pool)
{
	const struct stream_pool *p = &pool->streams;
	return pool->down_since == 0 && !pool->is_closing &&
	       p->n_opening + p->n_up < wanted(pool) && p->n < 2 * settings_of(pool)->streams_max;
}

void stream_pool_fill(struct worker_pool *pool, nsec_t now)
{
	struct stream_pool *p = &pool->streams;
	if (now < p->attempt_at)
		return;
	p->attempt_at = 0;
	while (is_missing(pool)) {
		if (!open_one(pool, now))
			return;
	}
}

void stream_pool_replaces(struct worker_pool *pool, uint64_t id)
{
	struct stream_pool *p = &pool->streams;
	p->deaths++;
	p->replaced[p->replaced_next] = id;
	p->replaced_next = (p->replaced_next + 1) % REPLACED_MAX;
	p->n_replaced = MIN(p->n_replaced + 1, (size_t)REPLACED_MAX);
	uint8_t frame[FRAME_HEADER_LEN + 8];
	struct wbuf out = wbuf_of(frame, sizeof(frame));
	frame_put_replaces(&out, &id, 1);
	struct pool_stream *s;
	DL_FOREACH (p->streams, s) {
		if (s->id == id || s->state != POOL_STREAM_UP || !s->channel.takes_moves)
			continue;
		/* Keys that left the dead one go to streams that have told of it; where too much
		 * waits to be told, to a new one, whose HELLO does. */
		if (s->told + 1 != p->deaths ||
		    channel_put_control(&s->channel, wbuf_view(&out)) != ERR_OK)
			continue;
		s->told = p->deaths;
		pool_stream_wake(s);
	}
}

/* --- what happens to them ------------------------------------------------------------ */

/* Those whose connection will not last, and does not answer, are given up; where another one is up,
 * the others drain. */
static void let_retiring_go(struct worker_pool *pool, bool is_other_up, nsec_t now)
{
	struct pool_stream *s, *tmp;
	DL_FOREACH_SAFE (pool->streams.streams, s, tmp) {
		if (!s->is_retiring || s->state != POOL_STREAM_UP)
			continue;
		pool->dispatcher->conf.streams.ops->facts(s->link, &s->facts);
		if (!s->facts.is_suspect && !is_other_up)
			continue;
		count(pool, COUNTER_STREAMS_REPLACED);
		if (s->facts.is_suspect)
			pool_stream_fail(s, ERR_SUPERSEDED);
		else
			pool_stream_drain(s, now);
	}
}

/* Fewer keys, or not used for longer. */
static bool is_less_used(const struct pool_stream *a, const struct pool_stream *b)
{
	if (a->n_workers != b->n_workers)
		return a->n_workers < b->n_workers;
	return a->used_at < b->used_at;
}

static struct pool_stream *least_used(struct worker_pool *pool, const struct pool_stream *but)
{
	struct pool_stream *least = NULL, *s;
	DL_FOREACH (pool->streams.streams, s) {
		if (is_usable(s) && s != but && (least == NULL || is_less_used(s, least)))
			least = s;
	}
	return least;
}

static void tell(const struct worker_pool *pool, enum err result)
{
	const struct dispatcher_conf *conf = &pool->dispatcher->conf;
	if (conf->on_stream != NULL && !pool->is_closing)
		conf->on_stream(conf->ctx, &pool->peer, result);
}

void stream_pool_before_up(struct worker_pool *pool, nsec_t now)
{
	let_retiring_go(pool, false, now);
}

void stream_pool_on_up(struct pool_stream *s, nsec_t now)
{
	struct worker_pool *pool = s->pool;
	struct stream_pool *p = &pool->streams;
	tell(pool, ERR_OK);
	let_retiring_go(pool, p->n_up > 0, now); /* a spare is no way for them */
	if (!s->is_spare)
		p->is_new_needed = false;
	stream_manager_serve(pool);
	/* It was opened to tell of a death, and is one too many. */
	struct pool_stream *least = least_used(pool, s);
	if (p->n_up > settings_of(pool)->streams_max && least != NULL)
		pool_stream_drain(least, now);
	worker_pool_look(pool, now);
}

void stream_pool_on_gone(struct worker_pool *pool, bool was_open, enum err why, nsec_t now)
{
	pool->streams.n--;
	if (!was_open)
		tell(pool, why);
	stream_manager_serve(pool);
	worker_pool_look(pool, now);
	dispatcher_check_closed(pool->dispatcher);
}

void stream_pool_on_retire(struct pool_stream *s, nsec_t now)
{
	if (s->is_retiring || (s->state != POOL_STREAM_OPENING && s->state != POOL_STREAM_UP))
		return;
	if (s->state == POOL_STREAM_OPENING) {
		pool_stream_fail(s, ERR_SUPERSEDED);
	} else {
		s->is_retiring = true;
		s->pool->streams.n_up -= !s->is_spare;
	}
	worker_pool_look(s->pool, now);
}

/* --- time ---------------------------------------------------------------------------- */

/* Do packets wait for its connection, and not only for the end of the turn? How many bytes wait
 * says little where CoDel keeps queues short, so it is how long; half of what CoDel allows, as at
 * its target senders already hold back. */
static bool is_full(const struct pool_stream *s, nsec_t now)
{
	const struct fair_queue *q = &s->channel.queue;
	nsec_t some = settings_of(s->pool)->queue.codel.target / 2;
	const struct worker *w =
		q->fattest != NULL && q->fattest->head != NULL ? q->fattest : s->pool->share.trunk;
	if (w != NULL && w->head != NULL && nsec_since(now, w->head->queued_at) >= some)
		return true;
	return (q->packets > 0 || (w != NULL && w->packets > 0)) && q->sojourn >= some;
}

static void follow_load(struct worker_pool *pool, nsec_t now)
{
	struct stream_pool *p = &pool->streams;
	const struct dispatch_settings *settings = settings_of(pool);
	struct load_sample sample = {
		.streams = p->n_up,
		.streams_min = MAX(settings->streams_min, (size_t)1),
		.streams_max = settings->streams_max,
		.sent_bytes = pool->share.sent_bytes,
	};

	struct pool_stream *s;
	DL_FOREACH (p->streams, s) {
		if (!is_usable(s))
			continue;
		sample.queued += is_full(s, now);
		sample.in_flight_bytes += s->facts.in_flight_bytes;
	}
	sample.queued_max = MAX(p->n_up, (size_t)1);
	sample.in_flight_bytes_max = IN_FLIGHT_FULL * MAX(p->n_up, (size_t)1);
	if (p->n_up == 0 || p->n_opening > 0)
		return;
	switch (load_step(&p->load, &sample, now)) {
	case LOAD_STAY:
		break;
	case LOAD_GROW:
		p->crowded_until = nsec_add(now, CROWDED_FOR);
		p->wanted = MIN(p->n_up + 1, settings->streams_max);
		break;
	case LOAD_SHRINK:
		s = least_used(pool, NULL);
		/* One that nobody uses costs nothing: clean_up() has its own time for it. */
		if (s == NULL || nsec_since(now, s->used_at) >= LOAD_SHRINK_AFTER / 2)
			break;
		p->wanted = MAX(p->n_up - 1, settings->streams_min);
		if (p->n_up > p->wanted)
			pool_stream_drain(s, now);
		break;
	}
}

/* The key that has most of what waits for a stream; NULL: no one has. */
static struct worker *fat_key(const struct pool_stream *s)
{
	struct worker *w = s->channel.queue.fattest;
	bool is_most = w != NULL && w->bytes > s->channel.queue.bytes / 2;
	return is_most && s->channel.takes_seq ? w : NULL;
}

/* One connection is full: does one key need more than one? */
static void consider_spread(struct worker_pool *pool, nsec_t now)
{
	struct stream_pool *p = &pool->streams;
	if (!settings_of(pool)->multiplex || now >= p->crowded_until)
		return;
	/* One that is spread lost its spare. */
	if (pool->spreads != NULL && p->n_spare == 0 && pool_stream_open_spare(pool) == ERR_OK)
		return;
	struct pool_stream *s, *tmp;
	DL_FOREACH_SAFE (p->streams, s, tmp) {
		struct worker *w = is_usable(s) && s->facts.rtt >= SPREAD_RTT ? fat_key(s) : NULL;
		if (w == NULL)
			continue;
		/* Without a spare connection it is asked for: we come again. */
		if (p->n_spare > 0 || pool_stream_open_spare(pool) == ERR_OK)
			spread_begin(w, now);
		return;
	}
}

/* Spares that no key uses any more. */
static void end_spares(struct worker_pool *pool, nsec_t now)
{
	struct pool_stream *s, *tmp;
	DL_FOREACH_SAFE (pool->streams.streams, s, tmp) {
		if (s->is_spare && s->state == POOL_STREAM_UP && s->n_workers == 0 &&
		    nsec_since(now, MAX(s->used_at, s->opened_at)) >= SPARE_IDLE)
			pool_stream_drain(s, now);
	}
}

/* Streams that nobody used for long. */
static void clean_up(struct worker_pool *pool, nsec_t now)
{
	struct stream_pool *p = &pool->streams;
	const struct dispatch_settings *settings = settings_of(pool);
	if (now < p->cleanup_at)
		return;
	p->cleanup_at = nsec_add(now, settings->stream_cleanup_interval);
	struct pool_stream *s, *tmp;
	DL_FOREACH_SAFE (p->streams, s, tmp) {
		if (p->n_up <= settings->streams_min)
			break;
		if (!is_usable(s) || nsec_since(now, s->used_at) < settings->stream_idle_timeout)
			continue;
		count(pool, COUNTER_STREAMS_IDLED);
		pool_stream_drain(s, now);
	}
	p->wanted = MIN(p->wanted, MAX(p->n_up, settings->streams_min));
}

void stream_pool_step(struct worker_pool *pool, nsec_t now)
{
	struct pool_stream *s, *tmp;
	DL_FOREACH_SAFE (pool->streams.streams, s, tmp)
		pool_stream_step(s, now);
	if (!pool->is_closing) {
		if (pool->streams.n_up > 0)
			let_retiring_go(pool, true, now);
		follow_load(pool, now);
		consider_spread(pool, now);
		end_spares(pool, now);
		clean_up(pool, now);
	}
	stream_pool_fill(pool, now);
}

nsec_t stream_pool_deadline(const struct worker_pool *pool)
{
	const struct stream_pool *p = &pool->streams;
	nsec_t at = NSEC_NEVER;
	const struct pool_stream *s;
	DL_FOREACH (p->streams, s)
		at = nsec_min(at, pool_stream_deadline(s));
	if (p->n_up > settings_of(pool)->streams_min && !pool->is_closing)
		at = nsec_min(at, p->cleanup_at);
	if (p->n_spare > 0 && !pool->is_closing)
		at = nsec_min(at, nsec_add(loop_now(pool->dispatcher->conf.loop), SPARE_IDLE));
	if (is_missing(pool))
		at = nsec_min(at, p->attempt_at);
	return at;
}
