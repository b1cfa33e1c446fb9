/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* desk.c - see desk.h */
#include "desk.h"

#include <stdio.h>
#include <time.h>

struct desk desk;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;

void desk_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void desk_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

void desk_tell(void)
{
	pthread_cond_broadcast(&news);
}

void desk_wait(void)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += DESK_PATIENCE_SEC;
	if (pthread_cond_timedwait(&news, &mutex, &until) != 0) {
		pthread_mutex_unlock(&mutex);
		fail_msg("nothing happened for %d s", DESK_PATIENCE_SEC);
	}
}

/* --- callbacks ----------------------------------------------------------------------- */

void desk_done(void *ctx, enum runnel_drop outcome)
{
	struct desk *d = ctx;
	desk_lock();
	d->n_done++;
	d->outcomes[outcome]++;
	desk_tell();
	d->is_inside = d->is_held;
	while (d->is_held)
		pthread_cond_wait(&news, &mutex);
	d->is_inside = false;
	desk_unlock();
}

static void on_packet(void *ctx, unsigned shard, uint64_t stream, const void *packet, size_t len)
{
	struct desk *d = ctx;
	(void)shard;
	(void)stream;
	if (d->on_arrival != NULL) {
		d->on_arrival(packet);
		return;
	}
	desk_lock();
	if (len == DESK_HEADERS + 4) {
		uint32_t number = load_be32((const uint8_t *)packet + DESK_HEADERS);
		d->is_disordered = d->is_disordered || (d->n_arrived > 0 && number <= d->last);
		d->last = number;
		d->n_arrived++;
	}
	desk_tell();
	desk_unlock();
}

/* --- set up -------------------------------------------------------------------------- */

static void add_peer(unsigned i)
{
	struct runnel_memory_peer peer = {.on_packet = on_packet, .ctx = &desk};
	struct runnel_ip ip = {.family = 4, .bytes = {10, 7, (uint8_t)i, 0}};
	/* An identity multihash of a few bytes: a peer id like any other. */
	peer.id = (struct runnel_peer_id){.bytes = {0, 4, 8, 1, 18, (uint8_t)i}, .len = 6};
	desk.peers[i] = peer.id;
	assert_public_ok(runnel_memory_streams_add(desk.streams, &peer));
	assert_public_ok(runnel_memory_discovery_add(desk.discovery, &ip, 24, &peer.id));
}

int desk_setup(void **state)
{
	(void)state;
	desk = (struct desk){.dispatcher = NULL};
	runnel_dispatch_conf_init(&desk.conf);
	runnel_resilience_init(&desk.resilience);
	desk.conf.shards = 2;
	assert_public_ok(runnel_memory_discovery_new(&desk.discovery));
	assert_public_ok(runnel_memory_streams_new(&desk.streams));
	for (unsigned i = 0; i < DESK_PEERS; i++)
		add_peer(i);
	return 0;
}

int desk_teardown(void **state)
{
	(void)state;
	desk_release();
	desk.dispatcher = runnel_dispatcher_free(desk.dispatcher);
	desk.streams = runnel_memory_streams_free(desk.streams);
	desk.discovery = runnel_memory_discovery_free(desk.discovery);
	return 0;
}

void desk_new(void)
{
	char why[256];
	const struct runnel_peer_discovery discovery = runnel_memory_discovery_get(desk.discovery);
	const struct runnel_stream_service streams = runnel_memory_streams_get(desk.streams);
	assert_public_ok(runnel_dispatcher_new(&discovery, &streams, &desk.conf, &desk.resilience,
					       &desk.dispatcher, why, sizeof(why)));
}

void desk_start(void)
{
	desk_new();
	assert_public_ok(runnel_dispatcher_start(desk.dispatcher));
}

/* --- packets ------------------------------------------------------------------------- */

size_t desk_packet(const char *to, uint16_t source_port, uint32_t number,
		   uint8_t packet[DESK_PACKET_MAX])
{
	const size_t len = DESK_HEADERS + 4;
	struct runnel_ip ip;
	assert_public_ok(runnel_ip_parse(to, &ip));
	memset(packet, 0, len);
	packet[0] = 0x45;
	store_be16(packet + 2, (uint16_t)len);
	packet[8] = 64;
	packet[9] = 17; /* UDP */
	memcpy(packet + 12, (const uint8_t[]){10, 7, 77, 1}, 4);
	memcpy(packet + 16, ip.bytes, 4);
	store_be16(packet + 20, source_port);
	store_be16(packet + 22, 443);
	store_be16(packet + 24, 8 + 4);
	store_be32(packet + DESK_HEADERS, number);
	return len;
}

enum runnel_err desk_send(const char *to, uint16_t source_port, uint32_t number)
{
	uint8_t packet[DESK_PACKET_MAX];
	size_t len = desk_packet(to, source_port, number, packet);
	return runnel_dispatch_with_callback(desk.dispatcher, NULL, NULL, packet, len, desk_done,
					     &desk);
}

void desk_wait_done(uint64_t n)
{
	desk_lock();
	while (desk.n_done < n)
		desk_wait();
	desk_unlock();
}

void desk_hold(void)
{
	desk_lock();
	desk.is_held = true;
	desk_unlock();
}

void desk_release(void)
{
	desk_lock();
	desk.is_held = false;
	desk_tell();
	desk_unlock();
}

void desk_set(unsigned peer, struct runnel_memory_faults faults)
{
	assert_public_ok(runnel_memory_streams_set(desk.streams, &desk.peers[peer], &faults));
}

uint64_t desk_metric(enum runnel_metric metric)
{
	return runnel_dispatcher_metric(desk.dispatcher, metric);
}
