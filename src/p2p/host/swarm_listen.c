/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * swarm_listen.c - who comes in
 *
 * A connection passes the gate (gate.h) before a byte of it is read: the tunnel must not run
 * through itself, one address block gets its share, and known addresses have places of their own.
 */
#include <assert.h>

#include "p2p/host/swarm_internal.h"

enum {
	ACCEPTS_PER_TURN = 16, /* connections before others get their turn */
};

#define ACCEPT_PAUSE NSEC_PER_SEC /* out of descriptors: try again after so long */

static bool is_among(const struct multiaddr *addrs, size_t n, const union netaddr *ip)
{
	for (size_t i = 0; i < n; i++) {
		union netaddr at;
		if (netaddr_from_multiaddr(&addrs[i], &at) == ERR_OK && netaddr_same_ip(&at, ip))
			return true;
	}
	return false;
}

/* Has a wanted peer been seen at this address? Then it may use the reserved places. */
static bool is_known_address(struct swarm *s, const union netaddr *from)
{
	struct peer *p, *tmp;
	HASH_ITER (hh, s->peers, p, tmp) {
		if (!p->is_wanted)
			continue;
		if (p->last_good.sa.sa_family != 0 && netaddr_same_ip(&p->last_good, from))
			return true;
		if (is_among(p->configured, p->n_configured, from) ||
		    is_among(p->learned, p->n_learned, from))
			return true;
	}
	return false;
}

/* All places are taken: does the stranger that has stood there longest give its own up? Otherwise
 * a few who say nothing would hold them all, UPGRADE_TIMEOUT each. */
static bool make_room(struct swarm *s, nsec_t now)
{
	struct link *oldest; /* of those that did not make room already */
	DL_FOREACH (s->strangers, oldest) {
		if (oldest->gate_slot != NO_SLOT)
			break;
	}
	if (oldest == NULL || nsec_since(now, oldest->since) < CONN_YIELD)
		return false;
	s->stats.refused_limit++;
	link_leave_gate(oldest);
	conn_close(oldest->conn, ERR_LIMIT);
	return true;
}

/* Who is known is asked only where the answer matters: it is a walk over all peers. */
static enum err pass_gate(struct swarm *s, const union netaddr *from, unsigned *ret_slot)
{
	nsec_t now = loop_now(s->conf.loop);
	bool is_known = false;
	unsigned slot;
	enum err e = gate_admit(&s->gate, from, false, &slot);
	if (e == ERR_FULL && make_room(s, now))
		e = gate_admit(&s->gate, from, false, &slot);
	if (e != ERR_OK) {
		e = gate_admit(&s->gate, from, true, &slot);
		if (e != ERR_OK)
			return e;
		is_known = is_known_address(s, from);
		e = is_known ? ERR_OK : ERR_LIMIT;
	}
	if (e == ERR_OK)
		e = gate_pace(&s->gate, from, is_known, now);
	if (e == ERR_BUSY && is_known_address(s, from))
		e = gate_pace(&s->gate, from, true, now);
	if (e != ERR_OK) {
		gate_release(&s->gate, slot);
		return e;
	}
	*ret_slot = slot;
	return ERR_OK;
}

static void admit(struct swarm *s, struct sock *sock, const union netaddr *from)
{
	s->stats.accepted++;
	if (!swarm_is_underlay(s, from)) {
		s->stats.refused_gated++;
		static const struct peer_id unknown;
		if (s->conf.events->on_refused != NULL)
			s->conf.events->on_refused(s->conf.ctx, &unknown, from);
		sock_close(sock, true);
		return;
	}
	unsigned slot;
	if (s->n_conns >= CONN_MAX || pass_gate(s, from, &slot) != ERR_OK) {
		s->stats.refused_limit++;
		sock_close(sock, true);
		return;
	}
	struct link *l = link_new(s, NULL);
	if (l == NULL) {
		gate_release(&s->gate, slot);
		sock_close(sock, true);
		return;
	}
	l->gate_slot = slot;
	if (conn_accept(&s->env, sock, from, l, &l->conn) != ERR_OK) {
		link_free(l);
		sock_close(sock, true);
	}
}

static void on_acceptable(void *ctx, unsigned ready)
{
	(void)ready;
	struct listener *l = ctx;
	struct swarm *s = l->swarm;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sock *sock;
		union netaddr from;
		enum err e = sock_accept(l->sock, &s->conf.tcp, &sock, &from);
		if (e == ERR_AGAIN)
			return;
		if (e == ERR_FDS || e == ERR_NO_MEMORY) {
			/* The listener stays readable: without a pause we would spin. */
			for (size_t j = 0; j < s->n_listeners; j++)
				sock_watch(s->listeners[j].sock, 0, NULL, NULL);
			loop_timer_set(&s->accept_pause,
				       nsec_add(loop_now(s->conf.loop), ACCEPT_PAUSE));
			return;
		}
		if (e == ERR_OK)
			admit(s, sock, &from);
	}
}

void swarm_accept_again(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct swarm *s = CONTAINER_OF(timer, struct swarm, accept_pause);
	for (size_t i = 0; i < s->n_listeners; i++)
		sock_watch(s->listeners[i].sock, SOCK_READABLE, on_acceptable, &s->listeners[i]);
}

enum err swarm_listen(struct swarm *s, const struct multiaddr *addr)
{
	loop_assert_here(s->conf.loop);
	union netaddr at;
	enum err e = netaddr_from_multiaddr(addr, &at);
	if (e != ERR_OK)
		return e;
	if (s->n_listeners == LISTENERS_MAX)
		return ERR_LIMIT;
	struct listener *l = &s->listeners[s->n_listeners];
	*l = (struct listener){.swarm = s};
	e = loop_tcp_listen(s->conf.loop, &at, &l->sock);
	if (e != ERR_OK)
		return e;
	if (sock_local(l->sock, &l->at) != ERR_OK)
		l->at = at;
	s->n_listeners++;
	sock_watch(l->sock, SOCK_READABLE, on_acceptable, l);
	return ERR_OK;
}

size_t swarm_listen_addrs(const struct swarm *s, struct multiaddr *ret_addrs, size_t cap)
{
	size_t n = MIN(cap, s->n_listeners);
	for (size_t i = 0; i < n; i++)
		netaddr_to_multiaddr(&s->listeners[i].at, &ret_addrs[i]);
	return n;
}
