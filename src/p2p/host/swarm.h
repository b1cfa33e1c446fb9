/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * swarm.h - all connections of a node, by peer
 *
 * Knows the peers that we want (their addresses, and a dialer each) and those that came to us,
 * listens, and chooses among several connections to a peer the one that streams should use: the
 * best.
 *
 * Which is best, so that both ends choose the same: one that answers before one that is suspect; of
 * two that were dialled by the same side the newer (whoever dials again has lost the older); of two
 * dialled by different sides within SWARM_SAME_TIME the one that the smaller Peer ID dialled,
 * otherwise the newer. The others are closed after SWARM_GRACE, when their streams have moved. Two
 * nodes that dial each other at once so end with one connection.
 *
 * Lanes. A peer may have several connections on purpose, each on a shard of its own: its lanes.
 * Each shard has a swarm, and each swarm a lane, which its dials say in the handshake. Inside of a
 * swarm nothing is new: what it dials, keeps and tells of (on_best, on_down, swarm_best,
 * swarm_peer_info) is its own lane's, and the rule above chooses among connections of one lane.
 * Only lane 0's swarm listens; what comes in for another lane it gives away as a baton (on_lane),
 * and the owner brings that to the shard of the lane, whose swarm_adopt() goes on with it. A peer
 * may have more shards than we: a swarm can adopt connections of other lanes than its own. They
 * serve the streams that the peer opens, the rule chooses among each lane's, and nobody is told of
 * them.
 *
 * Nothing is shared by the swarms of two shards but what nobody writes: the identity, the table of
 * protocols.
 *
 * Owned by one shard.
 */
#pragma once

#include "p2p/host/conn.h"
#include "p2p/host/conn_baton.h"
#include "p2p/host/dialer.h"

#define SWARM_SAME_TIME                                                                            \
	(5 * NSEC_PER_SEC) /* connections this close together were dialled without knowing of each \
			      other */
#define SWARM_GRACE (2 * NSEC_PER_SEC) /* streams move, bytes in flight arrive */

struct swarm;

/* Why a peer cannot be reached: of a round of attempts, the one that came furthest. */
struct dial_failure {
	enum err why;            /* ERR_OK: none */
	enum conn_state reached; /* CONN_OPEN: closed as soon as it stood */
	union netaddr at;        /* family 0: no address was dialled */
	struct peer_id answered; /* of ERR_WRONG_PEER: who is there */
};

struct swarm_events {
	/* May this peer connect? Asked after it proved who it is. */
	bool (*is_allowed)(void *ctx, const struct peer_id *id);
	/* May connections use this address? No, where it lies inside the VPN that they would carry.
	 * NULL: all may. */
	bool (*is_underlay)(void *ctx, const union netaddr *addr);
	/* `best` is from now on the connection to use: the first one, or a better one. */
	void (*on_best)(void *ctx, const struct peer_id *id, struct conn *best);
	/* The last connection is gone. */
	void (*on_down)(void *ctx, const struct peer_id *id, enum err why);
	/* Somebody was turned away: a peer that is not allowed, or (id empty) one whose address is
	 * not of the underlay. As often as strangers like; NULL: nobody asks. */
	void (*on_refused)(void *ctx, const struct peer_id *id, const union netaddr *from);
	/* All addresses of a wanted peer were dialled in vain, or it closed at once. NULL: nobody
	 * asks. */
	void (*on_dial_failed)(void *ctx, const struct peer_id *id,
			       const struct dial_failure *failure);
	/* A peer that may connect does so for a lane (1..LANES_MAX - 1) that is not this swarm's:
	 * is there a shard for it? Both NULL: there are no lanes. */
	bool (*takes_lane)(void *ctx, const struct peer_id *id, uint32_t lane);
	/* ... then this is it. Take the baton: to swarm_adopt() on the lane's shard, which may be
	 * this one, also at once. */
	void (*on_lane)(void *ctx, struct conn_baton *baton);
	/* After swarm_close(): nothing is left. */
	void (*on_closed)(void *ctx);
};

