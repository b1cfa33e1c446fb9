/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatcher.h - where does this packet go?
 *
 * Pure: a packet and the tables in, a verdict out: the peer that owns the destination, or the
 * reason to drop it and what to tell its sender. The other way, dispatch_admit() says whether a
 * packet that came from a peer may go to the kernel.
 */
#pragma once

#include "vpn/discovery/route_table.h"
#include "vpn/metrics/drop.h"
#include "vpn/packet/icmp.h"

struct dispatch_tables {
	const struct route_table *routes;
	const struct ip_prefix *addresses; /* of our own device */
	size_t n_addresses;
};

struct dispatch_verdict {
	uint32_t peer;           /* ROUTE_NONE: drop it */
	enum drop reason;        /* then: why */
	bool is_answered;        /* ... and whether its sender is told ... */
	enum icmp_reason icmp;   /* ... this */
	struct packet_info info; /* valid unless malformed */
};

/* A packet from the kernel. */
void dispatch_route(const struct dispatch_tables *t, struct span packet,
		    struct dispatch_verdict *ret);

/* A packet from `peer`. false: drop it for *ret_reason. */
MUST_USE bool dispatch_admit(const struct dispatch_tables *t, uint32_t peer, struct span packet,
			     enum drop *ret_reason);

/* Our own address of a family, to speak from; NULL: we have none. */
const struct ip_addr *dispatch_own_address(const struct dispatch_tables *t, uint8_t family);
