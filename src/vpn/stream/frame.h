/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frame.h - /runnel/packet/1.0.0: the frames, and how they are written
 *
 * docs/protocol.md has it byte by byte, tests/vectors/runnel_frames.json what it must look like.
 * A frame is a type (1 byte), a big-endian length (3 bytes) and that many bytes of payload. The
 * opener of a stream sends HELLO, then packets and probes; the acceptor sends HELLO, then answers
 * to probes. frame_reader.h reads them.
 *
 * A flow that is spread over several streams travels in SEQ frames, which name the flow's group and
 * the packet's number in it: reorder.h brings them back in order. All of that is optional, and so
 * are the extensions of HELLO: who does not know them skips them.
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
	FRAME_SEQ = 6,          /* opener: group, number, one IP packet; only after a HELLO with
				   FRAME_CAN_SEQ, as the two below */
	FRAME_SEQ_SUPER = 7,  /* opener: group, number, struct offload, one IP packet; only after a
				 HELLO with FRAME_CAN_OFFLOAD too */
	FRAME_SEQ_END = 8,    /* opener: group, how many packets it had */
	FRAME_REPLACES = 16,  /* opener: streams of its that are dead to it, as in HELLO; only after
				 a HELLO with FRAME_CAN_MOVE, as the one below */
	FRAME_DIAL_LANE = 17, /* opener: please dial this lane */
};

enum {
	FRAME_HEADER_LEN = 4,                                    /* bytes */
	FRAME_SUPER_HEADER_LEN = FRAME_HEADER_LEN + OFFLOAD_LEN, /* bytes before the packet */
	FRAME_SEQ_LEN = 8, /* bytes of group and number, before the offload and the packet */
	FRAME_SEQ_HEADER_LEN = FRAME_HEADER_LEN + FRAME_SEQ_LEN,
	FRAME_SEQ_SUPER_HEADER_LEN = FRAME_HEADER_LEN + FRAME_SEQ_LEN + OFFLOAD_LEN,
	FRAME_PAYLOAD_LEN_MAX = OFFLOAD_LEN +
				PACKET_LEN_MAX, /* bytes, of unknown frames too, and the most that a
						   HELLO promises: group and number come on top */
	FRAME_SEQ_PAYLOAD_LEN_MAX = FRAME_SEQ_LEN + FRAME_PAYLOAD_LEN_MAX, /* bytes of any frame */
	FRAME_HELLO_LEN = 12,       /* bytes of payload without extensions: the least to expect */
	FRAME_HELLO_LEN_MAX = 1024, /* bytes of payload, with extensions of a later version */
	FRAME_PROBE_LEN = 16,       /* bytes of payload */
	FRAME_VERSION = 1,
	FRAME_MTU_MIN = 1280, /* bytes; all take packets of that length, also before a HELLO */

	FRAME_REPLACES_MAX = 16, /* dead streams that a new one takes over from, the last ones */
	FRAME_DIAL_LANE_LEN = 2, /* bytes of payload */
	FRAME_LANES_MAX = 64,    /* shards of a node; more are more threads than a TUN feeds */
	FRAME_EXTENSION_HEADER_LEN = 4, /* bytes of tag and length */
	FRAME_HELLO_LEN_SENT_MAX = FRAME_HELLO_LEN + 3 * FRAME_EXTENSION_HEADER_LEN + 8 +
				   8 * FRAME_REPLACES_MAX +
				   2, /* bytes of payload: all that we write, with each extension */
};

/* Tags of HELLO's extensions. 1 stays free: the vectors have it as one that nobody knows. */
enum frame_extension {
	FRAME_EXT_STREAM = 2,
	FRAME_EXT_REPLACES = 3,
	FRAME_EXT_LANES = 4,
};

/* What the sender of a HELLO can take; unknown bits mean nothing. */
enum frame_capability {
	FRAME_CAN_OFFLOAD = 1, /* SUPER */
	FRAME_CAN_PROBE = 2,   /* answers PROBE */
	FRAME_CAN_SEQ = 4,     /* SEQ, SEQ_END, and with OFFLOAD SEQ_SUPER */
	FRAME_CAN_MOVE = 8,    /* REPLACES, DIAL_LANE */
};

struct frame_hello {
	uint8_t version;          /* highest that the sender speaks; the lower of both is spoken */
	uint16_t mtu;             /* bytes of the longest packet, or segment of a super-packet */
	uint32_t capabilities;    /* set of enum frame_capability */
	uint32_t payload_len_max; /* bytes of the longest payload that it takes, less the group and
				     number of SEQ frames */

	/* Extensions. Only those that say something are written. */
	uint64_t stream_id; /* the opener's number of this stream, random; 0: it has none */
	uint64_t replaces[FRAME_REPLACES_MAX]; /* streams of this opener that are dead to it */
	size_t n_replaces;
	uint16_t lanes; /* shards that the sender has; 0 is 1. Parsed: 1..FRAME_LANES_MAX */
};

/* Where in its spread flow a packet belongs. */
struct frame_seq {
	uint32_t group; /* the flow; the opener's number, for all its streams to this peer */
	uint32_t seq;   /* counts the group's packets from 0, modulo 2^32 */
};

struct frame_probe {
	uint64_t id;
	uint64_t sent_at; /* the opener's clock, nobody else's business: only echoed */
};

/* packet_len: 1..PACKET_LEN_MAX. */
void frame_put_packet_header(uint8_t out[FRAME_HEADER_LEN], size_t packet_len);
void frame_put_super_header(uint8_t out[FRAME_SUPER_HEADER_LEN], const struct offload *offload,
			    size_t packet_len);
void frame_put_seq_header(uint8_t out[FRAME_SEQ_HEADER_LEN], const struct frame_seq *at,
			  size_t packet_len);
void frame_put_seq_super_header(uint8_t out[FRAME_SEQ_SUPER_HEADER_LEN], const struct frame_seq *at,
				const struct offload *offload, size_t packet_len);

/* Whole frames; the longest HELLO has FRAME_HEADER_LEN + FRAME_HELLO_LEN_SENT_MAX bytes. */
void frame_put_hello(struct wbuf *out, const struct frame_hello *hello);
/* type: FRAME_PROBE or FRAME_PROBE_ANSWER. */
void frame_put_probe(struct wbuf *out, enum frame_type type, const struct frame_probe *probe);
/* n: 1..FRAME_REPLACES_MAX. */
void frame_put_replaces(struct wbuf *out, const uint64_t *ids, size_t n);
void frame_put_dial_lane(struct wbuf *out, uint16_t lane);
/* The group has ended: end->seq is the number that its next packet would have had. */
void frame_put_seq_end(struct wbuf *out, const struct frame_seq *end);

/* Payloads. ERR_TRUNCATED, ERR_MALFORMED, ERR_VERSION (0), ERR_RANGE. */
MUST_USE enum err frame_parse_hello(struct span payload, struct frame_hello *ret);
/* Also of the extension. */
MUST_USE enum err frame_parse_replaces(struct span payload, uint64_t ret_ids[FRAME_REPLACES_MAX],
				       size_t *ret_n);
MUST_USE enum err frame_parse_probe(struct span payload, struct frame_probe *ret);
/* The first FRAME_SEQ_LEN bytes, which are there. */
struct frame_seq frame_parse_seq(const uint8_t in[FRAME_SEQ_LEN]);
