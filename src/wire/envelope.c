/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* envelope.c - see envelope.h */
#include "wire/envelope.h"

#include "wire/pb.h"

enum {
	FIELD_PUBLIC_KEY = 1,
	FIELD_PAYLOAD_TYPE = 2,
	FIELD_PAYLOAD = 3,
	FIELD_SIGNATURE = 5,
};

static enum err read_field(const struct pb_field *field, struct envelope *envelope)
{
	switch (field->number) {
	case FIELD_PUBLIC_KEY:
		return pb_bytes(field, &envelope->public_key);
	case FIELD_PAYLOAD_TYPE:
		return pb_bytes(field, &envelope->payload_type);
	case FIELD_PAYLOAD:
		return pb_bytes(field, &envelope->payload);
	case FIELD_SIGNATURE:
		return pb_bytes(field, &envelope->signature);
	default:
		return ERR_OK;
	}
}

enum err envelope_decode(struct span bytes, struct envelope *ret_envelope)
{
	struct envelope envelope = {0};
	struct pb_field field;
	enum err e;
	while ((e = pb_next(&bytes, &field)) == ERR_OK) {
		e = read_field(&field, &envelope);
		if (e != ERR_OK)
			return e;
	}
	if (e != ERR_DONE)
		return e;
	if (envelope.public_key.len == 0 || envelope.payload_type.len == 0 ||
	    envelope.payload.len == 0 || envelope.signature.len == 0)
		return ERR_MALFORMED;
	*ret_envelope = envelope;
	return ERR_OK;
}

void envelope_put(struct wbuf *w, const struct envelope *envelope)
{
	pb_put_bytes(w, FIELD_PUBLIC_KEY, envelope->public_key);
	pb_put_bytes(w, FIELD_PAYLOAD_TYPE, envelope->payload_type);
	pb_put_bytes(w, FIELD_PAYLOAD, envelope->payload);
	pb_put_bytes(w, FIELD_SIGNATURE, envelope->signature);
}

static void put_prefixed(struct wbuf *w, struct span s)
{
	wbuf_put_uvarint(w, s.len);
	wbuf_put(w, s);
}

void envelope_put_signed(struct wbuf *w, struct span domain, const struct envelope *envelope)
{
	put_prefixed(w, domain);
	put_prefixed(w, envelope->payload_type);
	put_prefixed(w, envelope->payload);
}

static size_t prefixed_len(struct span s)
{
	return uvarint_len(s.len) + s.len;
}

size_t envelope_signed_len(struct span domain, const struct envelope *envelope)
{
	return prefixed_len(domain) + prefixed_len(envelope->payload_type) +
	       prefixed_len(envelope->payload);
}
