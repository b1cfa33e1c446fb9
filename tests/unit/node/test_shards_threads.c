/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Nodes of several shards on real threads and sockets. Under ThreadSanitizer it is about who
 * touches what; without, about the same claims as on the simulator: the order of each flow,
 * whatever lanes come and go, and each packet delivered or counted.
 */
#include "rig.h"

#include <unistd.h>

#include "base/log.h"
#include "base/util.h"

enum {
	BREAKS = 24, /* connections that are broken in a test */
	MORE = 2000, /* packets that may be sent beyond those that are waited for */
	LAST = 50000,
};

static uint64_t counter(const struct rig_side *side, enum counter which)
{
	return rig_metrics(side).counters[which];
}

static void show(const struct rig *rig)
{
	for (size_t i = 0; i < 2; i++) {
		struct metrics m = rig_metrics(&rig->sides[i]);
		print_message("# %s: %zu shards, sent %llu, received %llu, handed over %llu\n",
			      rig->sides[i].name, rig->sides[i].n_shards,
			      (unsigned long long)rig->sides[i].sent,
			      (unsigned long long)rig->sides[i].received,
			      (unsigned long long)m.counters[COUNTER_HANDOFFS]);
		for (enum drop d = 0; d < DROP_COUNT; d++) {
			if (m.drops[d] > 0)
				print_message("#   %s %llu\n", drop_name(d),
					      (unsigned long long)m.drops[d]);
		}
	}
}

/* Each packet that a side read or got went on or was dropped; the test's own count agrees. */
static void check_side(const struct rig_side *side)
{
	struct metrics m = rig_metrics(side);
	const uint64_t *c = m.counters;
	assert_int_equal(
		c[COUNTER_TUN_RX_PACKETS] + c[COUNTER_PEER_RX_PACKETS] + c[COUNTER_ICMP_SENT],
		c[COUNTER_PEER_TX_PACKETS] + c[COUNTER_TUN_TX_PACKETS] + metrics_dropped(&m));
	assert_int_equal(m.drops[DROP_SOURCE] + m.drops[DROP_MALFORMED] + m.drops[DROP_TOO_BIG], 0);
}

static bool have_lanes(struct rig *rig)
{
	size_t want = MIN(rig->sides[0].n_shards, rig->sides[1].n_shards) - 1;
	return rig_lanes(&rig->sides[0]) == want && rig_lanes(&rig->sides[1]) == want;
}

/* No shard of this side that the peer has a lane for hands anything over any more. */
static bool has_moved(struct rig *rig, size_t i)
{
	struct rig_side *side = &rig->sides[i];
	if (side->n_shards > rig->sides[1 - i].n_shards)
		return true;
	uint64_t sent = side->sent, before = counter(side, COUNTER_HANDOFFS);
	rig_until(side->sent >= sent + 2000);
	return counter(side, COUNTER_HANDOFFS) == before;
}

static void lanes_take_the_flows(size_t n_alice, size_t n_bob)
{
	struct rig *rig = rig_new(n_alice, n_bob);
	rig_write(rig);
	rig_until(have_lanes(rig));
	rig_until(has_moved(rig, 0) && has_moved(rig, 1));
	rig_settle(rig);
	show(rig);
	uint64_t dropped = 0;
	for (size_t i = 0; i < 2; i++) {
		struct metrics m = rig_metrics(&rig->sides[i]);
		check_side(&rig->sides[i]);
		dropped += metrics_dropped(&m);
		assert_int_equal(counter(&rig->sides[i], COUNTER_PEER_TX_PACKETS),
				 counter(&rig->sides[1 - i], COUNTER_PEER_RX_PACKETS));
		assert_true(rig->sides[i].n_shards == 1 ||
			    counter(&rig->sides[i], COUNTER_HANDOFFS) > 0);
	}
	assert_int_equal(rig->sides[0].sent + rig->sides[1].sent +
				 counter(&rig->sides[0], COUNTER_ICMP_SENT) +
				 counter(&rig->sides[1], COUNTER_ICMP_SENT),
			 counter(&rig->sides[0], COUNTER_TUN_TX_PACKETS) +
				 counter(&rig->sides[1], COUNTER_TUN_TX_PACKETS) + dropped);
	for (size_t i = 0; i < 2; i++)
		rig_until(rig->sides[i].received ==
			  counter(&rig->sides[i], COUNTER_TUN_TX_PACKETS));
	rig_free(rig);
}

