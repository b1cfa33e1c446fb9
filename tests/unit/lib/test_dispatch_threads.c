/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Many callers, many shards, and streams that die all the time; also under ThreadSanitizer. */
#include "desk.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define IS_SLOW 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define IS_SLOW 1
#endif
#endif
#ifndef IS_SLOW
#define IS_SLOW 0
#endif

enum {
	CALLERS = 8,
	SHARDS = 8,
	KEYS = 32,                             /* of each caller */
	PACKETS = IS_SLOW ? 40000 : 150000,    /* of each caller: some seconds on a slow machine */
	DEATHS_EVERY = IS_SLOW ? 8000 : 20000, /* packets of all callers, about */
	GIVE_UP = 8, /* one of so many refused packets is not tried again */
};

/* What becomes of one packet. */
struct fate {
	struct caller *caller;
	uint8_t n_calls; /* of its callback, on its shard's thread */
	uint8_t is_given;
	enum runnel_drop outcome;
};

struct caller {
	pthread_t thread;
	uint32_t id, random;
	struct fate *fates;
	uint64_t n_given, n_refused;
	uint32_t last[KEYS];        /* number of the key's last packet that arrived; its shard's */
	uint32_t disorders[KEYS];   /* its shard's */
	uint64_t arrived[KEYS];     /* its shard's */
	enum runnel_err unexpected; /* what a call said that it should not */
};

static struct caller callers[CALLERS];
static struct runnel_dispatcher *dispatcher;
static atomic_uint_fast64_t n_tried, n_callbacks;

/* A key's source port says whose it is. */
static void on_arrival(const uint8_t *packet)
{
	unsigned port = load_be16(packet + 20);
	uint32_t number = load_be32(packet + DESK_HEADERS);
	struct caller *c = &callers[port / KEYS];
	unsigned key = port % KEYS;
	c->disorders[key] += number <= c->last[key];
	c->last[key] = number;
	c->arrived[key]++;
}

static void on_done(void *ctx, enum runnel_drop outcome)
{
	struct fate *f = ctx;
	f->n_calls++;
	f->outcome = outcome;
	atomic_fetch_add_explicit(&n_callbacks, 1, memory_order_relaxed);
}

static uint32_t draw(struct caller *c)
{
	c->random = c->random * 1664525 + 1013904223;
	return c->random >> 16;
}

static bool give(struct caller *c, uint32_t i)
{
	uint8_t packet[DESK_PACKET_MAX];
	unsigned key = draw(c) % KEYS;
	const char *to = key % DESK_PEERS == 0 ? "10.7.0.1" : "10.7.1.1";
	size_t len = desk_packet(to, (uint16_t)(c->id * KEYS + key), i + 1, packet);
	for (;;) {
		enum runnel_err err = runnel_dispatch_with_callback(dispatcher, NULL, NULL, packet,
								    len, on_done, &c->fates[i]);
		if (err == RUNNEL_ERR_OK) {
			c->fates[i].is_given = 1;
			c->n_given++;
			return true;
		}
		if (err == RUNNEL_ERR_CLOSED)
			return false;
		if (err != RUNNEL_ERR_FULL)
			c->unexpected = err;
		c->n_refused++;
		if (draw(c) % GIVE_UP == 0)
			return true;
		sched_yield();
	}
}

static void *call(void *ctx)
{
	struct caller *c = ctx;
	for (uint32_t i = 0; i < PACKETS && give(c, i); i++)
		atomic_fetch_add_explicit(&n_tried, 1, memory_order_relaxed);
	return NULL;
}

static void start(void)
{
	desk.conf.shards = SHARDS;
	desk.on_arrival = on_arrival;
	desk.conf.inbox_size = 256;
	desk.resilience.breaker_failures = 1000; /* deaths on purpose are no reason to give up */
	desk_start();
	dispatcher = desk.dispatcher;
	atomic_store(&n_tried, 0);
	atomic_store(&n_callbacks, 0);
	for (uint32_t id = 0; id < CALLERS; id++) {
		struct caller *c = &callers[id];
		*c = (struct caller){.id = id, .random = (uint32_t)testkit_random()};
		c->fates = calloc(PACKETS, sizeof(*c->fates));
		assert_non_null(c->fates);
		assert_int_equal(pthread_create(&c->thread, NULL, call, c), 0);
	}
}

/* Streams break, and so that the next are not waited for, the peer goes and comes back. */
static void kill_streams(void)
{
	unsigned peer = (unsigned)(testkit_random() % DESK_PEERS);
	assert_public_ok(runnel_memory_streams_break(desk.streams, &desk.peers[peer]));
	desk_set(peer, (struct runnel_memory_faults){.is_down = true});
	desk_set(peer, (struct runnel_memory_faults){.is_full = testkit_random() % 4 == 0});
}

static uint64_t check_fates(struct caller *c)
{
	uint64_t n_sent = 0;
	for (uint32_t i = 0; i < PACKETS; i++) {
		const struct fate *f = &c->fates[i];
		if (f->n_calls != f->is_given)
			fail_msg("a packet that was given %u times has %u callbacks", f->is_given,
				 f->n_calls);
		n_sent += f->is_given && f->outcome == RUNNEL_DROP_NONE;
	}
	free(c->fates);
	return n_sent;
}

