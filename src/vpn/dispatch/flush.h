/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * flush.h - tell when all packets of a key that were sent so far have arrived
 *
 *     a flush is  leaves when
 *     QUEUED      none of the key's packets waits any more -> PROBED; it has no stream, and
 *                 none broke under it in the last DRAIN_TIMEOUT -> done
 *     PROBED      the probe behind the last packet is answered -> done
 *                 its stream broke -> DEAD; it ended well -> QUEUED, done if it was begun on that
 *     DEAD        a stream that told the peer of that end is probed, and answers -> done
 *                 none is up for FLUSH_DEAD -> done: nobody is there to receive anything
 *
 * For who moves a key from here to another shard, and must not have its packets overtake each
 * other. But for these times, a cancel, and a dispatcher that ends, there is no other end than
 * that nothing is under way: packets that wait for a stream are dropped when they are old, and a
 * stream that does not answer is replaced. Where the peer does not
 * answer probes nobody can tell: done then means that FLUSH_BLIND passed. Owned by the dispatcher's
 * shard.
 */
#pragma once

#include "vpn/dispatch/dispatcher.h"

#define FLUSH_BLIND DRAIN_TIMEOUT /* keys stand still so long, as when a stream drains */
#define FLUSH_DEAD  NSEC_PER_SEC  /* as packets wait for a connection: POOL_STALE */
#define FLUSH_LOOK  NSEC_PER_MSEC /* how often QUEUED looks: a queue is a few ms long */

struct flush {
	struct conn_key key;
	/* Called once; the flush is the owner's again. */
	void (*done)(struct flush *flush);
	/* The dispatcher's. */
	struct flush *prev, *next;
	uint64_t probe;             /* PROBED: its id; 0: QUEUED */
	struct pool_stream *stream; /* ... on this stream, or where to put it */
	struct worker_pool *pool;   /* of the stream, once one is known */
	bool is_on;                 /* flush_begin_on() */
	uint64_t death;             /* DEAD: the number of that death; 0: not */
	nsec_t without_since;       /* DEAD: no stream is up that tells of it; 0: one is */
	nsec_t blind_until;
};

/* `key` and `done` are set; the memory is lent until done() is called: later, or before this
 * returns where the dispatcher has ended. */
void flush_begin(struct dispatcher *d, struct flush *flush);

/* The same, where the key left this stream just now: what waits of it waits for done(). */
void flush_begin_on(struct dispatcher *d, struct flush *flush, struct pool_stream *s);
/* done() is not called. */
void flush_cancel(struct dispatcher *d, struct flush *flush);

/* For pool_stream.c: an answer that is not its own. */
void flush_on_answer(const struct pool_stream *s, uint64_t probe);
/* Does one wait for this stream? Then it may not end before all on it is known to have arrived. */
bool flush_is_on(const struct dispatcher *d, const struct pool_stream *s);
/* The stream carries nothing any more. `death`: the number of its death; 0: it ended well. */
void flush_on_gone(struct dispatcher *d, const struct pool_stream *s, uint64_t death);
/* All are done, now. */
void flush_all(struct dispatcher *d);
/* dispatcher.c */
void flush_init(struct dispatcher *d);
