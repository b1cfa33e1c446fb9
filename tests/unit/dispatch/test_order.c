/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Hundreds of keys to several peers, while streams and connections break, stall, retire and are
 * given up, with bytes under way that arrive late: no key is ever reordered, and every packet has
 * exactly one outcome. kit_arrive() and the ledger judge.
 */
#include "dispatch_kit.h"
#include "slow_net.h"

#include "base/util.h"

enum {
	PEERS = 4,
	KEYS = 400,
};

static struct dispatch_settings impatient(void)
{
	struct dispatch_settings s = kit_settings();
	s.streams_min = testkit_random() % 4;
	s.streams_max = 4;
	s.health = (struct stream_health_conf){
		.interval = MSEC(500), .timeout = MSEC(150), .failures = 2};
	s.retry = (struct retry_conf){.tries = 5, .first = MSEC(50), .max = SEC(1)};
	s.breaker = (struct breaker_conf){.failures = 5, .successes = 2, .open_for = SEC(5)};
	s.stream_idle_timeout = SEC(1);
	s.stream_cleanup_interval = SEC(1);
	s.worker_idle_timeout = SEC(5);
	s.worker_cleanup_interval = SEC(1);
	return s;
}

static void send_some(struct kit *k, size_t most)
{
	size_t n = testkit_random() % most;
	for (size_t i = 0; i < n; i++) {
		size_t key = testkit_random() % KEYS;
		kit_send(k, key, key % PEERS, 40 + testkit_random() % 1300);
	}
}

/* One thing goes wrong, or changes. */
static void disturb_slow(struct slow_net *n)
{
	size_t peer = testkit_random() % PEERS;
	switch (testkit_random() % 8) {
	case 0:
		slow_net_switch(n, peer);
		break;
	case 1:
		slow_net_stall(n, peer, testkit_random() % MSEC(1200), false);
		break;
	case 2:
		slow_net_stall(n, peer, testkit_random() % MSEC(1200), true);
		break;
	case 3:
		slow_net_kill(n, peer, testkit_random() % 2 == 0);
		break;
	case 4:
		slow_net_reset_one(n, peer);
		break;
	case 5:
		slow_net_silence(n, peer, true);
		break;
	default:
		slow_net_silence(n, peer, false);
	}
}

/* How often the far end threw away what was late. */
static unsigned run_slow(void)
{
	struct slow_net *net;
	struct dispatch_settings settings = impatient();
	struct kit *k = kit_new_with(PEERS, &settings, slow_net_service, &net);
	for (size_t i = 0; i < PEERS; i++)
		assert_ok(dispatcher_peer_up(k->d, &k->peers[i]));
	for (unsigned i = 0; i < 2000; i++) {
		send_some(k, 60);
		if (testkit_random() % 12 == 0)
			disturb_slow(net);
		if (testkit_random() % 200 == 0)
			kit_run(k, SEC(8)); /* keys and streams are forgotten */
		if (testkit_random() % 100 == 0)
			assert_ok(dispatcher_peer_up(k->d, &k->peers[testkit_random() % PEERS]));
		kit_run(k, MSEC(1) + testkit_random() % MSEC(10));
		kit_check_streams(k);
	}
	assert_true(k->arrived > 1000);
	bool is_sudden = testkit_random() % 2 == 0;
	for (size_t i = 0; i < PEERS && !is_sudden; i++)
		slow_net_silence(net, i, false);
	kit_close(k, is_sudden ? testkit_random() % MSEC(100) : SEC(3));
	kit_run(k, SEC(5)); /* what is late comes */
	k->d = dispatcher_free(k->d);
	unsigned superseded = slow_net_superseded(net);
	slow_net_free(net);
	kit_end(k);
	return superseded;
}

static void test_no_key_is_reordered_by_slow_networks(void **state)
{
	(void)state;
	unsigned superseded = 0;
	for (unsigned i = 0; i < 30; i++)
		superseded += run_slow();
	assert_true(superseded > 20); /* or it was no test */
}

