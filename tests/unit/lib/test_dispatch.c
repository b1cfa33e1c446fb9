/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "desk.h"

#include <sched.h>
#include <time.h>

enum {
	SOME = 500, /* packets, below what may wait */
};

static void send_some(const char *to, uint16_t source_port, uint32_t from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_public_ok(desk_send(to, source_port, from + i));
}

static void assert_each_is_counted_once(uint64_t given)
{
	struct runnel_dispatch_metrics m;
	runnel_dispatcher_metrics(desk.dispatcher, &m);
	assert_int_equal(m.values[RUNNEL_METRIC_GIVEN_PACKETS], given);
	assert_int_equal(m.values[RUNNEL_METRIC_SENT_PACKETS] +
				 m.values[RUNNEL_METRIC_DROPPED_PACKETS],
			 given);
	assert_int_equal(m.values[RUNNEL_METRIC_WAITING_PACKETS_NOW], 0);
	assert_int_equal(m.values[RUNNEL_METRIC_STREAMS_NOW], 0);
	assert_int_equal(m.values[RUNNEL_METRIC_WORKERS_NOW], 0);
	uint64_t dropped = 0;
	for (size_t i = 0; i < RUNNEL_DROPS_MAX; i++)
		dropped += m.drops[i];
	assert_int_equal(m.values[RUNNEL_METRIC_DROPPED_PACKETS], dropped);
	assert_int_equal(m.drops[RUNNEL_DROP_NONE], 0);
}

/* --- the way of a packet ------------------------------------------------------------- */

static void test_packets_of_a_key_arrive_in_order_and_each_callback_says_sent(void **state)
{
	(void)state;
	desk_start();
	send_some("10.7.0.1", 1000, 1, SOME);
	desk_wait_done(SOME);
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, RUNNEL_FOREVER, NULL));
	assert_int_equal(desk.n_done, SOME);
	assert_int_equal(desk.outcomes[RUNNEL_DROP_NONE], SOME);
	assert_int_equal(desk.n_arrived, SOME);
	assert_false(desk.is_disordered);
	assert_int_equal(desk_metric(RUNNEL_METRIC_CALLBACKS), SOME);
	assert_int_equal(desk_metric(RUNNEL_METRIC_WORKERS_CREATED), 1);
	assert_each_is_counted_once(SOME);
}

static void test_given_key_keeps_what_has_many_in_order(void **state)
{
	(void)state;
	struct runnel_conn_key key;
	uint8_t packet[DESK_PACKET_MAX];
	assert_public_ok(runnel_conn_key_parse("1:10.7.0.9:1", &key));
	desk.conf.shards = 4;
	desk_start();
	for (uint32_t i = 1; i <= SOME; i++) {
		size_t len = desk_packet("10.7.0.1", (uint16_t)(1000 + i), i, packet);
		assert_public_ok(runnel_dispatch(desk.dispatcher, &key, NULL, packet, len));
	}
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, RUNNEL_FOREVER, NULL));
	assert_int_equal(desk.n_arrived, SOME);
	assert_false(desk.is_disordered);
	assert_int_equal(desk_metric(RUNNEL_METRIC_WORKERS_CREATED), 1);
	assert_int_equal(desk_metric(RUNNEL_METRIC_CALLBACKS), 0);
}

static void test_given_destination_says_whose_the_packet_is(void **state)
{
	(void)state;
	struct runnel_ip to;
	struct runnel_dispatch_peer peer;
	uint8_t packet[DESK_PACKET_MAX];
	size_t len = desk_packet("10.99.0.1", 1000, 1, packet); /* nobody's */
	assert_public_ok(runnel_ip_parse("10.7.1.1", &to));
	desk_start();
	assert_public_ok(runnel_dispatch_with_callback(desk.dispatcher, NULL, &to, packet, len,
						       desk_done, &desk));
	desk_wait_done(1);
	assert_int_equal(desk.outcomes[RUNNEL_DROP_NONE], 1);
	assert_public_ok(runnel_dispatcher_peer(desk.dispatcher, &desk.peers[1], &peer));
	assert_int_equal(peer.sent_packets, 1);
}

