/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* noise_fixture.h - two ends of a Noise channel with fixed keys, and an end that lies */
#pragma once

#include "support/testkit.h"

#include "p2p/secure/noise_internal.h"
#include "p2p/secure/noise_payload.h"

#define MUXER "/yamux/1.0.0"

/* The keys of noise_libp2p.json: the initiator has identity 1, static 0x11, ephemeral 0x33; the
 * responder 2, 0x22, 0x44. */
struct fixture {
	struct identity *identity[2];
	struct secure *end[2]; /* by enum secure_role; freed by the end of the test */
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

struct noise_conf fixture_conf(const struct fixture *f, enum secure_role role);
/* Make one end anew; conf NULL: fixture_conf(). */
struct secure *fixture_make(struct fixture *f, enum secure_role role,
			    const struct noise_conf *conf);
struct noise *fixture_noise(struct secure *s);

/* Take what an end has to say into buf; its length. */
size_t fixture_take(struct secure *s, uint8_t *buf, size_t cap);
/* Feed a copy of exactly that size; what is left of it goes to *ret_left. */
enum err fixture_feed(struct secure *s, struct span bytes, size_t *ret_left);
/* Hand all messages over until both are done. */
void fixture_connect(struct fixture *f);

/* Seal a text with one end and open it with the other. */
void fixture_assert_text(struct secure *from, struct secure *to, const char *text);

/*
 * A peer with keys of its own that says what a test wants: the handshake without our rules. Its
 * static secret is 0x66.., its ephemeral 0x77...
 */
struct liar {
	struct noise_handshake handshake;
};

void liar_init(struct liar *l, enum secure_role role);
void liar_deinit(struct liar *l);
/* A payload signed by `identity` for the liar's static key. */
size_t liar_payload(const struct liar *l, const struct identity *identity, const char *muxer,
		    uint8_t *buf, size_t cap);
/* Play the handshake against `s` up to the liar's message with a payload; what `s` says to it. */
enum err liar_play(struct liar *l, struct secure *s, struct span payload);
