/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* conn_baton.c - see conn_baton.h */
#include "p2p/host/conn_baton.h"

#include <assert.h>
#include <stdlib.h>

#include "p2p/host/conn_internal.h"

/* The remote's id and key, and the lane, are the secure channel's to know. */
struct conn_baton {
	struct sock_baton sock;
	struct secure *secure;
	union netaddr remote;
	struct conn_stats stats;
	nsec_t opened_at; /* the handshake was done; loops share the clock */
	size_t records_len;
	uint8_t records[]; /* that came behind the handshake, not opened */
};

const struct peer_id *conn_baton_peer(const struct conn_baton *baton)
{
	return &baton->secure->remote_id;
}

uint32_t conn_baton_lane(const struct conn_baton *baton)
{
	return baton->secure->remote_lane;
}

const union netaddr *conn_baton_remote(const struct conn_baton *baton)
{
	return &baton->remote;
}

struct conn_baton *conn_baton_free(struct conn_baton *baton)
{
	if (baton == NULL)
		return NULL;
	sock_baton_close(&baton->sock, false);
	secure_free(baton->secure);
	free(baton);
	return NULL;
}

enum err conn_leave(struct conn *c, struct span records)
{
	assert(!c->is_outbound && c->secure->is_muxer_agreed && c->mux == NULL);
	if (c->upgrade->out_len > 0)
		return ERR_PROTOCOL; /* it answers what it cannot have read */
	struct conn_baton *baton = malloc(sizeof(*baton) + records.len);
	if (baton == NULL)
		return ERR_NO_MEMORY;
	*baton = (struct conn_baton){
		.remote = c->remote,
		.opened_at = loop_now(c->env->loop),
		.records_len = records.len,
	};
	if (records.len > 0)
		memcpy(baton->records, records.p, records.len);
	c->baton = baton;
	conn_set_state(c, CONN_LEAVING);
	loop_timer_stop(&c->timer);
	loop_task_cancel(&c->flush);
	conn_watch(c);
	loop_defer(c->env->loop, &c->reap);
	return ERR_OK;
}

struct conn_baton *conn_pack(struct conn *c)
{
	struct conn_baton *baton = c->baton;
	c->baton = NULL;
	sock_detach(c->sock, &baton->sock);
	c->sock = NULL;
	baton->secure = c->secure;
	c->secure = NULL;
	baton->stats = c->stats;
	return baton;
}

/* What it holds becomes the connection's. */
static enum err unpack(struct conn *c, struct conn_baton *baton)
{
	enum err e = sock_attach(c->env->loop, &baton->sock, &c->sock);
	if (e != ERR_OK)
		return e;
	c->state = CONN_SECURING;
	c->secure = baton->secure;
	baton->secure = NULL;
	c->lane = c->secure->remote_lane;
	c->stats = baton->stats;
	return conn_start_mux(c, baton->opened_at);
}

enum err conn_adopt(struct conn_env *env, struct conn_baton *baton, void *owner,
		    struct conn **ret_conn)
{
	struct conn *c = conn_new(env, NULL, &baton->remote, owner);
	enum err e = c != NULL ? unpack(c, baton) : ERR_NO_MEMORY;
	if (e == ERR_OK) {
		*ret_conn = c;
		env->on_open(c);
		conn_io_feed(c, span_of(baton->records, baton->records_len));
		conn_flush_later(c);
		conn_watch(c);
	} else if (c != NULL) {
		conn_free(c);
	}
	conn_baton_free(baton);
	return e;
}
