/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * shard.c - one thread's part of a node: its TUN queue, its connections, its dispatcher
 *
 * All that is here belongs to one loop. A shard is made before its thread runs, and from then on
 * touched by that thread only, but for its metrics and the sums of its peers, which shard 0 reads
 * (node_info.c); what others want of it comes by mail (lane.c). Shard 0 is the
 * control plane's too: only there the node hears what the swarm tells.
 */
#include <stdlib.h>

#include "base/util.h"
#include "p2p/host/netaddr.h"
#include "p2p/protocol/ping.h"
#include "vpn/adapter/static_discovery.h"
#include "vpn/node/lane.h"
#include "vpn/node/spare.h"

static uint32_t find_peer(const struct shard *s, const struct peer_id *id)
{
	return static_table_find_id(s->node->table, id);
}

/* --- what the swarm asks and tells --------------------------------------------------- */

static bool is_allowed(void *ctx, const struct peer_id *id)
{
	return find_peer(ctx, id) != ROUTE_NONE;
}

/* The tunnel must not run through itself: no connection to or from an address that a peer owns
 * inside the VPN, or that is ours there. */
static bool is_underlay(void *ctx, const union netaddr *addr)
{
	const struct node *n = ((struct shard *)ctx)->node;
	const struct config_interface *interface = &n->conf.config->interface;
	struct ip_addr ip = addr->sa.sa_family == AF_INET
				    ? ip_addr_v4((const uint8_t *)&addr->in4.sin_addr)
				    : ip_addr_v6((const uint8_t *)&addr->in6.sin6_addr);
	if (interface->routes && route_table_find(static_table_routes(n->table), &ip) != ROUTE_NONE)
		return false;
	for (size_t i = 0; i < interface->addresses.len; i++) {
		if (ip_prefix_contains(&interface->addresses.items[i], &ip))
			return false;
	}
	return true;
}

static void on_best(void *ctx, const struct peer_id *id, struct conn *best)
{
	struct shard *s = ctx;
	uint32_t peer = find_peer(s, id);
	if (peer == ROUTE_NONE || s->is_closing)
		return;
	if (s->index == 0)
		node_on_best(s->node, peer, best);
	libp2p_streams_on_best(&s->streams, id, best);
	/* Without memory the peer is as good as down: a later connection tries again. */
	if (dispatcher_peer_up(s->dispatcher, id) != ERR_OK)
		conn_close(best, ERR_NO_MEMORY);
}

static void on_down(void *ctx, const struct peer_id *id, enum err why)
{
	struct shard *s = ctx;
	uint32_t peer = find_peer(s, id);
	if (peer == ROUTE_NONE)
		return;
	dispatcher_peer_down(s->dispatcher, id);
	if (s->index == 0)
		node_on_down(s->node, peer, why);
}

static void on_refused(void *ctx, const struct peer_id *id, const union netaddr *from)
{
	struct shard *s = ctx;
	if (s->index == 0)
		trouble_on_refused(s->node, id, from);
}

static void on_dial_failed(void *ctx, const struct peer_id *id, const struct dial_failure *failure)
{
	struct shard *s = ctx;
	uint32_t peer = find_peer(s, id);
	if (peer == ROUTE_NONE || s->index != 0)
		return;
	/* A peer that is to connect to us cannot be dialled in vain. */
	if (failure->why != ERR_NO_ADDRESS)
		dispatcher_peer_unreachable(s->dispatcher, id);
	trouble_on_dial_failed(s->node, peer, failure);
}

static void on_closed_here(struct loop_mail *mail)
{
	struct shard *s = CONTAINER_OF(mail, struct shard, closed);
	s->is_closed = true;
	node_on_shard_closed(s->node);
}

static void on_swarm_closed(void *ctx)
{
	struct shard *s = ctx;
	if (--s->n_swarms_open > 0)
		return;
	lane_stop(s);
	s->tun = sock_close(s->tun, false);
	loop_post(s->node->conf.loop, &s->closed);
}

static const struct swarm_events swarm_events = {
	.is_allowed = is_allowed,
	.is_underlay = is_underlay,
	.on_best = on_best,
	.on_down = on_down,
	.on_refused = on_refused,
	.on_dial_failed = on_dial_failed,
	.takes_lane = lane_takes,
	.on_lane = lane_on_baton,
	.on_closed = on_swarm_closed,
};

