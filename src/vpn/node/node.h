/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * node.h - a VPN node: a TUN on one side, a swarm on the other
 *
 * A packet's way through it, by file:
 *
 *     TUN -> egress.c -> dispatch/ -> adapter/libp2p_streams (pulled by p2p/host) -> network
 *     network -> p2p/host -> ingress.c -> dispatch/admit (source check) -> TUN
 *
 * The node knows neither files nor devices: it is handed a loop, a configuration, an identity and
 * an open TUN, so the simulator runs the same node as the daemon. All calls are for the thread of
 * its first loop, that of shard 0; its further shards are on threads of their own.
 */
#pragma once

#include "crypto/key.h"
#include "loop/loop.h"
#include "p2p/host/swarm.h"
#include "vpn/config/config.h"
#include "vpn/dispatch/dispatcher.h"
#include "vpn/metrics/metrics.h"

struct node;
struct ping;

/* A shard beside the first: a loop that another thread runs, or the same one, and its own queue of
 * the TUN. */
struct node_shard {
	struct loop *loop;
	struct sock *tun; /* adopted on that loop: the node closes it; NULL: none */
};

enum {
	NODE_SHARDS_MAX = 64, /* as FRAME_LANES_MAX */
};

struct node_conf {
	struct loop *loop;                /* of the control plane, and of the first shard */
	const struct node_shard *further; /* shards beside it; lent for node_new() */
	size_t n_further;                 /* less than NODE_SHARDS_MAX */
	const struct config *config;      /* lent for the node's life */
	const struct identity *identity;  /* lent for the node's life */
	struct sock
		*tun; /* adopted: the node closes it; NULL: no TUN, packets for it are dropped */
	const char *agent; /* for identify: "runnel/0.1.0"; lent */
	/* After node_close(): nothing is left but memory. */
	void (*on_closed)(void *ctx);
	/* A peer is connected, and packets to it are taken; or no longer. NULL: nobody asks. */
	void (*on_peer)(void *ctx, const struct peer_id *id, bool is_connected);
	void *ctx;
};

/* ERR_NO_MEMORY, ERR_SELF (a peer of the configuration is this node), ... ; the TUN stays the
 * caller's on failure. */
MUST_USE enum err node_new(const struct node_conf *conf, struct node **ret_node);
/* Listen and begin to dial. On ERR_* of swarm_listen(), *ret_bad is the address that failed (an
 * index of config->listen). */
MUST_USE enum err node_start(struct node *n, size_t *ret_bad);
/* Refuse new work, close all; on_closed follows. */
void node_close(struct node *n);
/* After on_closed, or without node_start(). Takes NULL; returns NULL. */
struct node *node_free(struct node *n);

/* The machine's network changed: ask and dial at once. */
void node_network_changed(struct node *n);

struct node_peer_info {
	const struct config_peer *conf;
	struct swarm_peer_info swarm;
	const char *protocol; /* of the packet stream; NULL: none yet */
	char agent[64];       /* what identify told, escaped; "" unknown */
	uint64_t rx_packets, rx_bytes;
	uint64_t dropped_packets;      /* both ways */
	struct ip_addr refused_source; /* of the last packet that it may not send; family 0: none */
	struct dispatch_peer_info dispatch; /* what is sent to it; streams: of the first shard */
	size_t n_lanes;                     /* further shards that have streams to it */
};

size_t node_peer_count(const struct node *n);
size_t node_shard_count(const struct node *n);
/* index < node_peer_count() */
void node_peer_info(const struct node *n, size_t index, struct node_peer_info *ret_info);
/* The last destination of a packet that no peer owns; family 0: none yet. */
struct ip_addr node_unrouted(const struct node *n);
/* Of all shards. */
struct metrics node_metrics(const struct node *n);
struct swarm_stats node_swarm_stats(const struct node *n);
size_t node_listen_addrs(const struct node *n, struct multiaddr *ret_addrs, size_t cap);
const struct config *node_config(const struct node *n);
const struct identity *node_identity(const struct node *n);
nsec_t node_uptime(const struct node *n);
/* The clock of all times above. */
nsec_t node_now(const struct node *n);

/* The peer of this name, or of this Peer ID as text; SIZE_MAX: none. */
size_t node_find_peer(const struct node *n, const char *name_or_id);
/* libp2p ping; see ping_send(). ERR_UNREACHABLE: not connected. */
MUST_USE enum err node_ping(struct node *n, size_t index,
			    void (*done)(void *ctx, enum err result, nsec_t rtt), void *ctx,
			    struct ping **ret_ping);
