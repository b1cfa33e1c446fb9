/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* hash.h - SHA-256, HMAC-SHA256 (RFC 2104) and Noise's HKDF (RFC 5869 without info) */
#pragma once

#include "base/span.h"

enum {
	HASH_LEN = 32, /* bytes of SHA-256 */
};

/* SHA-256 of a, then b; ret_hash may lie within them. ERR_CRYPTO. */
MUST_USE enum err hash_sha256(struct span a, struct span b, uint8_t ret_hash[HASH_LEN]);

/* ERR_CRYPTO. */
MUST_USE enum err hash_hmac(struct span key, struct span data, uint8_t ret_mac[HASH_LEN]);

/* n_keys is 2 or 3; the salt may be one of the results. ERR_CRYPTO. */
MUST_USE enum err hash_hkdf(const uint8_t salt[HASH_LEN], struct span input, size_t n_keys,
			    uint8_t ret_keys[][HASH_LEN]);
