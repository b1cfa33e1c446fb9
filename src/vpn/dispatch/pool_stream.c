/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pool_stream.c - see pool_stream.h */
#include "vpn/dispatch/pool_stream.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/util.h"
#include "vpn/dispatch/attempt.h"
#include "vpn/dispatch/dispatcher_internal.h"
#include "vpn/dispatch/flush.h"
#include "vpn/dispatch/stream_manager.h"

/* Barriers have numbers of their own, beside those of health. */
#define BARRIER (1ull << 63)

static const struct {
	const char *name;
	unsigned allowed; /* states that may follow */
} moves[] = {
	[POOL_STREAM_OPENING] = {"opening", 1u << POOL_STREAM_UP | 1u << POOL_STREAM_CLOSING},
	[POOL_STREAM_UP] = {"up", 1u << POOL_STREAM_DRAINING | 1u << POOL_STREAM_CLOSING},
	[POOL_STREAM_DRAINING] = {"draining", 1u << POOL_STREAM_CLOSING},
	[POOL_STREAM_CLOSING] = {"closing", 0},
};
static_assert(ARRAY_LEN(moves) == POOL_STREAM_STATE_COUNT, "a row for each state");

const char *pool_stream_state_name(enum pool_stream_state state)
{
	return moves[state].name;
}

static void set_state(struct pool_stream *s, enum pool_stream_state state)
{
	assert(moves[s->state].allowed & 1u << state);
	struct stream_pool *p = &s->pool->streams;
	if (s->state == POOL_STREAM_OPENING)
		p->n_opening -= !s->is_spare;
	else if (s->state == POOL_STREAM_UP && !s->is_retiring)
		p->n_up -= !s->is_spare;
	s->state = state;
	if (state == POOL_STREAM_UP)
		p->n_up += !s->is_spare;
	if (state == POOL_STREAM_CLOSING)
		p->n_spare -= s->is_spare;
}

static struct dispatcher *dispatcher_of(const struct pool_stream *s)
{
	return s->pool->dispatcher;
}

static void count(const struct pool_stream *s, enum counter counter)
{
	metrics_add(dispatcher_of(s)->conf.metrics, counter, 1);
}

static nsec_t now_of(const struct pool_stream *s)
{
	return loop_now(dispatcher_of(s)->conf.loop);
}

void pool_stream_wake(struct pool_stream *s)
{
	if (s->is_awake || s->state == POOL_STREAM_OPENING || s->state == POOL_STREAM_CLOSING)
		return;
	s->is_awake = true;
	dispatcher_of(s)->conf.streams.ops->wake(s->link);
}

/* --- what the link tells ------------------------------------------------------------- */

static void greet(struct pool_stream *s)
{
	struct stream_pool *p = &s->pool->streams;
	struct frame_hello hello = dispatcher_of(s)->conf.settings.hello;
	hello.stream_id = s->id;
	hello.n_replaces = p->n_replaced;
	memcpy(hello.replaces, p->replaced, sizeof(p->replaced));
	s->told = p->deaths;
	channel_attach(&s->channel, &hello);
}

/* It has no way to tell of a death: nobody has to wait for that. */
static void attach_vpn(struct pool_stream *s)
{
	s->told = UINT64_MAX;
	channel_attach_vpn(&s->channel, dispatcher_of(s)->conf.settings.vpn_mtu);
}

static void on_open(void *user, enum packet_framing framing)
{
	struct pool_stream *s = user;
	struct dispatcher *d = dispatcher_of(s);
	nsec_t now = now_of(s);
	if (s->state != POOL_STREAM_OPENING)
		return; /* given up meanwhile */
	if (framing == PACKET_FRAMING_RUNNEL &&
	    frame_reader_new(FRAME_OPENER, &d->conf.settings.hello, &s->reader) != ERR_OK) {
		pool_stream_fail(s, ERR_NO_MEMORY);
		return;
	}
	stream_pool_before_up(s->pool, now);
	s->framing = framing;
	s->opened_at = s->used_at = s->vouched_at = now;
	d->conf.streams.ops->facts(s->link, &s->facts);
	set_state(s, POOL_STREAM_UP);
	stream_health_init(&s->health, &d->conf.settings.health, STREAM_HEALTH_BY_PROGRESS, now);
	if (framing == PACKET_FRAMING_RUNNEL)
		greet(s);
	else
		attach_vpn(s);
	count(s, COUNTER_STREAMS_OPENED);
	pool_stream_wake(s);
	stream_pool_on_up(s, now);
}

void pool_stream_finish(struct pool_stream *s)
{
	channel_reset_to_frame_boundary(&s->channel);
	flush_on_gone(dispatcher_of(s), s, 0);
	stream_manager_release_all(s);
	attempt_succeeded(s);
	set_state(s, POOL_STREAM_CLOSING);
	s->end_by = nsec_add(now_of(s), CLOSE_TIMEOUT);
	dispatcher_of(s)->conf.streams.ops->finish(s->link);
	stream_manager_serve(s->pool);
	worker_pool_look(s->pool, now_of(s));
}

