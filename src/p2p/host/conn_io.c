/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conn_io.c - the bytes of a secured connection
 *
 *     in:   socket -> rx buffer -> open in place -> yamux events -> streams
 *     out:  streams -> (pulled into) a record -> seal in place -> tx buffer -> socket
 *
 * Nothing is sealed before the socket can take it: what waits, waits with its owner. At most
 * FILL_RECORDS records are ahead of the socket, and the socket itself is asked to hold little that
 * is not sent (TCP_NOTSENT_LOWAT). A record that is only partly there waits in the rx buffer;
 * otherwise the buffer goes back to the pool.
 */
#include <assert.h>

#include "p2p/host/conn_internal.h"

enum {
	READS_PER_TURN = 4, /* read calls before other connections get their turn */
	FILL_RECORDS = 2,   /* records sealed per write call: 128 KiB amortise the call, and bound
			       what a ping waits behind */
	FRAME_LEN_MIN =
		256, /* bytes of room in a record below which no further data frame is begun */
};

/* --- in ------------------------------------------------------------------------------ */

static void handle_event(struct conn *c, const struct yamux_event *ev)
{
	struct stream *s = ev->stream != NULL ? yamux_user(ev->stream) : NULL;
	switch (ev->type) {
	case YAMUX_EV_OPENED:
		stream_accept(c, ev->stream);
		break;
	case YAMUX_EV_DATA:
		liveness_heard_data(&c->liveness, loop_now(c->env->loop));
		if (s != NULL)
			stream_input(s, ev->data);
		break;
	case YAMUX_EV_FIN:
		if (s != NULL)
			stream_input_eof(s);
		break;
	case YAMUX_EV_RESET:
		if (s != NULL)
			stream_input_reset(s);
		break;
	case YAMUX_EV_WRITABLE:
		if (s != NULL)
			stream_wake(s);
		break;
	case YAMUX_EV_ACKED:
	case YAMUX_EV_RTT:
		break;
	case YAMUX_EV_GO_AWAY:
		conn_close(c, ERR_GO_AWAY);
		break;
	}
}

static void feed_mux(struct conn *c, struct span plain)
{
	nsec_t now = loop_now(c->env->loop);
	while (c->state == CONN_OPEN) {
		struct yamux_event ev;
		enum err e = yamux_read(c->mux, &plain, now, &ev);
		if (e == ERR_AGAIN)
			return;
		if (e != ERR_OK) {
			conn_io_flush(c); /* the go-away that says why */
			conn_close(c, e);
			return;
		}
		handle_event(c, &ev);
	}
}

static void feed_plain(struct conn *c, struct span plain)
{
	if (c->state == CONN_MUXING && plain.len > 0)
		conn_upgrade_plain(c, &plain);
	if (c->state == CONN_OPEN && plain.len > 0)
		feed_mux(c, plain);
}

/* Open all whole records in the rx buffer; what is left moves to its front. */
static void open_records(struct conn *c)
{
	struct iobuf *rx = c->rx;
	while (rx->start < rx->end && c->state != CONN_CLOSING) {
		size_t used;
		struct span plain;
		enum err e = c->secure->ops->open(c->secure, rx->bytes + rx->start,
						  rx->end - rx->start, &used, &plain);
		if (e == ERR_AGAIN)
			break;
		if (e != ERR_OK) {
			conn_close(c, e);
			return;
		}
		/* A whole record shows that the peer is there; bytes of one that never ends do not.
		 */
		if (c->state == CONN_OPEN)
			liveness_heard(&c->liveness, loop_now(c->env->loop));
		rx->start += used;
		feed_plain(c, plain);
	}
	if (rx->start == rx->end) {
		c->rx = iobuf_give(&c->env->io, rx);
	} else if (rx->start > 0) {
		memmove(rx->bytes, rx->bytes + rx->start, rx->end - rx->start);
		rx->end -= rx->start;
		rx->start = 0;
	}
}

static bool borrow_rx(struct conn *c)
{
	if (c->rx == NULL)
		c->rx = iobuf_take(&c->env->io);
	if (c->rx == NULL)
		conn_close(c, ERR_NO_MEMORY);
	return c->rx != NULL;
}

void conn_io_feed(struct conn *c, struct span raw)
{
	static_assert((int)UPGRADE_IN_LEN <= (int)IOBUF_LEN, "what follows a handshake fits");
	if (raw.len == 0 || c->state == CONN_CLOSING || !borrow_rx(c))
		return;
	memcpy(c->rx->bytes, raw.p, raw.len);
	c->rx->end = raw.len;
	open_records(c);
}

