/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The n-th allocation fails, for every n: two swarms, two pairs of swarms for a lane each, then two
 * nodes, are made on the simulator, connect, carry what they are for, and are closed. One failure
 * may refuse the start, or cost a retry, and no more; where every allocation from the n-th on
 * fails, closing still works, and so does all else once there is memory again. Nothing crashes,
 * hangs or is left behind, which sanitizers see to as well.
 */
#include "support/failing_memory.h"
#include "support/testkit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "loop/loop_sim.h"
#include "p2p/host/swarm.h"
#include "p2p/protocol/identify.h"
#include "p2p/protocol/ping.h"
#include "vpn/node/node.h"

enum {
	PORT = 4001,
	STEPS_MAX = 60, /* seconds of the simulator within which all must work */
	DROUGHT = 15,   /* seconds without any memory */
};

/* --- two of a kind --------------------------------------------------------------------------- */

struct side {
	struct sim_host *host;
	struct identity *identity;
	struct config *config;
	struct swarm *swarm;
	struct swarm *lane; /* another swarm, for lane 1; NULL in most scenarios */
	unsigned n_closed;  /* of the two */
	struct identify identify;
	struct node *node;
	struct sock *tun;
	bool is_closed;
};

struct pair {
	struct sim *sim;
	struct side sides[2];
	struct ping *ping;
	unsigned n_pongs;
	unsigned n_packets;
};

struct scenario {
	/* false: refused, for lack of memory. */
	bool (*start)(struct pair *p, size_t i);
	/* Once a second. true: all has worked. */
	bool (*work)(struct pair *p);
	void (*close)(struct side *side);
	void (*free)(struct side *side);
};

static void make_pair(struct pair *p, const char *config)
{
	assert_ok(sim_new(1, &p->sim));
	for (size_t i = 0; i < 2; i++) {
		struct side *side = &p->sides[i];
		uint8_t seed[IDENTITY_SEED_LEN] = {(uint8_t)(i + 1)};
		char ip[32];
		snprintf(ip, sizeof(ip), "192.0.2.%zu", i + 1);
		assert_ok(sim_host_new(p->sim, ip, ip, &side->host));
		assert_ok(identity_from_seed(seed, &side->identity));
	}
	for (size_t i = 0; i < 2 && config != NULL; i++) {
		struct side *side = &p->sides[i];
		char text[1024], id[PEER_ID_TEXT_MAX];
		unsigned own = (unsigned)i + 1, other = 2 - (unsigned)i;
		peer_id_format(identity_peer_id(p->sides[1 - i].identity), id);
		snprintf(text, sizeof(text),
			 "listen: [/ip4/0.0.0.0/tcp/%d]\n"
			 "interface: {addresses: [10.7.0.%u/24], mtu: 1400}\n"
			 "queue: {packets: 16}\n"
			 "peers:\n"
			 "  - {id: %s, name: other, allowed_ips: [10.7.0.%u/32], protocol: %s%s}\n",
			 PORT, own, id, other, config,
			 i == 0 ? ", addresses: [/ip4/192.0.2.2/tcp/4001]" : "");
		struct config_errors *errors = calloc(1, sizeof(*errors));
		assert_non_null(errors);
		if (config_parse(span_str(text), "test", &side->config, errors) != ERR_OK)
			fail_msg("%s", errors->items[0].text);
		free(errors);
	}
}

static void free_pair(struct pair *p)
{
	for (size_t i = 0; i < 2; i++) {
		identity_free(p->sides[i].identity);
		config_free(p->sides[i].config);
	}
	assert_int_equal(sim_count_live(p->sim), 0);
	sim_free(p->sim);
}

static bool are_closed(void *ctx)
{
	const struct pair *p = ctx;
	return p->sides[0].is_closed && p->sides[1].is_closed;
}

enum mode {
	FAIL_ONCE,
	FAIL_FOR_A_WHILE, /* DROUGHT */
	FAIL_TO_THE_END,
};