static void on_spare_best(void *ctx, const struct peer_id *id, struct conn *best)
{
	struct shard *s = ctx;
	libp2p_streams_on_best(&s->streams, id, best);
}

/* The streams on it tell. */
static void on_spare_down(void *ctx, const struct peer_id *id, enum err why)
{
	(void)ctx;
	(void)id;
	(void)why;
}

static const struct swarm_events spare_events = {
	.is_allowed = is_allowed,
	.is_underlay = is_underlay,
	.on_best = on_spare_best,
	.on_down = on_spare_down,
	.on_closed = on_swarm_closed,
};

static void on_identified(void *ctx, struct conn *c, const struct identify_msg *msg)
{
	struct shard *s = ctx;
	uint32_t peer = find_peer(s, conn_peer(c));
	if (peer != ROUTE_NONE)
		node_on_identified(s->node, peer, msg);
}

/* --- what the dispatcher asks and tells ---------------------------------------------- */

static enum config_protocol protocol_of(void *ctx, const struct peer_id *id)
{
	struct shard *s = ctx;
	uint32_t peer = find_peer(s, id);
	return peer == ROUTE_NONE ? CONFIG_PROTOCOL_AUTO : s->node->peers[peer].conf->protocol;
}

static void on_packet_refused(void *ctx, struct span packet, const struct packet_info *info,
			      enum icmp_reason why, uint32_t mtu)
{
	ingress_answer(ctx, why, packet, info, mtu);
}

static void on_no_route(void *ctx, const struct ip_addr *destination)
{
	struct shard *s = ctx;
	s->unrouted = *destination;
}

static void on_stream(void *ctx, const struct peer_id *id, enum err result)
{
	struct shard *s = ctx;
	uint32_t peer = find_peer(s, id);
	if (peer != ROUTE_NONE && s->index == 0)
		node_on_stream(s->node, peer, result);
}

static void on_hello(void *ctx, const struct peer_id *id, const struct frame_hello *hello)
{
	struct shard *s = ctx;
	uint32_t peer = find_peer(s, id);
	if (peer != ROUTE_NONE && s->index == 0)
		s->node->peers[peer].lanes =
			(uint16_t)MIN((unsigned)hello->lanes, (unsigned)LANES_PRIMARY);
}

static void on_breaker(void *ctx, const struct peer_id *id, enum breaker_state state)
{
	struct shard *s = ctx;
	uint32_t peer = find_peer(s, id);
	if (peer != ROUTE_NONE && s->index == 0)
		node_on_breaker(s->node, peer, state);
}

static void on_dispatcher_closed(void *ctx, uint64_t dropped)
{
	(void)dropped; /* they are in the metrics */
	struct shard *s = ctx;
	swarm_close(s->swarm);
	if (s->spare != NULL)
		swarm_close(s->spare);
}

/* --- life ---------------------------------------------------------------------------- */

static void list_protocols(struct shard *s)
{
	const struct protocol list[] = {
		{IDENTIFY_PROTOCOL, &identify_responder_ops, &s->identify},
		{IDENTIFY_PUSH_PROTOCOL, &identify_push_ops, &s->identify},
		{PING_PROTOCOL, &ping_responder_ops, NULL},
		{FRAME_PROTOCOL, &ingress_runnel_ops, s},
		{VPN_FRAME_PROTOCOL, &ingress_vpn_ops, s},
	};
	static_assert(ARRAY_LEN(list) == ARRAY_LEN(s->protocols), "room for all");
	memcpy(s->protocols, list, sizeof(list));
	s->identify.conf = (struct identify_conf){
		.agent = s->node->conf.agent,
		.protocols = s->protocols,
		.n_protocols = ARRAY_LEN(s->protocols),
		.on_identified = s->index == 0 ? on_identified : NULL,
		.ctx = s,
	};
}

/* One queue's worth more than there are peers: a queue may grow while it leaves as many packets for
 * the others. */
static enum err make_pool(struct shard *s)
{
	const struct config *config = s->node->conf.config;
	bool is_small = config->interface.mtu <= PACKET_SMALL_CAP;
	size_t most = is_small ? POOL_PACKETS_MAX : POOL_LARGE_MAX;
	size_t packets = (config->peers.len + 1) * config->queue.packets;
	packets = MIN(packets, most) + POOL_PACKETS_SPARE;
	return packet_pool_new(is_small ? packets : 0, is_small ? 0 : packets, &s->pool);
}

