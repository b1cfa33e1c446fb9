/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "crypto/hash.h"

static void assert_hex(const uint8_t *got, size_t len, const char *hex)
{
	size_t expected_len;
	uint8_t *expected = testkit_unhex(hex, &expected_len);
	assert_span_equal(span_of(got, len), span_of(expected, expected_len));
	free(expected);
}

/* FIPS 180: "abc" */
static void test_sha256_of_two_parts_is_that_of_their_sum(void **state)
{
	(void)state;
	static const char expected[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	uint8_t hash[HASH_LEN];
	static const char text[] = "abc";
	for (size_t cut = 0; cut <= 3; cut++) {
		assert_ok(hash_sha256(span_of(text, cut), span_of(&text[cut], 3 - cut), hash));
		assert_hex(hash, sizeof(hash), expected);
	}
}

/* RFC 4231, case 1 */
static void test_hmac_rfc_vector(void **state)
{
	(void)state;
	uint8_t key[20], mac[HASH_LEN];
	memset(key, 0x0b, sizeof(key));
	assert_ok(hash_hmac(span_of(key, sizeof(key)), span_str("Hi There"), mac));
	assert_hex(mac, sizeof(mac),
		   "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}

/* RFC 5869, case 3: no salt, no info; its 42 bytes are the first key and the start of the second.
 */
static void test_hkdf_rfc_vector(void **state)
{
	(void)state;
	uint8_t input[22], keys[3][HASH_LEN], two[2][HASH_LEN];
	static const uint8_t salt[HASH_LEN];
	memset(input, 0x0b, sizeof(input));
	assert_ok(hash_hkdf(salt, span_of(input, sizeof(input)), 3, keys));
	assert_hex(
		keys[0], 42,
		"8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96"
		"c8");
	assert_ok(hash_hkdf(salt, span_of(input, sizeof(input)), 2, two));
	assert_memory_equal(two, keys, sizeof(two));
	/* output3 = HMAC(temp_key, output2 || 0x03), where temp_key = HMAC(salt, input) */
	uint8_t extracted[HASH_LEN], third[HASH_LEN], block[HASH_LEN + 1];
	assert_ok(hash_hmac(span_of(salt, sizeof(salt)), span_of(input, sizeof(input)), extracted));
	memcpy(block, keys[1], HASH_LEN);
	block[HASH_LEN] = 3;
	assert_ok(hash_hmac(span_of(extracted, HASH_LEN), span_of(block, sizeof(block)), third));
	assert_memory_equal(third, keys[2], HASH_LEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256_of_two_parts_is_that_of_their_sum),
		cmocka_unit_test(test_hmac_rfc_vector),
		cmocka_unit_test(test_hkdf_rfc_vector),
	};
	return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
