/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * multibase.c - see multibase.h
 *
 * Two kinds of alphabets: those of 2^n characters pass bits through a small shift register; the
 * others (36, 58) convert a big number, least significant digit first, and turn it round at the
 * end. There a leading zero byte is a leading zero digit, since a number would lose it.
 */
#include "wire/multibase.h"

#include <assert.h>

#include "base/util.h"

struct alphabet {
	enum multibase base;
	unsigned size; /* characters */
	unsigned bits; /* of one character; 0: size is no power of two */
	const char *chars;
};

#define ALPHABET_BASE58 "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

static const struct alphabet alphabets[] = {
	{MULTIBASE_BASE58BTC, 58, 0, ALPHABET_BASE58},
	{MULTIBASE_BASE32, 32, 5, "abcdefghijklmnopqrstuvwxyz234567"},
	{MULTIBASE_BASE32_UPPER, 32, 5, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"},
	{MULTIBASE_BASE36, 36, 0, "0123456789abcdefghijklmnopqrstuvwxyz"},
	{MULTIBASE_BASE36_UPPER, 36, 0, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"},
	{MULTIBASE_BASE16, 16, 4, "0123456789abcdef"},
	{MULTIBASE_BASE16_UPPER, 16, 4, "0123456789ABCDEF"},
	{MULTIBASE_BASE64, 64, 6,
	 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"},
	{MULTIBASE_BASE64URL, 64, 6,
	 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"},
};

static const struct alphabet *find_alphabet(uint8_t prefix)
{
	for (size_t i = 0; i < ARRAY_LEN(alphabets); i++) {
		if ((uint8_t)alphabets[i].base == prefix)
			return &alphabets[i];
	}
	return NULL;
}

static bool digit_of(const struct alphabet *a, uint8_t c, unsigned *ret_digit)
{
	const char *at = memchr(a->chars, c, a->size);
	if (at == NULL)
		return false;
	*ret_digit = (unsigned)(at - a->chars);
	return true;
}

static void reverse(uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len / 2; i++) {
		uint8_t tmp = p[i];
		p[i] = p[len - 1 - i];
		p[len - 1 - i] = tmp;
	}
}

static enum err decode_bits(const struct alphabet *a, struct span text, uint8_t *out, size_t room,
			    size_t *ret_len)
{
	unsigned acc = 0;
	unsigned held = 0;
	size_t len = 0;
	for (size_t i = 0; i < text.len; i++) {
		unsigned digit;
		if (!digit_of(a, text.p[i], &digit))
			return ERR_MALFORMED;
		acc = acc << a->bits | digit;
		held += a->bits;
		if (held < 8)
			continue;
		if (len == room)
			return ERR_TOO_LONG;
		held -= 8;
		out[len++] = (uint8_t)(acc >> held);
		acc &= (1U << held) - 1;
	}
	/* What is left is filling: less than a character, and zero. */
	if (held >= a->bits || acc != 0)
		return ERR_MALFORMED;
	*ret_len = len;
	return ERR_OK;
}

static enum err decode_number(const struct alphabet *a, struct span text, uint8_t *out, size_t room,
			      size_t *ret_len)
{
	size_t zeros = 0;
	while (zeros < text.len && text.p[zeros] == (uint8_t)a->chars[0])
		zeros++;
	if (zeros > room)
		return ERR_TOO_LONG;
	memset(out, 0, zeros);

	uint8_t *number = out + zeros; /* least significant byte first */
	size_t len = 0;
	for (size_t i = zeros; i < text.len; i++) {
		unsigned carry;
		if (!digit_of(a, text.p[i], &carry))
			return ERR_MALFORMED;
		for (size_t j = 0; j < len; j++) {
			carry += number[j] * a->size;
			number[j] = (uint8_t)carry;
			carry >>= 8;
		}
		if (carry == 0)
			continue;
		if (len == room - zeros)
			return ERR_TOO_LONG;
		number[len++] = (uint8_t)carry;
	}
	reverse(number, len);
	*ret_len = zeros + len;
	return ERR_OK;
}

static enum err decode(const struct alphabet *a, struct span text, struct wbuf *w)
{
	if (w->overflowed)
		return ERR_TOO_LONG;
	size_t room = w->cap - w->len;
	size_t len;
	enum err e = a->bits > 0 ? decode_bits(a, text, w->p + w->len, room, &len)
				 : decode_number(a, text, w->p + w->len, room, &len);
	if (e != ERR_OK)
		return e;
	w->len += len;
	return ERR_OK;
}

enum err multibase_decode(struct span text, struct wbuf *w)
{
	if (text.len == 0)
		return ERR_MALFORMED;
	const struct alphabet *a = find_alphabet(text.p[0]);
	if (a == NULL)
		return ERR_UNSUPPORTED;
	span_skip(&text, 1);
	return decode(a, text, w);
}

enum err multibase_decode_base58(struct span text, struct wbuf *w)
{
	return decode(&alphabets[0], text, w);
}

static void put_bits(struct wbuf *w, const struct alphabet *a, struct span bytes)
{
	unsigned acc = 0;
	unsigned held = 0;
	for (size_t i = 0; i < bytes.len; i++) {
		acc = acc << 8 | bytes.p[i];
		held += 8;
		while (held >= a->bits) {
			held -= a->bits;
			wbuf_put_u8(w, (uint8_t)a->chars[acc >> held]);
			acc &= (1U << held) - 1;
		}
	}
	if (held > 0)
		wbuf_put_u8(w, (uint8_t)a->chars[acc << (a->bits - held)]);
}

static void put_number(struct wbuf *w, const struct alphabet *a, struct span bytes)
{
	while (bytes.len > 0 && bytes.p[0] == 0) {
		wbuf_put_u8(w, (uint8_t)a->chars[0]);
		span_skip(&bytes, 1);
	}
	if (w->overflowed)
		return;
	uint8_t *digits = w->p + w->len; /* least significant first */
	size_t len = 0;
	for (size_t i = 0; i < bytes.len; i++) {
		unsigned carry = bytes.p[i];
		for (size_t j = 0; j < len; j++) {
			carry += (unsigned)digits[j] << 8;
			digits[j] = (uint8_t)(carry % a->size);
			carry /= a->size;
		}
		for (; carry > 0; carry /= a->size) {
			if (wbuf_reserve(w, 1) == NULL)
				return;
			digits[len++] = (uint8_t)(carry % a->size);
		}
	}
	reverse(digits, len);
	for (size_t i = 0; i < len; i++)
		digits[i] = (uint8_t)a->chars[digits[i]];
}

void multibase_put(struct wbuf *w, enum multibase base, struct span bytes)
{
	const struct alphabet *a = find_alphabet((uint8_t)base);
	assert(a != NULL);
	wbuf_put_u8(w, (uint8_t)base);
	if (a->bits > 0)
		put_bits(w, a, bytes);
	else
		put_number(w, a, bytes);
}

void multibase_put_base58(struct wbuf *w, struct span bytes)
{
	put_number(w, &alphabets[0], bytes);
}