static void test_what_is_no_packet_or_no_address_is_refused_at_once(void **state)
{
	(void)state;
	uint8_t packet[1501] = {0};
	size_t len = desk_packet("10.7.0.1", 1, 1, packet);
	const struct runnel_conn_key no_key = {.source_port = 1};
	const struct runnel_ip no_ip = {.family = 7};
	desk_start();
	assert_public_err(runnel_dispatch(desk.dispatcher, NULL, NULL, packet, len - 1),
			  RUNNEL_ERR_MALFORMED);
	assert_public_err(runnel_dispatch(desk.dispatcher, NULL, NULL, packet, 0),
			  RUNNEL_ERR_MALFORMED);
	assert_public_err(runnel_dispatch(desk.dispatcher, NULL, NULL, packet, 1501),
			  RUNNEL_ERR_TOO_LONG);
	assert_public_err(runnel_dispatch(desk.dispatcher, NULL, NULL, packet, SIZE_MAX),
			  RUNNEL_ERR_TOO_LONG);
	assert_public_err(runnel_dispatch(desk.dispatcher, &no_key, NULL, packet, len),
			  RUNNEL_ERR_MALFORMED);
	assert_public_err(runnel_dispatch(desk.dispatcher, NULL, &no_ip, packet, len),
			  RUNNEL_ERR_MALFORMED);
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, 0, NULL));
	assert_each_is_counted_once(0);
}

static void test_drop_without_a_route_is_told(void **state)
{
	(void)state;
	desk_start();
	assert_public_ok(desk_send("10.99.0.1", 1, 1));
	assert_public_ok(desk_send("224.0.0.1", 1, 1));
	desk_wait_done(2);
	assert_int_equal(desk.outcomes[RUNNEL_DROP_NO_ROUTE], 1);
	assert_int_equal(desk.outcomes[RUNNEL_DROP_MULTICAST], 1);
	assert_int_equal(desk_metric(RUNNEL_METRIC_DISCOVERY_MISSES), 1);
}

static void test_owner_that_changes_gets_what_comes_then(void **state)
{
	(void)state;
	const struct runnel_ip ip = {.family = 4, .bytes = {10, 7, 0, 0}};
	struct runnel_dispatch_peer peer;
	desk_start();
	assert_public_ok(desk_send("10.7.0.1", 1, 1));
	desk_wait_done(1);
	assert_public_ok(runnel_memory_discovery_add(desk.discovery, &ip, 24, &desk.peers[1]));
	assert_public_ok(desk_send("10.7.0.1", 1, 2));
	desk_wait_done(2);
	assert_public_ok(runnel_memory_discovery_remove(desk.discovery, &ip, 24));
	assert_public_ok(desk_send("10.7.0.1", 1, 3));
	desk_wait_done(3);
	assert_public_ok(runnel_dispatcher_peer(desk.dispatcher, &desk.peers[0], &peer));
	assert_int_equal(peer.sent_packets, 1);
	assert_public_ok(runnel_dispatcher_peer(desk.dispatcher, &desk.peers[1], &peer));
	assert_int_equal(peer.sent_packets, 1);
	assert_int_equal(desk.outcomes[RUNNEL_DROP_NO_ROUTE], 1);
	assert_public_err(runnel_memory_discovery_remove(desk.discovery, &ip, 24),
			  RUNNEL_ERR_NOT_FOUND);
}

/* The shard is inside of a callback, and takes nothing over until desk_release(). */
static void hold_shard(void)
{
	desk_hold();
	assert_public_ok(desk_send("10.99.0.1", 1, 1));
	desk_lock();
	while (!desk.is_inside)
		desk_wait();
	desk_unlock();
}

static void test_given_key_that_is_also_the_packets_own_keeps_order_with_it(void **state)
{
	(void)state;
	struct runnel_conn_key key;
	uint8_t packet[DESK_PACKET_MAX];
	desk.conf.shards = 1;
	desk_start();
	hold_shard();
	for (uint32_t i = 1; i <= SOME; i++) {
		size_t len = desk_packet("10.7.0.1", 1000, i, packet);
		assert_public_ok(runnel_conn_key_of_packet(packet, len, &key));
		assert_public_ok(runnel_dispatch(desk.dispatcher, i % 3 == 0 ? &key : NULL, NULL,
						 packet, len));
	}
	desk_release();
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, RUNNEL_FOREVER, NULL));
	assert_int_equal(desk.n_arrived, SOME);
	assert_false(desk.is_disordered);
}

