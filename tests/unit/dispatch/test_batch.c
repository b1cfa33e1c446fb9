/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_batch.c - packets that are dispatched together: what one does to the workers of the others
 */
#include "support/testkit.h"

#include "support/dispatch_rig.h"
#include "vpn/dispatch/worker_table.h"

enum {
	BATCH = 64,
	LEN = 100,
};

static void dispatch(struct rig *rig, const size_t *keys, size_t n)
{
	struct packet *batch[BATCH];
	for (size_t i = 0; i < n; i++)
		batch[i] = rig_packet(rig, keys[i], LEN);
	dispatcher_send_all(rig->dispatcher, batch, n);
	rig_turn(rig);
}

static uint64_t sent_to(struct rig *rig, size_t peer)
{
	struct dispatch_peer_info info;
	dispatcher_peer_info(rig->dispatcher, &rig->peers[peer], &info);
	return info.sent_packets;
}

static void test_packets_of_a_new_key_in_one_batch_share_its_worker(void **state)
{
	(void)state;
	static struct rig rig;
	const size_t keys[] = {7, 8, 7, 7, 8};
	rig_init(&rig, 2);
	dispatch(&rig, keys, 5);
	assert_int_equal(dispatcher_worker_count(rig.dispatcher), 2);
	assert_int_equal(sent_to(&rig, 1), 3);
	assert_int_equal(sent_to(&rig, 0), 2);
	rig_deinit(&rig);
}

/* A batch may be longer than what is looked up ahead, too. */
static void test_packets_with_nothing_in_them_leave_the_others_alone(void **state)
{
	(void)state;
	static struct rig rig;
	struct packet *batch[3 * BATCH];
	rig_init(&rig, 2);
	for (size_t i = 0; i < 3 * BATCH; i++) {
		batch[i] = rig_packet(&rig, i / 3, LEN);
		if (i % 3 == 1)
			batch[i]->data[0] = 0;
	}
	dispatcher_send_all(rig.dispatcher, batch, 3 * BATCH);
	rig_turn(&rig);
	assert_int_equal(rig.metrics.drops[DROP_MALFORMED], BATCH);
	assert_int_equal(sent_to(&rig, 0), BATCH);
	assert_int_equal(sent_to(&rig, 1), BATCH);
	assert_int_equal(dispatcher_worker_count(rig.dispatcher), BATCH);
	rig_deinit(&rig);
}

/* The table is full, and the oldest worker is that of a key which comes later in the batch. */
static void test_a_worker_that_a_packet_cost_is_not_used_by_those_behind_it(void **state)
{
	(void)state;
	static struct rig rig;
	size_t keys[BATCH];
	rig_init(&rig, 2);
	for (size_t i = 0; i < WORKERS_MAX; i += BATCH) {
		for (size_t at = 0; at < BATCH; at++)
			keys[at] = i + at;
		dispatch(&rig, keys, BATCH);
		rig.now += i == 0 ? 2 * NSEC_PER_SEC : 0;
	}
	assert_int_equal(dispatcher_worker_count(rig.dispatcher), WORKERS_MAX);
	uint64_t before[2] = {sent_to(&rig, 0), sent_to(&rig, 1)};
	assert_int_equal(before[0] + before[1], WORKERS_MAX);

	/* Key 0 is peer 0's and the oldest; the new one is peer 1's. */
	const size_t late[] = {WORKERS_MAX + 1, 0};
	dispatch(&rig, late, 2);
	assert_int_equal(rig.metrics.counters[COUNTER_WORKERS_FREED], 2);
	assert_int_equal(sent_to(&rig, 0), before[0] + 1);
	assert_int_equal(sent_to(&rig, 1), before[1] + 1);
	assert_int_equal(dispatcher_worker_count(rig.dispatcher), WORKERS_MAX);
	rig_deinit(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_of_a_new_key_in_one_batch_share_its_worker),
		cmocka_unit_test(test_packets_with_nothing_in_them_leave_the_others_alone),
		cmocka_unit_test(test_a_worker_that_a_packet_cost_is_not_used_by_those_behind_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
