/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "crypto/openssl.h"
#include "crypto/x25519.h"

static void test_public_keys_of_the_vectors(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("noise_libp2p.json");
	struct x25519 pair[2] = {0};
	static const char *const sides[] = {"initiator", "responder"};
	for (size_t i = 0; i < 2; i++) {
		size_t len;
		json_t *side = json_object_get(root, sides[i]);
		uint8_t *secret = testkit_unhex(testkit_string(side, "static_private"), &len);
		assert_int_equal(len, X25519_LEN);
		assert_ok(x25519_init(&pair[i], secret));
		uint8_t *expected = testkit_unhex(testkit_string(side, "static_public"), &len);
		assert_span_equal(span_of(pair[i].public_key, X25519_LEN), span_of(expected, len));
		free(expected);
		free(secret);
	}
	uint8_t shared[2][X25519_LEN];
	assert_ok(x25519_shared(&pair[0], pair[1].public_key, shared[0]));
	assert_ok(x25519_shared(&pair[1], pair[0].public_key, shared[1]));
	assert_memory_equal(shared[0], shared[1], X25519_LEN);
	x25519_deinit(&pair[0]);
	x25519_deinit(&pair[1]);
	x25519_deinit(&pair[1]);
	json_decref(root);
}

static void test_points_of_low_order_are_bad_keys(void **state)
{
	(void)state;
	static const char *const points[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	uint8_t secret[X25519_LEN], shared[X25519_LEN];
	memset(secret, 0x42, sizeof(secret));
	memset(shared, 0x55, sizeof(shared));
	struct x25519 x;
	assert_ok(x25519_init(&x, secret));
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		size_t len;
		uint8_t *point = testkit_unhex(points[i], &len);
		assert_err(x25519_shared(&x, point, shared), ERR_BAD_KEY);
		assert_int_equal(shared[0], 0x55); /* results only on success */
		assert_int_equal(ERR_peek_error(), 0);
		free(point);
	}
	x25519_deinit(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_public_keys_of_the_vectors),
		cmocka_unit_test(test_points_of_low_order_are_bad_keys),
	};
	return cmocka_run_group_tests_name("x25519", tests, NULL, NULL);
}
