/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stream.c - streams: negotiation, then bytes between the muxer and the protocol
 *
 * A stream that ends is marked dead and leaves the muxer at once; its owner hears of it, and its
 * memory goes, when the connection reaps at the end of the turn. So a callback may end any stream,
 * its own included, and no caller finds a pointer gone under it.
 */
#include "p2p/host/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "p2p/host/conn_internal.h"

static const struct stream_ops no_ops;

/* --- life ---------------------------------------------------------------------------- */

static void on_deadline(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct stream *s = CONTAINER_OF(timer, struct stream, deadline);
	stream_reset(s, ERR_TIMEOUT);
}

static struct stream *stream_new(struct conn *c, const struct stream_ops *ops, void *user)
{
	struct stream *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->mss = malloc(sizeof(*s->mss));
	if (s->mss == NULL) {
		free(s);
		return NULL;
	}
	s->conn = c;
	s->ops = ops;
	s->user = user;
	loop_timer_init(&s->deadline, c->env->loop, on_deadline);
	loop_timer_set(&s->deadline, nsec_add(loop_now(c->env->loop), NEGOTIATION_TIMEOUT));
	DL_APPEND(c->streams, s);
	return s;
}

static void stream_free(struct stream *s)
{
	DL_DELETE(s->conn->streams, s);
	loop_timer_stop(&s->deadline);
	free(s->mss);
	free(s->partial);
	free(s->out);
	free(s);
}

static void end_negotiation(struct stream *s)
{
	if (s->mss == NULL)
		return;
	loop_timer_stop(&s->deadline);
	free(s->mss);
	s->mss = NULL;
	free(s->partial);
	s->partial = NULL;
	if (!s->is_outbound)
		s->conn->n_negotiating_in--;
}

static void die(struct stream *s, enum err why)
{
	if (s->is_dead)
		return;
	s->is_dead = true;
	s->conn->n_dead++;
	s->why = why;
	stream_unready(s);
	end_negotiation(s);
	if (s->mux != NULL) {
		yamux_set_user(s->mux, NULL);
		yamux_release(s->mux); /* resets what is still open */
		s->mux = NULL;
	}
	conn_flush_later(s->conn);
}

void stream_reap(struct conn *c, bool all)
{
	if (all) {
		struct stream *s;
		DL_FOREACH (c->streams, s)
			die(s, c->why == ERR_OK ? ERR_CLOSED : c->why);
	}
	/* on_close may end further streams: begin anew after each. */
	struct stream *s = c->streams;
	while (c->n_dead > 0 && s != NULL) {
		if (!s->is_dead) {
			s = s->next;
			continue;
		}
		c->n_dead--;
		if (s->ops->on_close != NULL)
			s->ops->on_close(s, s->why);
		stream_free(s);
		s = c->streams;
	}
}

/* Both directions are finished: over, without a fault. */
static void check_finished(struct stream *s)
{
	if (!s->is_dead && s->is_eof && s->is_write_closed)
		die(s, ERR_OK);
}

/* --- ready list: circular, conn->ready is whose turn it is --------------------------- */

static void make_ready(struct stream *s)
{
	struct conn *c = s->conn;
	if (s->is_ready || s->is_dead)
		return;
	s->is_ready = true;
	if (c->ready == NULL) {
		s->ready_prev = s;
		s->ready_next = s;
		c->ready = s;
	} else {
		s->ready_next = c->ready;
		s->ready_prev = c->ready->ready_prev;
		s->ready_prev->ready_next = s;
		c->ready->ready_prev = s;
	}
	conn_flush_later(c);
}

void stream_unready(struct stream *s)
{
	struct conn *c = s->conn;
	if (!s->is_ready)
		return;
	s->is_ready = false;
	if (s->ready_next == s) {
		c->ready = NULL;
		return;
	}
	s->ready_prev->ready_next = s->ready_next;
	s->ready_next->ready_prev = s->ready_prev;
	if (c->ready == s)
		c->ready = s->ready_next;
}

/* --- negotiation --------------------------------------------------------------------- */

