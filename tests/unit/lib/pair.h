/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * pair.h - two embedded nodes on 127.0.0.1, and what they told
 *
 * Alice (10.7.0.1) listens on a free port, Bob (10.7.0.2) dials her. Callbacks note what they hear
 * under one mutex; the waits here end with it, or fail the test after PAIR_PATIENCE_SEC, which no
 * machine needs.
 */
#pragma once

#include "support/testkit.h"

#include <pthread.h>

#include <runnel/node.h>

#define assert_public_ok(expr) assert_string_equal(runnel_err_name(expr), "ok")
#define assert_public_err(expr, expected) \
	assert_string_equal(runnel_err_name(expr), runnel_err_name(expected))

enum {
	PAIR_PATIENCE_SEC = 60,
	PAIR_PACKET_MAX = 2048,
	PAIR_ERRBUF = 1024,
};

struct pair_side {
	struct runnel_identity *identity;
	char id[RUNNEL_PEER_ID_TEXT_MAX];
	struct runnel_node *node;
	struct runnel_node_conf conf; /* as pair_conf() made it */
	char config[1024];

	/* noted by callbacks; pair_lock() */
	unsigned n_packets, n_connects, n_disconnects;
	struct runnel_peer_id peer;      /* of the last on_peer */
	uint8_t packet[PAIR_PACKET_MAX]; /* the last */
	size_t packet_len;
	void (*in_callback)(struct pair_side *side); /* what a test does in on_packet and on_peer */
};

extern struct pair_side alice, bob;

/* cmocka fixtures. The first makes identities and conf, with NO_TUN; the second stops and frees. */
int pair_setup(void **state);
int pair_teardown(void **state);

/* New and start; fails the test. */
void pair_start(struct pair_side *side);
/* Both, and until both hear of the other. */
void pair_connect(void);

void pair_wait_packets(struct pair_side *side, unsigned n);
void pair_wait_peer(struct pair_side *side, bool is_connected);
void pair_lock(void);
void pair_unlock(void);
/* With the lock held: something changed; wait until something did. */
void pair_tell(void);
void pair_wait(void);

/* An IPv4 packet with UDP and `text_len` bytes of text; returns its length. */
size_t pair_packet(const char *from, const char *to, const void *text, size_t text_len,
		   uint8_t packet[PAIR_PACKET_MAX]);
/* Is it the last that came? */
void pair_assert_packet(struct pair_side *side, const uint8_t *packet, size_t len);
