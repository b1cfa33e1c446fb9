/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The n-th allocation fails, for every n, once or from then on for a while: a dispatcher is made,
 * its peers come up, a thousand keys send. What cannot be made is refused or tried again; the
 * ledger stays right, and all works once there is memory.
 */
#include "dispatch_kit.h"

#include "support/failing_memory.h"

static void let_peers_up(struct kit *k)
{
	for (size_t i = 0; i < k->n_peers; i++) {
		enum err e = dispatcher_peer_up(k->d, &k->peers[i]);
		assert_true(e == ERR_OK || e == ERR_NO_MEMORY);
	}
}

/* false: there were fewer allocations. */
static bool run_once(size_t n, bool is_lasting)
{
	struct kit *k = kit_new(2, NULL);
	kit_close(k, 0);
	dispatcher_free(k->d);
	k->d = NULL;
	k->is_closed = false;
	k->metrics = (struct metrics){.counters = {0}};

	failing_memory_arm(n, is_lasting);
	enum err e = dispatcher_new(&k->conf, &k->d);
	if (e == ERR_OK) {
		let_peers_up(k);
		for (unsigned i = 0; i < 20; i++) {
			for (size_t key = i * 50; key < i * 50 + 50; key++)
				kit_send(k, key, key % 2, 100);
			kit_run(k, MSEC(100));
			kit_check_streams(k);
		}
		kit_check(k);
	} else {
		assert_err(e, ERR_NO_MEMORY);
	}
	bool has_failed = failing_memory_has_failed();
	failing_memory_disarm();
	if (e != ERR_OK)
		assert_ok(dispatcher_new(&k->conf, &k->d));

	/* There is memory again. */
	kit_run(k, SEC(40));
	let_peers_up(k);
	kit_run(k, SEC(10));
	uint64_t before = k->arrived;
	for (size_t key = 1000; key < 1600; key++) {
		kit_send(k, key, key % 2, 100);
		if (key % 100 == 0)
			kit_run(k, MSEC(1));
	}
	kit_run(k, MSEC(10));
	assert_int_equal(k->arrived, before + 600);
	kit_end(k);
	return has_failed;
}

static void test_one_failed_allocation_costs_no_more_than_it_says(void **state)
{
	(void)state;
	size_t n = 1;
	while (run_once(n, false))
		n++;
	assert_true(n > 10);
}

static void test_a_time_without_memory_ends(void **state)
{
	(void)state;
	size_t n = 1;
	while (run_once(n, true))
		n++;
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_failed_allocation_costs_no_more_than_it_says),
		cmocka_unit_test(test_a_time_without_memory_ends),
	};
	return cmocka_run_group_tests_name("dispatch_oom", tests, NULL, NULL);
}
