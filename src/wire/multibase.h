/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * multibase.h - bytes as text whose first character names the alphabet
 *
 * Spec: multiformats/multibase. Decoding is strict (one text for each value, no padding, case as
 * the prefix says) and its work is bounded by the room for the result: at most room^2 / 2 steps for
 * the bases that are no power of two, whatever the length of the text.
 */
#pragma once

#include "base/span.h"

enum multibase {
	MULTIBASE_BASE16 = 'f',
	MULTIBASE_BASE16_UPPER = 'F',
	MULTIBASE_BASE32 = 'b', /* RFC 4648's alphabet in lower case, no padding */
	MULTIBASE_BASE32_UPPER = 'B',
	MULTIBASE_BASE36 = 'k',
	MULTIBASE_BASE36_UPPER = 'K',
	MULTIBASE_BASE58BTC = 'z',
	MULTIBASE_BASE64 = 'm',    /* no padding */
	MULTIBASE_BASE64URL = 'u', /* no padding */
};

/* Append the bytes that a text with its prefix stands for. ERR_MALFORMED, ERR_TOO_LONG (more than w
 * has room for), ERR_UNSUPPORTED (another prefix): then w is unchanged. */
MUST_USE enum err multibase_decode(struct span text, struct wbuf *w);

/* The same of base58btc without a prefix. */
MUST_USE enum err multibase_decode_base58(struct span text, struct wbuf *w);

/* Append the prefix and the text (no zero). As all puts: overflowed if it does not fit. */
void multibase_put(struct wbuf *w, enum multibase base, struct span bytes);

/* The same in base58btc without a prefix. */
void multibase_put_base58(struct wbuf *w, struct span bytes);
