/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * One fat flow over several connections: it is spread where one connection is its limit, arrives in
 * order beside what others send and whatever breaks, and goes on when one of its connections is
 * lost or its peer comes back as another.
 */
#include <stdio.h>

#include "base/util.h"
#include "support/sim_kit.h"
#include "vpn/dispatch/dispatcher_internal.h"
#include "vpn/dispatch/spread.h"
#include "vpn/node/node_internal.h"

enum {
	PACKET = 1200, /* bytes */
	OTHERS_MAX = 10,
	PORT = 1000, /* of the flow, as kit_packet() has it; the other keys have those behind it */
};

struct flow {
	uint32_t sent, last, received;
	uint32_t others_sent, others_last[OTHERS_MAX], others_received;
	nsec_t last_at, longest_gap;
};

/* Host 0 dialled host 1. */
static struct world *pair(uint64_t seed, const char *extra)
{
	struct world *w = world_new(seed, 2);
	struct kit_peer one = {.host = 1, .is_dialled = true}, zero = {.host = 0};
	world_path(w, 0, 1, (struct sim_path){.delay = MSEC(20)});
	world_node(w, 1, &zero, 1, NULL);
	world_node(w, 0, &one, 1, extra);
	world_run(w, SEC(1));
	return w;
}

static void in_order(const struct world *w, uint32_t number, uint32_t *last)
{
	if (number <= *last)
		fail_msg("seed %llu: %u after %u", (unsigned long long)w->seed, number, *last);
	*last = number;
}

static void receive_all(struct world *w, struct flow *f)
{
	uint8_t buf[2 * KIT_MTU];
	size_t len;
	nsec_t now = sim_now(w->sim);
	while (world_receive(w, 1, buf, sizeof(buf), &len)) {
		uint32_t number = kit_packet_number(buf, len);
		uint32_t other = load_be16(buf + 20) - (uint32_t)PORT;
		if (other > 0) {
			assert_in_range(other, 1, OTHERS_MAX);
			in_order(w, number, &f->others_last[other - 1]);
			f->others_received++;
			continue;
		}
		in_order(w, number, &f->last);
		f->received++;
		f->longest_gap = MAX(f->longest_gap, now - f->last_at);
		f->last_at = now;
	}
}

/* Of every length between 200 and 1200 bytes. */
static void send_other(struct world *w, struct flow *f, size_t other)
{
	uint8_t packet[PACKET];
	uint32_t number = ++f->others_sent;
	size_t len = kit_packet(packet, 0, 1, number, 200 + number * 7919u % 1000);
	store_be16(packet + 20, (uint16_t)(PORT + 1 + other));
	world_send_on(w, 0, 0, span_of(packet, len));
}

/* `rate` packets a millisecond, and one of each of `others` other keys. */
static void run_beside(struct world *w, struct flow *f, size_t rate, size_t others, nsec_t duration)
{
	for (nsec_t t = 0; t < duration; t += MSEC(1)) {
		for (size_t i = 0; i < MAX(rate, others); i++) {
			if (i < rate)
				world_send(w, 0, 1, ++f->sent, PACKET);
			if (i < others)
				send_other(w, f, i);
		}
		world_run(w, MSEC(1));
		receive_all(w, f);
	}
}

static void run_flow(struct world *w, struct flow *f, size_t rate, nsec_t duration)
{
	run_beside(w, f, rate, 0, duration);
}

static uint64_t spread_count(struct world *w)
{
	return kit_counter(&w->nodes[0], COUNTER_KEYS_SPREAD);
}

/* Connections that the flow goes over. */
static size_t count_limbs(const struct world *w)
{
	const struct worker_pool *pool = w->nodes[0].node->shards[0].dispatcher->pools;
	return pool->spreads != NULL ? pool->spreads->n_limbs : 0;
}

/* A flow that is fat for so long, and spread. */
static struct world *spread_pair(uint64_t seed, struct flow *f, nsec_t duration)
{
	struct world *w = pair(seed, NULL);
	*f = (struct flow){0};
	run_flow(w, f, 10, duration);
	assert_int_equal(spread_count(w), 1);
	return w;
}

/* Either of its two connections, without a word. */
static void cut_one(struct world *w, struct flow *f)
{
	f->longest_gap = 0;
	f->last_at = sim_now(w->sim);
	assert_true(sim_cut_conn(w->sim, w->hosts[0], w->hosts[1], w->seed % 2));
}

