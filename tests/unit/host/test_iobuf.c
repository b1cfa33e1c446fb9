/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include "p2p/host/iobuf.h"

static void test_buffers_are_used_again_without_allocation(void **state)
{
	(void)state;
	struct iobuf_pool pool = {.free = NULL};
	struct iobuf *a = iobuf_take(&pool);
	assert_non_null(a);
	a->end = 100;
	assert_null(iobuf_give(&pool, a));
	struct iobuf *b = iobuf_take(&pool);
	assert_ptr_equal(b, a);
	assert_int_equal(b->end, 0);
	iobuf_give(&pool, b);
	iobuf_pool_deinit(&pool);
}

static void test_what_is_kept_is_bounded(void **state)
{
	(void)state;
	enum {
		N = IOBUF_KEEP_MAX + 5
	};
	struct iobuf_pool pool = {.free = NULL};
	struct iobuf *bufs[N];
	for (int i = 0; i < N; i++)
		assert_non_null(bufs[i] = iobuf_take(&pool));
	assert_int_equal(pool.n_lent, N);
	for (int i = 0; i < N; i++)
		iobuf_give(&pool, bufs[i]);
	assert_int_equal(pool.n_free, IOBUF_KEEP_MAX);
	assert_int_equal(pool.n_lent, 0);
	iobuf_pool_deinit(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buffers_are_used_again_without_allocation),
		cmocka_unit_test(test_what_is_kept_is_bounded),
	};
	return cmocka_run_group_tests_name("iobuf", tests, NULL, NULL);
}
