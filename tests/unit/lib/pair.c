/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* pair.c - see pair.h */
#include "pair.h"

#include <stdio.h>
#include <time.h>

#include "vpn/packet/checksum.h"

struct pair_side alice, bob;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;

void pair_lock(void)
{
	pthread_mutex_lock(&mutex);
}

void pair_unlock(void)
{
	pthread_mutex_unlock(&mutex);
}

void pair_tell(void)
{
	pthread_cond_broadcast(&news);
}

void pair_wait(void)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PAIR_PATIENCE_SEC;
	if (pthread_cond_timedwait(&news, &mutex, &until) != 0) {
		pthread_mutex_unlock(&mutex);
		fail_msg("nothing happened for %d s", PAIR_PATIENCE_SEC);
	}
}

/* --- callbacks ----------------------------------------------------------------------- */

static void on_packet(void *ctx, const void *packet, size_t len)
{
	struct pair_side *side = ctx;
	pair_lock();
	side->n_packets++;
	side->packet_len = len < sizeof(side->packet) ? len : sizeof(side->packet);
	memcpy(side->packet, packet, side->packet_len);
	pair_tell();
	pair_unlock();
	if (side->in_callback != NULL)
		side->in_callback(side);
}

static void on_peer(void *ctx, const struct runnel_peer_id *id, bool is_connected)
{
	struct pair_side *side = ctx;
	pair_lock();
	side->peer = *id;
	if (is_connected)
		side->n_connects++;
	else
		side->n_disconnects++;
	pair_tell();
	pair_unlock();
	if (side->in_callback != NULL)
		side->in_callback(side);
}

/* --- life ---------------------------------------------------------------------------- */

static void make_side(struct pair_side *side)
{
	*side = (struct pair_side){0};
	assert_public_ok(runnel_identity_generate(&side->identity));
	struct runnel_peer_id id;
	runnel_identity_peer_id(side->identity, &id);
	runnel_peer_id_format(&id, side->id);
	side->conf = (struct runnel_node_conf){
		.config_text = side->config,
		.identity = side->identity,
		.tun = RUNNEL_NO_TUN,
		.ctx = side,
		.on_packet = on_packet,
		.on_peer = on_peer,
	};
}

int pair_setup(void **state)
{
	(void)state;
	make_side(&alice);
	make_side(&bob);
	snprintf(alice.config, sizeof(alice.config),
		 "listen: [/ip4/127.0.0.1/tcp/0]\n"
		 "interface: {name: lib0, addresses: [10.7.0.1/24]}\n"
		 "peers: [{id: %s, allowed_ips: [10.7.0.2/32]}]\n",
		 bob.id);
	return 0;
}

static void free_side(struct pair_side *side)
{
	side->node = runnel_node_free(side->node);
	side->identity = runnel_identity_free(side->identity);
}

int pair_teardown(void **state)
{
	(void)state;
	free_side(&bob);
	free_side(&alice);
	return 0;
}

void pair_start(struct pair_side *side)
{
	char why[PAIR_ERRBUF];
	enum runnel_err err = runnel_node_new(&side->conf, &side->node, why, sizeof(why));
	if (err == RUNNEL_ERR_OK)
		err = runnel_node_start(side->node, why, sizeof(why));
	if (err != RUNNEL_ERR_OK)
		fail_msg("%s: %s", runnel_err_name(err), why);
}

void pair_connect(void)
{
	pair_start(&alice);
	struct runnel_addr at;
	size_t n;
	assert_public_ok(runnel_node_listen_addrs(alice.node, &at, 1, &n));
	assert_int_equal(n, 1);
	snprintf(bob.config, sizeof(bob.config),
		 "listen: []\n"
		 "interface: {name: lib1, addresses: [10.7.0.2/24]}\n"
		 "peers: [{id: %s, addresses: ['%s'], allowed_ips: [10.7.0.1/32]}]\n",
		 alice.id, at.multiaddr);
	pair_start(&bob);
	pair_wait_peer(&bob, true);
	pair_wait_peer(&alice, true);
}

void pair_wait_packets(struct pair_side *side, unsigned n)
{
	pair_lock();
	while (side->n_packets < n)
		pair_wait();
	pair_unlock();
}

void pair_wait_peer(struct pair_side *side, bool is_connected)
{
	pair_lock();
	while ((side->n_connects > side->n_disconnects) != is_connected)
		pair_wait();
	pair_unlock();
}

/* --- packets ------------------------------------------------------------------------- */

size_t pair_packet(const char *from, const char *to, const void *text, size_t text_len,
		   uint8_t packet[PAIR_PACKET_MAX])
{
	enum {
		HEADERS = 28, /* IPv4 and UDP */
	};
	struct runnel_ip source, destination;
	assert_public_ok(runnel_ip_parse(from, &source));
	assert_public_ok(runnel_ip_parse(to, &destination));
	size_t len = HEADERS + text_len;
	assert_true(len <= PAIR_PACKET_MAX);
	memset(packet, 0, HEADERS);
	packet[0] = 0x45;
	store_be16(packet + 2, (uint16_t)len);
	packet[8] = 64;
	packet[9] = 17;
	memcpy(packet + 12, source.bytes, 4);
	memcpy(packet + 16, destination.bytes, 4);
	store_be16(packet + 10, checksum_finish(checksum_add(0, span_of(packet, 20))));
	store_be16(packet + 20, 40000);
	store_be16(packet + 22, 40000);
	store_be16(packet + 24, (uint16_t)(8 + text_len));
	memcpy(packet + HEADERS, text, text_len);
	return len;
}

void pair_assert_packet(struct pair_side *side, const uint8_t *packet, size_t len)
{
	pair_lock();
	struct span got = span_of(side->packet, side->packet_len);
	pair_unlock();
	assert_span_equal(got, span_of(packet, len));
}
