/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* packets.h - packets for tests: built field by field, with checksums as RFC 1071 words it */
#pragma once

#include <netinet/in.h>
#include <string.h>

#include "base/span.h"

/* 16-bit words, one after the other: the slow way, to check the fast one by. */
static inline uint32_t naive_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* Is the checksum of what stands at `from` right, with the packet's pseudo-header? */
static inline bool transport_checksum_is_right(const uint8_t *packet, size_t len, size_t from,
					       uint8_t protocol)
{
	bool is_v4 = packet[0] >> 4 == 4;
	uint32_t sum = is_v4 ? naive_sum(packet + 12, 8) : naive_sum(packet + 8, 32);
	sum += protocol + (uint32_t)(len - from) + naive_sum(packet + from, len - from);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum == 0xffff;
}

static const uint8_t host_a[16] = {10, 0, 0, 1}, host_b[16] = {10, 0, 0, 2};
static const uint8_t host6_a[16] = {0xfd, [15] = 1}, host6_b[16] = {0xfd, [15] = 2};

/* An IPv4 header of 20 bytes for `payload_len` more; returns its length. */
static inline size_t put_v4(uint8_t *p, uint8_t protocol, size_t payload_len)
{
	memset(p, 0, 20);
	p[0] = 0x45;
	store_be16(p + 2, (uint16_t)(20 + payload_len));
	p[8] = 64;
	p[9] = protocol;
	memcpy(p + 12, host_a, 4);
	memcpy(p + 16, host_b, 4);
	store_be16(p + 10, (uint16_t)~naive_sum(p, 20));
	return 20;
}

static inline size_t put_v6(uint8_t *p, uint8_t next, size_t payload_len)
{
	memset(p, 0, 40);
	p[0] = 0x60;
	store_be16(p + 4, (uint16_t)payload_len);
	p[6] = next;
	p[7] = 64;
	memcpy(p + 8, host6_a, 16);
	memcpy(p + 24, host6_b, 16);
	return 40;
}

/* A TCP header of 20 bytes, its checksum left open as by an offloading kernel: the sum of the
 * pseudo-header. */
static inline void put_tcp(uint8_t *packet, size_t at, size_t len)
{
	bool is_v4 = packet[0] >> 4 == 4;
	uint8_t *p = packet + at;
	memset(p, 0, 20);
	store_be16(p, 1234);
	store_be16(p + 2, 443);
	p[12] = 0x50;
	p[13] = 0x10;
	uint32_t sum = is_v4 ? naive_sum(packet + 12, 8) : naive_sum(packet + 8, 32);
	sum += IPPROTO_TCP + (uint32_t)(len - at);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	store_be16(p + 16, (uint16_t)sum);
}

static inline void put_udp(uint8_t *packet, size_t at, size_t len)
{
	bool is_v4 = packet[0] >> 4 == 4;
	uint8_t *p = packet + at;
	store_be16(p, 5353);
	store_be16(p + 2, 53);
	store_be16(p + 4, (uint16_t)(len - at));
	uint32_t sum = is_v4 ? naive_sum(packet + 12, 8) : naive_sum(packet + 8, 32);
	sum += IPPROTO_UDP + (uint32_t)(len - at);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	store_be16(p + 6, (uint16_t)sum);
}