/* Start, work, close. `n`: which allocation fails. Returns false when there were fewer. */
static bool run_once(const struct scenario *scenario, const char *config, size_t n, enum mode mode)
{
	struct pair p = {.n_pongs = 0};
	make_pair(&p, config);
	failing_memory_arm(n, mode != FAIL_ONCE);

	size_t started = 0;
	while (started < 2 && scenario->start(&p, started))
		started++;
	bool has_worked = false;
	int steps = mode == FAIL_TO_THE_END ? DROUGHT : STEPS_MAX;
	for (int i = 0; started == 2 && i < steps && !has_worked; i++) {
		if (mode == FAIL_FOR_A_WHILE && i == DROUGHT)
			failing_memory_disarm();
		sim_run_until(p.sim, sim_now(p.sim) + NSEC_PER_SEC);
		has_worked = scenario->work(&p);
	}
	bool has_failed = failing_memory_has_failed();
	for (size_t i = 0; i < 2; i++) {
		if (i < started)
			scenario->close(&p.sides[i]);
		else
			p.sides[i].is_closed = true;
	}
	bool has_closed = sim_run_while_not(p.sim, are_closed, &p, sim_now(p.sim) + NSEC_PER_SEC);
	failing_memory_disarm();

	if (!has_closed)
		fail_msg("allocation %zu, mode %d: does not close", n, mode);
	if (started == 2 && mode != FAIL_TO_THE_END && !has_worked)
		fail_msg("allocation %zu, mode %d: never recovered", n, mode);
	for (size_t i = 0; i < started; i++)
		scenario->free(&p.sides[i]);
	free_pair(&p);
	return has_failed;
}

static void torture(const struct scenario *scenario, const char *config)
{
	size_t n = 1;
	while (run_once(scenario, config, n, FAIL_ONCE))
		n++;
	assert_in_range(n, 20, 10000); /* it was not the test that stood idle */
	for (size_t i = 1; i < n; i++) {
		run_once(scenario, config, i, FAIL_FOR_A_WHILE);
		run_once(scenario, config, i, FAIL_TO_THE_END);
	}
	print_message("# %zu allocations\n", n - 1);
}

/* --- swarms ---------------------------------------------------------------------------------- */

static bool allow_all(void *ctx, const struct peer_id *id)
{
	(void)ctx;
	(void)id;
	return true;
}

static void on_best(void *ctx, const struct peer_id *id, struct conn *best)
{
	struct side *side = ctx;
	(void)id;
	if (identify_request(&side->identify, best) != ERR_OK)
		return; /* for lack of memory: nobody needs it */
}

static void on_down(void *ctx, const struct peer_id *id, enum err why)
{
	(void)ctx;
	(void)id;
	(void)why;
}

static void on_swarm_closed(void *ctx)
{
	((struct side *)ctx)->is_closed = true;
}

static const struct swarm_events swarm_events = {
	.is_allowed = allow_all,
	.on_best = on_best,
	.on_down = on_down,
	.on_closed = on_swarm_closed,
};

static bool start_swarm(struct pair *p, size_t i)
{
	static struct protocol protocols[2][2];
	struct side *side = &p->sides[i];
	protocols[i][0] = (struct protocol){PING_PROTOCOL, &ping_responder_ops, NULL};
	protocols[i][1] =
		(struct protocol){IDENTIFY_PROTOCOL, &identify_responder_ops, &side->identify};
	side->identify.conf = (struct identify_conf){
		.agent = "torture", .protocols = protocols[i], .n_protocols = 2};
	struct swarm_conf conf = {
		.loop = sim_host_loop(side->host),
		.identity = side->identity,
		.keepalive = 15 * NSEC_PER_SEC,
		.protocols = protocols[i],
		.n_protocols = 2,
		.events = &swarm_events,
		.ctx = side,
	};
	if (swarm_new(&conf, &side->swarm) != ERR_OK)
		return false;
	struct multiaddr at;
	union netaddr any = {.in4 = {.sin_family = AF_INET, .sin_port = htons(PORT)}};
	if (i == 1)
		any.in4.sin_addr.s_addr = htonl(0xc0000202);
	else
		any.in4.sin_addr.s_addr = htonl(0xc0000201);
	uint8_t ip[4];
	memcpy(ip, &any.in4.sin_addr, sizeof(ip));
	multiaddr_from_ip_tcp(ip, sizeof(ip), PORT, &at);
	enum err e = swarm_listen(side->swarm, &at);
	/* The later one dials. */
	if (e == ERR_OK && i == 1) {
		uint8_t other[4] = {192, 0, 2, 1};
		multiaddr_from_ip_tcp(other, sizeof(other), PORT, &at);
		e = swarm_add_peer(side->swarm, identity_peer_id(p->sides[0].identity), &at, 1);
	}
	if (e == ERR_OK)
		return true;
	side->swarm = swarm_free(side->swarm);
	return false;
}

