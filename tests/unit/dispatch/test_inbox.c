/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One thread plays all roles; test_inbox_threads.c is the other half. */
#include "vpn/dispatch/inbox.h"

#include <stdlib.h>

#include "base/util.h"
#include "support/testkit.h"

enum {
	LEN_MAX = 100,
};

static const struct inbox_meta no_meta;

static struct inbox *inbox_of(size_t slots)
{
	struct inbox *in;
	assert_ok(inbox_new(slots, LEN_MAX, &in));
	return in;
}

static enum err put(struct inbox *in, const char *text)
{
	bool must_wake;
	return inbox_put(in, span_str(text), &no_meta, &must_wake);
}

/* Put one more; says whether it rings. */
static bool put_rings(struct inbox *in)
{
	bool must_wake;
	assert_ok(inbox_put(in, span_str("x"), &no_meta, &must_wake));
	return must_wake;
}

static void expect(struct inbox *in, const char *text)
{
	struct inbox_item item;
	assert_true(inbox_peek(in, &item));
	assert_span_equal(span_of(item.data, item.len), span_str(text));
	inbox_pop(in);
}

static void expect_none(struct inbox *in)
{
	struct inbox_item item;
	assert_false(inbox_peek(in, &item));
}

static void test_free_takes_null(void **state)
{
	(void)state;
	assert_null(inbox_free(NULL));
}

static void test_too_many_slots_are_no_memory(void **state)
{
	(void)state;
	struct inbox *in;
	assert_err(inbox_new((size_t)1 << 62, 100, &in), ERR_NO_MEMORY);
	assert_err(inbox_new((size_t)1 << 50, 65535, &in), ERR_NO_MEMORY);
}

static void test_packet_comes_out_as_it_went_in(void **state)
{
	(void)state;
	struct inbox *in = inbox_of(4);
	uint8_t bytes[LEN_MAX];
	struct inbox_meta meta = {
		.ticket = bytes,
		.offload =
			{.flags = 1, .gso_type = 2, .hdr_len = 3, .gso_size = 4, .csum_start = 5},
	};
	meta.offload.csum_offset = 0xfffe;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(meta.tag); i++)
		meta.tag[i] = (uint8_t)~i;
	bool must_wake;
	const size_t lens[] = {0, 1, LEN_MAX};
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		uint8_t *copy = testkit_copy(span_of(bytes, lens[i]));
		assert_ok(inbox_put(in, span_of(copy, lens[i]), &meta, &must_wake));
		free(copy); /* what was put is the inbox's own */
	}
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		struct inbox_item item;
		assert_true(inbox_peek(in, &item));
		assert_span_equal(span_of(item.data, item.len), span_of(bytes, lens[i]));
		assert_ptr_equal(item.meta.ticket, bytes);
		assert_memory_equal(item.meta.tag, meta.tag, sizeof(meta.tag));
		assert_memory_equal(&item.meta.offload, &meta.offload, sizeof(meta.offload));
		inbox_pop(in);
	}
	expect_none(in);
	inbox_free(in);
}

static void test_head_and_packet_come_out_as_one_and_count_together(void **state)
{
	(void)state;
	struct inbox *in = inbox_of(1);
	uint8_t bytes[LEN_MAX] = {0};
	bool must_wake;
	struct span head = span_str("head"), most = span_of(bytes, LEN_MAX - 4);
	assert_err(inbox_put_behind(in, head, span_of(bytes, LEN_MAX - 3), &no_meta, &must_wake),
		   ERR_TOO_LONG);
	assert_err(inbox_put_behind(in, head, span_of(bytes, SIZE_MAX), &no_meta, &must_wake),
		   ERR_TOO_LONG);
	assert_ok(inbox_put_behind(in, head, span_str("+packet"), &no_meta, &must_wake));
	expect(in, "head+packet");
	assert_ok(inbox_put_behind(in, head, most, &no_meta, &must_wake));
	struct inbox_item item;
	assert_true(inbox_peek(in, &item));
	assert_int_equal(item.len, LEN_MAX);
	inbox_pop(in);
	inbox_free(in);
}

