/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_yamux.c - a session against any bytes, with an owner that does anything in between
 *
 * Byte 0: the role. Then operations: one byte says which; 0xxxxxxx feeds that many of the bytes
 * that follow, in an allocation of their own; the rest are calls of the owner. At each event the
 * low bits of the last operation say what the owner does in the middle of the batch.
 *
 * Checked besides memory: events are only told of streams that are held, DATA never exceeds the
 * window, FIN and RESET come once, takes are whole frames, and what is held is what is counted.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "p2p/mux/yamux.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum {
	HELD_MAX = YAMUX_STREAMS_IN_MAX + YAMUX_STREAMS_OUT_MAX,
};

struct held {
	struct yamux_stream *s;
	uint64_t unread;
	bool is_over;   /* FIN or RESET was told */
	bool was_reset; /* by us */
};

struct owner {
	struct yamux *y;
	struct held held[HELD_MAX];
	size_t n;
	nsec_t now;
	uint8_t mood;
};

static void hold(struct owner *o, struct yamux_stream *s)
{
	assert(o->n < HELD_MAX);
	o->held[o->n++] = (struct held){.s = s};
}

static struct held *find(struct owner *o, const struct yamux_stream *s)
{
	for (size_t i = 0; i < o->n; i++) {
		if (o->held[i].s == s)
			return &o->held[i];
	}
	abort();
}

static void let_go(struct owner *o, struct held *h)
{
	yamux_release(h->s);
	*h = o->held[--o->n];
}

static void consume(struct owner *o, struct held *h, uint64_t n)
{
	yamux_consumed(h->s, (size_t)n, o->now);
	h->unread -= n;
}

static void use(struct owner *o, struct held *h, unsigned what)
{
	uint8_t header[YAMUX_HEADER_LEN];
	size_t room = yamux_send_room(h->s);
	switch (what % 8) {
	case 0:
		consume(o, h, h->unread);
		break;
	case 1:
		consume(o, h, h->unread / 2);
		break;
	case 2:
		if (room > 0)
			yamux_put_data(h->s, header, room);
		break;
	case 3:
		if (room > 0)
			yamux_put_data(h->s, header, 1);
		break;
	case 4:
		yamux_close_write(h->s);
		break;
	case 5:
		yamux_reset(h->s);
		h->was_reset = true;
		break;
	case 6:
		let_go(o, h);
		break;
	default:
		break;
	}
}

static void on_event(struct owner *o, const struct yamux_event *ev)
{
	if (ev->type == YAMUX_EV_RTT || ev->type == YAMUX_EV_GO_AWAY)
		return;
	if (ev->type == YAMUX_EV_OPENED)
		hold(o, ev->stream);
	struct held *h = find(o, ev->stream);
	assert(!h->was_reset);
	if (ev->type == YAMUX_EV_DATA) {
		assert(!h->is_over && ev->data.len > 0);
		h->unread += ev->data.len;
		assert(h->unread <= YAMUX_WINDOW_MAX);
		/* Read it all. */
		static volatile uint8_t sum;
		for (size_t i = 0; i < ev->data.len; i++)
			sum = (uint8_t)(sum + ev->data.p[i]);
	}
	if (ev->type == YAMUX_EV_FIN) {
		assert(!h->is_over);
		h->is_over = true;
	}
	if (ev->type == YAMUX_EV_RESET) {
		assert(yamux_send_room(h->s) == 0);
		h->was_reset = true;
	}
	use(o, h, o->mood++);
}

static void feed(struct owner *o, struct span bytes)
{
	uint8_t *copy = malloc(bytes.len > 0 ? bytes.len : 1);
	if (copy == NULL)
		return;
	if (bytes.len > 0)
		memcpy(copy, bytes.p, bytes.len);
	struct span in = span_of(copy, bytes.len);
	struct yamux_event ev;
	enum err e;
	while ((e = yamux_read(o->y, &in, o->now, &ev)) == ERR_OK)
		on_event(o, &ev);
	assert(e == ERR_AGAIN ? in.len == 0 : yamux_read(o->y, &in, o->now, &ev) == e);
	free(copy);
}

static void take(struct owner *o, size_t room)
{
	uint8_t buf[4096];
	struct wbuf out = wbuf_of(buf, room < sizeof(buf) ? room : sizeof(buf));
	yamux_take(o->y, &out, o->now);
	assert(!out.overflowed && out.len % YAMUX_HEADER_LEN == 0);
	for (size_t at = 0; at < out.len; at += YAMUX_HEADER_LEN) {
		uint16_t flags = load_be16(buf + at + 2);
		assert(buf[at] == 0 && (buf[at + 1] >= 1 && buf[at + 1] <= 3) && flags < 16);
		/* FIN and RST carry no window. */
		assert((flags & 12) == 0 || load_be32(buf + at + 8) == 0);
	}
}

static void act(struct owner *o, uint8_t op)
{
	struct yamux_stream *s;
	switch (op >> 4) {
	case 8:
		if (yamux_open(o->y, NULL, &s) == ERR_OK)
			hold(o, s);
		break;
	case 9:
		take(o, (size_t)(op & 15) * 16);
		break;
	case 10:
		take(o, 4096);
		break;
	case 11:
		yamux_ping(o->y);
		break;
	case 12:
		o->now += (nsec_t)1 << (op & 15) << 20;
		break;
	case 13:
		if ((op & 15) == 7)
			yamux_go_away(o->y, YAMUX_GO_AWAY_NORMAL);
		o->mood = op;
		break;
	default: /* 14, 15: the oldest or the youngest stream */
		if (o->n > 0)
			use(o, &o->held[(op & 16) != 0 ? o->n - 1 : 0], op);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	static struct owner o;
	o = (struct owner){.y = NULL};
	if (yamux_new(data[0] & 1 ? YAMUX_SERVER : YAMUX_CLIENT, &o.y) != ERR_OK)
		return 0;
	struct span rest = span_of(data + 1, len - 1);
	while (rest.len > 0) {
		uint8_t op = rest.p[0];
		span_skip(&rest, 1);
		if (op < 0x80) {
			size_t n = op < rest.len ? op : rest.len;
			feed(&o, span_of(rest.p, n));
			span_skip(&rest, n);
		} else {
			act(&o, op);
		}
		assert(yamux_stream_count(o.y) == o.n);
	}
	take(&o, 4096);
	while (o.n > 0)
		let_go(&o, &o.held[0]);
	while (yamux_has_control(o.y))
		take(&o, 4096);
	yamux_free(o.y);
	return 0;
}
