/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* spare.c - see spare.h */
#include "vpn/node/spare.h"

#include "vpn/node/lane.h"

static void dial(struct shard *s, uint32_t peer, const struct multiaddr *addr)
{
	struct shard_peer *p = &s->peers[peer];
	const struct peer_id *id = &s->node->peers[peer].conf->id;
	p->spare_wanted = loop_now(s->loop);
	if (p->has_spare) { /* still dialled, perhaps where the peer is no more */
		swarm_learn_addrs(s->spare, id, addr, 1);
		swarm_demand(s->spare, id);
	} else {
		p->has_spare = swarm_add_peer(s->spare, id, addr, 1) == ERR_OK;
	}
}

static void ask(struct shard *s, const struct peer_id *id)
{
	uint8_t frame[FRAME_HEADER_LEN + FRAME_DIAL_LANE_LEN];
	struct wbuf out = wbuf_of(frame, sizeof(frame));
	frame_put_dial_lane(&out, (uint16_t)(LANES_PRIMARY + s->index));
	dispatcher_tell(s->dispatcher, id, wbuf_view(&out));
}

void spare_want(void *ctx, const struct peer_id *id)
{
	struct shard *s = ctx;
	uint32_t peer = static_table_find_id(s->node->table, id);
	struct swarm_peer_info info;
	if (peer == ROUTE_NONE || s->is_closing || swarm_best(s->spare, id) != NULL ||
	    swarm_peer_info(s->swarm, id, &info) != ERR_OK || !info.is_connected)
		return;
	if (info.is_outbound)
		dial(s, peer, &info.remote);
	else
		ask(s, id);
}

/* Whoever dialled the lane can be asked by the other side, as often as it likes: that costs two
 * look-ups, and a dial at the dialler's pace. */
void spare_asked(struct shard *s, uint32_t peer)
{
	const struct peer_id *id = &s->node->peers[peer].conf->id;
	struct swarm_peer_info info;
	if (s->spare != NULL && !s->is_closing && swarm_best(s->spare, id) == NULL &&
	    swarm_peer_info(s->swarm, id, &info) == ERR_OK && info.is_connected && info.is_outbound)
		dial(s, peer, &info.remote);
}

static bool uses_spare(const struct shard *s, const struct peer_id *id)
{
	const struct conn *c = swarm_best(s->spare, id);
	return c != NULL && conn_stream_count(c) > 0;
}

void spare_look(struct shard *s, nsec_t now)
{
	for (size_t i = 0; i < s->node->n_peers; i++) {
		struct shard_peer *p = &s->peers[i];
		const struct peer_id *id = &s->node->peers[i].conf->id;
		if (!p->has_spare)
			continue;
		if (uses_spare(s, id))
			p->spare_wanted = now;
		if (nsec_since(now, p->spare_wanted) < SPARE_UNUSED)
			continue;
		p->has_spare = false;
		swarm_remove_peer(s->spare, id);
	}
}
