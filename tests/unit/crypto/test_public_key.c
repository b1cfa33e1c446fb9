/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/util.h"
#include "crypto/key.h"
#include "crypto/key_pb.h"
#include "crypto/openssl.h"

/* Verifies with exact-size copies, so that ASan sees a byte too many. */
static enum err verify(struct span key, struct span message, struct span signature)
{
	uint8_t *k = testkit_copy(key);
	uint8_t *s = testkit_copy(signature);
	enum err e = public_key_verify(span_of(k, key.len), message, span_of(s, signature.len));
	assert_int_equal(ERR_peek_error(), 0); /* for whoever uses OpenSSL next */
	free(k);
	free(s);
	return e;
}

/* A good key and signature; then each way of spoiling them. */
static void check_sample(struct span key, struct span message, struct span signature, size_t step)
{
	assert_ok(verify(key, message, signature));
	assert_err(verify(key, span_str("another message"), signature), ERR_BAD_SIGNATURE);
	uint8_t *copy = testkit_copy(signature);
	for (size_t bit = 0; bit < 8 * signature.len; bit += step) {
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_err(verify(key, message, span_of(copy, signature.len)), ERR_BAD_SIGNATURE);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(copy);
	for (size_t cut = 0; cut < signature.len; cut++)
		assert_err(verify(key, message, span_of(signature.p, cut)), ERR_BAD_SIGNATURE);
	uint8_t *longer = calloc(1, signature.len + 1);
	assert_non_null(longer);
	memcpy(longer, signature.p, signature.len);
	assert_err(verify(key, message, span_of(longer, signature.len + 1)), ERR_BAD_SIGNATURE);
	free(longer);

	for (size_t cut = 0; cut < key.len; cut++)
		assert_err(verify(span_of(key.p, cut), message, signature), ERR_BAD_KEY);
	longer = calloc(1, key.len + 1);
	assert_non_null(longer);
	memcpy(longer, key.p, key.len);
	assert_err(verify(span_of(longer, key.len + 1), message, signature), ERR_BAD_KEY);
	free(longer);
	copy = testkit_copy(key);
	for (size_t bit = 0; bit < 8 * key.len; bit += step) {
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(verify(span_of(copy, key.len), message, signature), ERR_OK);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(copy);
}

static void check_hex(const char *key, const char *message, const char *signature)
{
	size_t key_len, signature_len;
	uint8_t *k = testkit_unhex(key, &key_len);
	uint8_t *s = testkit_unhex(signature, &signature_len);
	check_sample(span_of(k, key_len), span_str(message), span_of(s, signature_len), 1);
	free(k);
	free(s);
}

static void test_vectors_of_all_types(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("peer_id_keys.json");
	json_t *keys = json_object_get(root, "keys");
	assert_int_equal(json_array_size(keys), 4);
	for (size_t i = 0; i < json_array_size(keys); i++) {
		json_t *key = json_array_get(keys, i);
		check_hex(testkit_string(key, "public_pb"),
			  testkit_string(key, "sample_message_utf8"),
			  testkit_string(key, "sample_signature"));
	}
	json_t *go = json_object_get(root, "go_test_data");
	assert_int_equal(json_array_size(go), 3);
	for (size_t i = 0; i < json_array_size(go); i++) {
		json_t *key = json_array_get(go, i);
		check_hex(testkit_string(key, "pub_hex"), testkit_string(key, "message_utf8"),
			  testkit_string(key, "sig_hex"));
	}
	json_decref(root);
}

static size_t put_public_key(uint8_t *buf, size_t cap, enum key_type type, struct span data)
{
	struct wbuf w = wbuf_of(buf, cap);
	wbuf_put_u8(&w, KEY_PB_TYPE);
	wbuf_put_u8(&w, (uint8_t)type);
	wbuf_put_u8(&w, KEY_PB_DATA);
	wbuf_put_uvarint(&w, data.len);
	wbuf_put(&w, data);
	assert_ok(wbuf_check(&w));
	return w.len;
}

/* A fresh key in OpenSSL's own encoding, and a signature by it. */
static void check_fresh(EVP_PKEY *pair, enum key_type type)
{
	uint8_t *spki = NULL;
	int spki_len = i2d_PUBKEY(pair, &spki);
	assert_true(spki_len > 0);
	uint8_t key[PUBLIC_KEY_LEN_MAX], signature[512];
	size_t key_len = put_public_key(key, sizeof(key), type, span_of(spki, (size_t)spki_len));
	size_t signature_len = sizeof(signature);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pair), 1);
	assert_int_equal(EVP_DigestSign(ctx, signature, &signature_len, (const uint8_t *)"hi", 2),
			 1);
	check_sample(span_of(key, key_len), span_str("hi"), span_of(signature, signature_len), 37);
	EVP_MD_CTX_free(ctx);
	OPENSSL_free(spki);
	EVP_PKEY_free(pair);
}

