/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conn_upgrade.c - from TCP to the muxer
 *
 * Spec: libp2p connections, "Upgrading connections". The dialler proposes. A peer may send the next
 * step's bytes before this one's answer (rust, go), so each step reads from the front of one buffer
 * and leaves the rest to the next. Until the muxer is agreed a connection holds one struct upgrade
 * and no more.
 */
#include <assert.h>
#include <stdlib.h>

#include "p2p/host/conn_internal.h"
#include "p2p/secure/noise.h"

static const char *const secure_protocols[] = {"/noise"};
static const char *const mux_protocols[] = {"/yamux/1.0.0"};

static int match(const char *const *names, size_t n, struct span name)
{
	for (size_t i = 0; i < n; i++) {
		if (span_equal(name, span_str(names[i])))
			return (int)i;
	}
	return -1;
}

static int match_secure(void *ctx, struct span name)
{
	(void)ctx;
	return match(secure_protocols, ARRAY_LEN(secure_protocols), name);
}

static int match_mux(void *ctx, struct span name)
{
	(void)ctx;
	return match(mux_protocols, ARRAY_LEN(mux_protocols), name);
}

/* Move what mss or the handshake wants to say to the socket. */
static void take_and_send(struct conn *c)
{
	struct upgrade *u = c->upgrade;
	struct wbuf out = wbuf_of(u->out, sizeof(u->out));
	out.len = u->out_len;
	enum err e = mss_take(&u->mss, &out);
	if (e == ERR_OK && c->secure != NULL)
		e = c->secure->ops->take(c->secure, &out);
	u->out_len = out.len;
	if (e != ERR_OK && e != ERR_FULL) {
		conn_close(c, e);
		return;
	}
	while (u->out_len > 0) {
		struct iovec iov = {.iov_base = u->out, .iov_len = u->out_len};
		size_t n;
		e = sock_writev(c->sock, &iov, 1, &n);
		if (e == ERR_AGAIN) {
			c->is_blocked = true;
			return;
		}
		if (e != ERR_OK) {
			conn_close(c, e);
			return;
		}
		c->stats.tx_bytes += n;
		memmove(u->out, u->out + n, u->out_len - n);
		u->out_len -= n;
	}
}

static enum err start_secure(struct conn *c)
{
	struct noise_conf conf = {
		.role = c->is_outbound ? SECURE_INITIATOR : SECURE_RESPONDER,
		.identity = c->env->identity,
		.expected = c->expected,
		.muxer = mux_protocols[0],
		.lane = c->lane,
	};
	loop_random(c->env->loop, conf.static_secret, sizeof(conf.static_secret));
	loop_random(c->env->loop, conf.ephemeral_secret, sizeof(conf.ephemeral_secret));
	enum err e = noise_new(&conf, &c->secure);
	explicit_bzero(&conf, sizeof(conf));
	if (e == ERR_OK)
		conn_set_state(c, CONN_SECURING);
	return e;
}

enum err conn_start_mux(struct conn *c, nsec_t opened_at)
{
	nsec_t now = loop_now(c->env->loop);
	enum err e = yamux_new(c->is_outbound ? YAMUX_CLIENT : YAMUX_SERVER, &c->mux);
	if (e != ERR_OK)
		return e;
	conn_set_state(c, CONN_OPEN);
	c->was_open = true;
	c->opened_at = opened_at;
	free(c->upgrade);
	c->upgrade = NULL;
	liveness_init(&c->liveness, c->env->keepalive, now);
	conn_arm(c);
	conn_ping(c); /* a first round-trip time, for window tuning and for people */
	return ERR_OK;
}

static enum err start_mux(struct conn *c)
{
	enum err e = conn_start_mux(c, loop_now(c->env->loop));
	if (e == ERR_OK)
		c->env->on_open(c);
	return e;
}

/* Handshake bytes that the socket has not taken yet go in front of the first record. */
static enum err carry_output(struct conn *c)
{
	struct upgrade *u = c->upgrade;
	if (u->out_len == 0)
		return ERR_OK;
	c->tx = iobuf_take(&c->env->io);
	if (c->tx == NULL)
		return ERR_NO_MEMORY;
	memcpy(c->tx->bytes, u->out, u->out_len);
	c->tx->end = u->out_len;
	u->out_len = 0;
	return ERR_OK;
}

/* The peer proved who it is: may it stay, and is the muxer settled? */
static enum err finish_secure(struct conn *c, struct span records)
{
	if (!c->is_outbound)
		c->lane = c->secure->remote_lane;
	/* So that there is but one point at which a connection moves to its lane's shard. Who knows
	 * lanes offers the muxer early. */
	if ((c->lane != 0 || c->env->lane != 0) && !c->secure->is_muxer_agreed)
		return ERR_NEGOTIATION;
	enum err e = c->env->on_secured(c);
	if (e == ERR_OK && c->lane != c->env->lane)
		return conn_leave(c, records);
	if (e == ERR_OK)
		e = carry_output(c);
	if (e != ERR_OK)
		return e;
	if (c->secure->is_muxer_agreed)
		return start_mux(c);

