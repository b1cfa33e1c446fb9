/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* netaddr.h - socket addresses as text and as multiaddrs */
#pragma once

#include "loop/loop.h"
#include "wire/multiaddr.h"

/* From 4 or 16 bytes in network order and a port in host order. */
union netaddr netaddr_from_ip(const uint8_t *ip, size_t ip_len, uint16_t port);
/* /ip4|ip6/.../tcp/PORT. IPv4-mapped IPv6 becomes ip4. */
void netaddr_to_multiaddr(const union netaddr *addr, struct multiaddr *ret_addr);
/* The IP and port of a multiaddr without names: ERR_UNSUPPORTED for those that must be resolved. */
MUST_USE enum err netaddr_from_multiaddr(const struct multiaddr *addr, union netaddr *ret_addr);
bool netaddr_equal(const union netaddr *a, const union netaddr *b);
bool netaddr_same_ip(const union netaddr *a, const union netaddr *b);
uint16_t netaddr_port(const union netaddr *addr);
void netaddr_set_port(union netaddr *addr, uint16_t port);

/* How far an address reaches, the narrowest first. */
enum netaddr_scope {
	NETADDR_NONE, /* unspecified, multicast */
	NETADDR_LOOPBACK,
	NETADDR_LINK,
	NETADDR_PRIVATE, /* RFC 1918, RFC 6598, RFC 4193 */
	NETADDR_PUBLIC,
};

enum netaddr_scope netaddr_scope(const union netaddr *addr);