static void test_flows_move_to_their_lanes_and_all_is_counted(void **state)
{
	(void)state;
	lanes_take_the_flows(4, 4);
	lanes_take_the_flows(2 + testkit_random() % 7, 2 + testkit_random() % 7);
}

static void test_one_shard_meets_many(void **state)
{
	(void)state;
	lanes_take_the_flows(1, 3);
	lanes_take_the_flows(3, 1);
}

static void change_network(struct rig_side *side, void *ctx)
{
	(void)ctx;
	node_network_changed(side->node);
}

/* Each side may send `n` packets from now on: flows have numbers for so many only. */
static void allow(struct rig *rig, uint64_t n)
{
	for (size_t i = 0; i < 2; i++)
		rig->sides[i].budget = rig->sides[i].sent + n;
}

static bool are_connected(struct rig *rig)
{
	return rig_is_connected(&rig->sides[0]) && rig_is_connected(&rig->sides[1]);
}

static void break_much(struct rig *rig)
{
	while (proxy_broken(rig->proxy) < BREAKS) {
		uint64_t r = testkit_random();
		/* Some traffic first, for each: a few packets, or what makes lanes. There is more
		 * than that, so that something is under way when a connection breaks. */
		uint64_t some = r % 8 == 0 ? 8000 : r % 1500;
		rig_until(are_connected(rig));
		uint64_t sent = rig->sides[0].sent;
		allow(rig, some + MORE);
		rig_until(rig->sides[0].sent >= sent + some);
		if ((r >> 16) % 4 == 0)
			rig_call(&rig->sides[r >> 20 & 1], change_network, NULL);
		else
			proxy_break(rig->proxy, testkit_random());
	}
}

static uint64_t delivered(const struct rig *rig)
{
	return rig->sides[0].received + rig->sides[1].received;
}

static void test_order_holds_while_connections_break(void **state)
{
	(void)state;
	struct rig *rig = rig_new(2 + testkit_random() % 4, 2 + testkit_random() % 4);
	rig_write(rig);
	rig_until(have_lanes(rig));
	break_much(rig);
	rig_until(are_connected(rig));
	allow(rig, LAST);
	uint64_t before = delivered(rig);
	rig_until(delivered(rig) > before + 1000);
	rig_settle(rig);
	show(rig);
	for (size_t i = 0; i < 2; i++) {
		check_side(&rig->sides[i]);
		assert_true(counter(&rig->sides[i], COUNTER_PEER_TX_PACKETS) >=
			    counter(&rig->sides[1 - i], COUNTER_PEER_RX_PACKETS));
	}
	rig_free(rig);
}

/* At any time: before lanes are up, while they come, when flows are on them. */
static void test_node_that_stops_under_traffic_counts_what_it_had(void **state)
{
	(void)state;
	for (size_t round = 0; round < 4; round++) {
		struct rig *rig = rig_new(2 + round % 3, 4 - round % 2);
		uint64_t r = testkit_random();
		rig_write(rig);
		if (round % 2 == 0)
			rig_until(have_lanes(rig));
		uint64_t sent = rig->sides[0].sent;
		rig_until(rig->sides[0].sent > sent + r % 4000);
		rig_stop(&rig->sides[r >> 32 & 1]);
		rig_stop(&rig->sides[1 - (r >> 32 & 1)]);
		for (size_t i = 0; i < 2; i++)
			check_side(&rig->sides[i]);
		rig_free(rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows_move_to_their_lanes_and_all_is_counted),
		cmocka_unit_test(test_one_shard_meets_many),
		cmocka_unit_test(test_order_holds_while_connections_break),
		cmocka_unit_test(test_node_that_stops_under_traffic_counts_what_it_had),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("shards_threads", tests, NULL, NULL);
}
