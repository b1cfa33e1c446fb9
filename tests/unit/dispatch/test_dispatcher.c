/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A dispatcher over memory: ways of a packet, lives of streams. */
#include "dispatch_kit.h"

#include <stdlib.h>

#include "base/util.h"
#include "vpn/dispatch/stream_manager.h"

static const struct memory_faults none = {0};

/* --- ways of a packet ------------------------------------------------------------------------ */

static void test_packets_of_a_key_arrive_in_order_on_one_stream(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	for (unsigned i = 0; i < 50; i++) {
		kit_send_many(k, 7, 0, 500, 40);
		kit_run(k, MSEC(1));
	}
	assert_int_equal(k->keys[7].n_arrived, 2000);
	assert_int_equal(k->keys[7].n_moves, 0);
	assert_int_equal(k->outcomes[PACKET_SENT], 2000);
	assert_int_equal(dispatcher_worker_count(k->d), 1);
	kit_end(k);
}

static void test_keys_spread_over_the_streams_and_stick(void **state)
{
	(void)state;
	struct dispatch_settings settings = kit_settings();
	settings.streams_min = 3;
	struct kit *k = kit_new(1, &settings);
	assert_int_equal(kit_up(k, 0), 3);
	for (unsigned i = 0; i < 20; i++) {
		for (size_t key = 0; key < 30; key++)
			kit_send(k, key, 0, 100);
		kit_run(k, MSEC(5));
	}
	size_t n[4] = {0};
	for (size_t key = 0; key < 30; key++) {
		assert_int_equal(k->keys[key].n_arrived, 20);
		assert_int_equal(k->keys[key].n_moves, 0);
		assert_in_range(k->keys[key].stream, 1, 3);
		n[k->keys[key].stream]++;
	}
	assert_true(n[1] == 10 && n[2] == 10 && n[3] == 10);
	kit_end(k);
}

static void test_what_nobody_owns_is_refused_and_told(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_send(k, 1, 5, 100);
	assert_int_equal(k->outcomes[DROP_NO_ROUTE], 1);
	assert_int_equal(k->n_refused[ICMP_NO_ROUTE], 1);
	assert_int_equal(k->n_no_route, 1);
	assert_int_equal(kit_count(k, COUNTER_DISCOVERY_MISSES), 1);
	assert_int_equal(dispatcher_worker_count(k->d), 0);
	kit_end(k);
}

static void test_multicast_and_broadcast_stay_here(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	const struct ip_prefix own = {.addr = ip_addr_v4((const uint8_t[]){10, 0, 0, 9}),
				      .len = 24};
	k->d->conf.addresses = &own;
	k->d->conf.n_addresses = 1;
	struct packet *p = kit_packet(k, 1, 0, 100);
	p->data[16] = 224;
	dispatcher_send(k->d, p);
	p = kit_packet(k, 1, 0, 100);
	p->data[19] = 255;
	dispatcher_send(k->d, p);
	assert_int_equal(k->outcomes[DROP_MULTICAST], 2);
	kit_end(k);
}

/* Every length that the packet does not have, and cuts of it. */
static void test_malformed_packets_are_dropped_by_name(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	unsigned n = 0;
	for (uint32_t len = 0; len < 100; len++, n++) {
		struct packet *p = kit_packet(k, 1, 0, 100);
		p->len = len;
		dispatcher_send(k->d, p);
	}
	for (uint8_t version = 0; version < 16; version++) {
		if (version == 4)
			continue;
		struct packet *p = kit_packet(k, 1, 0, 100);
		p->data[0] = (uint8_t)(version << 4 | 5);
		dispatcher_send(k->d, p);
		n++;
	}
	assert_int_equal(k->outcomes[DROP_MALFORMED], n);
	kit_end(k);
}

/* IPv6 says its length without its header: 65,535 and more are a lie, or too long for us. */
static void test_the_longest_packets_are_taken_or_refused_and_fit(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	struct ip_prefix prefix = {.addr = {.family = 6, .bytes = {0xfd}}, .len = 8};
	assert_ok(memory_discovery_add(k->discovery, &prefix, &k->peers[0]));
	for (uint32_t len = PACKET_LEN_MAX - 2; len <= PACKET_LARGE_CAP; len++) {
		struct packet *p = packet_alloc(k->pool, PACKET_LARGE_CAP);
		memset(p->data, 0, PACKET_LARGE_CAP);
		p->data[0] = 0x60;
		store_be16(p->data + 4, (uint16_t)(len - 40));
		p->data[6] = 59;
		p->data[7] = 64;
		p->data[8] = p->data[24] = 0xfd;
		p->data[23] = 9;
		p->len = len;
		dispatcher_send(k->d, p);
	}
	kit_run(k, MSEC(10));
	assert_int_equal(k->metrics.drops[DROP_TOO_BIG], 3);
	assert_int_equal(k->metrics.drops[DROP_MALFORMED], 1);
	assert_int_equal(packet_pool_free_count(k->pool), packet_pool_count(k->pool));
	dispatcher_close(k->d, sim_now(k->sim));
	kit_run(k, SEC(1));
	memset(k->metrics.drops, 0, sizeof(k->metrics.drops));
	kit_end(k);
}

