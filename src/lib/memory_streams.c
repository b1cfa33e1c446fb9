/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * memory_streams.c - the stream service of runnel/dispatch_memory.h, on that of vpn/adapter
 *
 * It uses runnel/dispatch_service.h as any program's service would, but for the shard's loop, on
 * which vpn/adapter moves its bytes. Each shard has a station: the service of vpn/adapter, and what
 * it knows of the peers. What programs set is written down once for all, under the mutex, and
 * posted to each station, in the order in which it was set.
 */
#include <pthread.h>
#include <stdlib.h>
#include <utlist.h>

#include <runnel/dispatch_memory.h>

#include "lib/dispatch_shard.h"
#include "lib/err.h"
#include "lib/values.h"
#include "vpn/adapter/memory_streams.h"

/* A peer, as programs set it; guarded by the mutex but for what never changes. */
struct far_peer {
	struct far_peer *next;
	struct runnel_memory_peer conf; /* never changes, as the next */
	struct peer_id id;
	struct memory_faults faults;
};

/* A peer, as a station has it. */
struct known {
	struct known *next;
	struct station *station;
	const struct far_peer *peer;
	bool is_down;
};

struct station {
	struct station *prev, *next;
	struct runnel_memory_streams *service;
	struct runnel_shard *shard;
	struct memory_streams *streams;
	struct stream_service inner; /* these */
	struct known *peers;
};

struct runnel_memory_streams {
	pthread_mutex_t mutex;
	struct far_peer *peers;
	struct station *stations;
};

/* A stream: the two ends that it forwards between. */
struct relay {
	struct station *station;
	struct runnel_link *link;
	void *inner;
};

/* --- up: from vpn/adapter to the dispatcher ------------------------------------------ */

static void on_open(void *user, enum packet_framing framing)
{
	struct relay *r = user;
	runnel_link_opened(r->link, framing == PACKET_FRAMING_VPN ? RUNNEL_FRAMING_VPN
								  : RUNNEL_FRAMING_RUNNEL);
}

static void on_data(void *user, struct span data)
{
	struct relay *r = user;
	runnel_link_data(r->link, data.p, data.len);
}

static size_t pull(void *user, uint8_t *buf, size_t cap)
{
	struct relay *r = user;
	return runnel_link_pull(r->link, buf, cap);
}

static void on_retire(void *user)
{
	struct relay *r = user;
	runnel_link_retire(r->link);
}

static void on_close(void *user, enum err why)
{
	struct relay *r = user;
	runnel_link_closed(r->link, lib_err(why));
	free(r);
}

static const struct link_user_ops user_ops = {
	.on_open = on_open,
	.on_data = on_data,
	.pull = pull,
	.on_retire = on_retire,
	.on_close = on_close,
};

static void on_packet(void *ctx, const struct peer_id *id, uint64_t stream, struct span packet)
{
	const struct known *k = ctx;
	const struct runnel_memory_peer *conf = &k->peer->conf;
	(void)id;
	if (conf->on_packet != NULL)
		conf->on_packet(conf->ctx, runnel_shard_index(k->station->shard), stream, packet.p,
				packet.len);
}

/* --- down: what the dispatcher asks -------------------------------------------------- */

static enum runnel_err open_stream(void *here, const struct runnel_peer_id *peer,
				   struct runnel_link *link, void **ret_stream)
{
	struct station *st = here;
	struct peer_id id;
	if (!values_get_peer_id(peer, &id))
		return RUNNEL_ERR_UNREACHABLE;
	struct relay *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return RUNNEL_ERR_NO_MEMORY;
	*r = (struct relay){.station = st, .link = link};
	enum err e = st->inner.ops->open(st->inner.ctx, &id, &user_ops, r, &r->inner);
	if (e != ERR_OK)
		free(r);
	else
		*ret_stream = r;
	return lib_err(e);
}

static void wake(void *stream)
{
	struct relay *r = stream;
	r->station->inner.ops->wake(r->inner);
}

static void finish(void *stream)
{
	struct relay *r = stream;
	r->station->inner.ops->finish(r->inner);
}

static void reset(void *stream, enum runnel_err why)
{
	struct relay *r = stream;
	r->station->inner.ops->reset(r->inner, lib_err_back(why));
}

static void facts(void *stream, struct runnel_link_facts *ret_facts)
{
	struct relay *r = stream;
	struct link_facts f;
	r->station->inner.ops->facts(r->inner, &f);
	ret_facts->connection = f.conn;
	ret_facts->is_suspect = f.is_suspect;
}

