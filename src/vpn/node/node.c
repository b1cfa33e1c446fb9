/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* node.c - a node's life, and its control plane; see node.h and node_internal.h */
#include "vpn/node/node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "p2p/host/netaddr.h"
#include "vpn/node/lane.h"

/* --- what becomes of peers ----------------------------------------------------------- */

static void tell_peer(struct node *n, const struct node_peer *peer)
{
	if (n->conf.on_peer != NULL)
		n->conf.on_peer(n->conf.ctx, &peer->conf->id, peer->is_up);
}

void node_on_best(struct node *n, uint32_t index, struct conn *best)
{
	struct node_peer *peer = &n->peers[index];
	struct multiaddr remote;
	char text[MULTIADDR_TEXT_MAX];
	netaddr_to_multiaddr(conn_remote(best), &remote);
	enum log_level level = peer->trouble.is_refused_there ? LOG_DEBUG : LOG_INFO;
	log_line(level, peer->is_up ? "peer moved to another connection" : "peer connected",
		 "peer=%s addr=%s dialled=%s", peer->conf->name, multiaddr_format(&remote, text),
		 conn_is_outbound(best) ? "by_us" : "by_peer");
	bool is_news = !peer->is_up;
	peer->is_up = true;
	if (identify_request(&n->shards[0].identify, best) != ERR_OK)
		log_debug("no identify", "peer=%s", peer->conf->name);
	if (is_news) {
		lane_on_up(n, index);
		tell_peer(n, peer);
	}
}

void node_on_down(struct node *n, uint32_t index, enum err why)
{
	struct node_peer *peer = &n->peers[index];
	log_line(peer->trouble.is_refused_there ? LOG_DEBUG : LOG_INFO, "peer disconnected",
		 "peer=%s why=%s", peer->conf->name, err_name(why));
	bool is_news = peer->is_up;
	peer->is_up = false;
	if (is_news)
		tell_peer(n, peer);
}

void node_on_stream(struct node *n, uint32_t index, enum err result)
{
	struct node_peer *peer = &n->peers[index];
	if (result == ERR_OK) {
		peer->has_warned = false;
		trouble_is_over(peer);
	} else if (result == ERR_NEGOTIATION && !peer->has_warned) {
		log_warn("the peer speaks none of our packet protocols", "peer=%s",
			 peer->conf->name);
		peer->has_warned = true;
	}
}

void node_on_breaker(struct node *n, uint32_t index, enum breaker_state state)
{
	const struct node_peer *peer = &n->peers[index];
	/* A peer that is not connected is no news: the log says why. */
	if (!peer->is_up)
		return;
	if (state == BREAKER_OPEN)
		log_warn(
			"streams to the peer failed too often: its packets are dropped for a while",
			"peer=%s seconds=%llu", peer->conf->name,
			(unsigned long long)(n->settings.breaker.open_for / NSEC_PER_SEC));
	else
		log_info("the peer is tried again", "peer=%s breaker=%s", peer->conf->name,
			 breaker_state_name(state));
}

void node_on_identified(struct node *n, uint32_t index, const struct identify_msg *msg)
{
	struct node_peer *peer = &n->peers[index];
	char agent[LOG_STR_LEN];
	log_str(msg->agent_version, agent);
	size_t len = strlen(agent) - 2; /* without the quotes */
	snprintf(peer->agent, sizeof(peer->agent), "%.*s", (int)MIN(len, sizeof(peer->agent) - 1),
		 agent + 1);
}

void node_on_shard_closed(struct node *n)
{
	for (size_t i = 0; i < n->n_shards; i++) {
		if (!n->shards[i].is_closed)
			return;
	}
	n->conf.on_closed(n->conf.ctx);
}

/* --- life ---------------------------------------------------------------------------- */

static void settle(struct node *n)
{
	const struct config *config = n->conf.config;
	const struct config_dispatch *dispatch = &config->dispatch;
	n->settings = (struct dispatch_settings){
		.streams_min = dispatch->min_streams_per_peer,
		.streams_max = dispatch->max_streams_per_peer,
		.stream_idle_timeout = dispatch->stream_idle_timeout,
		.multiplex = dispatch->multiplex,
		.stream_cleanup_interval = dispatch->stream_cleanup_interval,
		.worker_idle_timeout = dispatch->worker_idle_timeout,
		.worker_cleanup_interval = dispatch->worker_cleanup_interval,
		.queue =
			{
				.codel =
					{
						.target = dispatch->queue_target,
						.interval = dispatch->queue_interval,
						.mtu_bytes = config->interface.mtu,
					},
				.packets_max = dispatch->packet_buffer_size,
				.worker_packets_max = dispatch->worker_buffer_size,
			},
		.peer_packets_max = config->queue.packets,
		.peer_bytes_max = config->queue.bytes,
		.health =
			{
				.interval = config->health.interval,
				.timeout = config->health.timeout,
				.failures = config->health.failures,
			},
		.breaker =
			{
				.failures = config->breaker.failures,
				.successes = config->breaker.successes,
				.open_for = config->breaker.open_for,
			},
		.retry =
			{
				.tries = config->retry.tries,
				.first = config->retry.first,
				.max = config->retry.max,
			},
		.hello =
			{
				.version = FRAME_VERSION,
				.mtu = (uint16_t)MAX(config->interface.mtu,
						     (uint32_t)FRAME_MTU_MIN),
				.capabilities = FRAME_CAN_PROBE | FRAME_CAN_MOVE |
						(dispatch->multiplex ? FRAME_CAN_SEQ : 0u),
				.payload_len_max = FRAME_PAYLOAD_LEN_MAX,
				.lanes =
					(uint16_t)MIN(1 + n->conf.n_further, (size_t)LANES_PRIMARY),
			},
		.vpn_mtu = config->interface.mtu,
	};
}