static void test_peek_lends_the_same_packet_until_pop(void **state)
{
	(void)state;
	struct inbox *in = inbox_of(2);
	struct inbox_item a, b;
	assert_ok(put(in, "first"));
	assert_true(inbox_peek(in, &a));
	assert_ok(put(in, "second"));
	assert_true(inbox_peek(in, &b));
	assert_ptr_equal(a.data, b.data);
	a.data[0] = 'F';
	expect(in, "First");
	expect(in, "second");
	inbox_free(in);
}

static void test_too_long_takes_no_slot_and_says_nothing(void **state)
{
	(void)state;
	struct inbox *in = inbox_of(1);
	static const uint8_t bytes[LEN_MAX + 1];
	bool must_wake = true;
	assert_err(inbox_put(in, span_of(bytes, sizeof(bytes)), &no_meta, &must_wake),
		   ERR_TOO_LONG);
	assert_err(inbox_put(in, span_of(bytes, (size_t)1 << 32), &no_meta, &must_wake),
		   ERR_TOO_LONG);
	assert_true(must_wake);
	expect_none(in);
	assert_ok(put(in, "fits"));
	expect(in, "fits");
	inbox_free(in);
}

static void test_full_refuses_until_one_is_popped(void **state)
{
	(void)state;
	for (size_t slots = 1; slots <= 16; slots *= 2) {
		struct inbox *in = inbox_of(slots);
		for (size_t lap = 0; lap < 5; lap++) {
			for (size_t i = 0; i < slots; i++)
				assert_ok(put(in, "old"));
			assert_err(put(in, "refused"), ERR_FULL);
			assert_err(put(in, "refused"), ERR_FULL);
			expect(in, "old");
			assert_ok(put(in, "new"));
			assert_err(put(in, "refused"), ERR_FULL);
			for (size_t i = 1; i < slots; i++)
				expect(in, "old");
			expect(in, "new");
			expect_none(in);
		}
		inbox_free(in);
	}
}

/* Random puts and pops against a count of both: what is between them is in the ring. */
static void test_random_laps_keep_bytes_and_order(void **state)
{
	(void)state;
	struct inbox *in;
	const size_t slots = 8, len_max = 321;
	assert_ok(inbox_new(slots, len_max, &in));
	uint8_t bytes[321];
	uint64_t n_put = 0, n_popped = 0;
	for (size_t step = 0; step < 20000; step++) {
		if (testkit_random() % 2 == 0) {
			size_t len = (size_t)(n_put * 37 % (len_max + 1));
			struct inbox_meta meta = {.offload.hdr_len = (uint16_t)n_put};
			bool must_wake;
			memset(bytes, (int)(n_put % 251), sizeof(bytes));
			enum err e = inbox_put(in, span_of(bytes, len), &meta, &must_wake);
			assert_err(e, n_put - n_popped == slots ? ERR_FULL : ERR_OK);
			n_put += e == ERR_OK;
			continue;
		}
		struct inbox_item item;
		assert_int_equal(inbox_peek(in, &item), n_put > n_popped);
		if (n_put == n_popped)
			continue;
		memset(bytes, (int)(n_popped % 251), sizeof(bytes));
		size_t len = (size_t)(n_popped * 37 % (len_max + 1));
		assert_span_equal(span_of(item.data, item.len), span_of(bytes, len));
		assert_int_equal(item.meta.offload.hdr_len, (uint16_t)n_popped);
		inbox_pop(in);
		n_popped++;
	}
	for (; n_popped < n_put; n_popped++)
		inbox_pop(in);
	expect_none(in);
	inbox_free(in);
}

