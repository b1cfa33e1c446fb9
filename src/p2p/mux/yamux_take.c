/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * yamux_take.c - what goes out: control frames on demand, headers for data
 *
 * Order within yamux_take(): pongs first (go ends the session after 10 s without), our ping, what
 * streams owe, last frames of gone streams, and the go-away behind all of these. After a failure
 * only the go-away is worth sending.
 *
 * A stream's SYN or ACK rides on whatever frame of it goes first, be that data. FIN always has a
 * frame of its own, without a body: js drops the payload of a frame that also has FIN. It is
 * written when it is taken, so it stands behind all data that was put before.
 */
#include "p2p/mux/yamux_internal.h"

#include <assert.h>

static void write_header(uint8_t at[YAMUX_HEADER_LEN], enum frame_type type, uint16_t flags,
			 uint32_t id, uint32_t len)
{
	at[0] = 0; /* version */
	at[1] = (uint8_t)type;
	store_be16(at + 2, flags);
	store_be32(at + 4, id);
	store_be32(at + 8, len);
}

/* False: no room, nothing was written. */
static bool put_frame(struct wbuf *out, enum frame_type type, uint16_t flags, uint32_t id,
		      uint32_t len)
{
	if (wbuf_room(out) < YAMUX_HEADER_LEN)
		return false;
	write_header(wbuf_reserve(out, YAMUX_HEADER_LEN), type, flags, id, len);
	return true;
}

void yamux_owe(struct yamux_stream *s, uint8_t owed)
{
	if (s->owed == 0)
		DL_APPEND(s->y->owing, s);
	s->owed |= owed;
}

void yamux_disown(struct yamux_stream *s, uint8_t owed)
{
	if (s->owed == 0)
		return;
	s->owed &= (uint8_t)~owed;
	if (s->owed == 0)
		DL_DELETE(s->y->owing, s);
}

void yamux_farewell(struct yamux *y, uint32_t id, uint16_t flags)
{
	assert(y->n_farewells < YAMUX_OWED_MAX);
	y->farewells[y->n_farewells++] = (struct farewell){.id = id, .flags = flags};
}

static bool take_pongs(struct yamux *y, struct wbuf *out)
{
	size_t n = 0;
	while (n < y->n_pongs && put_frame(out, TYPE_PING, FLAG_ACK, 0, y->pongs[n]))
		n++;
	y->n_pongs -= n;
	memmove(y->pongs, y->pongs + n, y->n_pongs * sizeof(y->pongs[0]));
	return y->n_pongs == 0;
}

static bool take_ping(struct yamux *y, struct wbuf *out, nsec_t now)
{
	if (y->ping != PING_DUE)
		return true;
	if (!put_frame(out, TYPE_PING, FLAG_SYN, 0, y->ping_value))
		return false;
	y->ping = PING_SENT;
	y->ping_sent_at = now;
	return true;
}

static bool take_farewells(struct yamux *y, struct wbuf *out)
{
	size_t n = 0;
	while (n < y->n_farewells &&
	       put_frame(out, TYPE_WINDOW, y->farewells[n].flags, y->farewells[n].id, 0))
		n++;
	y->n_farewells -= n;
	memmove(y->farewells, y->farewells + n, y->n_farewells * sizeof(y->farewells[0]));
	return y->n_farewells == 0;
}

/* SYN, ACK and the window in one frame, then FIN or RST in the next. */
static bool take_owed(struct yamux_stream *s, struct wbuf *out)
{
	uint8_t first = s->owed & (FLAG_SYN | FLAG_ACK | OWED_WINDOW);
	if (first != 0) {
		uint32_t grant = 0;
		if ((first & OWED_WINDOW) != 0)
			grant = s->window - s->recv_left - s->unread;
		if (!put_frame(out, TYPE_WINDOW, first & (FLAG_SYN | FLAG_ACK), s->id, grant))
			return false;
		s->recv_left += grant;
		s->is_announced = true;
		yamux_disown(s, first);
	}
	uint8_t last = s->owed & (FLAG_FIN | FLAG_RST);
	if (last != 0) {
		if (!put_frame(out, TYPE_WINDOW, last, s->id, 0))
			return false;
		yamux_disown(s, last);
	}
	return true;
}

void yamux_take(struct yamux *y, struct wbuf *out, nsec_t now)
{
	if (y->failure == ERR_OK) {
		if (!take_pongs(y, out) || !take_ping(y, out, now))
			return;
		while (y->owing != NULL) {
			if (!take_owed(y->owing, out))
				return;
		}
		if (!take_farewells(y, out))
			return;
	}
	if (y->is_go_away_due && put_frame(out, TYPE_GO_AWAY, 0, 0, y->go_away_code))
		y->is_go_away_due = false;
}

bool yamux_has_control(const struct yamux *y)
{
	if (y->is_go_away_due)
		return true;
	return y->failure == ERR_OK &&
	       (y->n_pongs > 0 || y->ping == PING_DUE || y->owing != NULL || y->n_farewells > 0);
}

size_t yamux_send_room(const struct yamux_stream *s)
{
	if (!yamux_can_send(s) || s->y->failure != ERR_OK)
		return 0;
	return s->send_left < YAMUX_BODY_LEN_SEND ? s->send_left : YAMUX_BODY_LEN_SEND;
}

void yamux_put_data(struct yamux_stream *s, uint8_t header[YAMUX_HEADER_LEN], size_t body_len)
{
	assert(body_len > 0 && body_len <= yamux_send_room(s));
	uint8_t first = s->owed & (FLAG_SYN | FLAG_ACK);
	write_header(header, TYPE_DATA, first, s->id, (uint32_t)body_len);
	s->send_left -= (uint32_t)body_len;
	s->is_announced = true;
	yamux_disown(s, first);
}
