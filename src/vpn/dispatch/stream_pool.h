/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stream_pool.h - the streams to one peer: how many, which for a new key, which to end
 *
 * Opens streams up to what is wanted: streams_min while the peer is connected, one where packets
 * wait, more as load.h says, streams_max at most. A new key gets the stream with the least before
 * it. Streams that are sick, or whose connection is not the best any more, are replaced; those that
 * nobody used for stream_idle_timeout, above the minimum, are ended. Attempts follow resilience.h:
 * a peer that refuses is not asked again and again. Owned by one shard.
 */
#pragma once

#include "vpn/dispatch/load.h"
#include "vpn/dispatch/pool_stream.h"

enum {
	REPLACED_MAX =
		FRAME_REPLACES_MAX, /* dead streams that a HELLO tells of, the last ones: who
				       tells of them may die, too, before the peer heard it */
};

struct stream_pool {
	struct pool_stream *streams;
	size_t n_opening, n_up; /* retiring ones and spares not counted */
	size_t n_spare;         /* opening, or up */
	nsec_t crowded_until;   /* one connection may not be enough: see spread.h */
	size_t n;               /* all, whatever their state */
	size_t wanted;
	struct load load;
	nsec_t cleanup_at;
	nsec_t attempt_at;  /* an attempt may be made then; 0: at any time */
	uint64_t deaths;    /* of streams, so far */
	bool is_new_needed; /* a key waits for one that tells of a death */
	uint64_t replaced[REPLACED_MAX];
	size_t n_replaced;
	size_t replaced_next; /* the oldest: overwritten when all are taken */
};

void stream_pool_init(struct worker_pool *pool, nsec_t now);

/* Of the streams that may carry this key (NULL: any), the one with the least before it; NULL: there
 * is none. */
struct pool_stream *stream_pool_pick(struct worker_pool *pool, const struct worker *w);
/* Open what is missing, if the time for it has come. */
void stream_pool_fill(struct worker_pool *pool, nsec_t now);
/* What time asks for. */
void stream_pool_step(struct worker_pool *pool, nsec_t now);
nsec_t stream_pool_deadline(const struct worker_pool *pool);

/* For pool_stream.c: it comes up, its HELLO is not written yet; it is up; one is gone, opened or
 * not; it retires. */
void stream_pool_before_up(struct worker_pool *pool, nsec_t now);
void stream_pool_on_up(struct pool_stream *s, nsec_t now);
void stream_pool_on_gone(struct worker_pool *pool, bool was_open, enum err why, nsec_t now);
void stream_pool_on_retire(struct pool_stream *s, nsec_t now);
/* This stream is dead: the others that are up, and each HELLO from now on, say so to the peer,
 * before another packet. */
void stream_pool_replaces(struct worker_pool *pool, uint64_t id);