static void test_longer_than_the_peers_mtu_is_told_its_mtu(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_send(k, 1, 0, 1420);
	kit_send(k, 1, 0, 1421);
	kit_run(k, MSEC(5));
	assert_int_equal(k->arrived, 1);
	assert_int_equal(k->outcomes[DROP_TOO_BIG], 1);
	assert_int_equal(k->n_refused[ICMP_TOO_BIG], 1);
	assert_int_equal(k->refused_mtu, 1420);
	kit_end(k);
}

static void test_many_at_once_are_as_one_by_one(void **state)
{
	(void)state;
	for (size_t n = 1; n <= 200; n += n < 70 ? 1 : 13) {
		struct kit *k = kit_new(2, NULL);
		struct packet *packets[200];
		for (size_t i = 0; i < n; i++) {
			packets[i] = kit_packet(k, i % 11, i % 11 % 3, 60 + i);
			if (i % 17 == 5)
				packets[i]->len = 3; /* malformed */
		}
		dispatcher_send_all(k->d, packets, n);
		kit_run(k, MSEC(5));
		size_t malformed = 0, unknown = 0;
		for (size_t i = 0; i < n; i++) {
			malformed += i % 17 == 5;
			unknown += i % 17 != 5 && i % 11 % 3 == 2;
		}
		assert_int_equal(k->outcomes[DROP_MALFORMED], malformed);
		assert_int_equal(k->outcomes[DROP_NO_ROUTE], unknown);
		assert_int_equal(k->arrived, n - malformed - unknown);
		kit_end(k);
	}
}

static void test_a_new_owner_gets_the_packets_and_not_the_old_one(void **state)
{
	(void)state;
	struct kit *k = kit_new(2, NULL);
	kit_send_many(k, 3, 0, 100, 10);
	kit_run(k, MSEC(5));
	assert_int_equal(k->arrived_of[0], 10);
	kit_faults(k, 0, (struct memory_faults){.is_full = true});
	kit_send_many(k, 3, 0, 100, 5); /* wait for the old owner */
	struct ip_prefix prefix = {.addr = ip_addr_v4((const uint8_t[]){10, 0, 0, 0}), .len = 24};
	assert_ok(memory_discovery_add(k->discovery, &prefix, &k->peers[1]));
	kit_send_many(k, 3, 0, 100, 10);
	kit_faults(k, 0, none);
	kit_run(k, MSEC(5));
	assert_int_equal(k->arrived_of[0], 10);
	assert_int_equal(k->arrived_of[1], 10);
	assert_int_equal(k->outcomes[DROP_CLOSING], 5);
	kit_check_streams(k);
	kit_end(k);
}

/* One key, chosen by the caller, for two destinations: each packet goes to the owner of its own. */
static void test_a_key_of_the_callers_own_never_misleads_a_packet(void **state)
{
	(void)state;
	struct kit *k = kit_new(2, NULL);
	struct conn_key key = {.family = 4, .ip = {1, 2, 3, 4}};
	for (unsigned i = 0; i < 20; i++) {
		size_t peer = i / 5 % 2;
		struct ip_addr to = ip_addr_v4((const uint8_t[]){10, 0, (uint8_t)peer, 1});
		dispatcher_send_as(k->d, kit_packet(k, peer, peer, 100), &key, &to);
		kit_run(k, MSEC(5));
		assert_int_equal(k->keys[peer].peer, peer);
	}
	assert_int_equal(k->arrived, 20);
	assert_int_equal(dispatcher_worker_count(k->d), 1);
	kit_end(k);
}

/* --- peers that are not there ---------------------------------------------------------------- */

static void test_packets_wait_for_a_peer_a_second_and_no_longer(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	dispatcher_peer_down(k->d, &k->peers[0]);
	memory_streams_break(k->memory, &k->peers[0], ERR_RESET);
	kit_run(k, MSEC(1));
	kit_send_many(k, 1, 0, 100, 10);
	assert_int_equal(k->n_demands, 10);
	kit_run(k, MSEC(500));
	assert_int_equal(k->ended, 0);
	kit_send_many(k, 1, 0, 100, 5);
	kit_run(k, MSEC(750));
	assert_int_equal(k->outcomes[DROP_PEER_DOWN], 10);
	kit_send(k, 1, 0, 100); /* known to be down for long */
	assert_int_equal(k->outcomes[DROP_PEER_DOWN], 11);
	assert_int_equal(k->n_refused[ICMP_UNREACHABLE], 1);
	assert_ok(dispatcher_peer_up(k->d, &k->peers[0]));
	kit_run(k, MSEC(5));
	assert_int_equal(k->arrived, 5); /* what was young enough */
	kit_end(k);
}

