/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* swarm_link.c - a connection's place in the swarm: from stranger or attempt to a link of its peer
 */
#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "p2p/host/swarm_internal.h"

static void on_grace(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct link *l = CONTAINER_OF(timer, struct link, grace);
	if (l->peer->best == l)
		return;
	l->swarm->stats.superseded++;
	conn_close(l->conn, ERR_SUPERSEDED);
}

struct link *link_new(struct swarm *s, struct peer *p)
{
	struct link *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->swarm = s;
	l->peer = p;
	l->gate_slot = NO_SLOT;
	l->since = loop_now(s->conf.loop);
	loop_timer_init(&l->grace, s->conf.loop, on_grace);
	if (p != NULL)
		DL_APPEND(p->links, l);
	else
		DL_APPEND(s->strangers, l);
	s->n_conns++;
	return l;
}

void link_leave_gate(struct link *l)
{
	if (l->gate_slot != NO_SLOT)
		gate_release(&l->swarm->gate, l->gate_slot);
	l->gate_slot = NO_SLOT;
}

struct link *link_free(struct link *l)
{
	struct swarm *s = l->swarm;
	link_leave_gate(l);
	loop_timer_stop(&l->grace);
	if (l->peer != NULL)
		DL_DELETE(l->peer->links, l);
	else
		DL_DELETE(s->strangers, l);
	s->n_conns--;
	free(l);
	return NULL;
}

/* A stranger proved who it is: it becomes a link of its peer. */
static enum err introduce(struct link *l, const struct peer_id *id)
{
	struct swarm *s = l->swarm;
	struct peer *p = peer_obtain(s, id, s->conf.lane);
	if (p == NULL)
		return ERR_NO_MEMORY;
	DL_DELETE(s->strangers, l);
	DL_APPEND(p->links, l);
	l->peer = p;
	link_leave_gate(l);
	return ERR_OK;
}

enum err link_on_secured(struct conn *c)
{
	struct link *l = conn_owner(c);
	struct swarm *s = l->swarm;
	const struct peer_id *id = conn_peer(c);
	if (s->is_closing)
		return ERR_CLOSED;
	if (l->peer != NULL)
		return ERR_OK; /* we dialled it, and it is who we meant */
	if (!s->conf.events->is_allowed(s->conf.ctx, id)) {
		s->stats.refused_gated++;
		l->is_refused = true;
		if (s->conf.events->on_refused != NULL)
			s->conf.events->on_refused(s->conf.ctx, id, conn_remote(c));
		return ERR_GATED;
	}
	if (conn_lane(c) != s->conf.lane)
		return lane_on_secured(l);
	enum err e = introduce(l, id);
	if (e == ERR_OK && peer_has_too_many(l->peer)) {
		s->stats.refused_limit++;
		l->is_refused = true;
		e = ERR_LIMIT;
	}
	return e;
}

void link_on_open(struct conn *c)
{
	struct link *l = conn_owner(c);
	struct peer *p = l->peer;
	l->is_open = true;
	p->n_open++;
	l->swarm->stats.opened++;
	if (l->is_attempt) {
		l->is_attempt = false;
		p->last_good = *conn_remote(c);
	}
	p->failure = p->round = (struct dial_failure){.why = ERR_OK};
	dialer_connected(&p->dialer);
	peer_close_attempts(p);
	peer_choose_best(p);
	if (p->best != l && !loop_timer_is_set(&l->grace))
		loop_timer_set(&l->grace, nsec_add(loop_now(l->swarm->conf.loop), SWARM_GRACE));
}

static nsec_t age(const struct conn *c)
{
	return nsec_since(loop_now(conn_loop(c)), conn_opened_at(c));
}

void link_on_suspect(struct conn *c)
{
	struct link *l = conn_owner(c);
	peer_choose_best(l->peer);
	if (peer_needs_dialling(l->peer)) {
		dialer_lost(&l->peer->dialer, age(c), ERR_TIMEOUT);
		dialer_start(&l->peer->dialer);
	}
}

/* An open connection of this peer is gone. */
static void lose(struct peer *p, nsec_t lived, const struct dial_failure *failure)
{
	struct swarm *s = p->swarm;
	p->n_open--;
	peer_choose_best(p);
	if (p->best != NULL || !p->is_up)
		return;
	p->is_up = false;
	dialer_lost(&p->dialer, lived, failure->why);
	if (p->is_wanted && p->dialer.was_refused && failure->at.sa.sa_family != 0) {
		p->round = *failure;
		peer_tell_failure(p);
	}
	s->conf.events->on_down(s->conf.ctx, &p->id, failure->why);
}

static struct dial_failure failure_of(const struct conn *c, enum err why)
{
	struct dial_failure f = {.why = why, .reached = conn_reached(c)};
	if (conn_is_outbound(c))
		f.at = *conn_remote(c);
	if (why == ERR_WRONG_PEER)
		f.answered = *conn_answered(c);
	return f;
}

void link_on_close(struct conn *c, enum err why)
{
	struct link *l = conn_owner(c);
	struct swarm *s = l->swarm;
	struct peer *p = l->peer;
	bool was_open = l->is_open, was_attempt = l->is_attempt;
	if (was_open)
		s->stats.closed++;
	else if (conn_is_outbound(c))
		s->stats.failed_outbound++;
	else if (!l->is_refused)
		s->stats.failed_inbound++;
	log_debug("connection closed", "why=%s open=%d outbound=%d", err_name(why), was_open,
		  conn_is_outbound(c));
	nsec_t lived = age(c);
	struct dial_failure failure = failure_of(c, why);
	if (p != NULL && p->best == l)
		p->best = NULL;
	link_free(l);

	if (p != NULL) {
		if (was_open)
			lose(p, lived, &failure);
		if (was_attempt) {
			if (p->dialer.state == DIALER_ROUND)
				peer_note_failure(p, &failure);
			dialer_failed(&p->dialer);
		}
		if (!was_attempt && peer_needs_dialling(p))
			dialer_start(&p->dialer);
		peer_release(p);
	}
	swarm_check_closed(s);
}
