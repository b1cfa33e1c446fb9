/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frame.h - /runnel/packet/1.0.0: the frames, and how they are written
 *
 * docs/protocol.md has it byte by byte, tests/vectors/runnel_frames.json what it must look like.
 * A frame is a type (1 byte), a big-endian length (3 bytes) and that many bytes of payload. The
 * opener of a stream sends HELLO, then packets and probes; the acceptor sends HELLO, then answers
 * to probes. frame_reader.h reads them.
 */
#pragma once

#include "base/limits.h"
#include "vpn/packet/offload.h"

#define FRAME_PROTOCOL "/runnel/packet/1.0.0"

enum frame_type {
	FRAME_HELLO = 1,        /* first frame each way, once */
	FRAME_PACKET = 2,       /* opener: one IP packet */
	FRAME_SUPER = 3,        /* opener: struct offload, one IP packet; only after a HELLO with
				   FRAME_CAN_OFFLOAD */
	FRAME_PROBE = 4,        /* opener; only after a HELLO with FRAME_CAN_PROBE */
	FRAME_PROBE_ANSWER = 5, /* acceptor: the probe's payload */
};

enum {
	FRAME_HEADER_LEN = 4,                                    /* bytes */
	FRAME_SUPER_HEADER_LEN = FRAME_HEADER_LEN + OFFLOAD_LEN, /* bytes before the packet */
	FRAME_PAYLOAD_LEN_MAX = OFFLOAD_LEN +
				PACKET_LEN_MAX, /* bytes of any frame, unknown ones too */
	FRAME_HELLO_LEN = 12,       /* bytes of payload that we send and at least expect */
	FRAME_HELLO_LEN_MAX = 1024, /* bytes of payload, with extensions of a later version */
	FRAME_PROBE_LEN = 16,       /* bytes of payload */
	FRAME_VERSION = 1,
	FRAME_MTU_MIN = 1280, /* bytes; all take packets of that length, also before a HELLO */
};

/* What the sender of a HELLO can take; unknown bits mean nothing. */
enum frame_capability {
	FRAME_CAN_OFFLOAD = 1, /* SUPER */
	FRAME_CAN_PROBE = 2,   /* answers PROBE */
};

struct frame_hello {
	uint8_t version;          /* highest that the sender speaks; the lower of both is spoken */
	uint16_t mtu;             /* bytes of the longest packet, or segment of a super-packet */
	uint32_t capabilities;    /* set of enum frame_capability */
	uint32_t payload_len_max; /* bytes of the longest payload that it takes */
};

struct frame_probe {
	uint64_t id;
	uint64_t sent_at; /* the opener's clock, nobody else's business: only echoed */
};

/* packet_len: 1..PACKET_LEN_MAX. */
void frame_put_packet_header(uint8_t out[FRAME_HEADER_LEN], size_t packet_len);
void frame_put_super_header(uint8_t out[FRAME_SUPER_HEADER_LEN], const struct offload *offload,
			    size_t packet_len);

/* Whole frames. */
void frame_put_hello(struct wbuf *out, const struct frame_hello *hello);
/* type: FRAME_PROBE or FRAME_PROBE_ANSWER. */
void frame_put_probe(struct wbuf *out, enum frame_type type, const struct frame_probe *probe);

/* Payloads. ERR_TRUNCATED, ERR_MALFORMED, ERR_VERSION (0), ERR_RANGE. */
MUST_USE enum err frame_parse_hello(struct span payload, struct frame_hello *ret);
MUST_USE enum err frame_parse_probe(struct span payload, struct frame_probe *ret);
