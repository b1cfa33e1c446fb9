/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* noise_cipher.c - see noise_cipher.h */
#include "p2p/secure/noise_cipher.h"

/* Noise 12.3: "The 96-bit nonce is formed by encoding 32 bits of zeros followed by little-endian
 * encoding of n." */
static void encode_nonce(uint64_t n, uint8_t ret_nonce[AEAD_NONCE_LEN])
{
	memset(ret_nonce, 0, 4);
	for (size_t i = 0; i < 8; i++)
		ret_nonce[4 + i] = (uint8_t)(n >> (8 * i));
}

enum err noise_cipher_init(struct noise_cipher *c, const uint8_t key[AEAD_KEY_LEN])
{
	c->nonce = 0;
	return aead_init(&c->aead, key);
}

void noise_cipher_deinit(struct noise_cipher *c)
{
	aead_deinit(&c->aead);
	c->nonce = 0;
}

enum err noise_cipher_seal(struct noise_cipher *c, struct span ad, uint8_t *data, size_t len,
			   uint8_t ret_tag[AEAD_TAG_LEN])
{
	if (c->nonce == UINT64_MAX)
		return ERR_NONCE_EXHAUSTED;
	uint8_t nonce[AEAD_NONCE_LEN];
	encode_nonce(c->nonce, nonce);
	/* Counted before the attempt: after a failure half of it may have been seen by someone. */
	c->nonce++;
	return aead_seal(&c->aead, nonce, ad, data, len, ret_tag);
}

enum err noise_cipher_open(struct noise_cipher *c, struct span ad, uint8_t *data, size_t len,
			   const uint8_t tag[AEAD_TAG_LEN])
{
	if (c->nonce == UINT64_MAX)
		return ERR_NONCE_EXHAUSTED;
	uint8_t nonce[AEAD_NONCE_LEN];
	encode_nonce(c->nonce, nonce);
	enum err e = aead_open(&c->aead, nonce, ad, data, len, tag);
	if (e == ERR_OK)
		c->nonce++;
	return e;
}
