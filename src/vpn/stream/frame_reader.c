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
	size_t super_payload_max; /* bytes of a SUPER's payload */

	bool has_hello;  /* the peer's has come */
	bool in_payload; /* a header was read, `type` and `payload_len` are its */
	uint8_t type;
	size_t payload_len; /* what is left of it, while an unknown type is skipped */
	uint64_t skipped;
	enum err broken; /* ERR_OK while the stream is good */
};

static bool promised(const struct frame_reader *r, enum frame_capability what)
{
	return (r->capabilities & what) != 0;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
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
	size_t cap = FRAME_HELLO_LEN_MAX;
	if (role == FRAME_ACCEPTOR)
		cap = larger(cap, promised(r, FRAME_CAN_OFFLOAD) ? r->super_payload_max
								 : r->packet_len_max);
	enum err e = assembler_init(&r->assembler, cap);
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

/* May a frame of this type and length come now? */
static enum err check_header(const struct frame_reader *r, uint8_t type, size_t len)
{
	if (type == 0 || (type == FRAME_HELLO) == r->has_hello)
		return ERR_PROTOCOL;
	bool from_opener = type == FRAME_PACKET || type == FRAME_SUPER || type == FRAME_PROBE;
	if ((from_opener && r->role == FRAME_OPENER) ||
	    (type == FRAME_PROBE_ANSWER && r->role == FRAME_ACCEPTOR))
		return ERR_PROTOCOL;

	switch (type) {
	case FRAME_HELLO:
		return check_len(len, FRAME_HELLO_LEN, FRAME_HELLO_LEN_MAX);
	case FRAME_PACKET:
		return check_len(len, 1, r->packet_len_max);
	case FRAME_SUPER:
		if (!promised(r, FRAME_CAN_OFFLOAD))
			return ERR_PROTOCOL;
		return check_len(len, OFFLOAD_LEN + 1, r->super_payload_max);
	case FRAME_PROBE:
		if (!promised(r, FRAME_CAN_PROBE))
			return ERR_PROTOCOL;
		return check_len(len, FRAME_PROBE_LEN, FRAME_PROBE_LEN);
	case FRAME_PROBE_ANSWER:
		return check_len(len, FRAME_PROBE_LEN, FRAME_PROBE_LEN);
	default:
		return check_len(len, 0, FRAME_PAYLOAD_LEN_MAX);
	}
}

static bool is_known(uint8_t type)
{
	return type >= FRAME_HELLO && type <= FRAME_PROBE_ANSWER;
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

static enum err parse_super(const struct frame_reader *r, struct span payload,
			    struct frame_event *ret)
{
	struct span packet = payload;
	span_skip(&packet, OFFLOAD_LEN);
	struct offload offload;
	enum err e = offload_parse(payload.p, packet.len, &offload);
	if (e != ERR_OK)
		return e;
	if (offload_segment_len(&offload, packet.len) > r->packet_len_max)
		return ERR_TOO_LONG;
	*ret = (struct frame_event){.type = FRAME_EV_PACKET, .packet = packet, .offload = offload};
	return ERR_OK;
}

static enum err parse_payload(struct frame_reader *r, struct span payload, struct frame_event *ret)
{
	enum err e;
	struct frame_event event = {0};
	switch (r->type) {
	case FRAME_HELLO:
		event.type = FRAME_EV_HELLO;
		e = frame_parse_hello(payload, &event.hello);
		r->has_hello = e == ERR_OK;
		break;
	case FRAME_PACKET:
		event.type = FRAME_EV_PACKET;
		event.packet = payload;
		e = ERR_OK;
		break;
	case FRAME_SUPER:
		e = parse_super(r, payload, &event);
		break;
	default:
		event.type = r->type == FRAME_PROBE ? FRAME_EV_PROBE : FRAME_EV_PROBE_ANSWER;
		e = frame_parse_probe(payload, &event.probe);
		break;
	}
	if (e == ERR_OK)
		*ret = event;
	return e;
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
