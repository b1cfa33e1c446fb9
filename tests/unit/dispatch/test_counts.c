/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a dispatcher counts, to the one; and the reasons of drops that are easily mistaken. */
#include "dispatch_kit.h"
#include "narrow.h"

#include "base/util.h"
#include "vpn/dispatch/worker_table.h"

static const struct memory_faults none = {0};

/* So many were dropped for this reason, and none for another. */
static void assert_dropped(const struct kit *k, enum drop reason, uint64_t n)
{
	for (size_t i = 0; i < DROP_COUNT; i++)
		assert_int_equal(k->outcomes[i], i == (size_t)reason ? n : 0);
}

/* --- owners of a destination --------------------------------------------------------- */

static void test_an_owner_is_looked_up_once_for_each_key(void **state)
{
	(void)state;
	struct kit *k = kit_new(3, NULL);
	for (unsigned i = 0; i < 4; i++) {
		for (size_t key = 0; key < 6; key++)
			kit_send(k, key, key % 2, 100);
		kit_run(k, MSEC(5));
		assert_int_equal(kit_count(k, COUNTER_DISCOVERY_HITS), 6);
	}
	/* What was found may not hold any more. */
	struct ip_prefix prefix = {.addr = ip_addr_v4((const uint8_t[]){10, 0, 9, 0}), .len = 24};
	assert_ok(memory_discovery_add(k->discovery, &prefix, &k->peers[2]));
	for (size_t key = 0; key < 4; key++)
		kit_send_many(k, key, key % 2, 100, 3);
	assert_int_equal(kit_count(k, COUNTER_DISCOVERY_HITS), 10);
	assert_int_equal(kit_count(k, COUNTER_DISCOVERY_MISSES), 0);
	kit_send_many(k, 20, 5, 100, 3); /* nobody's: asked each time */
	assert_int_equal(kit_count(k, COUNTER_DISCOVERY_MISSES), 3);
	assert_int_equal(kit_count(k, COUNTER_DISCOVERY_HITS), 10);
	assert_int_equal(kit_count(k, COUNTER_DISCOVERY_ERRORS), 0);
	kit_end(k);
}

static enum err find_nothing(void *ctx, const struct ip_addr *ip, struct peer_id *ret_peer)
{
	(void)ctx, (void)ip, (void)ret_peer;
	return ERR_SYSTEM;
}

/* It may be known a moment later: nobody is told that there is no such destination. */
static void test_a_lookup_that_fails_is_no_answer(void **state)
{
	(void)state;
	static const struct peer_discovery_ops ops = {.find = find_nothing};
	struct kit *k = kit_new(1, NULL);
	struct peer_discovery usual = k->d->conf.discovery;
	k->d->conf.discovery = (struct peer_discovery){.ops = &ops};
	kit_send_many(k, 1, 0, 100, 5);
	assert_dropped(k, DROP_DISCOVERY, 5);
	assert_int_equal(kit_count(k, COUNTER_DISCOVERY_ERRORS), 5);
	assert_int_equal(kit_count(k, COUNTER_DISCOVERY_MISSES), 0);
	assert_int_equal(kit_count(k, COUNTER_DISCOVERY_HITS), 0);
	assert_int_equal(k->n_no_route, 0);
	for (size_t i = 0; i < ICMP_REASON_COUNT; i++)
		assert_int_equal(k->n_refused[i], 0);
	k->d->conf.discovery = usual;
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(5));
	assert_int_equal(k->arrived, 1);
	kit_end(k);
}

/* --- keys ---------------------------------------------------------------------------- */

/* All of a turn's workers have packets: none can be let go for another. */
static void test_keys_beyond_the_workers_are_dropped_as_that(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	for (size_t key = 0; key < WORKER_RESERVE + 70; key++)
		kit_send(k, key, 0, 100);
	assert_dropped(k, DROP_WORKER_LIMIT, 70);
	assert_int_equal(dispatcher_worker_count(k->d), WORKER_RESERVE);
	assert_int_equal(kit_count(k, COUNTER_WORKERS_CREATED), WORKER_RESERVE);
	kit_run(k, MSEC(5)); /* there are more now */
	kit_send(k, WORKER_RESERVE + 1, 0, 100);
	kit_run(k, MSEC(5));
	assert_int_equal(k->arrived, WORKER_RESERVE + 1);
	assert_dropped(k, DROP_WORKER_LIMIT, 70);
	kit_end(k);
}