/* Whoever made the peer unreachable also makes it reachable. */
static void demand(void *here, const struct runnel_peer_id *peer)
{
	(void)here;
	(void)peer;
}

/* --- stations ------------------------------------------------------------------------ */

/* On the station's thread, or before it has one. */
static enum err learn(struct station *st, const struct far_peer *peer)
{
	struct known *k = calloc(1, sizeof(*k));
	if (k == NULL)
		return ERR_NO_MEMORY;
	*k = (struct known){.station = st, .peer = peer};
	const struct memory_peer conf = {
		.id = peer->id,
		.on_packet = on_packet,
		.ctx = k,
		.framing = peer->conf.framing == RUNNEL_FRAMING_VPN ? PACKET_FRAMING_VPN
								    : PACKET_FRAMING_RUNNEL,
		.hello = {.version = FRAME_VERSION,
			  .mtu = PACKET_LEN_MAX,
			  .capabilities = FRAME_CAN_PROBE,
			  .payload_len_max = FRAME_PAYLOAD_LEN_MAX},
	};
	enum err e = memory_streams_add(st->streams, &conf);
	if (e != ERR_OK)
		free(k);
	else
		LL_PREPEND(st->peers, k);
	return e;
}

static void apply(struct station *st, const struct far_peer *peer, struct memory_faults faults)
{
	struct known *k;
	LL_SEARCH_SCALAR(st->peers, k, peer, peer);
	enum err e = memory_streams_set(st->streams, &peer->id, faults);
	if (k == NULL || e != ERR_OK)
		return; /* there was no memory to learn it */
	bool was_down = k->is_down;
	k->is_down = faults.is_down;
	if (faults.is_down && !was_down)
		runnel_shard_peer_down(st->shard, &peer->conf.id);
	else if (!faults.is_down && was_down && runnel_shard_peer_up(st->shard, &peer->conf.id))
		k->is_down = true; /* there was no memory: the next apply() tries again */
}

static void free_station(struct station *st)
{
	struct known *k, *tmp;
	memory_streams_free(st->streams);
	LL_FOREACH_SAFE(st->peers, k, tmp)
	free(k);
	free(st);
}

/* The peers that it was made with: the first thing that it may tell, a turn later. */
static void announce(void *ctx)
{
	struct station *st = ctx;
	struct known *k;
	LL_FOREACH (st->peers, k) {
		if (!k->is_down && runnel_shard_peer_up(st->shard, &k->peer->conf.id))
			k->is_down = true;
	}
}

static enum err fill(struct station *st)
{
	enum err e = memory_streams_new(st->shard->loop, &st->streams);
	if (e != ERR_OK)
		return e;
	st->inner = memory_streams_get(st->streams);
	for (const struct far_peer *p = st->service->peers; p != NULL; p = p->next) {
		e = learn(st, p);
		if (e == ERR_OK)
			e = memory_streams_set(st->streams, &p->id, p->faults);
		if (e != ERR_OK)
			return e;
		st->peers->is_down = p->faults.is_down;
	}
	return lib_err_back(runnel_shard_post(st->shard, announce, st));
}

static enum runnel_err open_shard(void *ctx, struct runnel_shard *shard, void **ret_here)
{
	struct runnel_memory_streams *m = ctx;
	struct station *st = calloc(1, sizeof(*st));
	if (st == NULL)
		return RUNNEL_ERR_NO_MEMORY;
	st->service = m;
	st->shard = shard;
	pthread_mutex_lock(&m->mutex);
	enum err e = fill(st);
	if (e == ERR_OK)
		DL_APPEND(m->stations, st);
	pthread_mutex_unlock(&m->mutex);
	if (e != ERR_OK)
		free_station(st);
	else
		*ret_here = st;
	return lib_err(e);
}

static void close_shard(void *here)
{
	struct station *st = here;
	pthread_mutex_lock(&st->service->mutex);
	DL_DELETE(st->service->stations, st);
	pthread_mutex_unlock(&st->service->mutex);
	free_station(st);
}

static const struct runnel_stream_ops ops = {
	.open_shard = open_shard,
	.close_shard = close_shard,
	.open = open_stream,
	.wake = wake,
	.finish = finish,
	.reset = reset,
	.facts = facts,
	.demand = demand,
};

struct runnel_stream_service runnel_memory_streams_get(struct runnel_memory_streams *streams)
{
	return (struct runnel_stream_service){.ops = &ops, .ctx = streams};
}

/* --- orders: what programs set, on its way to a station ------------------------------ */

struct order {
	void (*obey)(const struct order *order);
	struct station *station;
	const struct far_peer *peer;
	struct memory_faults faults;
};