static void test_shard_without_a_free_packet_drops_and_says_so(void **state)
{
	(void)state;
	desk.conf.shards = 1;
	desk.conf.shard_packets = 64;
	desk_set(0, (struct runnel_memory_faults){.is_full = true});
	desk_start();
	send_some("10.7.0.1", 1, 1, 32); /* these stay */
	while (desk_metric(RUNNEL_METRIC_GIVEN_PACKETS) < 32)
		sched_yield();
	hold_shard();
	send_some("10.99.0.1", 1, 1, SOME); /* come at once then */
	desk_release();
	desk_wait_done(SOME + 1);
	assert_true(desk.outcomes[RUNNEL_DROP_POOL_EMPTY] > 0);
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, 0, NULL));
	assert_int_equal(desk.n_done, SOME + 1 + 32);
	assert_int_equal(desk_metric(RUNNEL_METRIC_CALLBACKS), SOME + 1 + 32);
	assert_each_is_counted_once(SOME + 1 + 32);
}

static void test_full_inbox_refuses_and_loses_nothing_that_it_took(void **state)
{
	(void)state;
	desk.conf.shards = 1;
	desk.conf.inbox_size = 100; /* 128 */
	desk_start();
	hold_shard();
	uint64_t taken = 1, refused = 0;
	while (desk_send("10.99.0.1", 1, 1) == RUNNEL_ERR_OK)
		assert_true(++taken < 1000);
	assert_public_err(desk_send("10.99.0.1", 1, 1), RUNNEL_ERR_FULL);
	refused = 2;
	assert_true(taken >= 128 && taken <= 129);
	desk_release();
	desk_wait_done(taken);
	assert_public_ok(desk_send("10.99.0.1", 1, 1));
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, RUNNEL_FOREVER, NULL));
	assert_int_equal(desk.n_done, taken + 1);
	assert_int_equal(desk_metric(RUNNEL_METRIC_REFUSED_PACKETS), refused);
	assert_each_is_counted_once(taken + 1);
}

/* --- from callbacks ------------------------------------------------------------------ */

/* Sends the next, until SOME of them are. */
static void chain(void *ctx, enum runnel_drop outcome)
{
	uint8_t packet[DESK_PACKET_MAX];
	uint64_t n = desk.n_done + 1;
	if (n < SOME) {
		size_t len = desk_packet("10.7.0.1", (uint16_t)(n % 7), 1, packet);
		enum runnel_err err = runnel_dispatch_with_callback(desk.dispatcher, NULL, NULL,
								    packet, len, chain, ctx);
		if (err != RUNNEL_ERR_OK)
			return; /* the test waits in vain */
	}
	desk_done(ctx, outcome);
}

static void test_callback_may_dispatch(void **state)
{
	(void)state;
	desk.conf.shards = 1; /* so n_done is one thread's */
	desk_start();
	uint8_t packet[DESK_PACKET_MAX];
	size_t len = desk_packet("10.7.0.1", 1, 1, packet);
	assert_public_ok(runnel_dispatch_with_callback(desk.dispatcher, NULL, NULL, packet, len,
						       chain, &desk));
	desk_wait_done(SOME);
	assert_int_equal(desk.outcomes[RUNNEL_DROP_NONE], SOME);
}

static struct {
	enum runnel_err stop, start, peer;
	uint64_t given;
} said;

static void ask_inside(void *ctx, enum runnel_drop outcome)
{
	struct runnel_dispatch_peer peer;
	said.stop = runnel_dispatcher_stop(desk.dispatcher, 0, NULL);
	said.start = runnel_dispatcher_start(desk.dispatcher);
	said.peer = runnel_dispatcher_peer(desk.dispatcher, &desk.peers[0], &peer);
	said.given = desk_metric(RUNNEL_METRIC_GIVEN_PACKETS);
	desk_done(ctx, outcome);
}

static void test_what_waits_for_a_shard_is_refused_on_one(void **state)
{
	(void)state;
	uint8_t packet[DESK_PACKET_MAX];
	size_t len = desk_packet("10.7.0.1", 1, 1, packet);
	desk_start();
	assert_public_ok(runnel_dispatch_with_callback(desk.dispatcher, NULL, NULL, packet, len,
						       ask_inside, &desk));
	desk_wait_done(1);
	assert_public_err(said.stop, RUNNEL_ERR_BAD_STATE);
	assert_public_err(said.start, RUNNEL_ERR_BAD_STATE);
	assert_public_err(said.peer, RUNNEL_ERR_BAD_STATE);
	assert_int_equal(said.given, 1);
}

