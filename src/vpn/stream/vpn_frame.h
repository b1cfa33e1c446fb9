/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * vpn_frame.h - /vpn/1.0.0: a length, a packet, and so on
 *
 * A 4-byte big-endian length, then one IP packet of 1..mtu bytes; one direction per stream, sent by
 * its opener. See docs/protocol.md. Pure: bytes in, packets out. Owned by the stream's shard.
 */
#pragma once

#include "vpn/stream/assembler.h"

#define VPN_FRAME_PROTOCOL "/vpn/1.0.0"

enum {
	VPN_FRAME_HEADER_LEN = 4,
};

struct vpn_frame_reader;

/* packet_len_max: 1..PACKET_LEN_MAX bytes. ERR_NO_MEMORY. */
MUST_USE enum err vpn_frame_reader_new(uint32_t packet_len_max,
				       struct vpn_frame_reader **ret_reader);
/* Takes NULL; returns NULL. */
struct vpn_frame_reader *vpn_frame_reader_free(struct vpn_frame_reader *r);

/*
 * Consume from the front of *in up to the end of the next packet. ERR_OK: *ret_packet is valid
 * until the next call and while the input is. ERR_AGAIN: all of *in is consumed. ERR_RANGE (length
 * 0), ERR_TOO_LONG: the stream is broken; said as soon as the length is read, and by every later
 * call.
 */
MUST_USE enum err vpn_frame_reader_read(struct vpn_frame_reader *r, struct span *in,
					struct span *ret_packet);
/* At the end of the stream: did it end between two packets? */
bool vpn_frame_reader_is_between(const struct vpn_frame_reader *r);

/* packet_len: 1..PACKET_LEN_MAX. */
void vpn_frame_put_header(uint8_t out[VPN_FRAME_HEADER_LEN], size_t packet_len);
