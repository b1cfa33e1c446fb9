/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * secure.h - a secure channel: an ops table that Noise fills now and TLS later
 *
 * Pure: bytes in, bytes out. Two phases. Handshake: feed() what came, take() what must be sent,
 * until is_done. Transport: records. A record is built in place: its owner leaves head_len bytes in
 * front of and tail_len bytes behind the plaintext, seal() encrypts it where it lies; open()
 * decrypts where it lies. So a packet is copied once, into the record, and never again.
 *
 * Whatever fails ends the connection: there is no resynchronising.
 */
#pragma once

#include "base/span.h"
#include "crypto/key.h"

struct secure;

enum secure_role {
	SECURE_INITIATOR, /* the dialler */
	SECURE_RESPONDER,
};

struct secure_ops {
	const char *protocol; /* for multistream-select: "/noise" */
	size_t head_len;      /* bytes before the plaintext of a record */
	size_t tail_len;      /* bytes after it */
	size_t plain_len_max; /* bytes of plaintext in a record */

	/*
	 * Handshake. Consumes whole messages from the front of *in, leaves an incomplete one; call
	 * again when more came. Bytes behind the last handshake message stay in *in: they are
	 * records. ERR_MALFORMED, ERR_TOO_LONG, ERR_DECRYPT, ERR_BAD_KEY, ERR_BAD_SIGNATURE,
	 * ERR_WRONG_PEER, ERR_SELF, ERR_UNSUPPORTED, ERR_RANGE (remote_lane), ERR_CRYPTO.
	 */
	enum err (*feed)(struct secure *s, struct span *in);
	/* Append handshake bytes to be sent, if any. ERR_FULL: nothing was written. */
	enum err (*take)(struct secure *s, struct wbuf *out);

	/* record[head_len .. head_len + plain_len) is the plaintext; afterwards record[0 ..
	 * *ret_len) is to be sent. plain_len is 1..plain_len_max. ERR_NONCE_EXHAUSTED, ERR_CRYPTO.
	 */
	enum err (*seal)(struct secure *s, uint8_t *record, size_t plain_len, size_t *ret_len);
	/* The record at the front of in[0 .. len): decrypts it in place; *ret_used bytes of input
	 * are then spent and *ret_plain (perhaps empty) lies within them. ERR_AGAIN: not whole yet.
	 * ERR_DECRYPT, ERR_NONCE_EXHAUSTED, ERR_CRYPTO. */
	enum err (*open)(struct secure *s, uint8_t *in, size_t len, size_t *ret_used,
			 struct span *ret_plain);

	void (*free)(struct secure *s);
};

/* First member of every implementation. The results are valid once is_done; remote_id also after
 * ERR_WRONG_PEER: who it was that answered. */
struct secure {
	const struct secure_ops *ops;
	bool is_done;
	struct peer_id remote_id;
	uint8_t remote_key[PUBLIC_KEY_LEN_MAX]; /* protobuf-encoded PublicKey ... */
	size_t remote_key_len;                  /* ... of so many bytes */
	bool is_muxer_agreed; /* early negotiation chose the muxer: no multistream-select inside */
	uint32_t remote_lane; /* for which of its lanes the initiator dialled; below LANES_MAX. The
				 responder's to know: 0 at the initiator */
};

/* Takes NULL; returns NULL. Wipes keys. */
static inline struct secure *secure_free(struct secure *s)
{
	if (s != NULL)
		s->ops->free(s);
	return NULL;
}
