/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * multihash.h - a digest that says which hash function made it: code, length, digest
 *
 * Spec: multiformats/multihash.
 */
#pragma once

#include "base/span.h"

enum multihash_code {
	MULTIHASH_IDENTITY = 0x00, /* the "digest" is the message itself */
	MULTIHASH_SHA2_256 = 0x12,
};

enum {
	SHA256_LEN = 32, /* bytes */
};

struct multihash {
	uint64_t code; /* enum multihash_code, or another */
	struct span digest;
};

/* The whole of `bytes`, of any hash function; the length of a sha2-256 digest is checked.
 * ERR_TRUNCATED, ERR_MALFORMED. */
MUST_USE enum err multihash_parse(struct span bytes, struct multihash *ret_hash);

void multihash_put(struct wbuf *w, enum multihash_code code, struct span digest);

/* ERR_CRYPTO. */
MUST_USE enum err sha256(struct span message, uint8_t ret_digest[SHA256_LEN]);
