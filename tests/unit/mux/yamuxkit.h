/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * yamuxkit.h - frames by hand: what a peer may send, and what it must see
 *
 * Inputs are copied to allocations of exactly their size.
 */
#pragma once

#include "support/testkit.h"

#include <stdlib.h>

#include "p2p/mux/yamux.h"

enum {
	DATA = 0,
	WINDOW = 1,
	PING = 2,
	GO_AWAY = 3,
	SYN = 1,
	ACK = 2,
	FIN = 4,
	RST = 8,
};

struct head {
	unsigned type, flags;
	uint32_t id, len;
};

static inline struct yamux *session(enum yamux_role role)
{
	struct yamux *y;
	assert_ok(yamux_new(role, &y));
	return y;
}

static inline void put_head(struct wbuf *w, unsigned type, unsigned flags, uint32_t id,
			    uint32_t len)
{
	uint8_t h[YAMUX_HEADER_LEN] = {0, (uint8_t)type};
	store_be16(h + 2, (uint16_t)flags);
	store_be32(h + 4, id);
	store_be32(h + 8, len);
	wbuf_put(w, span_of(h, sizeof(h)));
	assert_ok(wbuf_check(w));
}

/* One event, which must come; all input must be used up behind it, unless it is DATA. */
static inline struct yamux_event expect_event(struct yamux *y, struct span *in,
					      enum yamux_event_type type)
{
	struct yamux_event ev;
	assert_ok(yamux_read(y, in, 0, &ev));
	assert_int_equal(ev.type, type);
	return ev;
}

static inline void expect_none(struct yamux *y, struct span *in)
{
	struct yamux_event ev;
	assert_err(yamux_read(y, in, 0, &ev), ERR_AGAIN);
	assert_int_equal(in->len, 0);
}

/* A header, and as many zero bytes of body as fit; the first verdict that is not an event. */
static inline enum err send_at(struct yamux *y, nsec_t now, unsigned type, unsigned flags,
			       uint32_t id, uint32_t len, size_t body_len)
{
	uint8_t *buf = calloc(1, YAMUX_HEADER_LEN + body_len);
	assert_non_null(buf);
	struct wbuf w = wbuf_of(buf, YAMUX_HEADER_LEN);
	put_head(&w, type, flags, id, len);
	struct span in = span_of(buf, YAMUX_HEADER_LEN + body_len);
	struct yamux_event ev;
	enum err e;
	do {
		e = yamux_read(y, &in, now, &ev);
	} while (e == ERR_OK);
	free(buf);
	return e;
}

static inline enum err send_head(struct yamux *y, unsigned type, unsigned flags, uint32_t id,
				 uint32_t len)
{
	return send_at(y, 0, type, flags, id, len, 0);
}

/* Like send_at(), for a frame that must bring exactly one event, of this type. */
static inline struct yamux_event send_event(struct yamux *y, unsigned type, unsigned flags,
					    uint32_t id, uint32_t len,
					    enum yamux_event_type ev_type)
{
	uint8_t buf[YAMUX_HEADER_LEN];
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	put_head(&w, type, flags, id, len);
	struct span in = wbuf_view(&w);
	struct yamux_event ev = expect_event(y, &in, ev_type);
	expect_none(y, &in);
	return ev;
}

/* A frame that must bring no event. */
static inline void send_quiet(struct yamux *y, unsigned type, unsigned flags, uint32_t id,
			      uint32_t len)
{
	uint8_t buf[YAMUX_HEADER_LEN];
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	put_head(&w, type, flags, id, len);
	struct span in = wbuf_view(&w);
	expect_none(y, &in);
}

static inline struct yamux_stream *send_open(struct yamux *y, uint32_t id)
{
	return send_event(y, WINDOW, SYN, id, 0, YAMUX_EV_OPENED).stream;
}

/* The next control frame must be this one. */
static inline struct head take_one(struct yamux *y, nsec_t now)
{
	assert_true(yamux_has_control(y));
	uint8_t buf[YAMUX_HEADER_LEN];
	struct wbuf out = wbuf_of(buf, sizeof(buf));
	yamux_take(y, &out, now);
	assert_int_equal(out.len, YAMUX_HEADER_LEN);
	assert_int_equal(buf[0], 0);
	return (struct head){
		.type = buf[1],
		.flags = load_be16(buf + 2),
		.id = load_be32(buf + 4),
		.len = load_be32(buf + 8),
	};
}

static inline void expect_frame(struct yamux *y, unsigned type, unsigned flags, uint32_t id,
				uint32_t len)
{
	struct head h = take_one(y, 0);
	assert_int_equal(h.type, type);
	assert_int_equal(h.flags, flags);
	assert_int_equal(h.id, id);
	assert_int_equal(h.len, len);
}

static inline void expect_silence(struct yamux *y)
{
	assert_false(yamux_has_control(y));
	uint8_t buf[64];
	struct wbuf out = wbuf_of(buf, sizeof(buf));
	yamux_take(y, &out, 0);
	assert_int_equal(out.len, 0);
	assert_false(out.overflowed);
}

/* The session must be over with this error, say go-away 1, nothing else, and stay so. */
static inline void expect_over(struct yamux *y, enum err e)
{
	expect_frame(y, GO_AWAY, 0, 0, 1);
	expect_silence(y);
	assert_err(send_head(y, PING, SYN, 0, 0), e);
	struct yamux_stream *s;
	assert_err(yamux_open(y, NULL, &s), ERR_GO_AWAY);
}
