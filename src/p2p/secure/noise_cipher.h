/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * noise_cipher.h - one direction of a Noise channel: a key and the number of its next message
 *
 * Spec: Noise 5.1, the CipherState object. The number only ever grows, by one for each message
 * that was sealed or opened; a message that fails to open leaves it, so that the right one can
 * still come. 2^64 - 1 is reserved: there a key ends.
 */
#pragma once

#include "crypto/aead.h"

/* Owned by its channel. All zero is valid: no key yet. */
struct noise_cipher {
	struct aead aead;
	uint64_t nonce;
};

static inline bool noise_cipher_has_key(const struct noise_cipher *c)
{
	return c->aead.ctx != NULL;
}

/* Set the key, also again, and start at 0. ERR_CRYPTO. */
MUST_USE enum err noise_cipher_init(struct noise_cipher *c, const uint8_t key[AEAD_KEY_LEN]);

/* Takes an all-zero struct; leaves one. */
void noise_cipher_deinit(struct noise_cipher *c);

/* Encrypt data[0 .. len) in place. ERR_NONCE_EXHAUSTED, ERR_CRYPTO. */
MUST_USE enum err noise_cipher_seal(struct noise_cipher *c, struct span ad, uint8_t *data,
				    size_t len, uint8_t ret_tag[AEAD_TAG_LEN]);

/* Decrypt in place. ERR_DECRYPT (nothing changed but data, which is zeroed),
 * ERR_NONCE_EXHAUSTED, ERR_CRYPTO. */
MUST_USE enum err noise_cipher_open(struct noise_cipher *c, struct span ad, uint8_t *data,
				    size_t len, const uint8_t tag[AEAD_TAG_LEN]);
