/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatcher.c - see dispatcher.h */
#include "vpn/dispatch/dispatcher.h"

#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "vpn/dispatch/dispatcher_internal.h"
#include "vpn/dispatch/flush.h"
#include "vpn/dispatch/receipt.h"
#include "vpn/dispatch/spread.h"
#include "vpn/dispatch/stream_manager.h"

enum {
	BATCH = 64,           /* packets whose workers are fetched ahead: as many as a turn reads */
	CLEANUP_STEPS = 4096, /* places that one turn looks at: some ten microseconds */
};

uint64_t dispatcher_random(struct dispatcher *d)
{
	uint64_t r;
	loop_random(d->conf.loop, &r, sizeof(r));
	return r;
}

/* --- peers --------------------------------------------------------------------------- */

static struct worker_pool *find_pool(const struct dispatcher *d, const struct peer_id *peer)
{
	struct worker_pool *pool;
	HASH_FIND(hh, d->pools, peer->bytes, peer->len, pool);
	return pool;
}

static enum err need_pool(struct dispatcher *d, const struct peer_id *peer,
			  struct worker_pool **ret_pool)
{
	struct worker_pool *pool = find_pool(d, peer);
	if (pool == NULL) {
		enum err e = worker_pool_new(d, peer, &pool);
		if (e != ERR_OK)
			return e;
		HASH_ADD(hh, d->pools, peer.bytes, pool->peer.len, pool);
		if (pool->hh.tbl == NULL) {
			worker_pool_free(pool);
			return ERR_NO_MEMORY;
		}
	}
	*ret_pool = pool;
	return ERR_OK;
}

enum err dispatcher_peer_up(struct dispatcher *d, const struct peer_id *peer)
{
	loop_assert_here(d->conf.loop);
	struct worker_pool *pool;
	if (d->is_ending)
		return ERR_OK; /* no streams any more */
	enum err e = need_pool(d, peer, &pool);
	if (e == ERR_OK)
		worker_pool_up(pool, loop_now(d->conf.loop));
	return e;
}

void dispatcher_peer_down(struct dispatcher *d, const struct peer_id *peer)
{
	loop_assert_here(d->conf.loop);
	struct worker_pool *pool = find_pool(d, peer);
	if (pool != NULL)
		worker_pool_down(pool, loop_now(d->conf.loop));
}

void dispatcher_peer_unreachable(struct dispatcher *d, const struct peer_id *peer)
{
	loop_assert_here(d->conf.loop);
	struct worker_pool *pool;
	if (need_pool(d, peer, &pool) == ERR_OK)
		worker_pool_unreachable(pool, loop_now(d->conf.loop));
}

/* --- packets that go nowhere --------------------------------------------------------- */

void dispatcher_refuse(struct dispatcher *d, struct packet *packet, const struct packet_info *info,
		       enum icmp_reason icmp, uint32_t mtu, enum drop reason)
{
	struct span bytes = packet_view(packet);
	if (d->conf.on_refused != NULL && icmp_error_is_allowed(icmp, bytes, info))
		d->conf.on_refused(d->conf.ctx, bytes, info, icmp, mtu);
	packet_end(packet, d->conf.metrics, reason);
}

static void drop(struct dispatcher *d, struct packet *packet, enum drop reason)
{
	packet_end(packet, d->conf.metrics, reason);
}

static bool is_broadcast(const struct dispatcher *d, const struct ip_addr *addr)
{
	for (size_t i = 0; i < d->conf.n_addresses; i++) {
		if (ip_prefix_is_broadcast(&d->conf.addresses[i], addr))
			return true;
	}
	return ip_addr_is_multicast(addr);
}

/* --- workers ------------------------------------------------------------------------- */

static void forget(struct dispatcher *d, struct worker *w)
{
	if (w->spread != NULL)
		spread_end(w);
	if (w->stream != NULL)
		stream_manager_release(w);
	stream_manager_stop_waiting(w);
	w->pool->n_workers--;
	worker_table_remove(d->table, w);
	d->n_forgotten++;
	metrics_add(d->conf.metrics, COUNTER_WORKERS_FREED, 1);
	loop_defer(d->conf.loop, &d->maintain);
}

