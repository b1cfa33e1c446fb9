/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatch_rig.c - see dispatch_rig.h */
#include "support/dispatch_rig.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"

enum {
	PACKETS = 4096, /* of the pool */
};

struct rig_link {
	struct rig *rig;
	const struct link_user_ops *user_ops;
	void *user;
	struct rig_link *next_woken, *next_news;
	bool is_woken, is_open, is_ending;
	enum err why;
};

static void must(enum err e)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "dispatch_rig: %s\n", err_text(e));
	abort();
}

static void *must_have(void *memory)
{
	must(memory == NULL ? ERR_NO_MEMORY : ERR_OK);
	return memory;
}

/* --- the loop: time stands still until it is moved ------------------------------------- */

static struct rig *rig_of(struct loop *loop)
{
	return CONTAINER_OF(loop, struct rig, loop);
}

static nsec_t now(struct loop *loop)
{
	return rig_of(loop)->now;
}

/* Different numbers, the same in each run. */
static void fill_random(struct loop *loop, void *buf, size_t len)
{
	struct rig *rig = rig_of(loop);
	uint8_t *p = buf;
	for (size_t i = 0; i < len; i++) {
		rig->random = rig->random * 6364136223846793005u + 1442695040888963407u;
		p[i] = (uint8_t)(rig->random >> 56);
	}
}

/* Each turn looks for due timers and for tasks anyway. */
static void arm(struct loop *loop, nsec_t at)
{
	(void)loop;
	(void)at;
}

static void have_task(struct loop *loop)
{
	(void)loop;
}

/* There is one thread. */
static bool is_here(struct loop *loop)
{
	(void)loop;
	return true;
}

static const struct loop_ops loop_ops = {
	.now = now,
	.random = fill_random,
	.arm = arm,
	.have_task = have_task,
	.is_here = is_here,
};

/* --- streams --------------------------------------------------------------------------- */

static void tell_later(struct rig_link *link)
{
	link->next_news = link->rig->news;
	link->rig->news = link;
}

static enum err link_open(void *ctx, const struct peer_id *peer, const struct link_user_ops *ops,
			  void *user, void **ret_link)
{
	(void)peer;
	struct rig_link *link = must_have(calloc(1, sizeof(*link)));
	link->rig = ctx;
	link->user_ops = ops;
	link->user = user;
	tell_later(link);
	*ret_link = link;
	return ERR_OK;
}

static void link_wake(void *opaque)
{
	struct rig_link *link = opaque;
	struct rig *rig = link->rig;
	if (link->is_woken)
		return;
	link->is_woken = true;
	link->next_woken = NULL;
	if (rig->woken == NULL)
		rig->woken = link;
	else
		rig->woken_last->next_woken = link;
	rig->woken_last = link;
}

static void end(struct rig_link *link, enum err why)
{
	if (link->is_ending)
		return;
	link->is_ending = true;
	link->why = why;
	if (link->is_open)
		tell_later(link);
}

static void link_finish(void *opaque)
{
	end(opaque, ERR_OK);
}

static void link_reset(void *opaque, enum err why)
{
	end(opaque, why);
}

static void link_facts(void *opaque, struct link_facts *ret)
{
	*ret = (struct link_facts){.conn = (uintptr_t)opaque};
}

static void demand(void *ctx, const struct peer_id *peer)
{
	(void)ctx;
	(void)peer;
}

static const struct stream_service_ops stream_ops = {
	.open = link_open,
	.wake = link_wake,
	.finish = link_finish,
	.reset = link_reset,
	.facts = link_facts,
	.demand = demand,
};

static const struct frame_hello peer_hello = {
	.version = FRAME_VERSION,
	.mtu = 1420,
	.capabilities = FRAME_CAN_PROBE,
	.payload_len_max = FRAME_PAYLOAD_LEN_MAX,
};

