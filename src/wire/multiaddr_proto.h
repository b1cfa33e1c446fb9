/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * multiaddr_proto.h - the table of the protocols that a multiaddr may name; for multiaddr*.c only
 */
#pragma once

#include "wire/multiaddr.h"

/* What a protocol's value is. */
enum multiaddr_value {
	MULTIADDR_VALUE_NONE,
	MULTIADDR_VALUE_IP4,  /* 4 bytes, network order, as all fixed sizes */
	MULTIADDR_VALUE_IP6,  /* 16 */
	MULTIADDR_VALUE_PORT, /* 2 */
	/* The following carry their length. */
	MULTIADDR_VALUE_NAME, /* a DNS name */
	MULTIADDR_VALUE_TEXT, /* a word */
	MULTIADDR_VALUE_PATH, /* /a/b: takes the rest of the text, so nothing may follow it */
	MULTIADDR_VALUE_PEER, /* a peer id */
	MULTIADDR_VALUE_HASH, /* a multihash */
};

struct multiaddr_proto {
	enum multiaddr_code code;
	enum multiaddr_value value;
	bool portable; /* every implementation parses it */
	const char *name;
};

/* NULL if unknown. */
const struct multiaddr_proto *multiaddr_proto_by_code(uint64_t code);
const struct multiaddr_proto *multiaddr_proto_by_name(struct span name);

/* Bytes of a value of fixed size; -1 if it carries its length. */
int multiaddr_proto_size(const struct multiaddr_proto *proto);

/* Is this a value of this protocol? Its size is right already if it is fixed. ERR_MALFORMED,
 * ERR_TOO_LONG, ERR_UNSUPPORTED (a peer id with a hash that we don't know). */
MUST_USE enum err multiaddr_proto_check(const struct multiaddr_proto *proto, struct span value);

/* Append a part in binary. */
void multiaddr_proto_put(struct wbuf *w, const struct multiaddr_proto *proto, struct span value);
