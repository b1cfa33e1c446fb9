/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatch.c - packets to peers, without a device, without libp2p and without root
 *
 * The dispatcher alone: a program's own packets, given to it from any thread, go to the peer that
 * owns their destination, in order where they belong to one connection. Discovery and streams are
 * those of this process; a program has its own instead.
 *
 *     cc dispatch.c $(pkg-config --cflags --libs runnel) -o dispatch && ./dispatch
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <runnel/dispatch.h>
#include <runnel/dispatch_memory.h>

#define PACKETS  100 /* of one connection */
#define HEADERS  28  /* bytes of IPv4 and UDP before a datagram's data */
#define SRC_PORT 51000
#define DST_PORT 443

static void check(enum runnel_err err, const char *what)
{
	if (err == RUNNEL_ERR_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, runnel_err_text(err));
	exit(EXIT_FAILURE);
}

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "expected: %s\n", what);
	exit(EXIT_FAILURE);
}

/* --- the far end --------------------------------------------------------------------- */

/* Written on the dispatcher's threads, one at a time: a connection stays on one. Read when it has
 * stopped. */
struct far_end {
	unsigned n, next;
	bool is_in_order;
};

/* The datagram's data is the packet's number. */
static void on_packet(void *ctx, unsigned shard, uint64_t stream, const void *packet, size_t len)
{
	struct far_end *far = ctx;
	unsigned number = ((const uint8_t *)packet)[HEADERS];
	(void)shard;
	(void)stream;
	(void)len;
	far->is_in_order = far->is_in_order && number == far->next;
	far->next = number + 1;
	far->n++;
}

/* --- completion ---------------------------------------------------------------------- */

/* What a callback says, for a thread that waits for it. */
struct done {
	pthread_mutex_t mutex;
	pthread_cond_t news;
	bool is_called;
	enum runnel_drop outcome;
};

static void on_done(void *ctx, enum runnel_drop outcome)
{
	struct done *done = ctx;
	pthread_mutex_lock(&done->mutex);
	done->is_called = true;
	done->outcome = outcome;
	pthread_cond_signal(&done->news);
	pthread_mutex_unlock(&done->mutex);
}

static enum runnel_drop wait_done(struct done *done)
{
	pthread_mutex_lock(&done->mutex);
	while (!done->is_called)
		pthread_cond_wait(&done->news, &done->mutex);
	done->is_called = false;
	pthread_mutex_unlock(&done->mutex);
	return done->outcome;
}

/* --- packets ------------------------------------------------------------------------- */

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* An IPv4 packet with a UDP datagram of one byte. Its checksums are the receiver's business. */
static size_t make_packet(const struct runnel_ip *to, unsigned number, uint8_t packet[64])
{
	size_t len = HEADERS + 1;
	memset(packet, 0, len);
	packet[0] = 0x45; /* version 4, a header of 20 bytes */
	put16(packet + 2, (unsigned)len);
	packet[8] = 64; /* time to live */
	packet[9] = 17; /* UDP */
	packet[12] = 10;
	packet[15] = 1;
	memcpy(packet + 16, to->bytes, 4);
	put16(packet + 20, SRC_PORT);
	put16(packet + 22, DST_PORT);
	put16(packet + 24, 8 + 1);
	packet[HEADERS] = (uint8_t)number;
	return len;
}

