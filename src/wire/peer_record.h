/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer_record.h - where a peer says it can be reached: the payload of an envelope
 *
 * Spec: libp2p RFC 0003, but for its domain and payload type: go and js use others, and rust both.
 * We send what go and js do and accept either.
 */
#pragma once

#include "wire/envelope.h"
#include "wire/multiaddr_list.h"

struct peer_record {
	struct peer_id peer;
	uint64_t seq; /* newer records of the same peer have a higher one; its unit is its author's
		       */
	struct multiaddr_list addrs;
};

/* The domain that goes with an envelope's payload type. ERR_UNSUPPORTED: not a peer record. */
MUST_USE enum err peer_record_domain(struct span payload_type, struct span *ret_domain);

/* What we make: static memory. */
struct span peer_record_own_payload_type(void);

/* An envelope's payload. ERR_TRUNCATED, ERR_MALFORMED, ERR_TOO_LONG and ERR_UNSUPPORTED (the peer
 * id). */
MUST_USE enum err peer_record_decode(struct span payload, struct peer_record *ret_record);

/* Append the payload. As all puts: overflowed if it does not fit. */
void peer_record_put(struct wbuf *w, const struct peer_record *record);
