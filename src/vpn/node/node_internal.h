/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * node_internal.h - a node from inside: for the files of this folder only
 *
 *     node.c       its life, and the control plane: which peers there are, what becomes of them
 *     node_info.c  what it shows of itself
 *     shard.c      a shard's life: swarm, dispatcher, pool
 *     egress.c     TUN -> dispatcher
 *     ingress.c    packet streams of others -> TUN
 *     lane.c       what goes on between shards
 *     spare.c      a shard's second connections to peers
 *     trouble.c    why peers do not connect, in words
 *
 * Shard 0 is the node's own loop and runs the control plane. What is beside a struct shard below is
 * touched by shard 0 only, or never changes after the start.
 */
#pragma once

#include "p2p/protocol/identify.h"
#include "vpn/adapter/libp2p_streams.h"
#include "vpn/discovery/static_table.h"
#include "vpn/dispatch/dispatcher.h"
#include "vpn/dispatch/flush.h"
#include "vpn/dispatch/inbox.h"
#include "vpn/node/node.h"
#include "vpn/node/trouble.h"
#include "vpn/packet/icmp_limiter.h"
#include "vpn/packet/pool.h"
#include "vpn/stream/dead_streams.h"
#include "vpn/stream/frame_reader.h"
#include "vpn/stream/reorder_table.h"
#include "vpn/stream/vpn_frame.h"

enum {
	TUN_READS_PER_TURN =
		64, /* packets read before they are flushed: 90 KB, about a record and a half */
	POOL_PACKETS_MAX = 65536, /* packets of all queues together: 128 MB, of which only what is
				     used is resident */
	POOL_LARGE_MAX = 4096,    /* the same where the MTU needs buffers of 64 KiB: 256 MB */
	POOL_PACKETS_SPARE = 256, /* beyond the queues: a turn's reads, and answers */
	DOWNLINKS_PER_PEER_MAX = 2 * 64 + 16, /* packet streams that a peer may have open toward a
						 shard: max_streams_per_peer at most, as many
						 again while they are replaced, and spares */
};

#define TUN_RETRY NSEC_PER_SEC /* a TUN that fails to read is tried again after so long */
#define STOP_DRAIN                                                                               \
	(200 * NSEC_PER_MSEC) /* a shard's own packets that wait may go out for so long when the \
				 node stops; what is handed over then is dropped */

/* A peer of the configuration, as the control plane sees it. */
struct node_peer {
	const struct config_peer *conf;
	struct trouble trouble; /* what the log was told of it */
	char agent[64];
	bool is_up;
	uint16_t lanes;  /* that it can take, as it said */
	bool has_warned; /* that it speaks no packet protocol; we ask again and again */
};

struct downlink;

/* A peer, as one shard sees it. Sums are written by the shard, and read whole by others. */
struct shard_peer {
	struct shard *shard;
	struct downlink *downlinks; /* packet streams that it opened */
	size_t n_downlinks;
	struct dead_streams dead;      /* what it said of streams that it gave up */
	struct reorder_table *reorder; /* of keys that it spreads; NULL: of none yet */
	struct loop_timer reorder_timer;
	bool has_spare;      /* a spare connection is wanted ... */
	nsec_t spare_wanted; /* ... since */
	uint64_t rx_packets, rx_bytes, dropped_packets;
	uint64_t tx_packets, tx_bytes, tx_dropped; /* others than shard 0: as of the last look */
	uint64_t n_streams, n_keys;                /* likewise */
	uint64_t queued_packets, queued_bytes;     /* likewise */
	struct ip_addr refused_source; /* of the last packet that it may not send; family 0: none */
	struct ip_addr told_source;    /* of these, what shard 0 was told */
};

/* What a shard handed over for a peer. Shard 0's. */
struct lane_demand {
	uint64_t bytes;  /* since the last look */
	nsec_t again_at; /* its lane is not asked for before */
	nsec_t asked_at; /* nor does the peer ask for it before and is heard */
};

