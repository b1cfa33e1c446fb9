/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * raw_peer.h - the other end of a connection without our host code: it sends what a test wants
 *
 * Up to three floors: bytes on a TCP socket; a Noise channel with an identity, played by the test;
 * a yamux session inside. All of them on a host of the simulator.
 */
#pragma once

#include "p2p/mux/yamux.h"
#include "p2p/secure/noise.h"
#include "support/sim_kit.h"

enum {
	RAW_CAP = 256 * 1024,
};

struct raw_peer {
	struct world *w;
	struct loop *loop;
	struct sock *sock;
	bool is_deaf;      /* does not read */
	bool is_over;      /* the other end closed, or it broke */
	enum err why;      /* then */
	nsec_t over_at;    /* then */
	uint8_t *in, *out; /* RAW_CAP each: came and was not used; not sent yet */
	size_t in_len, out_len;
	uint8_t *plain; /* came in records and was not used */
	size_t plain_len;
	struct secure *secure;
	struct identity *identity;
	uint32_t lane; /* that it says; set before the handshake */
};

/* A connection to host `to`, from host `from`. */
struct raw_peer *raw_dial(struct world *w, size_t from, size_t to);
/* Takes NULL. */
struct raw_peer *raw_free(struct raw_peer *r);
void raw_send(struct raw_peer *r, const void *bytes, size_t len);
void raw_send_text(struct raw_peer *r, const char *text);
/* A multistream token: length, text, newline; and one after the other for several. */
void raw_send_token(struct raw_peer *r, const char *text);
/* The initiator's part of TCP -> muxer, with the identity of host `self`. False: it broke off. */
bool raw_upgrade(struct raw_peer *r, size_t self, const char *muxer);
/* Only as far as the first bytes: everything that can be sent before an answer is in `out`. */
void raw_secure_begin(struct raw_peer *r, size_t self, const char *muxer);
/* Play the handshake with what came. */
bool raw_secure_step(struct raw_peer *r);
/* A record with this plaintext. */
void raw_seal(struct raw_peer *r, const void *plain, size_t len);
/* Open the records that came, into `plain`. */
void raw_open(struct raw_peer *r);
/* A yamux frame in a record of its own; body may be NULL. */
void raw_frame(struct raw_peer *r, uint8_t type, uint16_t flags, uint32_t stream, uint32_t length,
	       const void *body, size_t body_len);
/* Run until the other end closed. */
bool raw_is_over(void *ctx);