static void on_answer(struct pool_stream *s, const struct frame_probe *probe)
{
	if (s->state == POOL_STREAM_DRAINING && probe->id == s->barrier) {
		pool_stream_finish(s);
		return;
	}
	if (probe->id >> 62 == POOL_STREAM_FOREIGN >> 62) {
		flush_on_answer(s, probe->id);
		return;
	}
	if (!stream_health_on_answer(&s->health, probe->id, now_of(s)))
		return;
	s->pool->rtt = s->health.rtt;
	count(s, COUNTER_PROBES_ANSWERED);
}

/* From now on it can be probed, if the peer answers: the first round-trip time at once. */
static void on_hello(struct pool_stream *s, const struct frame_hello *hello)
{
	nsec_t now = now_of(s);
	if (s->state != POOL_STREAM_UP)
		return;
	channel_peer_hello(&s->channel, hello);
	const struct dispatcher_conf *conf = &dispatcher_of(s)->conf;
	if (conf->on_hello != NULL)
		conf->on_hello(conf->ctx, &s->pool->peer, hello);
	if (s->channel.takes_probes)
		stream_health_init(&s->health, &dispatcher_of(s)->conf.settings.health,
				   STREAM_HEALTH_BY_PROBES, now);
	pool_stream_wake(s);
	worker_pool_look(s->pool, now);
}

static void on_data(void *user, struct span data)
{
	struct pool_stream *s = user;
	while (s->reader != NULL &&
	       (s->state == POOL_STREAM_UP || s->state == POOL_STREAM_DRAINING)) {
		struct frame_event ev;
		enum err e = frame_reader_read(s->reader, &data, &ev);
		if (e == ERR_AGAIN)
			return;
		if (e != ERR_OK) {
			count(s, COUNTER_STREAMS_BROKEN);
			pool_stream_fail(s, e);
			return;
		}
		if (ev.type == FRAME_EV_HELLO)
			on_hello(s, &ev.hello);
		else if (ev.type == FRAME_EV_PROBE_ANSWER) {
			on_answer(s, &ev.probe);
		}
	}
}

static size_t pull(void *user, uint8_t *buf, size_t cap)
{
	struct pool_stream *s = user;
	nsec_t now = now_of(s);
	size_t n = channel_pull(&s->channel, buf, cap, now);
	/* Less than there was room for: it will not ask again before it is woken. */
	s->is_awake = n == cap;
	if (n > 0)
		stream_health_progress(&s->health, now);
	return n;
}

static void on_retire(void *user)
{
	struct pool_stream *s = user;
	stream_pool_on_retire(s, now_of(s));
}

/* What is under way on it may arrive, or not: its keys go where that cannot do harm. */
static void abandon(struct pool_stream *s)
{
	channel_reset_to_frame_boundary(&s->channel);
	if (s->framing == PACKET_FRAMING_RUNNEL && s->opened_at != 0) {
		stream_pool_replaces(s->pool, s->id);
		stream_manager_on_death(s);
	}
	stream_manager_doubt(s, now_of(s));
	flush_on_gone(dispatcher_of(s), s, s->pool->streams.deaths);
	stream_manager_release_all(s);
	set_state(s, POOL_STREAM_CLOSING);
	s->end_by = NSEC_NEVER;
}

static void on_close(void *user, enum err why)
{
	struct pool_stream *s = user;
	struct dispatcher *d = dispatcher_of(s);
	struct worker_pool *pool = s->pool;
	nsec_t now = now_of(s);
	bool was_open = s->opened_at != 0;
	bool is_broken = s->state != POOL_STREAM_CLOSING;
	if (is_broken)
		attempt_ended(s, why, now);
	if (is_broken || !was_open)
		count(s, COUNTER_STREAMS_FAILED);
	if (was_open) {
		count(s, COUNTER_STREAMS_CLOSED);
		metrics_observe(d->conf.metrics, HISTOGRAM_STREAM_AGE,
				nsec_since(now, s->opened_at) / NSEC_PER_SEC);
	}
	if (is_broken)
		abandon(s);
	channel_deinit(&s->channel);
	frame_reader_free(s->reader);
	DL_DELETE(pool->streams.streams, s);
	stream_pool_on_gone(pool, was_open, why, now);
	free(s);
}

static const struct link_user_ops link_ops = {
	.on_open = on_open,
	.on_data = on_data,
	.pull = pull,
	.on_retire = on_retire,
	.on_close = on_close,
};

/* --- its life ------------------------------------------------------------------------ */

static struct pool_stream *stream_new(struct worker_pool *pool)
{
	struct dispatcher *d = pool->dispatcher;
	struct pool_stream *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->pool = pool;
	s->id = dispatcher_random(d) | 1;
	channel_init(&s->channel, &d->conf.settings.queue, &pool->share, d->conf.metrics);
	return s;
}

