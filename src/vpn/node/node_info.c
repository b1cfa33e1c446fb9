/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* node_info.c - what a node shows of itself, and of its peers */
#include <stdlib.h>

#include "base/util.h"
#include "p2p/protocol/ping.h"
#include "vpn/node/node_internal.h"

/* --- what shards tell ---------------------------------------------------------------- */

static void publish(uint64_t *at, uint64_t value)
{
	__atomic_store_n(at, value, __ATOMIC_RELAXED);
}

void shard_publish(struct shard *s, uint32_t peer, const struct dispatch_peer_info *info)
{
	struct shard_peer *p = &s->peers[peer];
	publish(&p->tx_packets, info->sent_packets);
	publish(&p->tx_bytes, info->sent_bytes);
	publish(&p->tx_dropped, info->dropped_packets);
	publish(&p->n_streams, info->n_streams);
	publish(&p->n_keys, info->n_keys);
	publish(&p->queued_packets, info->queued_packets);
	publish(&p->queued_bytes, info->queued_bytes);
}

/* An address that people should know of, on its way to shard 0. */
struct told {
	struct loop_mail mail;
	struct ip_addr *to; /* shard 0's */
	struct ip_addr addr;
};

static void on_told(struct loop_mail *mail)
{
	struct told *told = CONTAINER_OF(mail, struct told, mail);
	*told->to = told->addr;
	free(told);
}

static void tell(struct shard *home, struct ip_addr *to, const struct ip_addr *addr,
		 struct ip_addr *before)
{
	if (addr->family == 0 || ip_addr_equal(addr, before))
		return;
	struct told *told = calloc(1, sizeof(*told));
	if (told == NULL)
		return; /* at the next look */
	*before = *addr;
	*told = (struct told){.mail = {.run = on_told}, .to = to, .addr = *addr};
	loop_post(home->loop, &told->mail);
}

void shard_tell(struct shard *s)
{
	struct shard *home = &s->node->shards[0];
	tell(home, &home->unrouted, &s->unrouted, &s->told_unrouted);
	for (size_t i = 0; i < s->node->n_peers; i++) {
		struct shard_peer *p = &s->peers[i];
		tell(home, &home->peers[i].refused_source, &p->refused_source, &p->told_source);
	}
}

/* --- what others ask ----------------------------------------------------------------- */

static uint64_t peek(const uint64_t *at)
{
	return __atomic_load_n(at, __ATOMIC_RELAXED);
}

size_t node_peer_count(const struct node *n)
{
	return n->n_peers;
}

/* What another shard tells, as of its last look. */
static void add_lane(struct node_peer_info *info, const struct shard_peer *p)
{
	struct dispatch_peer_info *dispatch = &info->dispatch;
	info->rx_packets += peek(&p->rx_packets);
	info->rx_bytes += peek(&p->rx_bytes);
	info->dropped_packets += peek(&p->dropped_packets) + peek(&p->tx_dropped);
	dispatch->sent_packets += peek(&p->tx_packets);
	dispatch->sent_bytes += peek(&p->tx_bytes);
	dispatch->n_keys += peek(&p->n_keys);
	dispatch->queued_packets += peek(&p->queued_packets);
	dispatch->queued_bytes += peek(&p->queued_bytes);
	info->n_lanes += peek(&p->n_streams) > 0;
}

void node_peer_info(const struct node *n, size_t index, struct node_peer_info *ret_info)
{
	loop_assert_here(n->conf.loop);
	const struct node_peer *peer = &n->peers[index];
	const struct shard *s = &n->shards[0];
	*ret_info = (struct node_peer_info){
		.conf = peer->conf,
		.rx_packets = s->peers[index].rx_packets,
		.rx_bytes = s->peers[index].rx_bytes,
		.dropped_packets = s->peers[index].dropped_packets,
		.refused_source = s->peers[index].refused_source,
	};
	memcpy(ret_info->agent, peer->agent, sizeof(ret_info->agent));
	struct dispatch_peer_info *dispatch = &ret_info->dispatch;
	dispatcher_peer_info(s->dispatcher, &peer->conf->id, dispatch);
	ret_info->dropped_packets += dispatch->dropped_packets;
	for (size_t i = 0; i < dispatch->n_streams; i++) {
		if (dispatch->streams[i].state == POOL_STREAM_UP)
			ret_info->protocol = dispatch->streams[i].framing == PACKET_FRAMING_RUNNEL
						     ? FRAME_PROTOCOL
						     : VPN_FRAME_PROTOCOL;
	}
	for (size_t i = 1; i < n->n_shards; i++)
		add_lane(ret_info, &n->shards[i].peers[index]);
	/* Not yet added to the swarm: nothing is known, all zero. */
	if (swarm_peer_info(s->swarm, &peer->conf->id, &ret_info->swarm) != ERR_OK)
		memset(&ret_info->swarm, 0, sizeof(ret_info->swarm));
}

struct ip_addr node_unrouted(const struct node *n)
{
	return n->shards[0].unrouted;
}

struct metrics node_metrics(const struct node *n)
{
	struct metrics sum = {0};
	for (size_t i = 0; i < n->n_shards; i++)
		metrics_sum(&sum, &n->shards[i].metrics);
	return sum;
}

struct swarm_stats node_swarm_stats(const struct node *n)
{
	loop_assert_here(n->conf.loop);
	return swarm_get_stats(n->shards[0].swarm);
}

size_t node_listen_addrs(const struct node *n, struct multiaddr *ret_addrs, size_t cap)
{
	return swarm_listen_addrs(n->shards[0].swarm, ret_addrs, cap);
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

nsec_t node_now(const struct node *n)
{
	return loop_now(n->conf.loop);
}

size_t node_shard_count(const struct node *n)
{
	return n->n_shards;
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
	loop_assert_here(n->conf.loop);
	struct conn *best = swarm_best(n->shards[0].swarm, &n->peers[index].conf->id);
	if (best == NULL)
		return ERR_UNREACHABLE;
	return ping_send(best, done, ctx, ret_ping);
}
