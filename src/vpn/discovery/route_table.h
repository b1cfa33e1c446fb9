/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * route_table.h - destination IP -> peer: the longest prefix that matches
 *
 * Immutable once made: any number of threads look up without locks; a change is a new table,
 * swapped in by its owner. A lookup does not allocate. Peers are numbers that the owner gives them.
 */
#pragma once

#include "vpn/packet/ip_addr.h"

struct route_table;

#define ROUTE_NONE UINT32_MAX /* no peer */

struct route {
	struct ip_prefix prefix; /* without host bits */
	uint32_t peer;           /* below ROUTE_NONE */
};

/* From n routes in any order. ERR_DUPLICATE (a prefix twice), ERR_RANGE (host bits, a bad length or
 * peer), ERR_LIMIT, ERR_NO_MEMORY. */
MUST_USE enum err route_table_new(const struct route *routes, size_t n,
				  struct route_table **ret_table);

/* Takes NULL; returns NULL. */
struct route_table *route_table_free(struct route_table *table);

/* The peer of the longest prefix that holds the address (4 or 16 bytes, network order), or
 * ROUTE_NONE. */
uint32_t route_table_find_ip4(const struct route_table *table, const uint8_t ip[4]);
uint32_t route_table_find_ip6(const struct route_table *table, const uint8_t ip[16]);
uint32_t route_table_find(const struct route_table *table, const struct ip_addr *ip);

/* True if packets with this source may come from that peer: what we would send to the source goes
 * to the peer. */
bool route_table_allows(const struct route_table *table, uint32_t peer,
			const struct ip_addr *source);

/* Bytes of memory in use. */
size_t route_table_bytes(const struct route_table *table);
