/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * noise_handshake.h - the XX pattern: three messages, after which both know the other's static key
 *
 * Spec: Noise 5.3 and 7.5.
 *
 *	XX:
 *	  -> e
 *	  <- e, ee, s, es
 *	  -> s, se
 *
 * Knows nothing of libp2p: payloads are bytes. Written and read in turns, the initiator begins. The
 * first error is the end of a handshake.
 */
#pragma once

#include "crypto/x25519.h"
#include "p2p/secure/noise_symmetric.h"

enum {
	NOISE_MESSAGES = 3,
	NOISE_MESSAGE_OVERHEAD_MAX = 2 * X25519_LEN + 2 * AEAD_TAG_LEN, /* bytes; of the second */
};

/* Owned by its channel. */
struct noise_handshake {
	bool is_initiator;
	size_t n_messages; /* so many have been written or read */
	struct noise_symmetric symmetric;
	struct x25519 static_pair;
	struct x25519 ephemeral_pair;
	uint8_t their_static[X25519_LEN];    /* known after the message with s ... */
	uint8_t their_ephemeral[X25519_LEN]; /* ... and with e */
};

/* ERR_CRYPTO. */
MUST_USE enum err noise_handshake_init(struct noise_handshake *h, bool is_initiator,
				       const uint8_t static_secret[X25519_LEN],
				       const uint8_t ephemeral_secret[X25519_LEN],
				       struct span prologue);

/* Wipes. Takes an all-zero struct; leaves one. */
void noise_handshake_deinit(struct noise_handshake *h);

static inline bool noise_handshake_is_done(const struct noise_handshake *h)
{
	return h->n_messages == NOISE_MESSAGES;
}

/* Not done, and the next message is ours. */
static inline bool noise_handshake_is_our_turn(const struct noise_handshake *h)
{
	return !noise_handshake_is_done(h) && (h->n_messages % 2 == 0) == h->is_initiator;
}

/* How much longer the next message is than its payload. */
size_t noise_handshake_overhead(const struct noise_handshake *h);

/* Append the next message, which is ours. ERR_FULL (nothing was written and nothing changed),
 * ERR_BAD_KEY (theirs is of low order), ERR_CRYPTO. */
MUST_USE enum err noise_handshake_write(struct noise_handshake *h, struct span payload,
					struct wbuf *out);

/* Read the next message, which is theirs, in place; the payload lies within it. ERR_MALFORMED (too
 * short), ERR_DECRYPT, ERR_BAD_KEY, ERR_CRYPTO. */
MUST_USE enum err noise_handshake_read(struct noise_handshake *h, uint8_t *message, size_t len,
				       struct span *ret_payload);

/* When done: the ciphers for what we send and what we receive. ERR_CRYPTO. */
MUST_USE enum err noise_handshake_split(const struct noise_handshake *h,
					struct noise_cipher *ret_tx, struct noise_cipher *ret_rx);
