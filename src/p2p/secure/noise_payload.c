/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* noise_payload.c - see noise_payload.h */
#include "p2p/secure/noise_payload.h"

#include <assert.h>

#include "wire/pb.h"

enum {
	IDENTITY_KEY = 1,
	IDENTITY_SIG = 2,
	EXTENSIONS = 4,
	STREAM_MUXERS = 2, /* within the extensions */
	RUNNEL_LANE = 29292,
};

static const char prefix[] = "noise-libp2p-static-key:";
static_assert(sizeof(prefix) - 1 + X25519_LEN == NOISE_SIGNED_LEN, "prefix and key");

/* Further names than we read are left out: another muxer is agreed on then, or none. */
static enum err take_muxer(const struct pb_field *field, struct noise_payload *payload)
{
	struct span name;
	enum err e = pb_bytes(field, &name);
	if (e == ERR_OK && payload->n_muxers < NOISE_MUXERS_MAX)
		payload->muxers[payload->n_muxers++] = name;
	return e;
}

static enum err take_lane(const struct pb_field *field, struct noise_payload *payload)
{
	if (payload->has_lane)
		return ERR_MALFORMED;
	payload->has_lane = true;
	return pb_uint(field, &payload->lane);
}

static enum err parse_extensions(struct span bytes, struct noise_payload *payload)
{
	struct pb_field field;
	enum err e;
	while ((e = pb_next(&bytes, &field)) == ERR_OK) {
		if (field.number == STREAM_MUXERS)
			e = take_muxer(&field, payload);
		else if (field.number == RUNNEL_LANE)
			e = take_lane(&field, payload);
		if (e != ERR_OK)
			return e;
	}
	return e == ERR_DONE ? ERR_OK : ERR_MALFORMED;
}

/* A field of which there is one. */
static enum err take_once(const struct pb_field *field, struct span *ret)
{
	return ret->p == NULL ? pb_bytes(field, ret) : ERR_MALFORMED;
}

enum err noise_payload_parse(struct span bytes, struct noise_payload *ret_payload)
{
	struct noise_payload payload = {0};
	struct pb_field field;
	struct span extensions;
	enum err e;
	while ((e = pb_next(&bytes, &field)) == ERR_OK) {
		switch (field.number) {
		case IDENTITY_KEY:
			e = take_once(&field, &payload.identity_key);
			break;
		case IDENTITY_SIG:
			e = take_once(&field, &payload.identity_sig);
			break;
		case EXTENSIONS:
			e = pb_bytes(&field, &extensions);
			if (e == ERR_OK)
				e = parse_extensions(extensions, &payload);
			break;
		default:
			break;
		}
		if (e != ERR_OK)
			return e;
	}
	if (e != ERR_DONE || payload.identity_key.len == 0 || payload.identity_sig.len == 0)
		return ERR_MALFORMED;
	*ret_payload = payload;
	return ERR_OK;
}

void noise_payload_put(struct wbuf *w, struct span identity_key, struct span identity_sig,
		       const char *muxer, uint32_t lane)
{
	pb_put_bytes(w, IDENTITY_KEY, identity_key);
	pb_put_bytes(w, IDENTITY_SIG, identity_sig);
	if (muxer == NULL && lane == 0)
		return;
	size_t mark = pb_begin(w, EXTENSIONS);
	if (muxer != NULL)
		pb_put_bytes(w, STREAM_MUXERS, span_str(muxer));
	if (lane != 0)
		pb_put_uint(w, RUNNEL_LANE, lane);
	pb_end(w, mark);
}

bool noise_payload_has_muxer(const struct noise_payload *payload, const char *muxer)
{
	for (size_t i = 0; i < payload->n_muxers; i++) {
		if (span_equal(payload->muxers[i], span_str(muxer)))
			return true;
	}
	return false;
}

void noise_payload_signed(const uint8_t static_key[X25519_LEN],
			  uint8_t ret_signed[NOISE_SIGNED_LEN])
{
	memcpy(ret_signed, prefix, sizeof(prefix) - 1);
	memcpy(ret_signed + sizeof(prefix) - 1, static_key, X25519_LEN);
}
