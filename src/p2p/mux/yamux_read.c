/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * yamux_read.c - the parser: bytes in, one event at a time out
 *
 * A frame is judged when its header is complete, before anything is made or counted for it; what
 * passes leaves its events as bits in `due` and its body to be lent out piece by piece. Between two
 * events the owner may do anything: a stream that is reset or released there is detached, and the
 * rest of its frame falls to nobody.
 *
 * Fatal: what no honest peer sends and what breaks the accounts (version, type, id 0, SYN with an
 * id of ours or of a living stream, more data than the window, a send window above u32).
 * Not fatal, because honest peers do it: frames of streams that are gone (they crossed with a
 * reset; they are dropped and not answered), a second FIN, ACK or RST, data behind FIN (dropped),
 * flags that we do not know (go ignores them too), a stream id on pings (old rust sent them).
 * A pong that nobody asked for, or with a wrong value, is ignored as go does, where js and rust end
 * the session: it changes nothing here; whoever owns the session sees by its silence whether a peer
 * is gone.
 */
#include "p2p/mux/yamux_internal.h"

static const nsec_t CHURN_INTERVAL = NSEC_PER_SEC / YAMUX_CHURN_PER_SEC;

struct frame {
	uint8_t version;
	uint8_t type;
	uint16_t flags;
	uint32_t id;
	uint32_t len;
};

static struct frame parse_header(const uint8_t p[YAMUX_HEADER_LEN])
{
	return (struct frame){
		.version = p[0],
		.type = p[1],
		.flags = load_be16(p + 2),
		.id = load_be32(p + 4),
		.len = load_be32(p + 8),
	};
}

/*
 * Each stream of the peer that died by reset takes one from a bucket of YAMUX_CHURN_BURST, into
 * which YAMUX_CHURN_PER_SEC flow back. It is asked when the peer wants one more.
 */
static MUST_USE enum err pay_churn(struct yamux *y, nsec_t now)
{
	if (y->churn_paid_at < now)
		y->churn_paid_at = now;
	y->churn_paid_at = nsec_add(y->churn_paid_at, y->churned * CHURN_INTERVAL);
	y->churned = 0;
	return y->churn_paid_at - now > YAMUX_CHURN_BURST * CHURN_INTERVAL ? ERR_LIMIT : ERR_OK;
}

static MUST_USE enum err begin_window(struct yamux_stream *s, uint32_t delta)
{
	uint32_t left;
	/* CVE-2026-31814: rust added without looking. */
	if (__builtin_add_overflow(s->send_left, delta, &left))
		return ERR_PROTOCOL;
	if (s->send_left == 0 && delta > 0 && yamux_can_send(s))
		s->y->in.due |= DUE_WRITABLE;
	s->send_left = left;
	return ERR_OK;
}

static MUST_USE enum err begin_data(struct yamux_stream *s, uint32_t len)
{
	if (len > s->recv_left)
		return ERR_FLOW_CONTROL;
	s->recv_left -= len;
	s->y->in.is_body_wanted = yamux_can_receive(s);
	if (s->y->in.is_body_wanted)
		s->unread += len;
	return ERR_OK;
}

/* A frame of a stream that exists. */
static MUST_USE enum err begin_known(struct yamux_stream *s, const struct frame *f)
{
	struct yamux_reader *in = &s->y->in;
	if ((f->flags & FLAG_RST) != 0) {
		/* go-yamux 5: the length of a window update is an error code then. */
		if (yamux_stream_kill(s)) {
			in->stream = s;
			in->due = DUE_RESET;
		}
		return ERR_OK;
	}
	in->stream = s;
	if ((f->flags & FLAG_ACK) != 0 && s->is_ours && !s->is_acked) {
		s->is_acked = true;
		in->due |= DUE_ACKED;
	}
	if ((f->flags & FLAG_FIN) != 0 && yamux_can_receive(s))
		in->due |= DUE_FIN;
	return f->type == TYPE_DATA ? begin_data(s, f->len) : begin_window(s, f->len);
}

/* A frame with SYN. */
static MUST_USE enum err begin_open(struct yamux *y, const struct frame *f, nsec_t now)
{
	if (yamux_is_our_id(y, f->id) || yamux_find(y, f->id) != NULL)
		return ERR_PROTOCOL;
	/* Before any stream is made (CVE-2026-32314). */
	if (f->type == TYPE_DATA && f->len > YAMUX_WINDOW_INITIAL)
		return ERR_FLOW_CONTROL;
	if (f->type == TYPE_WINDOW && (f->flags & FLAG_RST) == 0 &&
	    f->len > UINT32_MAX - YAMUX_WINDOW_INITIAL)
		return ERR_PROTOCOL;
	enum err e = pay_churn(y, now);
	if (e != ERR_OK)
		return e;
	if (!yamux_has_place(y))
		return ERR_LIMIT; /* refused streams wait for a peer that does not read */

	if ((f->flags & FLAG_RST) != 0) { /* opened and gone */
		y->churned++;
		return ERR_OK;
	}
	struct yamux_stream *s = NULL;
	if (!y->is_going && y->n_in < YAMUX_STREAMS_IN_MAX)
		s = yamux_stream_new(y, f->id);
	if (s == NULL) {
		y->churned++;
		yamux_farewell(y, f->id, FLAG_RST);
		return ERR_OK;
	}
	s->is_announced = true;
	y->in.due = DUE_OPENED;
	return begin_known(s, f);
}

