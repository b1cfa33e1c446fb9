/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ping.c - see ping.h
 *
 * The stream outlives a ping that was cancelled or answered until its on_close(): a struct ping is
 * freed there. The deadline stands until then: a peer that answers and never closes its side keeps
 * no stream of ours.
 */
#include "p2p/protocol/ping.h"

#include <stdlib.h>

#include "base/util.h"

enum {
	PING_LEN = 32, /* bytes; the spec */
};

/* --- responder ----------------------------------------------------------------------- */

static void echo(struct stream *s, struct span data)
{
	enum err e = stream_write(s, data);
	if (e != ERR_OK)
		stream_reset(s, e);
}

const struct stream_ops ping_responder_ops = {
	.on_data = echo,
	.on_eof = stream_close_write,
};

/* --- requester ----------------------------------------------------------------------- */

struct ping {
	struct stream *stream;
	ping_done_fn *done; /* NULL: told, or cancelled */
	void *ctx;
	struct loop_timer deadline;
	nsec_t sent_at;
	size_t got; /* bytes of the answer */
	uint8_t bytes[PING_LEN];
};

static void finish(struct ping *p, enum err result, nsec_t rtt)
{
	ping_done_fn *done = p->done;
	p->done = NULL;
	if (done != NULL)
		done(p->ctx, result, rtt);
}

static void on_deadline(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	stream_reset(CONTAINER_OF(timer, struct ping, deadline)->stream, ERR_TIMEOUT);
}

static void on_open(struct stream *s)
{
	struct ping *p = stream_user(s);
	p->sent_at = loop_now(conn_loop(stream_conn(s)));
	enum err e = stream_write(s, span_of(p->bytes, PING_LEN));
	if (e != ERR_OK)
		stream_reset(s, e);
}

static void on_data(struct stream *s, struct span data)
{
	struct ping *p = stream_user(s);
	if (data.len > PING_LEN - p->got || memcmp(data.p, p->bytes + p->got, data.len) != 0) {
		stream_reset(s, ERR_PROTOCOL);
		return;
	}
	p->got += data.len;
	if (p->got == PING_LEN) {
		nsec_t now = loop_now(conn_loop(stream_conn(s)));
		/* js loses a request that carries FIN: only now, after the answer. */
		stream_close_write(s);
		finish(p, ERR_OK, nsec_since(now, p->sent_at));
	}
}

static void on_eof(struct stream *s)
{
	struct ping *p = stream_user(s);
	if (p->got < PING_LEN)
		stream_reset(s, ERR_EOF);
}

static void on_close(struct stream *s, enum err why)
{
	struct ping *p = stream_user(s);
	finish(p, why == ERR_OK ? ERR_EOF : why, 0);
	loop_timer_stop(&p->deadline);
	free(p);
}

static const struct stream_ops requester_ops = {
	.on_open = on_open,
	.on_data = on_data,
	.on_eof = on_eof,
	.on_close = on_close,
};

enum err ping_send(struct conn *c, ping_done_fn *done, void *ctx, struct ping **ret_ping)
{
	static const char *const protocols[] = {PING_PROTOCOL};
	struct loop *loop = conn_loop(c);
	struct ping *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return ERR_NO_MEMORY;
	p->done = done;
	p->ctx = ctx;
	loop_random(loop, p->bytes, sizeof(p->bytes));
	loop_timer_init(&p->deadline, loop, on_deadline);
	enum err e =
		conn_open_stream(c, protocols, ARRAY_LEN(protocols), &requester_ops, p, &p->stream);
	if (e != ERR_OK) {
		free(p);
		return e;
	}
	loop_timer_set(&p->deadline, nsec_add(loop_now(loop), PING_TIMEOUT));
	*ret_ping = p;
	return ERR_OK;
}

void ping_cancel(struct ping *p)
{
	p->done = NULL;
	stream_reset(p->stream, ERR_CLOSED);
}
