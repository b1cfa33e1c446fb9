/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/util.h"
#include "wire/pb.h"

static enum err next_of(const char *hex, struct pb_field *ret_field, size_t *ret_left)
{
	size_t len;
	uint8_t *bytes = testkit_unhex(hex, &len);
	struct span msg = span_of(bytes, len);
	enum err e = pb_next(&msg, ret_field);
	*ret_left = msg.len;
	if (e != ERR_OK)
		assert_int_equal(msg.len, len);
	free(bytes);
	return e;
}

static void test_fields_are_read_as_written(void **state)
{
	(void)state;
	uint8_t out[128];
	struct wbuf w = wbuf_of(out, sizeof(out));
	pb_put_uint(&w, 1, 0);
	pb_put_uint(&w, 2, UINT64_MAX);
	pb_put_bytes(&w, 3, span_str("abc"));
	pb_put_bytes(&w, 4, span_of(NULL, 0));
	pb_put_fixed64(&w, (1 << 29) - 1, 0x1122334455667788);
	assert_ok(wbuf_check(&w));

	struct span msg = wbuf_view(&w);
	struct pb_field f;
	struct span bytes;
	uint64_t value;
	assert_ok(pb_next(&msg, &f));
	assert_int_equal(f.number, 1);
	assert_ok(pb_uint(&f, &value));
	assert_int_equal(value, 0);
	assert_ok(pb_next(&msg, &f));
	assert_int_equal(f.number, 2);
	assert_ok(pb_uint(&f, &value));
	assert_true(value == UINT64_MAX);
	assert_ok(pb_next(&msg, &f));
	assert_int_equal(f.number, 3);
	assert_ok(pb_bytes(&f, &bytes));
	assert_span_equal(bytes, span_str("abc"));
	assert_ok(pb_next(&msg, &f));
	assert_ok(pb_bytes(&f, &bytes));
	assert_int_equal(bytes.len, 0);
	assert_ok(pb_next(&msg, &f));
	assert_int_equal(f.number, (1 << 29) - 1);
	assert_ok(pb_fixed64(&f, &value));
	assert_true(value == 0x1122334455667788);
	assert_err(pb_next(&msg, &f), ERR_DONE);
}

static void test_fixed_numbers_are_little_endian(void **state)
{
	(void)state;
	struct pb_field f;
	size_t left;
	assert_ok(next_of("098877665544332211", &f, &left)); /* autonat2_dial_back of the vectors */
	assert_true(f.value == 0x1122334455667788);
	assert_ok(next_of("0d443322110a", &f, &left));
	assert_int_equal(f.type, PB_FIXED32);
	assert_true(f.value == 0x11223344);
	assert_int_equal(left, 1);
}

static void test_another_type_than_expected_is_malformed(void **state)
{
	(void)state;
	struct pb_field f = {.number = 1, .type = PB_VARINT};
	struct span bytes;
	uint64_t value;
	assert_err(pb_bytes(&f, &bytes), ERR_MALFORMED);
	assert_err(pb_fixed64(&f, &value), ERR_MALFORMED);
	f.type = PB_FIXED32;
	assert_err(pb_uint(&f, &value), ERR_MALFORMED);
	f.type = PB_BYTES;
	assert_err(pb_uint(&f, &value), ERR_MALFORMED);
}

static void test_hostile_fields_are_refused_and_left(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		enum err expected;
	} cases[] = {
		{"0000", ERR_MALFORMED}, /* field 0 */
		{"0b0c", ERR_MALFORMED}, /* a group */
		{"0e", ERR_MALFORMED},   /* wire types 6 and 7 do not exist */
		{"0f", ERR_MALFORMED},
		{"808080801000", ERR_MALFORMED}, /* field 2^29 */
		{"ffffffffffffffffff01", ERR_MALFORMED},
		{"08ffffffffffffffffff02", ERR_MALFORMED},   /* 65 bits */
		{"08ffffffffffffffffffff01", ERR_MALFORMED}, /* 11 bytes */
		{"0aff", ERR_TRUNCATED},
		{"0a0100", ERR_OK},
		{"0a02ff", ERR_TRUNCATED},
		{"0affffffff0f00", ERR_TRUNCATED},           /* 4 GiB less one */
		{"0affffffffffffffff7f00", ERR_TRUNCATED},   /* 2^63 - 1 */
		{"0affffffffffffffffff0100", ERR_TRUNCATED}, /* 2^64 - 1 */
		{"0d112233", ERR_TRUNCATED},
		{"0911223344556677", ERR_TRUNCATED},
		{"88808080800001", ERR_OK}, /* not minimal: protobuf allows it */
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct pb_field f;
		size_t left;
		assert_err(next_of(cases[i].hex, &f, &left), cases[i].expected);
	}
}

static void test_nested_message_has_a_minimal_length(void **state)
{
	(void)state;
	static const size_t lens[] = {0, 1, 127, 128, 16383, 16384};
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		size_t cap = 1 + uvarint_len(lens[i]) + lens[i];
		uint8_t *out = malloc(cap);
		uint8_t *content = malloc(lens[i] + 1);
		assert_non_null(out);
		assert_non_null(content);
		memset(content, (int)i + 1, lens[i]);

		struct wbuf w = wbuf_of(out, cap); /* just enough */
		size_t mark = pb_begin(&w, 5);
		wbuf_put(&w, span_of(content, lens[i]));
		pb_end(&w, mark);
		assert_ok(wbuf_check(&w));
		assert_int_equal(w.len, cap);

		struct span msg = wbuf_view(&w);
		struct pb_field f;
		assert_ok(pb_next(&msg, &f));
		assert_int_equal(f.number, 5);
		assert_span_equal(f.bytes, span_of(content, lens[i]));

		w = wbuf_of(out, cap - 1); /* one too few */
		mark = pb_begin(&w, 5);
		wbuf_put(&w, span_of(content, lens[i]));
		pb_end(&w, mark);
		assert_err(wbuf_check(&w), ERR_FULL);
		free(out);
		free(content);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields_are_read_as_written),
		cmocka_unit_test(test_fixed_numbers_are_little_endian),
		cmocka_unit_test(test_another_type_than_expected_is_malformed),
		cmocka_unit_test(test_hostile_fields_are_refused_and_left),
		cmocka_unit_test(test_nested_message_has_a_minimal_length),
	};
	return cmocka_run_group_tests_name("pb", tests, NULL, NULL);
}
