/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ip_addr.h - IPv4 and IPv6 addresses and prefixes as values
 *
 * One struct for both families: an IPv4 address stands in the first 4 bytes and the rest is zero,
 * so that two addresses are the same exactly if their bytes are. Any thread.
 */
#pragma once

#include "base/span.h"

struct ip_addr {
	uint8_t family; /* 4 or 6; 0: none */
	uint8_t bytes[16];
};

struct ip_prefix {
	struct ip_addr addr; /* as written: host bits may be set, see ip_prefix_network() */
	uint8_t len;         /* bits: 0..32 or 0..128 */
};

enum {
	IP_ADDR_TEXT_MAX = 46,   /* bytes with the zero */
	IP_PREFIX_TEXT_MAX = 50, /* "/128" more */
};

/* 4 or 16 bytes in network order. */
static inline void ip_addr_set_v4(struct ip_addr *addr, const uint8_t bytes[4])
{
	addr->family = 4;
	memcpy(addr->bytes, bytes, 4);
	memset(addr->bytes + 4, 0, 12);
}

static inline void ip_addr_set_v6(struct ip_addr *addr, const uint8_t bytes[16])
{
	addr->family = 6;
	memcpy(addr->bytes, bytes, 16);
}

static inline struct ip_addr ip_addr_v4(const uint8_t bytes[4])
{
	struct ip_addr addr;
	ip_addr_set_v4(&addr, bytes);
	return addr;
}

static inline struct ip_addr ip_addr_v6(const uint8_t bytes[16])
{
	struct ip_addr addr;
	ip_addr_set_v6(&addr, bytes);
	return addr;
}

/* "10.0.0.1" or "fd00::1", nothing around it, no zone. ERR_MALFORMED. */
MUST_USE enum err ip_addr_parse(struct span text, struct ip_addr *ret_addr);
/* Returns buf. Family 0 reads "none". */
const char *ip_addr_format(const struct ip_addr *addr, char buf[IP_ADDR_TEXT_MAX]);

/* Bits of an address of this family: 32, 128; 0 for none. */
static inline unsigned ip_addr_bits(const struct ip_addr *addr)
{
	return addr->family == 4 ? 32 : addr->family == 6 ? 128 : 0;
}

/* The bytes of the address itself: 4, 16 or 0 of them. */
static inline struct span ip_addr_view(const struct ip_addr *addr)
{
	return span_of(addr->bytes, ip_addr_bits(addr) / 8);
}

static inline bool ip_addr_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

bool ip_addr_is_unspecified(const struct ip_addr *addr); /* 0.0.0.0, :: */
bool ip_addr_is_multicast(const struct ip_addr *addr);   /* 224.0.0.0/4, ff00::/8 */
bool ip_addr_is_loopback(const struct ip_addr *addr);    /* 127.0.0.0/8, ::1 */
bool ip_addr_is_link_local(const struct ip_addr *addr);  /* 169.254.0.0/16, fe80::/10 */

/*
 * "10.0.0.0/24", "fd00::/8"; an address without a length is a prefix of all its bits. Host bits
 * stay as written ("10.0.0.1/24" is how the address of an interface is written): where a network
 * is meant, check ip_prefix_is_network() or take ip_prefix_network(). ERR_MALFORMED; ERR_RANGE
 * for a length that the family does not have.
 */
MUST_USE enum err ip_prefix_parse(struct span text, struct ip_prefix *ret_prefix);
/* Always with its length: "10.0.0.1/32". Returns buf. */
const char *ip_prefix_format(const struct ip_prefix *prefix, char buf[IP_PREFIX_TEXT_MAX]);

/* Are all host bits zero? */
bool ip_prefix_is_network(const struct ip_prefix *prefix);
/* The same with its host bits set to zero. */
struct ip_prefix ip_prefix_network(const struct ip_prefix *prefix);
/* Host bits of `prefix` do not matter. Never across families. */
bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *addr);
/* Do the two share any address? */
bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b);
/* The broadcast address of an IPv4 network of at most 30 bits. */
bool ip_prefix_is_broadcast(const struct ip_prefix *prefix, const struct ip_addr *addr);