static void check(uint64_t dropped)
{
	uint64_t n_given = 0, n_sent = 0, n_arrived = 0, n_refused = 0, n_disorders = 0;
	for (size_t id = 0; id < CALLERS; id++) {
		struct caller *c = &callers[id];
		assert_public_ok(c->unexpected);
		n_given += c->n_given;
		n_refused += c->n_refused;
		n_sent += check_fates(c);
		for (size_t key = 0; key < KEYS; key++) {
			n_disorders += c->disorders[key];
			n_arrived += c->arrived[key];
		}
	}
	struct runnel_dispatch_metrics m;
	runnel_dispatcher_metrics(dispatcher, &m);
	print_message("# %llu given, %llu sent, %llu refused, %llu dropped by the stop, "
		      "%llu streams\n",
		      (unsigned long long)n_given, (unsigned long long)n_sent,
		      (unsigned long long)n_refused, (unsigned long long)dropped,
		      (unsigned long long)m.values[RUNNEL_METRIC_STREAMS_CREATED]);
	assert_true(n_sent > 0);
	assert_int_equal(n_disorders, 0);
	assert_int_equal(atomic_load(&n_callbacks), n_given);
	assert_int_equal(n_arrived, n_sent);
	assert_int_equal(m.values[RUNNEL_METRIC_GIVEN_PACKETS], n_given);
	assert_int_equal(m.values[RUNNEL_METRIC_SENT_PACKETS], n_sent);
	assert_int_equal(m.values[RUNNEL_METRIC_DROPPED_PACKETS], n_given - n_sent);
	assert_int_equal(m.values[RUNNEL_METRIC_CALLBACKS], n_given);
	assert_int_equal(m.values[RUNNEL_METRIC_REFUSED_PACKETS], n_refused);
	assert_true(dropped <= n_given - n_sent);
}

static void join(void)
{
	for (size_t id = 0; id < CALLERS; id++)
		assert_int_equal(pthread_join(callers[id].thread, NULL), 0);
}

static void test_each_packet_ends_once_and_keys_stay_in_order(void **state)
{
	(void)state;
	uint64_t next = DEATHS_EVERY, dropped;
	start();
	while (next < (uint64_t)CALLERS * PACKETS) {
		while (atomic_load(&n_tried) < next)
			sched_yield();
		kill_streams();
		next += DEATHS_EVERY;
	}
	join();
	for (unsigned i = 0; i < DESK_PEERS; i++)
		desk_set(i, (struct runnel_memory_faults){.is_full = false});
	assert_public_ok(runnel_dispatcher_stop(dispatcher, RUNNEL_FOREVER, &dropped));
	check(dropped);
	assert_true(runnel_dispatcher_metric(dispatcher, RUNNEL_METRIC_STREAMS_CREATED) >
		    (uint64_t)SHARDS * DESK_PEERS); /* or none died */
}

/* --- stop against calls -------------------------------------------------------------- */

static void *stop_too(void *ctx)
{
	uint64_t *dropped = ctx;
	runnel_dispatcher_stop(dispatcher, 0, dropped);
	return NULL;
}

static void test_stop_in_the_middle_ends_each_packet_that_was_taken(void **state)
{
	(void)state;
	pthread_t other;
	uint64_t dropped, theirs = 77;
	start();
	while (atomic_load(&n_tried) < (uint64_t)CALLERS * PACKETS / 4)
		sched_yield();
	desk_set(0, (struct runnel_memory_faults){.is_full = true});
	assert_int_equal(pthread_create(&other, NULL, stop_too, &theirs), 0);
	assert_public_ok(runnel_dispatcher_stop(dispatcher, 0, &dropped));
	/* All callbacks were called, whatever the callers still do. */
	uint64_t n = atomic_load(&n_callbacks);
	pthread_join(other, NULL);
	join();
	assert_int_equal(n, atomic_load(&n_callbacks));
	assert_int_equal(theirs, dropped);
	check(dropped);
}

/* --- the control plane meanwhile ----------------------------------------------------- */

static void test_views_and_changes_meanwhile_disturb_nothing(void **state)
{
	(void)state;
	const struct runnel_ip ip = {.family = 4, .bytes = {10, 7, 0, 0}};
	struct runnel_dispatch_peer peer;
	struct runnel_dispatch_stream streams[16];
	uint64_t dropped, sent = 0;
	size_t n;
	start();
	do {
		assert_public_ok(runnel_dispatcher_peer(dispatcher, &desk.peers[0], &peer));
		assert_true(peer.sent_packets >= sent);
		sent = peer.sent_packets;
		assert_public_ok(
			runnel_dispatcher_streams(dispatcher, &desk.peers[1], streams, 16, &n));
		/* The same again: what was looked up is looked up anew. */
		assert_public_ok(
			runnel_memory_discovery_add(desk.discovery, &ip, 24, &desk.peers[0]));
		assert_true(runnel_dispatcher_metric(dispatcher, RUNNEL_METRIC_GIVEN_PACKETS) >=
			    sent);
	} while (atomic_load(&n_tried) < (uint64_t)CALLERS * PACKETS);
	join();
	assert_public_ok(runnel_dispatcher_stop(dispatcher, RUNNEL_FOREVER, &dropped));
	assert_int_equal(dropped, 0);
	check(dropped);
}

#define T(name) cmocka_unit_test_setup_teardown(name, desk_setup, desk_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_each_packet_ends_once_and_keys_stay_in_order),
		T(test_stop_in_the_middle_ends_each_packet_that_was_taken),
		T(test_views_and_changes_meanwhile_disturb_nothing),
	};
	return cmocka_run_group_tests_name("dispatch_threads", tests, NULL, NULL);
}
