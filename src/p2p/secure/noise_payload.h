/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * noise_payload.h - what libp2p sends inside of the handshake: who we are, and what we speak next
 *
 *	message NoiseHandshakePayload {
 *	  bytes identity_key = 1; bytes identity_sig = 2; NoiseExtensions extensions = 4; }
 *	message NoiseExtensions { repeated bytes webtransport_certhashes = 1;
 *	  repeated string stream_muxers = 2; uint32 runnel_lane = 29292; }
 *
 * Nothing in it is true before the signature was verified. Field 3 is an old one, and skipped.
 * runnel_lane is ours (docs/protocol.md): the spec leaves code points above 1024 to whoever tries
 * something, and everyone else skips them.
 */
#pragma once

#include "base/limits.h"
#include "base/span.h"
#include "crypto/x25519.h"

enum {
	/* bytes; "noise-libp2p-static-key:" and an X25519 public key */
	NOISE_SIGNED_LEN = 24 + X25519_LEN,
};

struct noise_payload {
	struct span identity_key; /* views into the message */
	struct span identity_sig;
	struct span muxers[NOISE_MUXERS_MAX];
	size_t n_muxers;
	bool has_lane;
	uint64_t lane; /* 0 where none was sent; its range is the reader's to check */
};

/* Unknown fields are skipped; a key or signature that is missing or there twice is ERR_MALFORMED,
 * and so is a second lane. */
MUST_USE enum err noise_payload_parse(struct span bytes, struct noise_payload *ret_payload);

/* muxer: NULL for none; lane: 0 for none. */
void noise_payload_put(struct wbuf *w, struct span identity_key, struct span identity_sig,
		       const char *muxer, uint32_t lane);

bool noise_payload_has_muxer(const struct noise_payload *payload, const char *muxer);

/* What an identity key signs: its static key of this connection. */
void noise_payload_signed(const uint8_t static_key[X25519_LEN],
			  uint8_t ret_signed[NOISE_SIGNED_LEN]);
