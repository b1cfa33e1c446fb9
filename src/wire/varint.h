/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * varint.h - multiformats' unsigned varint
 *
 * Little-endian groups of 7 bits, the high bit says that more follow; at most 9 bytes, and minimal.
 */
#pragma once

#include "base/limits.h"
#include "base/span.h"

/* Takes the number from the front of s. ERR_TRUNCATED (s unchanged: come back with more),
 * ERR_MALFORMED (not minimal, too long). */
static inline MUST_USE enum err uvarint_take(struct span *s, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (size_t i = 0; i < UVARINT_LEN_MAX; i++) {
		if (i == s->len)
			return ERR_TRUNCATED;
		uint8_t byte = s->p[i];
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if ((byte & 0x80) == 0) {
			if (byte == 0 && i > 0)
				return ERR_MALFORMED;
			span_skip(s, i + 1);
			*ret_value = value;
			return ERR_OK;
		}
	}
	return ERR_MALFORMED;
}

/* Any number; multiformats' own are below 2^63, protobuf's (wire/pb.h) are not. */
static inline void wbuf_put_uvarint(struct wbuf *w, uint64_t value)
{
	while (value >= 0x80) {
		wbuf_put_u8(w, (uint8_t)(value | 0x80));
		value >>= 7;
	}
	wbuf_put_u8(w, (uint8_t)value);
}

static inline size_t uvarint_len(uint64_t value)
{
	size_t n = 1;
	while (value >= 0x80) {
		value >>= 7;
		n++;
	}
	return n;
}
