/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fair_queue.c - see fair_queue.h */
#include "vpn/dispatch/fair_queue.h"

#include <assert.h>

#include "vpn/dispatch/receipt.h"
#include "vpn/dispatch/spread.h"
#include "vpn/packet/ecn.h"

void fair_queue_init(struct fair_queue *q, const struct fair_queue_conf *conf, struct share *share,
		     struct metrics *metrics)
{
	*q = (struct fair_queue){.conf = conf, .share = share, .metrics = metrics};
}

void fair_queue_deinit(struct fair_queue *q)
{
	assert(q->packets == 0 && q->fresh == NULL && q->standing == NULL);
	if (q->share->fattest == q)
		q->share->fattest = NULL;
}

/* --- the share of a peer ------------------------------------------------------------- */

void share_drop(struct share *s, struct metrics *m, struct packet *packet, enum drop reason)
{
	s->packets--;
	s->bytes -= packet->len;
	s->dropped_packets++;
	packet_end(packet, m, reason);
}

bool share_is_full(const struct share *s, size_t len)
{
	return s->packets >= s->packets_max || s->bytes + len > s->bytes_max ||
	       s->packets >= packet_pool_free_count(s->pool);
}

/* --- who stands in line -------------------------------------------------------------- */

static struct worker **line_of(struct fair_queue *q, const struct worker *w)
{
	return w->place == WORKER_FRESH ? &q->fresh : &q->standing;
}

static void stand(struct fair_queue *q, struct worker *w, enum worker_place place)
{
	w->place = (uint8_t)place;
	worker_enqueue(line_of(q, w), w);
}

static void step_out(struct fair_queue *q, struct worker *w)
{
	worker_dequeue(line_of(q, w), w);
	w->place = WORKER_IDLE;
}

static void look_fat(struct fair_queue *q, struct worker *w)
{
	if (q->fattest == NULL || w->bytes > q->fattest->bytes)
		q->fattest = w;
	struct share *s = q->share;
	if (s->fattest == NULL || q->bytes > s->fattest->bytes)
		s->fattest = q;
}

void fair_queue_join(struct fair_queue *q, struct worker *w)
{
	assert(w->queue == NULL && w->place == WORKER_IDLE);
	w->queue = q;
	w->codel = (struct codel){0}; /* what waited for a stream met no congestion */
	q->packets += w->packets;
	q->bytes += w->bytes;
	if (w->packets == 0)
		return;
	w->deficit = FAIR_QUANTUM;
	stand(q, w, WORKER_FRESH);
	look_fat(q, w);
}

void fair_queue_leave(struct fair_queue *q, struct worker *w)
{
	assert(w->queue == q);
	if (w->place != WORKER_IDLE)
		step_out(q, w);
	if (q->fattest == w)
		q->fattest = NULL;
	q->packets -= w->packets;
	q->bytes -= w->bytes;
	w->queue = NULL;
}

/* --- in ------------------------------------------------------------------------------ */

static struct packet *take_head(struct fair_queue *q, struct worker *w)
{
	struct packet *packet = worker_take(w);
	q->packets--;
	q->bytes -= packet->len;
	return packet;
}

/* Make room at the cost of the key that takes most of it, `w` if nobody takes more. */
static bool drop_oldest(struct fair_queue *q, struct worker *w)
{
	struct worker *victim = w;
	if (q->fattest != NULL && q->fattest->bytes > w->bytes)
		victim = q->fattest;
	if (victim->head == NULL)
		return false;
	share_drop(q->share, q->metrics, take_head(q, victim), DROP_QUEUE_FULL);
	return true;
}

/* The peer's bound: who holds most may stand at another stream, which perhaps does not move. */
static bool drop_of_share(struct fair_queue *q, struct worker *w)
{
	struct fair_queue *fat = q->share->fattest;
	/* What a spread key holds stands in no queue. */
	struct worker *trunk = q->share->trunk;
	if (trunk != NULL && trunk->bytes > q->bytes &&
	    (fat == NULL || trunk->bytes > fat->bytes)) {
		share_drop(q->share, q->metrics, worker_take(trunk), DROP_QUEUE_FULL);
		return true;
	}
	if (fat == NULL || fat == q || fat->bytes <= q->bytes)
		return drop_oldest(q, w);
	struct worker *victim = fat->fattest;
	if (victim == NULL || victim->head == NULL)
		victim = fair_queue_next(fat);
	share_drop(q->share, q->metrics, take_head(fat, victim), DROP_QUEUE_FULL);
	return true;
}

