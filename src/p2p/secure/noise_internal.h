/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* noise_internal.h - the inside of a Noise channel, for noise.c and its tests */
#pragma once

#include "p2p/secure/noise.h"
#include "p2p/secure/noise_handshake.h"

enum {
	NOISE_HEAD_LEN = 2,          /* bytes; the length of a frame */
	NOISE_MUXER_LEN_MAX = 64,    /* bytes of the name that we offer, with its zero */
	NOISE_OUT_PAYLOAD_MAX = 256, /* bytes; our key, signature and muxer need less than 180 */
	/* bytes; our two messages as initiator, the longer of which fits a responder's, too */
	NOISE_OUT_LEN_MAX = 2 * NOISE_HEAD_LEN + X25519_LEN + NOISE_MESSAGE_OVERHEAD_MAX +
			    NOISE_OUT_PAYLOAD_MAX,
};

/* Owned by its connection's loop. */
struct noise {
	struct secure base;
	enum err failure; /* once something failed, everything does */
	const struct identity *identity;
	struct peer_id expected;
	char muxer[NOISE_MUXER_LEN_MAX];  /* "": none */
	uint32_t lane;                    /* that we dial for */
	struct noise_handshake handshake; /* all zero once done */
	uint8_t handshake_hash[HASH_LEN]; /* once done: names this connection, at both ends */
	struct noise_cipher tx;
	struct noise_cipher rx;
	uint8_t out[NOISE_OUT_LEN_MAX]; /* handshake bytes that wait to be taken */
	size_t out_len;
};