static struct worker *make_worker(struct dispatcher *d, const struct conn_key *key, uint64_t hash)
{
	struct worker *w = worker_table_add(d->table, key, hash);
	if (w == NULL) {
		struct worker *old = worker_table_oldest(d->table);
		if (old == NULL)
			return NULL;
		forget(d, old);
		w = worker_table_add(d->table, key, hash);
	}
	if (w != NULL) {
		metrics_add(d->conf.metrics, COUNTER_WORKERS_CREATED, 1);
		loop_defer(d->conf.loop, &d->maintain);
	}
	return w;
}

/* A packet that is on its way through here. */
struct passage {
	struct packet *packet;
	struct packet_info info;
	const struct ip_addr *destination;
	struct conn_key key;
	uint64_t hash;
	struct worker *worker; /* of the key, when it was looked for; NULL: it had none */
	bool is_foreign;       /* the destination is not the key's */
};

/* Who owns the destination? NULL: the packet is dropped. */
static struct worker_pool *resolve(struct dispatcher *d, struct passage *p)
{
	struct peer_id peer;
	if (is_broadcast(d, p->destination)) {
		drop(d, p->packet, DROP_MULTICAST);
		return NULL;
	}
	enum err e = peer_discovery_find(&d->conf.discovery, p->destination, &peer);
	if (e == ERR_NOT_FOUND) {
		metrics_add(d->conf.metrics, COUNTER_DISCOVERY_MISSES, 1);
		if (d->conf.on_no_route != NULL)
			d->conf.on_no_route(d->conf.ctx, p->destination);
		dispatcher_refuse(d, p->packet, &p->info, ICMP_NO_ROUTE, 0, DROP_NO_ROUTE);
		return NULL;
	}
	struct worker_pool *pool = NULL;
	if (e == ERR_OK)
		e = need_pool(d, &peer, &pool);
	if (e != ERR_OK) {
		metrics_add(d->conf.metrics, COUNTER_DISCOVERY_ERRORS, 1);
		drop(d, p->packet, DROP_DISCOVERY);
		return NULL;
	}
	metrics_add(d->conf.metrics, COUNTER_DISCOVERY_HITS, 1);
	return pool;
}

/* Its packets are for another peer from now on; what waits for the old one is dropped with it. */
static void change_pool(struct worker *w, struct worker_pool *pool)
{
	if (w->spread != NULL)
		spread_end(w);
	if (w->stream != NULL)
		stream_manager_release(w);
	stream_manager_drop_worker(w, DROP_CLOSING);
	w->death = w->death_conn = 0;
	w->pool->n_workers--;
	pool->n_workers++;
	w->pool = pool;
}

static void find_worker(struct dispatcher *d, struct passage *p)
{
	p->worker = worker_table_find(d->table, &p->key, p->hash);
}

/* The key's worker, made or brought up to date where needed. NULL: the packet is dropped. */
static struct worker *worker_for(struct dispatcher *d, struct passage *p)
{
	struct worker *w = p->worker;
	if (w != NULL && w->generation == d->generation && !p->is_foreign && !w->is_foreign)
		return w;
	struct worker_pool *pool = resolve(d, p);
	if (pool == NULL)
		return NULL;
	if (w == NULL) {
		w = make_worker(d, &p->key, p->hash);
		if (w == NULL) {
			drop(d, p->packet, DROP_WORKER_LIMIT);
			return NULL;
		}
		w->pool = pool;
		pool->n_workers++;
	} else if (w->pool != pool) {
		change_pool(w, pool);
	}
	w->generation = d->generation;
	w->is_foreign = p->is_foreign;
	return w;
}

static void forward(struct dispatcher *d, struct passage *p, nsec_t now)
{
	struct worker *w = worker_for(d, p);
	if (w == NULL)
		return;
	w->used_at = (uint32_t)(now / NSEC_PER_SEC);
	worker_pool_send(w, p->packet, &p->info, now);
}