	conn_set_state(c, CONN_MUXING);
	struct mss *mss = &c->upgrade->mss;
	if (c->is_outbound)
		mss_init_initiator(mss, mux_protocols, ARRAY_LEN(mux_protocols));
	else
		mss_init_responder(mss, match_mux, c);
	return ERR_OK;
}

/* As far as `in` carries. ERR_AGAIN: more input is needed. */
static enum err advance(struct conn *c, struct span *in)
{
	enum err e;
	if (c->state == CONN_SELECTING) {
		e = mss_feed(&c->upgrade->mss, in);
		if (e != ERR_OK)
			return e;
		take_and_send(c); /* the responder's echo goes before the handshake's first bytes */
		if (c->state == CONN_CLOSING)
			return ERR_OK;
		e = start_secure(c);
		if (e != ERR_OK)
			return e;
	}
	e = c->secure->ops->feed(c->secure, in);
	take_and_send(c);
	if (e != ERR_OK || c->state == CONN_CLOSING)
		return e;
	return c->secure->is_done ? ERR_OK : ERR_AGAIN;
}

enum err conn_upgrade_start(struct conn *c)
{
	if (c->is_outbound)
		mss_init_initiator(&c->upgrade->mss, secure_protocols, ARRAY_LEN(secure_protocols));
	else
		mss_init_responder(&c->upgrade->mss, match_secure, c);
	conn_flush_later(c);
	return ERR_OK;
}

static void after_input(struct conn *c, struct span rest)
{
	struct upgrade *u = c->upgrade;
	if (!c->secure || !c->secure->is_done) {
		if (rest.len > 0)
			memmove(u->in, rest.p, rest.len);
		u->in_len = rest.len;
		return;
	}
	/* Records came right behind the handshake. The upgrade's memory may go while they are read.
	 */
	uint8_t records[UPGRADE_IN_LEN];
	size_t len = rest.len;
	memcpy(records, rest.p, len);
	u->in_len = 0;
	enum err e = finish_secure(c, span_of(records, len));
	if (e != ERR_OK)
		conn_close(c, e);
	if (e != ERR_OK || c->state == CONN_LEAVING)
		return;
	conn_io_feed(c, span_of(records, len));
	conn_flush_later(c);
}

void conn_upgrade_readable(struct conn *c)
{
	struct upgrade *u = c->upgrade;
	if (u->in_len == sizeof(u->in)) {
		conn_close(c, ERR_TOO_LONG);
		return;
	}
	size_t n;
	enum err e = sock_read(c->sock, u->in + u->in_len, sizeof(u->in) - u->in_len, &n);
	if (e == ERR_AGAIN)
		return;
	if (e != ERR_OK) {
		conn_close(c, e);
		return;
	}
	c->stats.rx_bytes += n;
	u->in_len += n;

	struct span in = span_of(u->in, u->in_len);
	e = advance(c, &in);
	if (c->state == CONN_CLOSING)
		return;
	if (e != ERR_OK && e != ERR_AGAIN) {
		conn_close(c, e);
		return;
	}
	after_input(c, in);
}

void conn_upgrade_writable(struct conn *c)
{
	if (c->state == CONN_DIALLING) {
		enum err e = sock_error(c->sock);
		if (e != ERR_OK) {
			conn_close(c, e);
			return;
		}
		conn_set_state(c, CONN_SELECTING);
		loop_timer_set(&c->timer, c->upgrade_by);
		e = conn_upgrade_start(c);
		if (e != ERR_OK) {
			conn_close(c, e);
			return;
		}
	}
	take_and_send(c);
}

void conn_upgrade_plain(struct conn *c, struct span *plain)
{
	struct upgrade *u = c->upgrade;
	/* A token is short: an incomplete one waits here, joined with what comes. */
	size_t n = MIN(plain->len, sizeof(u->in) - u->in_len);
	memcpy(u->in + u->in_len, plain->p, n);
	size_t had = u->in_len;
	struct span in = span_of(u->in, had + n);
	enum err e = mss_feed(&u->mss, &in);
	if (e == ERR_AGAIN) {
		if (in.len > 0)
			memmove(u->in, in.p, in.len);
		u->in_len = in.len;
		span_skip(plain, n);
		conn_flush_later(c);
		if (plain->len > 0)
			conn_close(c, ERR_TOO_LONG);
		return;
	}
	if (e != ERR_OK) {
		conn_close(c, e);
		return;
	}
	/* What mss left is the tail of `plain`: tokens never reach back into what was consumed
	 * before. */
	size_t used = had + n - in.len;
	span_skip(plain, used > had ? used - had : 0);

	/* The responder's echo must leave before the muxer's first frame. */
	conn_io_flush(c);
	if (c->state == CONN_CLOSING)
		return;
	e = start_mux(c);
	if (e != ERR_OK)
		conn_close(c, e);
}

void conn_upgrade_take(struct conn *c, struct wbuf *out)
{
	enum err e = mss_take(&c->upgrade->mss, out);
	if (e != ERR_OK && e != ERR_FULL)
		conn_close(c, e);
}