/* A data or window update frame. */
static MUST_USE enum err begin_stream_frame(struct yamux *y, const struct frame *f, nsec_t now)
{
	if (f->id == 0)
		return ERR_PROTOCOL;
	if (f->type == TYPE_DATA) {
		/* No window was ever larger, also of streams that are gone. */
		if (f->len > YAMUX_WINDOW_MAX)
			return ERR_FLOW_CONTROL;
		y->in.body_left = f->len;
	}
	if ((f->flags & FLAG_SYN) != 0)
		return begin_open(y, f, now);
	struct yamux_stream *s = yamux_find(y, f->id);
	if (s == NULL || !s->is_announced || !yamux_is_alive(s))
		return ERR_OK;
	return begin_known(s, f);
}

static MUST_USE enum err begin_ping(struct yamux *y, const struct frame *f, nsec_t now)
{
	if ((f->flags & FLAG_SYN) != 0) {
		if (y->n_pongs == YAMUX_PONGS_MAX)
			return ERR_LIMIT;
		y->pongs[y->n_pongs++] = f->len;
	} else if ((f->flags & FLAG_ACK) != 0 && y->ping == PING_SENT && f->len == y->ping_value) {
		y->ping = PING_IDLE;
		y->ping_value++;
		y->rtt = nsec_since(now, y->ping_sent_at);
		if (y->rtt == 0)
			y->rtt = 1; /* 0 means: not measured */
		y->in.due = DUE_RTT;
	}
	return ERR_OK;
}

static MUST_USE enum err begin_frame(struct yamux *y, nsec_t now)
{
	struct frame f = parse_header(y->in.header);
	y->in.header_len = 0;
	y->in.stream = NULL;
	y->in.is_body_wanted = false;
	if (f.version != 0)
		return ERR_VERSION;
	switch (f.type) {
	case TYPE_DATA:
	case TYPE_WINDOW:
		return begin_stream_frame(y, &f, now);
	case TYPE_PING:
		return begin_ping(y, &f, now);
	case TYPE_GO_AWAY:
		y->is_going = true;
		y->in.code = f.len;
		y->in.due = DUE_GO_AWAY;
		return ERR_OK;
	default:
		return ERR_PROTOCOL;
	}
}

/* The first of `any` that is due: it is not any more. 0: none. */
static unsigned take_due(struct yamux *y, unsigned any)
{
	unsigned due = y->in.due & any;
	unsigned first = due & -due;
	y->in.due &= ~first;
	return first;
}

/* Fills *ret for what comes without a body or before it. */
static bool next_head_event(struct yamux *y, struct yamux_event *ret)
{
	if (y->in.due == 0)
		return false;
	struct yamux_stream *s = y->in.stream;
	*ret = (struct yamux_event){.stream = s};
	switch (take_due(y, ~(unsigned)DUE_FIN)) {
	case DUE_OPENED:
		ret->type = YAMUX_EV_OPENED;
		yamux_owe(s, FLAG_ACK);
		return true;
	case DUE_ACKED:
		ret->type = YAMUX_EV_ACKED;
		return true;
	case DUE_WRITABLE:
		ret->type = YAMUX_EV_WRITABLE;
		return true;
	case DUE_RESET:
		ret->type = YAMUX_EV_RESET;
		return true;
	case DUE_RTT:
		ret->type = YAMUX_EV_RTT;
		ret->rtt = y->rtt;
		return true;
	case DUE_GO_AWAY:
		ret->type = YAMUX_EV_GO_AWAY;
		ret->code = y->in.code;
		return true;
	default:
		return false;
	}
}

/* Consumes the body; true as soon as a piece of it is an event. */
static bool next_data(struct yamux *y, struct span *in, struct yamux_event *ret)
{
	size_t n = y->in.body_left < in->len ? y->in.body_left : in->len;
	if (n == 0)
		return false;
	struct span piece = span_of(in->p, n);
	span_skip(in, n);
	y->in.body_left -= (uint32_t)n;
	if (y->in.stream == NULL || !y->in.is_body_wanted)
		return false;
	*ret = (struct yamux_event){
		.type = YAMUX_EV_DATA,
		.stream = y->in.stream,
		.data = piece,
	};
	return true;
}

static bool next_fin(struct yamux *y, struct yamux_event *ret)
{
	if (y->in.body_left > 0 || take_due(y, DUE_FIN) == 0)
		return false;
	struct yamux_stream *s = y->in.stream;
	yamux_stream_move(s, MOVE_FIN);
	yamux_disown(s, OWED_WINDOW); /* nothing is left to send into it */
	*ret = (struct yamux_event){.type = YAMUX_EV_FIN, .stream = s};
	return true;
}

/* False: the header is not complete, and the input is used up. */
static bool collect_header(struct yamux_reader *r, struct span *in)
{
	size_t missing = YAMUX_HEADER_LEN - r->header_len;
	size_t n = missing < in->len ? missing : in->len;
	memcpy(r->header + r->header_len, in->p, n);
	r->header_len += n;
	span_skip(in, n);
	return n == missing;
}

static void fail(struct yamux *y, enum err e)
{
	y->failure = e;
	y->in.stream = NULL;
	y->in.due = 0;
	yamux_go_away(y, YAMUX_GO_AWAY_PROTOCOL);
}

enum err yamux_read(struct yamux *y, struct span *in, nsec_t now, struct yamux_event *ret)
{
	while (y->failure == ERR_OK) {
		struct yamux_event event;
		if (next_head_event(y, &event) || next_data(y, in, &event) || next_fin(y, &event)) {
			*ret = event;
			return ERR_OK;
		}
		if (in->len == 0 || !collect_header(&y->in, in))
			return ERR_AGAIN;
		enum err e = begin_frame(y, now);
		if (e != ERR_OK)
			fail(y, e);
	}
	return y->failure;
}
