/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conn.c - the life of a connection: made, moved between states, closed, freed; its timer
 *
 * See conn.h for the states. The moves that are allowed are in `moves`; any other is our mistake.
 */
#include "p2p/host/conn.h"

#include <assert.h>
#include <stdlib.h>

#include "p2p/host/conn_baton.h"
#include "p2p/host/conn_internal.h"

#define BIT(state) (1u << (state))

static const struct {
	const char *name;
	unsigned allowed; /* states that may follow */
} moves[] = {
	[CONN_DIALLING] = {"dialling", BIT(CONN_SELECTING) | BIT(CONN_CLOSING)},
	[CONN_SELECTING] = {"selecting", BIT(CONN_SECURING) | BIT(CONN_CLOSING)},
	[CONN_SECURING] = {"securing", BIT(CONN_MUXING) | BIT(CONN_OPEN) | BIT(CONN_LEAVING) |
					       BIT(CONN_CLOSING)},
	[CONN_MUXING] = {"muxing", BIT(CONN_OPEN) | BIT(CONN_CLOSING)},
	[CONN_OPEN] = {"open", BIT(CONN_CLOSING)},
	[CONN_LEAVING] = {"leaving", BIT(CONN_CLOSING)},
	[CONN_CLOSING] = {"closing", 0},
};
static_assert(ARRAY_LEN(moves) == CONN_STATE_COUNT, "a row for each state");

const char *conn_state_name(enum conn_state state)
{
	return moves[state].name;
}

void conn_set_state(struct conn *c, enum conn_state state)
{
	assert(moves[c->state].allowed & BIT(state));
	c->state = state;
}

static void on_ready(void *ctx, unsigned ready)
{
	struct conn *c = ctx;
	if (ready & SOCK_WRITABLE) {
		c->is_blocked = false;
		if (c->state < CONN_MUXING)
			conn_upgrade_writable(c);
		else
			conn_io_flush(c);
	}
	if (ready & SOCK_READABLE) {
		if (c->state < CONN_MUXING)
			conn_upgrade_readable(c);
		else
			conn_io_readable(c);
	}
	conn_watch(c);
}

/* Ask the loop for what this state waits for. */
void conn_watch(struct conn *c)
{
	unsigned want = SOCK_READABLE;
	if (c->state == CONN_CLOSING || c->state == CONN_LEAVING)
		want = 0;
	else if (c->state == CONN_DIALLING)
		want = SOCK_WRITABLE;
	else if (c->is_blocked)
		want |= SOCK_WRITABLE;
	if (want != c->watched) {
		c->watched = want;
		sock_watch(c->sock, want, on_ready, c);
	}
}

/* The peer's kernel acknowledged more: life, though nothing was received. */
static void look_for_acks(struct conn *c, nsec_t now)
{
	struct tcp_stats tcp;
	if (sock_tcp_stats(c->sock, &tcp) != ERR_OK || tcp.acked_bytes == c->acked_bytes)
		return;
	c->acked_bytes = tcp.acked_bytes;
	liveness_acked(&c->liveness, now, tcp.unacked_segs == 0 && tcp.notsent_bytes == 0);
}

static void check_liveness(struct conn *c, nsec_t now)
{
	if (liveness_deadline(&c->liveness) > now)
		return;
	look_for_acks(c, now);

	switch (liveness_step(&c->liveness, now)) {
	case LIVENESS_OK:
		break;
	case LIVENESS_PING:
		conn_ping(c);
		break;
	case LIVENESS_SUSPECTED:
		c->env->on_suspect(c);
		break;
	case LIVENESS_IS_DEAD:
		conn_close(c, ERR_TIMEOUT);
		break;
	}
}

static void on_timer(struct loop_timer *timer, nsec_t now)
{
	struct conn *c = CONTAINER_OF(timer, struct conn, timer);
	if (c->state == CONN_CLOSING)
		return;
	if (c->state != CONN_OPEN) {
		conn_close(c, ERR_TIMEOUT);
		return;
	}
	check_liveness(c, now);
	conn_arm(c);
}