int main(void)
{
	struct far_end far = {.is_in_order = true};
	struct done done = {.mutex = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER};
	struct runnel_ip bobs, nobodys;
	struct runnel_memory_peer bob = {.on_packet = on_packet, .ctx = &far};
	check(runnel_peer_id_parse("12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5", &bob.id),
	      "bob's id");
	check(runnel_ip_parse("10.7.0.2", &bobs), "bob's address");
	check(runnel_ip_parse("10.99.0.1", &nobodys), "nobody's address");

	/* Who owns what, and how to reach them. */
	struct runnel_memory_discovery *discovery;
	struct runnel_memory_streams *streams;
	check(runnel_memory_discovery_new(&discovery), "discovery");
	check(runnel_memory_discovery_add(discovery, &bobs, 32, &bob.id), "bob owns 10.7.0.2");
	check(runnel_memory_streams_new(&streams), "streams");
	check(runnel_memory_streams_add(streams, &bob), "bob can be reached");

	/* Create a dispatcher configuration. */
	struct runnel_dispatch_conf conf;
	struct runnel_resilience resilience;
	runnel_dispatch_conf_init(&conf);
	conf.max_streams_per_peer = 10;
	conf.stream_idle_timeout = 300 * RUNNEL_NSEC_PER_SEC;
	conf.stream_cleanup_interval = 60 * RUNNEL_NSEC_PER_SEC;
	conf.worker_idle_timeout = 300 * RUNNEL_NSEC_PER_SEC;
	conf.worker_cleanup_interval = 60 * RUNNEL_NSEC_PER_SEC;
	conf.worker_buffer_size = 100;
	conf.packet_buffer_size = 100;
	runnel_resilience_init(&resilience);

	/* Create a dispatcher, and start it. */
	char why[256];
	struct runnel_dispatcher *dispatcher;
	const struct runnel_peer_discovery who = runnel_memory_discovery_get(discovery);
	const struct runnel_stream_service how = runnel_memory_streams_get(streams);
	enum runnel_err err = runnel_dispatcher_new(&who, &how, &conf, &resilience, &dispatcher,
						    why, sizeof(why));
	check(err, err != RUNNEL_ERR_OK ? why : "new");
	check(runnel_dispatcher_start(dispatcher), "start");

	/* Dispatch packets of one connection; with none the key would be the packet's own. */
	char text[RUNNEL_CONN_KEY_TEXT_MAX];
	const struct runnel_conn_key key = {
		.source_port = SRC_PORT, .destination = bobs, .destination_port = DST_PORT};
	uint8_t packet[64];
	size_t len;
	printf("key %s\n", runnel_conn_key_format(&key, text));
	for (unsigned i = 0; i + 1 < PACKETS; i++) {
		len = make_packet(&bobs, i, packet);
		check(runnel_dispatch(dispatcher, &key, &bobs, packet, len), "dispatch");
	}

	/* Dispatch with a callback for completion notification. */
	len = make_packet(&bobs, PACKETS - 1, packet);
	check(runnel_dispatch_with_callback(dispatcher, &key, &bobs, packet, len, on_done, &done),
	      "dispatch with callback");
	enum runnel_drop outcome = wait_done(&done);
	printf("the last one: %s\n", runnel_drop_text(outcome));
	expect(outcome == RUNNEL_DROP_NONE, "it is sent");

	len = make_packet(&nobodys, 0, packet);
	check(runnel_dispatch_with_callback(dispatcher, NULL, NULL, packet, len, on_done, &done),
	      "dispatch to nobody");
	outcome = wait_done(&done);
	printf("one to nobody: %s\n", runnel_drop_text(outcome));
	expect(outcome == RUNNEL_DROP_NO_ROUTE, "it has no route");

	/* Stop the dispatcher, which sends what waits, and get metrics. */
	uint64_t dropped;
	check(runnel_dispatcher_stop(dispatcher, RUNNEL_FOREVER, &dropped), "stop");
	struct runnel_dispatch_metrics metrics;
	runnel_dispatcher_metrics(dispatcher, &metrics);
	for (unsigned i = 0; runnel_metric_name((enum runnel_metric)i) != NULL; i++) {
		if (metrics.values[i] != 0)
			printf("%s %" PRIu64 "\n", runnel_metric_name((enum runnel_metric)i),
			       metrics.values[i]);
	}
	printf("bob: %u packets, %s\n", far.n, far.is_in_order ? "in order" : "out of order");
	expect(dropped == 0 && far.n == PACKETS && far.is_in_order, "all arrive, in order");
	expect(metrics.values[RUNNEL_METRIC_GIVEN_PACKETS] == PACKETS + 1 &&
		       metrics.values[RUNNEL_METRIC_SENT_PACKETS] == PACKETS &&
		       metrics.drops[RUNNEL_DROP_NO_ROUTE] == 1,
	       "each packet is counted once");

	dispatcher = runnel_dispatcher_free(dispatcher);
	streams = runnel_memory_streams_free(streams);
	discovery = runnel_memory_discovery_free(discovery);
	return EXIT_SUCCESS;
}
