/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "vpn/packet/pool.h"

static void test_pool_gives_what_it_has_and_no_more(void **state)
{
	(void)state;
	struct packet_pool *pool;
	assert_ok(packet_pool_new(3, 2, &pool));
	struct packet *got[5];
	for (size_t i = 0; i < 5; i++) {
		got[i] = packet_alloc(pool, 100);
		assert_non_null(got[i]);
		memset(got[i]->data, (int)i, got[i]->cap);
		assert_int_equal(packet_pool_free_count(pool), 4 - i);
		/* Small ones first, large ones when they are used up. */
		assert_int_equal(got[i]->cap, i < 3 ? PACKET_SMALL_CAP : PACKET_LARGE_CAP);
	}
	assert_null(packet_alloc(pool, 1));
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(got[i]->data[0], i);
		assert_int_equal(got[i]->data[got[i]->cap - 1], i);
		assert_null(packet_free(got[i]));
	}
	assert_int_equal(packet_pool_free_count(pool), packet_pool_count(pool));
	assert_null(packet_pool_free(pool));
}

static void test_buffers_that_come_back_are_as_new(void **state)
{
	(void)state;
	struct packet_pool *pool;
	assert_ok(packet_pool_new(1, 0, &pool));
	struct packet *p = packet_alloc(pool, 10);
	p->len = 10;
	p->offload.flags = OFFLOAD_NEEDS_CSUM;
	p->queued_at = 7;
	packet_free(p);
	struct packet *again = packet_alloc(pool, 10);
	assert_ptr_equal(again, p);
	assert_int_equal(again->len, 0);
	assert_null(again->next);
	assert_true(offload_is_plain(&again->offload));
	packet_free(again);
	packet_pool_free(pool);
}

static void test_long_packets_need_a_large_buffer(void **state)
{
	(void)state;
	struct packet_pool *pool;
	assert_ok(packet_pool_new(1, 1, &pool));
	assert_null(packet_alloc(pool, PACKET_LARGE_CAP + 1));
	struct packet *p = packet_alloc(pool, PACKET_SMALL_CAP + 1);
	assert_int_equal(p->cap, PACKET_LARGE_CAP);
	assert_null(packet_alloc(pool, PACKET_SMALL_CAP + 1));
	packet_free(p);
	packet_pool_free(pool);
}

static void test_fit_moves_short_packets_out_of_large_buffers(void **state)
{
	(void)state;
	struct packet_pool *pool;
	assert_ok(packet_pool_new(1, 2, &pool));
	struct packet *p = packet_alloc(pool, PACKET_LEN_MAX);
	p->len = 5;
	memcpy(p->data, "hello", 5);
	p->offload = (struct offload){.flags = OFFLOAD_NEEDS_CSUM, .csum_start = 1};
	p = packet_fit(p);
	assert_int_equal(p->cap, PACKET_SMALL_CAP);
	assert_span_equal(packet_view(p), span_str("hello"));
	assert_int_equal(p->offload.csum_start, 1);
	assert_int_equal(packet_pool_free_count(pool), 2);

	/* No small one left: it stays where it is. */
	struct packet *q = packet_alloc(pool, PACKET_LEN_MAX);
	q->len = 5;
	assert_ptr_equal(packet_fit(q), q);
	packet_free(p);
	/* Too long for a small one. */
	q->len = PACKET_SMALL_CAP + 1;
	assert_ptr_equal(packet_fit(q), q);
	packet_free(q);
	packet_pool_free(pool);
}

static void test_data_is_aligned_for_the_kernel_and_simd(void **state)
{
	(void)state;
	struct packet_pool *pool;
	assert_ok(packet_pool_new(2, 2, &pool));
	struct packet *got[4];
	for (size_t i = 0; i < 4; i++) {
		got[i] = packet_alloc(pool, i < 2 ? 1 : PACKET_LEN_MAX);
		assert_int_equal((uintptr_t)got[i]->data % 64, 0);
	}
	for (size_t i = 0; i < 4; i++)
		packet_free(got[i]);
	packet_pool_free(pool);
	assert_null(packet_pool_free(NULL));
	assert_null(packet_free(NULL));
}

static void test_impossible_pools_are_refused(void **state)
{
	(void)state;
	struct packet_pool *pool = NULL;
	assert_err(packet_pool_new(SIZE_MAX / 2, 0, &pool), ERR_NO_MEMORY);
	assert_err(packet_pool_new(1, SIZE_MAX / 2, &pool), ERR_NO_MEMORY);
	assert_null(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pool_gives_what_it_has_and_no_more),
		cmocka_unit_test(test_buffers_that_come_back_are_as_new),
		cmocka_unit_test(test_long_packets_need_a_large_buffer),
		cmocka_unit_test(test_fit_moves_short_packets_out_of_large_buffers),
		cmocka_unit_test(test_data_is_aligned_for_the_kernel_and_simd),
		cmocka_unit_test(test_impossible_pools_are_refused),
	};
	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
