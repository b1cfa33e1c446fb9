/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_packet.c - ten bytes of offload fields, then a packet: parse, check, answer
 *
 * What is accepted must hold: offsets within the packet, answers that parse and are no answer to an
 * answer, fields in canonical form that a second look leaves alone.
 */
#include <stdlib.h>

#include "vpn/packet/icmp.h"
#include "vpn/packet/offload.h"
#include "vpn/packet/packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void answer(struct span packet, const struct packet_info *info)
{
	for (unsigned reason = 0; reason < ICMP_REASON_COUNT; reason++) {
		uint8_t out[ICMP_ERROR_LEN_MAX];
		struct wbuf w = wbuf_of(out, sizeof(out));
		struct packet_info icmp;
		enum err e = icmp_error_build(reason, 1280, packet, info, &info->destination, &w);
		require(e == ERR_OK || e == ERR_REFUSED);
		if (e != ERR_OK)
			continue;
		require(packet_parse(wbuf_view(&w), &icmp) == ERR_OK);
		require(ip_addr_equal(&icmp.destination, &info->source));
		require(!icmp_error_is_allowed(reason, wbuf_view(&w), &icmp));
	}
}

static void finish(struct offload o, struct span packet, const struct packet_info *info)
{
	if (offload_canonicalize(&o, packet, info) != ERR_OK)
		return;
	struct offload again = o;
	require(offload_check(&o, packet, info) == ERR_OK);
	require(offload_canonicalize(&again, packet, info) == ERR_OK);
	require(memcmp(&o, &again, sizeof(o)) == 0);
	uint8_t wire[OFFLOAD_LEN];
	offload_put(wire, &o);
	require(offload_parse(wire, packet.len, &again) == ERR_OK);
	require(offload_segment_len(&o, packet.len) <= packet.len);
	if (!offload_is_super(&o)) {
		uint8_t *copy = malloc(packet.len);
		if (copy == NULL)
			return;
		memcpy(copy, packet.p, packet.len);
		offload_finish_checksum(&o, copy, packet.len);
		free(copy);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < OFFLOAD_LEN)
		return 0;
	struct span packet = span_of(data + OFFLOAD_LEN, len - OFFLOAD_LEN);
	struct packet_info info;
	if (packet_parse(packet, &info) != ERR_OK)
		return 0;
	require(info.len == packet.len && info.transport_offset <= packet.len);
	if (info.source_port != 0 || info.destination_port != 0) {
		require(packet_protocol_has_ports(info.protocol));
		require(info.fragment != PACKET_FRAGMENT_LATER);
		require((size_t)info.transport_offset + 8 <= packet.len);
	}
	answer(packet, &info);

	struct offload o = {
		.flags = data[0],
		.gso_type = data[1],
		.hdr_len = load_be16(data + 2),
		.gso_size = load_be16(data + 4),
		.csum_start = load_be16(data + 6),
		.csum_offset = load_be16(data + 8),
	};
	finish(o, packet, &info);
	return 0;
}