/* Since the cut; a gap that is still open counts, too. */
static void check_gap(struct world *w, const struct flow *f)
{
	nsec_t longest = MAX(f->longest_gap, sim_now(w->sim) - f->last_at);
	if (longest > MSEC(200))
		fail_msg("seed %llu: nothing came for %llu ms", (unsigned long long)w->seed,
			 (unsigned long long)(longest / NSEC_PER_MSEC));
}

/* More than the send buffer of one connection lets through in a round trip of 40 ms. */
static void test_a_fat_flow_uses_a_second_connection_in_order(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(5); seed++) {
		struct flow f;
		struct world *w = spread_pair(seed, &f, SEC(3));
		uint32_t before = f.received;
		run_flow(w, &f, 10, SEC(2));
		uint32_t with = f.received - before;
		world_run(w, SEC(1));
		receive_all(w, &f);
		uint64_t dropped = kit_drops(&w->nodes[0], DROP_QUEUE_FULL) +
				   kit_drops(&w->nodes[0], DROP_QUEUE_DELAY);
		assert_int_equal(f.received + dropped, f.sent);
		world_end(w);

		w = pair(seed, "dispatch: {multiplex: false}\n");
		struct flow alone = {0};
		run_flow(w, &alone, 10, SEC(3));
		before = alone.received;
		run_flow(w, &alone, 10, SEC(2));
		assert_int_equal(spread_count(w), 0);
		if (with < (alone.received - before) * 3 / 2)
			fail_msg("seed %llu: %u packets by two connections, %u by one",
				 (unsigned long long)seed, with, alone.received - before);
		world_end(w);
	}
}

/* Host 1 cannot dial, and sends: it asks for the second connection. */
static void test_who_cannot_dial_asks_for_the_second_connection(void **state)
{
	(void)state;
	struct world *w = pair(3, NULL);
	uint32_t last = 0, number = 0;
	for (nsec_t t = 0; t < SEC(5); t += MSEC(1)) {
		uint8_t buf[2 * KIT_MTU];
		size_t len;
		for (size_t i = 0; i < 10; i++)
			world_send(w, 1, 0, ++number, PACKET);
		world_run(w, MSEC(1));
		while (world_receive(w, 0, buf, sizeof(buf), &len)) {
			assert_true(kit_packet_number(buf, len) > last);
			last = kit_packet_number(buf, len);
		}
	}
	assert_true(last > number / 2);
	assert_int_equal(kit_counter(&w->nodes[1], COUNTER_KEYS_SPREAD), 1);
	world_end(w);
}

static void test_a_thin_flow_is_not_spread(void **state)
{
	(void)state;
	struct world *w = pair(1, NULL);
	struct flow f = {0};
	run_flow(w, &f, 1, SEC(5));
	assert_int_equal(spread_count(w), 0);
	world_run(w, SEC(1));
	receive_all(w, &f);
	assert_int_equal(f.received, f.sent);
	world_end(w);
}

static void test_a_spread_flow_ends_and_may_begin_anew(void **state)
{
	(void)state;
	struct flow f;
	struct world *w = spread_pair(2, &f, SEC(3));
	world_run(w, SEC(400)); /* stream_idle_timeout, and a look a minute */
	receive_all(w, &f);
	struct node_peer_info info;
	node_peer_info(w->nodes[0].node, 0, &info);
	assert_int_equal(info.dispatch.n_streams, 1);
	run_flow(w, &f, 10, SEC(3));
	assert_int_equal(spread_count(w), 2);
	world_end(w);
}

/* The other carries on, and what was lost is replaced, while the flow goes on. */
static void test_a_spread_flow_survives_the_loss_of_a_connection(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(6); seed++) {
		struct flow f;
		struct world *w = spread_pair(seed, &f, SEC(4));
		cut_one(w, &f);
		run_flow(w, &f, 10, SEC(8));
		check_gap(w, &f);
		assert_int_equal(count_limbs(w), 2);
		world_end(w);
	}
}

/* While the flow is fat, what is lost is given up for lack of room. Here it is thin from the cut
 * on: what comes by the other connection waits for what was lost, but no longer than REORDER_WAIT.
 */
