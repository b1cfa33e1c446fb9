/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Meshes of nodes on paths that go wrong at random: cuts, resets, slow and long ones, moves and
 * restarts. What must hold afterwards: everyone reaches everyone, one connection for each pair,
 * and nothing is left behind.
 */
#include <stdio.h>

#include "base/util.h"
#include "support/sim_kit.h"

enum {
	NODES = 4,
};

static uint64_t next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static struct sim_path random_path(uint64_t *r)
{
	return (struct sim_path){
		.delay = MSEC(1 + next(r) % 60),
		.jitter = MSEC(next(r) % 20),
		.rate_bytes_per_sec = next(r) % 3 == 0 ? 200000 + next(r) % 1000000 : 0,
		.break_per_million = next(r) % 3 == 0 ? 5000 : 0,
		.cut = next(r) % 4 == 0,
	};
}

static void some_traffic(struct world *w, uint64_t *r, uint32_t *number)
{
	size_t from = next(r) % NODES, to = next(r) % NODES;
	uint8_t packet[KIT_MTU];
	size_t len = 32 + next(r) % (KIT_MTU - 32);
	kit_packet(packet, from, to, ++*number, len);
	enum err e = sim_tun_send(w->nodes[from].tun, span_of(packet, len));
	assert_true(e == ERR_OK || e == ERR_FULL);
}

static void restart(struct world *w, size_t host)
{
	world_node_end(w, host);
	struct kit_peer peers[NODES];
	size_t n = 0;
	for (size_t peer = 0; peer < NODES; peer++) {
		if (peer != host)
			peers[n++] = (struct kit_peer){.host = peer, .is_dialled = true};
	}
	world_node(w, host, peers, n, NULL);
}

static void trouble(struct world *w, uint64_t *r, uint32_t *number)
{
	size_t a = next(r) % NODES, b = (a + 1 + next(r) % (NODES - 1)) % NODES;
	switch (next(r) % 12) {
	case 0:
		restart(w, a);
		break;
	case 1:
		node_network_changed(w->nodes[a].node);
		break;
	default:
		world_path(w, a, b, random_path(r));
		break;
	}
	for (size_t i = 0; i < 40; i++) {
		some_traffic(w, r, number);
		if (i % 4 == 0)
			world_run(w, MSEC(next(r) % 200));
	}
}

static void empty_tuns(struct world *w, size_t n)
{
	uint8_t buf[2 * KIT_MTU];
	size_t len;
	for (size_t i = 0; i < n; i++) {
		while (world_receive(w, i, buf, sizeof(buf), &len))
			;
	}
}

/* A packet from `from` arrives at `to`, now. */
static bool reaches(struct world *w, size_t from, size_t to, uint32_t number)
{
	uint8_t buf[2 * KIT_MTU];
	size_t len;
	bool has_arrived = false;
	world_send(w, from, to, number, 100);
	world_run(w, MSEC(100));
	while (world_receive(w, to, buf, sizeof(buf), &len))
		has_arrived |= buf[9] == IPPROTO_UDP && kit_packet_number(buf, len) == number;
	return has_arrived;
}

static void assert_whole(struct world *w, uint32_t number)
{
	for (size_t from = 0; from < NODES; from++) {
		for (size_t to = 0; to < NODES; to++) {
			if (from != to && !reaches(w, from, to, ++number))
				fail_msg("seed %llu: %zu does not reach %zu",
					 (unsigned long long)w->seed, from, to);
		}
	}
	for (size_t i = 0; i < NODES; i++) {
		for (size_t peer = 0; peer < node_peer_count(w->nodes[i].node); peer++) {
			struct node_peer_info info;
			node_peer_info(w->nodes[i].node, peer, &info);
			if (info.swarm.n_conns != 1 || info.swarm.is_suspect)
				fail_msg("seed %llu: host %zu has %zu connections to its peer %zu",
					 (unsigned long long)w->seed, i, info.swarm.n_conns, peer);
		}
	}
}