static void greet(struct rig_link *link)
{
	uint8_t hello[FRAME_HEADER_LEN + FRAME_HELLO_LEN_SENT_MAX];
	struct wbuf out = wbuf_of(hello, sizeof(hello));
	frame_put_hello(&out, &peer_hello);
	link->is_open = true;
	link->user_ops->on_open(link->user, PACKET_FRAMING_RUNNEL);
	if (!link->is_ending)
		link->user_ops->on_data(link->user, wbuf_view(&out));
}

static void tell_news(struct rig *rig)
{
	struct rig_link *link = rig->news;
	rig->news = NULL;
	while (link != NULL) {
		struct rig_link *next = link->next_news;
		if (!link->is_ending) {
			greet(link);
		} else if (link->is_woken) {
			tell_later(link);
		} else {
			link->user_ops->on_close(link->user, link->why);
			free(link);
		}
		link = next;
	}
}

/* Ended links leave the list here; they are freed only then. */
static void pull_all(struct rig *rig)
{
	static uint8_t record[NOISE_PLAIN_LEN_MAX];
	struct rig_link *link = rig->woken;
	rig->woken = NULL;
	while (link != NULL) {
		struct rig_link *next = link->next_woken;
		size_t n = sizeof(record);
		link->is_woken = false;
		while (n == sizeof(record) && !link->is_ending) {
			n = link->user_ops->pull(link->user, record, sizeof(record));
			rig->pulled_bytes += n;
			rig->n_pulls++;
		}
		link = next;
	}
}

void rig_turn(struct rig *rig)
{
	if (!rig->is_full)
		pull_all(rig);
	tell_news(rig);
	loop_run_timers(&rig->loop, rig->now);
	loop_run_tasks(&rig->loop);
}

/* --- who owns what --------------------------------------------------------------------- */

static enum err find(void *ctx, const struct ip_addr *ip, struct peer_id *ret_peer)
{
	const struct rig *rig = ctx;
	uint32_t i = route_table_find(rig->routes, ip);
	if (i == ROUTE_NONE)
		return ERR_NOT_FOUND;
	*ret_peer = rig->peers[i];
	return ERR_OK;
}

static const struct peer_discovery_ops discovery_ops = {.find = find};

static void make_peers(struct rig *rig, size_t n)
{
	assert(n > 0 && n <= 65536);
	struct route *routes = must_have(calloc(n, sizeof(*routes)));
	rig->peers = must_have(calloc(n, sizeof(*rig->peers)));
	rig->n_peers = n;
	for (size_t i = 0; i < n; i++) {
		const uint8_t ip[4] = {10, (uint8_t)(i / 256), (uint8_t)i, 0};
		routes[i] = (struct route){.prefix = {.addr = ip_addr_v4(ip), .len = 24},
					   .peer = (uint32_t)i};
		/* The hash of a key, as far as it goes here: its first bytes say what it is. */
		struct peer_id *id = &rig->peers[i];
		id->len = 34;
		fill_random(&rig->loop, id->bytes, id->len);
		id->bytes[0] = 0x12;
		id->bytes[1] = 32;
	}
	must(route_table_new(routes, n, &rig->routes));
	free(routes);
}

/* --- packets --------------------------------------------------------------------------- */

void rig_put_packet(uint8_t *packet, size_t len)
{
	assert(len >= RIG_PACKET_LEN_MIN && len <= PACKET_LEN_MAX);
	memset(packet, 0x5a, len);
	memset(packet, 0, RIG_PACKET_LEN_MIN);
	packet[0] = 0x45;
	store_be16(packet + 2, (uint16_t)len);
	packet[8] = 64;
	packet[9] = IPPROTO_UDP;
	store_be32(packet + 12, 0x0affffff);
	store_be16(packet + 24, (uint16_t)(len - 20));
}

