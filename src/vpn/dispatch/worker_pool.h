/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * worker_pool.h - one peer, on one shard: its workers, its streams, whether it can be reached
 *
 * A packet for the peer goes to its key's worker and from there to the worker's stream. Without a
 * stream it waits: for POOL_STALE at most where the peer is not connected, since nobody waits
 * longer for an answer; after that, and while the peer's breaker is open, packets are dropped at
 * once and their sender is told (ICMP). Nothing here retries or sleeps on a packet's way: a
 * packet without a stream may begin the attempt that is due, and the stream pool says when one is.
 */
#pragma once

#include "loop/loop.h"
#include "vpn/dispatch/peer_hash.h"
#include "vpn/dispatch/stream_pool.h"
#include "vpn/packet/packet.h"
#include "vpn/resilience/resilience.h"

#define POOL_STALE NSEC_PER_SEC /* packets wait so long for a connection */
#define POOL_STEP                                                                                \
	(100 * NSEC_PER_MSEC) /* how often load is looked at while a peer is busy: several times \
				 within the time after which a stream more is opened */

struct dispatcher;

struct worker_pool {
	/* What each packet touches. */
	struct dispatcher *dispatcher;
	bool is_busy; /* packets came since the last step */
	bool is_closing;
	struct share share;

	struct worker *waiting; /* a line: have packets, and no stream to stand at */
	size_t n_workers;
	struct spread *spreads; /* keys that use several streams */
	size_t n_spreads;
	uint32_t next_group; /* number of the next; 0: none yet */
	struct peer_id peer;
	UT_hash_handle hh;
	struct stream_pool streams;
	struct resilience resilience;
	nsec_t down_since;    /* not connected; 0: connected */
	nsec_t without_since; /* no stream is up, or not connected; 0: there is one */
	nsec_t failed_at;     /* the last failed attempt: see attempt.h */
	bool is_silent;       /* ... failed since nothing was answered ... */
	uint64_t heard;       /* ... and so many bytes had come by then */
	nsec_t broken_at;     /* when a stream that had keys broke, the last one */
	struct loop_timer timer;
	nsec_t rtt; /* of our last probe; 0: none */
	struct {
		uint64_t openings, closings, allowed, blocked;
	} counted;               /* what of the breaker is in the metrics already */
	enum breaker_state told; /* the breaker's state, as conf.on_breaker knows it */
};

/* ERR_NO_MEMORY. */
MUST_USE enum err worker_pool_new(struct dispatcher *d, const struct peer_id *peer,
				  struct worker_pool **ret_pool);
/* It has no workers and no streams. */
struct worker_pool *worker_pool_free(struct worker_pool *pool);

/* Bring into the cache what a packet of this worker touches of its peer and its stream. */
static inline void worker_pool_prefetch(const struct worker *w)
{
	__builtin_prefetch(&w->pool->is_busy, 1);
	__builtin_prefetch(&w->pool->share.bytes, 1);
	if (w->stream != NULL)
		pool_stream_prefetch(w->stream);
}

/* Takes the packet. */
void worker_pool_send(struct worker *w, struct packet *packet, const struct packet_info *info,
		      nsec_t now);

/* Facts about the peer. */
void worker_pool_up(struct worker_pool *pool, nsec_t now);
void worker_pool_down(struct worker_pool *pool, nsec_t now);
/* It could not be reached: for its breaker. */
void worker_pool_unreachable(struct worker_pool *pool, nsec_t now);

/* May what this key sent into a stream that broke still arrive, on another shard of the peer? Its
 * next stream here would see to the order, another way does not. */
bool worker_pool_is_unsure(const struct worker *w, nsec_t now);

/* Something changed: look at streams and timers soon. */
void worker_pool_look(struct worker_pool *pool, nsec_t now);