/* The service knows first that the peer is gone; packets make it look for the peer. */
static void test_a_peer_that_cannot_be_opened_to_is_asked_for(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_faults(k, 0, (struct memory_faults){.is_down = true});
	memory_streams_break(k->memory, &k->peers[0], ERR_RESET);
	kit_run(k, SEC(5)); /* whoever says no at once is asked again, the stream was young */
	unsigned opens = k->n_opens;
	kit_send_many(k, 1, 0, 100, 10);
	kit_run(k, MSEC(1500));
	assert_true(k->n_opens <= opens + 1);
	assert_true(k->n_demands > 0);
	assert_int_equal(k->ended, 10);
	kit_faults(k, 0, none);
	assert_ok(dispatcher_peer_up(k->d, &k->peers[0]));
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(5));
	assert_int_equal(k->arrived, 1);
	kit_end(k);
}

static void test_the_breaker_opens_and_closes_again(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_faults(k, 0, (struct memory_faults){.refuses = true});
	memory_streams_break(k->memory, &k->peers[0], ERR_RESET);
	kit_run(k, MSEC(5));
	unsigned opens = k->n_opens;
	while (kit_info(k, 0).breaker == BREAKER_CLOSED) {
		kit_send_many(k, 1, 0, 100, 100);
		kit_run(k, MSEC(100));
		assert_true(sim_now(k->sim) < SEC(60));
	}
	assert_int_equal(kit_info(k, 0).breaker, BREAKER_OPEN);
	assert_true(k->n_opens - opens <= 5); /* and not one for each packet */
	assert_int_equal(kit_count(k, COUNTER_BREAKER_OPENINGS), 1);
	kit_run(k, SEC(2)); /* what waited is gone */
	uint64_t before = k->outcomes[DROP_BREAKER_OPEN];
	unsigned told = k->n_refused[ICMP_UNREACHABLE];
	opens = k->n_opens;
	kit_send_many(k, 1, 0, 100, 1000);
	assert_int_equal(k->outcomes[DROP_BREAKER_OPEN], before + 1000);
	assert_int_equal(k->n_refused[ICMP_UNREACHABLE], told + 1000);
	kit_run(k, SEC(50));
	assert_int_equal(k->n_opens, opens);
	kit_faults(k, 0, none);
	kit_run(k, SEC(10));
	assert_int_equal(kit_up(k, 0), 1);
	assert_int_equal(kit_info(k, 0).breaker, BREAKER_HALF_OPEN);
	kit_send(k, 1, 0, 100); /* one stream is enough to send */
	kit_run(k, MSEC(5));
	assert_int_equal(k->arrived, 1);
	kit_run(k, SEC(8));
	assert_int_equal(kit_info(k, 0).breaker, BREAKER_CLOSED);
	assert_int_equal(kit_count(k, COUNTER_BREAKER_CLOSINGS), 1);
	kit_end(k);
}

/* Its streams end young, all for this reason, until it is given up. */
static void until_given_up(struct kit *k, enum err why)
{
	while (kit_info(k, 0).breaker != BREAKER_OPEN) {
		kit_send(k, 1, 0, 100);
		kit_run(k, MSEC(100));
		memory_streams_break(k->memory, &k->peers[0], why);
		assert_true(sim_now(k->sim) < SEC(100));
	}
	kit_run(k, SEC(1));
}

static void send_for(struct kit *k, nsec_t duration)
{
	for (nsec_t t = 0; t < duration; t += MSEC(100)) {
		kit_send(k, 1, 0, 100);
		kit_run(k, MSEC(100));
	}
}

static void test_a_peer_that_was_silent_is_tried_again_when_it_is_heard(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	until_given_up(k, ERR_TIMEOUT);
	send_for(k, SEC(5));
	assert_int_equal(kit_info(k, 0).breaker, BREAKER_OPEN);
	memory_streams_hear(k->memory, &k->peers[0]);
	send_for(k, MSEC(300));
	assert_int_equal(kit_info(k, 0).breaker, BREAKER_HALF_OPEN);
	assert_int_equal(kit_up(k, 0), 1);
	kit_end(k);

	/* One that breaks its streams was never silent: that it lives is no news. */
	k = kit_new(1, NULL);
	until_given_up(k, ERR_RESET);
	memory_streams_hear(k->memory, &k->peers[0]);
	send_for(k, SEC(5));
	assert_int_equal(kit_info(k, 0).breaker, BREAKER_OPEN);
	kit_end(k);
}

