/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/util.h"
#include "wire/multibase.h"

static const enum multibase bases[] = {
	MULTIBASE_BASE16,       MULTIBASE_BASE16_UPPER, MULTIBASE_BASE32,
	MULTIBASE_BASE32_UPPER, MULTIBASE_BASE36,       MULTIBASE_BASE36_UPPER,
	MULTIBASE_BASE58BTC,    MULTIBASE_BASE64,       MULTIBASE_BASE64URL,
};

static void assert_is(const char *text, struct span bytes)
{
	uint8_t out[64];
	struct wbuf w = wbuf_of(out, sizeof(out));
	assert_ok(multibase_decode(span_str(text), &w));
	assert_span_equal(wbuf_view(&w), bytes);
	w = wbuf_of(out, sizeof(out));
	multibase_put(&w, (enum multibase)text[0], bytes);
	assert_span_equal(wbuf_view(&w), span_str(text));
}

static void test_known_texts(void **state)
{
	(void)state;
	/* Python's base64 module and divmod made these. */
	struct span yes = span_str("yes mani !");
	assert_is("f796573206d616e692021", yes);
	assert_is("F796573206D616E692021", yes);
	assert_is("bpfsxgidnmfxgsibb", yes);
	assert_is("BPFSXGIDNMFXGSIBB", yes);
	assert_is("k2lcpzo5yikidynfl", yes);
	assert_is("z7paNL19xttacUY", yes);
	assert_is("meWVzIG1hbmkgIQ", yes);
	assert_is("ueWVzIG1hbmkgIQ", yes);
	struct span zeros = span_of("\0\0yes mani !", 12);
	assert_is("k002lcpzo5yikidynfl", zeros);
	assert_is("z117paNL19xttacUY", zeros);
	assert_is("u-_8", span_of("\xfb\xff", 2));
	assert_is("m+/8", span_of("\xfb\xff", 2));
	assert_is("z", span_of(NULL, 0));
	assert_is("b", span_of(NULL, 0));
}

static void test_random_bytes_come_back_and_one_byte_less_room_is_refused(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 600; round++) {
		size_t len = testkit_random() % 70;
		uint8_t bytes[70];
		for (size_t i = 0; i < len; i++)
			bytes[i] = round % 3 == 0 && i < 4 ? 0 : (uint8_t)testkit_random();
		enum multibase base = bases[round % ARRAY_LEN(bases)];

		char text[160];
		struct wbuf w = wbuf_of(text, sizeof(text));
		multibase_put(&w, base, span_of(bytes, len));
		assert_ok(wbuf_check(&w));
		struct span whole = wbuf_view(&w);

		uint8_t *out = malloc(len > 0 ? len : 1);
		assert_non_null(out);
		struct wbuf back = wbuf_of(out, len);
		assert_ok(multibase_decode(whole, &back));
		assert_span_equal(wbuf_view(&back), span_of(bytes, len));
		free(out);

		char *exact = malloc(whole.len);
		assert_non_null(exact);
		struct wbuf tight = wbuf_of(exact, whole.len - 1);
		multibase_put(&tight, base, span_of(bytes, len));
		assert_true(tight.overflowed);
		free(exact);

		if (len == 0)
			continue;
		out = malloc(len);
		assert_non_null(out);
		back = wbuf_of(out, len - 1);
		assert_err(multibase_decode(whole, &back), ERR_TOO_LONG);
		assert_int_equal(back.len, 0);
		assert_false(back.overflowed);
		free(out);
	}
}

static void test_every_other_text_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err expected;
	} cases[] = {
		{"", ERR_MALFORMED},          {"9123", ERR_UNSUPPORTED},
		{"x00", ERR_UNSUPPORTED},     {"f7", ERR_MALFORMED}, /* half a byte */
		{"fAB", ERR_MALFORMED},                              /* case as the prefix says */
		{"Fab", ERR_MALFORMED},       {"ba", ERR_MALFORMED}, /* 5 bits */
		{"bab", ERR_MALFORMED},                              /* filling that is not zero */
		{"baaa", ERR_MALFORMED}, /* a character that says nothing */
		{"bae======", ERR_MALFORMED}, {"b1a", ERR_MALFORMED},
		{"z0", ERR_MALFORMED}, /* not in Bitcoin's alphabet: 0 O I l */
		{"zO", ERR_MALFORMED},        {"zI", ERR_MALFORMED},
		{"zl", ERR_MALFORMED},        {"uA", ERR_MALFORMED},
		{"uAB", ERR_MALFORMED},       {"u+/8", ERR_MALFORMED},
		{"mAA==", ERR_MALFORMED},     {"kA", ERR_MALFORMED},
		{"z 2", ERR_MALFORMED},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t out[16];
		struct wbuf w = wbuf_of(out, sizeof(out));
		assert_err(multibase_decode(span_str(cases[i].text), &w), cases[i].expected);
		assert_int_equal(w.len, 0);
	}
	uint8_t out[16];
	struct wbuf w = wbuf_of(out, sizeof(out));
	assert_err(multibase_decode(span_of("z2\0", 3), &w), ERR_MALFORMED);
}

static void test_a_megabyte_of_text_stops_at_the_room(void **state)
{
	(void)state;
	size_t len = 1 << 20;
	uint8_t *text = malloc(len);
	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
		static const char fills[] = "01f2F";
		for (size_t j = 0; fills[j] != '\0'; j++) {
			memset(text, fills[j], len);
			text[0] = (uint8_t)bases[i];
			uint8_t out[44];
			struct wbuf w = wbuf_of(out, sizeof(out));
			enum err e = multibase_decode(span_of(text, len), &w);
			assert_true(e == ERR_TOO_LONG || e == ERR_MALFORMED);
		}
	}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_texts),
		cmocka_unit_test(test_random_bytes_come_back_and_one_byte_less_room_is_refused),
		cmocka_unit_test(test_every_other_text_is_refused),
		cmocka_unit_test(test_a_megabyte_of_text_stops_at_the_room),
	};
	return cmocka_run_group_tests_name("multibase", tests, NULL, NULL);
}