static void on_pong(void *ctx, enum err result, nsec_t rtt)
{
	(void)rtt;
	struct pair *p = ctx;
	p->ping = NULL;
	p->n_pongs += result == ERR_OK;
}

static bool work_swarm(struct pair *p)
{
	if (p->n_pongs > 0)
		return true;
	struct conn *best = swarm_best(p->sides[1].swarm, identity_peer_id(p->sides[0].identity));
	if (best != NULL && p->ping == NULL && ping_send(best, on_pong, p, &p->ping) != ERR_OK)
		p->ping = NULL;
	return false;
}

static void close_swarm(struct side *side)
{
	swarm_close(side->swarm);
}

static void free_swarm(struct side *side)
{
	side->swarm = swarm_free(side->swarm);
}

static void test_swarms_outlive_any_allocation_that_fails(void **state)
{
	(void)state;
	static const struct scenario scenario = {start_swarm, work_swarm, close_swarm, free_swarm};
	torture(&scenario, NULL);
}

/* --- lanes ----------------------------------------------------------------------------------- */

static bool takes_lane(void *ctx, const struct peer_id *id, uint32_t lane)
{
	(void)ctx;
	(void)id;
	return lane == 1;
}

static void on_lane(void *ctx, struct conn_baton *baton)
{
	struct side *side = ctx;
	if (swarm_adopt(side->lane, baton) != ERR_OK)
		return; /* for lack of memory: the dialler comes again */
}

static void on_one_closed(void *ctx)
{
	struct side *side = ctx;
	side->is_closed = ++side->n_closed == 2;
}

static const struct swarm_events lane_events = {
	.is_allowed = allow_all,
	.on_best = on_best,
	.on_down = on_down,
	.takes_lane = takes_lane,
	.on_lane = on_lane,
	.on_closed = on_one_closed,
};

/* Lane 0 only listens; the later one dials lane 1. */
static bool start_lanes(struct pair *p, size_t i)
{
	static const struct protocol protocols[] = {{PING_PROTOCOL, &ping_responder_ops, NULL}};
	struct side *side = &p->sides[i];
	side->identify.conf = (struct identify_conf){.agent = "torture"};
	struct swarm_conf conf = {
		.loop = sim_host_loop(side->host),
		.identity = side->identity,
		.keepalive = 15 * NSEC_PER_SEC,
		.protocols = protocols,
		.n_protocols = ARRAY_LEN(protocols),
		.events = &lane_events,
		.ctx = side,
	};
	uint8_t ip[4] = {192, 0, 2, (uint8_t)(i + 1)};
	struct multiaddr at;
	enum err e = swarm_new(&conf, &side->swarm);
	conf.lane = 1;
	if (e == ERR_OK)
		e = swarm_new(&conf, &side->lane);
	multiaddr_from_ip_tcp(ip, sizeof(ip), PORT, &at);
	if (e == ERR_OK)
		e = swarm_listen(side->swarm, &at);
	ip[3] = 1;
	multiaddr_from_ip_tcp(ip, sizeof(ip), PORT, &at);
	if (e == ERR_OK && i == 1)
		e = swarm_add_peer(side->lane, identity_peer_id(p->sides[0].identity), &at, 1);
	if (e == ERR_OK)
		return true;
	side->swarm = swarm_free(side->swarm);
	side->lane = swarm_free(side->lane);
	return false;
}

