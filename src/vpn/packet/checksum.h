/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * checksum.h - the Internet checksum, RFC 1071
 *
 * Add up the pieces with checksum_add(), each but the last of an even number of bytes, then
 * checksum_finish(). Over bytes that contain their right checksum the result is 0.
 */
#pragma once

#include "vpn/packet/ip_addr.h"

uint64_t checksum_add(uint64_t sum, struct span bytes);
/* The pseudo-header of a transport protocol: RFC 793 3.1, RFC 8200 8.1. */
uint64_t checksum_add_pseudo(uint64_t sum, const struct ip_addr *source,
			     const struct ip_addr *destination, uint8_t protocol, uint32_t len);
/* Folded to 16 bits, not complemented. */
uint16_t checksum_fold(uint64_t sum);
/* Folded and complemented: what goes into the header, to be stored big-endian. */
uint16_t checksum_finish(uint64_t sum);