/* The timer follows the earliest thing that can become due. */
void conn_arm(struct conn *c)
{
	if (c->state == CONN_OPEN)
		loop_timer_set(&c->timer, liveness_deadline(&c->liveness));
}

static void on_flush(struct loop_task *task)
{
	struct conn *c = CONTAINER_OF(task, struct conn, flush);
	if (c->state < CONN_MUXING) {
		conn_upgrade_writable(c);
	} else if (c->state != CONN_CLOSING) {
		conn_io_flush(c);
	}
	if (c->state != CONN_CLOSING) {
		stream_reap(c, false);
		conn_watch(c);
	}
}

void conn_flush_later(struct conn *c)
{
	if (c->state != CONN_CLOSING)
		loop_defer(c->env->loop, &c->flush);
}

struct conn *conn_free(struct conn *c)
{
	loop_timer_stop(&c->timer);
	loop_task_cancel(&c->flush);
	loop_task_cancel(&c->reap);
	c->mux = yamux_free(c->mux);
	c->secure = secure_free(c->secure);
	c->rx = iobuf_give(&c->env->io, c->rx);
	c->tx = iobuf_give(&c->env->io, c->tx);
	/* What the kernel already took may still be on its way: a go-away, a last packet. But not
	 * if nobody answered: it would come after what was sent anew on another connection. */
	c->sock = sock_close(c->sock, c->why == ERR_TIMEOUT || liveness_is_suspect(&c->liveness));
	free(c->upgrade);
	conn_baton_free(c->baton);
	free(c);
	return NULL;
}

static void on_reap(struct loop_task *task)
{
	struct conn *c = CONTAINER_OF(task, struct conn, reap);
	if (c->state == CONN_LEAVING) {
		c->env->on_leave(c, conn_pack(c));
	} else {
		stream_reap(c, true);
		c->env->on_close(c, c->why);
	}
	conn_free(c);
}

void conn_close(struct conn *c, enum err why)
{
	loop_assert_here(c->env->loop);
	if (c->state == CONN_CLOSING)
		return;
	if (c->state == CONN_OPEN && why != ERR_GO_AWAY && why != ERR_EOF && why != ERR_RESET) {
		yamux_go_away(c->mux,
			      why == ERR_PROTOCOL ? YAMUX_GO_AWAY_PROTOCOL : YAMUX_GO_AWAY_NORMAL);
		conn_io_flush(c);
		if (c->state == CONN_CLOSING)
			return;
	}
	c->why = why;
	c->reached = c->state;
	conn_set_state(c, CONN_CLOSING);
	loop_timer_stop(&c->timer);
	loop_task_cancel(&c->flush);
	conn_watch(c);
	loop_defer(c->env->loop, &c->reap);
}

struct conn *conn_new(struct conn_env *env, struct sock *sock, const union netaddr *remote,
		      void *owner)
{
	struct conn *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->env = env;
	c->owner = owner;
	c->sock = sock;
	c->remote = *remote;
	c->flush.run = on_flush;
	c->reap.run = on_reap;
	loop_timer_init(&c->timer, env->loop, on_timer);
	return c;
}

/* With the way to the muxer before it. */
static struct conn *new_upgrade(struct conn_env *env, struct sock *sock,
				const union netaddr *remote, void *owner)
{
	struct conn *c = conn_new(env, sock, remote, owner);
	if (c == NULL)
		return NULL;
	c->upgrade = calloc(1, sizeof(*c->upgrade));
	if (c->upgrade == NULL) {
		free(c);
		return NULL;
	}
	loop_timer_set(&c->timer, nsec_add(loop_now(env->loop), UPGRADE_TIMEOUT));
	return c;
}

enum err conn_dial(struct conn_env *env, const union netaddr *to, const struct tcp_opts *opts,
		   const struct peer_id *expected, void *owner, struct conn **ret_conn)
{
	struct sock *sock;
	enum err e = loop_tcp_dial(env->loop, to, opts, &sock);
	if (e != ERR_OK)
		return e;
	struct conn *c = new_upgrade(env, sock, to, owner);
	if (c == NULL) {
		sock_close(sock, true);
		return ERR_NO_MEMORY;
	}
	c->is_outbound = true;
	c->lane = env->lane;
	c->expected = *expected;
	c->state = CONN_DIALLING;
	/* A SYN that is lost is sent again after 1 s, 3 s, 7 s: a new attempt finds a path that
	 * came back sooner. */
	c->upgrade_by = c->timer.at;
	loop_timer_set(&c->timer, nsec_add(loop_now(env->loop), CONNECT_TIMEOUT));
	conn_watch(c);
	*ret_conn = c;
	return ERR_OK;
}

