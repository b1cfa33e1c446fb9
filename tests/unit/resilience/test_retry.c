/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include "vpn/resilience/retry.h"

#define SEC NSEC_PER_SEC

/* The random number with the shortest waits. */
#define LEAST 0

static void test_waits_double_up_to_the_longest(void **state)
{
	(void)state;
	struct retry_conf conf = {.tries = 8, .first = 4 * SEC, .max = 40 * SEC};
	struct retry r;
	retry_init(&r, &conf);
	const nsec_t waits[] = {3, 6, 12, 24, 30, 30, 30}; /* three quarters of 4, 8, ... 40, 40 */
	for (size_t i = 0; i < 7; i++)
		assert_int_equal(retry_next(&r, LEAST), waits[i] * SEC);
}

static void test_it_gives_up_after_its_tries_until_the_reset(void **state)
{
	(void)state;
	struct retry_conf conf = RETRY_CONF_DEFAULT;
	struct retry r;
	retry_init(&r, &conf);
	nsec_t first = retry_next(&r, LEAST);
	for (int i = 0; i < 3; i++)
		assert_int_not_equal(retry_next(&r, LEAST), NSEC_NEVER);
	assert_false(retry_gave_up(&r));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(retry_next(&r, LEAST), NSEC_NEVER);
		assert_true(retry_gave_up(&r));
	}
	retry_reset(&r);
	assert_false(retry_gave_up(&r));
	assert_int_equal(retry_next(&r, LEAST), first);
}

static void test_one_try_has_no_second(void **state)
{
	(void)state;
	struct retry_conf conf = {.tries = 1, .first = SEC, .max = SEC};
	struct retry r;
	retry_init(&r, &conf);
	assert_int_equal(retry_next(&r, LEAST), NSEC_NEVER);
}

static void test_the_jitter_fills_a_quarter_each_way_and_no_more(void **state)
{
	(void)state;
	struct retry_conf conf = {.tries = 2, .first = 1000, .max = 5000};
	struct retry r;
	nsec_t shortest = NSEC_NEVER, longest = 0;
	for (int i = 0; i < 20000; i++) {
		retry_init(&r, &conf);
		nsec_t wait = retry_next(&r, testkit_random());
		shortest = nsec_min(shortest, wait);
		longest = wait > longest ? wait : longest;
	}
	assert_int_equal(shortest, 750);
	assert_int_equal(longest, 1250);
}

/* min(first * 2^i, max), one doubling after the other. */
static nsec_t naive_delay(const struct retry_conf *conf, uint32_t i)
{
	nsec_t wait = conf->first;
	while (i-- > 0 && wait < conf->max)
		wait = nsec_add(wait, wait);
	return nsec_min(wait, conf->max);
}

static void test_no_conf_overflows(void **state)
{
	(void)state;
	const nsec_t edges[] = {0, 1, 2, 3, SEC, NSEC_NEVER / 2, NSEC_NEVER - 1, NSEC_NEVER};
	for (size_t f = 0; f < 8; f++) {
		for (size_t m = 0; m < 8; m++) {
			struct retry_conf conf = {
				.tries = UINT32_MAX, .first = edges[f], .max = edges[m]};
			struct retry r;
			retry_init(&r, &conf);
			for (uint32_t i = 0; i < 200; i++) {
				nsec_t usual = naive_delay(&conf, i);
				nsec_t wait = retry_next(&r, testkit_random());
				assert_true(wait >= usual - usual / 4);
				assert_true(wait <= nsec_add(usual, usual / 4));
				assert_int_not_equal(wait, NSEC_NEVER);
			}
			r.failed = UINT32_MAX - 1;
			assert_int_equal(retry_next(&r, LEAST), NSEC_NEVER);
			assert_int_equal(retry_next(&r, LEAST), NSEC_NEVER);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_double_up_to_the_longest),
		cmocka_unit_test(test_it_gives_up_after_its_tries_until_the_reset),
		cmocka_unit_test(test_one_try_has_no_second),
		cmocka_unit_test(test_the_jitter_fills_a_quarter_each_way_and_no_more),
		cmocka_unit_test(test_no_conf_overflows),
	};
	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
