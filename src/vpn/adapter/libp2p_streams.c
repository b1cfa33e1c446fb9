/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* libp2p_streams.c - see libp2p_streams.h */
#include "vpn/adapter/libp2p_streams.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/util.h"
#include "vpn/stream/frame.h"
#include "vpn/stream/vpn_frame.h"

struct libp2p_link {
	struct libp2p_link *prev, *next;
	struct libp2p_streams *service;
	struct stream *stream;
	const struct link_user_ops *ops;
	void *user;
};

static const char *const protocols_auto[] = {FRAME_PROTOCOL, VPN_FRAME_PROTOCOL};
static const char *const protocols_runnel[] = {FRAME_PROTOCOL};
static const char *const protocols_vpn[] = {VPN_FRAME_PROTOCOL};

static const struct {
	const char *const *names;
	size_t n;
} protocols[] = {
	[CONFIG_PROTOCOL_AUTO] = {protocols_auto, ARRAY_LEN(protocols_auto)},
	[CONFIG_PROTOCOL_RUNNEL] = {protocols_runnel, ARRAY_LEN(protocols_runnel)},
	[CONFIG_PROTOCOL_VPN] = {protocols_vpn, ARRAY_LEN(protocols_vpn)},
};

/* --- what the stream tells ----------------------------------------------------------- */

static void on_open(struct stream *s)
{
	struct libp2p_link *l = stream_user(s);
	bool is_runnel = strcmp(stream_protocol(s), FRAME_PROTOCOL) == 0;
	l->ops->on_open(l->user, is_runnel ? PACKET_FRAMING_RUNNEL : PACKET_FRAMING_VPN);
}

static void on_data(struct stream *s, struct span data)
{
	struct libp2p_link *l = stream_user(s);
	l->ops->on_data(l->user, data);
}

static size_t pull(struct stream *s, uint8_t *buf, size_t cap)
{
	struct libp2p_link *l = stream_user(s);
	return l->ops->pull(l->user, buf, cap);
}

static void on_close(struct stream *s, enum err why)
{
	struct libp2p_link *l = stream_user(s);
	DL_DELETE(l->service->links, l);
	l->ops->on_close(l->user, why);
	free(l);
}

static const struct stream_ops stream_ops = {
	.on_open = on_open,
	.on_data = on_data,
	.pull = pull,
	.on_close = on_close,
};

/* --- what its user asks -------------------------------------------------------------- */

static enum err open_on(struct libp2p_streams *service, struct conn *c, const struct peer_id *peer,
			const struct link_user_ops *ops, void *user, void **ret_link)
{
	enum config_protocol p = CONFIG_PROTOCOL_AUTO;
	if (service->protocol != NULL)
		p = service->protocol(service->ctx, peer);
	struct libp2p_link *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return ERR_NO_MEMORY;
	l->service = service;
	l->ops = ops;
	l->user = user;
	enum err e =
		conn_open_stream(c, protocols[p].names, protocols[p].n, &stream_ops, l, &l->stream);
	if (e != ERR_OK) {
		free(l);
		return e;
	}
	DL_APPEND(service->links, l);
	*ret_link = l;
	return ERR_OK;
}

static enum err open_link(void *ctx, const struct peer_id *peer, const struct link_user_ops *ops,
			  void *user, void **ret_link)
{
	struct libp2p_streams *service = ctx;
	struct conn *best = swarm_best(service->swarm, peer);
	return best == NULL ? ERR_UNREACHABLE : open_on(service, best, peer, ops, user, ret_link);
}

static enum err open_spare(void *ctx, const struct peer_id *peer, const struct link_user_ops *ops,
			   void *user, void **ret_link)
{
	struct libp2p_streams *service = ctx;
	struct conn *best = service->spare != NULL ? swarm_best(service->spare, peer) : NULL;
	if (service->spare != NULL)
		service->want_spare(service->ctx, peer);
	return best == NULL ? ERR_UNREACHABLE : open_on(service, best, peer, ops, user, ret_link);
}

static void wake(void *link)
{
	struct libp2p_link *l = link;
	stream_wake(l->stream);
}

static void finish(void *link)
{
	struct libp2p_link *l = link;
	stream_close_write(l->stream);
}

static void reset(void *link, enum err why)
{
	struct libp2p_link *l = link;
	stream_reset(l->stream, why);
}

static void facts(void *link, struct link_facts *ret)
{
	struct libp2p_link *l = link;
	const struct conn *c = stream_conn(l->stream);
	*ret = (struct link_facts){
		.conn = (uintptr_t)c,
		.is_suspect = conn_is_suspect(c),
		.in_flight_bytes = conn_in_flight_bytes(c),
		.rtt = conn_rtt(c),
	};
}

static uint64_t heard_bytes(void *ctx, const struct peer_id *peer)
{
	struct libp2p_streams *service = ctx;
	const struct conn *best = swarm_best(service->swarm, peer);
	return best == NULL ? 0 : conn_get_stats(best).rx_bytes;
}

static void demand(void *ctx, const struct peer_id *peer)
{
	struct libp2p_streams *service = ctx;
	swarm_demand(service->swarm, peer);
}

static const struct stream_service_ops service_ops = {
	.open = open_link,
	.open_spare = open_spare,
	.wake = wake,
	.finish = finish,
	.reset = reset,
	.facts = facts,
	.heard_bytes = heard_bytes,
	.demand = demand,
};

void libp2p_streams_init(struct libp2p_streams *l, struct swarm *swarm,
			 enum config_protocol (*protocol)(void *ctx, const struct peer_id *peer),
			 void *ctx)
{
	*l = (struct libp2p_streams){.swarm = swarm, .protocol = protocol, .ctx = ctx};
}

struct stream_service libp2p_streams_get(struct libp2p_streams *l)
{
	return (struct stream_service){.ops = &service_ops, .ctx = l};
}

void libp2p_streams_on_best(struct libp2p_streams *service, const struct peer_id *peer,
			    const struct conn *best)
{
	struct libp2p_link *l, *tmp;
	DL_FOREACH_SAFE (service->links, l, tmp) {
		const struct conn *c = stream_conn(l->stream);
		if (c != best && (best == NULL || conn_swarm(c) == conn_swarm(best)) &&
		    peer_id_equal(conn_peer(c), peer))
			l->ops->on_retire(l->user);
	}
}
