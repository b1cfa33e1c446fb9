/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * noise.h - Noise_XX_25519_ChaChaPoly_SHA256 with libp2p's payload
 *
 * Spec: libp2p noise; Noise revision 34. Frames are a 16-bit big-endian length and a Noise message.
 * The identity key signs the static key; the payload carries both and the list of muxers.
 *
 * The initiator has its first message to take() at once. A feed() that finishes the handshake may
 * leave a message to take: it goes out before the first record is sealed. After the first failure
 * every call returns that failure.
 */
#pragma once

#include "p2p/secure/secure.h"

extern const struct secure_ops noise_ops;

struct noise_conf {
	enum secure_role role;
	const struct identity *identity; /* ours; outlives the channel */
	struct peer_id expected;         /* whom we dialled; empty: anyone but ourselves */
	const char *muxer; /* the one muxer we offer: "/yamux/1.0.0", below 64 bytes, copied; NULL:
			      no early negotiation */
	uint32_t lane;     /* as initiator: the lane that this connection is for, below LANES_MAX; 0
			      says nothing */
	uint8_t static_secret[32];    /* X25519, fresh random bytes */
	uint8_t ephemeral_secret[32]; /* X25519, fresh random bytes: never used twice */
};

/* The secrets are copied: wipe conf's (crypto/wipe.h). ERR_NO_MEMORY, ERR_CRYPTO. */
MUST_USE enum err noise_new(const struct noise_conf *conf, struct secure **ret_secure);