static int match_protocol(void *ctx, struct span name)
{
	const struct conn_env *env = ((struct stream *)ctx)->conn->env;
	for (size_t i = 0; i < env->n_protocols; i++) {
		if (span_equal(name, span_str(env->protocols[i].name)))
			return (int)i;
	}
	return -1;
}

/* What mss wants to say waits in `out`, like anything else that is written. */
static enum err take_negotiation(struct stream *s)
{
	uint8_t bytes[MSS_OUT_LEN_MAX];
	struct wbuf out = wbuf_of(bytes, sizeof(bytes));
	enum err e = mss_take(s->mss, &out);
	if (e == ERR_OK && out.len > 0)
		e = stream_write(s, wbuf_view(&out));
	return e;
}

static void agree(struct stream *s)
{
	int chosen = mss_chosen(s->mss);
	if (s->is_outbound) {
		s->protocol = s->proposals[chosen];
	} else {
		const struct protocol *p = &s->conn->env->protocols[chosen];
		s->protocol = p->name;
		s->ops = p->ops;
		s->user = p->ctx;
	}
	end_negotiation(s);
	if (s->ops->on_open != NULL)
		s->ops->on_open(s);
	stream_wake(s);
}

/* Feed tokens; *data keeps what is behind the last one. */
static enum err negotiate(struct stream *s, struct span *data)
{
	enum err e;
	if (s->partial_len > 0) {
		/* Join with what waited: at most one token and a bit. */
		size_t n = MIN(data->len, (size_t)MSS_TOKEN_LEN_MAX + 2);
		uint8_t *joined = realloc(s->partial, s->partial_len + n);
		if (joined == NULL)
			return ERR_NO_MEMORY;
		s->partial = joined;
		memcpy(joined + s->partial_len, data->p, n);
		struct span in = span_of(joined, s->partial_len + n);
		size_t had = s->partial_len;
		e = mss_feed(s->mss, &in);
		size_t used = had + n - in.len;
		if (e == ERR_AGAIN && used < had) {
			s->partial_len = had + n; /* not even the waiting token is whole */
			span_skip(data, n);
			return data->len > 0 ? ERR_TOO_LONG : ERR_AGAIN;
		}
		s->partial_len = 0;
		span_skip(data, used > had ? used - had : 0);
		if (e != ERR_AGAIN)
			return e;
	}
	e = mss_feed(s->mss, data);
	if (e != ERR_AGAIN)
		return e;
	if (data->len > 0) {
		if (data->len > (size_t)MSS_TOKEN_LEN_MAX + 2)
			return ERR_TOO_LONG;
		uint8_t *kept = realloc(s->partial, data->len);
		if (kept == NULL)
			return ERR_NO_MEMORY;
		memcpy(kept, data->p, data->len);
		s->partial = kept;
		s->partial_len = data->len;
		span_skip(data, data->len);
	}
	return ERR_AGAIN;
}

static void input_negotiation(struct stream *s, struct span *data)
{
	enum err e = negotiate(s, data);
	if (e == ERR_OK || e == ERR_AGAIN) {
		enum err taken = take_negotiation(s);
		if (taken != ERR_OK)
			e = taken;
	}
	if (e == ERR_OK)
		agree(s);
	else if (e != ERR_AGAIN)
		die(s, e);
}

void stream_accept(struct conn *c, struct yamux_stream *mux)
{
	struct stream *s = NULL;
	if (c->n_negotiating_in < STREAM_NEGOTIATIONS_MAX)
		s = stream_new(c, &no_ops, NULL);
	if (s == NULL) {
		yamux_release(mux);
		return;
	}
	s->mux = mux;
	c->n_negotiating_in++;
	yamux_set_user(mux, s);
	mss_init_responder(s->mss, match_protocol, s);
}