/*
 * A connection stands still with packets under way; its streams cannot drain and are given up after
 * their successors said HELLO. Those cannot tell of the death: keys that had sent go to another
 * one.
 */
static void test_late_bytes_of_a_stalled_connection_are_kept_out(void **state)
{
	(void)state;
	unsigned superseded = 0;
	for (unsigned i = 0; i < 20; i++) {
		struct slow_net *net;
		struct dispatch_settings settings = kit_settings();
		settings.streams_min = 1 + i % 3;
		settings.streams_max = 4;
		struct kit *k = kit_new_with(1, &settings, slow_net_service, &net);
		assert_ok(dispatcher_peer_up(k->d, &k->peers[0]));
		for (unsigned ms = 0; ms < 5000; ms += 5) {
			for (size_t key = 0; key < 20; key++)
				kit_send(k, key, 0, 100);
			if (ms == 1000)
				slow_net_leave(net, 0, SEC(2));
			kit_run(k, MSEC(5));
			kit_check_streams(k);
		}
		assert_true(kit_up(k, 0) <= settings.streams_max);
		kit_close(k, SEC(3));
		assert_true(k->arrived > k->given / 2);
		kit_run(k, SEC(3));
		superseded += slow_net_superseded(net);
		k->d = dispatcher_free(k->d);
		slow_net_free(net);
		kit_end(k);
	}
	assert_true(superseded >= 20);
}

/* --- over memory: quick, so with many packets ------------------------------------------------ */

static void disturb(struct kit *k)
{
	size_t peer = testkit_random() % PEERS;
	uint64_t dice = testkit_random();
	struct memory_faults faults = {
		.is_down = dice % 13 == 0,
		.refuses = (dice >> 8) % 7 == 0,
		.is_full = (dice >> 16) % 5 == 0,
		.is_silent = (dice >> 24) % 7 == 0,
		.is_suspect = (dice >> 32) % 7 == 0,
	};
	struct ip_prefix prefix = {.addr = ip_addr_v4((const uint8_t[]){10, 0, (uint8_t)peer, 0}),
				   .len = 24};
	switch (testkit_random() % 8) {
	case 7: /* its keys are another peer's from now on */
		assert_ok(memory_discovery_add(k->discovery, &prefix, &k->peers[dice % PEERS]));
		break;
	case 0:
		memory_streams_break(k->memory, &k->peers[peer], ERR_RESET);
		break;
	case 1:
		memory_streams_break_one(k->memory, 1 + testkit_random() % k->n_opens, ERR_RESET);
		break;
	case 2:
		memory_streams_retire(k->memory, &k->peers[peer]);
		break;
	case 3:
		dispatcher_peer_down(k->d, &k->peers[peer]);
		break;
	case 4:
		kit_faults(k, peer, faults);
		break;
	default:
		kit_faults(k, peer, (struct memory_faults){0});
		assert_ok(dispatcher_peer_up(k->d, &k->peers[peer]));
	}
}

static void run_memory(void)
{
	struct dispatch_settings settings = impatient();
	kit_first_vpn = PEERS - 1;
	struct kit *k = kit_new(PEERS, &settings);
	kit_first_vpn = KIT_PEERS_MAX;
	for (unsigned i = 0; i < 3000; i++) {
		send_some(k, 200);
		if (testkit_random() % 30 == 0)
			disturb(k);
		if (testkit_random() % 300 == 0)
			kit_run(k, SEC(8));
		kit_run(k, testkit_random() % MSEC(10));
		kit_check_streams(k);
	}
	kit_check(k);
	assert_true(k->arrived > k->given / 4);
	kit_end(k);
}

static void test_no_packet_is_lost_uncounted_by_dying_streams(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++)
		run_memory();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_packet_is_lost_uncounted_by_dying_streams),
		cmocka_unit_test(test_late_bytes_of_a_stalled_connection_are_kept_out),
		cmocka_unit_test(test_no_key_is_reordered_by_slow_networks),
	};
	return cmocka_run_group_tests_name("dispatch_order", tests, NULL, NULL);
}
