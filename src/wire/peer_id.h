/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer_id.h - the name of a node: the multihash of its public key
 *
 * Spec: libp2p peer-ids. A value: copy it as you like. Text is base58btc of the multihash (what we
 * print), or a CIDv1 with codec libp2p-key in any multibase that multibase.h knows (accepted when
 * parsing).
 */
#pragma once

#include "base/limits.h"
#include "base/span.h"

struct peer_id {
	uint8_t len; /* bytes in use; 0: no peer id */
	uint8_t bytes[PEER_ID_LEN_MAX];
};

enum {
	PEER_ID_TEXT_MAX = 64, /* bytes of base58 text with its zero */
};

/* The id of a protobuf-encoded PublicKey: inlined up to 42 bytes, else its SHA-256. ERR_TOO_LONG,
 * ERR_CRYPTO. */
MUST_USE enum err peer_id_from_public_key(struct span public_key_pb, struct peer_id *ret_id);

/* A multihash, whole and valid as a peer id: identity of at most 42 bytes, or sha2-256 of 32.
 * ERR_MALFORMED, ERR_TRUNCATED, ERR_TOO_LONG, ERR_UNSUPPORTED (another hash). */
MUST_USE enum err peer_id_from_bytes(struct span multihash, struct peer_id *ret_id);

/* ERR_MALFORMED, ERR_TOO_LONG, ERR_UNSUPPORTED (a CID with another codec, another multibase or
 * hash). */
MUST_USE enum err peer_id_parse(struct span text, struct peer_id *ret_id);

/* base58btc with a zero. Returns buf. An empty id is "". */
const char *peer_id_format(const struct peer_id *id, char buf[PEER_ID_TEXT_MAX]);

/* The protobuf-encoded public key inside an identity multihash, a view into `id`; ERR_NOT_FOUND if
 * it is a hash. */
MUST_USE enum err peer_id_public_key(const struct peer_id *id, struct span *ret_public_key_pb);

static inline struct span peer_id_view(const struct peer_id *id)
{
	return span_of(id->bytes, id->len);
}

static inline bool peer_id_equal(const struct peer_id *a, const struct peer_id *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* An order that both ends agree on: of the multihash bytes. < 0, 0, > 0. */
static inline int peer_id_compare(const struct peer_id *a, const struct peer_id *b)
{
	size_t n = a->len < b->len ? a->len : b->len;
	int order = memcmp(a->bytes, b->bytes, n);
	return order != 0 ? order : (int)a->len - (int)b->len;
}
