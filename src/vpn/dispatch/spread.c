/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* spread.c - see spread.h */
#include "vpn/dispatch/spread.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/util.h"
#include "vpn/dispatch/dispatcher_internal.h"
#include "vpn/dispatch/receipt.h"
#include "vpn/dispatch/stream_manager.h"

static bool can_carry(const struct pool_stream *s)
{
	return s->state == POOL_STREAM_UP && !s->is_retiring && s->channel.takes_seq &&
	       s->channel.takes_probes;
}

/* --- limbs --------------------------------------------------------------------------- */

static bool has_limb_on(const struct spread *sp, uintptr_t conn)
{
	for (size_t i = 0; i < SPREAD_LIMBS_MAX; i++) {
		const struct pool_stream *s = sp->limbs[i].stream;
		if (s != NULL && s->facts.conn == conn)
			return true;
	}
	return false;
}

static void add_limb(struct spread *sp, struct pool_stream *s)
{
	struct worker *limb = sp->limbs;
	while (limb->stream != NULL)
		limb++;
	*limb = (struct worker){
		.key = sp->trunk->key, .pool = sp->trunk->pool, .spread = sp, .is_limb = true};
	stream_manager_link(s, limb);
	fair_queue_join(&s->channel.queue, limb);
	sp->n_limbs++;
}

static void stir(struct spread *sp)
{
	for (size_t i = 0; i < SPREAD_LIMBS_MAX; i++) {
		struct worker *limb = &sp->limbs[i];
		if (limb->stream == NULL)
			continue;
		fair_queue_stir(limb->queue, limb);
		pool_stream_wake(limb->stream);
	}
}

static void add_limbs(struct spread *sp)
{
	struct pool_stream *s;
	DL_FOREACH (sp->trunk->pool->streams.streams, s) {
		if (sp->n_limbs < SPREAD_LIMBS_MAX && can_carry(s) &&
		    !has_limb_on(sp, s->facts.conn))
			add_limb(sp, s);
	}
	if (sp->trunk->packets > 0)
		stir(sp);
}

void spread_lose_limb(struct worker *limb)
{
	struct spread *sp = limb->spread;
	fair_queue_leave(limb->queue, limb);
	stream_manager_unlink(limb);
	if (limb->head != NULL)
		worker_give_back(sp->trunk, worker_take(limb));
	sp->n_limbs--;
	if (sp->n_limbs == 0 && sp->is_live)
		spread_end_later(sp->trunk, loop_now(sp->trunk->pool->dispatcher->conf.loop));
	else if (sp->trunk->packets > 0)
		stir(sp);
}

/* --- its life ------------------------------------------------------------------------ */

static void on_flushed(struct flush *flush)
{
	struct spread *sp = CONTAINER_OF(flush, struct spread, flush);
	struct worker *w = sp->trunk;
	w->is_flushing = false;
	sp->is_live = true;
	stream_manager_stop_waiting(w);
	add_limbs(sp);
	if (sp->n_limbs == 0)
		spread_end_later(w, loop_now(w->pool->dispatcher->conf.loop));
}

void spread_begin(struct worker *w, nsec_t now)
{
	struct worker_pool *pool = w->pool;
	struct pool_stream *s = w->stream;
	if (s == NULL || !can_carry(s) || w->spread != NULL || pool->n_spreads == SPREADS_MAX)
		return;
	struct spread *sp = calloc(1, sizeof(*sp));
	if (sp == NULL)
		return;
	sp->trunk = w;
	sp->used_at = now;
	if (pool->next_group == 0)
		pool->next_group = (uint32_t)dispatcher_random(pool->dispatcher) | 1;
	sp->at.group = pool->next_group++;
	sp->flush.key = w->key;
	sp->flush.done = on_flushed;
	w->is_flushing = true;
	stream_manager_release(w);
	w->spread = sp;
	DL_APPEND(pool->spreads, sp);
	pool->n_spreads++;
	metrics_add(pool->dispatcher->conf.metrics, COUNTER_KEYS_SPREAD, 1);
	flush_begin_on(pool->dispatcher, &sp->flush, s);
}

