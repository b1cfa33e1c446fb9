/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * swarm_internal.h - a swarm from inside: for the files of the swarm only
 *
 *     swarm.c          what others call; its life
 *     swarm_peer.c     a peer: its addresses, its dialler, which of its connections is the best
 *     swarm_link.c     a connection's place in the swarm: what it tells, what it holds of the
 * limits swarm_lane.c     what is for another shard, and what comes from one swarm_listen.c   who
 * comes in, and who does not
 *
 * Each connection has a struct link: which peer it belongs to (from the start for those that
 * we dial, from the proof of identity for the others) and what it holds of the limits. A struct
 * peer is one lane of a peer, nearly always the swarm's own; it lives as long as it is wanted or
 * has links.
 */
#pragma once

#include "p2p/host/swarm.h"

/* Without memory for its buckets, uthash leaves out the element and sets its hh.tbl to NULL. */
#define HASH_NONFATAL_OOM 1
/* Only peers that may connect get in: strangers cannot choose keys that collide. */
#define HASH_FUNCTION(key, len, hash) HASH_OAT(key, len, hash)
#include <uthash.h>
#include <utlist.h>

#include "base/util.h"
#include "p2p/host/gate.h"
#include "p2p/host/netaddr.h"

enum {
	LISTENERS_MAX = 16,           /* sockets: an address list in a configuration is short */
	NO_SLOT = CONN_TRANSIENT_MAX, /* a link that holds no place at the gate */
};

/* The place of a peer's lane in the hash. */
struct peer_key {
	uint8_t bytes[PEER_ID_LEN_MAX + 1];
	unsigned len;
};

struct peer {
	struct peer_id id;
	uint32_t lane;
	struct peer_key key;
	struct swarm *swarm;
	bool is_wanted;
	bool is_up;         /* on_best was told, on_down not yet */
	struct link *links; /* open, or attempts of our dialer */
	struct link *best;
	size_t n_open;
	struct dialer dialer;
	struct dial_failure failure; /* of the last round */
	struct dial_failure round;   /* of this one, so far */
	struct multiaddr *configured;
	size_t n_configured;
	struct multiaddr *learned; /* what identify told */
	size_t n_learned;
	union netaddr last_good; /* the address that worked last; family 0: none */
	UT_hash_handle hh;
};

struct link {
	struct link *prev, *next; /* peer->links or swarm->strangers */
	struct swarm *swarm;
	struct peer *peer; /* NULL: a stranger */
	struct conn *conn;
	unsigned gate_slot;
	nsec_t since;    /* it was made */
	bool is_attempt; /* our dialer waits for it */
	bool is_open;
	bool is_refused;         /* and counted as such */
	struct loop_timer grace; /* not the best: close it then */
};

struct listener {
	struct swarm *swarm;
	struct sock *sock;
	union netaddr at;
};

struct swarm {
	struct swarm_conf conf;
	struct conn_env env;
	struct peer *peers; /* uthash by id and lane */
	struct link *strangers;
	struct listener listeners[LISTENERS_MAX];
	size_t n_listeners;
	struct gate gate;
	struct loop_timer accept_pause;
	struct loop_task closed;
	struct loop_task sweep; /* peers that are not wanted any more go at the end of the turn */
	size_t n_conns;
	bool is_closing;
	struct swarm_stats stats;
};

/* swarm.c */
bool swarm_is_underlay(const struct swarm *s, const union netaddr *addr);
/* After a connection went: was it the last one of a swarm that closes? */
void swarm_check_closed(struct swarm *s);

/* swarm_peer.c */
/* Of the swarm's own lane. */
struct peer *peer_find(struct swarm *s, const struct peer_id *id);
/* Of any lane; made where there is none yet. NULL: out of memory. */
struct peer *peer_obtain(struct swarm *s, const struct peer_id *id, uint32_t lane);
/* It has no links. */
void peer_free(struct peer *p);
/* Free it, unless it is wanted or has links. */
void peer_release(struct peer *p);
/* For struct dialer_ops, with a struct peer as ctx. */
size_t peer_list_addresses(void *ctx, struct multiaddr ret_addrs[DIAL_ADDRS_MAX]);
/* One of its connections came, went, or became suspect. */
void peer_choose_best(struct peer *p);
/* Close the attempts that are not needed any more. */
void peer_close_attempts(struct peer *p);
/* An attempt failed, or could not be made. */
void peer_note_failure(struct peer *p, const struct dial_failure *failure);
/* ... and that is all there was to try: tell. For struct dialer_ops. */
void peer_tell_failure(void *ctx);
bool peer_needs_dialling(const struct peer *p);
/* Does it have its share of connections, and one more? */
bool peer_has_too_many(const struct peer *p);

/* swarm_link.c. p is NULL for a stranger; NULL: out of memory. */
struct link *link_new(struct swarm *s, struct peer *p);
struct link *link_free(struct link *l);
/* Its place at the gate, if it holds one, is free for others. */
void link_leave_gate(struct link *l);
/* For struct conn_env. */
enum err link_on_secured(struct conn *c);
void link_on_open(struct conn *c);
void link_on_suspect(struct conn *c);
void link_on_close(struct conn *c, enum err why);

/* swarm_lane.c. A stranger that may connect, for another lane: an error refuses it. */
enum err lane_on_secured(struct link *l);
/* For struct conn_env. */
void lane_on_leave(struct conn *c, struct conn_baton *baton);

/* swarm_listen.c. The pause after running out of descriptors is over. */
void swarm_accept_again(struct loop_timer *timer, nsec_t now);