static void test_streams_that_fail_together_are_one_failure(void **state)
{
	(void)state;
	struct dispatch_settings settings = kit_settings();
	settings.streams_min = settings.streams_max = 8;
	struct kit *k = kit_new(1, &settings);
	memory_streams_break(k->memory, &k->peers[0], ERR_TIMEOUT);
	kit_run(k, MSEC(50));
	assert_int_equal(kit_info(k, 0).breaker, BREAKER_CLOSED);
	kit_run(k, SEC(5));
	assert_int_equal(kit_up(k, 0), 8);
	kit_end(k);
}

/* The first stream after a bad time is on probation; the others must not wait for a minute. */
static void test_after_a_bad_time_all_streams_are_back_soon(void **state)
{
	(void)state;
	struct dispatch_settings settings = kit_settings();
	settings.streams_min = 3;
	struct kit *k = kit_new(1, &settings);
	for (unsigned i = 0; i < 5; i++)
		dispatcher_peer_unreachable(k->d, &k->peers[0]);
	memory_streams_break(k->memory, &k->peers[0], ERR_RESET);
	kit_run(k, MSEC(100));
	assert_int_equal(kit_info(k, 0).breaker, BREAKER_OPEN);
	assert_ok(dispatcher_peer_up(k->d, &k->peers[0]));
	kit_run(k, SEC(10));
	assert_int_equal(kit_info(k, 0).breaker, BREAKER_CLOSED);
	assert_int_equal(kit_up(k, 0), 3);
	kit_end(k);
}

/* A key should wait for a stream that cannot be opened: then it takes what there is. */
static void test_a_key_is_not_stuck_where_order_cannot_be_kept(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_send(k, 1, 0, 100);
	kit_run(k, SEC(4));
	struct worker_pool *pool = kit_pool(k, 0);
	struct worker *w = pool->streams.streams->workers;
	/* As after the death of a stream on another connection. */
	stream_manager_release(w);
	w->death = ++pool->streams.deaths;
	kit_faults(k, 0, (struct memory_faults){.refuses = true});
	unsigned opens = k->n_opens;
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(10));
	assert_int_equal(k->arrived, 1); /* it waits */
	assert_int_equal(k->n_opens, opens + 1);
	breaker_open(&pool->resilience.breaker, sim_now(k->sim));
	kit_run(k, MSEC(200));
	assert_int_equal(k->arrived, 2);
	stream_manager_release(w);
	w->death = ++pool->streams.deaths;
	kit_send(k, 1, 0, 100); /* at once */
	kit_run(k, MSEC(10));
	assert_int_equal(k->arrived, 3);
	assert_int_equal(k->outcomes[DROP_BREAKER_OPEN], 0);
	kit_end(k);
}

static void test_dials_in_vain_open_the_breaker(void **state)
{
	(void)state;
	struct kit *k = kit_new(2, NULL);
	dispatcher_peer_down(k->d, &k->peers[0]);
	memory_streams_break(k->memory, &k->peers[0], ERR_RESET);
	kit_run(k, SEC(1));
	for (unsigned i = 0; i < 4; i++)
		dispatcher_peer_unreachable(k->d, &k->peers[0]);
	assert_int_equal(kit_info(k, 0).breaker, BREAKER_OPEN);
	kit_send(k, 1, 0, 100);
	assert_int_equal(k->outcomes[DROP_BREAKER_OPEN], 1);
	kit_send(k, 2, 1, 100); /* of the other peer */
	kit_run(k, MSEC(5));
	assert_int_equal(k->arrived, 1);
	kit_end(k);
}

/* --- a peer in trouble beside a busy one ----------------------------------------------------- */

static void check_neighbour(struct memory_faults faults)
{
	struct kit *k = kit_new(2, NULL);
	kit_faults(k, 0, faults);
	for (unsigned i = 0; i < 2000; i++) {
		for (size_t key = 0; key < 20; key++)
			kit_send(k, key, 0, 1000);
		for (size_t key = 100; key < 110; key++)
			kit_send(k, key, 1, 1000);
		kit_run(k, MSEC(5));
		/* The busy one has all, at once. */
		assert_int_equal(k->arrived_of[1], 10 * (i + 1));
	}
	kit_check(k);
	kit_check_streams(k);
	assert_int_equal(kit_count(k, COUNTER_PEER_TX_PACKETS), k->outcomes[PACKET_SENT]);
	kit_faults(k, 0, none);
	kit_end(k);
}

static void test_a_peer_in_trouble_does_not_disturb_a_busy_one(void **state)
{
	(void)state;
	check_neighbour((struct memory_faults){.is_full = true});
	check_neighbour((struct memory_faults){.is_silent = true});
	check_neighbour((struct memory_faults){.refuses = true});
	check_neighbour((struct memory_faults){.is_full = true, .is_silent = true});
	check_neighbour((struct memory_faults){.is_down = true});
}