static bool work_lanes(struct pair *p)
{
	if (p->n_pongs > 0)
		return true;
	struct conn *best = swarm_best(p->sides[1].lane, identity_peer_id(p->sides[0].identity));
	if (best != NULL && p->ping == NULL && ping_send(best, on_pong, p, &p->ping) != ERR_OK)
		p->ping = NULL;
	return false;
}

static void close_lanes(struct side *side)
{
	swarm_close(side->swarm);
	swarm_close(side->lane);
}

static void free_lanes(struct side *side)
{
	side->swarm = swarm_free(side->swarm);
	side->lane = swarm_free(side->lane);
}

static void test_lanes_outlive_any_allocation_that_fails(void **state)
{
	(void)state;
	static const struct scenario scenario = {start_lanes, work_lanes, close_lanes, free_lanes};
	torture(&scenario, NULL);
}

/* --- nodes ----------------------------------------------------------------------------------- */

static bool start_node(struct pair *p, size_t i)
{
	struct side *side = &p->sides[i];
	struct sock *tun;
	if (sim_tun_new(side->host, &tun) != ERR_OK)
		return false;
	struct node_conf conf = {
		.loop = sim_host_loop(side->host),
		.config = side->config,
		.identity = side->identity,
		.tun = tun,
		.agent = "torture",
		.on_closed = on_swarm_closed,
		.ctx = side,
	};
	if (node_new(&conf, &side->node) != ERR_OK) {
		sock_close(tun, false);
		return false;
	}
	side->tun = tun;
	size_t bad;
	if (node_start(side->node, &bad) == ERR_OK)
		return true;
	/* As the daemon does it. */
	node_close(side->node);
	sim_run_until(p->sim, sim_now(p->sim) + NSEC_PER_SEC);
	side->node = node_free(side->node);
	return false;
}

/* A packet each way, once a second. */
static bool work_node(struct pair *p)
{
	unsigned arrived = 0;
	for (size_t i = 0; i < 2; i++) {
		uint8_t bytes[2048], own = (uint8_t)(i + 1), other = (uint8_t)(2 - i);
		size_t len;
		while (sim_tun_receive(p->sides[i].tun, bytes, sizeof(bytes), &len) == ERR_OK)
			p->n_packets |= len == 28 && bytes[9] == 17 ? 1u << i : 0;
		uint8_t packet[28] = {0x45, 0, 0,  28, 0, 0,   0,  0, 64, 17,
				      0,    0, 10, 7,  0, own, 10, 7, 0,  other};
		uint32_t sum = 0x4500u + 28 + (64u << 8) + 17 + 2 * 0x0a07u + own + other;
		store_be16(packet + 10, (uint16_t) ~((sum & 0xffff) + (sum >> 16)));
		if (sim_tun_send(p->sides[i].tun, span_of(packet, sizeof(packet))) == ERR_OK)
			arrived++;
	}
	return p->n_packets == 3 && arrived == 2;
}

static void close_node(struct side *side)
{
	node_close(side->node);
}

static void free_node(struct side *side)
{
	side->node = node_free(side->node);
}

static const struct scenario nodes = {start_node, work_node, close_node, free_node};

static void test_nodes_outlive_any_allocation_that_fails(void **state)
{
	(void)state;
	torture(&nodes, "runnel");
}

static void test_nodes_with_the_other_protocol_do_so_too(void **state)
{
	(void)state;
	torture(&nodes, "vpn");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_swarms_outlive_any_allocation_that_fails),
		cmocka_unit_test(test_lanes_outlive_any_allocation_that_fails),
		cmocka_unit_test(test_nodes_outlive_any_allocation_that_fails),
		cmocka_unit_test(test_nodes_with_the_other_protocol_do_so_too),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("torture", tests, NULL, NULL);
}
