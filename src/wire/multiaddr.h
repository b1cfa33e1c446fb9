/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * multiaddr.h - a network address that describes itself
 *
 * Spec: multiformats/multiaddr. A value in its binary form; the text form is made and parsed here.
 * The codes known are those of LIBP2P's own transports and what other implementations advertise
 * beside them; an unknown code makes the one address unparsable (its value's size cannot be known),
 * never the message.
 */
#pragma once

#include "wire/peer_id.h"

struct multiaddr {
	uint16_t len; /* bytes in use; 0: no address */
	uint8_t bytes[MULTIADDR_LEN_MAX];
};

/* The codes of the multicodec table. */
enum multiaddr_code {
	MULTIADDR_IP4 = 4,
	MULTIADDR_TCP = 6,
	MULTIADDR_IP6 = 41,
	MULTIADDR_IP6ZONE = 42,
	MULTIADDR_DNS = 53,
	MULTIADDR_DNS4 = 54,
	MULTIADDR_DNS6 = 55,
	MULTIADDR_DNSADDR = 56,
	MULTIADDR_UDP = 273,
	MULTIADDR_WEBRTC_DIRECT = 280,
	MULTIADDR_WEBRTC = 281,
	MULTIADDR_P2P_CIRCUIT = 290,
	MULTIADDR_UNIX = 400,
	MULTIADDR_P2P = 421,
	MULTIADDR_TLS = 448,
	MULTIADDR_SNI = 449,
	MULTIADDR_NOISE = 454,
	MULTIADDR_QUIC = 460,
	MULTIADDR_QUIC_V1 = 461,
	MULTIADDR_WEBTRANSPORT = 465,
	MULTIADDR_CERTHASH = 466,
	MULTIADDR_WS = 477,
	MULTIADDR_WSS = 478,
	MULTIADDR_MEMORY = 777,
};

struct multiaddr_part {
	enum multiaddr_code code;
	struct span value; /* the value's bytes without a length prefix: 4 of ip4, 2 of tcp, the
			      multihash of p2p ... */
};

/* Text -> address. ERR_MALFORMED, ERR_RANGE (port), ERR_TOO_LONG (also: more than
 * MULTIADDR_PARTS_MAX parts), ERR_UNSUPPORTED (unknown name). */
MUST_USE enum err multiaddr_parse(struct span text, struct multiaddr *ret_addr);

/* Bytes -> address, checked whole: names and paths hold no blanks or controls (but maybe bytes
 * above 127), DNS names at most 253 bytes. ERR_TRUNCATED, ERR_MALFORMED, ERR_TOO_LONG,
 * ERR_UNSUPPORTED (unknown code). */
MUST_USE enum err multiaddr_from_bytes(struct span bytes, struct multiaddr *ret_addr);

/* Canonical text with a zero (RFC 5952 for IPv6, base58 for peer ids). Returns buf. */
const char *multiaddr_format(const struct multiaddr *addr, char buf[MULTIADDR_TEXT_MAX]);

/* Walk: *iter starts as multiaddr_view(addr). False at the end. Addresses made by the functions
 * here never fail to walk. */
bool multiaddr_next(struct span *iter, struct multiaddr_part *ret_part);

static inline struct span multiaddr_view(const struct multiaddr *addr)
{
	return span_of(addr->bytes, addr->len);
}

static inline bool multiaddr_equal(const struct multiaddr *a, const struct multiaddr *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* /ip4|ip6/.../tcp/PORT from 4 or 16 address bytes in network order. Never fails. */
void multiaddr_from_ip_tcp(const uint8_t *ip, size_t ip_len, uint16_t port,
			   struct multiaddr *ret_addr);

/* Append /p2p/ID. ERR_FULL. */
MUST_USE enum err multiaddr_append_p2p(struct multiaddr *addr, const struct peer_id *id);

/* Split off a trailing /p2p/ID: *ret_id is the id, empty if there was none; addr keeps the rest. */
void multiaddr_split_p2p(struct multiaddr *addr, struct peer_id *ret_id);

/* What a TCP dialler needs. */
struct multiaddr_tcp {
	enum multiaddr_code host_code; /* IP4, IP6, DNS, DNS4 or DNS6 */
	struct span host; /* 4 or 16 bytes, or the name without a zero; view into the address */
	struct span zone; /* of ip6zone, else empty */
	uint16_t port;
	struct peer_id peer; /* of a trailing /p2p, else empty */
};

/* Exactly [/ip6zone/Z]/HOST/tcp/PORT[/p2p/ID], nothing more (no ws, no tls, no circuit).
 * ERR_UNSUPPORTED otherwise. */
MUST_USE enum err multiaddr_as_tcp(const struct multiaddr *addr, struct multiaddr_tcp *ret_tcp);

/* True if all parts are of the kinds that every implementation parses (ip4 ip6 dns* tcp udp quic-v1
 * p2p p2p-circuit): others are never sent on. */
bool multiaddr_is_portable(const struct multiaddr *addr);