/* --- stop ---------------------------------------------------------------------------- */

static void test_stop_with_time_sends_all_that_waits(void **state)
{
	(void)state;
	uint64_t dropped = 77;
	desk_start();
	send_some("10.7.0.1", 1000, 1, SOME);
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, RUNNEL_FOREVER, &dropped));
	assert_int_equal(dropped, 0);
	assert_int_equal(desk.n_done, SOME);
	assert_int_equal(desk.n_arrived, SOME);
	assert_each_is_counted_once(SOME);
}

static void expect_stop_drops(runnel_nsec timeout)
{
	uint64_t dropped, again;
	desk_set(0, (struct runnel_memory_faults){.is_full = true});
	desk_start();
	send_some("10.7.0.1", 1000, 1, SOME);
	struct timespec began, ended;
	clock_gettime(CLOCK_MONOTONIC, &began);
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, timeout, &dropped));
	clock_gettime(CLOCK_MONOTONIC, &ended);
	int64_t took = (ended.tv_sec - began.tv_sec) * (int64_t)RUNNEL_NSEC_PER_SEC +
		       ended.tv_nsec - began.tv_nsec;
	/* Not before; a loop's clock stands for up to a millisecond. */
	assert_true(took + (int64_t)RUNNEL_NSEC_PER_MSEC >= (int64_t)timeout);
	assert_int_equal(dropped, SOME);
	assert_int_equal(desk.n_done, SOME);
	assert_int_equal(desk.outcomes[RUNNEL_DROP_NONE], 0);
	assert_int_equal(desk.n_arrived, 0);
	assert_each_is_counted_once(SOME);
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, 0, &again));
	assert_int_equal(again, dropped);
}

static void test_stop_without_time_drops_what_waits_and_says_how_many(void **state)
{
	(void)state;
	expect_stop_drops(0);
}

static void test_stop_gives_up_at_its_deadline(void **state)
{
	(void)state;
	expect_stop_drops(30 * RUNNEL_NSEC_PER_MSEC);
}

static void test_stop_waits_for_a_peer_that_takes_packets_again(void **state)
{
	(void)state;
	desk_set(0, (struct runnel_memory_faults){.is_full = true});
	desk_start();
	send_some("10.7.0.1", 1000, 1, 10);
	while (desk_metric(RUNNEL_METRIC_WAITING_PACKETS_NOW) < 10)
		sched_yield();
	desk_set(0, (struct runnel_memory_faults){.is_full = false});
	uint64_t dropped;
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, RUNNEL_FOREVER, &dropped));
	assert_int_equal(dropped, 0);
	assert_int_equal(desk.n_arrived, 10);
}

static void test_states_allow_what_the_header_says(void **state)
{
	(void)state;
	uint64_t dropped = 77;
	struct runnel_dispatch_peer peer;
	desk_new();
	assert_public_err(desk_send("10.7.0.1", 1, 1), RUNNEL_ERR_CLOSED);
	assert_public_err(runnel_dispatcher_peer(desk.dispatcher, &desk.peers[0], &peer),
			  RUNNEL_ERR_CLOSED);
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, 0, &dropped));
	assert_int_equal(dropped, 0);
	assert_public_ok(runnel_dispatcher_start(desk.dispatcher));
	assert_public_err(runnel_dispatcher_start(desk.dispatcher), RUNNEL_ERR_BAD_STATE);
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, 0, NULL));
	assert_public_err(runnel_dispatcher_start(desk.dispatcher), RUNNEL_ERR_BAD_STATE);
	assert_public_err(desk_send("10.7.0.1", 1, 1), RUNNEL_ERR_CLOSED);
	assert_public_err(runnel_dispatcher_peer(desk.dispatcher, &desk.peers[0], &peer),
			  RUNNEL_ERR_CLOSED);
	assert_int_equal(desk_metric(RUNNEL_METRIC_GIVEN_PACKETS), 0);
	assert_null(runnel_dispatcher_free(NULL));
}

