/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer_id.c - see peer_id.h
 *
 * libp2p peer-ids: an encoded key of up to 42 bytes is its own multihash (identity), so that the
 * key can be had from the id; a longer one is hashed with SHA-256.
 */
#include "wire/peer_id.h"

#include <assert.h>

#include "wire/multibase.h"
#include "wire/multihash.h"
#include "wire/varint.h"

enum {
	INLINE_LEN_MAX = 42, /* bytes of a public key that is its own hash; the spec */
	CID_VERSION = 1,
	CID_CODEC_LIBP2P_KEY = 0x72,
	/* A CID in base16, the longest of its texts: a prefix and two characters a byte. */
	TEXT_LEN_MAX = 1 + 2 * (2 + PEER_ID_LEN_MAX),
};

static_assert(PEER_ID_LEN_MAX == 2 + INLINE_LEN_MAX, "code, length, key");

enum err peer_id_from_public_key(struct span public_key_pb, struct peer_id *ret_id)
{
	if (public_key_pb.len > PUBLIC_KEY_LEN_MAX)
		return ERR_TOO_LONG;
	struct peer_id id = {0};
	struct wbuf w = wbuf_of(id.bytes, sizeof(id.bytes));
	if (public_key_pb.len <= INLINE_LEN_MAX) {
		multihash_put(&w, MULTIHASH_IDENTITY, public_key_pb);
	} else {
		uint8_t digest[SHA256_LEN];
		enum err e = sha256(public_key_pb, digest);
		if (e != ERR_OK)
			return e;
		multihash_put(&w, MULTIHASH_SHA2_256, span_of(digest, sizeof(digest)));
	}
	assert(!w.overflowed);
	id.len = (uint8_t)w.len;
	*ret_id = id;
	return ERR_OK;
}

enum err peer_id_from_bytes(struct span multihash, struct peer_id *ret_id)
{
	struct multihash hash;
	enum err e = multihash_parse(multihash, &hash);
	if (e != ERR_OK)
		return e;
	if (hash.code != MULTIHASH_IDENTITY && hash.code != MULTIHASH_SHA2_256)
		return ERR_UNSUPPORTED;
	if (hash.digest.len == 0)
		return ERR_MALFORMED;
	if (hash.digest.len > INLINE_LEN_MAX)
		return ERR_TOO_LONG;
	struct peer_id id = {.len = (uint8_t)multihash.len};
	memcpy(id.bytes, multihash.p, multihash.len);
	*ret_id = id;
	return ERR_OK;
}

static enum err parse_base58(struct span text, struct peer_id *ret_id)
{
	uint8_t bytes[PEER_ID_LEN_MAX];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	enum err e = multibase_decode_base58(text, &w);
	return e == ERR_OK ? peer_id_from_bytes(wbuf_view(&w), ret_id) : e;
}

static enum err parse_cid(struct span text, struct peer_id *ret_id)
{
	uint8_t bytes[2 + PEER_ID_LEN_MAX];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	enum err e = multibase_decode(text, &w);
	if (e != ERR_OK)
		return e;
	struct span cid = wbuf_view(&w);
	uint64_t version;
	uint64_t codec;
	e = uvarint_take(&cid, &version);
	if (e == ERR_OK)
		e = uvarint_take(&cid, &codec);
	if (e == ERR_OK && (version != CID_VERSION || codec != CID_CODEC_LIBP2P_KEY))
		e = ERR_UNSUPPORTED;
	return e == ERR_OK ? peer_id_from_bytes(cid, ret_id) : e;
}

enum err peer_id_parse(struct span text, struct peer_id *ret_id)
{
	if (text.len == 0)
		return ERR_MALFORMED;
	if (text.len > TEXT_LEN_MAX)
		return ERR_TOO_LONG;
	/* Base58 of a sha2-256 multihash starts with Qm, of an identity one with 1; no multibase
	 * prefix that we know does. */
	bool bare = text.p[0] == '1' || span_starts_with(text, span_str("Qm"));
	enum err e = bare ? parse_base58(text, ret_id) : parse_cid(text, ret_id);
	return e == ERR_TRUNCATED ? ERR_MALFORMED : e;
}

const char *peer_id_format(const struct peer_id *id, char buf[PEER_ID_TEXT_MAX])
{
	struct wbuf w = wbuf_of(buf, PEER_ID_TEXT_MAX);
	multibase_put_base58(&w, peer_id_view(id));
	wbuf_put_u8(&w, '\0');
	assert(!w.overflowed); /* 44 bytes are at most 61 characters */
	return buf;
}

enum err peer_id_public_key(const struct peer_id *id, struct span *ret_public_key_pb)
{
	struct multihash hash;
	enum err e = multihash_parse(peer_id_view(id), &hash);
	if (e != ERR_OK || hash.code != MULTIHASH_IDENTITY)
		return ERR_NOT_FOUND;
	*ret_public_key_pb = hash.digest;
	return ERR_OK;
}
