/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * admit.h - may a packet that came from a peer go to the kernel?
 *
 * Pure: a packet and the tables in, yes or the reason to drop it out.
 */
#pragma once

#include "vpn/discovery/route_table.h"
#include "vpn/metrics/drop.h"
#include "vpn/packet/packet.h"

/* A packet from `peer`, a number of these routes. false: drop it for *ret_reason. */
MUST_USE bool admit_packet(const struct route_table *routes, uint32_t peer, struct span packet,
			   enum drop *ret_reason);