static void test_a_flow_that_is_thin_now_does_not_wait_long_for_what_is_lost(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(6); seed++) {
		struct flow f;
		struct world *w = spread_pair(seed, &f, SEC(4));
		cut_one(w, &f);
		for (size_t i = 0; i < 300; i++) {
			world_send(w, 0, 1, ++f.sent, PACKET);
			run_flow(w, &f, 0, MSEC(10));
		}
		check_gap(w, &f);
		run_flow(w, &f, 0, SEC(1));
		assert_int_equal(f.last, f.sent);
		world_end(w);
	}
}

/* Groups that the peer keeps memory for. */
static size_t count_groups(const struct world *w)
{
	const struct shard_peer *p = &w->nodes[1].node->shards[0].peers[0];
	return p->reorder != NULL ? reorder_table_groups(p->reorder) : 0;
}

static void test_the_peer_hears_of_the_end(void **state)
{
	(void)state;
	struct flow f;
	struct world *w = spread_pair(1, &f, SEC(4));
	assert_int_equal(count_groups(w), 1);
	run_flow(w, &f, 0, REORDER_IDLE - SEC(10)); /* nor does it forget the group by itself */
	assert_int_equal(count_groups(w), 0);
	world_end(w);
}

static void test_a_spread_flow_is_in_order_beside_other_keys(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(5); seed++) {
		struct flow f;
		struct world *w = spread_pair(seed, &f, SEC(3));
		uint32_t before = f.received;
		run_beside(w, &f, 10, seed % 2 == 0 ? 10 : 4, SEC(5));
		assert_true(f.received > before);
		assert_true(f.others_received > f.others_sent / 2);
		world_end(w);
	}
}

/* Host 0 does not know, until a stream tells it. */
static void test_a_peer_that_restarts_without_multiplexing_is_served(void **state)
{
	(void)state;
	struct flow f;
	struct world *w = spread_pair(1, &f, SEC(4));
	world_cut(w, 0, 1, true);
	world_node_end(w, 1);
	world_cut(w, 0, 1, false);
	struct kit_peer zero = {.host = 0, .is_dialled = true};
	world_node(w, 1, &zero, 1, "dispatch: {multiplex: false}\n");
	run_beside(w, &f, 10, 2, SEC(8));
	uint32_t before = f.received, others = f.others_received;
	run_beside(w, &f, 10, 2, SEC(1));
	assert_true(f.received > before);
	assert_true(f.others_received > others);
	assert_int_equal(spread_count(w), 1);
	world_end(w);
}

static void test_breaking_connections_keep_a_spread_flow_in_order(void **state)
{
	(void)state;
	uint64_t n_spread = 0;
	for (uint64_t seed = 1; seed <= kit_seeds(12); seed++) {
		struct world *w = pair(seed, NULL);
		struct flow f = {0};
		struct sim_path good = {.delay = MSEC(3 + seed % 9)}, bad = good;
		bad.break_per_million = 300;
		world_path(w, 0, 1, good);
		run_flow(w, &f, 20, SEC(3));
		for (size_t round = 0; round < 6; round++) {
			world_path(w, 0, 1, bad);
			run_flow(w, &f, 20, MSEC(300));
			world_path(w, 0, 1, good);
			run_flow(w, &f, 20, SEC(2));
		}
		uint32_t before = f.received;
		run_flow(w, &f, 20, SEC(1));
		assert_true(f.received > before);
		n_spread += spread_count(w);
		world_end(w);
	}
	assert_true(n_spread > 0); /* or it was no test */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_fat_flow_uses_a_second_connection_in_order),
		cmocka_unit_test(test_who_cannot_dial_asks_for_the_second_connection),
		cmocka_unit_test(test_a_thin_flow_is_not_spread),
		cmocka_unit_test(test_a_spread_flow_ends_and_may_begin_anew),
		cmocka_unit_test(test_a_spread_flow_survives_the_loss_of_a_connection),
		cmocka_unit_test(test_a_flow_that_is_thin_now_does_not_wait_long_for_what_is_lost),
		cmocka_unit_test(test_the_peer_hears_of_the_end),
		cmocka_unit_test(test_a_spread_flow_is_in_order_beside_other_keys),
		cmocka_unit_test(test_a_peer_that_restarts_without_multiplexing_is_served),
		cmocka_unit_test(test_breaking_connections_keep_a_spread_flow_in_order),
	};
	return cmocka_run_group_tests_name("spread", tests, NULL, NULL);
}
