/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * yamux_internal.h - what yamux.c, yamux_read.c and yamux_take.c share
 *
 * A frame is a header of 12 bytes, big endian: version (0), type, flags, stream id, length; only
 * data frames have a body. Whatever a stream owes the peer (its SYN, ACK, window, FIN or RST) is a
 * bit in `owed`, and a stream that owes anything stands in the session's list `owing`: taking
 * frames costs what is pending, not what exists, and nothing is allocated for a frame.
 *
 * A stream that is released while it owes its last frame leaves only that: an id and flags in
 * `farewells`. That table cannot overflow, because a stream is only made while
 * streams + farewells < YAMUX_OWED_MAX.
 */
#pragma once

/* Without memory for its buckets, uthash leaves out the element and sets its hh.tbl to NULL. */
#define HASH_NONFATAL_OOM 1
/* Keys are ids that count up by two: mix them better, and faster, than a hash of bytes does. */
#define HASH_FUNCTION(key, len, hash) ((hash) = yamux_hash_id(key))

#include <uthash.h>
#include <utlist.h>

#include "p2p/mux/yamux.h"

static inline unsigned yamux_hash_id(const void *key)
{
	uint32_t id;
	memcpy(&id, key, sizeof(id));
	id *= 0x9e3779b1; /* 2^32 / golden ratio */
	return id ^ id >> 16;
}

enum frame_type {
	TYPE_DATA = 0,
	TYPE_WINDOW = 1, /* length: bytes more that may be sent; with RST: an error code */
	TYPE_PING = 2,   /* length: any value, returned as it is */
	TYPE_GO_AWAY = 3,
};

enum {
	FLAG_SYN = 1,
	FLAG_ACK = 2,
	FLAG_FIN = 4,
	FLAG_RST = 8,
	OWED_WINDOW = 0x10, /* not a flag of the wire: a window update is due */
};

/*
 * The states of yamux.h. Who moves: our owner (CLOSE_WRITE), the peer (FIN), either (RESET). The
 * table in yamux.c has the moves; a move that leads nowhere changes nothing, so that a second FIN,
 * or a reset that crosses with a reset, is not an error.
 */
enum stream_state {
	STREAM_OPEN,
	STREAM_LOCAL_CLOSED,
	STREAM_REMOTE_CLOSED,
	STREAM_CLOSED,
	STREAM_RESET,
	STREAM_STATE_COUNT
};

enum stream_move {
	MOVE_CLOSE_WRITE,
	MOVE_FIN,
	MOVE_RESET,
	MOVE_COUNT
};

struct yamux_stream {
	UT_hash_handle hh;
	struct yamux *y;
	struct yamux_stream *prev, *next; /* in y->owing, while owed is not 0 */
	void *user;
	uint32_t id;
	enum stream_state state;
	uint8_t owed;      /* FLAG_* and OWED_WINDOW that wait for yamux_take() */
	bool is_ours;      /* we opened it */
	bool is_announced; /* the peer has seen, or will see before anything else, that it exists */
	bool is_acked;

	uint32_t send_left; /* bytes that we may send */

	/* recv_left + unread + what can be granted = window */
	uint32_t recv_left; /* bytes that the peer may send */
	uint32_t unread;    /* bytes that came and are not consumed */
	uint32_t window;
	uint32_t epoch_bytes; /* consumed since epoch_start: once a window's worth, it is timed */
	nsec_t epoch_start;
};

/* The parser's place in a frame. */
struct yamux_reader {
	uint8_t header[YAMUX_HEADER_LEN];
	size_t header_len;
	uint32_t body_left;
	/* Whom the rest of the frame concerns; NULL: nobody, read it and drop it. */
	struct yamux_stream *stream;
	bool is_body_wanted;
	unsigned due;  /* DUE_* events of this frame */
	uint32_t code; /* of a go-away */
};

/* A frame may bring several events; this is their order, DATA stands before FIN. */
enum {
	DUE_OPENED = 1,
	DUE_ACKED = 2,
	DUE_WRITABLE = 4,
	DUE_RESET = 8,
	DUE_FIN = 16,
	DUE_RTT = 32,
	DUE_GO_AWAY = 64,
};

struct farewell {
	uint32_t id;
	uint16_t flags;
};

enum ping_state {
	PING_IDLE,
	PING_DUE,  /* goes with the next yamux_take() */
	PING_SENT, /* since ping_sent_at, with ping_value */
};

/* Owned by the shard of its connection. */
struct yamux {
	enum yamux_role role;
	enum err failure; /* not ERR_OK: the session is over */
	bool is_going;    /* a go-away was said or heard: no new streams */
	bool is_go_away_due;
	enum yamux_go_away go_away_code;

	struct yamux_stream *streams; /* by id */
	size_t n_in, n_out;           /* of these, the peer's and ours */
	uint32_t next_id;
	uint32_t grown; /* bytes by which windows exceed the initial one, in all */

	struct yamux_stream *owing;
	size_t n_farewells;
	struct farewell farewells[YAMUX_OWED_MAX];
	size_t n_pongs;
	uint32_t pongs[YAMUX_PONGS_MAX];

	enum ping_state ping;
	uint32_t ping_value;
	nsec_t ping_sent_at;
	nsec_t rtt;

	unsigned churned;     /* streams of the peer that died by reset, not yet paid for */
	nsec_t churn_paid_at; /* when all paid ones are forgotten */

	struct yamux_reader in;
};

/* yamux.c: is this an id of ours? */
bool yamux_is_our_id(const struct yamux *y, uint32_t id);
/* NULL: not among the living. */
struct yamux_stream *yamux_find(const struct yamux *y, uint32_t id);
/* NULL: no memory. */
struct yamux_stream *yamux_stream_new(struct yamux *y, uint32_t id);
/* Is there room for one more stream, and for its last words? */
bool yamux_has_place(const struct yamux *y);
/* False: the state has no such move, nothing changed. */
bool yamux_stream_move(struct yamux_stream *s, enum stream_move move);
/* To state RESET, owing nothing and with no event due. False: it was closed or reset before. */
bool yamux_stream_kill(struct yamux_stream *s);
/* Neither CLOSED nor RESET: frames of it still mean something. */
bool yamux_is_alive(const struct yamux_stream *s);
bool yamux_can_send(const struct yamux_stream *s);
bool yamux_can_receive(const struct yamux_stream *s);

/* yamux_take.c: the stream has something for yamux_take(); owed is one or more of FLAG_*, OWED_*.
 */
void yamux_owe(struct yamux_stream *s, uint8_t owed);
/* It has not, any more. */
void yamux_disown(struct yamux_stream *s, uint8_t owed);
/* The last frame of a stream that is gone, or was never made. */
void yamux_farewell(struct yamux *y, uint32_t id, uint16_t flags);
