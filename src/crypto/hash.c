/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* hash.c - see hash.h */
#include "crypto/hash.h"

#include <assert.h>
#include <limits.h>

#include "crypto/openssl.h"
#include "crypto/wipe.h"

enum err hash_sha256(struct span a, struct span b, uint8_t ret_hash[HASH_LEN])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool done = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
		    EVP_DigestUpdate(ctx, a.p, a.len) == 1 &&
		    EVP_DigestUpdate(ctx, b.p, b.len) == 1 &&
		    EVP_DigestFinal_ex(ctx, ret_hash, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return done ? ERR_OK : ERR_CRYPTO;
}

enum err hash_hmac(struct span key, struct span data, uint8_t ret_mac[HASH_LEN])
{
	assert(key.len <= INT_MAX);
	/* A NULL key means "the one before" to OpenSSL. */
	const void *key_p = key.len > 0 ? (const void *)key.p : "";
	return HMAC(EVP_sha256(), key_p, (int)key.len, data.p, data.len, ret_mac, NULL) != NULL
		       ? ERR_OK
		       : ERR_CRYPTO;
}

/*
 * Noise 4.3: "Sets temp_key = HMAC-HASH(chaining_key, input_key_material). Sets output1 =
 * HMAC-HASH(temp_key, byte(0x01)). Sets output2 = HMAC-HASH(temp_key, output1 || byte(0x02))",
 * output3 likewise with 0x03.
 */
enum err hash_hkdf(const uint8_t salt[HASH_LEN], struct span input, size_t n_keys,
		   uint8_t ret_keys[][HASH_LEN])
{
	assert(n_keys == 2 || n_keys == 3);
	uint8_t extracted[HASH_LEN];
	uint8_t keys[3][HASH_LEN];
	uint8_t block[HASH_LEN + 1];
	size_t from = HASH_LEN; /* the first block has no key before it */
	enum err e = hash_hmac(span_of(salt, HASH_LEN), input, extracted);
	for (size_t i = 0; e == ERR_OK && i < n_keys; i++) {
		block[HASH_LEN] = (uint8_t)(i + 1);
		e = hash_hmac(span_of(extracted, HASH_LEN),
			      span_of(block + from, sizeof(block) - from), keys[i]);
		if (e == ERR_OK)
			memcpy(block, keys[i], HASH_LEN);
		from = 0;
	}
	if (e == ERR_OK)
		memcpy(ret_keys, keys, n_keys * HASH_LEN);
	wipe(extracted, sizeof(extracted));
	wipe(keys, sizeof(keys));
	wipe(block, sizeof(block));
	return e;
}
