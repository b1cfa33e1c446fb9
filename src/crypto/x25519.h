/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* x25519.h - Diffie-Hellman on Curve25519 (RFC 7748) */
#pragma once

#include "base/span.h"

enum {
	X25519_LEN = 32, /* bytes of a secret, a public and a shared key */
};

/* A key pair. Owned by one thread at a time. All zero is valid: no key. */
struct x25519 {
	struct evp_pkey_st *pair;
	uint8_t public_key[X25519_LEN];
};

/* The secret is copied: the caller wipes its own. ERR_CRYPTO. */
MUST_USE enum err x25519_init(struct x25519 *x, const uint8_t secret[X25519_LEN]);

/* Wipes the secret. Takes an all-zero struct; leaves one. */
void x25519_deinit(struct x25519 *x);

/* ERR_BAD_KEY: their key is a point of low order, the outcome would be all zero (and known to
 * everyone). ERR_CRYPTO. */
MUST_USE enum err x25519_shared(const struct x25519 *x, const uint8_t theirs[X25519_LEN],
				uint8_t ret_shared[X25519_LEN]);