static void test_other_curves_of_go_are_verified(void **state)
{
	(void)state;
	check_fresh(EVP_EC_gen("P-384"), KEY_ECDSA);
	check_fresh(EVP_EC_gen("P-521"), KEY_ECDSA);
}

static void test_smallest_rsa_key_is_verified(void **state)
{
	(void)state;
	check_fresh(EVP_RSA_gen(RSA_BITS_MIN), KEY_RSA);
}

static void put_der(struct wbuf *w, uint8_t tag, struct span value)
{
	wbuf_put_u8(w, tag);
	if (value.len >= 0x100) {
		wbuf_put_u8(w, 0x82);
		wbuf_put_be16(w, (uint16_t)value.len);
	} else if (value.len >= 0x80) {
		wbuf_put_u8(w, 0x81);
		wbuf_put_u8(w, (uint8_t)value.len);
	} else {
		wbuf_put_u8(w, (uint8_t)value.len);
	}
	wbuf_put(w, value);
}

/* An RSA key of any size, with any numbers. */
static size_t put_rsa(uint8_t *buf, size_t cap, struct span modulus, struct span exponent)
{
	static const uint8_t algorithm[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
					    0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
	uint8_t a[4096], b[4096];
	struct wbuf numbers = wbuf_of(a, sizeof(a));
	put_der(&numbers, 2, modulus);
	put_der(&numbers, 2, exponent);
	struct wbuf bits = wbuf_of(b, sizeof(b));
	wbuf_put_u8(&bits, 0);
	put_der(&bits, 0x30, wbuf_view(&numbers));
	struct wbuf info = wbuf_of(a, sizeof(a));
	wbuf_put(&info, span_of(algorithm, sizeof(algorithm)));
	put_der(&info, 3, wbuf_view(&bits));
	struct wbuf spki = wbuf_of(b, sizeof(b));
	put_der(&spki, 0x30, wbuf_view(&info));
	return put_public_key(buf, cap, KEY_RSA, wbuf_view(&spki));
}

static enum err try_rsa(size_t bits, struct span exponent, bool is_odd)
{
	uint8_t modulus[1 + 16384 / 8], key[8192], signature[16384 / 8];
	size_t len = (bits + 7) / 8;
	memset(modulus, 0xa5, sizeof(modulus));
	memset(signature, 1, sizeof(signature));
	modulus[0] = 0;
	modulus[1] = (uint8_t)(1 << (bits - 1) % 8);
	modulus[len] = is_odd ? 0xa5 : 0xa4;
	size_t zero = modulus[1] >= 0x80 ? 0 : 1;
	size_t key_len =
		put_rsa(key, sizeof(key), span_of(modulus + zero, 1 + len - zero), exponent);
	return verify(span_of(key, key_len), span_str("hi"), span_of(signature, len));
}

static void test_rsa_keys_out_of_bounds_are_bad_keys(void **state)
{
	(void)state;
	const struct span e = span_of("\x01\x00\x01", 3);
	static const struct {
		size_t bits;
		enum err expected;
	} cases[] = {
		{1024, ERR_BAD_KEY},       {2047, ERR_BAD_KEY},       {2048, ERR_BAD_SIGNATURE},
		{3072, ERR_BAD_SIGNATURE}, {4096, ERR_BAD_SIGNATURE}, {4097, ERR_BAD_KEY},
		{8192, ERR_BAD_KEY},       {16384, ERR_BAD_KEY},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_err(try_rsa(cases[i].bits, e, true), cases[i].expected);
	assert_err(try_rsa(2048, e, false), ERR_BAD_KEY);
}

static void test_rsa_exponents_out_of_bounds_are_bad_keys(void **state)
{
	(void)state;
	static const struct {
		const char *exponent;
		size_t len;
		enum err expected;
	} cases[] = {
		{"", 0, ERR_BAD_KEY},
		{"\x00", 1, ERR_BAD_KEY},
		{"\x01", 1, ERR_BAD_KEY},
		{"\x02", 1, ERR_BAD_KEY},
		{"\x03", 1, ERR_BAD_SIGNATURE},
		{"\x81", 1, ERR_BAD_KEY},         /* negative */
		{"\x00\x03", 2, ERR_BAD_KEY},     /* not minimal */
		{"\x01\x00\x00", 3, ERR_BAD_KEY}, /* even */
		{"\x00\xff\xff\xff\xff", 5, ERR_BAD_SIGNATURE},
		{"\x01\x00\x00\x00\x01", 5, ERR_BAD_KEY},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_err(try_rsa(2048, span_of(cases[i].exponent, cases[i].len), true),
			   cases[i].expected);
}

static void test_point_off_the_curve_is_a_bad_key(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("peer_id_keys.json");
	json_t *key = json_array_get(json_object_get(root, "keys"), 0);
	assert_string_equal(testkit_string(key, "type"), "ecdsa");
	size_t len, signature_len;
	uint8_t *pb = testkit_unhex(testkit_string(key, "public_pb"), &len);
	uint8_t *signature = testkit_unhex(testkit_string(key, "sample_signature"), &signature_len);
	pb[len - 1] ^= 1;
	assert_err(verify(span_of(pb, len), span_str("hi"), span_of(signature, signature_len)),
		   ERR_BAD_KEY);
	free(signature);
	free(pb);
	json_decref(root);
}

static void test_encodings_that_are_not_the_canonical_one_are_bad_keys(void **state)
{
	(void)state;
	static const struct {
		uint8_t head[14];
		uint8_t len;
		enum err expected;
	} cases[] = {
		{{8, 1, 0x12, 32}, 4, ERR_BAD_SIGNATURE}, /* the right one */
		{{8, 0x81, 0, 0x12, 32}, 5, ERR_BAD_KEY}, /* a longer number */
		{{8, 1, 0x12, 0xa0, 0}, 5, ERR_BAD_KEY},
		{{0x88, 0, 1, 0x12, 32}, 5, ERR_BAD_KEY},
		{{8, 1, 0x12, 31}, 4, ERR_BAD_KEY},
		{{8, 1, 0x12, 33}, 4, ERR_BAD_KEY},
		{{8, 1, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		 12,
		 ERR_BAD_KEY},
		{{8, 1, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		 13,
		 ERR_BAD_KEY},
		{{8, 1, 8, 1, 0x12, 32}, 6, ERR_BAD_KEY}, /* twice */
		{{0x12, 32}, 2, ERR_BAD_KEY},             /* no type */
		{{8, 1, 0x1a, 32}, 4, ERR_BAD_KEY},       /* field 3 */
		{{8, 4, 0x12, 32}, 4, ERR_UNSUPPORTED},   /* a type of the future */
		{{8, 0xff, 0x7f, 0x12, 32}, 5, ERR_UNSUPPORTED},
		{{8, 2, 0x12, 32}, 4, ERR_BAD_KEY}, /* another type's length */
	};
	uint8_t signature[IDENTITY_SIGNATURE_LEN] = {1};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t key[sizeof(cases[i].head) + 32];
		memcpy(key, cases[i].head, cases[i].len);
		memset(key + cases[i].len, 0x33, 32);
		assert_err(verify(span_of(key, cases[i].len + 32U), span_str("hi"),
				  span_of(signature, sizeof(signature))),
			   cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_of_all_types),
		cmocka_unit_test(test_other_curves_of_go_are_verified),
		cmocka_unit_test(test_smallest_rsa_key_is_verified),
		cmocka_unit_test(test_rsa_keys_out_of_bounds_are_bad_keys),
		cmocka_unit_test(test_rsa_exponents_out_of_bounds_are_bad_keys),
		cmocka_unit_test(test_point_off_the_curve_is_a_bad_key),
		cmocka_unit_test(test_encodings_that_are_not_the_canonical_one_are_bad_keys),
	};
	return cmocka_run_group_tests_name("public_key", tests, NULL, NULL);
}