void conn_io_readable(struct conn *c)
{
	for (int i = 0; i < READS_PER_TURN && c->state != CONN_CLOSING; i++) {
		if (!borrow_rx(c))
			return;
		struct iobuf *rx = c->rx;
		size_t room = sizeof(rx->bytes) - rx->end;
		size_t n;
		enum err e = sock_read(c->sock, rx->bytes + rx->end, room, &n);
		if (e != ERR_OK) {
			if (rx->start == rx->end)
				c->rx = iobuf_give(&c->env->io, rx);
			if (e != ERR_AGAIN)
				conn_close(c, e);
			break;
		}
		rx->end += n;
		c->stats.rx_bytes += n;
		open_records(c);
		if (n < room)
			break; /* the socket is empty: no call to be told so */
	}
	/* Answers (acknowledgements, windows, pongs) and streams that died go at the end of the
	 * turn. */
	conn_arm(c);
	conn_flush_later(c);
}

/* --- out ----------------------------------------------------------------------------- */

/* One data frame of the stream whose turn it is. */
static void put_frame(struct conn *c, struct wbuf *out)
{
	struct stream *s = c->ready;
	size_t room = MIN(yamux_send_room(s->mux), wbuf_room(out) - YAMUX_HEADER_LEN);
	size_t n = room > 0 ? stream_output(s, out->p + out->len + YAMUX_HEADER_LEN, room) : 0;
	if (n == 0) {
		stream_unready(s); /* stream_wake() or YAMUX_EV_WRITABLE brings it back */
	} else {
		yamux_put_data(s->mux, out->p + out->len, n);
		out->len += YAMUX_HEADER_LEN + n;
		c->ready = s->ready_next; /* round robin: the list is circular */
	}
	stream_after_output(s);
}

/* The plaintext of one record. */
static void fill_record(struct conn *c, struct wbuf *out)
{
	if (c->state == CONN_MUXING) {
		conn_upgrade_take(c, out);
		return;
	}
	yamux_take(c->mux, out, loop_now(c->env->loop));
	while (c->ready != NULL && wbuf_room(out) >= FRAME_LEN_MIN)
		put_frame(c, out);
	/* A stream that has just ended leaves its FIN. */
	if (yamux_has_control(c->mux))
		yamux_take(c->mux, out, loop_now(c->env->loop));
}

/* Seal what there is into the tx buffer, up to FILL_RECORDS. */
static enum err fill_tx(struct conn *c)
{
	const struct secure_ops *ops = c->secure->ops;
	for (int i = 0; i < FILL_RECORDS; i++) {
		if (c->state == CONN_OPEN && c->ready == NULL && !yamux_has_control(c->mux))
			break;
		if (c->tx == NULL) {
			c->tx = iobuf_take(&c->env->io);
			if (c->tx == NULL)
				return ERR_NO_MEMORY;
		}
		struct iobuf *tx = c->tx;
		uint8_t *record = tx->bytes + tx->end;
		struct wbuf plain = wbuf_of(record + ops->head_len, ops->plain_len_max);
		fill_record(c, &plain);
		if (plain.len == 0)
			break;
		size_t len;
		enum err e = ops->seal(c->secure, record, plain.len, &len);
		if (e != ERR_OK)
			return e;
		tx->end += len;
	}
	return ERR_OK;
}

static enum err write_tx(struct conn *c)
{
	struct iobuf *tx = c->tx;
	while (tx->start < tx->end) {
		struct iovec iov = {.iov_base = tx->bytes + tx->start,
				    .iov_len = tx->end - tx->start};
		size_t n;
		enum err e = sock_writev(c->sock, &iov, 1, &n);
		if (e != ERR_OK)
			return e;
		tx->start += n;
		c->stats.tx_bytes += n;
	}
	c->tx = iobuf_give(&c->env->io, tx);
	return ERR_OK;
}

/* Send until there is nothing more to say, or the socket is full. */
void conn_io_flush(struct conn *c)
{
	bool sent = false;
	while (c->state != CONN_CLOSING && !c->is_blocked) {
		enum err e = ERR_OK;
		if (c->tx == NULL)
			e = fill_tx(c);
		if (e == ERR_OK && c->tx != NULL && c->tx->end == c->tx->start)
			c->tx = iobuf_give(&c->env->io, c->tx);
		if (e == ERR_OK && c->tx == NULL)
			break;
		if (e == ERR_OK) {
			sent = true;
			e = write_tx(c);
		}
		if (e == ERR_AGAIN) {
			c->is_blocked = true;
		} else if (e != ERR_OK) {
			c->is_blocked = true; /* no go-away on a broken socket */
			conn_close(c, e);
		}
	}
	if (sent && c->state == CONN_OPEN) {
		liveness_sent(&c->liveness, loop_now(c->env->loop));
		conn_arm(c);
	}
	if (c->state != CONN_CLOSING)
		conn_watch(c);
}
