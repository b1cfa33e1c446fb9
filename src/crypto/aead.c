/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* aead.c - see aead.h */
#include "crypto/aead.h"

#include <assert.h>
#include <limits.h>

#include "crypto/openssl.h"

enum {
	OPEN = 0, /* EVP_CipherInit_ex()'s words */
	SEAL = 1,
};

enum err aead_init(struct aead *a, const uint8_t key[AEAD_KEY_LEN])
{
	if (a->ctx == NULL)
		a->ctx = EVP_CIPHER_CTX_new();
	if (a->ctx != NULL &&
	    EVP_CipherInit_ex(a->ctx, EVP_chacha20_poly1305(), NULL, key, NULL, SEAL) == 1)
		return ERR_OK;
	aead_deinit(a);
	return ERR_CRYPTO;
}

void aead_deinit(struct aead *a)
{
	EVP_CIPHER_CTX_free(a->ctx);
	a->ctx = NULL;
}

/* Everything but the tag: the same in both directions. */
static bool run(struct aead *a, int direction, const uint8_t *nonce, struct span ad, uint8_t *data,
		size_t len)
{
	assert(a->ctx != NULL && len <= INT_MAX && ad.len <= INT_MAX);
	int n = 0;
	if (EVP_CipherInit_ex(a->ctx, NULL, NULL, NULL, nonce, direction) != 1)
		return false;
	if (ad.len > 0 && EVP_CipherUpdate(a->ctx, NULL, &n, ad.p, (int)ad.len) != 1)
		return false;
	/* An update of no bytes would be taken for the end. */
	return len == 0 || EVP_CipherUpdate(a->ctx, data, &n, data, (int)len) == 1;
}

enum err aead_seal(struct aead *a, const uint8_t nonce[AEAD_NONCE_LEN], struct span ad,
		   uint8_t *data, size_t len, uint8_t ret_tag[AEAD_TAG_LEN])
{
	uint8_t rest[EVP_MAX_BLOCK_LENGTH];
	int n = 0;
	if (!run(a, SEAL, nonce, ad, data, len) || EVP_CipherFinal_ex(a->ctx, rest, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, ret_tag) != 1)
		return ERR_CRYPTO;
	return ERR_OK;
}

enum err aead_open(struct aead *a, const uint8_t nonce[AEAD_NONCE_LEN], struct span ad,
		   uint8_t *data, size_t len, const uint8_t tag[AEAD_TAG_LEN])
{
	uint8_t expected[AEAD_TAG_LEN]; /* the control call takes no pointer to const */
	uint8_t rest[EVP_MAX_BLOCK_LENGTH];
	int n = 0;
	memcpy(expected, tag, sizeof(expected));
	if (!run(a, OPEN, nonce, ad, data, len) ||
	    EVP_CIPHER_CTX_ctrl(a->ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_LEN, expected) != 1)
		return ERR_CRYPTO;
	if (EVP_CipherFinal_ex(a->ctx, rest, &n) == 1)
		return ERR_OK;
	ERR_clear_error(); /* not for whoever uses OpenSSL next on this thread */
	if (len > 0)
		memset(data, 0, len);
	return ERR_DECRYPT;
}