enum err conn_accept(struct conn_env *env, struct sock *sock, const union netaddr *from,
		     void *owner, struct conn **ret_conn)
{
	struct conn *c = new_upgrade(env, sock, from, owner);
	if (c == NULL)
		return ERR_NO_MEMORY;
	c->state = CONN_SELECTING;
	enum err e = conn_upgrade_start(c);
	if (e != ERR_OK) {
		c->sock = NULL;
		conn_free(c);
		return e;
	}
	conn_watch(c);
	*ret_conn = c;
	return ERR_OK;
}

enum conn_state conn_get_state(const struct conn *c)
{
	return c->state;
}

bool conn_is_outbound(const struct conn *c)
{
	return c->is_outbound;
}

uint32_t conn_lane(const struct conn *c)
{
	return c->lane;
}

bool conn_is_suspect(const struct conn *c)
{
	return c->state == CONN_OPEN && liveness_is_suspect(&c->liveness);
}

const struct peer_id *conn_peer(const struct conn *c)
{
	static const struct peer_id nobody;
	return c->secure != NULL && c->secure->is_done ? &c->secure->remote_id : &nobody;
}

const struct peer_id *conn_answered(const struct conn *c)
{
	static const struct peer_id nobody;
	return c->secure != NULL ? &c->secure->remote_id : &nobody;
}

enum conn_state conn_reached(const struct conn *c)
{
	return c->state == CONN_CLOSING ? c->reached : c->state;
}

struct span conn_peer_key(const struct conn *c)
{
	if (c->secure == NULL || !c->secure->is_done)
		return span_of(NULL, 0);
	return span_of(c->secure->remote_key, c->secure->remote_key_len);
}

const union netaddr *conn_remote(const struct conn *c)
{
	return &c->remote;
}

enum err conn_local(const struct conn *c, union netaddr *ret_addr)
{
	return sock_local(c->sock, ret_addr);
}

nsec_t conn_opened_at(const struct conn *c)
{
	return c->opened_at;
}

nsec_t conn_rtt(const struct conn *c)
{
	return c->mux != NULL ? yamux_rtt(c->mux) : 0;
}

uint64_t conn_in_flight_bytes(const struct conn *c)
{
	enum {
		SEGMENT = 1448, /* bytes; the kernel counts segments, most of them are full */
	};
	struct tcp_stats tcp;
	uint64_t ours = c->tx != NULL ? c->tx->end - c->tx->start : 0;
	if (c->state != CONN_OPEN || sock_tcp_stats(c->sock, &tcp) != ERR_OK)
		return ours;
	return ours + tcp.notsent_bytes + (uint64_t)tcp.unacked_segs * SEGMENT;
}

struct conn_stats conn_get_stats(const struct conn *c)
{
	return c->stats;
}

size_t conn_stream_count(const struct conn *c)
{
	return c->mux != NULL ? yamux_stream_count(c->mux) : 0;
}

struct loop *conn_loop(const struct conn *c)
{
	return c->env->loop;
}

struct conn_env *conn_get_env(const struct conn *c)
{
	return c->env;
}

void *conn_owner(const struct conn *c)
{
	return c->owner;
}

void conn_ping(struct conn *c)
{
	loop_assert_here(c->env->loop);
	if (c->state != CONN_OPEN)
		return;
	yamux_ping(c->mux);
	conn_flush_later(c);
}

void conn_doubt(struct conn *c)
{
	loop_assert_here(c->env->loop);
	if (c->state != CONN_OPEN)
		return;
	nsec_t now = loop_now(c->env->loop);
	look_for_acks(c, now); /* those that came until now say nothing about what comes */
	liveness_doubt(&c->liveness, now);
	conn_arm(c);
	conn_ping(c);
}
