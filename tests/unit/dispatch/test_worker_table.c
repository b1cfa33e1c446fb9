/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/util.h"
#include "vpn/dispatch/worker_table.h"

enum {
	MODEL = 5000, /* keys of the model */
	MANY = 100000,
};

static struct conn_key key_of(uint32_t number)
{
	struct conn_key key = {.family = 4, .source_port = (uint16_t)number};
	store_be32(key.ip, number);
	key.destination_port = (uint16_t)(number >> 16);
	return key;
}

static struct worker *find(struct worker_table *t, uint32_t number)
{
	struct conn_key key = key_of(number);
	return worker_table_find(t, &key, worker_table_hash(t, &key));
}

static struct worker *add(struct worker_table *t, uint32_t number)
{
	struct conn_key key = key_of(number);
	return worker_table_add(t, &key, worker_table_hash(t, &key));
}

static void free_all(struct worker_table *t)
{
	uint32_t at = 0, steps = UINT32_MAX;
	struct worker *w;
	while ((w = worker_table_walk(t, &at, &steps)) != NULL)
		worker_table_remove(t, w);
	assert_int_equal(worker_table_count(t), 0);
	worker_table_free(t);
}

/* Keys come and go at random, `hash` chosen by the test: with few different ones nearly all
 * collide, in their home, or in their whole tag. */
static void check_against_model(uint64_t hash_mask, size_t n, unsigned rounds)
{
	struct worker_table *t;
	struct worker **model = calloc(n, sizeof(struct worker *));
	assert_ok(worker_table_new(testkit_random(), &t));
	size_t count = 0;
	for (unsigned i = 0; i < rounds; i++) {
		uint32_t number = (uint32_t)(testkit_random() % n);
		struct conn_key key = key_of(number);
		uint64_t hash = worker_table_hash(t, &key) & hash_mask;
		worker_table_prefetch(t, hash);
		worker_table_prefetch_worker(t, hash);
		struct worker *w = worker_table_find(t, &key, hash);
		assert_ptr_equal(w, model[number]);
		if (w == NULL) {
			w = worker_table_add(t, &key, hash);
			if (w != NULL) {
				assert_true(conn_key_equal(&w->key, &key));
				assert_true(w->packets == 0 && w->queue == NULL &&
					    w->stream == NULL && w->pool == NULL);
				w->sent_packets = number;
				model[number] = w;
				count++;
			}
		} else {
			assert_int_equal(w->sent_packets, number);
			worker_table_remove(t, w);
			model[number] = NULL;
			count--;
		}
		assert_int_equal(worker_table_count(t), count);
		if (testkit_random() % 64 == 0)
			worker_table_maintain(t);
	}
	for (uint32_t number = 0; number < n; number++) {
		struct conn_key key = key_of(number);
		uint64_t hash = worker_table_hash(t, &key) & hash_mask;
		assert_ptr_equal(worker_table_find(t, &key, hash), model[number]);
	}
	free(model);
	free_all(t);
}

static void test_finds_what_was_added_and_not_removed(void **state)
{
	(void)state;
	check_against_model(UINT64_MAX, MODEL, 200000);
}

static void test_keys_that_collide_are_told_apart(void **state)
{
	(void)state;
	check_against_model(0, 300, 20000);                          /* all in one tag */
	check_against_model((uint64_t)7 << 32, 500, 50000);          /* in eight homes */
	check_against_model((uint64_t)UINT32_MAX << 48, 600, 50000); /* in one home, tags differ */
}

static void test_many_keys_come_and_go_and_leave_no_memory_behind(void **state)
{
	(void)state;
	struct worker_table *t;
	assert_ok(worker_table_new(1, &t));
	size_t before = worker_table_bytes(t), most = 0;
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			assert_non_null(add(t, i));
			if (i % 100 == 0)
				worker_table_maintain(t);
		}
		assert_int_equal(worker_table_count(t), MANY);
		for (uint32_t i = 0; i < MANY; i++)
			assert_non_null(find(t, i));
		most = worker_table_bytes(t);
		assert_true(most > MANY * sizeof(struct worker));
		for (uint32_t i = 0; i < MANY; i++) {
			worker_table_remove(t, find(t, (i * 7919u) % MANY));
			if (i % 100 == 0)
				worker_table_maintain(t);
		}
		worker_table_maintain(t);
		/* A chunk and a doubling of the table may stay, so that it does not flutter. */
		assert_true(worker_table_bytes(t) <= before + 2 * WORKER_CHUNK * 192);
	}
	worker_table_free(t);
}

