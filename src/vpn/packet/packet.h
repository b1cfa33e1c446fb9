/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * packet.h - what an IP packet says about itself
 *
 * packet_parse() reads one whole IPv4 or IPv6 packet and checks all that routing, the source
 * check, the firewall and the connection key rely on. What it cannot classify beyond doubt it
 * refuses: a packet whose ports we read differently from the kernel behind us would pass the
 * firewall as something that it is not. RFC 791, 8200, 7112 (whole header chain in the first
 * fragment), 1858 and 3128 (tiny fragments).
 *
 * Checksums are not checked: the kernel that gets the packet does, and those of an offloaded
 * packet are not filled in yet.
 */
#pragma once

#include "vpn/packet/ip_addr.h"

enum packet_fragment {
	PACKET_WHOLE,          /* also an IPv6 "atomic" fragment, RFC 6946 */
	PACKET_FRAGMENT_FIRST, /* has the ports; more fragments follow */
	PACKET_FRAGMENT_LATER, /* has none */
};

struct packet_info {
	uint8_t version;               /* 4 or 6 */
	uint8_t protocol;              /* IPPROTO_*: the first header that is not an IPv6 extension;
					  59 (no next header) where the chain ends */
	uint8_t traffic_class;         /* DSCP and ECN */
	bool dont_fragment;            /* IPv4 DF; always true for IPv6 */
	enum packet_fragment fragment; /* ports are 0 in later fragments */
	uint16_t source_port;          /* TCP, UDP, UDP-Lite, SCTP, DCCP; else 0 */
	uint16_t destination_port;     /* ... */
	uint16_t transport_offset;     /* bytes: where `protocol` starts; at most the length. In a
					  later fragment: where its data starts */
	uint32_t len;                  /* bytes of the packet, headers included */
	struct ip_addr source;
	struct ip_addr destination;
};

/*
 * `bytes` is exactly one packet. ERR_TRUNCATED: shorter than it says; ERR_MALFORMED: longer, or
 * not to be classified; ERR_UNSUPPORTED: neither IPv4 nor IPv6; ERR_LIMIT: more than
 * PACKET_EXTENSIONS_MAX extension headers. Reads nothing outside of `bytes`.
 */
MUST_USE enum err packet_parse(struct span bytes, struct packet_info *ret_info);

/* Does this protocol have ports? */
bool packet_protocol_has_ports(uint8_t protocol);
