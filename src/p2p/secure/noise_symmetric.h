/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * noise_symmetric.h - what both ends of a handshake know so far, as a hash and a chain of keys
 *
 * Spec: Noise 5.2, the SymmetricState object, for Noise_XX_25519_ChaChaPoly_SHA256.
 */
#pragma once

#include "crypto/hash.h"
#include "p2p/secure/noise_cipher.h"

/* Owned by its handshake. Ends with its first error. */
struct noise_symmetric {
	struct noise_cipher cipher; /* no key before the first noise_symmetric_mix_key() */
	uint8_t chaining_key[HASH_LEN];
	uint8_t hash[HASH_LEN]; /* of everything that was sent and received */
};

/* ERR_CRYPTO. */
MUST_USE enum err noise_symmetric_init(struct noise_symmetric *s, struct span prologue);

/* Wipes. Takes an all-zero struct; leaves one. */
void noise_symmetric_deinit(struct noise_symmetric *s);

/* ERR_CRYPTO, both. */
MUST_USE enum err noise_symmetric_mix_hash(struct noise_symmetric *s, struct span data);
MUST_USE enum err noise_symmetric_mix_key(struct noise_symmetric *s, struct span secret);

/* How much longer the next message is than what it carries: a tag, once there is a key. */
static inline size_t noise_symmetric_tail_len(const struct noise_symmetric *s)
{
	return noise_cipher_has_key(&s->cipher) ? AEAD_TAG_LEN : 0;
}

/* Encrypt data[0 .. len) in place, with noise_symmetric_tail_len() bytes of room behind, and take
 * note of it. ERR_CRYPTO. */
MUST_USE enum err noise_symmetric_seal(struct noise_symmetric *s, uint8_t *data, size_t len);

/* data[0 .. len) ends in its tag. ERR_DECRYPT, ERR_CRYPTO; ERR_MALFORMED: shorter than that. */
MUST_USE enum err noise_symmetric_open(struct noise_symmetric *s, uint8_t *data, size_t len,
				       struct span *ret_plain);

/* The ciphers of the two directions: the initiator's first. ERR_CRYPTO. */
MUST_USE enum err noise_symmetric_split(const struct noise_symmetric *s,
					struct noise_cipher *ret_initiator,
					struct noise_cipher *ret_responder);
