/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatcher.h - the entry point of a shard: a packet, to the peer that owns its destination
 *
 *     packet -> connection key -> worker (known key: one look)
 *                                   new key: destination -> peer -> the peer's worker pool
 *            -> the worker's stream, its channel, pulled by the connection
 *
 * A packet that cannot go on is dropped for a named reason, counted, told to its receipt, and where
 * a host would want to know, answered (conf.on_refused). Nothing on the way takes a lock or waits,
 * and nothing allocates but the first packets for a peer: its pool, and a stream if it has none.
 * Workers are made at the end of the turn. The
 * dispatcher stays ignorant of libp2p and of TUN: it sees a peer discovery and a stream service.
 *
 *     a dispatcher is  May                               leaves when
 *     OPEN             everything                        dispatcher_close() -> DRAINING
 *     DRAINING         send what waits; takes no more    all is sent, or the deadline -> ENDING
 *     ENDING           end its streams                   none is left -> on_closed
 *
 * Owned by one shard: all calls are for its thread. For any thread: include/runnel/dispatch.h.
 */
#pragma once

#include "loop/loop.h"
#include "vpn/api/peer_discovery.h"
#include "vpn/api/stream_service.h"
#include "vpn/dispatch/dispatch_settings.h"
#include "vpn/dispatch/load.h"
#include "vpn/dispatch/pool_stream.h"
#include "vpn/packet/icmp.h"
#include "vpn/packet/packet.h"

struct dispatcher;

struct dispatcher_conf {
	struct loop *loop;
	struct peer_discovery discovery;
	struct stream_service streams;
	struct packet_pool *packets; /* where the packets that are sent come from */
	struct metrics *metrics;     /* the shard's */
	struct dispatch_settings settings;
	const struct ip_prefix *addresses; /* our own: their broadcasts are not forwarded; lent */
	size_t n_addresses;
	/* A packet cannot go, and its sender should hear why; called before it is dropped. NULL:
	 * nobody wants to know. mtu is that of ICMP_TOO_BIG. */
	void (*on_refused)(void *ctx, struct span packet, const struct packet_info *info,
			   enum icmp_reason why, uint32_t mtu);
	/* A stream to this peer was opened (ERR_OK), or could not be. NULL: nobody wants to know.
	 */
	void (*on_stream)(void *ctx, const struct peer_id *peer, enum err result);
	/* A packet whose peer is not connected here, and whose key is of no stream: take it
	 * elsewhere, or end it. NULL: there is no elsewhere. */
	void (*hand_over)(void *ctx, const struct peer_id *peer, struct packet *packet,
			  const struct conn_key *key);
	/* The peer is connected here now: call dispatcher_flushed() when all of this key that was
	 * handed over has arrived there. false: not now, the key's packets go on being handed over.
	 * Given with hand_over. */
	bool (*flush)(void *ctx, const struct peer_id *peer, const struct conn_key *key);
	/* What the peer says on a stream of ours. NULL: nobody wants to know. */
	void (*on_hello)(void *ctx, const struct peer_id *peer, const struct frame_hello *hello);
	/* The peer's breaker is in another state than before, within a turn or when its time is
	 * over. NULL: nobody wants to know. */
	void (*on_breaker)(void *ctx, const struct peer_id *peer, enum breaker_state state);
	/* The last destination that nobody owns. NULL: nobody wants to know. */
	void (*on_no_route)(void *ctx, const struct ip_addr *destination);
	/* After dispatcher_close(): no stream is left. `dropped`: packets that the deadline cost.
	 */
	void (*on_closed)(void *ctx, uint64_t dropped);
	void *ctx;
};

/* The conf is copied. ERR_NO_MEMORY. */
MUST_USE enum err dispatcher_new(const struct dispatcher_conf *conf,
				 struct dispatcher **ret_dispatcher);
/* Take no more, send what waits until `deadline`, end all streams; on_closed follows, not before
 * the call returns. Twice is once. */
void dispatcher_close(struct dispatcher *d, nsec_t deadline);
/* After on_closed, or if no peer was ever up. Takes NULL; returns NULL. */
struct dispatcher *dispatcher_free(struct dispatcher *d);

/* Send a packet to the owner of its destination. Takes it. */
void dispatcher_send(struct dispatcher *d, struct packet *packet);
/* The same for many that came together; cheaper, as the memory that each needs is fetched while
 * others are worked on. */
void dispatcher_send_all(struct dispatcher *d, struct packet **packets, size_t n);
/* The same, but in order with this key, and to the owner of this address. */
void dispatcher_send_as(struct dispatcher *d, struct packet *packet, const struct conn_key *key,
			const struct ip_addr *destination);

/* Facts about a peer, from whoever knows connections: streams can be opened to it; they cannot; an
 * attempt to reach it failed. A peer is down until the first is told. ERR_NO_MEMORY. */
MUST_USE enum err dispatcher_peer_up(struct dispatcher *d, const struct peer_id *peer);
void dispatcher_peer_down(struct dispatcher *d, const struct peer_id *peer);
void dispatcher_peer_unreachable(struct dispatcher *d, const struct peer_id *peer);

/* Tell the peer by a control frame of FRAME_CAN_MOVE, on a stream that is up. Nothing happens
 * without one. */
void dispatcher_tell(struct dispatcher *d, const struct peer_id *peer, struct span frame);
/* What conf.flush() asked for. */
void dispatcher_flushed(struct dispatcher *d, const struct conn_key *key);

/* --- for people ---------------------------------------------------------------------- */

struct dispatch_stream_info {
	uint64_t id;
	enum pool_stream_state state;
	enum packet_framing framing;
	size_t n_keys;
	size_t queued_packets, queued_bytes;
	uint64_t sent_packets, sent_bytes, in_flight_bytes;
	nsec_t opened_at; /* 0: not yet */
	nsec_t rtt;       /* of its probes, smoothed; 0: none yet */
	bool is_retiring;
};

enum {
	DISPATCH_STREAMS_SHOWN = 64, /* of one peer */
};

struct dispatch_peer_info {
	uint64_t sent_packets, sent_bytes, dropped_packets;
	size_t queued_packets, queued_bytes;
	size_t n_keys;
	nsec_t rtt; /* of the last probe; 0: none yet */
	enum breaker_state breaker;
	unsigned load; /* 0..LOAD_SCORE_MAX: how full its streams are, smoothed */
	size_t n_streams;
	struct dispatch_stream_info streams[DISPATCH_STREAMS_SHOWN];
};

struct dispatch_key_info {
	struct peer_id peer;
	uint64_t stream; /* number of its stream; 0: it has none now, or several */
	bool is_spread;
	size_t queued_packets, queued_bytes;
	uint64_t sent_packets, sent_bytes; /* on this stream */
};

/* ERR_NOT_FOUND: no worker has this key. */
MUST_USE enum err dispatcher_key_info(const struct dispatcher *d, const struct conn_key *key,
				      struct dispatch_key_info *ret_info);

/* All zero for a peer that nothing was sent to. */
void dispatcher_peer_info(const struct dispatcher *d, const struct peer_id *peer,
			  struct dispatch_peer_info *ret_info);
/* Workers now. */
size_t dispatcher_worker_count(const struct dispatcher *d);
