/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Nodes of several shards, all on one virtual loop a host. A flow stays on the TUN queue that its
 * number says, as the kernel keeps it; what must hold: its packets arrive in order whatever lanes
 * come and go, and what is sent is delivered or counted.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "support/sim_kit.h"

enum {
	FLOWS = 40,
	PACKET = 1000, /* bytes */
};

static uint64_t next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	uint64_t z = *state;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* A packet of a flow: the flow's number is its source port. */
static void send_flow(struct world *w, size_t from, size_t to, uint32_t flow, uint32_t number)
{
	uint8_t packet[PACKET];
	kit_packet(packet, from, to, number, sizeof(packet));
	store_be16(packet + 20, (uint16_t)(1000 + flow));
	size_t shards = w->nodes[from].n_shards;
	world_send_on(w, from, flow % shards, span_of(packet, sizeof(packet)));
}

struct flows {
	uint32_t sent[FLOWS], last[FLOWS], received;
};

/* What came out, on whatever queue: in order within each flow. */
static void receive_all(struct world *w, size_t host, struct flows *f)
{
	uint8_t buf[2 * KIT_MTU];
	size_t len;
	for (size_t shard = 0; shard < w->nodes[host].n_shards; shard++) {
		while (world_receive_on(w, host, shard, buf, sizeof(buf), &len)) {
			if (buf[9] != IPPROTO_UDP)
				continue;
			uint32_t flow = load_be16(buf + 20) - 1000u;
			uint32_t number = kit_packet_number(buf, len);
			if (number <= f->last[flow])
				fail_msg("seed %llu: flow %u: %u after %u",
					 (unsigned long long)w->seed, flow, number, f->last[flow]);
			f->last[flow] = number;
			f->received++;
		}
	}
}

static void some_packets(struct world *w, struct flows *f, uint64_t *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t flow = (uint32_t)(next(r) % FLOWS);
		send_flow(w, 0, 1, flow, ++f->sent[flow]);
	}
}

static size_t lanes_of(struct world *w, size_t host)
{
	struct node_peer_info info;
	node_peer_info(w->nodes[host].node, 0, &info);
	return info.n_lanes;
}

static struct world *world_of_shards(uint64_t seed, size_t a, size_t b)
{
	struct world *w = world_new(seed, 2);
	w->n_shards[0] = a;
	w->n_shards[1] = b;
	world_mesh(w, 2);
	world_run(w, SEC(1));
	return w;
}

/* 8 Mbit/s and more on each flow's shard for a while. */
static void run_traffic(struct world *w, struct flows *f, uint64_t *r, nsec_t duration)
{
	for (nsec_t t = 0; t < duration; t += MSEC(5)) {
		some_packets(w, f, r, 40);
		world_run(w, MSEC(5));
		receive_all(w, 1, f);
	}
}

static uint64_t sum(const uint32_t *values)
{
	uint64_t n = 0;
	for (size_t i = 0; i < FLOWS; i++)
		n += values[i];
	return n;
}

static void show_drops(struct world *w)
{
	for (size_t host = 0; host < 2; host++) {
		for (enum drop d = 0; d < DROP_COUNT; d++) {
			unsigned long long n = kit_drops(&w->nodes[host], d);
			if (n > 0)
				print_message("host %zu: %s %llu\n", host, drop_name(d), n);
		}
	}
}

static void test_flows_move_to_their_lane_in_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(10); seed++) {
		struct world *w = world_of_shards(seed, 2 + seed % 3, 2 + seed / 3 % 3);
		struct flows f = {0};
		uint64_t r = seed;
		world_path(w, 0, 1, (struct sim_path){.delay = MSEC(1 + seed % 5)});
		run_traffic(w, &f, &r, SEC(4));
		world_run(w, SEC(1));
		receive_all(w, 1, &f);
		size_t want = MIN(w->nodes[0].n_shards, w->nodes[1].n_shards) - 1;
		assert_int_equal(lanes_of(w, 0), want);
		if (f.received != sum(f.sent))
			show_drops(w);
		if (f.received != sum(f.sent))
			fail_msg("seed %llu: %u of %llu arrived", (unsigned long long)seed,
				 f.received, (unsigned long long)sum(f.sent));
		uint64_t before = kit_counter(&w->nodes[0], COUNTER_HANDOFFS);
		assert_true(before > 0);
		run_traffic(w, &f, &r, SEC(1));
		/* Shards that the peer has no lane for go on handing over; others do not. */
		if (w->nodes[0].n_shards <= w->nodes[1].n_shards)
			assert_int_equal(kit_counter(&w->nodes[0], COUNTER_HANDOFFS), before);
		world_end(w);
	}
}