/* --- lives of streams ------------------------------------------------------------------------ */

static void test_what_only_waited_survives_its_stream(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_faults(k, 0, (struct memory_faults){.is_full = true});
	for (size_t key = 0; key < 50; key++)
		kit_send_many(k, key, 0, 200, 4);
	for (unsigned i = 0; i < 3; i++) {
		kit_run(k, SEC(4)); /* not young any more */
		memory_streams_break(k->memory, &k->peers[0], ERR_RESET);
	}
	kit_run(k, MSEC(50));
	kit_check_streams(k);
	assert_int_equal(k->ended, 0);
	kit_faults(k, 0, none);
	kit_run(k, MSEC(200));
	assert_int_equal(k->arrived + k->outcomes[DROP_QUEUE_DELAY], 200);
	assert_true(k->arrived >= 50); /* the last of each key is always sent */
	assert_int_equal(k->metrics.drops[DROP_STREAM_RESET], 0);
	kit_end(k);
}

static void test_a_silent_stream_is_replaced(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_run(k, SEC(5));
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(10));
	kit_faults(k, 0, (struct memory_faults){.is_silent = true});
	kit_run(k, SEC(60)); /* the next probe within 30 s, three failures of 5 s */
	assert_true(kit_count(k, COUNTER_STREAMS_REPLACED) >= 1);
	kit_faults(k, 0, none);
	kit_run(k, SEC(60));
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(10));
	assert_int_equal(k->arrived, 2);
	assert_true(k->keys[1].stream > 1);
	kit_end(k);
}

static void test_a_retiring_stream_drains_when_another_is_up(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	for (unsigned i = 0; i < 200; i++) {
		for (size_t key = 0; key < 10; key++)
			kit_send_many(k, key, 0, 400, 3);
		if (i % 20 == 10)
			memory_streams_retire(k->memory, &k->peers[0]);
		kit_run(k, MSEC(3));
		kit_check_streams(k);
	}
	kit_run(k, MSEC(100));
	assert_int_equal(k->arrived, 6000);
	assert_int_equal(metrics_dropped(&k->metrics), 0);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_REPLACED), 10);
	assert_int_equal(memory_streams_count(k->memory, &k->peers[0]), 1);
	kit_end(k);
}

/* A peer of /vpn/1.0.0 has no HELLO and no probes. */
static void test_a_plain_peer_is_served_as_well(void **state)
{
	(void)state;
	kit_first_vpn = 0;
	struct kit *k = kit_new(1, NULL);
	kit_first_vpn = KIT_PEERS_MAX;
	for (unsigned i = 0; i < 100; i++) {
		for (size_t key = 0; key < 10; key++)
			kit_send(k, key, 0, 400);
		if (i % 20 == 10)
			memory_streams_retire(k->memory, &k->peers[0]);
		kit_run(k, MSEC(30));
		kit_check_streams(k);
	}
	kit_run(k, SEC(1));
	assert_int_equal(k->arrived + k->outcomes[DROP_QUEUE_DELAY], 1000);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_REPLACED), 5);
	kit_send(k, 1, 0, 1421);
	assert_int_equal(k->n_refused[ICMP_TOO_BIG], 1);
	/* It takes nothing, and something waits: sick. */
	kit_faults(k, 0, (struct memory_faults){.is_full = true});
	uint64_t before = kit_count(k, COUNTER_STREAMS_REPLACED);
	for (unsigned i = 0; i < 40; i++) {
		kit_send(k, 1, 0, 400);
		kit_run(k, MSEC(500));
	}
	assert_true(kit_count(k, COUNTER_STREAMS_REPLACED) > before);
	kit_faults(k, 0, none);
	kit_end(k);
}

static void test_a_suspect_stream_is_given_up_when_another_is_up(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(5));
	kit_faults(k, 0, (struct memory_faults){.is_suspect = true, .is_full = true});
	kit_send_many(k, 1, 0, 100, 10);
	memory_streams_retire(k->memory, &k->peers[0]);
	kit_run(k, MSEC(50));
	assert_int_equal(k->arrived, 1);
	kit_faults(k, 0, none);
	kit_run(k, MSEC(50));
	assert_int_equal(k->arrived, 11);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_REPLACED), 1);
	kit_end(k);
}

static void test_draining_has_a_time_limit(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_send(k, 1, 0, 100);
	kit_run(k, SEC(4));
	kit_faults(k, 0, (struct memory_faults){.is_silent = true}); /* no barrier comes back */
	memory_streams_retire(k->memory, &k->peers[0]);
	kit_run(k, MSEC(20));
	kit_send_many(k, 1, 0, 100, 10); /* held */
	kit_run(k, MSEC(400));
	assert_int_equal(k->arrived, 1);
	kit_run(k, MSEC(200));
	assert_int_equal(k->arrived, 11);
	assert_true(k->keys[1].stream > 1);
	kit_end(k);
}

