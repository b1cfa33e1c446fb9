/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * swarm.c - see swarm.h
 *
 * Each connection has a struct link here: which peer it belongs to (from the start for those that
 * we dial, from the proof of identity for the others) and what it holds of the limits. A peer lives
 * as long as it is wanted or has links.
 */
#include "p2p/host/swarm.h"

#include <assert.h>
#include <stdlib.h>

/* Without memory for its buckets, uthash leaves out the element and sets its hh.tbl to NULL. */
#define HASH_NONFATAL_OOM 1
/* Only peers that may connect get in: strangers cannot choose keys that collide. */
#define HASH_FUNCTION(key, len, hash) HASH_OAT(key, len, hash)
#include <uthash.h>
#include <utlist.h>

#include "base/log.h"
#include "base/util.h"
#include "p2p/host/gate.h"
#include "p2p/host/netaddr.h"

enum {
	LISTENERS_MAX = 16,           /* sockets: an address list in a configuration is short */
	ACCEPTS_PER_TURN = 16,        /* connections before others get their turn */
	NO_SLOT = CONN_TRANSIENT_MAX, /* a link that holds no place at the gate */
};

#define ACCEPT_PAUSE NSEC_PER_SEC /* out of descriptors: try again after so long */

struct peer {
	struct peer_id id;
	struct swarm *swarm;
	bool is_wanted;
	bool is_up;         /* on_best was told, on_down not yet */
	struct link *links; /* open, or attempts of our dialer */
	struct link *best;
	size_t n_open;
	struct dialer dialer;
	struct multiaddr *configured;
	size_t n_configured;
	struct multiaddr *learned; /* what identify told */
	size_t n_learned;
	union netaddr last_good; /* the address that worked last; family 0: none */
	UT_hash_handle hh;
};

struct link {
	struct link *prev, *next; /* peer->links or swarm->strangers */
	struct swarm *swarm;
	struct peer *peer; /* NULL: a stranger */
	struct conn *conn;
	unsigned gate_slot;
	nsec_t since;    /* it was made */
	bool is_attempt; /* our dialer waits for it */
	bool is_open;
	bool is_refused;         /* and counted as such */
	struct loop_timer grace; /* not the best: close it then */
};

struct listener {
	struct swarm *swarm;
	struct sock *sock;
	union netaddr at;
};

struct swarm {
	struct swarm_conf conf;
	struct conn_env env;
	struct peer *peers; /* uthash by id */
	struct link *strangers;
	struct listener listeners[LISTENERS_MAX];
	size_t n_listeners;
	struct gate gate;
	struct loop_timer accept_pause;
	struct loop_task closed;
	size_t n_conns;
	bool is_closing;
	struct swarm_stats stats;
};

static struct swarm *swarm_of(const struct conn *c)
{
	return CONTAINER_OF(conn_get_env(c), struct swarm, env);
}

/* --- peers
 * ---------------------------------------------------------------------------------------- */

static struct peer *find_peer(struct swarm *s, const struct peer_id *id)
{
	struct peer *p;
	HASH_FIND(hh, s->peers, id->bytes, id->len, p);
	return p;
}

static size_t list_addresses(void *ctx, struct multiaddr ret_addrs[DIAL_ADDRS_MAX])
{
	struct peer *p = ctx;
	size_t n = 0;
	if (p->last_good.sa.sa_family != 0)
		netaddr_to_multiaddr(&p->last_good, &ret_addrs[n++]);
	for (size_t i = 0; i < p->n_configured && n < DIAL_ADDRS_MAX; i++)
		ret_addrs[n++] = p->configured[i];
	for (size_t i = 0; i < p->n_learned && n < DIAL_ADDRS_MAX; i++)
		ret_addrs[n++] = p->learned[i];
	return n;
}

static struct link *link_new(struct swarm *s, struct peer *p);
static struct link *link_free(struct link *l);