static void test_keys_are_counted_when_they_get_a_stream_and_when_they_lose_it(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	for (size_t key = 0; key < 7; key++)
		kit_send_many(k, key, 0, 100, 3);
	kit_run(k, SEC(4)); /* the stream is not young any more */
	assert_int_equal(kit_count(k, COUNTER_STREAMS_ACQUIRED), 7);
	assert_int_equal(kit_count(k, COUNTER_KEYS_MOVED), 0);
	memory_streams_retire(k->memory, &k->peers[0]); /* drained */
	kit_run(k, SEC(4));
	for (size_t key = 0; key < 9; key++)
		kit_send(k, key, 0, 100);
	kit_run(k, MSEC(10));
	assert_int_equal(kit_count(k, COUNTER_KEYS_MOVED), 7);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_ACQUIRED), 7 + 9);
	memory_streams_break(k->memory, &k->peers[0], ERR_RESET); /* broken */
	kit_run(k, SEC(1));
	for (size_t key = 0; key < 2; key++)
		kit_send(k, key, 0, 100);
	kit_run(k, MSEC(10));
	assert_int_equal(kit_count(k, COUNTER_KEYS_MOVED), 7 + 9);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_ACQUIRED), 7 + 9 + 2);
	kit_end(k);
}

/* --- attempts ------------------------------------------------------------------------ */

static void test_each_stream_that_is_asked_for_was_tried_and_allowed(void **state)
{
	(void)state;
	struct dispatch_settings settings = kit_settings();
	settings.streams_min = 2;
	struct kit *k = kit_new(1, &settings);
	assert_int_equal(k->n_opens, 2);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_TRIED), 2);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED), 2);
	kit_run(k, SEC(4));
	assert_int_equal(kit_count(k, COUNTER_BREAKER_ALLOWED), 2);
	kit_faults(k, 0, (struct memory_faults){.refuses = true});
	memory_streams_break_one(k->memory, 1, ERR_RESET);
	kit_run(k, SEC(6)); /* tries, and waits twice as long each time */
	assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED), 2);
	assert_in_range(k->n_opens, 2 + 2, 2 + 4);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_TRIED), k->n_opens);
	assert_int_equal(kit_count(k, COUNTER_BREAKER_ALLOWED), k->n_opens);
	assert_int_equal(kit_count(k, COUNTER_BREAKER_BLOCKED), 0);
	/* The one that broke, and those that did not open. */
	assert_int_equal(kit_count(k, COUNTER_STREAMS_FAILED), 1 + k->n_opens - 2);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_CLOSED), 1);
	/* The last failure opens the breaker, which holds back what would follow. */
	kit_run(k, SEC(30));
	assert_int_equal(kit_count(k, COUNTER_BREAKER_OPENINGS), 1);
	assert_int_equal(kit_count(k, COUNTER_BREAKER_ALLOWED), k->n_opens);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_TRIED), k->n_opens);
	assert_int_equal(kit_count(k, COUNTER_BREAKER_BLOCKED), 1);
	kit_faults(k, 0, none);
	kit_end(k);
}

static void test_what_an_open_breaker_holds_back_is_counted(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	dispatcher_peer_down(k->d, &k->peers[0]);
	memory_streams_break(k->memory, &k->peers[0], ERR_RESET);
	kit_run(k, MSEC(100));
	uint64_t allowed = kit_count(k, COUNTER_BREAKER_ALLOWED);
	assert_int_equal(allowed, 1); /* the stream's, which ended young: a failure */
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(kit_count(k, COUNTER_BREAKER_OPENINGS), 0);
		dispatcher_peer_unreachable(k->d, &k->peers[0]);
	}
	assert_int_equal(kit_count(k, COUNTER_BREAKER_ALLOWED), allowed + 4);
	assert_int_equal(kit_count(k, COUNTER_BREAKER_OPENINGS), 1);
	assert_int_equal(kit_count(k, COUNTER_BREAKER_BLOCKED), 0);
	for (unsigned i = 0; i < 6; i++)
		dispatcher_peer_unreachable(k->d, &k->peers[0]);
	assert_int_equal(kit_count(k, COUNTER_BREAKER_ALLOWED), allowed + 4);
	assert_int_equal(kit_count(k, COUNTER_BREAKER_BLOCKED), 6);
	assert_int_equal(kit_count(k, COUNTER_BREAKER_OPENINGS), 1);
	assert_int_equal(kit_count(k, COUNTER_BREAKER_CLOSINGS), 0);
	kit_end(k);
}

