/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pb.h - protocol buffers as a stream of fields, read and written in place
 *
 * Spec: the protobuf encoding guide. A reader walks a message field by field and gets numbers and
 * views into the message; nothing is allocated, and nothing is copied. What a message means (which
 * fields repeat, which must be there, what is too much) is its reader's:
 *
 *	struct pb_field field;
 *	enum err e;
 *	while ((e = pb_next(&msg, &field)) == ERR_OK) {
 *		switch (field.number) {
 *		case 1:
 *			e = pb_bytes(&field, &key);
 *			break;
 *		default: unknown fields need no code
 *			break;
 *		}
 *		if (e != ERR_OK)
 *			return e;
 *	}
 *	if (e != ERR_DONE)
 *		return e;
 *
 * Writers append to a wbuf in the order in which they are called: call them in the order of field
 * numbers, since what is signed or hashed must be canonical. They write what they are told, zeros
 * too: proto2's required fields need that; for proto3 the caller leaves zero and empty fields out.
 */
#pragma once

#include "wire/varint.h"

/* The wire types. Groups (3 and 4) are not read. */
enum pb_type {
	PB_VARINT = 0,
	PB_FIXED64 = 1,
	PB_BYTES = 2, /* bytes, text, messages, packed numbers */
	PB_FIXED32 = 5,
};

struct pb_field {
	uint32_t number; /* from 1 */
	enum pb_type type;
	uint64_t value;    /* of the three number types */
	struct span bytes; /* of PB_BYTES: a view into the message */
};

/* Take the next field from the front of *msg. ERR_DONE at the end; ERR_TRUNCATED, ERR_MALFORMED
 * (a group, a field number out of range, a number that exceeds 64 bits): then *msg is unchanged. */
MUST_USE enum err pb_next(struct span *msg, struct pb_field *ret_field);

/* A field's content if it has the type that the caller expects, else ERR_MALFORMED. */
static inline MUST_USE enum err pb_bytes(const struct pb_field *field, struct span *ret_bytes)
{
	if (field->type != PB_BYTES)
		return ERR_MALFORMED;
	*ret_bytes = field->bytes;
	return ERR_OK;
}

/* uint64, uint32, enum, bool (int32 and int64 as two's complement); the caller checks the range. */
static inline MUST_USE enum err pb_uint(const struct pb_field *field, uint64_t *ret_value)
{
	if (field->type != PB_VARINT)
		return ERR_MALFORMED;
	*ret_value = field->value;
	return ERR_OK;
}

static inline MUST_USE enum err pb_fixed64(const struct pb_field *field, uint64_t *ret_value)
{
	if (field->type != PB_FIXED64)
		return ERR_MALFORMED;
	*ret_value = field->value;
	return ERR_OK;
}

void pb_put_uint(struct wbuf *w, uint32_t number, uint64_t value);
void pb_put_fixed64(struct wbuf *w, uint32_t number, uint64_t value);
void pb_put_bytes(struct wbuf *w, uint32_t number, struct span bytes);

/*
 * A message within the message: what is put between begin and end is its content.
 *
 *	size_t mark = pb_begin(w, 3);
 *	pb_put_uint(w, 1, 7);
 *	pb_end(w, mark);
 */
MUST_USE size_t pb_begin(struct wbuf *w, uint32_t number);
void pb_end(struct wbuf *w, size_t mark);
