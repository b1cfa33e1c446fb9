/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* x25519.c - see x25519.h */
#include "crypto/x25519.h"

#include <assert.h>

#include "crypto/openssl.h"
#include "crypto/wipe.h"

enum err x25519_init(struct x25519 *x, const uint8_t secret[X25519_LEN])
{
	size_t len = X25519_LEN;
	*x = (struct x25519){
		.pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, secret, X25519_LEN)};
	if (x->pair != NULL && EVP_PKEY_get_raw_public_key(x->pair, x->public_key, &len) == 1)
		return ERR_OK;
	x25519_deinit(x);
	ERR_clear_error();
	return ERR_CRYPTO;
}

void x25519_deinit(struct x25519 *x)
{
	EVP_PKEY_free(x->pair);
	*x = (struct x25519){0};
}

enum err x25519_shared(const struct x25519 *x, const uint8_t theirs[X25519_LEN],
		       uint8_t ret_shared[X25519_LEN])
{
	assert(x->pair != NULL);
	static const uint8_t zero[X25519_LEN];
	uint8_t shared[X25519_LEN];
	size_t len = sizeof(shared);
	enum err e = ERR_CRYPTO;

	EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, theirs, X25519_LEN);
	EVP_PKEY_CTX *ctx = peer != NULL ? EVP_PKEY_CTX_new(x->pair, NULL) : NULL;
	if (ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
	    EVP_PKEY_derive_set_peer(ctx, peer) == 1) {
		/* OpenSSL fails on an all-zero outcome by itself; nothing but their key can make it
		 * fail here. The comparison is for a library that would not. */
		if (EVP_PKEY_derive(ctx, shared, &len) == 1 && len == sizeof(shared) &&
		    CRYPTO_memcmp(shared, zero, sizeof(zero)) != 0) {
			memcpy(ret_shared, shared, sizeof(shared));
			e = ERR_OK;
		} else {
			e = ERR_BAD_KEY;
		}
	}
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
	wipe(shared, sizeof(shared));
	if (e != ERR_OK)
		ERR_clear_error();
	return e;
}
