/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * key_pb.h - the message around every key: PublicKey and PrivateKey have one shape
 *
 *	required KeyType Type = 1; required bytes Data = 2;
 *
 * Ids are made from these bytes, so the spec asks for one encoding: both fields, in tag order, with
 * minimal numbers, and nothing else. So no general reader of protobuf stands here: every other
 * encoding is refused.
 */
#pragma once

#include "wire/varint.h"

enum key_type {
	KEY_RSA = 0,
	KEY_ED25519 = 1,
	KEY_SECP256K1 = 2,
	KEY_ECDSA = 3,
};

enum {
	KEY_PB_TYPE = 1 << 3 | 0, /* field 1, a number */
	KEY_PB_DATA = 2 << 3 | 2, /* field 2, bytes */
};

/* The front of a key message: its type and how long the data are; *s is left at the data.
 * ERR_MALFORMED, ERR_TRUNCATED. */
static inline MUST_USE enum err key_pb_head(struct span *s, uint64_t *ret_type,
					    uint64_t *ret_data_len)
{
	enum err e;
	if (s->len == 0)
		return ERR_TRUNCATED;
	if (s->p[0] != KEY_PB_TYPE)
		return ERR_MALFORMED;
	span_skip(s, 1);
	if ((e = uvarint_take(s, ret_type)) != ERR_OK)
		return e;
	if (s->len == 0)
		return ERR_TRUNCATED;
	if (s->p[0] != KEY_PB_DATA)
		return ERR_MALFORMED;
	span_skip(s, 1);
	return uvarint_take(s, ret_data_len);
}
