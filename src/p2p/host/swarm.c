/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* swarm.c - what others call, and a swarm's life; see swarm.h and swarm_internal.h */
#include "p2p/host/swarm.h"

#include <assert.h>
#include <stdlib.h>

#include "p2p/host/swarm_internal.h"

bool swarm_is_underlay(const struct swarm *s, const union netaddr *addr)
{
	return s->conf.events->is_underlay == NULL ||
	       s->conf.events->is_underlay(s->conf.ctx, addr);
}

void swarm_check_closed(struct swarm *s)
{
	if (s->is_closing && s->n_conns == 0)
		loop_defer(s->conf.loop, &s->closed);
}

static void on_closed(struct loop_task *task)
{
	struct swarm *s = CONTAINER_OF(task, struct swarm, closed);
	s->conf.events->on_closed(s->conf.ctx);
}

static void on_sweep(struct loop_task *task)
{
	struct swarm *s = CONTAINER_OF(task, struct swarm, sweep);
	struct peer *p, *tmp;
	HASH_ITER (hh, s->peers, p, tmp)
		peer_release(p);
}

enum err swarm_new(const struct swarm_conf *conf, struct swarm **ret_swarm)
{
	assert(conf->lane < LANES_MAX);
	assert((conf->events->takes_lane == NULL) == (conf->events->on_lane == NULL));
	struct swarm *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return ERR_NO_MEMORY;
	s->conf = *conf;
	s->env = (struct conn_env){
		.loop = conf->loop,
		.identity = conf->identity,
		.lane = conf->lane,
		.keepalive = conf->keepalive,
		.protocols = conf->protocols,
		.n_protocols = conf->n_protocols,
		.on_secured = link_on_secured,
		.on_open = link_on_open,
		.on_suspect = link_on_suspect,
		.on_leave = lane_on_leave,
		.on_close = link_on_close,
	};
	loop_random(conf->loop, &s->gate.key, sizeof(s->gate.key));
	s->closed.run = on_closed;
	s->sweep.run = on_sweep;
	loop_timer_init(&s->accept_pause, conf->loop, swarm_accept_again);
	*ret_swarm = s;
	return ERR_OK;
}

void swarm_close(struct swarm *s)
{
	loop_assert_here(s->conf.loop);
	if (s->is_closing)
		return;
	s->is_closing = true;
	loop_timer_stop(&s->accept_pause);
	for (size_t i = 0; i < s->n_listeners; i++)
		s->listeners[i].sock = sock_close(s->listeners[i].sock, false);
	s->n_listeners = 0;
	struct link *l;
	DL_FOREACH (s->strangers, l)
		conn_close(l->conn, ERR_CLOSED);
	struct peer *p, *tmp;
	HASH_ITER (hh, s->peers, p, tmp) {
		dialer_stop(&p->dialer);
		DL_FOREACH (p->links, l)
			conn_close(l->conn, ERR_CLOSED);
	}
	swarm_check_closed(s);
}

struct swarm *swarm_free(struct swarm *s)
{
	if (s == NULL)
		return NULL;
	assert(s->n_conns == 0);
	for (size_t i = 0; i < s->n_listeners; i++)
		sock_close(s->listeners[i].sock, false);
	struct peer *p, *tmp;
	HASH_ITER (hh, s->peers, p, tmp)
		peer_free(p);
	loop_timer_stop(&s->accept_pause);
	loop_task_cancel(&s->closed);
	loop_task_cancel(&s->sweep);
	iobuf_pool_deinit(&s->env.io);
	free(s);
	return NULL;
}

static enum err copy_addrs(struct multiaddr **addrs, size_t *n_addrs, const struct multiaddr *from,
			   size_t n_from)
{
	struct multiaddr *copy = NULL;
	if (n_from > 0) {
		copy = malloc(n_from * sizeof(*copy));
		if (copy == NULL)
			return ERR_NO_MEMORY;
		memcpy(copy, from, n_from * sizeof(*copy));
	}
	free(*addrs);
	*addrs = copy;
	*n_addrs = n_from;
	return ERR_OK;
}

