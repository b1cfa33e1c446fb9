/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* swarm_peer.c - a peer: its addresses, its dialler, and which of its connections is the best; see
 * swarm.h for that rule, which both ends must apply alike */
#include <assert.h>
#include <stdlib.h>

#include "p2p/host/swarm_internal.h"

static struct peer_key key_of(const struct peer_id *id, uint32_t lane)
{
	struct peer_key key = {.len = id->len + 1u};
	static_assert(LANES_MAX <= UINT8_MAX, "a lane is a byte of the key");
	memcpy(key.bytes, id->bytes, id->len);
	key.bytes[id->len] = (uint8_t)lane;
	return key;
}

static struct peer *find(struct swarm *s, const struct peer_key *key)
{
	struct peer *p;
	HASH_FIND(hh, s->peers, key->bytes, key->len, p);
	return p;
}

struct peer *peer_find(struct swarm *s, const struct peer_id *id)
{
	struct peer_key key = key_of(id, s->conf.lane);
	return find(s, &key);
}

/* How far an address reaches; a name may lead anywhere. */
static enum netaddr_scope rank(const struct multiaddr *addr)
{
	union netaddr at;
	return netaddr_from_multiaddr(addr, &at) == ERR_OK ? netaddr_scope(&at) : NETADDR_PUBLIC;
}

/* Those of one rank, in their order. */
static size_t append_ranked(enum netaddr_scope wanted, const struct multiaddr *addrs,
			    size_t n_addrs, struct multiaddr *ret_addrs, size_t n)
{
	for (size_t i = 0; i < n_addrs && n < DIAL_ADDRS_MAX; i++) {
		if (rank(&addrs[i]) == wanted)
			ret_addrs[n++] = addrs[i];
	}
	return n;
}

/* What worked last, then the nearest first: on a shared network no packet need leave it. */
size_t peer_list_addresses(void *ctx, struct multiaddr ret_addrs[DIAL_ADDRS_MAX])
{
	struct peer *p = ctx;
	size_t n = 0;
	if (p->last_good.sa.sa_family != 0)
		netaddr_to_multiaddr(&p->last_good, &ret_addrs[n++]);
	for (int scope = NETADDR_LOOPBACK; scope <= NETADDR_PUBLIC; scope++) {
		enum netaddr_scope wanted = (enum netaddr_scope)scope;
		n = append_ranked(wanted, p->configured, p->n_configured, ret_addrs, n);
		n = append_ranked(wanted, p->learned, p->n_learned, ret_addrs, n);
	}
	return n;
}

static enum err connect_to(void *ctx, const union netaddr *to)
{
	struct peer *p = ctx;
	struct swarm *s = p->swarm;
	if (!swarm_is_underlay(s, to))
		return ERR_GATED;
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

/* How much it tells of the cause: what was further on the way, then what answered at all. */
static unsigned weight(const struct dial_failure *f)
{
	if (f->why == ERR_OK)
		return 0;
	if (f->at.sa.sa_family == 0)
		return 1;
	return 2 + 2 * (unsigned)f->reached + (f->why == ERR_REFUSED || f->why == ERR_GATED);
}

void peer_note_failure(struct peer *p, const struct dial_failure *failure)
{
	if (weight(failure) > weight(&p->round))
		p->round = *failure;
}

void peer_tell_failure(void *ctx)
{
	struct peer *p = ctx;
	struct swarm *s = p->swarm;
	p->failure = p->round;
	p->round = (struct dial_failure){.why = ERR_OK};
	if (s->conf.events->on_dial_failed != NULL && p->failure.why != ERR_OK && !s->is_closing)
		s->conf.events->on_dial_failed(s->conf.ctx, &p->id, &p->failure);
}

static void cannot_dial(void *ctx, const union netaddr *to, enum err why)
{
	struct dial_failure failure = {.why = why};
	if (to != NULL)
		failure.at = *to;
	peer_note_failure(ctx, &failure);
}

static const struct dialer_ops dialer_ops = {
	.addresses = peer_list_addresses,
	.connect = connect_to,
	.cannot = cannot_dial,
	.on_round_failed = peer_tell_failure,
};

struct peer *peer_obtain(struct swarm *s, const struct peer_id *id, uint32_t lane)
{
	struct peer_key key = key_of(id, lane);
	struct peer *p = find(s, &key);
	if (p != NULL)
		return p;
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->id = *id;
	p->lane = lane;
	p->key = key;
	p->swarm = s;
	dialer_init(&p->dialer, s->conf.loop, &dialer_ops, p);
	HASH_ADD(hh, s->peers, key.bytes, p->key.len, p);
	if (p->hh.tbl == NULL) {
		free(p);
		return NULL;
	}
	return p;
}

void peer_free(struct peer *p)
{
	assert(p->links == NULL);
	dialer_deinit(&p->dialer);
	HASH_DEL(p->swarm->peers, p);
	free(p->configured);
	free(p->learned);
	free(p);
}

void peer_release(struct peer *p)
{
	if (!p->is_wanted && p->links == NULL)
		peer_free(p);
}

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

/* Attempts that are not needed any more. */
void peer_close_attempts(struct peer *p)
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

void peer_choose_best(struct peer *p)
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
	if (p->lane != s->conf.lane)
		return;
	p->is_up = true;
	s->conf.events->on_best(s->conf.ctx, &p->id, best->conn);
}

bool peer_needs_dialling(const struct peer *p)
{
	return p->is_wanted && !p->swarm->is_closing &&
	       (p->best == NULL || conn_is_suspect(p->best->conn));
}

bool peer_has_too_many(const struct peer *p)
{
	size_t n_proved = 0;
	const struct link *l;
	DL_FOREACH (p->links, l)
		n_proved += !l->is_attempt;
	return n_proved > CONN_PER_PEER_MAX;
}
