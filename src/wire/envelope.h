/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * envelope.h - a payload with its author's key and signature
 *
 * Spec: libp2p RFC 0002. Layout only: nothing here verifies. Who opens an envelope puts the signed
 * bytes together with envelope_put_signed() for the domain that it expects, has the signature over
 * them checked with public_key (crypto/key.h), and compares the key's peer id with the one that the
 * payload and the connection claim.
 */
#pragma once

#include "base/limits.h"
#include "base/span.h"

/* Views into the message that was decoded. */
struct envelope {
	struct span public_key;   /* protobuf-encoded PublicKey, the bytes as sent */
	struct span payload_type; /* what the payload is, by convention of its domain */
	struct span payload;
	struct span signature;
};

/* ERR_TRUNCATED, ERR_MALFORMED (also: no key, type, payload or signature). */
MUST_USE enum err envelope_decode(struct span bytes, struct envelope *ret_envelope);

/* Append the message. As all puts: overflowed if it does not fit. */
void envelope_put(struct wbuf *w, const struct envelope *envelope);

/* Append what the signature is over: domain, payload type and payload, each after its length. */
void envelope_put_signed(struct wbuf *w, struct span domain, const struct envelope *envelope);

/* Bytes that envelope_put_signed() appends. */
size_t envelope_signed_len(struct span domain, const struct envelope *envelope);
