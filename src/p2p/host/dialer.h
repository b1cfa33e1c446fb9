/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dialer.h - reach one peer, at whichever of its addresses answers first
 *
 * Rounds: in a round all addresses are tried, the ones that worked last first, families in turn, a
 * new attempt each DIAL_STAGGER or as soon as one fails (RFC 8305). The first connection that is
 * upgraded ends the round. After a round without success the next one waits: DIAL_BACKOFF_MIN,
 * doubled up to DIAL_BACKOFF_MAX, +-25% so that two nodes, or two hundred, do not stay in step.
 * While packets wait for the peer (dialer_demand), and for DIAL_LOST_FOR after a connection was
 * lost (the other side may have packets, and no way to dial us), it waits DIAL_BACKOFF_DEMAND at
 * most: a path that came back is found within 1.2 s. A connection that was lost is dialled again at
 * once if it lived for DIAL_STABLE; one that died younger counts as a failed round, or a peer that
 * accepts and closes (it does not know us, or means us harm) would have us shake hands all day.
 *
 *     state      leaves when
 *     IDLE       dialer_start() -> ROUND, or WAITING after a connection that did not live
 *     ROUND      connected -> IDLE; nothing left to try -> WAITING (no address at all -> IDLE)
 *     WAITING    time passed, demand, network changed -> ROUND; connected -> IDLE
 *
 * Owned by the swarm's shard. The dialer decides when and where; connections are made through its
 * ops.
 */
#pragma once

#include "base/limits.h"
#include "loop/loop.h"
#include "wire/multiaddr.h"

#define DIAL_STAGGER     (250 * NSEC_PER_MSEC) /* RFC 8305, Connection Attempt Delay */
#define DIAL_BACKOFF_MIN (500 * NSEC_PER_MSEC)
#define DIAL_BACKOFF_DEMAND \
	(500 * NSEC_PER_MSEC) /* with CONNECT_TIMEOUT it leaves no gap above 1.2 s between SYNs */
#define DIAL_BACKOFF_MAX \
	(30 * NSEC_PER_SEC) /* nobody waits: one SYN in half a minute tells when a peer is back */
#define DIAL_DEMAND_FOR (10 * NSEC_PER_SEC) /* a waiting packet counts for so long */
#define DIAL_STABLE \
	(3 * NSEC_PER_SEC) /* a connection that ends sooner was refused: it counts as a failure */
#define DIAL_LOST_FOR (60 * NSEC_PER_SEC) /* ... and a lost connection */

enum dialer_state {
	DIALER_IDLE,
	DIALER_ROUND,
	DIALER_WAITING,
};

struct dialer_ops {
	/* The known addresses of the peer: fills at most DIAL_ADDRS_MAX, most wanted first, returns
	 * how many. */
	size_t (*addresses)(void *ctx, struct multiaddr ret_addrs[DIAL_ADDRS_MAX]);
	/* Begin an attempt; its end is told with dialer_failed() or dialer_connected(). An error:
	 * it failed at once. */
	enum err (*connect)(void *ctx, const union netaddr *to);
	/* There was no attempt: `to` could not be dialled, or (NULL) a name not be resolved, or
	 * there is no address at all. */
	void (*cannot)(void *ctx, const union netaddr *to, enum err why);
	/* All addresses were tried in vain. */
	void (*on_round_failed)(void *ctx);
};

struct dialer {
	struct loop *loop;
	const struct dialer_ops *ops;
	void *ctx;
	enum dialer_state state;
	struct loop_timer timer; /* ROUND: the next attempt; WAITING: the next round */
	union netaddr targets[DIAL_ADDRS_MAX];
	size_t n_targets;
	size_t next;       /* target */
	size_t n_attempts; /* on their way */
	struct resolve *queries[DIAL_ADDRS_MAX];
	struct dialer_query {
		struct dialer *dialer;
		uint16_t port;
		uint8_t index;
	} query_ctx[DIAL_ADDRS_MAX];
	size_t n_queries;    /* on their way */
	bool was_refused;    /* the last connection did not live */
	nsec_t backoff;      /* of the next wait */
	nsec_t round_at;     /* the last round began */
	nsec_t demand_until; /* somebody waits until then; 0: nobody did */
	uint64_t n_rounds;
};

void dialer_init(struct dialer *d, struct loop *loop, const struct dialer_ops *ops, void *ctx);
/* Stop, and forget queries; attempts on their way are the swarm's to close. */
void dialer_deinit(struct dialer *d);

/* Begin to dial, if not at it: at once, or after a wait where the last connection did not live. */
void dialer_start(struct dialer *d);
/* No need any more: a round ends, its attempts are the caller's to close. */
void dialer_stop(struct dialer *d);
/* Packets wait for this peer. Cheap; called per packet. */
void dialer_demand(struct dialer *d);
/* The connection that there was is gone, or in doubt, after it `lived` so long. */
void dialer_lost(struct dialer *d, nsec_t lived, enum err why);
/* Something changed (an address, a link): begin a round now, if waiting. */
void dialer_retry_now(struct dialer *d);

/* Facts. */
void dialer_failed(struct dialer *d);
void dialer_connected(struct dialer *d);