enum err conn_open_stream(struct conn *c, const char *const *protocols, size_t n_protocols,
			  const struct stream_ops *ops, void *user, struct stream **ret_stream)
{
	loop_assert_here(c->env->loop);
	if (c->state != CONN_OPEN)
		return ERR_BAD_STATE;
	struct stream *s = stream_new(c, ops, user);
	if (s == NULL)
		return ERR_NO_MEMORY;
	s->is_outbound = true;
	enum err e = yamux_open(c->mux, s, &s->mux);
	if (e != ERR_OK) {
		stream_free(s);
		return e;
	}
	s->proposals = protocols;
	s->n_proposals = n_protocols;
	mss_init_initiator(s->mss, protocols, n_protocols);
	e = take_negotiation(s);
	if (e != ERR_OK) {
		yamux_release(s->mux);
		stream_free(s);
		return e;
	}
	conn_flush_later(c);
	*ret_stream = s;
	return ERR_OK;
}

/* --- in ------------------------------------------------------------------------------ */

void stream_input(struct stream *s, struct span data)
{
	size_t n = data.len;
	if (s->mss != NULL)
		input_negotiation(s, &data);
	if (!s->is_dead && data.len > 0 && s->ops->on_data != NULL)
		s->ops->on_data(s, data);
	if (s->mux != NULL) {
		yamux_consumed(s->mux, n, loop_now(s->conn->env->loop));
		conn_flush_later(s->conn);
	}
}

void stream_input_eof(struct stream *s)
{
	if (s->is_dead)
		return;
	if (s->mss != NULL) {
		die(s, ERR_EOF);
		return;
	}
	s->is_eof = true;
	if (s->ops->on_eof != NULL)
		s->ops->on_eof(s);
	check_finished(s);
}

void stream_input_reset(struct stream *s)
{
	die(s, ERR_RESET);
}

/* --- out ----------------------------------------------------------------------------- */

size_t stream_output(struct stream *s, uint8_t *buf, size_t cap)
{
	if (s->out_len > 0) {
		size_t n = MIN(cap, s->out_len);
		memcpy(buf, s->out + s->out_start, n);
		s->out_start += n;
		s->out_len -= n;
		if (s->out_len == 0) {
			free(s->out);
			s->out = NULL;
			s->out_start = 0;
		}
		return n;
	}
	if (s->mss != NULL || s->is_close_wanted || s->ops->pull == NULL)
		return 0;
	return s->ops->pull(s, buf, cap);
}

void stream_after_output(struct stream *s)
{
	if (!s->is_close_wanted || s->out_len > 0 || s->is_write_closed || s->is_dead)
		return;
	s->is_write_closed = true;
	yamux_close_write(s->mux);
	check_finished(s);
}

void stream_wake(struct stream *s)
{
	make_ready(s);
}

enum err stream_write(struct stream *s, struct span data)
{
	if (s->is_dead || s->is_close_wanted)
		return ERR_BAD_STATE;
	if (s->out_len + data.len > STREAM_WRITE_MAX)
		return ERR_FULL;
	if (data.len == 0)
		return ERR_OK;
	uint8_t *out = malloc(s->out_len + data.len);
	if (out == NULL)
		return ERR_NO_MEMORY;
	if (s->out_len > 0)
		memcpy(out, s->out + s->out_start, s->out_len);
	memcpy(out + s->out_len, data.p, data.len);
	free(s->out);
	s->out = out;
	s->out_start = 0;
	s->out_len += data.len;
	make_ready(s);
	return ERR_OK;
}

void stream_close_write(struct stream *s)
{
	if (s->is_dead || s->is_close_wanted)
		return;
	s->is_close_wanted = true;
	make_ready(s); /* stream_after_output() sends FIN when `out` is empty */
}

void stream_reset(struct stream *s, enum err why)
{
	die(s, why);
}

void *stream_user(const struct stream *s)
{
	return s->user;
}

void stream_set_user(struct stream *s, void *user)
{
	s->user = user;
}

struct conn *stream_conn(const struct stream *s)
{
	return s->conn;
}

const struct peer_id *stream_peer(const struct stream *s)
{
	return conn_peer(s->conn);
}

const char *stream_protocol(const struct stream *s)
{
	return s->protocol;
}

bool stream_is_outbound(const struct stream *s)
{
	return s->is_outbound;
}
