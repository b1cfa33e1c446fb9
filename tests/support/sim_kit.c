/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sim_kit.c - see sim_kit.h */
#include "support/sim_kit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "p2p/host/netaddr.h"

static void host_ip(size_t host, char text[16])
{
	snprintf(text, 16, "192.0.2.%u", (unsigned)host + 1);
}

struct world *world_new(uint64_t seed, size_t n_hosts)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_non_null(w);
	log_set_level(LOG_ERROR); /* hundreds of nodes: what they say is of no interest */
	assert_in_range(n_hosts, 1, KIT_HOSTS_MAX);
	w->seed = seed;
	w->n_hosts = n_hosts;
	assert_ok(sim_new(seed, &w->sim));
	for (size_t i = 0; i < n_hosts; i++) {
		char name[16], ip[16];
		snprintf(name, sizeof(name), "host%u", (unsigned)i);
		host_ip(i, ip);
		assert_ok(sim_host_new(w->sim, name, ip, &w->hosts[i]));
	}
	sim_run_until(w->sim, NSEC_PER_SEC);
	return w;
}

void world_end(struct world *w)
{
	for (size_t i = 0; i < w->n_hosts; i++) {
		if (w->swarms[i].swarm != NULL)
			world_swarm_end(w, i);
		if (w->nodes[i].node != NULL)
			world_node_end(w, i);
	}
	size_t left = sim_count_live(w->sim);
	if (left != 0)
		print_error("seed %llu: %zu sockets, timers or queries are left\n",
			    (unsigned long long)w->seed, left);
	assert_int_equal(left, 0);
	for (size_t i = 0; i < w->n_hosts; i++)
		assert_null(loop_free(world_loop(w, i)));
	sim_free(w->sim);
	free(w);
}

struct loop *world_loop(const struct world *w, size_t host)
{
	return sim_host_loop(w->hosts[host]);
}

void world_run(struct world *w, nsec_t duration)
{
	sim_run_until(w->sim, sim_now(w->sim) + duration);
}

bool world_becomes(struct world *w, bool (*done)(void *ctx), void *ctx, nsec_t within)
{
	return sim_run_while_not(w->sim, done, ctx, sim_now(w->sim) + within);
}

void world_until_at(struct world *w, bool (*done)(void *ctx), void *ctx, nsec_t within,
		    const char *what, const char *file, int line)
{
	if (world_becomes(w, done, ctx, within))
		return;
	print_error("seed %llu: not %s within %llu ms\n", (unsigned long long)w->seed, what,
		    (unsigned long long)(within / NSEC_PER_MSEC));
	_fail(file, line);
}

void world_path(struct world *w, size_t a, size_t b, struct sim_path path)
{
	sim_set_path(w->sim, w->hosts[a], w->hosts[b], path);
}

void world_cut(struct world *w, size_t a, size_t b, bool cut)
{
	world_path(w, a, b, (struct sim_path){.delay = NSEC_PER_MSEC, .cut = cut});
}

void world_move(struct world *w, size_t host, const char *ip)
{
	assert_ok(sim_host_move(w->hosts[host], ip));
}

struct identity *kit_identity(size_t host)
{
	uint8_t seed[IDENTITY_SEED_LEN];
	memset(seed, (int)host + 1, sizeof(seed));
	struct identity *identity;
	assert_ok(identity_from_seed(seed, &identity));
	return identity;
}

struct peer_id kit_peer_id(size_t host)
{
	struct identity *identity = kit_identity(host);
	struct peer_id id = *identity_peer_id(identity);
	identity_free(identity);
	return id;
}

struct multiaddr kit_addr(const char *text)
{
	struct multiaddr addr;
	assert_ok(multiaddr_parse(span_str(text), &addr));
	return addr;
}

struct multiaddr kit_host_addr(size_t host)
{
	char ip[16], text[64];
	host_ip(host, ip);
	snprintf(text, sizeof(text), "/ip4/%s/tcp/%d", ip, KIT_PORT);
	return kit_addr(text);
}

union netaddr kit_netaddr(const char *ip, uint16_t port)
{
	uint8_t bytes[4];
	assert_int_equal(inet_pton(AF_INET, ip, bytes), 1);
	return netaddr_from_ip(bytes, sizeof(bytes), port);
}