static void test_the_keys_of_a_turn_cost_no_memory(void **state)
{
	(void)state;
	struct worker_table *t;
	assert_ok(worker_table_new(1, &t));
	uint32_t number = 0;
	for (unsigned turn = 0; turn < 100; turn++) {
		size_t before = worker_table_bytes(t);
		for (unsigned i = 0; i < WORKER_RESERVE; i++)
			assert_non_null(add(t, number++));
		assert_int_equal(worker_table_bytes(t), before);
		worker_table_maintain(t);
	}
	free_all(t);
}

static void test_without_maintenance_it_refuses_and_still_finds(void **state)
{
	(void)state;
	struct worker_table *t;
	assert_ok(worker_table_new(1, &t));
	uint32_t n = 0;
	while (add(t, n) != NULL)
		n++;
	assert_in_range(n, WORKER_RESERVE, 4 * WORKER_RESERVE);
	assert_null(add(t, n));
	assert_null(find(t, n));
	for (uint32_t i = 0; i < n; i++)
		assert_non_null(find(t, i));
	worker_table_maintain(t);
	assert_non_null(add(t, n));
	free_all(t);
}

static void test_there_is_a_most_and_then_the_oldest_of_some_goes(void **state)
{
	(void)state;
	struct worker_table *t;
	assert_ok(worker_table_new(1, &t));
	uint32_t n = 0;
	for (;; n++) {
		if (n % 256 == 0)
			worker_table_maintain(t);
		struct worker *w = add(t, n);
		if (w == NULL)
			break;
		w->used_at = n;
	}
	assert_int_equal(n, WORKERS_MAX);
	for (unsigned i = 0; i < 10000; i++) {
		struct worker *w = worker_table_oldest(t);
		assert_non_null(w);
		assert_int_equal(w->packets, 0);
		worker_table_remove(t, w);
		w = add(t, n + i);
		assert_non_null(w);
		w->used_at = n + i;
	}
	assert_int_equal(worker_table_count(t), WORKERS_MAX);
	free_all(t);
}

static void test_who_holds_packets_is_not_the_oldest(void **state)
{
	(void)state;
	struct worker_table *t;
	assert_ok(worker_table_new(1, &t));
	assert_null(worker_table_oldest(t));
	struct worker *workers[40];
	for (uint32_t i = 0; i < 40; i++) {
		workers[i] = add(t, i);
		workers[i]->used_at = 100 + (i * 17) % 40;
		workers[i]->packets = i % 2;
	}
	const struct worker *oldest = worker_table_oldest(t);
	for (uint32_t i = 0; i < 40; i += 2)
		assert_true(oldest->used_at <= workers[i]->used_at);
	assert_int_equal(oldest->packets, 0);
	for (uint32_t i = 0; i < 40; i++)
		workers[i]->packets = 1;
	for (unsigned i = 0; i < 20; i++)
		assert_null(worker_table_oldest(t));
	for (uint32_t i = 0; i < 40; i++)
		workers[i]->packets = 0;
	free_all(t);
}

static void test_a_walk_sees_each_once_while_some_are_removed(void **state)
{
	(void)state;
	struct worker_table *t;
	assert_ok(worker_table_new(1, &t));
	for (uint32_t i = 0; i < 3000; i++) {
		if (i % 256 == 0)
			worker_table_maintain(t);
		struct worker *w = add(t, i);
		w->sent_bytes = i;
	}
	static bool seen[3000];
	uint32_t at = 0;
	size_t n = 0, rounds = 0;
	do {
		uint32_t steps = 1 + (uint32_t)(testkit_random() % 50);
		struct worker *w;
		while ((w = worker_table_walk(t, &at, &steps)) != NULL) {
			assert_false(seen[w->sent_bytes]);
			seen[w->sent_bytes] = true;
			n++;
			if (w->sent_bytes % 3 == 0)
				worker_table_remove(t, w);
		}
		worker_table_maintain(t); /* may give memory back under the walk */
		assert_true(++rounds < 10000);
	} while (at != 0);
	assert_int_equal(n, 3000);
	assert_int_equal(worker_table_count(t), 2000);
	free_all(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_what_was_added_and_not_removed),
		cmocka_unit_test(test_keys_that_collide_are_told_apart),
		cmocka_unit_test(test_many_keys_come_and_go_and_leave_no_memory_behind),
		cmocka_unit_test(test_the_keys_of_a_turn_cost_no_memory),
		cmocka_unit_test(test_without_maintenance_it_refuses_and_still_finds),
		cmocka_unit_test(test_there_is_a_most_and_then_the_oldest_of_some_goes),
		cmocka_unit_test(test_who_holds_packets_is_not_the_oldest),
		cmocka_unit_test(test_a_walk_sees_each_once_while_some_are_removed),
	};
	return cmocka_run_group_tests_name("worker_table", tests, NULL, NULL);
}