static void obey_add(const struct order *o)
{
	if (learn(o->station, o->peer) == ERR_OK &&
	    runnel_shard_peer_up(o->station->shard, &o->peer->conf.id))
		o->station->peers->is_down = true;
}

static void obey_set(const struct order *o)
{
	apply(o->station, o->peer, o->faults);
}

static void obey_break(const struct order *o)
{
	memory_streams_break(o->station->streams, &o->peer->id, ERR_RESET);
}

static void run_order(void *ctx)
{
	struct order *o = ctx;
	o->obey(o);
	free(o);
}

/* To all stations; the mutex is held. One that closes needs none. */
static enum runnel_err order(struct runnel_memory_streams *m, struct far_peer *peer,
			     void (*obey)(const struct order *order))
{
	enum runnel_err result = RUNNEL_ERR_OK;
	struct station *st;
	DL_FOREACH (m->stations, st) {
		struct order *o = calloc(1, sizeof(*o));
		if (o == NULL)
			return RUNNEL_ERR_NO_MEMORY;
		*o = (struct order){
			.obey = obey, .station = st, .peer = peer, .faults = peer->faults};
		enum runnel_err e = runnel_shard_post(st->shard, run_order, o);
		if (e != RUNNEL_ERR_OK)
			free(o);
		if (e == RUNNEL_ERR_NO_MEMORY)
			result = e;
	}
	return result;
}

static struct far_peer *find_peer(const struct runnel_memory_streams *m,
				  const struct runnel_peer_id *id)
{
	struct far_peer *p = m->peers;
	while (p != NULL && !runnel_peer_id_equal(&p->conf.id, id))
		p = p->next;
	return p;
}

enum runnel_err runnel_memory_streams_add(struct runnel_memory_streams *streams,
					  const struct runnel_memory_peer *peer)
{
	struct peer_id id;
	if (!values_get_peer_id(&peer->id, &id) || (unsigned)peer->framing > RUNNEL_FRAMING_VPN)
		return RUNNEL_ERR_MALFORMED;
	struct far_peer *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return RUNNEL_ERR_NO_MEMORY;
	*p = (struct far_peer){.conf = *peer, .id = id};
	pthread_mutex_lock(&streams->mutex);
	enum runnel_err e = RUNNEL_ERR_DUPLICATE;
	bool is_new = find_peer(streams, &peer->id) == NULL;
	if (is_new) {
		LL_PREPEND(streams->peers, p);
		e = order(streams, p, obey_add);
	}
	pthread_mutex_unlock(&streams->mutex);
	if (!is_new)
		free(p);
	return e;
}

enum runnel_err runnel_memory_streams_set(struct runnel_memory_streams *streams,
					  const struct runnel_peer_id *peer,
					  const struct runnel_memory_faults *faults)
{
	enum runnel_err e = RUNNEL_ERR_NOT_FOUND;
	pthread_mutex_lock(&streams->mutex);
	struct far_peer *p = find_peer(streams, peer);
	if (p != NULL) {
		p->faults = (struct memory_faults){.is_down = faults->is_down,
						   .refuses = faults->refuses,
						   .is_full = faults->is_full,
						   .is_silent = faults->is_silent,
						   .is_suspect = faults->is_suspect};
		e = order(streams, p, obey_set);
	}
	pthread_mutex_unlock(&streams->mutex);
	return e;
}

enum runnel_err runnel_memory_streams_break(struct runnel_memory_streams *streams,
					    const struct runnel_peer_id *peer)
{
	enum runnel_err e = RUNNEL_ERR_NOT_FOUND;
	pthread_mutex_lock(&streams->mutex);
	struct far_peer *p = find_peer(streams, peer);
	if (p != NULL)
		e = order(streams, p, obey_break);
	pthread_mutex_unlock(&streams->mutex);
	return e;
}

/* --- life ---------------------------------------------------------------------------- */

enum runnel_err runnel_memory_streams_new(struct runnel_memory_streams **ret_streams)
{
	struct runnel_memory_streams *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return RUNNEL_ERR_NO_MEMORY;
	pthread_mutex_init(&m->mutex, NULL);
	*ret_streams = m;
	return RUNNEL_ERR_OK;
}

struct runnel_memory_streams *runnel_memory_streams_free(struct runnel_memory_streams *streams)
{
	if (streams == NULL)
		return NULL;
	assert(streams->stations == NULL);
	struct far_peer *p, *tmp;
	LL_FOREACH_SAFE(streams->peers, p, tmp)
	free(p);
	pthread_mutex_destroy(&streams->mutex);
	free(streams);
	return NULL;
}
