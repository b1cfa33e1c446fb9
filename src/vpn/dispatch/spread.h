/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * spread.h - one fat key over several connections: stream multiplexing, the sending end
 *
 * A TCP connection carries what its congestion window lets it; a key that is too much for one can
 * use several. Its worker becomes a *trunk* that holds the packets, and has a *limb* in the fair
 * queue of each stream that carries it. A limb takes the trunk's oldest packet when its stream's
 * turn comes: whichever connection has room takes the next packet, and one that stalls takes none.
 * Packets are numbered as they leave (SEQ frames); the peer brings them back in order (reorder.h).
 *
 *     a spread is  its packets                   leaves when
 *     BEGINNING    wait at the worker            what was sent before has arrived -> LIVE
 *     LIVE         go by whatever limb asks      SPREAD_IDLE without a packet -> over
 *                                                its last limb is gone -> ENDING
 *     ENDING       wait at the worker            SPREAD_PAUSE passed -> over
 *
 * A limb comes with each stream on a connection of its own, and goes with it, at any time: with
 * numbers no key needs to stand still for that. Packets that died with their connection are a gap
 * that the peer waits REORDER_WAIT for.
 *
 * When: the pool is as full as load.h says, one key has most of what waits, and the path is long
 * enough (SPREAD_RTT) for a window to be the limit; on a short one the CPU is, and a second
 * connection costs more than it gives. Owned by one shard.
 */
#pragma once

#include "vpn/dispatch/flush.h"
#include "vpn/dispatch/worker.h"
#include "vpn/stream/frame.h"

enum {
	SPREAD_LIMBS_MAX = 4, /* streams of one key */
	SPREADS_MAX = 8,      /* keys of one peer that are spread: half of what it has room for */
};

#define SPREAD_RTT (5 * NSEC_PER_MSEC) /* round trip of a path whose window can be the limit */
#define SPREAD_PAUSE                                                                              \
	(100 * NSEC_PER_MSEC) /* docs/protocol.md: what the peer keeps of a group is delivered in \
				 less, and plain packets must not come before that */
#define SPREAD_IDLE (2 * NSEC_PER_SEC) /* then all has arrived, and the key may go on as any */

struct spread {
	struct spread *prev, *next; /* of the pool */
	struct worker *trunk;
	struct worker limbs[SPREAD_LIMBS_MAX]; /* in use: those with a stream */
	size_t n_limbs;
	struct frame_seq at; /* of the next packet */
	struct flush flush;
	bool is_live;
	nsec_t over_at; /* ENDING; 0: not */
	nsec_t used_at;
};

/* Spread this key, which has a stream. Without memory, or where the peer does not take it, nothing
 * happens. */
void spread_begin(struct worker *w, nsec_t now);
/* The packet of a key that is spread. Takes it. */
void spread_send(struct worker *w, struct packet *packet, const struct packet_info *info,
		 nsec_t now);
/* A limb lost its stream, or must leave it. */
void spread_lose_limb(struct worker *limb);
/* The key is no longer spread, at once: nothing of it is under way, or nothing more will follow.
 * What it holds waits in the pool's line. */
void spread_end(struct worker *w);
/* The same after SPREAD_PAUSE. */
void spread_end_later(struct worker *w, nsec_t now);
/* Streams came: more limbs. */
void spread_serve(struct worker_pool *pool);
/* What time asks for. */
void spread_step(struct worker_pool *pool, nsec_t now);