static void test_a_mesh_heals_after_any_trouble(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(15); seed++) {
		struct world *w = world_new(seed, NODES);
		uint64_t r = seed;
		uint32_t number = 0;
		world_mesh(w, NODES);
		for (size_t i = 0; i < 25; i++)
			trouble(w, &r, &number);
		for (size_t a = 0; a < NODES; a++) {
			for (size_t b = a + 1; b < NODES; b++)
				world_path(w, a, b, (struct sim_path){.delay = MSEC(10)});
		}
		world_run(w, SEC(45)); /* a pair without packets may wait its back-off */
		empty_tuns(w, NODES);
		assert_whole(w, 1u << 30);
		world_end(w);
	}
}

/* Both dial, both lose the path, both come back at once: no connection is closed for the other. */
static void test_a_pair_that_returns_settles_on_one_connection(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(30); seed++) {
		struct world *w = world_new(seed, 2);
		struct sim_path path = {.delay = MSEC(1 + seed % 50), .jitter = MSEC(seed % 20)};
		world_path(w, 0, 1, path);
		for (size_t host = 0; host < 2; host++) {
			struct kit_peer peer = {.host = 1 - host, .is_dialled = true};
			world_node(w, host, &peer, 1, NULL);
		}
		world_run(w, SEC(5));
		path.cut = true;
		world_path(w, 0, 1, path);
		for (uint32_t i = 0; i < 150; i++) {
			world_send(w, i % 2, 1 - i % 2, i, 100);
			world_run(w, MSEC(100));
		}
		path.cut = false;
		world_path(w, 0, 1, path);
		for (uint32_t i = 0; i < 30; i++) {
			world_send(w, i % 2, 1 - i % 2, i, 100);
			world_run(w, MSEC(100));
		}
		world_run(w, SEC(7));
		struct swarm_stats before[2];
		for (size_t i = 0; i < 2; i++) {
			struct node_peer_info info;
			node_peer_info(w->nodes[i].node, 0, &info);
			if (info.swarm.n_conns != 1)
				fail_msg("seed %llu: host %zu has %zu connections",
					 (unsigned long long)seed, i, info.swarm.n_conns);
			before[i] = node_swarm_stats(w->nodes[i].node);
		}
		world_run(w, SEC(60)); /* and stays there */
		for (size_t i = 0; i < 2; i++) {
			struct swarm_stats after = node_swarm_stats(w->nodes[i].node);
			assert_int_equal(after.opened, before[i].opened);
			assert_int_equal(after.closed, before[i].closed);
		}
		world_end(w);
	}
}

/* The promise of test_two_nodes, where the path comes and goes. */
static void test_a_path_that_comes_and_goes_carries_what_it_can(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(10); seed++) {
		struct world *w = world_new(seed, 2);
		world_mesh(w, 2);
		world_run(w, SEC(1));
		uint64_t r = seed;
		uint32_t number = 0;
		for (int round = 0; round < 6; round++) {
			world_cut(w, 0, 1, true);
			nsec_t gone = MSEC(100 + next(&r) % 8000);
			for (nsec_t t = 0; t < gone; t += MSEC(50)) {
				world_send(w, 0, 1, ++number, 100);
				world_run(w, MSEC(50));
			}
			world_cut(w, 0, 1, false);
			empty_tuns(w, 2);
			uint32_t mark = number;
			bool is_back = false;
			nsec_t from = sim_now(w->sim);
			while (!is_back && sim_now(w->sim) - from <= SEC(2)) {
				uint8_t buf[2 * KIT_MTU];
				size_t len;
				world_send(w, 0, 1, ++number, 100);
				world_run(w, MSEC(20));
				while (world_receive(w, 1, buf, sizeof(buf), &len))
					is_back |= kit_packet_number(buf, len) > mark;
			}
			if (!is_back)
				fail_msg("seed %llu round %d: not back after a cut of %llu ms",
					 (unsigned long long)seed, round,
					 (unsigned long long)(gone / NSEC_PER_MSEC));
			world_run(w, MSEC(next(&r) % 3000));
		}
		world_end(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_mesh_heals_after_any_trouble),
		cmocka_unit_test(test_a_pair_that_returns_settles_on_one_connection),
		cmocka_unit_test(test_a_path_that_comes_and_goes_carries_what_it_can),
	};
	return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