static void test_free_stops_what_runs(void **state)
{
	(void)state;
	desk_set(0, (struct runnel_memory_faults){.is_full = true});
	desk_start();
	send_some("10.7.0.1", 1000, 1, SOME);
	desk.dispatcher = runnel_dispatcher_free(desk.dispatcher);
	assert_int_equal(desk.n_done, SOME);
}

/* --- peers --------------------------------------------------------------------------- */

static void test_view_of_a_peer_sums_its_shards(void **state)
{
	(void)state;
	enum {
		KEYS = 64
	};
	struct runnel_dispatch_peer peer;
	struct runnel_dispatch_stream streams[8];
	size_t n;
	desk.conf.shards = 4;
	desk_start();
	for (uint16_t i = 0; i < KEYS; i++)
		send_some("10.7.0.1", (uint16_t)(1000 + i), 1, 2);
	desk_wait_done(2 * KEYS);
	assert_public_ok(runnel_dispatcher_peer(desk.dispatcher, &desk.peers[0], &peer));
	assert_int_equal(peer.sent_packets, 2 * KEYS);
	assert_int_equal(peer.keys, KEYS);
	assert_int_equal(peer.waiting_packets, 0);
	assert_int_equal(peer.shards_with_stream, 4);
	assert_int_equal(peer.breaker, RUNNEL_BREAKER_CLOSED);
	assert_public_ok(
		runnel_dispatcher_streams(desk.dispatcher, &desk.peers[0], streams, 8, &n));
	uint64_t keys = 0, sent = 0;
	for (size_t i = 0; i < n; i++) {
		keys += streams[i].keys;
		sent += streams[i].sent_packets;
		assert_true(i == 0 || streams[i].shard >= streams[i - 1].shard);
		assert_string_equal(streams[i].state, "up");
	}
	assert_int_equal(n, peer.streams);
	assert_int_equal(keys, KEYS);
	assert_int_equal(sent, 2 * KEYS);
	assert_public_ok(
		runnel_dispatcher_streams(desk.dispatcher, &desk.peers[0], streams, 3, &n));
	assert_int_equal(n, 3);
	const struct runnel_peer_id none = {.len = 0};
	assert_public_err(runnel_dispatcher_peer(desk.dispatcher, &none, &peer),
			  RUNNEL_ERR_MALFORMED);
}

static void on_breaker(void *ctx, unsigned shard, const struct runnel_peer_id *peer,
		       enum runnel_breaker_state state)
{
	(void)shard;
	desk_lock();
	if (state == RUNNEL_BREAKER_OPEN && runnel_peer_id_equal(peer, &desk.peers[1]))
		*(bool *)ctx = true;
	desk_tell();
	desk_unlock();
}

static void test_peer_that_refuses_is_given_up_and_the_observer_hears(void **state)
{
	(void)state;
	bool is_open = false;
	struct runnel_dispatch_peer peer;
	desk.conf.shards = 1;
	desk.resilience.breaker_failures = 1;
	desk.resilience.on_breaker = on_breaker;
	desk.resilience.ctx = &is_open;
	desk_set(1, (struct runnel_memory_faults){.refuses = true});
	desk_start();
	desk_lock();
	while (!is_open)
		desk_wait();
	desk_unlock();
	assert_public_ok(desk_send("10.7.1.1", 1, 1));
	assert_public_ok(desk_send("10.7.0.1", 1, 1)); /* others do not suffer */
	desk_wait_done(2);
	assert_int_equal(desk.outcomes[RUNNEL_DROP_BREAKER_OPEN], 1);
	assert_int_equal(desk.outcomes[RUNNEL_DROP_NONE], 1);
	assert_public_ok(runnel_dispatcher_peer(desk.dispatcher, &desk.peers[1], &peer));
	assert_int_equal(peer.breaker, RUNNEL_BREAKER_OPEN);
	assert_int_equal(peer.breakers_open, 1);
	assert_int_equal(desk_metric(RUNNEL_METRIC_BREAKER_OPENINGS), 1);
}

