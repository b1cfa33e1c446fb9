/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pb.c - see pb.h */
#include "wire/pb.h"

#include <assert.h>

enum {
	NUMBER_MAX = (1 << 29) - 1, /* field numbers; the format */
	VARINT_LEN_MAX = 10,        /* bytes; 64 bits. The format allows forms that are not minimal:
				       not uvarint_take() */
};

static enum err take_varint(struct span *s, uint64_t *ret_value)
{
	uint64_t value = 0;
	for (size_t i = 0; i < VARINT_LEN_MAX; i++) {
		if (i == s->len)
			return ERR_TRUNCATED;
		uint8_t byte = s->p[i];
		if (i == VARINT_LEN_MAX - 1 && byte > 1)
			return ERR_MALFORMED;
		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if ((byte & 0x80) == 0) {
			span_skip(s, i + 1);
			*ret_value = value;
			return ERR_OK;
		}
	}
	return ERR_MALFORMED;
}

static enum err take_fixed(struct span *s, size_t n, uint64_t *ret_value)
{
	struct span raw;
	enum err e = span_take(s, n, &raw);
	if (e != ERR_OK)
		return e;
	uint64_t value = 0;
	for (size_t i = n; i-- > 0;)
		value = value << 8 | raw.p[i];
	*ret_value = value;
	return ERR_OK;
}

static enum err take_bytes(struct span *s, struct span *ret_bytes)
{
	uint64_t len;
	enum err e = take_varint(s, &len);
	if (e != ERR_OK)
		return e;
	if (len > s->len)
		return ERR_TRUNCATED;
	return span_take(s, (size_t)len, ret_bytes);
}

enum err pb_next(struct span *msg, struct pb_field *ret_field)
{
	if (msg->len == 0)
		return ERR_DONE;

	struct span rest = *msg;
	uint64_t key;
	enum err e = take_varint(&rest, &key);
	if (e != ERR_OK)
		return e;
	if (key >> 3 == 0 || key >> 3 > NUMBER_MAX)
		return ERR_MALFORMED;

	struct pb_field field = {.number = (uint32_t)(key >> 3), .type = (enum pb_type)(key & 7)};
	switch (field.type) {
	case PB_VARINT:
		e = take_varint(&rest, &field.value);
		break;
	case PB_FIXED64:
		e = take_fixed(&rest, 8, &field.value);
		break;
	case PB_BYTES:
		e = take_bytes(&rest, &field.bytes);
		break;
	case PB_FIXED32:
		e = take_fixed(&rest, 4, &field.value);
		break;
	default:
		e = ERR_MALFORMED;
		break;
	}
	if (e != ERR_OK)
		return e;
	*msg = rest;
	*ret_field = field;
	return ERR_OK;
}

static void put_key(struct wbuf *w, uint32_t number, enum pb_type type)
{
	assert(number >= 1 && number <= NUMBER_MAX);
	wbuf_put_uvarint(w, (uint64_t)number << 3 | (uint64_t)type);
}

void pb_put_uint(struct wbuf *w, uint32_t number, uint64_t value)
{
	put_key(w, number, PB_VARINT);
	wbuf_put_uvarint(w, value);
}

void pb_put_fixed64(struct wbuf *w, uint32_t number, uint64_t value)
{
	put_key(w, number, PB_FIXED64);
	uint8_t *at = wbuf_reserve(w, 8);
	for (size_t i = 0; at != NULL && i < 8; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

void pb_put_bytes(struct wbuf *w, uint32_t number, struct span bytes)
{
	put_key(w, number, PB_BYTES);
	wbuf_put_uvarint(w, bytes.len);
	wbuf_put(w, bytes);
}

size_t pb_begin(struct wbuf *w, uint32_t number)
{
	put_key(w, number, PB_BYTES);
	return w->len;
}

/* The length goes before the content and its size depends on it: move the content behind it. */
void pb_end(struct wbuf *w, size_t mark)
{
	if (w->overflowed)
		return;
	size_t len = w->len - mark;
	size_t shift = uvarint_len(len);
	if (wbuf_reserve(w, shift) == NULL)
		return;
	memmove(w->p + mark + shift, w->p + mark, len);
	struct wbuf prefix = wbuf_of(w->p + mark, shift);
	wbuf_put_uvarint(&prefix, len);
}