/* --- swarms ----------------------------------------------------------------------------------- */

static bool is_allowed(void *ctx, const struct peer_id *id)
{
	(void)id;
	return !((struct kit_swarm *)ctx)->refuses_all;
}

static void on_best(void *ctx, const struct peer_id *id, struct conn *best)
{
	struct kit_swarm *k = ctx;
	k->n_best++;
	assert_true(peer_id_equal(id, conn_peer(best)));
	assert_int_equal(conn_get_state(best), CONN_OPEN);
	if (k->on_best != NULL)
		k->on_best(k, best);
}

static void on_down(void *ctx, const struct peer_id *id, enum err why)
{
	struct kit_swarm *k = ctx;
	(void)id;
	k->n_down++;
	k->why_down = why;
}

static void on_refused(void *ctx, const struct peer_id *id, const union netaddr *from)
{
	struct kit_swarm *k = ctx;
	(void)from;
	k->n_refused++;
	k->refused = *id;
}

static void on_dial_failed(void *ctx, const struct peer_id *id, const struct dial_failure *failure)
{
	struct kit_swarm *k = ctx;
	(void)id;
	assert_int_not_equal(failure->why, ERR_OK);
	k->n_dial_failed++;
}

static void on_swarm_closed(void *ctx)
{
	struct kit_swarm *k = ctx;
	assert_false(k->is_closed);
	k->is_closed = true;
}

static const struct swarm_events swarm_events = {
	.is_allowed = is_allowed,
	.on_best = on_best,
	.on_down = on_down,
	.on_refused = on_refused,
	.on_dial_failed = on_dial_failed,
	.on_closed = on_swarm_closed,
};

struct kit_swarm *world_swarm(struct world *w, size_t host, const struct protocol *protocols,
			      size_t n_protocols)
{
	struct kit_swarm *k = &w->swarms[host];
	assert_null(k->swarm);
	*k = (struct kit_swarm){.identity = kit_identity(host)};
	k->conf = (struct swarm_conf){
		.loop = world_loop(w, host),
		.identity = k->identity,
		.tcp = {.notsent_lowat_bytes = 128 * 1024, .user_timeout_ms = 10000},
		.keepalive = SEC(15),
		.protocols = protocols,
		.n_protocols = n_protocols,
		.events = &swarm_events,
		.ctx = k,
	};
	assert_ok(swarm_new(&k->conf, &k->swarm));
	struct multiaddr any = kit_addr("/ip4/0.0.0.0/tcp/4001");
	assert_ok(swarm_listen(k->swarm, &any));
	return k;
}

void world_want_at(struct world *w, size_t host, size_t peer, const char *const *addrs, size_t n)
{
	struct multiaddr list[DIAL_ADDRS_MAX];
	assert_in_range(n, 0, ARRAY_LEN(list));
	for (size_t i = 0; i < n; i++)
		list[i] = kit_addr(addrs[i]);
	struct peer_id id = kit_peer_id(peer);
	assert_ok(swarm_add_peer(w->swarms[host].swarm, &id, list, n));
}

void world_want(struct world *w, size_t host, size_t peer)
{
	struct multiaddr addr = kit_host_addr(peer);
	struct peer_id id = kit_peer_id(peer);
	assert_ok(swarm_add_peer(w->swarms[host].swarm, &id, &addr, 1));
}

struct conn *world_best(const struct world *w, size_t host, size_t peer)
{
	struct peer_id id = kit_peer_id(peer);
	return swarm_best(w->swarms[host].swarm, &id);
}

static bool swarm_is_closed(void *ctx)
{
	return ((struct kit_swarm *)ctx)->is_closed;
}

void world_swarm_end(struct world *w, size_t host)
{
	struct kit_swarm *k = &w->swarms[host];
	swarm_close(k->swarm);
	assert_false(k->is_closed); /* "not before the call returns" */
	world_until(w, swarm_is_closed, k, NSEC_PER_SEC);
	assert_int_equal(swarm_conn_count(k->swarm), 0);
	k->swarm = swarm_free(k->swarm);
	k->identity = identity_free(k->identity);
}

