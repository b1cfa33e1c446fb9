/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * aead.h - ChaCha20-Poly1305 (RFC 8439), in place
 *
 * A cipher context is made once and keyed once; a record costs setting a nonce and the work itself:
 * no allocation, no lock. Nonces are the caller's: a nonce must never be used twice with one key.
 */
#pragma once

#include "base/span.h"

enum {
	AEAD_KEY_LEN = 32,   /* bytes */
	AEAD_NONCE_LEN = 12, /* bytes */
	AEAD_TAG_LEN = 16,   /* bytes */
};

/* Owned by one thread at a time. All zero is valid: no key. */
struct aead {
	struct evp_cipher_ctx_st *ctx;
};

/* Set the key; also again, with another one, later. ERR_CRYPTO (then there is no key). */
MUST_USE enum err aead_init(struct aead *a, const uint8_t key[AEAD_KEY_LEN]);

/* Wipes the key. Takes an all-zero struct; leaves one. */
void aead_deinit(struct aead *a);

/* Encrypt data[0 .. len) where it lies and write its tag, which may stand right behind it.
 * ERR_CRYPTO. */
MUST_USE enum err aead_seal(struct aead *a, const uint8_t nonce[AEAD_NONCE_LEN], struct span ad,
			    uint8_t *data, size_t len, uint8_t ret_tag[AEAD_TAG_LEN]);

/* Check and decrypt data[0 .. len) where it lies. ERR_DECRYPT: data is zeroed, so that nobody reads
 * what was not authenticated, and the key serves on as if nothing had been. ERR_CRYPTO. */
MUST_USE enum err aead_open(struct aead *a, const uint8_t nonce[AEAD_NONCE_LEN], struct span ad,
			    uint8_t *data, size_t len, const uint8_t tag[AEAD_TAG_LEN]);
