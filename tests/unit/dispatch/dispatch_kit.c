/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatch_kit.c - see dispatch_kit.h */
#include "dispatch_kit.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/util.h"

size_t kit_first_vpn = KIT_PEERS_MAX;

static const struct frame_hello hello = {
	.version = FRAME_VERSION,
	.mtu = 1420,
	.capabilities = FRAME_CAN_OFFLOAD | FRAME_CAN_PROBE,
	.payload_len_max = FRAME_PAYLOAD_LEN_MAX,
};

struct dispatch_settings kit_settings(void)
{
	return (struct dispatch_settings){
		.streams_min = 1,
		.streams_max = 3,
		.stream_idle_timeout = SEC(300),
		.stream_cleanup_interval = SEC(60),
		.worker_idle_timeout = SEC(300),
		.worker_cleanup_interval = SEC(60),
		.queue = {.codel = {.target = MSEC(5), .interval = MSEC(100), .mtu_bytes = 1514},
			  .packets_max = 1024,
			  .worker_packets_max = 512},
		.peer_packets_max = 2048,
		.peer_bytes_max = 4 << 20,
		.health = STREAM_HEALTH_CONF_DEFAULT,
		.breaker = BREAKER_CONF_DEFAULT,
		.retry = RETRY_CONF_DEFAULT,
		.hello = hello,
		.vpn_mtu = 1420,
	};
}

/* --- what the dispatcher tells ------------------------------------------------------- */

static void on_refused(void *ctx, struct span packet, const struct packet_info *info,
		       enum icmp_reason why, uint32_t mtu)
{
	struct kit *k = ctx;
	assert_int_equal(packet.len, info->len);
	k->n_refused[why]++;
	k->refused_mtu = mtu;
}

static void on_stream(void *ctx, const struct peer_id *peer, enum err result)
{
	struct kit *k = ctx;
	(void)peer;
	*(result == ERR_OK ? &k->n_streams_up : &k->n_streams_failed) += 1;
}

static void on_no_route(void *ctx, const struct ip_addr *destination)
{
	(void)destination;
	((struct kit *)ctx)->n_no_route++;
}

static void on_closed(void *ctx, uint64_t dropped)
{
	struct kit *k = ctx;
	assert_false(k->is_closed);
	k->is_closed = true;
	k->dropped_at_close = dropped;
}

/* --- the service, counted ------------------------------------------------------------ */

static struct stream_service_ops counted_ops;

static uint64_t counted_heard_bytes(void *ctx, const struct peer_id *peer)
{
	struct kit *k = ctx;
	return k->inner.ops->heard_bytes(k->inner.ctx, peer);
}

static enum err counted_open(void *ctx, const struct peer_id *peer, const struct link_user_ops *ops,
			     void *user, void **ret_link)
{
	struct kit *k = ctx;
	k->n_opens++;
	return k->inner.ops->open(k->inner.ctx, peer, ops, user, ret_link);
}

static void counted_demand(void *ctx, const struct peer_id *peer)
{
	struct kit *k = ctx;
	k->n_demands++;
	k->inner.ops->demand(k->inner.ctx, peer);
}

static struct stream_service count_opens(struct kit *k)
{
	counted_ops = *k->inner.ops;
	counted_ops.open = counted_open;
	counted_ops.demand = counted_demand;
	if (counted_ops.heard_bytes != NULL)
		counted_ops.heard_bytes = counted_heard_bytes;
	return (struct stream_service){.ops = &counted_ops, .ctx = k};
}

/* --- packets ------------------------------------------------------------------------- */

static void on_done(struct receipt *receipt, enum drop outcome)
{
	struct kit_packet_receipt *r = CONTAINER_OF(receipt, struct kit_packet_receipt, receipt);
	assert_true(r->is_out); /* once */
	r->is_out = false;
	r->next = r->kit->receipts;
	r->kit->receipts = r;
	r->kit->ended++;
	assert_true(outcome <= PACKET_SENT);
	r->kit->outcomes[outcome]++;
}

struct packet *kit_packet(struct kit *k, size_t key, size_t peer, size_t len)
{
	struct packet *p = packet_alloc(k->pool, len);
	if (p == NULL)
		return NULL;
	assert_true(len >= 40 && key < KIT_KEYS_MAX && k->receipts != NULL);
	uint8_t *b = p->data;
	memset(b, 0, len);
	b[0] = 0x45;
	store_be16(b + 2, (uint16_t)len);
	b[6] = 0x40; /* don't fragment */
	b[8] = 64;
	b[9] = 17;
	memcpy(b + 12, (uint8_t[]){10, 9, 9, 9}, 4);
	memcpy(b + 16, (uint8_t[]){10, 0, (uint8_t)peer, 1}, 4);
	store_be16(b + 20, (uint16_t)(1000 + key));
	store_be16(b + 22, 53);
	store_be16(b + 24, (uint16_t)(len - 20));
	store_be32(b + 28, (uint32_t)key);
	store_be32(b + 32, ++k->keys[key].given);
	p->len = (uint32_t)len;
	struct kit_packet_receipt *r = k->receipts;
	k->receipts = r->next;
	r->is_out = true;
	p->receipt = &r->receipt;
	k->given++;
	return p;
}

