/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frame_reader.c - see frame_reader.h
 *
 * A frame is read in up to two steps, header and payload, each through the assembler. The payload
 * of an unknown type is not assembled but passed over.
 */
#include "vpn/stream/frame_reader.h"

#include <assert.h>
#include <stdlib.h>

#include "vpn/stream/assembler.h"

struct frame_reader {
	struct assembler assembler;
	enum frame_role role;
	uint32_t capabilities;    /* what we promised, enum frame_capability */
	size_t packet_len_max;    /* bytes of a packet, or a segment */
	size_t super_payload_max; /* bytes of a SUPER's payload, a SEQ_SUPER has FRAME_SEQ_LEN more
				   */

	bool has_hello;  /* the peer's has come */
	bool in_payload; /* a header was read, `type` and `payload_len` are its */
	uint8_t type;
	size_t payload_len; /* what is left of it, while an unknown type is skipped */
	uint64_t skipped;
	enum err broken; /* ERR_OK while the stream is good */
};

/* All of these? */
static bool promised(const struct frame_reader *r, uint32_t capabilities)
{
	return (r->capabilities & capabilities) == capabilities;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Bytes of the longest payload that can come. */
static size_t payload_cap(const struct frame_reader *r)
{
	if (r->role == FRAME_OPENER)
		return FRAME_HELLO_LEN_MAX;
	size_t cap = promised(r, FRAME_CAN_OFFLOAD) ? r->super_payload_max : r->packet_len_max;
	if (promised(r, FRAME_CAN_SEQ))
		cap += FRAME_SEQ_LEN;
	return larger(cap, FRAME_HELLO_LEN_MAX);
}

enum err frame_reader_new(enum frame_role role, const struct frame_hello *own,
			  struct frame_reader **ret_reader)
{
	assert(own->mtu >= FRAME_MTU_MIN && own->payload_len_max >= own->mtu);
	struct frame_reader *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return ERR_NO_MEMORY;
	r->role = role;
	r->capabilities = own->capabilities;
	r->packet_len_max = own->mtu;
	r->super_payload_max = own->payload_len_max < FRAME_PAYLOAD_LEN_MAX ? own->payload_len_max
									    : FRAME_PAYLOAD_LEN_MAX;
	enum err e = assembler_init(&r->assembler, payload_cap(r));
	if (e != ERR_OK) {
		frame_reader_free(r);
		return e;
	}
	*ret_reader = r;
	return ERR_OK;
}

struct frame_reader *frame_reader_free(struct frame_reader *r)
{
	if (r == NULL)
		return NULL;
	assembler_deinit(&r->assembler);
	free(r);
	return NULL;
}

static enum err check_len(size_t len, size_t min, size_t max)
{
	if (len > max)
		return ERR_TOO_LONG;
	return len < min ? ERR_RANGE : ERR_OK;
}

/* What we must have promised for a frame of this type to come: set of enum frame_capability. */
static uint32_t needed_for(uint8_t type)
{
	switch (type) {
	case FRAME_SUPER:
		return FRAME_CAN_OFFLOAD;
	case FRAME_PROBE:
		return FRAME_CAN_PROBE;
	case FRAME_SEQ:
	case FRAME_SEQ_END:
		return FRAME_CAN_SEQ;
	case FRAME_SEQ_SUPER:
		return FRAME_CAN_SEQ | FRAME_CAN_OFFLOAD;
	case FRAME_REPLACES:
	case FRAME_DIAL_LANE:
		return FRAME_CAN_MOVE;
	default:
		return 0;
	}
}

static bool is_known(uint8_t type)
{
	return (type >= FRAME_HELLO && type <= FRAME_SEQ_END) || type == FRAME_REPLACES ||
	       type == FRAME_DIAL_LANE;
}

/* May a frame of this type and length come now? */
static enum err check_header(const struct frame_reader *r, uint8_t type, size_t len)
{
	if (type == 0 || (type == FRAME_HELLO) == r->has_hello)
		return ERR_PROTOCOL;
	if (type != FRAME_HELLO && is_known(type) &&
	    (type == FRAME_PROBE_ANSWER) != (r->role == FRAME_OPENER))
		return ERR_PROTOCOL;
	if (!promised(r, needed_for(type)))
		return ERR_PROTOCOL;

	switch (type) {
	case FRAME_HELLO:
		return check_len(len, FRAME_HELLO_LEN, FRAME_HELLO_LEN_MAX);
	case FRAME_PACKET:
		return check_len(len, 1, r->packet_len_max);
	case FRAME_SUPER:
		return check_len(len, OFFLOAD_LEN + 1, r->super_payload_max);
	case FRAME_PROBE:
	case FRAME_PROBE_ANSWER:
		return check_len(len, FRAME_PROBE_LEN, FRAME_PROBE_LEN);
	case FRAME_SEQ:
		return check_len(len, FRAME_SEQ_LEN + 1, FRAME_SEQ_LEN + r->packet_len_max);
	case FRAME_SEQ_SUPER:
		return check_len(len, FRAME_SEQ_LEN + OFFLOAD_LEN + 1,
				 FRAME_SEQ_LEN + r->super_payload_max);
	case FRAME_SEQ_END:
		return check_len(len, FRAME_SEQ_LEN, FRAME_SEQ_LEN);
	case FRAME_REPLACES:
		return check_len(len, 8, 8 * FRAME_REPLACES_MAX);
	case FRAME_DIAL_LANE:
		return check_len(len, FRAME_DIAL_LANE_LEN, FRAME_DIAL_LANE_LEN);
	default:
		return check_len(len, 0, FRAME_PAYLOAD_LEN_MAX);
	}
}

static enum err read_header(struct frame_reader *r, struct span *in)
{
	struct span header;
	enum err e = assembler_take(&r->assembler, FRAME_HEADER_LEN, in, &header);
	if (e != ERR_OK)
		return e;
	uint32_t word = load_be32(header.p);
	r->type = (uint8_t)(word >> 24);
	r->payload_len = word & 0xffffff;
	e = check_header(r, r->type, r->payload_len);
	if (e != ERR_OK)
		return r->broken = e;
	r->in_payload = true;
	return ERR_OK;
}

/* ERR_AGAIN while not all of it has passed. */
static enum err skip_payload(struct frame_reader *r, struct span *in)
{
	size_t n = r->payload_len < in->len ? r->payload_len : in->len;
	span_skip(in, n);
	r->payload_len -= n;
	if (r->payload_len > 0)
		return ERR_AGAIN;
	r->in_payload = false;
	r->skipped++;
	return ERR_OK;
}

/* A packet, with what stands before it. Field by field, as this is the way of every packet and the
 * rest of an event is long. */
static enum err parse_packet(const struct frame_reader *r, struct span payload,
			     struct frame_event *ret)
{
	struct frame_seq seq = {0};
	bool is_seq = r->type == FRAME_SEQ || r->type == FRAME_SEQ_SUPER;
	if (is_seq) {
		seq = frame_parse_seq(payload.p);
		span_skip(&payload, FRAME_SEQ_LEN);
	}
	struct offload offload = {0};
	if (r->type == FRAME_SUPER || r->type == FRAME_SEQ_SUPER) {
		const uint8_t *fields = payload.p;
		span_skip(&payload, OFFLOAD_LEN);
		enum err e = offload_parse(fields, payload.len, &offload);
		if (e != ERR_OK)
			return e;
		if (offload_segment_len(&offload, payload.len) > r->packet_len_max)
			return ERR_TOO_LONG;
	}
	ret->type = FRAME_EV_PACKET;
	ret->is_seq = is_seq;
	ret->seq = seq;
	ret->packet = payload;
	ret->offload = offload;
	return ERR_OK;
}

static enum err parse_probe(const struct frame_reader *r, struct span payload,
			    struct frame_event *ret)
{
	enum err e = frame_parse_probe(payload, &ret->probe);
	if (e == ERR_OK)
		ret->type = r->type == FRAME_PROBE ? FRAME_EV_PROBE : FRAME_EV_PROBE_ANSWER;
	return e;
}

static enum err parse_hello(struct frame_reader *r, struct span payload, struct frame_event *ret)
{
	enum err e = frame_parse_hello(payload, &ret->hello);
	if (e == ERR_OK) {
		r->has_hello = true;
		ret->type = FRAME_EV_HELLO;
	}
	return e;
}

static enum err parse_replaces(struct span payload, struct frame_event *ret)
{
	enum err e = frame_parse_replaces(payload, ret->hello.replaces, &ret->hello.n_replaces);
	if (e == ERR_OK)
		ret->type = FRAME_EV_REPLACES;
	return e;
}

static enum err parse_payload(struct frame_reader *r, struct span payload, struct frame_event *ret)
{
	switch (r->type) {
	case FRAME_HELLO:
		return parse_hello(r, payload, ret);
	case FRAME_PROBE:
	case FRAME_PROBE_ANSWER:
		return parse_probe(r, payload, ret);
	case FRAME_SEQ_END:
		ret->type = FRAME_EV_SEQ_END;
		ret->seq = frame_parse_seq(payload.p);
		return ERR_OK;
	case FRAME_REPLACES:
		return parse_replaces(payload, ret);
	case FRAME_DIAL_LANE:
		ret->type = FRAME_EV_DIAL_LANE;
		ret->lane = load_be16(payload.p);
		return ERR_OK;
	default:
		return parse_packet(r, payload, ret);
	}
}

enum err frame_reader_read(struct frame_reader *r, struct span *in, struct frame_event *ret_event)
{
	if (r->broken != ERR_OK)
		return r->broken;
	for (;;) {
		enum err e = r->in_payload ? ERR_OK : read_header(r, in);
		if (e != ERR_OK)
			return e;
		if (is_known(r->type))
			break;
		e = skip_payload(r, in);
		if (e != ERR_OK)
			return e;
	}
	struct span payload;
	enum err e = assembler_take(&r->assembler, r->payload_len, in, &payload);
	if (e != ERR_OK)
		return e;
	r->in_payload = false;
	e = parse_payload(r, payload, ret_event);
	if (e != ERR_OK)
		r->broken = e;
	return e;
}

bool frame_reader_is_between(const struct frame_reader *r)
{
	return r->broken == ERR_OK && !r->in_payload && r->assembler.len == 0;
}

uint64_t frame_reader_skipped(const struct frame_reader *r)
{
	return r->skipped;
}