/* A peer that never ends its side must not keep our place for ever. */
static void test_a_stream_that_the_peer_does_not_end_is_reset(void **state)
{
	(void)state;
	struct dispatch_settings settings = kit_settings();
	settings.streams_max = 1;
	struct kit *k = kit_new(1, &settings);
	kit_faults(k, 0, (struct memory_faults){.keeps_open = true});
	for (unsigned i = 0; i < 6; i++) {
		memory_streams_retire(k->memory, &k->peers[0]);
		kit_run(k, MSEC(700));
	}
	assert_true(kit_info(k, 0).n_streams > 1);
	/* No room for another one: nothing to do before the first of them is given up. */
	assert_true(kit_pool(k, 0)->timer.at > sim_now(k->sim) + MSEC(5));
	kit_run(k, SEC(7));
	assert_int_equal(kit_info(k, 0).n_streams, 1);
	assert_int_equal(kit_up(k, 0), 1);
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(5));
	assert_int_equal(k->arrived, 1);
	kit_end(k);
}

static void test_usage_is_told_by_key_and_stream(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	struct conn_key key, unknown = {.family = 4, .source_port = 1};
	struct dispatch_key_info info;
	kit_send_many(k, 1, 0, 100, 7);
	assert_ok(conn_key_parse(span_str("1001:10.0.0.1:53"), &key));
	kit_run(k, MSEC(10));
	assert_ok(dispatcher_key_info(k->d, &key, &info));
	assert_int_equal(info.sent_packets, 7);
	assert_int_equal(info.sent_bytes, 700);
	assert_int_equal(info.queued_packets, 0);
	assert_true(peer_id_equal(&info.peer, &k->peers[0]));
	struct dispatch_peer_info peer = kit_info(k, 0);
	assert_int_equal(peer.n_streams, 1);
	assert_int_equal(peer.streams[0].id, info.stream);
	assert_int_equal(peer.streams[0].n_keys, 1);
	assert_int_equal(peer.streams[0].sent_packets, 7);
	assert_err(dispatcher_key_info(k->d, &unknown, &info), ERR_NOT_FOUND);
	kit_end(k);
}

static void test_unused_streams_are_closed_down_to_the_minimum(void **state)
{
	(void)state;
	struct dispatch_settings settings = kit_settings();
	settings.streams_min = 3;
	struct kit *k = kit_new(1, &settings);
	for (size_t key = 0; key < 9; key++)
		kit_send(k, key, 0, 100);
	kit_run(k, MSEC(10));
	assert_int_equal(kit_up(k, 0), 3);
	k->d->conf.settings.streams_min = 1;
	nsec_t until = sim_now(k->sim) + SEC(295);
	while (sim_now(k->sim) < until) {
		kit_send(k, 0, 0, 100);
		kit_run(k, SEC(1));
	}
	assert_int_equal(kit_up(k, 0), 3);
	kit_run(k, SEC(70)); /* one look a minute */
	assert_int_equal(kit_up(k, 0), 1);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_IDLED), 2);
	uint64_t stream = k->keys[0].stream;
	kit_send(k, 0, 0, 100);
	kit_run(k, MSEC(10));
	assert_int_equal(k->keys[0].stream, stream); /* the one in use stayed */
	kit_run(k, SEC(700));
	assert_int_equal(kit_up(k, 0), 1);
	kit_end(k);
}

static void test_with_a_minimum_of_none_streams_come_with_packets_and_go(void **state)
{
	(void)state;
	struct dispatch_settings settings = kit_settings();
	settings.streams_min = 0;
	struct kit *k = kit_new(1, &settings);
	assert_int_equal(k->n_opens, 0);
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(10));
	assert_int_equal(k->arrived, 1);
	assert_int_equal(k->n_opens, 1);
	kit_run(k, SEC(400));
	assert_int_equal(kit_info(k, 0).n_streams, 0);
	assert_int_equal(k->n_opens, 1);
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(10));
	assert_int_equal(k->arrived, 2);
	kit_end(k);
}

static void test_idle_keys_are_forgotten_and_their_memory_comes_back(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	size_t before = worker_table_bytes(k->d->table);
	for (unsigned round = 0; round < 100; round++) {
		for (uint32_t i = 0; i < 1000; i++) {
			struct packet *p = kit_packet(k, 1, 0, 60);
			store_be16(p->data + 22, (uint16_t)(round * 500 + i / 2));
			p->data[21] = (uint8_t)i;
			dispatcher_send(k->d, p);
			k->keys[1].arrived = 0; /* these are many keys */
			if (i % 250 == 0)
				kit_run(k, MSEC(1));
		}
		kit_run(k, MSEC(2));
		k->keys[1].arrived = 0;
	}
	assert_true(dispatcher_worker_count(k->d) > 20000);
	kit_run(k, SEC(200));
	assert_true(dispatcher_worker_count(k->d) > 20000);
	kit_run(k, SEC(180));
	assert_int_equal(dispatcher_worker_count(k->d), 0);
	assert_true(worker_table_bytes(k->d->table) <= before + 2 * WORKER_CHUNK * 192);
	kit_end(k);
}