enum err swarm_add_peer(struct swarm *s, const struct peer_id *id, const struct multiaddr *addrs,
			size_t n_addrs)
{
	loop_assert_here(s->conf.loop);
	if (peer_id_equal(id, identity_peer_id(s->conf.identity)))
		return ERR_SELF;
	struct peer *p = peer_find(s, id);
	if (p != NULL && p->is_wanted)
		return ERR_DUPLICATE;
	p = peer_obtain(s, id, s->conf.lane);
	if (p == NULL)
		return ERR_NO_MEMORY;
	enum err e = copy_addrs(&p->configured, &p->n_configured, addrs, n_addrs);
	if (e != ERR_OK) {
		peer_release(p);
		return e;
	}
	p->is_wanted = true;
	if (peer_needs_dialling(p))
		dialer_start(&p->dialer);
	return ERR_OK;
}

/* The peer itself stays for the rest of the turn: the caller may be in a callback of its dialler.
 */
void swarm_remove_peer(struct swarm *s, const struct peer_id *id)
{
	loop_assert_here(s->conf.loop);
	struct peer *p = peer_find(s, id);
	if (p == NULL)
		return;
	p->is_wanted = false;
	dialer_stop(&p->dialer);
	struct link *l;
	DL_FOREACH (p->links, l)
		conn_close(l->conn, ERR_CLOSED);
	loop_defer(s->conf.loop, &s->sweep);
}

void swarm_learn_addrs(struct swarm *s, const struct peer_id *id, const struct multiaddr *addrs,
		       size_t n_addrs)
{
	loop_assert_here(s->conf.loop);
	struct peer *p = peer_find(s, id);
	if (p == NULL)
		return;
	if (copy_addrs(&p->learned, &p->n_learned, addrs,
		       MIN(n_addrs, (size_t)IDENTIFY_ADDRS_MAX)) == ERR_OK &&
	    peer_needs_dialling(p))
		dialer_start(&p->dialer);
}

void swarm_demand(struct swarm *s, const struct peer_id *id)
{
	struct peer *p = peer_find(s, id);
	if (p != NULL)
		dialer_demand(&p->dialer);
}

void swarm_network_changed(struct swarm *s)
{
	loop_assert_here(s->conf.loop);
	struct peer *p, *tmp;
	HASH_ITER (hh, s->peers, p, tmp) {
		if (p->best != NULL)
			conn_doubt(p->best->conn);
		else if (peer_needs_dialling(p))
			dialer_start(&p->dialer);
		dialer_retry_now(&p->dialer);
	}
}

struct conn *swarm_best(struct swarm *s, const struct peer_id *id)
{
	loop_assert_here(s->conf.loop);
	struct peer *p = peer_find(s, id);
	return p != NULL && p->best != NULL ? p->best->conn : NULL;
}

enum err swarm_peer_info(struct swarm *s, const struct peer_id *id,
			 struct swarm_peer_info *ret_info)
{
	loop_assert_here(s->conf.loop);
	struct peer *p = peer_find(s, id);
	if (p == NULL)
		return ERR_NOT_FOUND;
	struct swarm_peer_info info = {
		.is_dialling = p->dialer.state != DIALER_IDLE,
		.n_conns = p->n_open,
		.failure = p->failure,
	};
	const struct link *l;
	DL_FOREACH (p->links, l) {
		if (l->is_attempt)
			info.dialling = *conn_remote(l->conn);
	}
	if (p->best != NULL) {
		const struct conn *c = p->best->conn;
		info.is_connected = true;
		info.is_suspect = conn_is_suspect(c);
		info.is_outbound = conn_is_outbound(c);
		netaddr_to_multiaddr(conn_remote(c), &info.remote);
		info.connected_at = conn_opened_at(c);
		info.rtt = conn_rtt(c);
		info.stats = conn_get_stats(c);
	}
	*ret_info = info;
	return ERR_OK;
}

struct swarm_stats swarm_get_stats(const struct swarm *s)
{
	return s->stats;
}

size_t swarm_conn_count(const struct swarm *s)
{
	return s->n_conns;
}

const struct identity *swarm_identity(const struct swarm *s)
{
	return s->conf.identity;
}

struct swarm *conn_swarm(const struct conn *c)
{
	return CONTAINER_OF(conn_get_env(c), struct swarm, env);
}
