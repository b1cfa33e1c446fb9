/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * desk.h - a dispatcher with peers in memory, and what became of packets
 *
 * Peer i owns 10.7.i.0/24. Callbacks note outcomes under one mutex; waits end with it, or fail the
 * test after DESK_PATIENCE_SEC, which no machine needs. Everything in a test ends with
 * desk_teardown().
 */
#pragma once

#include "support/testkit.h"

#include <pthread.h>

#include <runnel/dispatch.h>
#include <runnel/dispatch_memory.h>

#define assert_public_ok(expr) assert_string_equal(runnel_err_name(expr), "ok")
#define assert_public_err(expr, expected) \
	assert_string_equal(runnel_err_name(expr), runnel_err_name(expected))

enum {
	DESK_PATIENCE_SEC = 60,
	DESK_PEERS = 2,
	DESK_HEADERS = 28,    /* bytes before a packet's data */
	DESK_PACKET_MAX = 64, /* bytes */
};

struct desk {
	struct runnel_memory_discovery *discovery;
	struct runnel_memory_streams *streams;
	struct runnel_dispatch_conf conf;
	struct runnel_resilience resilience;
	struct runnel_dispatcher *dispatcher;
	struct runnel_peer_id peers[DESK_PEERS];
	/* What a test does with packets at the far end, instead of what is noted below; on the
	 * shards' threads. */
	void (*on_arrival)(const uint8_t *packet);

	/* Noted by callbacks; desk_lock(). */
	uint64_t n_done, outcomes[RUNNEL_DROPS_MAX];
	uint64_t n_arrived; /* packets, at all peers */
	uint32_t last;      /* number of the last that arrived */
	bool is_disordered; /* one arrived whose number was not higher than that before */
	bool is_held;       /* desk_hold(): callbacks wait for the test */
	bool is_inside;     /* ... and one does */
};

extern struct desk desk;

/* cmocka fixtures: the peers are there, the dispatcher is not. */
int desk_setup(void **state);
int desk_teardown(void **state);

/* New and start. Further changes of desk.conf come too late. */
void desk_start(void);
void desk_new(void);

/* An IPv4 packet with a UDP datagram that holds a number; returns its length. */
size_t desk_packet(const char *to, uint16_t source_port, uint32_t number,
		   uint8_t packet[DESK_PACKET_MAX]);
/* That, dispatched with desk_done() and the desk. */
enum runnel_err desk_send(const char *to, uint16_t source_port, uint32_t number);
void desk_done(void *ctx, enum runnel_drop outcome);
/* Until so many packets in all ended. */
void desk_wait_done(uint64_t n);

/* A callback on a dispatcher's thread is being held there, until desk_release(). */
void desk_hold(void);
void desk_release(void);

void desk_lock(void);
void desk_unlock(void);
/* With the lock held. */
void desk_tell(void);
void desk_wait(void);

void desk_set(unsigned peer, struct runnel_memory_faults faults);
uint64_t desk_metric(enum runnel_metric metric);
