/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A pool follows its load: streams come while those there are full, and go when they are not. */
#include "dispatch_kit.h"
#include "narrow.h"
#include "slow_net.h"

#include "base/util.h"

enum {
	STREAM_BYTES = 5000, /* that a narrow stream takes in a millisecond */
	LEN = 1000,
	ROUND_KEYS = 20, /* keys that send at the same time */
	ROUND_MS = 50,   /* then others do: keys stick, only new ones come to a new stream */
};

static struct dispatch_settings scaling_settings(size_t streams_max)
{
	struct dispatch_settings s = kit_settings();
	s.streams_max = streams_max;
	s.worker_idle_timeout = SEC(2);
	s.worker_cleanup_interval = SEC(1);
	return s;
}

static struct kit *begin(size_t streams_max, struct narrow **ret_narrow)
{
	struct dispatch_settings settings = scaling_settings(streams_max);
	struct kit *k = kit_new_with(1, &settings, kit_memory_service, NULL);
	*ret_narrow = narrow_new(k, STREAM_BYTES);
	assert_ok(dispatcher_peer_up(k->d, &k->peers[0]));
	kit_run(k, MSEC(10));
	return k;
}

static void end(struct kit *k, struct narrow *n)
{
	kit_close(k, SEC(2));
	narrow_free(n);
	kit_end(k);
}

/* So many packets each millisecond; never more streams than are allowed, never two at once. */
static void load_for(struct kit *k, nsec_t duration, size_t packets, size_t streams_max)
{
	static unsigned round;
	size_t up = kit_up(k, 0);
	for (nsec_t t = 0; t < duration; t += MSEC(1)) {
		if (t % MSEC(ROUND_MS) == 0)
			round++;
		for (size_t i = 0; i < packets; i++)
			kit_send(k, (round * ROUND_KEYS + i % ROUND_KEYS) % KIT_KEYS_MAX, 0, LEN);
		kit_run(k, MSEC(1));
		size_t now = kit_up(k, 0);
		assert_in_range(now, 1, streams_max);
		assert_true(now <= up + 1 && up <= now + 1);
		up = now;
	}
}

/* Little from each key, for long. */
static void trickle_for(struct kit *k, nsec_t duration)
{
	for (nsec_t t = 0; t < duration; t += MSEC(100)) {
		for (size_t key = 0; key < ROUND_KEYS; key++)
			kit_send(k, key, 0, 100);
		kit_run(k, MSEC(100));
	}
}

static void test_full_streams_get_company_up_to_the_maximum(void **state)
{
	(void)state;
	for (size_t most = 1; most <= 4; most++) {
		struct narrow *n;
		struct kit *k = begin(most, &n);
		assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED), 1);
		load_for(k, MSEC(200), 40, most); /* a burst is for the queue */
		assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED), 1);
		load_for(k, SEC(1), 40, most);
		assert_int_equal(kit_up(k, 0), MIN(most, (size_t)2));
		assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED), MIN(most, (size_t)2));
		load_for(k, SEC(6), 40, most);
		assert_int_equal(kit_up(k, 0), most);
		assert_int_equal(kit_pool(k, 0)->streams.n_up, most);
		assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED), most);
		assert_int_equal(kit_count(k, COUNTER_STREAMS_CLOSED), 0);
		/* And each of them carries what it can. */
		uint64_t before = k->arrived;
		load_for(k, SEC(1), 40, most);
		assert_true(k->arrived - before > most * STREAM_BYTES * 9 / 10);
		kit_check_streams(k);
		end(k, n);
	}
}

static void test_what_the_streams_carry_brings_no_other(void **state)
{
	(void)state;
	struct narrow *n;
	struct kit *k = begin(3, &n);
	load_for(k, SEC(10), 3, 1);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED), 1);
	end(k, n);
}

/* Keys stick: a stream that is full of the same ones is not helped by a third stream. */
static void test_streams_that_stay_empty_get_no_company(void **state)
{
	(void)state;
	struct narrow *n;
	struct kit *k = begin(4, &n);
	for (unsigned ms = 0; ms < 10000; ms++) {
		for (size_t i = 0; i < 20; i++)
			kit_send(k, i, 0, LEN);
		kit_run(k, MSEC(1));
	}
	assert_int_equal(kit_up(k, 0), 2);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED), 2);
	end(k, n);
}

/* More streams do not help where nothing moves. */
static void test_a_peer_that_takes_nothing_gets_no_stream_more(void **state)
{
	(void)state;
	struct narrow *n;
	struct kit *k = begin(3, &n);
	load_for(k, MSEC(100), 3, 1);
	kit_faults(k, 0, (struct memory_faults){.is_full = true});
	load_for(k, SEC(8), 3, 1);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED), 1);
	kit_faults(k, 0, (struct memory_faults){0});
	end(k, n);
}