/* A lane that we dialled. Shard k's. */
struct lane_use {
	bool is_ours;
	uint64_t bytes;          /* both ways, at the last look */
	uint64_t handed_packets; /* to shard 0, since the last look */
	nsec_t used_at;
};

enum {
	LANE_FLUSHES = 64, /* keys that move to a lane at the same time; others follow */
	LANE_FLUSHES_PER_PEER = LANE_FLUSHES / 4, /* ... of one peer */
};

struct lane_flush;

struct shard {
	struct node *node;
	uint32_t index;
	struct loop *loop;
	struct sock *tun; /* NULL: none */
	struct swarm *swarm;
	struct swarm *spare; /* connections beside those of `swarm`, for keys that are spread */
	struct libp2p_streams streams;
	struct dispatcher *dispatcher;
	struct packet_pool *pool;
	struct metrics metrics;
	struct icmp_limiter icmp;
	struct identify identify;
	struct protocol protocols[5];
	struct loop_timer tun_retry;
	struct shard_peer *peers;     /* one per peer of the configuration, same order */
	struct ip_addr unrouted;      /* the last destination that nobody owns; family 0: none */
	struct ip_addr told_unrouted; /* of these, what shard 0 was told */
	bool is_closing, is_closed;
	size_t n_swarms_open;

	/* With more than one shard: lane.h. */
	struct loop_timer look;
	struct inbox *inbox; /* shard 0: what others hand over ... */
	struct loop_mail doorbell;
	struct lane_demand *demands; /* shard 0: peer * n_shards + shard */
	struct lane_use *uses;       /* others: one per peer */
	struct lane_flush *flushes;  /* others: LANE_FLUSHES */
	struct loop_mail start, close, closed;
};

struct node {
	struct node_conf conf;
	struct static_table *table;
	struct dispatch_settings settings;
	struct node_peer *peers; /* one per peer of the configuration, same order */
	size_t n_peers;
	struct shard *shards;
	size_t n_shards;
	struct line_limiter strangers;
	nsec_t started_at;
	bool is_closing;
};

/* node.c: the control plane hears of a shard. */
void node_on_best(struct node *n, uint32_t peer, struct conn *best);
void node_on_down(struct node *n, uint32_t peer, enum err why);
void node_on_stream(struct node *n, uint32_t peer, enum err result);
void node_on_breaker(struct node *n, uint32_t peer, enum breaker_state state);
void node_on_identified(struct node *n, uint32_t peer, const struct identify_msg *msg);
void node_on_shard_closed(struct node *n);

/* shard.c. shard_deinit() takes any state of shard_init(). */
MUST_USE enum err shard_init(struct shard *s);
void shard_deinit(struct shard *s);
void shard_start(struct shard *s);
/* Send what waits, close all; node_on_shard_closed() follows. */
void shard_close(struct shard *s);

/* node_info.c: what others may read of a peer's streams here. */
void shard_publish(struct shard *s, uint32_t peer, const struct dispatch_peer_info *info);
/* ... and what people should hear of packets here: shard 0 tells them. */
void shard_tell(struct shard *s);

/* egress.c. Stopping is allowed from egress_init() on: a start may fail before it comes to us. */
void egress_init(struct shard *s);
void egress_start(struct shard *s);
void egress_stop(struct shard *s);

/* ingress.c: the packet streams of others. */
extern const struct stream_ops ingress_runnel_ops;
extern const struct stream_ops ingress_vpn_ops;
void ingress_init_peer(struct shard *s, struct shard_peer *p);
void ingress_deinit_peer(struct shard_peer *p);
/* An ICMP error about `packet` into our own TUN, within the rate limit. */
void ingress_answer(struct shard *s, enum icmp_reason reason, struct span packet,
		    const struct packet_info *info, uint32_t mtu);