void kit_send(struct kit *k, size_t key, size_t peer, size_t len)
{
	struct packet *p = kit_packet(k, key, peer, len);
	if (p != NULL)
		dispatcher_send(k->d, p);
}

void kit_send_many(struct kit *k, size_t key, size_t peer, size_t len, size_t n)
{
	while (n-- > 0)
		kit_send(k, key, peer, len);
}

void kit_arrive(struct kit *k, size_t peer, uint64_t stream, struct span packet)
{
	assert_true(packet.len >= 40);
	uint32_t number = load_be32(packet.p + 28), place = load_be32(packet.p + 32);
	assert_true(number < KIT_KEYS_MAX);
	struct kit_key *key = &k->keys[number];
	if (place <= key->arrived)
		fail_msg("key %u: %u after %u, stream %u after %u", number, place, key->arrived,
			 (unsigned)stream, (unsigned)key->stream);
	key->arrived = place;
	key->n_arrived++;
	key->n_moves += key->stream != 0 && key->stream != stream;
	key->stream = stream;
	key->peer = peer;
	k->arrived++;
	k->arrived_of[peer]++;
}

static void on_packet(void *ctx, const struct peer_id *id, uint64_t stream, struct span packet)
{
	struct kit *k = ctx;
	size_t peer = 0;
	while (!peer_id_equal(&k->peers[peer], id))
		peer++;
	kit_arrive(k, peer, stream, packet);
}

/* --- life ---------------------------------------------------------------------------- */

static struct kit *make(size_t n_peers, const struct dispatch_settings *settings)
{
	struct kit *k = aligned_alloc(64, sizeof(*k));
	memset(k, 0, sizeof(*k));
	struct sim_host *host;
	assert_ok(sim_new(testkit_random(), &k->sim));
	assert_ok(sim_host_new(k->sim, "host", "192.0.2.1", &host));
	k->loop = sim_host_loop(host);
	assert_ok(packet_pool_new(KIT_POOL, 16, &k->pool));
	assert_ok(memory_discovery_new(&k->discovery));
	k->memory_of_receipts = calloc(KIT_POOL + 16, sizeof(*k->memory_of_receipts));
	for (size_t i = 0; i < KIT_POOL + 16; i++) {
		struct kit_packet_receipt *r = &k->memory_of_receipts[i];
		*r = (struct kit_packet_receipt){
			.receipt.done = on_done, .kit = k, .next = k->receipts};
		k->receipts = r;
	}
	k->n_peers = n_peers;
	for (size_t i = 0; i < n_peers; i++) {
		k->peers[i].len = 38;
		memset(k->peers[i].bytes, (int)i + 1, 38);
		struct ip_prefix prefix = {
			.addr = ip_addr_v4((const uint8_t[]){10, 0, (uint8_t)i, 0}), .len = 24};
		assert_ok(memory_discovery_add(k->discovery, &prefix, &k->peers[i]));
	}
	k->conf = (struct dispatcher_conf){
		.loop = k->loop,
		.discovery = memory_discovery_get(k->discovery),
		.packets = k->pool,
		.metrics = &k->metrics,
		.settings = settings != NULL ? *settings : kit_settings(),
		.on_refused = on_refused,
		.on_stream = on_stream,
		.on_no_route = on_no_route,
		.on_closed = on_closed,
		.ctx = k,
	};
	return k;
}

struct kit *kit_new_with(size_t n_peers, const struct dispatch_settings *settings,
			 struct stream_service (*service)(struct kit *kit, void *ctx), void *ctx)
{
	struct kit *k = make(n_peers, settings);
	k->inner = service(k, ctx);
	k->conf.streams = count_opens(k);
	assert_ok(dispatcher_new(&k->conf, &k->d));
	return k;
}

struct stream_service kit_memory_service(struct kit *k, void *ctx)
{
	(void)ctx;
	assert_ok(memory_streams_new(k->loop, &k->memory));
	for (size_t i = 0; i < k->n_peers; i++) {
		struct memory_peer peer = {.id = k->peers[i],
					   .on_packet = on_packet,
					   .ctx = k,
					   .framing = i < kit_first_vpn ? PACKET_FRAMING_RUNNEL
									: PACKET_FRAMING_VPN,
					   .hello = hello};
		assert_ok(memory_streams_add(k->memory, &peer));
	}
	return memory_streams_get(k->memory);
}

struct kit *kit_new(size_t n_peers, const struct dispatch_settings *settings)
{
	struct kit *k = kit_new_with(n_peers, settings, kit_memory_service, NULL);
	for (size_t i = 0; i < n_peers; i++)
		assert_ok(dispatcher_peer_up(k->d, &k->peers[i]));
	kit_run(k, MSEC(10));
	return k;
}

void kit_run(struct kit *k, nsec_t duration)
{
	sim_run_until(k->sim, sim_now(k->sim) + duration);
}