/* Nothing happens: nothing is looked at more often than it has to be. */
static void test_a_quiet_dispatcher_sleeps(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_run(k, SEC(10));
	struct worker_pool *pool = kit_pool(k, 0);
	for (unsigned i = 0; i < 20; i++) {
		assert_true(pool->timer.at >= sim_now(k->sim) + SEC(1));
		kit_run(k, pool->timer.at - sim_now(k->sim) + MSEC(50));
	}
	kit_end(k);
}

/* A look that was asked for is not put off by a packet. */
static void test_a_packet_does_not_put_off_what_is_due(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_run(k, SEC(10));
	memory_streams_retire(k->memory, &k->peers[0]);
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(10));
	assert_int_equal(k->n_opens, 2);
	kit_end(k);
}

/* --- the end --------------------------------------------------------------------------------- */

static void test_the_end_sends_what_waits_while_there_is_time(void **state)
{
	(void)state;
	struct kit *k = kit_new(2, NULL);
	kit_faults(k, 0, (struct memory_faults){.is_full = true});
	for (size_t key = 0; key < 20; key++)
		kit_send_many(k, key, key % 2, 200, 2);
	dispatcher_close(k->d, sim_now(k->sim) + SEC(5));
	dispatcher_close(k->d, sim_now(k->sim)); /* twice is once */
	kit_send(k, 1, 1, 100);                  /* too late */
	assert_int_equal(k->outcomes[DROP_CLOSING], 1);
	kit_run(k, MSEC(20));
	assert_false(k->is_closed);
	kit_faults(k, 0, none);
	kit_run(k, MSEC(100));
	assert_true(k->is_closed);
	assert_int_equal(k->arrived + k->outcomes[DROP_QUEUE_DELAY], 40);
	assert_true(k->arrived >= 30);
	assert_int_equal(k->dropped_at_close, 0);
	kit_end(k);
}

static void test_the_end_says_how_many_the_deadline_cost(void **state)
{
	(void)state;
	struct kit *k = kit_new(3, NULL);
	kit_send(k, 40, 0, 100);
	kit_run(k, MSEC(10));
	kit_faults(k, 0, (struct memory_faults){.is_full = true});
	dispatcher_peer_down(k->d, &k->peers[2]);
	memory_streams_break(k->memory, &k->peers[2], ERR_RESET);
	kit_run(k, MSEC(1));
	for (size_t key = 0; key < 30; key++)
		kit_send(k, key, key % 3, 200);
	kit_close(k, MSEC(50));
	assert_int_equal(k->arrived_of[0], 1);
	assert_int_equal(k->arrived_of[1], 10);
	assert_int_equal(k->dropped_at_close, 20);
	assert_int_equal(k->outcomes[DROP_CLOSING], 20);
	kit_end(k);
}

/* A packet that is half sent at the deadline costs a packet, too. */
static void test_the_end_counts_what_was_half_sent(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_run(k, SEC(1));
	kit_faults(k, 0, (struct memory_faults){.is_full = true});
	kit_send_many(k, 1, 0, 500, 3);
	uint8_t some[100];
	struct pool_stream *s = kit_pool(k, 0)->streams.streams;
	assert_int_equal(channel_pull(&s->channel, some, sizeof(some), sim_now(k->sim)), 100);
	kit_close(k, MSEC(50));
	assert_int_equal(k->dropped_at_close, 3);
	assert_int_equal(k->outcomes[DROP_CLOSING] + k->outcomes[DROP_STREAM_RESET], 3);
	kit_end(k);
}

static void test_a_peer_that_comes_up_at_the_end_gets_no_stream(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_faults(k, 0, (struct memory_faults){.keeps_open = true});
	/* Another one, unknown up to now. */
	struct memory_peer peer = {.id = {.len = 38, .bytes = {99}}};
	peer.hello = k->conf.settings.hello;
	assert_ok(memory_streams_add(k->memory, &peer));
	dispatcher_close(k->d, sim_now(k->sim));
	kit_run(k, MSEC(50));
	assert_false(k->is_closed);
	unsigned opens = k->n_opens;
	assert_ok(dispatcher_peer_up(k->d, &peer.id));
	assert_ok(dispatcher_peer_up(k->d, &k->peers[0]));
	kit_run(k, SEC(1));
	assert_int_equal(k->n_opens, opens);
	assert_true(k->is_closed);
	kit_end(k);
}

