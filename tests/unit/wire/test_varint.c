/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "wire/varint.h"

static uint64_t number_of(const json_t *value)
{
	return json_is_string(value) ? strtoull(json_string_value(value), NULL, 10)
				     : (uint64_t)json_integer_value(value);
}

static void test_vectors_encode_and_decode(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("uvarint.json");
	size_t i;
	json_t *pair;
	json_array_foreach(json_object_get(root, "encode"), i, pair)
	{
		uint64_t expected = number_of(json_array_get(pair, 0));
		size_t len;
		uint8_t *bytes = testkit_unhex(json_string_value(json_array_get(pair, 1)), &len);

		uint8_t out[16];
		struct wbuf w = wbuf_of(out, sizeof(out));
		wbuf_put_uvarint(&w, expected);
		assert_span_equal(wbuf_view(&w), span_of(bytes, len));
		assert_int_equal(uvarint_len(expected), len);

		struct span s = span_of(bytes, len);
		uint64_t value;
		assert_ok(uvarint_take(&s, &value));
		assert_true(value == expected);
		assert_int_equal(s.len, 0);
		free(bytes);
	}
	assert_true(i > 10);
	json_decref(root);
}

static void test_vectors_that_must_fail_do(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("uvarint.json");
	size_t i;
	json_t *bad;
	json_array_foreach(json_object_get(root, "must_fail"), i, bad)
	{
		size_t len;
		uint8_t *bytes = testkit_unhex(testkit_string(bad, "hex"), &len);
		struct span s = span_of(bytes, len);
		uint64_t value;
		bool truncated = strcmp(testkit_string(bad, "why"), "truncated") == 0;
		assert_err(uvarint_take(&s, &value), truncated ? ERR_TRUNCATED : ERR_MALFORMED);
		assert_int_equal(s.len, len);
		free(bytes);
	}
	assert_true(i >= 4);
	json_decref(root);
}

static void test_truncated_number_is_left_for_more(void **state)
{
	(void)state;
	static const uint8_t whole[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
	for (size_t len = 0; len < sizeof(whole); len++) {
		uint8_t *copy = testkit_copy(span_of(whole, len));
		struct span s = span_of(copy, len);
		uint64_t value = 7;
		assert_err(uvarint_take(&s, &value), ERR_TRUNCATED);
		assert_ptr_equal(s.p, copy);
		assert_int_equal(s.len, len);
		assert_int_equal(value, 7);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_encode_and_decode),
		cmocka_unit_test(test_vectors_that_must_fail_do),
		cmocka_unit_test(test_truncated_number_is_left_for_more),
	};
	return cmocka_run_group_tests_name("varint", tests, NULL, NULL);
}