static bool is_underlay(const struct swarm *s, const union netaddr *addr)
{
	return s->conf.events->is_underlay == NULL ||
	       s->conf.events->is_underlay(s->conf.ctx, addr);
}

static enum err connect_to(void *ctx, const union netaddr *to)
{
	struct peer *p = ctx;
	struct swarm *s = p->swarm;
	if (!is_underlay(s, to))
		return ERR_UNREACHABLE;
	if (s->n_conns >= CONN_MAX)
		return ERR_LIMIT;
	struct link *l = link_new(s, p);
	if (l == NULL)
		return ERR_NO_MEMORY;
	l->is_attempt = true;
	enum err e = conn_dial(&s->env, to, &s->conf.tcp, &p->id, l, &l->conn);
	if (e != ERR_OK)
		link_free(l);
	return e;
}

static const struct dialer_ops dialer_ops = {
	.addresses = list_addresses,
	.connect = connect_to,
};

static struct peer *peer_new(struct swarm *s, const struct peer_id *id)
{
	struct peer *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->id = *id;
	p->swarm = s;
	dialer_init(&p->dialer, s->conf.loop, &dialer_ops, p);
	HASH_ADD(hh, s->peers, id.bytes, p->id.len, p);
	if (p->hh.tbl == NULL) {
		free(p);
		return NULL;
	}
	return p;
}

static void peer_free(struct peer *p)
{
	assert(p->links == NULL);
	dialer_deinit(&p->dialer);
	HASH_DEL(p->swarm->peers, p);
	free(p->configured);
	free(p->learned);
	free(p);
}

static void release_peer(struct peer *p)
{
	if (!p->is_wanted && p->links == NULL)
		peer_free(p);
}

/* --- the best connection
 * ------------------------------------------------------------------------------ */

/* Did the side with the smaller Peer ID dial this connection? */
static bool is_dialled_by_smaller(const struct link *l)
{
	const struct peer_id *ours = identity_peer_id(l->swarm->conf.identity);
	bool we_are_smaller = peer_id_compare(ours, &l->peer->id) < 0;
	return conn_is_outbound(l->conn) == we_are_smaller;
}

static bool is_better(const struct link *a, const struct link *b)
{
	bool a_suspect = conn_is_suspect(a->conn), b_suspect = conn_is_suspect(b->conn);
	if (a_suspect != b_suspect)
		return b_suspect;

	nsec_t at_a = conn_opened_at(a->conn), at_b = conn_opened_at(b->conn);
	nsec_t apart = at_a > at_b ? at_a - at_b : at_b - at_a;
	if (conn_is_outbound(a->conn) != conn_is_outbound(b->conn) && apart < SWARM_SAME_TIME)
		return is_dialled_by_smaller(a);
	return at_a > at_b;
}

static void on_grace(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct link *l = CONTAINER_OF(timer, struct link, grace);
	if (l->peer->best == l)
		return;
	l->swarm->stats.superseded++;
	conn_close(l->conn, ERR_SUPERSEDED);
}

/* Attempts that are not needed any more. */
static void close_attempts(struct peer *p)
{
	struct link *l;
	DL_FOREACH (p->links, l) {
		if (l->is_attempt)
			conn_close(l->conn, ERR_SUPERSEDED);
	}
}

/* Not one that is closing, of which we have not been told yet. */
static bool is_usable(const struct link *l)
{
	return l->is_open && conn_get_state(l->conn) == CONN_OPEN;
}

static void choose_best(struct peer *p)
{
	struct swarm *s = p->swarm;
	struct link *best = NULL, *l;
	DL_FOREACH (p->links, l) {
		if (is_usable(l) && (best == NULL || is_better(l, best)))
			best = l;
	}
	if (best == p->best)
		return;
	p->best = best;
	if (best == NULL)
		return;
	DL_FOREACH (p->links, l) {
		if (l->is_open && l != best && !loop_timer_is_set(&l->grace))
			loop_timer_set(&l->grace, nsec_add(loop_now(s->conf.loop), SWARM_GRACE));
	}
	loop_timer_stop(&best->grace);
	p->is_up = true;
	s->conf.events->on_best(s->conf.ctx, &p->id, best->conn);
}