static void test_closed_refuses_and_keeps_what_is_in(void **state)
{
	(void)state;
	struct inbox *in = inbox_of(2);
	assert_false(inbox_is_drained(in)); /* empty, but something may come */
	assert_ok(put(in, "one"));
	assert_ok(put(in, "two"));
	inbox_close(in);
	inbox_close(in);
	assert_err(put(in, "late"), ERR_CLOSED); /* not full: it would never be less so */
	assert_false(inbox_is_drained(in));
	expect(in, "one");
	assert_err(put(in, "late"), ERR_CLOSED);
	assert_false(inbox_is_drained(in));
	expect(in, "two");
	assert_true(inbox_is_drained(in));
	expect_none(in);
	inbox_free(in);
}

/* --- the doorbell --------------------------------------------------------------------------- */

static void test_only_the_first_put_rings_while_the_consumer_sleeps(void **state)
{
	(void)state;
	struct inbox *in = inbox_of(16);
	assert_true(put_rings(in)); /* it starts asleep */
	assert_false(put_rings(in));
	inbox_wake(in);
	assert_false(put_rings(in));
	for (size_t i = 0; i < 3; i++)
		expect(in, "x");
	assert_true(inbox_sleep(in));
	assert_true(put_rings(in));
	assert_false(put_rings(in));
	inbox_wake(in);
	expect(in, "x");
	expect(in, "x");
	inbox_free(in);
}

static void test_consumer_with_packets_cannot_sleep(void **state)
{
	(void)state;
	struct inbox *in = inbox_of(16);
	assert_true(put_rings(in));
	inbox_wake(in);
	assert_false(inbox_sleep(in));
	assert_false(put_rings(in)); /* still awake */
	expect(in, "x");
	assert_false(inbox_sleep(in));
	expect(in, "x");
	assert_true(inbox_sleep(in));
	inbox_free(in);
}

/* Or a second mail would be on its way. */
static void test_bell_that_rang_rings_no_more_before_the_consumer_woke(void **state)
{
	(void)state;
	struct inbox *in = inbox_of(16);
	assert_true(put_rings(in));
	expect(in, "x"); /* looked without being called */
	assert_true(inbox_sleep(in));
	assert_false(put_rings(in));
	assert_true(inbox_sleep(in));
	inbox_wake(in);
	inbox_wake(in); /* by a mail of its own */
	expect(in, "x");
	assert_true(inbox_sleep(in));
	assert_true(inbox_sleep(in));
	assert_true(put_rings(in));
	expect(in, "x");
	inbox_free(in);
}

static void test_refused_put_rings_not(void **state)
{
	(void)state;
	struct inbox *in = inbox_of(1);
	bool must_wake = false;
	assert_ok(put(in, "one"));
	inbox_wake(in);
	expect(in, "one");
	assert_true(inbox_sleep(in));
	inbox_close(in);
	assert_err(inbox_put(in, span_str("late"), &no_meta, &must_wake), ERR_CLOSED);
	assert_false(must_wake);
	assert_true(inbox_is_drained(in));
	inbox_free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_free_takes_null),
		cmocka_unit_test(test_too_many_slots_are_no_memory),
		cmocka_unit_test(test_packet_comes_out_as_it_went_in),
		cmocka_unit_test(test_head_and_packet_come_out_as_one_and_count_together),
		cmocka_unit_test(test_peek_lends_the_same_packet_until_pop),
		cmocka_unit_test(test_too_long_takes_no_slot_and_says_nothing),
		cmocka_unit_test(test_full_refuses_until_one_is_popped),
		cmocka_unit_test(test_random_laps_keep_bytes_and_order),
		cmocka_unit_test(test_closed_refuses_and_keeps_what_is_in),
		cmocka_unit_test(test_only_the_first_put_rings_while_the_consumer_sleeps),
		cmocka_unit_test(test_consumer_with_packets_cannot_sleep),
		cmocka_unit_test(test_bell_that_rang_rings_no_more_before_the_consumer_woke),
		cmocka_unit_test(test_refused_put_rings_not),
	};
	return cmocka_run_group_tests_name("inbox", tests, NULL, NULL);
}
