/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* flush.c - see flush.h */
#include "vpn/dispatch/flush.h"

#include <utlist.h>

#include "base/util.h"
#include "vpn/dispatch/dispatcher_internal.h"

static void finish(struct dispatcher *d, struct flush *f)
{
	DL_DELETE(d->flushes, f);
	f->done(f);
}

/* Behind the last packet. */
static void put_probe(struct dispatcher *d, struct flush *f, struct pool_stream *s, nsec_t now)
{
	struct frame_probe probe = {.id = POOL_STREAM_FOREIGN | ++d->n_flushes, .sent_at = now};
	if (channel_put_probe(&s->channel, FRAME_PROBE, &probe) != ERR_OK)
		return;
	f->probe = probe.id;
	f->stream = s;
	f->pool = s->pool;
	pool_stream_wake(s);
}

/* The key's stream, once none of its packets waits there; NULL: not yet, or *ret_is_done. */
static struct pool_stream *stream_of(struct dispatcher *d, struct flush *f, nsec_t now,
				     bool *ret_is_done)
{
	struct worker *w =
		worker_table_find(d->table, &f->key, worker_table_hash(d->table, &f->key));
	*ret_is_done = w == NULL ||
		       (w->packets == 0 && w->stream == NULL && !worker_pool_is_unsure(w, now));
	return w == NULL || w->packets > 0 ? NULL : w->stream;
}

/* A stream whose answer says that the peer knows of the death, and threw away what came late. */
static struct pool_stream *stream_that_told(const struct flush *f)
{
	struct pool_stream *s;
	DL_FOREACH (f->pool->streams.streams, s) {
		if (s->state == POOL_STREAM_UP && s->channel.takes_probes && s->told >= f->death)
			return s;
	}
	return NULL;
}

/* DEAD. false: nobody is there to receive anything. */
static bool step_dead(struct dispatcher *d, struct flush *f, nsec_t now)
{
	struct pool_stream *s = stream_that_told(f);
	if (s != NULL) {
		f->without_since = 0;
		put_probe(d, f, s, now);
		return true;
	}
	if (f->without_since == 0)
		f->without_since = now;
	return nsec_since(now, f->without_since) < FLUSH_DEAD;
}

/* false: there is nothing to wait for. */
static bool step(struct dispatcher *d, struct flush *f, nsec_t now)
{
	if (f->probe != 0)
		return true;
	if (f->death != 0)
		return step_dead(d, f, now);
	if (f->is_on && f->stream == NULL)
		return false; /* it ended well */
	bool is_done = false;
	struct pool_stream *s = f->is_on ? f->stream : stream_of(d, f, now, &is_done);
	if (s == NULL)
		return !is_done;
	if (s->channel.state == CHANNEL_READY && !s->channel.takes_probes)
		return now < f->blind_until;
	/* Not yet greeted; or it drains, and its keys will have another. */
	if (s->channel.takes_probes && s->state == POOL_STREAM_UP)
		put_probe(d, f, s, now);
	return true;
}

static void on_timer(struct loop_timer *timer, nsec_t now)
{
	struct dispatcher *d = CONTAINER_OF(timer, struct dispatcher, flush);
	nsec_t at = NSEC_NEVER;
	struct flush *f, *tmp;
	DL_FOREACH_SAFE (d->flushes, f, tmp) {
		if (!step(d, f, now))
			finish(d, f);
		else if (f->probe == 0)
			at = nsec_add(now, FLUSH_LOOK);
	}
	loop_timer_set(timer, nsec_min(at, timer->at));
}

void flush_init(struct dispatcher *d)
{
	loop_timer_init(&d->flush, d->conf.loop, on_timer);
}

static void begin(struct dispatcher *d, struct flush *f, struct pool_stream *s)
{
	loop_assert_here(d->conf.loop);
	nsec_t now = loop_now(d->conf.loop);
	f->probe = 0;
	f->stream = s;
	f->is_on = s != NULL;
	f->pool = s != NULL ? s->pool : NULL;
	f->death = 0;
	f->without_since = 0;
	f->blind_until = nsec_add(now, FLUSH_BLIND);
	if (d->is_ended) {
		f->done(f);
		return;
	}
	DL_APPEND(d->flushes, f);
	loop_timer_set(&d->flush, now);
}

void flush_begin(struct dispatcher *d, struct flush *f)
{
	begin(d, f, NULL);
}

void flush_begin_on(struct dispatcher *d, struct flush *f, struct pool_stream *s)
{
	begin(d, f, s);
}

void flush_cancel(struct dispatcher *d, struct flush *f)
{
	DL_DELETE(d->flushes, f);
}

void flush_on_answer(const struct pool_stream *s, uint64_t probe)
{
	struct dispatcher *d = s->pool->dispatcher;
	struct flush *f;
	DL_FOREACH (d->flushes, f) {
		if (f->probe == probe && f->stream == s) {
			finish(d, f);
			return;
		}
	}
}

bool flush_is_on(const struct dispatcher *d, const struct pool_stream *s)
{
	const struct flush *f;
	DL_FOREACH (d->flushes, f) {
		if (f->stream == s)
			return true;
	}
	return false;
}

void flush_on_gone(struct dispatcher *d, const struct pool_stream *s, uint64_t death)
{
	struct flush *f;
	DL_FOREACH (d->flushes, f) {
		if (f->stream != s)
			continue;
		f->probe = 0;
		f->stream = NULL;
		f->death = death;
		loop_timer_set(&d->flush, loop_now(d->conf.loop));
	}
}

void flush_all(struct dispatcher *d)
{
	loop_timer_stop(&d->flush);
	while (d->flushes != NULL)
		finish(d, d->flushes);
}