/* false: the packet is dropped. */
static bool begin(struct dispatcher *d, struct passage *p, struct packet *packet)
{
	p->packet = packet;
	p->is_foreign = false;
	if (d->is_closing) {
		drop(d, packet, DROP_CLOSING);
		return false;
	}
	if (packet_parse(packet_view(packet), &p->info) != ERR_OK) {
		drop(d, packet, DROP_MALFORMED);
		return false;
	}
	p->destination = &p->info.destination;
	return true;
}

/* Each pass brings into the cache what the next one looks at: the key's place in the table, its
 * worker, the worker's peer and stream. Keys are a pass of their own because what was written in
 * pieces just before cannot be read as words without a wait for the processor's store buffer. */
static void look_up(struct dispatcher *d, struct passage *passages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		conn_key_of(&passages[i].info, &passages[i].key);
	for (size_t i = 0; i < n; i++) {
		passages[i].hash = worker_table_hash(d->table, &passages[i].key);
		worker_table_prefetch(d->table, passages[i].hash);
	}
	for (size_t i = 0; i < n; i++)
		worker_table_prefetch_worker(d->table, passages[i].hash);
	for (size_t i = 0; i < n; i++) {
		find_worker(d, &passages[i]);
		if (passages[i].worker != NULL)
			worker_pool_prefetch(passages[i].worker);
	}
}

void dispatcher_send_all(struct dispatcher *d, struct packet **packets, size_t n)
{
	UNINITIALIZED struct passage passages[BATCH];
	nsec_t now = loop_now(d->conf.loop);
	d->generation = peer_discovery_generation(&d->conf.discovery);
	while (n > 0) {
		size_t len = 0, some = MIN(n, (size_t)BATCH);
		for (size_t i = 0; i < some; i++) {
			if (begin(d, &passages[len], packets[i]))
				len++;
		}
		look_up(d, passages, len);
		uint64_t n_forgotten = d->n_forgotten;
		for (size_t i = 0; i < len; i++) {
			/* A packet before it may have brought its worker, or cost it. */
			if (passages[i].worker == NULL || d->n_forgotten != n_forgotten)
				find_worker(d, &passages[i]);
			forward(d, &passages[i], now);
		}
		packets += some;
		n -= some;
	}
}

void dispatcher_send(struct dispatcher *d, struct packet *packet)
{
	dispatcher_send_all(d, &packet, 1);
}

void dispatcher_send_as(struct dispatcher *d, struct packet *packet, const struct conn_key *key,
			const struct ip_addr *destination)
{
	struct passage p;
	d->generation = peer_discovery_generation(&d->conf.discovery);
	if (!begin(d, &p, packet))
		return;
	p.destination = destination;
	p.key = *key;
	p.is_foreign = key->family != destination->family ||
		       memcmp(key->ip, destination->bytes, sizeof(key->ip)) != 0;
	p.hash = worker_table_hash(d->table, key);
	find_worker(d, &p);
	forward(d, &p, loop_now(d->conf.loop));
}

void dispatcher_tell(struct dispatcher *d, const struct peer_id *peer, struct span frame)
{
	loop_assert_here(d->conf.loop);
	struct worker_pool *pool = find_pool(d, peer);
	struct pool_stream *s = pool != NULL ? stream_pool_pick(pool, NULL) : NULL;
	if (s != NULL && s->channel.takes_moves &&
	    channel_put_control(&s->channel, frame) == ERR_OK)
		pool_stream_wake(s);
}