void kit_check(const struct kit *k)
{
	uint64_t sum = 0, waiting = 0;
	for (size_t i = 0; i <= DROP_COUNT; i++)
		sum += k->outcomes[i];
	assert_int_equal(sum, k->ended);
	for (size_t i = 0; i < DROP_COUNT; i++)
		assert_int_equal(k->outcomes[i], k->metrics.drops[i]);
	assert_int_equal(k->outcomes[PACKET_SENT], k->metrics.counters[COUNTER_PEER_TX_PACKETS]);
	assert_true(k->arrived <= k->outcomes[PACKET_SENT]);
	for (size_t i = 0; k->d != NULL && i < k->n_peers; i++)
		waiting += kit_info(k, i).queued_packets;
	assert_int_equal(k->given, k->ended + waiting);
	assert_int_equal(packet_pool_free_count(k->pool) + waiting, packet_pool_count(k->pool));
}

static bool is_closed(void *ctx)
{
	return ((struct kit *)ctx)->is_closed;
}

void kit_close(struct kit *k, nsec_t within)
{
	nsec_t deadline = nsec_add(sim_now(k->sim), within);
	dispatcher_close(k->d, deadline);
	assert_false(k->is_closed);
	if (!sim_run_while_not(k->sim, is_closed, k, nsec_add(deadline, SEC(2))))
		fail_msg("does not close");
}

void kit_end(struct kit *k)
{
	if (!k->is_closed)
		kit_close(k, SEC(1));
	k->d = dispatcher_free(k->d);
	kit_check(k);
	assert_int_equal(k->given, k->ended);
	assert_int_equal(kit_count(k, COUNTER_STREAMS_OPENED),
			 kit_count(k, COUNTER_STREAMS_CLOSED));
	assert_int_equal(kit_count(k, COUNTER_WORKERS_CREATED),
			 kit_count(k, COUNTER_WORKERS_FREED));
	memory_streams_free(k->memory);
	memory_discovery_free(k->discovery);
	packet_pool_free(k->pool);
	assert_int_equal(sim_count_live(k->sim), 0);
	loop_free(k->loop);
	sim_free(k->sim);
	free(k->memory_of_receipts);
	free(k);
}

struct dispatch_peer_info kit_info(const struct kit *k, size_t peer)
{
	struct dispatch_peer_info info;
	dispatcher_peer_info(k->d, &k->peers[peer], &info);
	return info;
}

struct worker_pool *kit_pool(const struct kit *k, size_t peer)
{
	struct worker_pool *pool = k->d->pools;
	while (pool != NULL && !peer_id_equal(&pool->peer, &k->peers[peer]))
		pool = pool->hh.next;
	return pool;
}

size_t kit_up(const struct kit *k, size_t peer)
{
	struct dispatch_peer_info info = kit_info(k, peer);
	size_t n = 0;
	for (size_t i = 0; i < info.n_streams; i++)
		n += info.streams[i].state == POOL_STREAM_UP && !info.streams[i].is_retiring;
	return n;
}

void kit_faults(struct kit *k, size_t peer, struct memory_faults faults)
{
	assert_ok(memory_streams_set(k->memory, &k->peers[peer], faults));
}

uint64_t kit_count(const struct kit *k, enum counter counter)
{
	return k->metrics.counters[counter];
}

void kit_check_streams(const struct kit *k)
{
	for (size_t i = 0; i < k->n_peers; i++) {
		const struct worker_pool *pool = kit_pool(k, i);
		if (pool == NULL)
			continue;
		size_t n = 0, opening = 0, up = 0, keys = 0, packets = 0;
		const struct pool_stream *s;
		DL_FOREACH (pool->streams.streams, s) {
			n++;
			opening += s->state == POOL_STREAM_OPENING;
			up += s->state == POOL_STREAM_UP && !s->is_retiring;
			size_t n_keys = 0;
			for (const struct worker *w = s->workers; w != NULL; w = w->stream_next) {
				n_keys++;
				assert_ptr_equal(w->stream, s);
				assert_true(w->queue == NULL || w->queue == &s->channel.queue);
				assert_true(w->packets == 0 || w->place != WORKER_IDLE);
			}
			assert_int_equal(s->n_workers, n_keys);
			keys += n_keys;
			packets += s->channel.queue.packets + (s->channel.begun != NULL);
			if (s->state == POOL_STREAM_OPENING || s->state == POOL_STREAM_CLOSING)
				assert_int_equal(n_keys, 0);
		}
		for (const struct worker *w = pool->waiting; w != NULL;) {
			assert_true(w->packets > 0 && w->place == WORKER_WAITING);
			assert_null(w->queue);
			packets += w->packets;
			w = w->next == pool->waiting ? NULL : w->next;
		}
		assert_int_equal(pool->streams.n, n);
		assert_int_equal(pool->streams.n_opening, opening);
		assert_int_equal(pool->streams.n_up, up);
		assert_int_equal(pool->share.packets, packets);
		assert_true(keys <= pool->n_workers);
	}
}
