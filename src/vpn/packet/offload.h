/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * offload.h - what of a packet is left to the next kernel: its checksum, its segmentation
 *
 * A TUN with IFF_VNET_HDR hands over packets whose TCP or UDP checksum is not filled in, and
 * super-packets of up to 64 KiB that stand for many segments. The fields are those of
 * virtio_net_hdr, in host order. All zero: a plain packet.
 *
 * There is one canonical form, which travels between nodes and which offload_check() asks for:
 *
 *     checksum left open   flags OFFLOAD_NEEDS_CSUM, csum_start = where TCP or UDP starts,
 *                          csum_offset = 16 (TCP) or 6 (UDP)
 *     super-packet         that, and gso_type, gso_size = payload bytes of a segment, hdr_len =
 * bytes of all headers
 *
 * The kernel's hdr_len is only a hint (it may be any length): offload_canonicalize() makes it so.
 */
#pragma once

#include "base/span.h"

struct packet_info;

enum {
	OFFLOAD_NEEDS_CSUM = 1, /* flags */

	OFFLOAD_GSO_NONE = 0, /* gso_type */
	OFFLOAD_GSO_TCP4 = 1,
	OFFLOAD_GSO_TCP6 = 4,
	OFFLOAD_GSO_UDP_L4 = 5,
	OFFLOAD_GSO_ECN = 0x80, /* with TCP4 or TCP6: CWR only in the first segment */

	OFFLOAD_LEN = 10, /* bytes on the wire */
};

struct offload {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
};

static inline bool offload_is_plain(const struct offload *o)
{
	return o->flags == 0 && o->gso_type == OFFLOAD_GSO_NONE;
}

static inline bool offload_is_super(const struct offload *o)
{
	return o->gso_type != OFFLOAD_GSO_NONE;
}

/* Ten bytes, each field big-endian, in the order of the struct. */
void offload_put(uint8_t out[OFFLOAD_LEN], const struct offload *o);
/* Also checks each field by itself and against the packet's length, as far as it goes without
 * parsing the packet. ERR_MALFORMED, ERR_RANGE. */
MUST_USE enum err offload_parse(const uint8_t in[OFFLOAD_LEN], size_t packet_len,
				struct offload *ret);

/* Is this the canonical form for this packet? Every field is checked against its headers.
 * ERR_MALFORMED, ERR_RANGE; ERR_LIMIT: more than OFFLOAD_SEGMENTS_MAX segments. */
MUST_USE enum err offload_check(const struct offload *o, struct span packet,
				const struct packet_info *info);
/* Bring what the kernel gave into the canonical form. Errors as above: such a packet cannot
 * travel. */
MUST_USE enum err offload_canonicalize(struct offload *o, struct span packet,
				       const struct packet_info *info);

/* Bytes of the longest packet that this one becomes on a wire: of a segment, or the packet. */
static inline size_t offload_segment_len(const struct offload *o, size_t packet_len)
{
	size_t len = (size_t)o->hdr_len + o->gso_size;
	return offload_is_super(o) && len < packet_len ? len : packet_len;
}

/* Fill in the checksum of a packet that is not a super-packet; `o` becomes plain. `o` has passed
 * offload_parse() or one of the checks for this length. */
void offload_finish_checksum(struct offload *o, uint8_t *packet, size_t packet_len);