void dispatcher_flushed(struct dispatcher *d, const struct conn_key *key)
{
	loop_assert_here(d->conf.loop);
	struct worker *w = worker_table_find(d->table, key, worker_table_hash(d->table, key));
	if (w == NULL || !w->is_flushing)
		return;
	w->is_flushing = false;
	/* The peer may be gone again: then its packets go where they went before. Or it was gone
	 * meanwhile, and more went there. */
	bool is_up = w->pool->down_since == 0 && !d->is_closing;
	if (is_up && w->is_stale) {
		w->is_stale = false;
		w->is_flushing = d->conf.flush(d->conf.ctx, &w->pool->peer, key);
		if (w->is_flushing)
			return;
		is_up = false;
	}
	if (!is_up) {
		stream_manager_hand_over_worker(w);
		return;
	}
	w->is_handed = false;
	stream_manager_serve(w->pool);
}

/* --- off the packet path ------------------------------------------------------------- */

static void on_maintain(struct loop_task *task)
{
	worker_table_maintain(CONTAINER_OF(task, struct dispatcher, maintain)->table);
}

static void on_cleanup(struct loop_timer *timer, nsec_t now)
{
	struct dispatcher *d = CONTAINER_OF(timer, struct dispatcher, cleanup);
	const struct dispatch_settings *settings = &d->conf.settings;
	uint32_t steps = CLEANUP_STEPS, now_s = (uint32_t)(now / NSEC_PER_SEC);
	struct worker *w;
	while ((w = worker_table_walk(d->table, &d->cleanup_at, &steps)) != NULL) {
		if (w->packets == 0 &&
		    now_s - w->used_at >= settings->worker_idle_timeout / NSEC_PER_SEC)
			forget(d, w);
	}
	nsec_t pause = d->cleanup_at == 0 ? settings->worker_cleanup_interval : NSEC_PER_MSEC;
	loop_timer_set(&d->cleanup, nsec_add(now, pause));
}

/* --- life ---------------------------------------------------------------------------- */

/* Whoever made them has checked them: what follows would break, or never rest. */
static void check_settings(const struct dispatch_settings *s)
{
	assert(s->streams_max > 0);
	assert(s->stream_cleanup_interval > 0 && s->worker_cleanup_interval > 0);
	assert(s->queue.packets_max > 0 && s->queue.worker_packets_max > 0);
	assert(s->peer_packets_max > 0 && s->peer_bytes_max >= PACKET_LEN_MAX);
	assert(s->health.failures > 0 && s->health.failures <= STREAM_HEALTH_FAILURES_MAX);
}

enum err dispatcher_new(const struct dispatcher_conf *conf, struct dispatcher **ret_dispatcher)
{
	check_settings(&conf->settings);
	struct dispatcher *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return ERR_NO_MEMORY;
	d->conf = *conf;
	d->conf.settings.streams_min = MIN(conf->settings.streams_min, conf->settings.streams_max);
	enum err e = worker_table_new(dispatcher_random(d), &d->table);
	if (e != ERR_OK) {
		free(d);
		return e;
	}
	d->maintain.run = on_maintain;
	loop_timer_init(&d->cleanup, conf->loop, on_cleanup);
	loop_timer_set(&d->cleanup,
		       nsec_add(loop_now(conf->loop), conf->settings.worker_cleanup_interval));
	dispatcher_init_close(d);
	flush_init(d);
	*ret_dispatcher = d;
	return ERR_OK;
}

struct dispatcher *dispatcher_free(struct dispatcher *d)
{
	if (d == NULL)
		return NULL;
	struct worker *w;
	uint32_t at = 0, steps = UINT32_MAX;
	while ((w = worker_table_walk(d->table, &at, &steps)) != NULL) {
		if (w->spread != NULL)
			spread_end(w);
		if (w->stream != NULL)
			stream_manager_release(w);
		stream_manager_drop_worker(w, DROP_CLOSING);
		forget(d, w);
	}
	struct worker_pool *pool, *tmp;
	HASH_ITER (hh, d->pools, pool, tmp) {
		HASH_DEL(d->pools, pool);
		worker_pool_free(pool);
	}
	loop_task_cancel(&d->maintain);
	loop_task_cancel(&d->closed);
	loop_timer_stop(&d->cleanup);
	loop_timer_stop(&d->drain);
	flush_all(d);
	d->table = worker_table_free(d->table);
	free(d);
	return NULL;
}
