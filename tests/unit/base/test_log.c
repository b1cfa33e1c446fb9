/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdio.h>

#include "base/log.h"

static char last[2048];

static void keep(enum log_level level, const char *line, void *ctx)
{
	(void)level;
	(void)ctx;
	snprintf(last, sizeof(last), "%s", line);
}

static void test_foreign_bytes_are_escaped(void **state)
{
	(void)state;
	char buf[LOG_STR_LEN];
	assert_string_equal(log_str(span_of("a\nb\"\\\x1b", 6), buf), "\"a\\x0ab\\x22\\x5c\\x1b\"");
}

static void test_long_foreign_text_is_cut_within_its_buffer(void **state)
{
	(void)state;
	char buf[LOG_STR_LEN];
	uint8_t raw[1000];
	for (unsigned step = 0; step < 2; step++) {
		memset(raw, step == 0 ? 'x' : 0xff, sizeof(raw));
		log_str(span_of(raw, sizeof(raw)), buf);
		assert_true(strlen(buf) < LOG_STR_LEN);
		assert_string_equal(buf + strlen(buf) - 4, "...\"");
	}
}

static void test_line_is_sentence_then_pairs(void **state)
{
	(void)state;
	log_set_sink(keep, NULL);
	log_info("peer connected", "peer=%s n=%d", "bob", 2);
	assert_string_equal(last, "peer connected peer=bob n=2");
	log_debug("not shown", "n=%d", 1);
	assert_string_equal(last, "peer connected peer=bob n=2");
	log_set_sink(NULL, NULL);
}

static void test_overlong_line_is_cut_not_overrun(void **state)
{
	(void)state;
	char big[3000];
	memset(big, 'y', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	log_set_sink(keep, NULL);
	log_info("long", "v=%s", big);
	log_set_sink(NULL, NULL);
	assert_true(strlen(last) > 900 && strlen(last) < 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreign_bytes_are_escaped),
		cmocka_unit_test(test_long_foreign_text_is_cut_within_its_buffer),
		cmocka_unit_test(test_line_is_sentence_then_pairs),
		cmocka_unit_test(test_overlong_line_is_cut_not_overrun),
	};
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