static void test_broken_streams_are_replaced_and_order_holds(void **state)
{
	(void)state;
	desk_start();
	for (uint32_t i = 0; i < 20; i++) {
		send_some("10.7.0.1", 1000, 1 + i * 10, 10);
		assert_public_ok(runnel_memory_streams_break(desk.streams, &desk.peers[0]));
		/* A stream that broke young is a failed attempt: do not wait for the next. */
		desk_set(0, (struct runnel_memory_faults){.is_down = true});
		desk_set(0, (struct runnel_memory_faults){.is_down = false});
	}
	desk_wait_done(200);
	send_some("10.7.0.1", 1000, 201, 1);
	desk_wait_done(201);
	assert_true(desk.outcomes[RUNNEL_DROP_NONE] > 0);
	assert_true(desk_metric(RUNNEL_METRIC_STREAMS_CREATED) > 1);
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, RUNNEL_FOREVER, NULL));
	assert_int_equal(desk.n_arrived, desk.outcomes[RUNNEL_DROP_NONE]);
	assert_false(desk.is_disordered);
	assert_each_is_counted_once(201);
}

static void test_peer_may_be_added_while_it_runs(void **state)
{
	(void)state;
	struct runnel_memory_peer late = {.id = {.bytes = {0, 4, 8, 1, 18, 99}, .len = 6}};
	const struct runnel_ip ip = {.family = 4, .bytes = {10, 8, 0, 0}};
	desk_start();
	assert_public_ok(runnel_memory_streams_add(desk.streams, &late));
	assert_public_err(runnel_memory_streams_add(desk.streams, &late), RUNNEL_ERR_DUPLICATE);
	assert_public_ok(runnel_memory_discovery_add(desk.discovery, &ip, 16, &late.id));
	assert_public_ok(desk_send("10.8.0.1", 1, 1));
	desk_wait_done(1);
	assert_int_equal(desk.outcomes[RUNNEL_DROP_NONE], 1);
}

static void test_memory_discovery_refuses_what_is_no_prefix(void **state)
{
	(void)state;
	const struct runnel_ip host = {.family = 4, .bytes = {10, 8, 0, 1}}, none = {.family = 0};
	const struct runnel_peer_id nobody = {.len = 0};
	assert_public_err(runnel_memory_discovery_add(desk.discovery, &host, 33, &desk.peers[0]),
			  RUNNEL_ERR_RANGE);
	assert_public_err(runnel_memory_discovery_add(desk.discovery, &host, 31, &desk.peers[0]),
			  RUNNEL_ERR_RANGE);
	assert_public_err(runnel_memory_discovery_add(desk.discovery, &none, 0, &desk.peers[0]),
			  RUNNEL_ERR_MALFORMED);
	assert_public_err(runnel_memory_discovery_add(desk.discovery, &host, 32, &nobody),
			  RUNNEL_ERR_MALFORMED);
	assert_public_ok(runnel_memory_discovery_add(desk.discovery, &host, 32, &desk.peers[0]));
}

#define T(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_packets_of_a_key_arrive_in_order_and_each_callback_says_sent),
		T(test_given_key_keeps_what_has_many_in_order),
		T(test_given_destination_says_whose_the_packet_is),
		T(test_what_is_no_packet_or_no_address_is_refused_at_once),
		T(test_drop_without_a_route_is_told),
		T(test_owner_that_changes_gets_what_comes_then),
		T(test_given_key_that_is_also_the_packets_own_keeps_order_with_it),
		T(test_shard_without_a_free_packet_drops_and_says_so),
		T(test_full_inbox_refuses_and_loses_nothing_that_it_took),
		T(test_callback_may_dispatch),
		T(test_what_waits_for_a_shard_is_refused_on_one),
		T(test_stop_with_time_sends_all_that_waits),
		T(test_stop_without_time_drops_what_waits_and_says_how_many),
		T(test_stop_gives_up_at_its_deadline),
		T(test_stop_waits_for_a_peer_that_takes_packets_again),
		T(test_states_allow_what_the_header_says),
		T(test_free_stops_what_runs),
		T(test_view_of_a_peer_sums_its_shards),
		T(test_peer_that_refuses_is_given_up_and_the_observer_hears),
		T(test_broken_streams_are_replaced_and_order_holds),
		T(test_peer_may_be_added_while_it_runs),
		T(test_memory_discovery_refuses_what_is_no_prefix),
	};
	return cmocka_run_group_tests_name("dispatch", tests, NULL, NULL);
}