static void test_one_shard_meets_many(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct world *w = world_of_shards(7 + i, i == 0 ? 1 : 4, i == 0 ? 4 : 1);
		struct flows f = {0};
		uint64_t r = 1;
		run_traffic(w, &f, &r, SEC(3));
		world_run(w, SEC(1));
		receive_all(w, 1, &f);
		assert_int_equal(lanes_of(w, 0), 0);
		assert_int_equal(f.received, sum(f.sent));
		world_end(w);
	}
}

static void test_a_lane_that_nobody_uses_is_closed(void **state)
{
	(void)state;
	struct world *w = world_of_shards(3, 2, 2);
	struct flows f = {0};
	uint64_t r = 1;
	run_traffic(w, &f, &r, SEC(4));
	assert_int_equal(lanes_of(w, 0), 1);
	world_run(w, SEC(70));
	assert_int_equal(lanes_of(w, 0), 0);
	world_end(w);
}

/* Cuts and resets in both directions, while lanes come and go: order always, and packets that are
 * lost are those that were under way. */
static void test_order_holds_through_cuts_and_resets(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(10); seed++) {
		struct world *w = world_of_shards(seed, 3, 3);
		struct flows f = {0};
		uint64_t r = seed;
		for (size_t round = 0; round < 12; round++) {
			struct sim_path path = {.delay = MSEC(1 + next(&r) % 20)};
			path.break_per_million = next(&r) % 3 == 0 ? 2000 : 0;
			path.cut = next(&r) % 4 == 0;
			world_path(w, 0, 1, path);
			run_traffic(w, &f, &r, MSEC(200 + next(&r) % 2000));
		}
		world_path(w, 0, 1, (struct sim_path){.delay = MSEC(5)});
		world_run(w, SEC(40));
		receive_all(w, 1, &f);
		uint32_t before = f.received;
		some_packets(w, &f, &r, 200);
		world_run(w, SEC(2));
		receive_all(w, 1, &f);
		if (f.received - before != 200)
			show_drops(w);
		assert_int_equal(f.received - before, 200);
		world_end(w);
	}
}

/* At any moment: with packets between the shards, and lanes on their way. */
static void test_nodes_end_at_any_moment(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(40); seed++) {
		struct world *w = world_of_shards(seed, 2 + seed % 3, 2 + seed / 3 % 3);
		struct flows f = {0};
		uint64_t r = seed;
		world_path(w, 0, 1, (struct sim_path){.delay = MSEC(1 + seed % 20)});
		run_traffic(w, &f, &r, MSEC(next(&r) % 3000));
		some_packets(w, &f, &r, 200);
		world_run(w, next(&r) % MSEC(3));
		world_end(w);
	}
}

/* A peer that we cannot dial is asked to dial lanes, and does. */
static void test_who_cannot_be_dialled_dials_lanes_when_asked(void **state)
{
	(void)state;
	struct world *w = world_new(11, 2);
	struct flows f = {0};
	uint64_t r = 1;
	w->n_shards[0] = w->n_shards[1] = 3;
	w->is_hidden[1] = true; /* host 0 sends, host 1 dials */
	world_mesh(w, 2);
	world_run(w, SEC(1));
	run_traffic(w, &f, &r, SEC(4));
	world_run(w, SEC(1));
	receive_all(w, 1, &f);
	assert_int_equal(lanes_of(w, 0), 2);
	assert_int_equal(lanes_of(w, 1), 2);
	assert_int_equal(f.received, sum(f.sent));
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows_move_to_their_lane_in_order),
		cmocka_unit_test(test_one_shard_meets_many),
		cmocka_unit_test(test_a_lane_that_nobody_uses_is_closed),
		cmocka_unit_test(test_order_holds_through_cuts_and_resets),
		cmocka_unit_test(test_nodes_end_at_any_moment),
		cmocka_unit_test(test_who_cannot_be_dialled_dials_lanes_when_asked),
	};
	return cmocka_run_group_tests_name("shards", tests, NULL, NULL);
}