/* Used a little, so that it is not idleness that ends them. */
static void test_streams_go_one_by_one_when_the_load_is_gone(void **state)
{
	(void)state;
	struct narrow *n;
	struct kit *k = begin(3, &n);
	load_for(k, SEC(7), 40, 3);
	assert_int_equal(kit_up(k, 0), 3);
	kit_run(k, MSEC(200));
	uint64_t dropped = metrics_dropped(&k->metrics);
	trickle_for(k, SEC(25));
	assert_int_equal(kit_up(k, 0), 3);
	trickle_for(k, SEC(15));
	assert_int_equal(kit_up(k, 0), 2);
	trickle_for(k, SEC(35));
	assert_int_equal(kit_up(k, 0), 1);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_CLOSED), 2);
	/* The last one stays, and is not replaced. */
	trickle_for(k, SEC(100));
	assert_int_equal(kit_up(k, 0), 1);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED), 3);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_CLOSED), 2);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_IDLED), 0);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_FAILED), 0);
	/* Drained: what was sent meanwhile has arrived. */
	assert_int_equal(metrics_dropped(&k->metrics), dropped);
	/* The next load brings them back. */
	load_for(k, SEC(7), 40, 3);
	assert_int_equal(kit_up(k, 0), 3);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED), 5);
	end(k, n);
}

/* What nobody uses costs nothing: it has a time of its own, which is longer. */
static void test_streams_without_any_packet_go_when_they_were_idle_for_long(void **state)
{
	(void)state;
	struct narrow *n;
	struct kit *k = begin(3, &n);
	load_for(k, SEC(7), 40, 3);
	kit_run(k, SEC(280));
	assert_int_equal(kit_up(k, 0), 3);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_IDLED), 0);
	kit_run(k, SEC(100));
	assert_int_equal(kit_up(k, 0), 1);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_IDLED), 2);
	end(k, n);
}

/* --- order --------------------------------------------------------------------------- */

enum {
	ORDER_PEERS = 2,
	ORDER_KEYS = 2000,
	ORDER_WINDOW = 40,     /* keys that send at the same time, ... */
	ORDER_WINDOW_MS = 100, /* ... for so long: they are forgotten before they come again */
};

/* Each peer has its own weather: a while of much, a while of little. */
static uint64_t run_order(void)
{
	struct slow_net *net;
	struct dispatch_settings settings = scaling_settings(2 + testkit_random() % 5);
	settings.streams_min = testkit_random() % 2;
	struct kit *k = kit_new_with(ORDER_PEERS, &settings, slow_net_service, &net);
	struct narrow *n = narrow_new(k, 2000);
	for (size_t i = 0; i < ORDER_PEERS; i++)
		assert_ok(dispatcher_peer_up(k->d, &k->peers[i]));
	for (unsigned spell = 0; spell < 8; spell++) {
		bool is_busy = spell % 2 == 0;
		narrow_set(n, 500 + testkit_random() % 3000);
		for (unsigned ms = 0; ms < (is_busy ? 4000u : 70000u);) {
			unsigned step = is_busy ? 1 + (unsigned)(testkit_random() % 10) : 200;
			size_t most = is_busy ? 15 * step : 10;
			for (size_t i = testkit_random() % most; i > 0; i--) {
				size_t from = ms / ORDER_WINDOW_MS * ORDER_WINDOW;
				size_t key = (from + testkit_random() % ORDER_WINDOW) % ORDER_KEYS;
				kit_send(k, key, key % ORDER_PEERS, 40 + testkit_random() % 1300);
			}
			/* On one connection all is in order anyway. */
			if (testkit_random() % 100 == 0)
				slow_net_switch(net, testkit_random() % ORDER_PEERS);
			kit_run(k, MSEC(step));
			kit_check_streams(k);
			ms += step;
		}
	}
	kit_check(k);
	uint64_t opened = kit_count(k, COUNTER_STREAMS_OPENED) -
			  kit_count(k, COUNTER_STREAMS_REPLACED); /* because of load */
	assert_true(k->arrived > 1000);
	kit_close(k, SEC(3));
	kit_run(k, SEC(5));
	k->d = dispatcher_free(k->d);
	slow_net_free(net);
	narrow_free(n);
	kit_end(k);
	return opened;
}

static void test_no_key_is_reordered_while_streams_come_and_go_by_load(void **state)
{
	(void)state;
	uint64_t opened = 0;
	for (unsigned i = 0; i < 5; i++)
		opened += run_order();
	assert_true(opened > 5 * ORDER_PEERS * 4); /* or it was no test */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_streams_get_company_up_to_the_maximum),
		cmocka_unit_test(test_what_the_streams_carry_brings_no_other),
		cmocka_unit_test(test_streams_that_stay_empty_get_no_company),
		cmocka_unit_test(test_a_peer_that_takes_nothing_gets_no_stream_more),
		cmocka_unit_test(test_streams_go_one_by_one_when_the_load_is_gone),
		cmocka_unit_test(test_streams_without_any_packet_go_when_they_were_idle_for_long),
		cmocka_unit_test(test_no_key_is_reordered_while_streams_come_and_go_by_load),
	};
	return cmocka_run_group_tests_name("scaling", tests, NULL, NULL);
}
