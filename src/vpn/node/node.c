/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* node.c - a node's life, and what it tells others; see node.h */
#include "vpn/node/node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "p2p/host/netaddr.h"
#include "p2p/protocol/ping.h"
#include "vpn/node/node_internal.h"

/* --- what the swarm asks and tells --------------------------------------------------- */

static struct uplink *find_uplink(struct node *n, const struct peer_id *id)
{
	uint32_t index = static_table_find_id(n->table, id);
	return index == ROUTE_NONE ? NULL : &n->uplinks[index];
}

static bool is_allowed(void *ctx, const struct peer_id *id)
{
	return find_uplink(ctx, id) != NULL;
}

/* The tunnel must not run through itself: no connection to or from an address that a peer owns
 * inside the VPN, or that is ours there. */
static bool is_underlay(void *ctx, const union netaddr *addr)
{
	const struct node *n = ctx;
	struct ip_addr ip = addr->sa.sa_family == AF_INET
				    ? ip_addr_v4((const uint8_t *)&addr->in4.sin_addr)
				    : ip_addr_v6((const uint8_t *)&addr->in6.sin6_addr);
	if (n->conf.config->interface.routes &&
	    route_table_find(n->tables.routes, &ip) != ROUTE_NONE)
		return false;
	for (size_t i = 0; i < n->tables.n_addresses; i++) {
		if (ip_prefix_contains(&n->tables.addresses[i], &ip))
			return false;
	}
	return true;
}

static void tell_peer(struct node *n, const struct peer_id *id, bool is_connected)
{
	if (n->conf.on_peer != NULL)
		n->conf.on_peer(n->conf.ctx, id, is_connected);
}

static void on_best(void *ctx, const struct peer_id *id, struct conn *best)
{
	struct node *n = ctx;
	struct uplink *u = find_uplink(n, id);
	if (u == NULL || n->is_closing)
		return;
	struct multiaddr remote;
	char text[MULTIADDR_TEXT_MAX];
	netaddr_to_multiaddr(conn_remote(best), &remote);
	enum log_level level = u->trouble.is_refused_there ? LOG_DEBUG : LOG_INFO;
	log_line(level, u->down_since != 0 ? "peer connected" : "peer moved to another connection",
		 "peer=%s addr=%s dialled=%s", u->conf->name, multiaddr_format(&remote, text),
		 conn_is_outbound(best) ? "by_us" : "by_peer");
	bool is_news = u->down_since != 0;
	uplink_use(u, best);
	if (identify_request(n->identify, best) != ERR_OK)
		log_debug("no identify", "peer=%s", u->conf->name);
	if (is_news)
		tell_peer(n, id, true);
}

static void on_down(void *ctx, const struct peer_id *id, enum err why)
{
	struct node *n = ctx;
	struct uplink *u = find_uplink(n, id);
	if (u == NULL)
		return;
	log_line(u->trouble.is_refused_there ? LOG_DEBUG : LOG_INFO, "peer disconnected",
		 "peer=%s why=%s", u->conf->name, err_name(why));
	bool is_news = u->down_since == 0;
	uplink_down(u);
	if (is_news)
		tell_peer(n, id, false);
}

static void on_closed(void *ctx)
{
	struct node *n = ctx;
	n->conf.tun = sock_close(n->conf.tun, false);
	n->conf.on_closed(n->conf.ctx);
}

static const struct swarm_events swarm_events = {
	.is_allowed = is_allowed,
	.is_underlay = is_underlay,
	.on_best = on_best,
	.on_down = on_down,
	.on_refused = trouble_on_refused,
	.on_dial_failed = trouble_on_dial_failed,
	.on_closed = on_closed,
};

static void on_identified(void *ctx, struct conn *c, const struct identify_msg *msg)
{
	struct uplink *u = find_uplink(ctx, conn_peer(c));
	if (u == NULL)
		return;
	char agent[LOG_STR_LEN];
	log_str(msg->agent_version, agent);
	size_t len = strlen(agent) - 2; /* without the quotes */
	snprintf(u->agent, sizeof(u->agent), "%.*s", (int)MIN(len, sizeof(u->agent) - 1),
		 agent + 1);
}

/* --- life
 * -----------------------------------------------------------------------------------------------
 */

