/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <ctype.h>
#include <pthread.h>

#include "vpn/metrics/metrics.h"

static void check_word(const char *word, const char *text)
{
	assert_non_null(word);
	assert_true(strlen(word) > 0 && strlen(text) > 0);
	for (const char *c = word; *c != '\0'; c++)
		assert_true(islower((unsigned char)*c) || *c == '_');
}

static void test_every_name_is_a_word_of_its_own(void **state)
{
	(void)state;
	const char *names[DROP_COUNT + COUNTER_COUNT + HISTOGRAM_COUNT];
	size_t n = 0;
	for (enum drop i = 0; i < DROP_COUNT; i++) {
		check_word(drop_name(i), drop_text(i));
		names[n++] = drop_name(i);
	}
	for (enum counter i = 0; i < COUNTER_COUNT; i++) {
		check_word(counter_name(i), counter_text(i));
		names[n++] = counter_name(i);
	}
	for (enum histogram i = 0; i < HISTOGRAM_COUNT; i++) {
		check_word(histogram_name(i), histogram_text(i));
		names[n++] = histogram_name(i);
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(names[i], names[k]);
	}
}

static void test_sum_is_over_shards(void **state)
{
	(void)state;
	struct metrics a = {0}, b = {0}, sum = {0};
	metrics_add(&a, COUNTER_TUN_RX_BYTES, 1000);
	metrics_add(&b, COUNTER_TUN_RX_BYTES, 1);
	metrics_add(&b, COUNTER_PROBES_ANSWERED, 5);
	metrics_drop(&a, DROP_NO_ROUTE, 100);
	metrics_drop(&b, DROP_NO_ROUTE, 10);
	metrics_drop(&b, DROP_CLOSING, 1);
	metrics_sum(&sum, &a);
	metrics_sum(&sum, &b);
	assert_int_equal(sum.counters[COUNTER_TUN_RX_BYTES], 1001);
	assert_int_equal(sum.counters[COUNTER_PROBES_ANSWERED], 5);
	assert_int_equal(sum.counters[COUNTER_TUN_RX_PACKETS], 0);
	assert_int_equal(sum.drops[DROP_NO_ROUTE], 2);
	assert_int_equal(sum.drops[DROP_CLOSING], 1);
	assert_int_equal(sum.dropped_bytes, 111);
	assert_int_equal(metrics_dropped(&sum), 3);
	assert_int_equal(metrics_dropped(&a), 1);
}

/* Bucket 0 is for 0, bucket i for what is below 2^i and not below half of it. */
static void test_values_fall_into_the_bucket_of_their_highest_bit(void **state)
{
	(void)state;
	struct metrics m = {0};
	uint64_t sum = 0;
	metrics_observe(&m, HISTOGRAM_DEPTH, 0);
	assert_int_equal(m.histograms[HISTOGRAM_DEPTH][0], 1);
	for (unsigned bit = 0; bit < 64; bit++) {
		unsigned bucket = bit + 1 < HISTOGRAM_BUCKETS ? bit + 1 : HISTOGRAM_BUCKETS - 1;
		uint64_t least = (uint64_t)1 << bit, most = least + (least - 1);
		uint64_t before = m.histograms[HISTOGRAM_DEPTH][bucket];
		metrics_observe(&m, HISTOGRAM_DEPTH, least);
		metrics_observe(&m, HISTOGRAM_DEPTH, most);
		assert_int_equal(m.histograms[HISTOGRAM_DEPTH][bucket], before + 2);
		sum += least + most;
	}
	assert_int_equal(m.histogram_sums[HISTOGRAM_DEPTH], sum);
	assert_int_equal(m.histogram_sums[HISTOGRAM_SOJOURN], 0);
	uint64_t all = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		all += m.histograms[HISTOGRAM_DEPTH][i];
	assert_int_equal(all, 1 + 2 * 64);
}

static void test_histograms_are_summed_over_shards(void **state)
{
	(void)state;
	struct metrics a = {0}, b = {0}, sum = {0};
	metrics_observe(&a, HISTOGRAM_SOJOURN, 5);
	metrics_observe(&b, HISTOGRAM_SOJOURN, 6);
	metrics_observe(&b, HISTOGRAM_STREAM_AGE, 1);
	metrics_sum(&sum, &a);
	metrics_sum(&sum, &b);
	assert_int_equal(sum.histograms[HISTOGRAM_SOJOURN][3], 2);
	assert_int_equal(sum.histogram_sums[HISTOGRAM_SOJOURN], 11);
	assert_int_equal(sum.histograms[HISTOGRAM_STREAM_AGE][1], 1);
	assert_int_equal(sum.histogram_sums[HISTOGRAM_STREAM_AGE], 1);
	assert_int_equal(sum.histogram_sums[HISTOGRAM_DEPTH], 0);
}

enum {
	COUNTS = 1000000
};

static void *count(void *arg)
{
	struct metrics *m = arg;
	for (unsigned i = 0; i < COUNTS; i++)
		metrics_add(m, COUNTER_TUN_TX_PACKETS, 1);
	return NULL;
}

/* TSan watches. */
static void test_reading_while_the_shard_counts_is_no_race(void **state)
{
	(void)state;
	struct metrics m = {0};
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, count, &m), 0);
	uint64_t last = 0;
	for (unsigned i = 0; i < 1000; i++) {
		struct metrics sum = {0};
		metrics_sum(&sum, &m);
		assert_true(sum.counters[COUNTER_TUN_TX_PACKETS] >= last);
		last = sum.counters[COUNTER_TUN_TX_PACKETS];
	}
	pthread_join(thread, NULL);
	assert_int_equal(m.counters[COUNTER_TUN_TX_PACKETS], COUNTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_name_is_a_word_of_its_own),
		cmocka_unit_test(test_sum_is_over_shards),
		cmocka_unit_test(test_values_fall_into_the_bucket_of_their_highest_bit),
		cmocka_unit_test(test_histograms_are_summed_over_shards),
		cmocka_unit_test(test_reading_while_the_shard_counts_is_no_race),
	};
	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
