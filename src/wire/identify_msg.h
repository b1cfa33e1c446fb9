/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * identify_msg.h - the message of /ipfs/id/1.0.0: what a peer says about itself, and about us
 *
 * Spec: libp2p identify, and field 8, which is in go and js only. Spans are views into the message
 * that was decoded; a field that was absent has a span with p == NULL. One message may lack any
 * field: others on the same stream complete it, and merging them is the caller's.
 */
#pragma once

#include "wire/multiaddr_list.h"

struct identify_msg {
	struct span public_key;                        /* protobuf-encoded PublicKey */
	struct multiaddr_list listen_addrs;            /* with or without /p2p/ID at the end */
	struct span protocols[IDENTIFY_PROTOCOLS_MAX]; /* "/ipfs/ping/1.0.0", no zero */
	size_t protocols_len;
	size_t protocols_skipped;       /* no protocol names, or beyond the bound */
	struct multiaddr observed_addr; /* len 0: absent or not parsable */
	struct span protocol_version;
	struct span agent_version;
	struct span signed_peer_record; /* an envelope (envelope.h) */
};

/* One message, without its length prefix. ERR_TRUNCATED, ERR_MALFORMED, ERR_TOO_LONG (over
 * IDENTIFY_READ_MAX). */
MUST_USE enum err identify_msg_decode(struct span bytes, struct identify_msg *ret_msg);

/* Append the message, without a length prefix; empty fields are left out. As all puts: overflowed
 * if it does not fit. */
void identify_msg_put(struct wbuf *w, const struct identify_msg *msg);
