/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conn.h - one connection to one peer: a socket and what stands on it
 *
 *     TCP -> multistream-select -> Noise -> (early muxer | multistream-select inside) -> yamux ->
 * streams
 *
 * Each step is pure protocol code; the connection moves bytes between them and the socket. One
 * deadline covers the way from TCP to the muxer. Owned by one shard; made and freed by the swarm.
 *
 * Each connection has a lane (docs/protocol.md): 0, or the number that its dialler gave it in the
 * handshake. One that was accepted here and is for another lane than its env's does not stay: it
 * is packed into a struct conn_baton (conn_baton.h) before it has a muxer, and goes on elsewhere.
 *
 *     state             May                                        Must not
 *     CONN_DIALLING     wait for TCP                               hold more than a socket
 *     CONN_SELECTING    agree on the secure channel                believe anything
 *     CONN_SECURING     shake hands                                believe anything
 *     CONN_MUXING       agree on the muxer; the peer is known      carry streams
 *     CONN_OPEN         carry streams                              -
 *     CONN_LEAVING      nothing: packed at the end of the turn     read, send, be looked into
 *     CONN_CLOSING      nothing: freed at the end of the turn      call anyone but on_close()
 *
 * Closing may be asked for anywhere, also inside callbacks of the connection or its streams: it
 * takes effect at the end of the turn, when each stream gets its on_close(), then the connection's
 * owner, then the memory goes.
 */
#pragma once

#include "crypto/key.h"
#include "loop/loop.h"
#include "p2p/host/iobuf.h"
#include "p2p/host/stream.h"
#include "wire/multiaddr.h"

enum conn_state {
	CONN_DIALLING,
	CONN_SELECTING,
	CONN_SECURING,
	CONN_MUXING,
	CONN_OPEN,
	CONN_LEAVING,
	CONN_CLOSING,
	CONN_STATE_COUNT,
};

/* The word for logs and status. */
const char *conn_state_name(enum conn_state state);

struct conn_baton;

/* What all connections of a shard share. Owned by the swarm. Other shards' envs may point to the
 * same identity and protocols, which nobody writes; all else is this shard's. */
struct conn_env {
	struct loop *loop;
	const struct identity *identity;
	uint32_t lane; /* of those that stay, and of those that we dial */
	struct iobuf_pool io;
	nsec_t keepalive;
	const struct protocol *protocols; /* inbound; grows only before the first connection */
	size_t n_protocols;
	/* The peer proved who it is: an error refuses it. Limits and access control stand here. */
	enum err (*on_secured)(struct conn *c);
	/* Streams can be opened. */
	void (*on_open)(struct conn *c);
	/* No answer for LIVENESS_SUSPECT. */
	void (*on_suspect)(struct conn *c);
	/* It was for another lane, on_secured allowed it: take the baton. The last call; the
	 * connection is freed on return. */
	void (*on_leave)(struct conn *c, struct conn_baton *baton);
	/* The last call; the connection is freed on return. */
	void (*on_close)(struct conn *c, enum err why);
};

struct conn_stats {
	uint64_t rx_bytes; /* of the socket */
	uint64_t tx_bytes;
};

/* Dial. `expected` must answer. ERR_* of loop_tcp_dial, ERR_NO_MEMORY. Owner: the env's owner,
 * until on_close. */
MUST_USE enum err conn_dial(struct conn_env *env, const union netaddr *to,
			    const struct tcp_opts *opts, const struct peer_id *expected,
			    void *owner, struct conn **ret_conn);
/* Take over an accepted socket; on failure the socket stays the caller's. */
MUST_USE enum err conn_accept(struct conn_env *env, struct sock *sock, const union netaddr *from,
			      void *owner, struct conn **ret_conn);

/* Go on with one that another env packed; on this loop's thread. Takes the baton, also on failure.
 * *ret_conn is written first, then on_open() is called, then what came meanwhile is read.
 * ERR_NO_MEMORY, ERR_UNSUPPORTED (sock_attach). */
MUST_USE enum err conn_adopt(struct conn_env *env, struct conn_baton *baton, void *owner,
			     struct conn **ret_conn);

/* Close; on_close(why) comes at the end of the turn. The first reason stays. A go-away is tried if
 * the connection was open. */
void conn_close(struct conn *c, enum err why);

/*
 * Open a stream and agree on the first of `protocols` (lent: must live as long as the stream) that
 * the peer speaks. ops->on_open() or ops->on_close() follows. ERR_BAD_STATE (not open), ERR_LIMIT,
 * ERR_GO_AWAY, ERR_NO_MEMORY.
 */
MUST_USE enum err conn_open_stream(struct conn *c, const char *const *protocols, size_t n_protocols,
				   const struct stream_ops *ops, void *user,
				   struct stream **ret_stream);

enum conn_state conn_get_state(const struct conn *c);
bool conn_is_outbound(const struct conn *c);
/* Known once the peer is; before that 0 for those that we did not dial. */
uint32_t conn_lane(const struct conn *c);
bool conn_is_suspect(const struct conn *c);
/* Whom we talk to; empty before CONN_MUXING. */
const struct peer_id *conn_peer(const struct conn *c);
/* Who proved to be at the other end, though it may be somebody else than we dialled; empty: nobody
 * did. */
const struct peer_id *conn_answered(const struct conn *c);
/* How far it came: its state, or the last one before it closed. */
enum conn_state conn_reached(const struct conn *c);
/* The remote's protobuf-encoded public key; empty before CONN_MUXING. */
struct span conn_peer_key(const struct conn *c);
const union netaddr *conn_remote(const struct conn *c);
/* Our own end: the address by which this peer reaches us. */
MUST_USE enum err conn_local(const struct conn *c, union netaddr *ret_addr);
nsec_t conn_opened_at(const struct conn *c);
/* yamux's ping; 0: not measured yet. */
nsec_t conn_rtt(const struct conn *c);
struct conn_stats conn_get_stats(const struct conn *c);
/* Taken from the streams, not yet acknowledged by the peer's kernel. Asks the kernel: not for each
 * packet. */
uint64_t conn_in_flight_bytes(const struct conn *c);
size_t conn_stream_count(const struct conn *c);
struct loop *conn_loop(const struct conn *c);
struct conn_env *conn_get_env(const struct conn *c);

/* For its owner, the swarm. */
void *conn_owner(const struct conn *c);

/* Send a ping now: its answer shows up in conn_rtt(), its absence in on_suspect. */
void conn_ping(struct conn *c);
/* The network changed: the same, and on_suspect comes soon. */
void conn_doubt(struct conn *c);
