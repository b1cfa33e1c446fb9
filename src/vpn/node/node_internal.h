/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* node_internal.h - a node from inside: for the files of this folder only */
#pragma once

#include "p2p/protocol/identify.h"
#include "vpn/discovery/static_table.h"
#include "vpn/dispatch/channel.h"
#include "vpn/dispatch/dispatcher.h"
#include "vpn/node/node.h"
#include "vpn/node/trouble.h"
#include "vpn/packet/icmp_limiter.h"
#include "vpn/packet/pool.h"
#include "vpn/stream/frame_reader.h"
#include "vpn/stream/vpn_frame.h"

enum {
	TUN_READS_PER_TURN =
		64, /* packets read before they are flushed: 90 KB, about a record and a half */
	POOL_PACKETS_MAX = 65536, /* packets of all queues together: 128 MB, of which only what is
				     used is resident */
	POOL_LARGE_MAX = 4096,    /* the same where the MTU needs buffers of 64 KiB: 256 MB */
	POOL_PACKETS_SPARE = 256, /* beyond the queues: a turn's reads, and answers */
	DOWNLINKS_PER_PEER_MAX = 16, /* packet streams that a peer may have open toward us */
};

#define UPLINK_RETRY \
	NSEC_PER_SEC /* a stream that could not be opened is tried again after so long */
#define UPLINK_STALE                                                                              \
	NSEC_PER_SEC /* packets that waited longer for a connection are dropped: nobody waits for \
			them */
#define PROBE_INTERVAL (30 * NSEC_PER_SEC) /* the origin's health_check_interval */
#define TUN_RETRY      NSEC_PER_SEC /* a TUN that fails to read is tried again after so long */

/*
 * uplink.c: our packet stream to one peer.
 *
 *     state     leaves when
 *     DOWN      a connection comes -> OPENING
 *     OPENING   agreed -> UP; refused or failed -> DOWN, again after UPLINK_RETRY
 *     UP        broken -> DOWN; a better connection comes: another stream opens, and takes over
 * when it is agreed
 */
struct uplink {
	struct node *node;
	uint32_t index; /* of the peer */
	const struct config_peer *conf;
	struct channel channel;
	struct stream *stream;       /* UP: the one that pulls; NULL otherwise */
	struct stream *opening;      /* the next one; NULL: none */
	struct frame_reader *reader; /* of what comes back on `stream`; NULL for /vpn/1.0.0 */
	struct loop_timer retry;
	struct loop_timer probe;
	bool has_warned; /* that the peer speaks no packet protocol; we ask on each UPLINK_RETRY */
	nsec_t down_since; /* no connection; 0: there is one */
	uint64_t probe_id;
	nsec_t probe_rtt;
	char agent[64];
	struct trouble trouble;        /* what the log was told of it */
	struct ip_addr refused_source; /* of the last packet that it may not send; family 0: none */
	size_t n_downlinks;
	uint64_t rx_packets, rx_bytes;
	uint64_t dropped_packets; /* here; the channel counts its own */
};

struct node {
	struct node_conf conf;
	struct swarm *swarm;
	struct static_table *table;
	struct dispatch_tables tables;
	struct packet_pool *pool;
	struct metrics metrics;
	struct icmp_limiter icmp;
	struct line_limiter strangers;
	struct ip_addr unrouted; /* the last destination that nobody owns; family 0: none */
	struct identify *identify;
	struct uplink *uplinks; /* one per peer of the configuration, same order */
	size_t n_uplinks;
	struct protocol protocols[5];
	struct loop_timer tun_retry;
	struct frame_hello hello; /* what we say of ourselves */
	nsec_t started_at;
	bool is_closing;
};

/* egress.c. Stopping is allowed from egress_init() on: a start may fail before it comes to us. */
void egress_init(struct node *n);
void egress_start(struct node *n);
void egress_stop(struct node *n);

/* uplink.c */
void uplink_init(struct uplink *u, struct node *n, uint32_t index);
void uplink_deinit(struct uplink *u);
void uplink_use(struct uplink *u, struct conn *best);
void uplink_down(struct uplink *u);
/* Takes the packet. */
void uplink_send(struct uplink *u, struct packet *packet, const struct packet_info *info);

/* ingress.c: the packet streams of others. */
extern const struct stream_ops ingress_runnel_ops;
extern const struct stream_ops ingress_vpn_ops;
/* An ICMP error about `packet` into our own TUN, within the rate limit. */
void ingress_answer(struct node *n, enum icmp_reason reason, struct span packet,
		    const struct packet_info *info, uint32_t mtu);
