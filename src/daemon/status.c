/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* status.c - see status.h */
#include "daemon/status.h"

#include "p2p/host/netaddr.h"
#include "vpn/node/trouble.h"

enum {
	LISTEN_ADDRS_MAX = 16, /* as many as the swarm listens on */
};

static json_t *ms(nsec_t t)
{
	return t == 0 ? json_null() : json_real((double)t / (double)NSEC_PER_MSEC);
}

static json_t *count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *list_prefixes(const struct config_prefixes *prefixes)
{
	json_t *list = json_array();
	for (size_t i = 0; i < prefixes->len; i++) {
		char text[IP_PREFIX_TEXT_MAX];
		json_array_append_new(list,
				      json_string(ip_prefix_format(&prefixes->items[i], text)));
	}
	return list;
}

static json_t *ip(const struct ip_addr *addr)
{
	char text[IP_ADDR_TEXT_MAX];
	return addr->family == 0 ? json_null() : json_string(ip_addr_format(addr, text));
}

static json_t *address(const union netaddr *at)
{
	struct multiaddr addr;
	char text[MULTIADDR_TEXT_MAX];
	if (at->sa.sa_family == 0)
		return json_null();
	netaddr_to_multiaddr(at, &addr);
	return json_string(multiaddr_format(&addr, text));
}

/* Beside the word: where, how far it came, and what that means. */
static void put_failure(json_t *o, const struct dial_failure *f)
{
	char id[PEER_ID_TEXT_MAX], text[TROUBLE_TEXT_MAX];
	bool any = f->why != ERR_OK;
	json_object_set_new(o, "last_dial_address", address(&f->at));
	json_object_set_new(o, "last_dial_stage",
			    any ? json_string(conn_state_name(f->reached)) : json_null());
	json_object_set_new(o, "last_dial_answered",
			    f->answered.len > 0 ? json_string(peer_id_format(&f->answered, id))
						: json_null());
	json_object_set_new(o, "last_dial_text",
			    any ? json_string(dial_failure_text(f, text)) : json_null());
}

static const char *state_of(const struct swarm_peer_info *s, enum breaker_state breaker)
{
	if (s->is_connected && breaker == BREAKER_OPEN)
		return "breaker open";
	if (s->is_connected)
		return s->is_suspect ? "not answering" : "connected";
	return s->is_dialling ? "dialling" : "down";
}

