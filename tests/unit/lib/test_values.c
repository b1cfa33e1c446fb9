/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <runnel/types.h>

#include "lib/err.h"

static const char peer_text[] = "12D3KooW9tHTtS3inCZiYykw4u5G4frbjVFqhkmJX12gSNCVeH3e";

static void test_each_error_keeps_its_word_and_text(void **state)
{
	(void)state;
	for (int i = 0; i < ERR_COUNT; i++) {
		enum runnel_err public_err = lib_err((enum err)i);
		assert_string_equal(runnel_err_name(public_err), err_name((enum err)i));
		assert_string_equal(runnel_err_text(public_err), err_text((enum err)i));
	}
	assert_string_equal(runnel_err_name(RUNNEL_ERR_WRONG_PEER), "wrong_peer");
	assert_string_equal(runnel_err_name(RUNNEL_ERR_SYSTEM), "system");
}

static void test_numbers_that_are_no_error_have_a_text(void **state)
{
	(void)state;
	const int odd[] = {-1, RUNNEL_ERR_SYSTEM + 1, INT32_MAX, INT32_MIN};
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		assert_string_equal(runnel_err_name((enum runnel_err)odd[i]), "unknown");
		assert_string_equal(runnel_err_text((enum runnel_err)odd[i]), "unknown error");
	}
}

/* Programs are compiled against these. A number that changes breaks them without a word. */
static void test_numbers_of_errors_are_those_of_the_first_version(void **state)
{
	(void)state;
	static const char *const words[] = {
		"ok",
		"again",
		"eof",
		"done",
		"full",
		"empty",
		"truncated",
		"too_long",
		"malformed",
		"out_of_range",
		"unsupported",
		"version",
		"protocol",
		"flow_control",
		"negotiation",
		"go_away",
		"reset",
		"decrypt",
		"nonce_exhausted",
		"bad_key",
		"bad_signature",
		"wrong_peer",
		"self",
		"crypto",
		"exposed",
		"limit",
		"gated",
		"duplicate",
		"superseded",
		"bad_state",
		"closed",
		"not_found",
		"timeout",
		"no_memory",
		"permission",
		"refused",
		"unreachable",
		"address_in_use",
		"no_address",
		"dns",
		"busy",
		"fds",
		"system",
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		assert_string_equal(runnel_err_name((enum runnel_err)i), words[i]);
}

static void test_peer_id_reads_what_it_wrote(void **state)
{
	(void)state;
	struct runnel_peer_id id, again;
	char text[RUNNEL_PEER_ID_TEXT_MAX];
	assert_int_equal(runnel_peer_id_parse(peer_text, &id), RUNNEL_ERR_OK);
	assert_string_equal(runnel_peer_id_format(&id, text), peer_text);
	assert_int_equal(runnel_peer_id_parse(text, &again), RUNNEL_ERR_OK);
	assert_true(runnel_peer_id_equal(&id, &again));
	again.bytes[again.len - 1] ^= 1;
	assert_false(runnel_peer_id_equal(&id, &again));
}

/* The format has no checksum: a few cuts are shorter ids of their own. */
static void test_cut_peer_id_is_never_the_whole_and_refusal_writes_nothing(void **state)
{
	(void)state;
	struct runnel_peer_id whole;
	assert_int_equal(runnel_peer_id_parse(peer_text, &whole), RUNNEL_ERR_OK);
	size_t n_refused = 0;
	for (size_t len = 0; len < strlen(peer_text); len++) {
		char text[sizeof(peer_text)];
		memcpy(text, peer_text, len);
		text[len] = '\0';
		struct runnel_peer_id id = {.len = 99};
		if (runnel_peer_id_parse(text, &id) != RUNNEL_ERR_OK) {
			assert_int_equal(id.len, 99);
			n_refused++;
		}
		assert_false(runnel_peer_id_equal(&id, &whole));
	}
	assert_true(n_refused > strlen(peer_text) / 2);
}

static void test_peer_id_with_a_wild_length_reads_no_bytes_behind_it(void **state)
{
	(void)state;
	/* In allocations of their own, so that ASan sees an overrun. */
	struct runnel_peer_id *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
	assert_non_null(a);
	assert_non_null(b);
	memset(a, 0xff, sizeof(*a));
	memset(b, 0xff, sizeof(*b));
	char text[RUNNEL_PEER_ID_TEXT_MAX];
	runnel_peer_id_format(a, text);
	assert_true(strlen(text) < sizeof(text));
	assert_true(runnel_peer_id_equal(a, b));
	a->len = 0;
	assert_string_equal(runnel_peer_id_format(a, text), "");
	assert_false(runnel_peer_id_equal(a, b));
	free(a);
	free(b);
}

static void test_ip_reads_what_it_wrote(void **state)
{
	(void)state;
	static const char *const texts[] = {"10.7.0.1", "255.255.255.255", "fd00::1",
					    "::", "2001:db8:1:2:3:4:5:6"};
	struct runnel_ip last = {0};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct runnel_ip ip;
		char text[RUNNEL_IP_TEXT_MAX];
		assert_int_equal(runnel_ip_parse(texts[i], &ip), RUNNEL_ERR_OK);
		assert_string_equal(runnel_ip_format(&ip, text), texts[i]);
		assert_true(runnel_ip_equal(&ip, &ip));
		assert_false(runnel_ip_equal(&ip, &last));
		last = ip;
	}
}

static void test_what_is_no_ip_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = {"",          "10.7.0",    "10.7.0.256", "10.7.0.1/24",
					    "fe80::1%e", " 10.0.0.1", "10.0.0.1 ",  "1::2::3"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct runnel_ip ip;
		assert_int_equal(runnel_ip_parse(texts[i], &ip), RUNNEL_ERR_MALFORMED);
	}
}

static void test_ip_of_an_unknown_family_is_none(void **state)
{
	(void)state;
	const struct runnel_ip odd = {.family = 5, .bytes = {1}}, none = {0};
	char text[RUNNEL_IP_TEXT_MAX];
	assert_string_equal(runnel_ip_format(&odd, text), "none");
	assert_true(runnel_ip_equal(&odd, &none));
}

static void test_bytes_behind_an_ip4_address_do_not_count(void **state)
{
	(void)state;
	struct runnel_ip a = {.family = 4, .bytes = {10, 0, 0, 1}}, b = a;
	b.bytes[15] = 1;
	assert_true(runnel_ip_equal(&a, &b));
	b.bytes[3] = 2;
	assert_false(runnel_ip_equal(&a, &b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_error_keeps_its_word_and_text),
		cmocka_unit_test(test_numbers_that_are_no_error_have_a_text),
		cmocka_unit_test(test_numbers_of_errors_are_those_of_the_first_version),
		cmocka_unit_test(test_peer_id_reads_what_it_wrote),
		cmocka_unit_test(test_cut_peer_id_is_never_the_whole_and_refusal_writes_nothing),
		cmocka_unit_test(test_peer_id_with_a_wild_length_reads_no_bytes_behind_it),
		cmocka_unit_test(test_ip_reads_what_it_wrote),
		cmocka_unit_test(test_what_is_no_ip_is_refused),
		cmocka_unit_test(test_ip_of_an_unknown_family_is_none),
		cmocka_unit_test(test_bytes_behind_an_ip4_address_do_not_count),
	};
	return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