struct rig_key rig_key(const struct rig *rig, size_t i)
{
	enum {
		PORTS = 60000,
		PORT_MIN = 1024,
	};
	size_t peer = i % rig->n_peers, number = i / rig->n_peers;
	struct rig_key key = {{10, (uint8_t)(peer / 256), (uint8_t)peer, 1}, {0}};
	store_be16(key.ports, (uint16_t)(PORT_MIN + number % PORTS));
	store_be16(key.ports + 2, (uint16_t)(PORT_MIN + number / PORTS));
	return key;
}

struct packet *rig_packet(struct rig *rig, size_t i, size_t len)
{
	struct rig_key key = rig_key(rig, i);
	struct packet *p = packet_alloc(rig->packets, len);
	if (p == NULL)
		abort();
	rig_put_packet(p->data, len);
	rig_address(p->data, &key);
	p->len = (uint32_t)len;
	return p;
}

/* --- life ------------------------------------------------------------------------------ */

static void on_closed(void *ctx, uint64_t dropped)
{
	struct rig *rig = ctx;
	(void)dropped;
	rig->is_closed = true;
}

/* Those of a node, but for what its peers cannot do: they do not answer probes. */
static struct dispatch_settings make_settings(void)
{
	return (struct dispatch_settings){
		.streams_min = 1,
		.streams_max = 4,
		.stream_idle_timeout = 300 * NSEC_PER_SEC,
		.stream_cleanup_interval = 60 * NSEC_PER_SEC,
		.worker_idle_timeout = 300 * NSEC_PER_SEC,
		.worker_cleanup_interval = 60 * NSEC_PER_SEC,
		.queue = {.codel = {.target = 5 * NSEC_PER_MSEC,
				    .interval = 100 * NSEC_PER_MSEC,
				    .mtu_bytes = 1420},
			  .packets_max = 1000,
			  .worker_packets_max = 1000},
		.peer_packets_max = 1000,
		.peer_bytes_max = 8 * 1024 * 1024,
		.health = {.interval = 86400 * NSEC_PER_SEC,
			   .timeout = 86400 * NSEC_PER_SEC,
			   .failures = 3},
		.breaker = BREAKER_CONF_DEFAULT,
		.retry = RETRY_CONF_DEFAULT,
		.hello = {.version = FRAME_VERSION,
			  .mtu = 1420,
			  .capabilities = FRAME_CAN_OFFLOAD | FRAME_CAN_PROBE,
			  .payload_len_max = FRAME_PAYLOAD_LEN_MAX},
		.vpn_mtu = 1420,
	};
}

void rig_init(struct rig *rig, size_t n_peers)
{
	*rig = (struct rig){.now = NSEC_PER_SEC};
	loop_init(&rig->loop, &loop_ops);
	make_peers(rig, n_peers);
	must(packet_pool_new(PACKETS, 0, &rig->packets));
	struct dispatcher_conf conf = {
		.loop = &rig->loop,
		.discovery = {.ops = &discovery_ops, .ctx = rig},
		.streams = {.ops = &stream_ops, .ctx = rig},
		.packets = rig->packets,
		.metrics = &rig->metrics,
		.settings = make_settings(),
		.on_closed = on_closed,
		.ctx = rig,
	};
	must(dispatcher_new(&conf, &rig->dispatcher));
	for (size_t i = 0; i < n_peers; i++)
		must(dispatcher_peer_up(rig->dispatcher, &rig->peers[i]));
	/* Open, say HELLO, probe: three turns. */
	for (int i = 0; i < 3; i++)
		rig_turn(rig);
}

void rig_deinit(struct rig *rig)
{
	rig->is_full = false;
	dispatcher_close(rig->dispatcher, rig->now);
	while (!rig->is_closed) {
		rig->now += 10 * NSEC_PER_MSEC;
		rig_turn(rig);
	}
	dispatcher_free(rig->dispatcher);
	packet_pool_free(rig->packets);
	route_table_free(rig->routes);
	free(rig->peers);
}