static void list_protocols(struct node *n)
{
	const struct protocol list[] = {
		{IDENTIFY_PROTOCOL, &identify_responder_ops, n->identify},
		{IDENTIFY_PUSH_PROTOCOL, &identify_push_ops, n->identify},
		{PING_PROTOCOL, &ping_responder_ops, NULL},
		{FRAME_PROTOCOL, &ingress_runnel_ops, n},
		{VPN_FRAME_PROTOCOL, &ingress_vpn_ops, n},
	};
	static_assert(ARRAY_LEN(list) == ARRAY_LEN(n->protocols), "room for all");
	memcpy(n->protocols, list, sizeof(list));
}

/* One queue's worth more than there are peers: a queue may grow while it leaves as many packets for
 * the others. */
static enum err make_pool(struct node *n)
{
	const struct config *config = n->conf.config;
	bool is_small = config->interface.mtu <= PACKET_SMALL_CAP;
	size_t most = is_small ? POOL_PACKETS_MAX : POOL_LARGE_MAX;
	size_t packets = (config->peers.len + 1) * config->queue.packets;
	packets = MIN(packets, most) + POOL_PACKETS_SPARE;
	return packet_pool_new(is_small ? packets : 0, is_small ? 0 : packets, &n->pool);
}

static enum err make_uplinks(struct node *n)
{
	size_t count = static_table_len(n->table);
	n->uplinks = calloc(count > 0 ? count : 1, sizeof(*n->uplinks));
	if (n->uplinks == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < count; i++)
		uplink_init(&n->uplinks[i], n, (uint32_t)i);
	n->n_uplinks = count;
	return ERR_OK;
}

static enum err make_swarm(struct node *n)
{
	const struct config *config = n->conf.config;
	struct swarm_conf conf = {
		.loop = n->conf.loop,
		.identity = n->conf.identity,
		.tcp =
			{
				.notsent_lowat_bytes = (uint32_t)config->tcp.notsent_lowat,
				.user_timeout_ms =
					(uint32_t)(config->tcp.user_timeout / NSEC_PER_MSEC),
			},
		.keepalive = config->keepalive,
		.protocols = n->protocols,
		.n_protocols = ARRAY_LEN(n->protocols),
		.events = &swarm_events,
		.ctx = n,
	};
	snprintf(conf.tcp.congestion, sizeof(conf.tcp.congestion), "%s", config->tcp.congestion);
	return swarm_new(&conf, &n->swarm);
}

static enum err make(struct node *n)
{
	const struct config *config = n->conf.config;
	enum err e = static_table_new(config, &n->table);
	if (e != ERR_OK)
		return e;
	if (static_table_find_id(n->table, identity_peer_id(n->conf.identity)) != ROUTE_NONE)
		return ERR_SELF;
	n->tables = (struct dispatch_tables){
		.routes = static_table_routes(n->table),
		.addresses = config->interface.addresses.items,
		.n_addresses = config->interface.addresses.len,
	};
	n->hello = (struct frame_hello){
		.version = FRAME_VERSION,
		.mtu = (uint16_t)MAX(config->interface.mtu, (uint32_t)FRAME_MTU_MIN),
		.capabilities = FRAME_CAN_PROBE,
		.payload_len_max = FRAME_PAYLOAD_LEN_MAX,
	};
	n->identify = calloc(1, sizeof(*n->identify));
	if (n->identify == NULL)
		return ERR_NO_MEMORY;
	n->identify->conf = (struct identify_conf){
		.agent = n->conf.agent,
		.protocols = n->protocols,
		.n_protocols = ARRAY_LEN(n->protocols),
		.on_identified = on_identified,
		.ctx = n,
	};
	list_protocols(n);
	icmp_limiter_init(&n->icmp);
	e = make_pool(n);
	if (e == ERR_OK)
		e = make_uplinks(n);
	if (e == ERR_OK)
		e = make_swarm(n);
	return e;
}

enum err node_new(const struct node_conf *conf, struct node **ret_node)
{
	struct node *n = calloc(1, sizeof(*n));
	if (n == NULL)
		return ERR_NO_MEMORY;
	n->conf = *conf;
	egress_init(n);
	enum err e = make(n);
	if (e != ERR_OK) {
		n->conf.tun = NULL; /* stays the caller's */
		node_free(n);
		return e;
	}
	*ret_node = n;
	return ERR_OK;
}

