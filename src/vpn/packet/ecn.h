/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * ecn.h - tell the ends of a connection of congestion without dropping its packet
 *
 * RFC 3168: a sender that understands sets ECT(0) or ECT(1) in the two low bits of the traffic
 * class, a queue that would drop the packet sets both bits (CE) instead, and the receiver tells the
 * sender to slow down. The header's checksum is amended, not made anew (RFC 1624), so one that was
 * wrong stays wrong and the receiver still finds it. Of a super-packet the one header is marked,
 * and with it all segments that are made of it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * `packet` has passed packet_parse(). true: it carries CE now, or did before. false: its sender
 * does not take marks (Not-ECT), nothing is changed; drop the packet instead.
 */
bool ecn_mark(uint8_t *packet, size_t len);
