/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * node.c - two VPN nodes in one process, without a device and without root
 *
 * Alice listens on a free port of 127.0.0.1; Bob is told where, and dials. When Bob hears that
 * Alice is connected, a UDP packet goes from 10.7.0.2 to 10.7.0.1 through the tunnel, and Alice
 * answers.
 *
 *     cc node.c $(pkg-config --cflags --libs runnel) -o node && ./node
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <runnel/node.h>

#define CONFIG_MAX 1024  /* bytes of a configuration's text */
#define PACKET_MAX 1400  /* bytes; the default of interface.mtu */
#define HEADERS    28    /* bytes of IPv4 and UDP before a datagram's text */
#define PATIENCE   20    /* seconds to wait for a thing */
#define UDP_PORT   40000 /* of both */

static const uint8_t alice_ip[4] = {10, 7, 0, 1};
static const uint8_t bob_ip[4] = {10, 7, 0, 2};

/* --- what the nodes' threads tell main() --------------------------------------------- */

/* One of the two. What the callbacks write is guarded by the mutex. */
struct side {
	const char *name;
	struct runnel_identity *identity;
	struct runnel_node *node;
	bool is_connected;
	uint8_t packet[PACKET_MAX];
	size_t packet_len; /* 0: none came */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t news = PTHREAD_COND_INITIALIZER;

/* On the node's thread: note it, and return soon. */
static void on_packet(void *ctx, const void *packet, size_t len)
{
	struct side *side = ctx;
	pthread_mutex_lock(&mutex);
	if (len <= sizeof(side->packet)) {
		memcpy(side->packet, packet, len);
		side->packet_len = len;
		pthread_cond_signal(&news);
	}
	pthread_mutex_unlock(&mutex);
}

static void on_peer(void *ctx, const struct runnel_peer_id *id, bool is_connected)
{
	struct side *side = ctx;
	char text[RUNNEL_PEER_ID_TEXT_MAX];
	printf("%s: %s is %s\n", side->name, runnel_peer_id_format(id, text),
	       is_connected ? "connected" : "gone");
	pthread_mutex_lock(&mutex);
	side->is_connected = is_connected;
	pthread_cond_signal(&news);
	pthread_mutex_unlock(&mutex);
}

static bool is_connected(const struct side *side)
{
	return side->is_connected;
}

static bool has_packet(const struct side *side)
{
	return side->packet_len > 0;
}

/* --- help ---------------------------------------------------------------------------- */

/* Print why, and end: the nodes' threads end with the process. */
static void fail(const char *what, enum runnel_err err, const char *why)
{
	fprintf(stderr, "%s: %s %s\n", what, runnel_err_text(err), why);
	exit(EXIT_FAILURE);
}

static void wait_until(bool (*holds)(const struct side *side), const struct side *side,
		       const char *what)
{
	struct timespec until;
	timespec_get(&until, TIME_UTC);
	until.tv_sec += PATIENCE;
	pthread_mutex_lock(&mutex);
	while (!holds(side)) {
		if (pthread_cond_timedwait(&news, &mutex, &until) != 0)
			fail(what, RUNNEL_ERR_TIMEOUT, side->name);
	}
	pthread_mutex_unlock(&mutex);
}

/* --- packets ------------------------------------------------------------------------- */

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* The Internet checksum of an IPv4 header. */
static unsigned checksum(const uint8_t *bytes, size_t len)
{
	unsigned long sum = 0;
	for (size_t i = 0; i < len; i += 2)
		sum += (unsigned long)bytes[i] << 8 | bytes[i + 1];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (unsigned)(~sum & 0xffff);
}

/* An IPv4 packet with a UDP datagram; returns its length. */
static size_t make_packet(const uint8_t from[4], const uint8_t to[4], const char *text,
			  uint8_t packet[PACKET_MAX])
{
	size_t len = HEADERS + strlen(text);
	memset(packet, 0, HEADERS);
	packet[0] = 0x45; /* version 4, a header of 20 bytes */
	put16(packet + 2, (unsigned)len);
	packet[8] = 64; /* time to live */
	packet[9] = 17; /* UDP */
	memcpy(packet + 12, from, 4);
	memcpy(packet + 16, to, 4);
	put16(packet + 10, checksum(packet, 20));
	put16(packet + 20, UDP_PORT);
	put16(packet + 22, UDP_PORT);
	put16(packet + 24, (unsigned)(len - 20)); /* the UDP checksum may be 0 in IPv4 */
	memcpy(packet + HEADERS, text, strlen(text));
	return len;
}

static void send_text(struct side *side, const uint8_t from[4], const uint8_t to[4],
		      const char *text)
{
	uint8_t packet[PACKET_MAX];
	size_t len = make_packet(from, to, text, packet);
	enum runnel_err err = runnel_node_send(side->node, packet, len);
	if (err != RUNNEL_ERR_OK)
		fail("send", err, side->name);
}

static void receive_text(struct side *side)
{
	wait_until(has_packet, side, "wait for a packet");
	const uint8_t *p = side->packet;
	printf("%s: %zu bytes from %d.%d.%d.%d: %.*s\n", side->name, side->packet_len, p[12], p[13],
	       p[14], p[15], (int)(side->packet_len - HEADERS), (const char *)p + HEADERS);
}

/* --- nodes --------------------------------------------------------------------------- */

static void make_identity(struct side *side, char text[RUNNEL_PEER_ID_TEXT_MAX])
{
	enum runnel_err err = runnel_identity_generate(&side->identity);
	if (err != RUNNEL_ERR_OK)
		fail("make a key", err, side->name);
	struct runnel_peer_id id;
	runnel_identity_peer_id(side->identity, &id);
	printf("%s: %s\n", side->name, runnel_peer_id_format(&id, text));
}

static void start(struct side *side, const char *config)
{
	char why[RUNNEL_ERROR_TEXT_MAX];
	const struct runnel_node_conf conf = {
		.config_text = config,
		.identity = side->identity,
		.tun = RUNNEL_NO_TUN,
		.ctx = side,
		.on_packet = on_packet,
		.on_peer = on_peer,
	};
	enum runnel_err err = runnel_node_new(&conf, &side->node, why, sizeof(why));
	if (err == RUNNEL_ERR_OK)
		err = runnel_node_start(side->node, why, sizeof(why));
	if (err != RUNNEL_ERR_OK)
		fail(side->name, err, why);
}

static void print_status(struct side *side)
{
	char *text;
	enum runnel_err err = runnel_node_status_json(side->node, &text);
	if (err != RUNNEL_ERR_OK)
		fail("status", err, side->name);
	printf("%s: %s\n", side->name, text);
	free(text);
}

int main(void)
{
	struct side alice = {.name = "alice"}, bob = {.name = "bob"};
	char alice_id[RUNNEL_PEER_ID_TEXT_MAX], bob_id[RUNNEL_PEER_ID_TEXT_MAX];
	char config[CONFIG_MAX];
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("librunnel %s\n", runnel_version());
	make_identity(&alice, alice_id);
	make_identity(&bob, bob_id);

	snprintf(config, sizeof(config),
		 "listen: [/ip4/127.0.0.1/tcp/0]\n"
		 "interface: {addresses: [10.7.0.1/24]}\n"
		 "peers: [{id: %s, name: bob, allowed_ips: [10.7.0.2/32]}]\n",
		 bob_id);
	start(&alice, config);

	struct runnel_addr at;
	size_t n;
	enum runnel_err err = runnel_node_listen_addrs(alice.node, &at, 1, &n);
	if (err != RUNNEL_ERR_OK || n == 0)
		fail("where does alice listen", err, "");
	printf("alice: listens on %s\n", at.multiaddr);

	snprintf(config, sizeof(config),
		 "listen: []\n"
		 "interface: {addresses: [10.7.0.2/24]}\n"
		 "peers: [{id: %s, name: alice, addresses: ['%s'], allowed_ips: [10.7.0.1/32]}]\n",
		 alice_id, at.multiaddr);
	start(&bob, config);

	wait_until(is_connected, &bob, "wait for a connection");
	send_text(&bob, bob_ip, alice_ip, "hello, alice");
	receive_text(&alice);
	send_text(&alice, alice_ip, bob_ip, "hello, bob");
	receive_text(&bob);
	print_status(&alice);
	print_status(&bob);

	err = runnel_node_stop(bob.node, 2 * RUNNEL_NSEC_PER_SEC);
	if (err != RUNNEL_ERR_OK)
		fail("stop", err, bob.name);
	bob.node = runnel_node_free(bob.node);
	alice.node = runnel_node_free(alice.node); /* stops it first */
	runnel_identity_free(bob.identity);
	runnel_identity_free(alice.identity);
	return EXIT_SUCCESS;
}