enum err node_start(struct node *n, size_t *ret_bad)
{
	const struct config *config = n->conf.config;
	n->started_at = loop_now(n->conf.loop);
	for (size_t i = 0; i < config->listen.len; i++) {
		enum err e = swarm_listen(n->swarm, &config->listen.items[i]);
		if (e != ERR_OK) {
			*ret_bad = i;
			return e;
		}
	}
	egress_start(n);
	for (size_t i = 0; i < n->n_uplinks; i++) {
		const struct config_peer *p = n->uplinks[i].conf;
		enum err e = swarm_add_peer(n->swarm, &p->id, p->addresses.items, p->addresses.len);
		if (e != ERR_OK) {
			*ret_bad = config->listen.len;
			return e;
		}
	}
	return ERR_OK;
}

void node_close(struct node *n)
{
	n->is_closing = true;
	egress_stop(n);
	swarm_close(n->swarm);
}

struct node *node_free(struct node *n)
{
	if (n == NULL)
		return NULL;
	n->swarm = swarm_free(n->swarm);
	for (size_t i = 0; i < n->n_uplinks; i++)
		uplink_deinit(&n->uplinks[i]);
	free(n->uplinks);
	loop_timer_stop(&n->tun_retry);
	sock_close(n->conf.tun, false);
	n->pool = packet_pool_free(n->pool);
	n->table = static_table_free(n->table);
	free(n->identify);
	free(n);
	return NULL;
}

void node_network_changed(struct node *n)
{
	if (n->is_closing)
		return;
	swarm_network_changed(n->swarm);
	/* Where we can be reached may have changed: those who are there learn it now. */
	for (size_t i = 0; i < n->n_uplinks; i++) {
		struct conn *best = swarm_best(n->swarm, &n->uplinks[i].conf->id);
		if (best != NULL && identify_push(n->identify, best) != ERR_OK)
			log_debug("no identify push", "peer=%s", n->uplinks[i].conf->name);
	}
}

/* --- for people ---------------------------------------------------------------------- */

size_t node_peer_count(const struct node *n)
{
	return n->n_uplinks;
}

void node_peer_info(const struct node *n, size_t index, struct node_peer_info *ret_info)
{
	const struct uplink *u = &n->uplinks[index];
	*ret_info = (struct node_peer_info){
		.conf = u->conf,
		.protocol = u->stream != NULL ? stream_protocol(u->stream) : NULL,
		.rx_packets = u->rx_packets,
		.rx_bytes = u->rx_bytes,
		.tx_packets = u->channel.sent_packets,
		.tx_bytes = u->channel.sent_bytes,
		.dropped_packets = u->dropped_packets + u->channel.dropped_packets,
		.queued_packets = u->channel.packets,
		.queued_bytes = u->channel.bytes,
		.refused_source = u->refused_source,
		.probe_rtt = u->probe_rtt,
	};
	memcpy(ret_info->agent, u->agent, sizeof(ret_info->agent));
	/* Not yet added to the swarm: nothing is known, all zero. */
	if (swarm_peer_info(n->swarm, &u->conf->id, &ret_info->swarm) != ERR_OK)
		memset(&ret_info->swarm, 0, sizeof(ret_info->swarm));
}

struct ip_addr node_unrouted(const struct node *n)
{
	return n->unrouted;
}

const struct metrics *node_metrics(const struct node *n)
{
	return &n->metrics;
}

struct swarm_stats node_swarm_stats(const struct node *n)
{
	return swarm_get_stats(n->swarm);
}

size_t node_listen_addrs(const struct node *n, struct multiaddr *ret_addrs, size_t cap)
{
	return swarm_listen_addrs(n->swarm, ret_addrs, cap);
}

const struct config *node_config(const struct node *n)
{
	return n->conf.config;
}

const struct identity *node_identity(const struct node *n)
{
	return n->conf.identity;
}

nsec_t node_uptime(const struct node *n)
{
	return nsec_since(loop_now(n->conf.loop), n->started_at);
}

size_t node_find_peer(const struct node *n, const char *name_or_id)
{
	uint32_t index = static_table_find_name(n->table, name_or_id);
	struct peer_id id;
	if (index == ROUTE_NONE && peer_id_parse(span_str(name_or_id), &id) == ERR_OK)
		index = static_table_find_id(n->table, &id);
	return index == ROUTE_NONE ? SIZE_MAX : index;
}

enum err node_ping(struct node *n, size_t index,
		   void (*done)(void *ctx, enum err result, nsec_t rtt), void *ctx,
		   struct ping **ret_ping)
{
	struct conn *best = swarm_best(n->swarm, &n->uplinks[index].conf->id);
	if (best == NULL)
		return ERR_UNREACHABLE;
	return ping_send(best, done, ctx, ret_ping);
}