void fair_queue_push(struct fair_queue *q, struct worker *w, struct packet *packet, nsec_t now)
{
	assert(packet->len > 0 && packet->len <= PACKET_LEN_MAX && w->queue == q);
	struct share *s = q->share;
	metrics_observe(q->metrics, HISTOGRAM_DEPTH, q->packets);
	if (w->packets >= q->conf->worker_packets_max)
		share_drop(s, q->metrics, take_head(q, w), DROP_QUEUE_FULL);
	bool is_full;
	while ((is_full = q->packets >= q->conf->packets_max) || share_is_full(s, packet->len)) {
		if (is_full ? drop_oldest(q, w) : drop_of_share(q, w))
			continue;
		s->dropped_packets++;
		packet_end(packet, q->metrics, DROP_QUEUE_FULL);
		return;
	}
	packet->queued_at = now;
	worker_append(w, packet);
	q->packets++;
	q->bytes += packet->len;
	s->packets++;
	s->bytes += packet->len;
	if (w->place == WORKER_IDLE) {
		w->deficit = FAIR_QUANTUM;
		stand(q, w, WORKER_FRESH);
	}
	look_fat(q, w);
}

/* --- out ----------------------------------------------------------------------------- */

void fair_queue_stir(struct fair_queue *q, struct worker *limb)
{
	if (limb->place != WORKER_IDLE)
		return;
	limb->deficit = FAIR_QUANTUM;
	stand(q, limb, WORKER_FRESH);
}

static bool has_packet(const struct worker *w)
{
	return w->head != NULL || (w->is_limb && w->spread->trunk->head != NULL);
}

/* A limb takes the next packet of its trunk: only now that it is sent at once. Others number theirs
 * meanwhile, and the number must say who came first. */
static void refill(struct fair_queue *q, struct worker *limb)
{
	struct packet *packet = worker_take(limb->spread->trunk);
	worker_append(limb, packet);
	q->packets++;
	q->bytes += packet->len;
}

struct worker *fair_queue_next(struct fair_queue *q)
{
	for (;;) {
		struct worker *w = q->fresh != NULL ? q->fresh : q->standing;
		if (w == NULL)
			return NULL;
		if (!has_packet(w)) {
			/* A newcomer that has nothing left waits a round, or it would be a newcomer
			 * again with its next packet, before all others (RFC 8290 4.2). */
			bool was_fresh = w->place == WORKER_FRESH;
			step_out(q, w);
			if (was_fresh && q->standing != NULL)
				stand(q, w, WORKER_STANDING);
		} else if (w->deficit <= 0) {
			w->deficit += FAIR_QUANTUM;
			if (w->place == WORKER_STANDING) {
				q->standing = w->next; /* it stands last now */
			} else {
				step_out(q, w);
				stand(q, w, WORKER_STANDING);
			}
		} else {
			if (w->head == NULL)
				refill(q, w);
			return w;
		}
	}
}

struct packet *fair_queue_take(struct fair_queue *q, struct worker *w, nsec_t now)
{
	struct packet *packet = take_head(q, w);
	q->sojourn = nsec_since(now, packet->queued_at);
	struct worker *judged = w->is_limb ? w->spread->trunk : w;
	if (codel_judge(&judged->codel, &q->conf->codel, q->sojourn, judged->bytes, now) ==
	    CODEL_DROP) {
		if (!ecn_mark(packet->data, packet->len)) {
			share_drop(q->share, q->metrics, packet, DROP_QUEUE_DELAY);
			return NULL;
		}
		metrics_add(q->metrics, COUNTER_ECN_MARKED, 1);
	}
	w->deficit -= (int32_t)packet->len;
	metrics_observe(q->metrics, HISTOGRAM_SOJOURN, q->sojourn / NSEC_PER_USEC);
	return packet;
}