static bool needs_dialling(const struct peer *p)
{
	return p->is_wanted && !p->swarm->is_closing &&
	       (p->best == NULL || conn_is_suspect(p->best->conn));
}

/* --- what connections tell
 * ----------------------------------------------------------------------------- */

static struct link *link_new(struct swarm *s, struct peer *p)
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

static void leave_gate(struct link *l)
{
	if (l->gate_slot != NO_SLOT)
		gate_release(&l->swarm->gate, l->gate_slot);
	l->gate_slot = NO_SLOT;
}

static struct link *link_free(struct link *l)
{
	struct swarm *s = l->swarm;
	leave_gate(l);
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
	struct peer *p = find_peer(s, id);
	if (p == NULL)
		p = peer_new(s, id);
	if (p == NULL)
		return ERR_NO_MEMORY;
	DL_DELETE(s->strangers, l);
	DL_APPEND(p->links, l);
	l->peer = p;
	leave_gate(l);
	return ERR_OK;
}

static size_t count_proved(const struct peer *p)
{
	size_t n = 0;
	const struct link *l;
	DL_FOREACH (p->links, l)
		n += !l->is_attempt;
	return n;
}

static enum err on_secured(struct conn *c)
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
		return ERR_GATED;
	}
	enum err e = introduce(l, id);
	if (e == ERR_OK && count_proved(l->peer) > CONN_PER_PEER_MAX) {
		s->stats.refused_limit++;
		l->is_refused = true;
		e = ERR_LIMIT;
	}
	return e;
}

static void on_open(struct conn *c)
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
	dialer_connected(&p->dialer);
	close_attempts(p);
	choose_best(p);
	if (p->best != l && !loop_timer_is_set(&l->grace))
		loop_timer_set(&l->grace, nsec_add(loop_now(l->swarm->conf.loop), SWARM_GRACE));
}

static nsec_t age(const struct conn *c)
{
	return nsec_since(loop_now(conn_loop(c)), conn_opened_at(c));
}

static void on_suspect(struct conn *c)
{
	struct link *l = conn_owner(c);
	choose_best(l->peer);
	if (needs_dialling(l->peer)) {
		dialer_lost(&l->peer->dialer, age(c), ERR_TIMEOUT);
		dialer_start(&l->peer->dialer);
	}
}

/* An open connection of this peer is gone. */
static void lose(struct peer *p, nsec_t lived, enum err why)
{
	struct swarm *s = p->swarm;
	p->n_open--;
	choose_best(p);
	if (p->best != NULL || !p->is_up)
		return;
	p->is_up = false;
	dialer_lost(&p->dialer, lived, why);
	s->conf.events->on_down(s->conf.ctx, &p->id, why);
}

static void check_closed(struct swarm *s)
{
	if (s->is_closing && s->n_conns == 0)
		loop_defer(s->conf.loop, &s->closed);
}

static void on_close(struct conn *c, enum err why)
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
	if (p != NULL && p->best == l)
		p->best = NULL;
	link_free(l);

	if (p != NULL) {
		if (was_open)
			lose(p, lived, why);
		if (was_attempt)
			dialer_failed(&p->dialer, why);
		else if (needs_dialling(p))
			dialer_start(&p->dialer);
		release_peer(p);
	}
	check_closed(s);
}

