/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ecn.c - see ecn.h */
#include "vpn/packet/ecn.h"

#include <assert.h>

#include "vpn/packet/checksum.h"

enum {
	ECN_NOT_ECT = 0,
	ECN_CE = 3,
};

static bool mark_v4(uint8_t *packet, size_t len)
{
	assert(len >= 20);
	if ((packet[1] & ECN_CE) == ECN_NOT_ECT)
		return false;
	uint16_t before = load_be16(packet);
	packet[1] |= ECN_CE;
	uint16_t after = load_be16(packet);
	if (after == before)
		return true;
	/* RFC 1624 3: HC' = ~(~HC + ~m + m') */
	uint64_t sum = (uint16_t)~load_be16(packet + 10);
	sum += (uint16_t)~before;
	sum += after;
	store_be16(packet + 10, checksum_finish(sum));
	return true;
}

static bool mark_v6(uint8_t *packet, size_t len)
{
	assert(len >= 40);
	/* The traffic class stands between version and flow label: its low four bits are the high
	 * ones of byte 1. */
	if ((packet[1] & ECN_CE << 4) == ECN_NOT_ECT)
		return false;
	packet[1] |= ECN_CE << 4;
	return true;
}

bool ecn_mark(uint8_t *packet, size_t len)
{
	assert(len > 0);
	unsigned version = packet[0] >> 4;
	assert(version == 4 || version == 6);
	return version == 4 ? mark_v4(packet, len) : mark_v6(packet, len);
}
