/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * frame_reader.h - /runnel/packet/1.0.0: bytes in, events out
 *
 * A pull parser: it takes any cut of the stream and returns one event at a time. A packet that
 * lies whole in the input is lent from there; only one that is cut gets copied, into the reader's
 * own buffer of fixed size. A frame's length is checked as soon as its header is read, before
 * anything of it is kept. Frames of unknown types are skipped and counted.
 *
 *     state      May                                         Must not
 *     HELLO      the peer's first frame is HELLO             anything else: ERR_PROTOCOL
 *     FRAMES     what the peer's role sends                  HELLO again, the other role's frames
 *     BROKEN     every call returns the error that broke it; reset the stream
 *
 * Offload fields come checked by themselves (offload_parse()) and for the MTU; against the
 * packet's headers the owner checks them (offload_check()) once it has parsed the packet. Owned by
 * the stream's shard.
 */
#pragma once

#include "vpn/stream/frame.h"

/* Who we are on this stream. */
enum frame_role {
	FRAME_OPENER,   /* reads HELLO and PROBE_ANSWER */
	FRAME_ACCEPTOR, /* reads HELLO, PACKET, SUPER, PROBE, SEQ, SEQ_SUPER, SEQ_END, REPLACES and
			   DIAL_LANE */
};

enum frame_event_type {
	FRAME_EV_HELLO,        /* `hello` */
	FRAME_EV_PACKET,       /* `packet`, `offload`, all zero for a plain one, and `is_seq`; then
				  `seq` is where it belongs: give it to a reorder table */
	FRAME_EV_PROBE,        /* `probe`: answer it */
	FRAME_EV_PROBE_ANSWER, /* `probe` */
	FRAME_EV_SEQ_END,      /* `seq`: its group has ended there */
	FRAME_EV_REPLACES,     /* `hello`, of which only the list of dead streams is set */
	FRAME_EV_DIAL_LANE,    /* `lane` */
};

/* Only what the type names is written. */
struct frame_event {
	enum frame_event_type type;
	bool is_seq;
	struct frame_seq seq;
	struct span packet; /* valid until the next call and while the input is */
	struct offload offload;
	struct frame_hello hello;
	struct frame_probe probe;
	uint16_t lane;
};

struct frame_reader;

/* `own` is the HELLO that we send: what it promises is what the peer may send us. ERR_NO_MEMORY. */
MUST_USE enum err frame_reader_new(enum frame_role role, const struct frame_hello *own,
				   struct frame_reader **ret_reader);
/* Takes NULL; returns NULL. */
struct frame_reader *frame_reader_free(struct frame_reader *r);

/*
 * Consume from the front of *in up to the next event. ERR_OK: *ret_event is one, call again.
 * ERR_AGAIN: all of *in is consumed. ERR_PROTOCOL, ERR_TOO_LONG, ERR_RANGE, ERR_TRUNCATED,
 * ERR_MALFORMED, ERR_VERSION, ERR_LIMIT: the peer broke the rules.
 */
MUST_USE enum err frame_reader_read(struct frame_reader *r, struct span *in,
				    struct frame_event *ret_event);
/* At the end of the stream: did it end between two frames? */
bool frame_reader_is_between(const struct frame_reader *r);
/* Frames of unknown types so far. */
uint64_t frame_reader_skipped(const struct frame_reader *r);