/* Without a stream there is nothing to close: it may just be freed, and tells what waited. */
static void test_what_waits_for_nobody_is_told_when_it_is_freed(void **state)
{
	(void)state;
	struct dispatch_settings settings = kit_settings();
	settings.streams_min = 0;
	struct kit *k = kit_new(1, &settings);
	struct ip_prefix prefix = {.addr = ip_addr_v4((const uint8_t[]){10, 0, 7, 0}), .len = 24};
	struct peer_id nobody = {.len = 38, .bytes = {99}};
	assert_ok(memory_discovery_add(k->discovery, &prefix, &nobody));
	for (size_t key = 0; key < 5; key++)
		kit_send_many(k, key, 7, 100, 3);
	assert_int_equal(k->ended, 0);
	assert_int_equal(k->n_demands, 15);
	k->d = dispatcher_free(k->d);
	assert_int_equal(k->outcomes[DROP_CLOSING], 15);
	k->is_closed = true;
	kit_end(k);
}

static void test_the_end_comes_in_every_state_of_a_stream(void **state)
{
	(void)state;
	for (unsigned when = 0; when < 40; when++) {
		for (unsigned how = 0; how < 5; how++) {
			struct dispatch_settings settings = kit_settings();
			settings.streams_min = 2;
			struct kit *k = kit_new(2, &settings);
			kit_faults(k, 0,
				   (struct memory_faults){.is_full = how == 1,
							  .is_silent = how == 2,
							  .refuses = how == 3,
							  .keeps_open = how == 4});
			for (size_t key = 0; key < 20; key++)
				kit_send(k, key, key % 2, 200);
			kit_run(k, when % 4 * MSEC(1));
			if (when % 3 == 0)
				memory_streams_retire(k->memory, &k->peers[0]);
			if (when % 5 == 0)
				memory_streams_break(k->memory, &k->peers[0], ERR_RESET);
			kit_run(k, when / 4 * MSEC(70));
			kit_check_streams(k);
			kit_close(k, when % 2 * MSEC(100));
			kit_end(k);
		}
	}
}

#define TEST(test) cmocka_unit_test(test)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_packets_of_a_key_arrive_in_order_on_one_stream),
		TEST(test_keys_spread_over_the_streams_and_stick),
		TEST(test_what_nobody_owns_is_refused_and_told),
		TEST(test_multicast_and_broadcast_stay_here),
		TEST(test_malformed_packets_are_dropped_by_name),
		TEST(test_the_longest_packets_are_taken_or_refused_and_fit),
		TEST(test_longer_than_the_peers_mtu_is_told_its_mtu),
		TEST(test_many_at_once_are_as_one_by_one),
		TEST(test_a_new_owner_gets_the_packets_and_not_the_old_one),
		TEST(test_a_key_of_the_callers_own_never_misleads_a_packet),
		TEST(test_packets_wait_for_a_peer_a_second_and_no_longer),
		TEST(test_a_peer_that_cannot_be_opened_to_is_asked_for),
		TEST(test_the_breaker_opens_and_closes_again),
		TEST(test_a_peer_that_was_silent_is_tried_again_when_it_is_heard),
		TEST(test_streams_that_fail_together_are_one_failure),
		TEST(test_after_a_bad_time_all_streams_are_back_soon),
		TEST(test_a_key_is_not_stuck_where_order_cannot_be_kept),
		TEST(test_dials_in_vain_open_the_breaker),
		TEST(test_a_peer_in_trouble_does_not_disturb_a_busy_one),
		TEST(test_what_only_waited_survives_its_stream),
		TEST(test_a_silent_stream_is_replaced),
		TEST(test_a_retiring_stream_drains_when_another_is_up),
		TEST(test_a_plain_peer_is_served_as_well),
		TEST(test_a_suspect_stream_is_given_up_when_another_is_up),
		TEST(test_draining_has_a_time_limit),
		TEST(test_a_stream_that_the_peer_does_not_end_is_reset),
		TEST(test_usage_is_told_by_key_and_stream),
		TEST(test_unused_streams_are_closed_down_to_the_minimum),
		TEST(test_with_a_minimum_of_none_streams_come_with_packets_and_go),
		TEST(test_idle_keys_are_forgotten_and_their_memory_comes_back),
		TEST(test_a_quiet_dispatcher_sleeps),
		TEST(test_a_packet_does_not_put_off_what_is_due),
		TEST(test_the_end_sends_what_waits_while_there_is_time),
		TEST(test_the_end_says_how_many_the_deadline_cost),
		TEST(test_the_end_counts_what_was_half_sent),
		TEST(test_a_peer_that_comes_up_at_the_end_gets_no_stream),
		TEST(test_what_waits_for_nobody_is_told_when_it_is_freed),
		TEST(test_the_end_comes_in_every_state_of_a_stream),
	};
	return cmocka_run_group_tests_name("dispatcher", tests, NULL, NULL);
}