static enum err make_peers(struct node *n)
{
	n->n_peers = static_table_len(n->table);
	n->peers = calloc(n->n_peers + 1, sizeof(*n->peers));
	if (n->peers == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < n->n_peers; i++)
		n->peers[i].conf = static_table_peer(n->table, (uint32_t)i);
	return ERR_OK;
}

static enum err make_shards(struct node *n)
{
	size_t count = 1 + n->conf.n_further;
	n->shards = aligned_alloc(64, count * sizeof(*n->shards));
	if (n->shards == NULL)
		return ERR_NO_MEMORY;
	enum err e = ERR_OK;
	for (size_t i = 0; i < count && e == ERR_OK; i++) {
		struct shard *s = &n->shards[n->n_shards++];
		*s = (struct shard){.node = n, .index = (uint32_t)i};
		s->loop = i == 0 ? n->conf.loop : n->conf.further[i - 1].loop;
		s->tun = i == 0 ? n->conf.tun : n->conf.further[i - 1].tun;
		e = shard_init(s);
	}
	return e == ERR_OK ? lane_init(n) : e;
}

static enum err make(struct node *n)
{
	enum err e = static_table_new(n->conf.config, &n->table);
	if (e != ERR_OK)
		return e;
	if (static_table_find_id(n->table, identity_peer_id(n->conf.identity)) != ROUTE_NONE)
		return ERR_SELF;
	settle(n);
	e = make_peers(n);
	if (e == ERR_OK)
		e = make_shards(n);
	return e;
}

enum err node_new(const struct node_conf *conf, struct node **ret_node)
{
	struct node *n = calloc(1, sizeof(*n));
	if (n == NULL)
		return ERR_NO_MEMORY;
	n->conf = *conf;
	enum err e = make(n);
	if (e != ERR_OK) {
		for (size_t i = 0; i < n->n_shards; i++)
			n->shards[i].tun = NULL; /* stays the caller's */
		node_free(n);
		return e;
	}
	*ret_node = n;
	return ERR_OK;
}

enum err node_start(struct node *n, size_t *ret_bad)
{
	loop_assert_here(n->conf.loop);
	const struct config *config = n->conf.config;
	struct swarm *swarm = n->shards[0].swarm;
	n->started_at = loop_now(n->conf.loop);
	for (size_t i = 0; i < config->listen.len; i++) {
		enum err e = swarm_listen(swarm, &config->listen.items[i]);
		if (e != ERR_OK) {
			*ret_bad = i;
			return e;
		}
	}
	for (size_t i = 0; i < n->n_shards; i++)
		shard_start(&n->shards[i]);
	for (size_t i = 0; i < n->n_peers; i++) {
		const struct config_peer *p = n->peers[i].conf;
		enum err e = swarm_add_peer(swarm, &p->id, p->addresses.items, p->addresses.len);
		if (e != ERR_OK) {
			*ret_bad = config->listen.len;
			return e;
		}
	}
	return ERR_OK;
}

void node_close(struct node *n)
{
	loop_assert_here(n->conf.loop);
	if (n->is_closing)
		return;
	n->is_closing = true;
	for (size_t i = 0; i < n->n_shards; i++)
		shard_close(&n->shards[i]);
}

struct node *node_free(struct node *n)
{
	if (n == NULL)
		return NULL;
	for (size_t i = 0; i < n->n_shards; i++)
		shard_deinit(&n->shards[i]);
	lane_deinit(n);
	free(n->shards);
	free(n->peers);
	n->table = static_table_free(n->table);
	free(n);
	return NULL;
}

static void network_changed(struct shard *s)
{
	if (s->is_closing)
		return;
	swarm_network_changed(s->swarm);
	if (s->spare != NULL)
		swarm_network_changed(s->spare);
}

void node_network_changed(struct node *n)
{
	loop_assert_here(n->conf.loop);
	struct shard *s = &n->shards[0];
	if (n->is_closing)
		return;
	network_changed(s);
	for (size_t i = 1; i < n->n_shards; i++)
		lane_call(&n->shards[i], network_changed);
	/* Where we can be reached may have changed: those who are there learn it now. */
	for (size_t i = 0; i < n->n_peers; i++) {
		struct conn *best = swarm_best(s->swarm, &n->peers[i].conf->id);
		if (best != NULL && identify_push(&s->identify, best) != ERR_OK)
			log_debug("no identify push", "peer=%s", n->peers[i].conf->name);
	}
}