struct swarm_conf {
	struct loop *loop;
	const struct identity *identity; /* lent, for reading: may be other swarms', too */
	uint32_t lane;                   /* below LANES_MAX; 0 is the one that listens */
	struct tcp_opts tcp;
	nsec_t keepalive;
	const struct protocol *protocols; /* that we accept; lent for the swarm's life */
	size_t n_protocols;
	const struct swarm_events *events;
	void *ctx;
};

/* Counters; sums since the start. */
struct swarm_stats {
	uint64_t accepted;        /* TCP connections */
	uint64_t refused_limit;   /* at a bound, before or after the handshake */
	uint64_t refused_gated;   /* proved to be someone that may not connect */
	uint64_t failed_inbound;  /* before they proved who they are */
	uint64_t failed_outbound; /* attempts */
	uint64_t opened;
	uint64_t closed;
	uint64_t superseded;
	uint64_t handed_over; /* to other lanes: no more this swarm's */
	uint64_t adopted;     /* from the one that listens; among `opened` */
};

/* What status shows of a peer. */
struct swarm_peer_info {
	bool is_connected;
	bool is_suspect;
	bool is_outbound;
	bool is_dialling;
	struct multiaddr remote;
	nsec_t connected_at;
	nsec_t rtt;
	struct conn_stats stats;
	size_t n_conns;
	union netaddr dialling;      /* the address of an attempt on its way; family 0: none */
	struct dial_failure failure; /* the last one; gone with a connection */
};

/* ERR_NO_MEMORY. */
MUST_USE enum err swarm_new(const struct swarm_conf *conf, struct swarm **ret_swarm);
/* Refuse new work and close all; on_closed follows, not before the call returns. */
void swarm_close(struct swarm *s);
/* After on_closed. Takes NULL; returns NULL. */
struct swarm *swarm_free(struct swarm *s);

/* Listen on /ip4|ip6/.../tcp/PORT. ERR_UNSUPPORTED, ERR_ADDRESS_IN_USE, ERR_NO_ADDRESS,
 * ERR_PERMISSION, ERR_LIMIT. */
MUST_USE enum err swarm_listen(struct swarm *s, const struct multiaddr *addr);
/* The addresses listened on, with the real ports; returns how many were written. */
size_t swarm_listen_addrs(const struct swarm *s, struct multiaddr *ret_addrs, size_t cap);

/* Keep a connection to this peer from now on. addrs are copied. ERR_NO_MEMORY, ERR_DUPLICATE,
 * ERR_SELF. */
MUST_USE enum err swarm_add_peer(struct swarm *s, const struct peer_id *id,
				 const struct multiaddr *addrs, size_t n_addrs);
/* Not any more: dial no longer, and close its connections with ERR_CLOSED; on_down follows.
 * Anywhere, also in callbacks. Nothing happens for unknown peers. */
void swarm_remove_peer(struct swarm *s, const struct peer_id *id);
/* Go on with a connection that another swarm gave away; on this loop's thread. Takes the baton in
 * any case: what cannot stay is closed. on_best may follow, before the call returns. ERR_CLOSED,
 * ERR_LIMIT (CONN_PER_PEER_MAX of that lane, CONN_MAX), ERR_NO_MEMORY, ERR_UNSUPPORTED. */
MUST_USE enum err swarm_adopt(struct swarm *s, struct conn_baton *baton);
/* Addresses that the peer itself told (identify): replace those told before. Ignored for unknown
 * peers. */
void swarm_learn_addrs(struct swarm *s, const struct peer_id *id, const struct multiaddr *addrs,
		       size_t n_addrs);
/* Packets wait for this peer: dial soon. Cheap. */
void swarm_demand(struct swarm *s, const struct peer_id *id);
/* A link or an address changed: ask all connections whether they live, dial those that are down at
 * once. */
void swarm_network_changed(struct swarm *s);

/* The connection to use, or NULL. */
struct conn *swarm_best(struct swarm *s, const struct peer_id *id);
/* ERR_NOT_FOUND: never heard of it. */
MUST_USE enum err swarm_peer_info(struct swarm *s, const struct peer_id *id,
				  struct swarm_peer_info *ret_info);
struct swarm_stats swarm_get_stats(const struct swarm *s);
size_t swarm_conn_count(const struct swarm *s);
const struct identity *swarm_identity(const struct swarm *s);

/* The swarm of a connection. */
struct swarm *conn_swarm(const struct conn *c);