static enum err make_swarm(struct shard *s)
{
	const struct config *config = s->node->conf.config;
	struct swarm_conf conf = {
		.loop = s->loop,
		.identity = s->node->conf.identity,
		.lane = s->index,
		.tcp =
			{
				.notsent_lowat_bytes = (uint32_t)config->tcp.notsent_lowat,
				.user_timeout_ms =
					(uint32_t)(config->tcp.user_timeout / NSEC_PER_MSEC),
			},
		.keepalive = config->keepalive,
		.protocols = s->protocols,
		.n_protocols = ARRAY_LEN(s->protocols),
		.events = &swarm_events,
		.ctx = s,
	};
	static_assert(sizeof(conf.tcp.congestion) == 16, "as the kernel's");
	strncpy(conf.tcp.congestion, config->tcp.congestion, sizeof(conf.tcp.congestion) - 1);
	enum err e = swarm_new(&conf, &s->swarm);
	s->n_swarms_open = e == ERR_OK;
	if (e != ERR_OK || !config->dispatch.multiplex || s->index >= LANES_PRIMARY)
		return e;
	conf.lane = LANES_PRIMARY + s->index;
	conf.events = &spare_events;
	e = swarm_new(&conf, &s->spare);
	s->n_swarms_open += e == ERR_OK;
	return e;
}

static enum err make_dispatcher(struct shard *s)
{
	const struct config_prefixes *addresses = &s->node->conf.config->interface.addresses;
	libp2p_streams_init(&s->streams, s->swarm, protocol_of, s);
	s->streams.spare = s->spare;
	s->streams.want_spare = spare_want;
	const struct dispatcher_conf conf = {
		.loop = s->loop,
		.discovery = static_discovery(s->node->table),
		.streams = libp2p_streams_get(&s->streams),
		.packets = s->pool,
		.metrics = &s->metrics,
		.settings = s->node->settings,
		.addresses = addresses->items,
		.n_addresses = addresses->len,
		.on_refused = on_packet_refused,
		.on_stream = on_stream,
		.on_no_route = on_no_route,
		.on_hello = on_hello,
		.on_breaker = on_breaker,
		.hand_over = s->index > 0 ? lane_hand_over : NULL,
		.flush = s->index > 0 ? lane_flush : NULL,
		.on_closed = on_dispatcher_closed,
		.ctx = s,
	};
	return dispatcher_new(&conf, &s->dispatcher);
}

static void on_start(struct loop_mail *mail)
{
	struct shard *s = CONTAINER_OF(mail, struct shard, start);
	lane_start(s);
	egress_start(s);
}

static void on_close(struct loop_mail *mail)
{
	struct shard *s = CONTAINER_OF(mail, struct shard, close);
	egress_stop(s);
	s->is_closing = true;
	dispatcher_close(s->dispatcher, nsec_add(loop_now(s->loop), STOP_DRAIN));
}

enum err shard_init(struct shard *s)
{
	s->start.run = on_start;
	s->close.run = on_close;
	s->closed.run = on_closed_here;
	egress_init(s);
	icmp_limiter_init(&s->icmp);
	s->peers = calloc(s->node->n_peers + 1, sizeof(*s->peers));
	if (s->peers == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < s->node->n_peers; i++)
		ingress_init_peer(s, &s->peers[i]);
	list_protocols(s);
	enum err e = make_pool(s);
	if (e == ERR_OK)
		e = make_swarm(s);
	if (e == ERR_OK)
		e = make_dispatcher(s);
	return e;
}

void shard_deinit(struct shard *s)
{
	lane_stop(s);
	s->swarm = swarm_free(s->swarm);
	s->spare = swarm_free(s->spare);
	s->dispatcher = dispatcher_free(s->dispatcher);
	loop_timer_stop(&s->tun_retry);
	s->tun = sock_close(s->tun, false);
	s->pool = packet_pool_free(s->pool);
	for (size_t i = 0; s->peers != NULL && i < s->node->n_peers; i++)
		ingress_deinit_peer(&s->peers[i]);
	free(s->peers);
}

void shard_start(struct shard *s)
{
	loop_post(s->loop, &s->start);
}

void shard_close(struct shard *s)
{
	loop_post(s->loop, &s->close);
}