static void test_probes_and_their_answers_are_counted(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	kit_run(k, SEC(1));
	/* One at once, and one each interval. */
	for (unsigned i = 1; i <= 4; i++) {
		assert_int_equal(kit_count(k, COUNTER_PROBES_SENT), i);
		assert_int_equal(kit_count(k, COUNTER_PROBES_ANSWERED), i);
		kit_run(k, STREAM_HEALTH_CONF_DEFAULT.interval);
	}
	assert_int_equal(kit_count(k, COUNTER_PROBES_SENT), 5);
	/* As many in vain as make it sick; the barrier of a stream that drains is none. */
	kit_faults(k, 0, (struct memory_faults){.is_silent = true});
	kit_run(k, STREAM_HEALTH_CONF_DEFAULT.interval);
	kit_run(k, SEC(12));
	assert_int_equal(kit_count(k, COUNTER_STREAMS_REPLACED), 0);
	kit_run(k, SEC(4));
	assert_int_equal(kit_count(k, COUNTER_STREAMS_REPLACED), 1);
	assert_int_equal(kit_count(k, COUNTER_PROBES_SENT), 5 + 3);
	assert_int_equal(kit_count(k, COUNTER_PROBES_ANSWERED), 5);
	kit_faults(k, 0, none);
	kit_end(k);
}

/* --- marks --------------------------------------------------------------------------- */

static uint64_t n_marked;

static void on_packet(void *ctx, const struct peer_id *id, uint64_t stream, struct span packet)
{
	(void)id;
	n_marked += (packet.p[1] & 3) == 3;
	kit_arrive(ctx, 0, stream, packet);
}

static struct stream_service marking_service(struct kit *k, void *ctx)
{
	(void)ctx;
	assert_ok(memory_streams_new(k->loop, &k->memory));
	struct memory_peer peer = {.id = k->peers[0],
				   .on_packet = on_packet,
				   .ctx = k,
				   .hello = k->conf.settings.hello};
	assert_ok(memory_streams_add(k->memory, &peer));
	return memory_streams_get(k->memory);
}

/* Twice what the stream takes, by one key. */
static void check_marks(uint8_t ecn)
{
	struct dispatch_settings settings = kit_settings();
	settings.streams_max = 1;
	n_marked = 0;
	struct kit *k = kit_new_with(1, &settings, marking_service, NULL);
	struct narrow *n = narrow_new(k, 1000);
	assert_ok(dispatcher_peer_up(k->d, &k->peers[0]));
	for (unsigned ms = 0; ms < 500; ms++) {
		for (unsigned i = 0; i < 2; i++) {
			struct packet *p = kit_packet(k, 1, 0, 1000);
			p->data[1] = ecn;
			dispatcher_send(k->d, p);
		}
		kit_run(k, MSEC(1));
	}
	narrow_set(n, 0);
	kit_run(k, SEC(1));
	uint64_t marked = kit_count(k, COUNTER_ECN_MARKED);
	assert_int_equal(k->arrived, kit_count(k, COUNTER_PEER_TX_PACKETS));
	assert_int_equal(marked, n_marked);
	if (ecn == 0)
		assert_true(marked == 0 && k->outcomes[DROP_QUEUE_DELAY] > 0);
	else
		assert_true(marked > 0 && k->outcomes[DROP_QUEUE_DELAY] == 0);
	kit_close(k, SEC(1));
	narrow_free(n);
	kit_end(k);
}

static void test_packets_that_are_marked_are_counted_and_not_dropped(void **state)
{
	(void)state;
	check_marks(0);
	check_marks(1);
	check_marks(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_owner_is_looked_up_once_for_each_key),
		cmocka_unit_test(test_a_lookup_that_fails_is_no_answer),
		cmocka_unit_test(test_keys_beyond_the_workers_are_dropped_as_that),
		cmocka_unit_test(
			test_keys_are_counted_when_they_get_a_stream_and_when_they_lose_it),
		cmocka_unit_test(test_each_stream_that_is_asked_for_was_tried_and_allowed),
		cmocka_unit_test(test_what_an_open_breaker_holds_back_is_counted),
		cmocka_unit_test(test_probes_and_their_answers_are_counted),
		cmocka_unit_test(test_packets_that_are_marked_are_counted_and_not_dropped),
	};
	return cmocka_run_group_tests_name("dispatch_counts", tests, NULL, NULL);
}