static bool are_connected(void *ctx)
{
	struct world *w = ctx;
	return world_best(w, 0, 1) != NULL && world_best(w, 1, 0) != NULL;
}

struct world *world_connected(uint64_t seed, const struct protocol *protocols, size_t n_protocols)
{
	struct world *w = world_new(seed, 2);
	world_swarm(w, 0, protocols, n_protocols);
	world_swarm(w, 1, protocols, n_protocols);
	world_want(w, 0, 1);
	world_until(w, are_connected, w, NSEC_PER_SEC);
	return w;
}

/* --- nodes -------------------------------------------------------------------------------------
 */

static void on_node_closed(void *ctx)
{
	((struct kit_node *)ctx)->is_closed = true;
}

static void append(char *text, size_t cap, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void append(char *text, size_t cap, const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(text + len, cap - len, fmt, args);
	va_end(args);
	assert_in_range(n, 0, cap - len - 1);
}

static void append_peer(char *text, size_t cap, const struct kit_peer *p)
{
	unsigned number = (unsigned)p->host + 1;
	char id_text[128];
	struct peer_id id = kit_peer_id(p->host);
	append(text, cap, "  - id: %s\n    name: peer%u\n", peer_id_format(&id, id_text),
	       (unsigned)p->host);
	if (p->is_dialled)
		append(text, cap, "    addresses: [/ip4/192.0.2.%u/tcp/%d]\n", number, KIT_PORT);
	if (p->allowed_ips != NULL)
		append(text, cap, "    allowed_ips: [%s]\n", p->allowed_ips);
	else
		append(text, cap, "    allowed_ips: [10.7.0.%u/32, \"fd07::%u/128\"]\n", number,
		       number);
	if (p->protocol != NULL)
		append(text, cap, "    protocol: %s\n", p->protocol);
}

static struct config *make_config(size_t host, bool is_hidden, const struct kit_peer *peers,
				  size_t n_peers, const char *extra)
{
	char text[8192] = "";
	if (is_hidden)
		append(text, sizeof(text), "listen: []\n");
	else
		append(text, sizeof(text), "listen: [/ip4/0.0.0.0/tcp/%d]\n", KIT_PORT);
	append(text, sizeof(text),
	       "interface:\n  addresses: [10.7.0.%u/24, \"fd07::%u/64\"]\n  mtu: %d\n%s",
	       (unsigned)host + 1, (unsigned)host + 1, KIT_MTU, extra != NULL ? extra : "");
	append(text, sizeof(text), "peers:%s\n", n_peers == 0 ? " []" : "");
	for (size_t i = 0; i < n_peers; i++)
		append_peer(text, sizeof(text), &peers[i]);
	struct config *config;
	struct config_errors *errors = calloc(1, sizeof(*errors));
	assert_non_null(errors);
	if (config_parse(span_str(text), "test.yaml", &config, errors) != ERR_OK) {
		print_error("%s\n%s\n", text, errors->items[0].text);
		fail();
	}
	free(errors);
	return config;
}

struct kit_node *world_node(struct world *w, size_t host, const struct kit_peer *peers,
			    size_t n_peers, const char *extra)
{
	struct kit_node *k = &w->nodes[host];
	assert_null(k->node);
	*k = (struct kit_node){.identity = kit_identity(host)};
	k->config = make_config(host, w->is_hidden[host], peers, n_peers, extra);
	assert_ok(sim_tun_new(w->hosts[host], &k->tun));
	k->n_shards = w->n_shards[host] > 0 ? w->n_shards[host] : 1;
	struct node_shard further[KIT_SHARDS_MAX - 1];
	for (size_t i = 0; i + 1 < k->n_shards; i++) {
		assert_ok(sim_tun_new(w->hosts[host], &k->more[i]));
		further[i] = (struct node_shard){world_loop(w, host), k->more[i]};
	}
	struct node_conf conf = {
		.loop = world_loop(w, host),
		.further = further,
		.n_further = k->n_shards - 1,
		.config = k->config,
		.identity = k->identity,
		.tun = k->tun,
		.agent = "runnel/test",
		.on_closed = on_node_closed,
		.ctx = k,
	};
	assert_ok(node_new(&conf, &k->node));
	size_t bad;
	assert_ok(node_start(k->node, &bad));
	return k;
}

static bool node_is_closed(void *ctx)
{
	return ((struct kit_node *)ctx)->is_closed;
}

void world_node_end(struct world *w, size_t host)
{
	struct kit_node *k = &w->nodes[host];
	node_close(k->node);
	world_until(w, node_is_closed, k, NSEC_PER_SEC);
	k->node = node_free(k->node);
	k->identity = identity_free(k->identity);
	k->config = config_free(k->config);
	k->tun = NULL;
}

void world_mesh(struct world *w, size_t n)
{
	for (size_t host = 0; host < n; host++) {
		struct kit_peer peers[KIT_HOSTS_MAX];
		size_t n_peers = 0;
		for (size_t peer = 0; peer < n; peer++) {
			if (peer != host)
				peers[n_peers++] =
					(struct kit_peer){.host = peer, .is_dialled = peer < host};
		}
		world_node(w, host, peers, n_peers, NULL);
	}
}

bool kit_node_has_stream(const struct kit_node *k, size_t peer_index)
{
	struct node_peer_info info;
	node_peer_info(k->node, peer_index, &info);
	return info.protocol != NULL;
}

static void put_ones_complement(uint8_t *at, const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += load_be16(p + i);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	store_be16(at, (uint16_t)~sum);
}

size_t kit_packet(uint8_t *buf, size_t from, size_t to, uint32_t number, size_t len)
{
	assert_in_range(len, 32, PACKET_LEN_MAX);
	memset(buf, (int)(number & 0xff), len);
	memset(buf, 0, 28);
	buf[0] = 0x45;
	store_be16(buf + 2, (uint16_t)len);
	buf[8] = 64;
	buf[9] = IPPROTO_UDP;
	const uint8_t source[4] = {10, 7, 0, (uint8_t)(from + 1)};
	const uint8_t destination[4] = {10, 7, 0, (uint8_t)(to + 1)};
	memcpy(buf + 12, source, 4);
	memcpy(buf + 16, destination, 4);
	put_ones_complement(buf + 10, buf, 20);
	store_be16(buf + 20, 1000);
	store_be16(buf + 22, 2000);
	store_be16(buf + 24, (uint16_t)(len - 20));
	store_be32(buf + 28, number);
	return len;
}

void world_send(struct world *w, size_t from, size_t to, uint32_t number, size_t len)
{
	uint8_t packet[PACKET_LEN_MAX];
	kit_packet(packet, from, to, number, len);
	assert_ok(sim_tun_send(w->nodes[from].tun, span_of(packet, len)));
}

static struct sock *tun_of(const struct kit_node *k, size_t shard)
{
	return shard == 0 ? k->tun : k->more[shard - 1];
}

void world_send_on(struct world *w, size_t from, size_t shard, struct span packet)
{
	assert_ok(sim_tun_send(tun_of(&w->nodes[from], shard), packet));
}

bool world_receive_on(struct world *w, size_t host, size_t shard, uint8_t *buf, size_t cap,
		      size_t *ret_len)
{
	enum err e = sim_tun_receive(tun_of(&w->nodes[host], shard), buf, cap, ret_len);
	if (e != ERR_EMPTY)
		assert_ok(e);
	return e == ERR_OK;
}

bool world_receive(struct world *w, size_t host, uint8_t *buf, size_t cap, size_t *ret_len)
{
	enum err e = sim_tun_receive(w->nodes[host].tun, buf, cap, ret_len);
	if (e != ERR_EMPTY)
		assert_ok(e);
	return e == ERR_OK;
}

uint32_t kit_packet_number(const uint8_t *packet, size_t len)
{
	assert_in_range(len, 32, PACKET_LEN_MAX);
	return load_be32(packet + 28);
}

uint64_t kit_drops(const struct kit_node *k, enum drop reason)
{
	struct metrics m = node_metrics(k->node);
	return m.drops[reason];
}

uint64_t kit_counter(const struct kit_node *k, enum counter counter)
{
	struct metrics m = node_metrics(k->node);
	return m.counters[counter];
}

uint64_t kit_seeds(uint64_t usual)
{
	const char *text = getenv("RUNNEL_SIM_SEEDS");
	return text != NULL ? strtoull(text, NULL, 10) : usual;
}
