/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatch_view.c - what a dispatcher shows of a peer: each shard is asked, on its own thread */
#include "base/util.h"
#include "lib/dispatch.h"
#include "lib/err.h"
#include "lib/values.h"

/* One question to one shard, and its answer. */
struct look {
	struct runnel_shard *shard;
	struct peer_id peer;
	nsec_t now;
	struct dispatch_peer_info info;
};

static void run_look(void *ctx)
{
	struct look *l = ctx;
	l->now = loop_now(l->shard->loop);
	dispatcher_peer_info(l->shard->dispatcher, &l->peer, &l->info);
}

/* May this thread ask, and has it something to ask for? */
static enum err begin(const struct runnel_dispatcher *d, const struct runnel_peer_id *peer,
		      struct look *l)
{
	if (dispatch_is_here(d))
		return ERR_BAD_STATE;
	if (d->state != DISPATCH_RUNNING)
		return ERR_CLOSED;
	return values_get_peer_id(peer, &l->peer) ? ERR_OK : ERR_MALFORMED;
}

static enum err ask(struct runnel_dispatcher *d, unsigned i, struct look *l)
{
	l->shard = &d->shards[i];
	return postbox_ask(&l->shard->posts, run_look, l);
}

static void add_breaker(struct runnel_dispatch_peer *sum, enum breaker_state state)
{
	if (state == BREAKER_CLOSED)
		return;
	sum->breakers_open++;
	if (state == BREAKER_OPEN)
		sum->breaker = RUNNEL_BREAKER_OPEN;
	else if (sum->breaker == RUNNEL_BREAKER_CLOSED)
		sum->breaker = RUNNEL_BREAKER_HALF_OPEN;
}

static void add(struct runnel_dispatch_peer *sum, const struct dispatch_peer_info *info)
{
	bool is_open = false;
	sum->sent_packets += info->sent_packets;
	sum->sent_bytes += info->sent_bytes;
	sum->dropped_packets += info->dropped_packets;
	sum->waiting_packets += info->queued_packets;
	sum->waiting_bytes += info->queued_bytes;
	sum->keys += info->n_keys;
	sum->streams += (uint32_t)info->n_streams;
	for (size_t i = 0; i < info->n_streams; i++)
		is_open = is_open || info->streams[i].state == POOL_STREAM_UP;
	sum->shards_with_stream += is_open;
	if (info->rtt != 0 && (sum->rtt == 0 || info->rtt < sum->rtt))
		sum->rtt = info->rtt;
	add_breaker(sum, info->breaker);
}

enum runnel_err runnel_dispatcher_peer(struct runnel_dispatcher *dispatcher,
				       const struct runnel_peer_id *peer,
				       struct runnel_dispatch_peer *ret_peer)
{
	struct look l;
	struct runnel_dispatch_peer sum = {.sent_packets = 0};
	enum err e = begin(dispatcher, peer, &l);
	for (unsigned i = 0; e == ERR_OK && i < dispatcher->n_shards; i++) {
		e = ask(dispatcher, i, &l);
		if (e == ERR_OK)
			add(&sum, &l.info);
	}
	if (e == ERR_OK)
		*ret_peer = sum;
	return lib_err(e);
}

static void put_stream(const struct look *l, const struct dispatch_stream_info *info,
		       struct runnel_dispatch_stream *ret)
{
	*ret = (struct runnel_dispatch_stream){
		.shard = l->shard->index,
		.is_open = info->state == POOL_STREAM_UP,
		.state = pool_stream_state_name(info->state),
		.framing = info->framing == PACKET_FRAMING_VPN ? RUNNEL_FRAMING_VPN
							       : RUNNEL_FRAMING_RUNNEL,
		.keys = info->n_keys,
		.waiting_packets = info->queued_packets,
		.waiting_bytes = info->queued_bytes,
		.sent_packets = info->sent_packets,
		.sent_bytes = info->sent_bytes,
		.in_flight_bytes = info->in_flight_bytes,
		.age = info->opened_at != 0 ? nsec_since(l->now, info->opened_at) : 0,
		.rtt = info->rtt,
	};
}

enum runnel_err runnel_dispatcher_streams(struct runnel_dispatcher *dispatcher,
					  const struct runnel_peer_id *peer,
					  struct runnel_dispatch_stream *ret_streams, size_t cap,
					  size_t *ret_n)
{
	struct look l;
	size_t n = 0;
	enum err e = begin(dispatcher, peer, &l);
	for (unsigned i = 0; e == ERR_OK && i < dispatcher->n_shards; i++) {
		e = ask(dispatcher, i, &l);
		for (size_t k = 0; e == ERR_OK && k < l.info.n_streams && n < cap; k++)
			put_stream(&l, &l.info.streams[k], &ret_streams[n++]);
	}
	if (e == ERR_OK)
		*ret_n = n;
	return lib_err(e);
}
