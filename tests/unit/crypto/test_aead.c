/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "crypto/aead.h"
#include "crypto/openssl.h"

static unsigned n_allocations;

static void *count_malloc(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	n_allocations++;
	return malloc(len);
}

static void *count_realloc(void *p, size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	n_allocations++;
	return realloc(p, len);
}

static void count_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

static const uint8_t nonce[AEAD_NONCE_LEN] = {7,    0,    0,    0,    0x40, 0x41,
					      0x42, 0x43, 0x44, 0x45, 0x46, 0x47};

static struct aead keyed(uint8_t first)
{
	uint8_t key[AEAD_KEY_LEN];
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(first + i);
	struct aead a = {0};
	assert_ok(aead_init(&a, key));
	return a;
}

/* RFC 8439 2.8.2 */
static void test_rfc_vector_both_ways(void **state)
{
	(void)state;
	static const char text[] = "Ladies and Gentlemen of the class of '99: If I could offer you "
				   "only one tip for the future, sunscreen would be it.";
	size_t len, ad_len;
	uint8_t *sealed = testkit_unhex(
		"d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282"
		"fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab3"
		"24e4fad675945585808b4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e"
		"902ecbd0600691",
		&len);
	uint8_t *ad = testkit_unhex("50515253c0c1c2c3c4c5c6c7", &ad_len);
	size_t text_len = len - AEAD_TAG_LEN;
	assert_int_equal(text_len, strlen(text));
	struct aead a = keyed(0x80);
	uint8_t *record = calloc(1, len);
	assert_non_null(record);
	memcpy(record, text, text_len);
	assert_ok(aead_seal(&a, nonce, span_of(ad, ad_len), record, text_len, record + text_len));
	assert_span_equal(span_of(record, len), span_of(sealed, len));
	assert_ok(aead_open(&a, nonce, span_of(ad, ad_len), record, text_len, record + text_len));
	assert_span_equal(span_of(record, text_len), span_of(text, text_len));
	aead_deinit(&a);
	free(record);
	free(ad);
	free(sealed);
}

static void test_every_flipped_bit_is_refused_and_the_key_serves_on(void **state)
{
	(void)state;
	struct aead a = keyed(1);
	uint8_t sealed[40 + AEAD_TAG_LEN] = "plain";
	assert_ok(aead_seal(&a, nonce, span_of("ad", 2), sealed, 40, sealed + 40));
	uint8_t record[sizeof(sealed)];
	for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
		memcpy(record, sealed, sizeof(sealed));
		record[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_err(aead_open(&a, nonce, span_of("ad", 2), record, 40, record + 40),
			   ERR_DECRYPT);
		static const uint8_t zero[40];
		assert_memory_equal(record, zero, sizeof(zero));
		memcpy(record, sealed, sizeof(sealed));
		assert_ok(aead_open(&a, nonce, span_of("ad", 2), record, 40, record + 40));
		assert_string_equal((char *)record, "plain");
	}
	memcpy(record, sealed, sizeof(sealed));
	assert_err(aead_open(&a, nonce, span_of("aD", 2), record, 40, record + 40), ERR_DECRYPT);
	aead_deinit(&a);
}

static void test_empty_record_has_a_tag(void **state)
{
	(void)state;
	struct aead a = keyed(1);
	uint8_t tag[AEAD_TAG_LEN];
	assert_ok(aead_seal(&a, nonce, span_of("", 0), NULL, 0, tag));
	assert_ok(aead_open(&a, nonce, span_of("", 0), NULL, 0, tag));
	tag[15] ^= 1;
	assert_err(aead_open(&a, nonce, span_of("", 0), NULL, 0, tag), ERR_DECRYPT);
	aead_deinit(&a);
}

static void test_another_key_replaces_the_first(void **state)
{
	(void)state;
	struct aead a = keyed(1);
	struct aead b = keyed(2);
	uint8_t record[5 + AEAD_TAG_LEN] = "hello";
	uint8_t key[AEAD_KEY_LEN];
	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)(2 + i);
	assert_ok(aead_init(&a, key));
	assert_ok(aead_seal(&a, nonce, span_of("", 0), record, 5, record + 5));
	assert_ok(aead_open(&b, nonce, span_of("", 0), record, 5, record + 5));
	assert_memory_equal(record, "hello", 5);
	aead_deinit(&a);
	aead_deinit(&a);
	aead_deinit(&b);
}

static void test_records_allocate_nothing(void **state)
{
	(void)state;
	struct aead seal = keyed(1);
	struct aead open = keyed(1);
	assert_true(n_allocations > 0); /* the counter sees OpenSSL */
	size_t len = 65519;
	uint8_t *record = calloc(1, len + AEAD_TAG_LEN);
	assert_non_null(record);
	unsigned before = n_allocations;
	for (uint8_t i = 0; i < 10; i++) {
		uint8_t n[AEAD_NONCE_LEN] = {i};
		assert_ok(aead_seal(&seal, n, span_of("", 0), record, len, record + len));
		assert_ok(aead_open(&open, n, span_of("", 0), record, len, record + len));
	}
	assert_int_equal(n_allocations, before);
	record[0] ^= 1;
	assert_err(aead_open(&open, nonce, span_of("", 0), record, len, record + len), ERR_DECRYPT);
	assert_int_equal(n_allocations, before);
	assert_int_equal(ERR_peek_error(), 0); /* nor leave an error to others */
	free(record);
	aead_deinit(&seal);
	aead_deinit(&open);
}

int main(void)
{
	if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc_vector_both_ways),
		cmocka_unit_test(test_every_flipped_bit_is_refused_and_the_key_serves_on),
		cmocka_unit_test(test_empty_record_has_a_tag),
		cmocka_unit_test(test_another_key_replaces_the_first),
		cmocka_unit_test(test_records_allocate_nothing),
	};
	return cmocka_run_group_tests_name("aead", tests, NULL, NULL);
}