enum err pool_stream_open(struct worker_pool *pool, uint64_t attempt, struct pool_stream **ret)
{
	const struct stream_service *streams = &pool->dispatcher->conf.streams;
	struct pool_stream *s = stream_new(pool);
	if (s == NULL)
		return ERR_NO_MEMORY;
	s->attempt = attempt;
	s->is_attempt = true;
	enum err e = streams->ops->open(streams->ctx, &pool->peer, &link_ops, s, &s->link);
	if (e != ERR_OK) {
		free(s);
		return e;
	}
	DL_APPEND(pool->streams.streams, s);
	pool->streams.n_opening++;
	pool->streams.n++;
	*ret = s;
	return ERR_OK;
}

enum err pool_stream_open_spare(struct worker_pool *pool)
{
	const struct stream_service *streams = &pool->dispatcher->conf.streams;
	if (streams->ops->open_spare == NULL)
		return ERR_UNSUPPORTED;
	struct pool_stream *s = stream_new(pool);
	if (s == NULL)
		return ERR_NO_MEMORY;
	s->is_spare = true;
	enum err e = streams->ops->open_spare(streams->ctx, &pool->peer, &link_ops, s, &s->link);
	if (e != ERR_OK) {
		free(s);
		return e;
	}
	DL_APPEND(pool->streams.streams, s);
	pool->streams.n_spare++;
	pool->streams.n++;
	return ERR_OK;
}

void pool_stream_drain(struct pool_stream *s, nsec_t now)
{
	assert(s->state == POOL_STREAM_UP);
	struct frame_probe barrier = {.id = BARRIER | (s->id >> 1), .sent_at = now};
	attempt_succeeded(s);
	bool is_idle = s->channel.queue.packets == 0 && s->channel.begun == NULL;
	if (is_idle && s->n_workers == 0 && !flush_is_on(dispatcher_of(s), s)) {
		pool_stream_finish(s);
		return;
	}
	/* Without probes nothing says that all has arrived: what is in flight has DRAIN_TIMEOUT. */
	if (s->channel.takes_probes &&
	    channel_put_probe(&s->channel, FRAME_PROBE, &barrier) != ERR_OK) {
		pool_stream_fail(s, ERR_FULL);
		return;
	}
	s->barrier = barrier.id;
	s->end_by = nsec_add(now, DRAIN_TIMEOUT);
	set_state(s, POOL_STREAM_DRAINING);
	stream_manager_hold(s);
	s->is_awake = false;
	pool_stream_wake(s);
}

void pool_stream_fail(struct pool_stream *s, enum err why)
{
	nsec_t now = now_of(s);
	attempt_failed(s, why, now);
	abandon(s);
	dispatcher_of(s)->conf.streams.ops->reset(s->link, why);
	stream_manager_serve(s->pool);
	worker_pool_look(s->pool, now);
}

/* --- time ---------------------------------------------------------------------------- */

static void check_health(struct pool_stream *s, nsec_t now)
{
	stream_health_suspect(&s->health, s->facts.is_suspect);
	stream_health_waiting(&s->health, now, channel_has_output(&s->channel));
	struct frame_probe probe = {.sent_at = now};
	switch (stream_health_step(&s->health, now, &probe.id)) {
	case STREAM_HEALTH_OK:
		break;
	case STREAM_HEALTH_SEND_PROBE:
		/* ERR_FULL: probes that were sent before still wait; so will the verdict. */
		if (channel_put_probe(&s->channel, FRAME_PROBE, &probe) == ERR_OK)
			count(s, COUNTER_PROBES_SENT);
		pool_stream_wake(s);
		break;
	case STREAM_HEALTH_SICK:
		count(s, COUNTER_STREAMS_REPLACED);
		pool_stream_fail(s, ERR_TIMEOUT);
		break;
	}
}

void pool_stream_step(struct pool_stream *s, nsec_t now)
{
	if (s->state == POOL_STREAM_UP || s->state == POOL_STREAM_DRAINING)
		dispatcher_of(s)->conf.streams.ops->facts(s->link, &s->facts);
	if (s->state == POOL_STREAM_UP) {
		attempt_vouch(s, now);
		check_health(s, now);
	} else if (s->state == POOL_STREAM_DRAINING && now >= s->end_by) {
		/* Without probes there is no sign; what is cut in the middle cannot be ended. */
		if (s->channel.state != CHANNEL_READY || s->channel.takes_probes ||
		    s->channel.begun != NULL)
			pool_stream_fail(s, ERR_TIMEOUT);
		else
			pool_stream_finish(s);
	} else if (s->state == POOL_STREAM_CLOSING && now >= s->end_by) {
		s->end_by = NSEC_NEVER;
		dispatcher_of(s)->conf.streams.ops->reset(s->link, ERR_TIMEOUT);
	}
}

nsec_t pool_stream_deadline(const struct pool_stream *s)
{
	switch (s->state) {
	case POOL_STREAM_UP: {
		nsec_t at = stream_health_deadline(&s->health);
		return attempt_needs_vouching(s)
			       ? nsec_min(at, nsec_add(s->vouched_at, STREAM_YOUNG))
			       : at;
	}
	case POOL_STREAM_DRAINING:
	case POOL_STREAM_CLOSING:
		return s->end_by;
	case POOL_STREAM_OPENING:
	case POOL_STREAM_STATE_COUNT:
		break;
	}
	return NSEC_NEVER;
}