/* No more limbs; the last stream tells the peer. */
static void cut_limbs(struct spread *sp)
{
	struct pool_stream *last = NULL;
	sp->is_live = false;
	for (size_t i = 0; i < SPREAD_LIMBS_MAX; i++) {
		if (sp->limbs[i].stream == NULL)
			continue;
		last = sp->limbs[i].stream;
		spread_lose_limb(&sp->limbs[i]);
	}
	uint8_t frame[FRAME_SEQ_HEADER_LEN];
	struct wbuf out = wbuf_of(frame, sizeof(frame));
	frame_put_seq_end(&out, &sp->at);
	if (last != NULL && channel_put_control(&last->channel, wbuf_view(&out)) == ERR_OK)
		pool_stream_wake(last);
}

void spread_end(struct worker *w)
{
	struct spread *sp = w->spread;
	struct worker_pool *pool = w->pool;
	if (!sp->is_live && sp->over_at == 0)
		flush_cancel(pool->dispatcher, &sp->flush);
	cut_limbs(sp);
	DL_DELETE(pool->spreads, sp);
	pool->n_spreads--;
	if (pool->share.trunk == w)
		pool->share.trunk = NULL;
	w->spread = NULL;
	w->is_flushing = false;
	free(sp);
	stream_manager_stand_waiting(w);
}

void spread_end_later(struct worker *w, nsec_t now)
{
	struct spread *sp = w->spread;
	if (!sp->is_live)
		return; /* nothing went as part of a group yet, or it ends already */
	cut_limbs(sp);
	sp->over_at = nsec_add(now, SPREAD_PAUSE);
	w->is_flushing = true;
	stream_manager_stand_waiting(w);
	worker_pool_look(w->pool, now);
}

void spread_serve(struct worker_pool *pool)
{
	struct spread *sp;
	DL_FOREACH (pool->spreads, sp) {
		if (sp->is_live)
			add_limbs(sp);
	}
}

void spread_step(struct worker_pool *pool, nsec_t now)
{
	struct spread *sp, *tmp;
	DL_FOREACH_SAFE (pool->spreads, sp, tmp) {
		bool is_idle = sp->is_live && sp->trunk->packets == 0 &&
			       nsec_since(now, sp->used_at) >= SPREAD_IDLE;
		if (!is_idle && (sp->over_at == 0 || now < sp->over_at))
			continue;
		spread_end(sp->trunk);
		stream_manager_serve(pool);
	}
}

/* --- packets ------------------------------------------------------------------------- */

static size_t mtu_of(const struct spread *sp)
{
	size_t mtu = PACKET_LEN_MAX;
	for (size_t i = 0; i < SPREAD_LIMBS_MAX; i++) {
		if (sp->limbs[i].stream != NULL)
			mtu = MIN(mtu, channel_mtu(&sp->limbs[i].stream->channel));
	}
	return mtu;
}

void spread_send(struct worker *w, struct packet *packet, const struct packet_info *info,
		 nsec_t now)
{
	struct spread *sp = w->spread;
	struct worker_pool *pool = w->pool;
	size_t mtu = mtu_of(sp);
	sp->used_at = now;
	if (!sp->is_live) {
		stream_manager_wait(w, packet, now);
	} else if (offload_segment_len(&packet->offload, packet->len) > mtu) {
		pool->share.dropped_packets++;
		dispatcher_refuse(pool->dispatcher, packet, info, ICMP_TOO_BIG, (uint32_t)mtu,
				  DROP_TOO_BIG);
	} else if (stream_manager_keep(w, packet, now)) {
		for (size_t i = 0; i < SPREAD_LIMBS_MAX; i++) {
			if (sp->limbs[i].stream != NULL)
				sp->limbs[i].stream->used_at = now;
		}
		stir(sp);
	}
}
