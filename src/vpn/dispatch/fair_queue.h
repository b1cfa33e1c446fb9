/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fair_queue.h - the packets that wait for one stream: bounded, fair among keys, kept short
 *
 * FQ-CoDel (RFC 8290), with our workers as its flows: keys take turns by deficit round robin, so
 * that a ping does not wait behind a bulk transfer; keys that just became busy come first. Each
 * key's packets stay in order. CoDel (RFC 8289) watches how long a key's packets wait: above
 * target for an interval it marks them (ECN) or drops them, from the head, where the sender learns
 * of it soonest.
 *
 * The bounds, and what happens there:
 *
 *     a key's packets (worker_packets_max)       the key's oldest is dropped
 *     the stream's packets (packets_max)         the oldest of the key with most bytes here
 *     the peer's packets, bytes (struct share)   the same, of its stream with most bytes
 *
 * Where nobody here holds a packet that could go, the new one does. So a push costs one packet at
 * most: never an unbounded queue, never a blocked reader. Pure: time comes in. Owned by one shard.
 */
#pragma once

#include "vpn/dispatch/worker.h"
#include "vpn/metrics/metrics.h"

enum {
	FAIR_QUANTUM = 1514, /* bytes of a key's turn: one full Ethernet frame, as fq_codel */
};

/* What the packets of one peer take, in all of its streams and before it has one. */
struct share {
	struct packet_pool *pool; /* a peer leaves as many packets free as it holds: stalled peers
				     cannot starve the others */
	size_t packets, bytes;
	size_t packets_max, bytes_max;
	struct worker *trunk; /* of the spread keys, a good guess at who holds most; may be NULL */
	struct fair_queue *fattest; /* a good guess at which holds most bytes; may be NULL */
	uint64_t sent_packets, sent_bytes, dropped_packets; /* sums */
};

struct fair_queue_conf {
	struct codel_conf codel;
	size_t packets_max;
	size_t worker_packets_max;
};

struct fair_queue {
	const struct fair_queue_conf *conf;
	struct share *share;
	struct metrics *metrics;
	struct worker *fresh, *standing; /* lines */
	struct worker *fattest;          /* a good guess at who has most bytes here; may be NULL */
	size_t packets, bytes;
	nsec_t sojourn; /* how long the packet that was taken last had waited */
};

/* conf, share and metrics outlive it. */
void fair_queue_init(struct fair_queue *q, const struct fair_queue_conf *conf, struct share *share,
		     struct metrics *metrics);

/* All workers have left. */
void fair_queue_deinit(struct fair_queue *q);

/* The worker stands here from now on, with what it holds. It stood nowhere. */
void fair_queue_join(struct fair_queue *q, struct worker *w);
/* ... and no more; its packets stay with it. */
void fair_queue_leave(struct fair_queue *q, struct worker *w);

/* A limb that stands here, whose trunk has something now. */
void fair_queue_stir(struct fair_queue *q, struct worker *limb);

/* Takes the packet; the worker stands here. At a bound something older is dropped, or it is. */
void fair_queue_push(struct fair_queue *q, struct worker *w, struct packet *packet, nsec_t now);

/* Whose turn it is; it has a packet. NULL: nothing waits. */
struct worker *fair_queue_next(struct fair_queue *q);
/* Its oldest packet, after CoDel's judgement. NULL: that was dropped, ask again who is next. */
struct packet *fair_queue_take(struct fair_queue *q, struct worker *w, nsec_t now);

/* Count a packet that the share held as gone for this reason, and end it. */
void share_drop(struct share *s, struct metrics *m, struct packet *packet, enum drop reason);
/* Is there no room for `len` bytes more? */
bool share_is_full(const struct share *s, size_t len);