static json_t *streams_json(const struct dispatch_peer_info *p, nsec_t now)
{
	json_t *list = json_array();
	for (size_t i = 0; i < p->n_streams; i++) {
		const struct dispatch_stream_info *s = &p->streams[i];
		json_t *o = json_object();
		json_object_set_new(o, "state", json_string(pool_stream_state_name(s->state)));
		json_object_set_new(o, "age_s",
				    s->opened_at == 0
					    ? json_null()
					    : count(nsec_since(now, s->opened_at) / NSEC_PER_SEC));
		json_object_set_new(o, "connection_keys", count(s->n_keys));
		json_object_set_new(o, "queued_packets", count(s->queued_packets));
		json_object_set_new(o, "queued_bytes", count(s->queued_bytes));
		json_object_set_new(o, "in_flight_bytes", count(s->in_flight_bytes));
		json_object_set_new(o, "tx_packets", count(s->sent_packets));
		json_object_set_new(o, "tx_bytes", count(s->sent_bytes));
		json_object_set_new(o, "rtt_ms", ms(s->rtt));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *peer_json(const struct node_peer_info *p, nsec_t now)
{
	char id[PEER_ID_TEXT_MAX], addr[MULTIADDR_TEXT_MAX];
	const struct swarm_peer_info *s = &p->swarm;
	json_t *o = json_object();
	json_object_set_new(o, "id", json_string(peer_id_format(&p->conf->id, id)));
	json_object_set_new(o, "name", json_string(p->conf->name));
	json_object_set_new(o, "state", json_string(state_of(s, p->dispatch.breaker)));
	json_object_set_new(o, "connected", json_boolean(s->is_connected));
	json_object_set_new(o, "address",
			    s->is_connected ? json_string(multiaddr_format(&s->remote, addr))
					    : json_null());
	json_object_set_new(o, "dialled_by_us", json_boolean(s->is_connected && s->is_outbound));
	json_object_set_new(o, "dialling_address", address(&s->dialling));
	json_object_set_new(o, "last_dial_error",
			    s->failure.why == ERR_OK ? json_null()
						     : json_string(err_name(s->failure.why)));
	put_failure(o, &s->failure);
	json_object_set_new(o, "protocol",
			    p->protocol != NULL ? json_string(p->protocol) : json_null());
	json_object_set_new(o, "agent", json_string(p->agent));
	json_object_set_new(o, "rtt_ms", ms(s->rtt));
	json_object_set_new(o, "probe_rtt_ms", ms(p->dispatch.rtt));
	json_object_set_new(o, "connections", count(s->n_conns));
	json_object_set_new(o, "lanes", count(p->n_lanes + s->is_connected));
	json_object_set_new(o, "allowed_ips", list_prefixes(&p->conf->allowed_ips));
	json_object_set_new(o, "last_refused_source", ip(&p->refused_source));
	json_object_set_new(o, "rx_packets", count(p->rx_packets));
	json_object_set_new(o, "rx_bytes", count(p->rx_bytes));
	json_object_set_new(o, "tx_packets", count(p->dispatch.sent_packets));
	json_object_set_new(o, "tx_bytes", count(p->dispatch.sent_bytes));
	json_object_set_new(o, "dropped_packets", count(p->dropped_packets));
	json_object_set_new(o, "breaker", json_string(breaker_state_name(p->dispatch.breaker)));
	json_object_set_new(o, "load", json_real((double)p->dispatch.load / LOAD_SCORE_MAX));
	json_object_set_new(o, "connection_keys", count(p->dispatch.n_keys));
	json_object_set_new(o, "streams", streams_json(&p->dispatch, now));
	json_object_set_new(o, "further_lanes", count(p->n_lanes));
	json_object_set_new(o, "queued_packets", count(p->dispatch.queued_packets));
	json_object_set_new(o, "queued_bytes", count(p->dispatch.queued_bytes));
	return o;
}

static json_t *counters_json(const struct metrics *m)
{
	json_t *o = json_object();
	for (int i = 0; i < COUNTER_COUNT; i++)
		json_object_set_new(o, counter_name((enum counter)i), count(m->counters[i]));
	return o;
}

static json_t *drops_json(const struct metrics *m)
{
	json_t *o = json_object();
	for (int i = 0; i < DROP_COUNT; i++)
		json_object_set_new(o, drop_name((enum drop)i), count(m->drops[i]));
	return o;
}

/* Each one: the counts of its buckets up to the last that is not empty, and the sum of values. */
static json_t *histograms_json(const struct metrics *m)
{
	json_t *o = json_object();
	for (int h = 0; h < HISTOGRAM_COUNT; h++) {
		size_t len = HISTOGRAM_BUCKETS;
		while (len > 0 && m->histograms[h][len - 1] == 0)
			len--;
		json_t *buckets = json_array();
		for (size_t i = 0; i < len; i++)
			json_array_append_new(buckets, count(m->histograms[h][i]));
		json_t *one = json_object();
		json_object_set_new(one, "buckets", buckets);
		json_object_set_new(one, "sum", count(m->histogram_sums[h]));
		json_object_set_new(o, histogram_name((enum histogram)h), one);
	}
	return o;
}

static json_t *swarm_json(const struct swarm_stats *s)
{
	json_t *o = json_object();
	json_object_set_new(o, "accepted", count(s->accepted));
	json_object_set_new(o, "refused_limit", count(s->refused_limit));
	json_object_set_new(o, "refused_gated", count(s->refused_gated));
	json_object_set_new(o, "failed_inbound", count(s->failed_inbound));
	json_object_set_new(o, "failed_outbound", count(s->failed_outbound));
	json_object_set_new(o, "opened", count(s->opened));
	json_object_set_new(o, "closed", count(s->closed));
	json_object_set_new(o, "superseded", count(s->superseded));
	return o;
}

static json_t *listen_json(const struct node *node)
{
	struct multiaddr addrs[LISTEN_ADDRS_MAX];
	size_t n = node_listen_addrs(node, addrs, LISTEN_ADDRS_MAX);
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++) {
		char text[MULTIADDR_TEXT_MAX];
		json_array_append_new(list, json_string(multiaddr_format(&addrs[i], text)));
	}
	return list;
}

json_t *status_json(const struct node *node)
{
	const struct config *config = node_config(node);
	const struct swarm_stats swarm = node_swarm_stats(node);
	char id[PEER_ID_TEXT_MAX];
	json_t *peers = json_array();
	for (size_t i = 0; i < node_peer_count(node); i++) {
		struct node_peer_info info;
		node_peer_info(node, i, &info);
		json_array_append_new(peers, peer_json(&info, node_now(node)));
	}
	json_t *o = json_object();
	json_object_set_new(o, "version", json_string(RUNNEL_VERSION));
	json_object_set_new(o, "peer_id",
			    json_string(peer_id_format(identity_peer_id(node_identity(node)), id)));
	json_object_set_new(o, "interface", json_string(config->interface.name));
	json_object_set_new(o, "addresses", list_prefixes(&config->interface.addresses));
	json_object_set_new(o, "mtu", count(config->interface.mtu));
	json_object_set_new(o, "listen", listen_json(node));
	json_object_set_new(o, "shards", count(node_shard_count(node)));
	json_object_set_new(o, "uptime_s", count(node_uptime(node) / NSEC_PER_SEC));
	json_object_set_new(o, "peers", peers);
	const struct metrics metrics = node_metrics(node);
	json_object_set_new(o, "counters", counters_json(&metrics));
	json_object_set_new(o, "drops", drops_json(&metrics));
	json_object_set_new(o, "histograms", histograms_json(&metrics));
	struct ip_addr unrouted = node_unrouted(node);
	json_object_set_new(o, "last_unrouted_destination", ip(&unrouted));
	json_object_set_new(o, "connections", swarm_json(&swarm));
	return o;
}
