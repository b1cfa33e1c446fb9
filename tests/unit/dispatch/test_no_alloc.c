/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_no_alloc.c - no allocation and no lock on the way of a packet: counted, not timed */
#include "support/testkit.h"

#include <pthread.h>
#include <stdlib.h>

#include "support/call_count.h"
#include "support/dispatch_rig.h"

enum {
	PEERS = 10,
	KEYS = 1000,
	BATCH = 64,
	PACKETS = 100000,
	LEN = 64,
};

/* Up to BATCH packets, of keys from number i on, in one turn. */
static void send_some(struct rig *rig, size_t i, size_t n)
{
	struct packet *batch[BATCH];
	for (size_t at = 0; at < n; at++)
		batch[at] = rig_packet(rig, (i + at) % KEYS, LEN);
	dispatcher_send_all(rig->dispatcher, batch, n);
	rig->now += 10 * NSEC_PER_USEC;
	rig_turn(rig);
}

static void send_all(struct rig *rig, size_t n)
{
	for (size_t i = 0; i < n; i += BATCH)
		send_some(rig, i, n - i < BATCH ? n - i : BATCH);
}

static uint64_t sent(const struct rig *rig)
{
	return rig->metrics.counters[COUNTER_PEER_TX_PACKETS];
}

static void assert_none(struct call_count before, struct call_count after)
{
	assert_int_equal(after.allocations - before.allocations, 0);
	assert_int_equal(after.frees - before.frees, 0);
	assert_int_equal(after.locks - before.locks, 0);
}

static void test_packets_of_known_keys_do_not_allocate_or_lock(void **state)
{
	(void)state;
	static struct rig rig;
	rig_init(&rig, PEERS);
	send_all(&rig, KEYS);
	assert_int_equal(dispatcher_worker_count(rig.dispatcher), KEYS);
	assert_int_equal(sent(&rig), KEYS);

	struct call_count before = call_count_now();
	send_all(&rig, PACKETS);
	assert_none(before, call_count_now());
	assert_int_equal(sent(&rig), KEYS + PACKETS);
	rig_deinit(&rig);
}

/* The reserve is for that: what it lost is made good at the end of the turn. */
static void test_new_keys_within_a_turn_do_not_allocate_or_lock(void **state)
{
	(void)state;
	static struct rig rig;
	struct packet *batch[BATCH];
	rig_init(&rig, PEERS);
	for (size_t i = 0; i < BATCH; i++)
		batch[i] = rig_packet(&rig, i, LEN);
	struct call_count before = call_count_now();
	dispatcher_send_all(rig.dispatcher, batch, BATCH);
	assert_none(before, call_count_now());
	assert_int_equal(dispatcher_worker_count(rig.dispatcher), BATCH);
	rig_turn(&rig);
	assert_int_equal(sent(&rig), BATCH);
	rig_deinit(&rig);
}

/* Else the zeros above would say nothing. */
static void test_calls_are_counted(void **state)
{
	(void)state;
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	static void *volatile memory;
	struct call_count before = call_count_now();
	static struct rig rig;
	rig_init(&rig, 1);
	struct call_count after = call_count_now();
	assert_true(after.allocations > before.allocations);
	rig_deinit(&rig);

	before = call_count_now();
	memory = malloc(1);
	free(memory);
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	after = call_count_now();
	assert_int_equal(after.allocations - before.allocations, 1);
	assert_int_equal(after.frees - before.frees, 1);
	assert_int_equal(after.locks - before.locks, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_of_known_keys_do_not_allocate_or_lock),
		cmocka_unit_test(test_new_keys_within_a_turn_do_not_allocate_or_lock),
		cmocka_unit_test(test_calls_are_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