/* --- listening
 * --------------------------------------------------------------------------------------------- */

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
	leave_gate(oldest);
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
	if (!is_underlay(s, from)) {
		s->stats.refused_gated++;
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

static void on_accept_pause(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	struct swarm *s = CONTAINER_OF(timer, struct swarm, accept_pause);
	for (size_t i = 0; i < s->n_listeners; i++)
		sock_watch(s->listeners[i].sock, SOCK_READABLE, on_acceptable, &s->listeners[i]);
}

enum err swarm_listen(struct swarm *s, const struct multiaddr *addr)
{
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

/* --- public
 * -------------------------------------------------------------------------------------------------
 */

static void on_closed(struct loop_task *task)
{
	struct swarm *s = CONTAINER_OF(task, struct swarm, closed);
	s->conf.events->on_closed(s->conf.ctx);
}

enum err swarm_new(const struct swarm_conf *conf, struct swarm **ret_swarm)
{
	struct swarm *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return ERR_NO_MEMORY;
	s->conf = *conf;
	s->env = (struct conn_env){
		.loop = conf->loop,
		.identity = conf->identity,
		.keepalive = conf->keepalive,
		.protocols = conf->protocols,
		.n_protocols = conf->n_protocols,
		.on_secured = on_secured,
		.on_open = on_open,
		.on_suspect = on_suspect,
		.on_close = on_close,
	};
	loop_random(conf->loop, &s->gate.key, sizeof(s->gate.key));
	s->closed.run = on_closed;
	loop_timer_init(&s->accept_pause, conf->loop, on_accept_pause);
	*ret_swarm = s;
	return ERR_OK;
}

void swarm_close(struct swarm *s)
{
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
	check_closed(s);
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
	if (peer_id_equal(id, identity_peer_id(s->conf.identity)))
		return ERR_SELF;
	struct peer *p = find_peer(s, id);
	if (p != NULL && p->is_wanted)
		return ERR_DUPLICATE;
	if (p == NULL)
		p = peer_new(s, id);
	if (p == NULL)
		return ERR_NO_MEMORY;
	enum err e = copy_addrs(&p->configured, &p->n_configured, addrs, n_addrs);
	if (e != ERR_OK) {
		release_peer(p);
		return e;
	}
	p->is_wanted = true;
	if (needs_dialling(p))
		dialer_start(&p->dialer);
	return ERR_OK;
}

void swarm_learn_addrs(struct swarm *s, const struct peer_id *id, const struct multiaddr *addrs,
		       size_t n_addrs)
{
	struct peer *p = find_peer(s, id);
	if (p == NULL)
		return;
	if (copy_addrs(&p->learned, &p->n_learned, addrs,
		       MIN(n_addrs, (size_t)IDENTIFY_ADDRS_MAX)) == ERR_OK &&
	    needs_dialling(p))
		dialer_start(&p->dialer);
}

void swarm_demand(struct swarm *s, const struct peer_id *id)
{
	struct peer *p = find_peer(s, id);
	if (p != NULL)
		dialer_demand(&p->dialer);
}

void swarm_network_changed(struct swarm *s)
{
	struct peer *p, *tmp;
	HASH_ITER (hh, s->peers, p, tmp) {
		if (p->best != NULL)
			conn_doubt(p->best->conn);
		else if (needs_dialling(p))
			dialer_start(&p->dialer);
		dialer_retry_now(&p->dialer);
	}
}

struct conn *swarm_best(struct swarm *s, const struct peer_id *id)
{
	struct peer *p = find_peer(s, id);
	return p != NULL && p->best != NULL ? p->best->conn : NULL;
}

enum err swarm_peer_info(struct swarm *s, const struct peer_id *id,
			 struct swarm_peer_info *ret_info)
{
	struct peer *p = find_peer(s, id);
	if (p == NULL)
		return ERR_NOT_FOUND;
	struct swarm_peer_info info = {
		.is_dialling = p->dialer.state != DIALER_IDLE,
		.n_conns = p->n_open,
		.last_error = p->dialer.last_error,
	};
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

const struct swarm_conf *swarm_get_conf(const struct swarm *s)
{
	return &s->conf;
}

struct swarm *conn_swarm(const struct conn *c)
{
	return swarm_of(c);
}
