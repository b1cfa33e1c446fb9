/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* swarm_lane.c - connections between the swarms of several shards: given away, and adopted; see
 * swarm.h and conn_baton.h */
#include "base/log.h"
#include "p2p/host/swarm_internal.h"

enum err lane_on_secured(struct link *l)
{
	struct swarm *s = l->swarm;
	const struct swarm_events *events = s->conf.events;
	if (events->takes_lane != NULL &&
	    events->takes_lane(s->conf.ctx, conn_peer(l->conn), conn_lane(l->conn)))
		return ERR_OK;
	s->stats.refused_limit++;
	l->is_refused = true;
	return ERR_LIMIT;
}

void lane_on_leave(struct conn *c, struct conn_baton *baton)
{
	struct link *l = conn_owner(c);
	struct swarm *s = l->swarm;
	link_free(l);
	s->stats.handed_over++;
	s->conf.events->on_lane(s->conf.ctx, baton);
	swarm_check_closed(s);
}

/* As link_on_secured() for those that were accepted here. The link is its owner's to free. */
static enum err make_link(struct swarm *s, const struct conn_baton *baton, struct link **ret_link)
{
	if (s->is_closing)
		return ERR_CLOSED;
	if (s->n_conns >= CONN_MAX)
		return ERR_LIMIT;
	struct peer *p = peer_obtain(s, conn_baton_peer(baton), conn_baton_lane(baton));
	if (p == NULL)
		return ERR_NO_MEMORY;
	struct link *l = link_new(s, p);
	if (l == NULL) {
		peer_release(p);
		return ERR_NO_MEMORY;
	}
	if (peer_has_too_many(p)) {
		link_free(l);
		return ERR_LIMIT;
	}
	*ret_link = l;
	return ERR_OK;
}

enum err swarm_adopt(struct swarm *s, struct conn_baton *baton)
{
	loop_assert_here(s->conf.loop);
	struct link *l;
	enum err e = make_link(s, baton, &l);
	if (e != ERR_OK) {
		s->stats.refused_limit += e == ERR_LIMIT;
		conn_baton_free(baton);
		return e;
	}
	s->stats.adopted++;
	e = conn_adopt(&s->env, baton, l, &l->conn);
	if (e != ERR_OK) {
		struct peer *p = l->peer;
		s->stats.adopted--;
		link_free(l);
		peer_release(p);
		log_debug("connection not adopted", "why=%s", err_name(e));
	}
	return e;
}
