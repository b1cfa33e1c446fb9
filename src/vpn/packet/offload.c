/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* offload.c - see offload.h */
#include "vpn/packet/offload.h"

#include <assert.h>
#include <netinet/in.h>

#include "base/limits.h"
#include "vpn/packet/checksum.h"
#include "vpn/packet/packet.h"

enum {
	TCP_CSUM_OFFSET = 16,
	UDP_CSUM_OFFSET = 6,
	UDP_HEADER_LEN = 8,
};

void offload_put(uint8_t out[OFFLOAD_LEN], const struct offload *o)
{
	out[0] = o->flags;
	out[1] = o->gso_type;
	store_be16(out + 2, o->hdr_len);
	store_be16(out + 4, o->gso_size);
	store_be16(out + 6, o->csum_start);
	store_be16(out + 8, o->csum_offset);
}

static bool gso_type_is_known(uint8_t type)
{
	switch (type) {
	case OFFLOAD_GSO_NONE:
	case OFFLOAD_GSO_TCP4:
	case OFFLOAD_GSO_TCP6:
	case OFFLOAD_GSO_TCP4 | OFFLOAD_GSO_ECN:
	case OFFLOAD_GSO_TCP6 | OFFLOAD_GSO_ECN:
	case OFFLOAD_GSO_UDP_L4:
		return true;
	default:
		return false;
	}
}

static size_t segments_of(const struct offload *o, size_t packet_len)
{
	return (packet_len - o->hdr_len + o->gso_size - 1) / o->gso_size;
}

/* What can be said of the fields and a length alone. */
static enum err check_fields(const struct offload *o, size_t packet_len)
{
	if ((o->flags & ~OFFLOAD_NEEDS_CSUM) != 0 || !gso_type_is_known(o->gso_type))
		return ERR_MALFORMED;
	if (o->flags == 0) {
		/* A super-packet always leaves its checksum open: each segment needs its own. */
		bool is_zero = o->gso_type == 0 && o->hdr_len == 0 && o->gso_size == 0 &&
			       o->csum_start == 0 && o->csum_offset == 0;
		return is_zero ? ERR_OK : ERR_MALFORMED;
	}
	if (o->csum_offset != TCP_CSUM_OFFSET && o->csum_offset != UDP_CSUM_OFFSET)
		return ERR_RANGE;
	if ((size_t)o->csum_start + o->csum_offset + 2 > packet_len)
		return ERR_RANGE;
	if (o->gso_type == OFFLOAD_GSO_NONE)
		return o->hdr_len == 0 && o->gso_size == 0 ? ERR_OK : ERR_MALFORMED;

	bool is_udp = o->gso_type == OFFLOAD_GSO_UDP_L4;
	if (o->csum_offset != (is_udp ? UDP_CSUM_OFFSET : TCP_CSUM_OFFSET))
		return ERR_MALFORMED;
	if (o->gso_size == 0 || o->hdr_len <= o->csum_start + o->csum_offset ||
	    o->hdr_len >= packet_len)
		return ERR_RANGE;
	return segments_of(o, packet_len) > OFFLOAD_SEGMENTS_MAX ? ERR_LIMIT : ERR_OK;
}

enum err offload_parse(const uint8_t in[OFFLOAD_LEN], size_t packet_len, struct offload *ret)
{
	struct offload o = {
		.flags = in[0],
		.gso_type = in[1],
		.hdr_len = load_be16(in + 2),
		.gso_size = load_be16(in + 4),
		.csum_start = load_be16(in + 6),
		.csum_offset = load_be16(in + 8),
	};
	enum err e = check_fields(&o, packet_len);
	if (e == ERR_OK)
		*ret = o;
	return e;
}

/* Bytes of all headers of a TCP or UDP packet; 0 where its TCP header does not fit. */
static size_t headers_len(struct span packet, const struct packet_info *info)
{
	size_t len = UDP_HEADER_LEN;
	if (info->protocol == IPPROTO_TCP) {
		/* packet_parse() has seen to the first 20 bytes. */
		len = (size_t)(packet.p[info->transport_offset + 12] >> 4) * 4;
		if (len < 20)
			return 0;
	}
	return info->transport_offset + len <= packet.len ? info->transport_offset + len : 0;
}

enum err offload_check(const struct offload *o, struct span packet, const struct packet_info *info)
{
	enum err e = check_fields(o, packet.len);
	if (e != ERR_OK || offload_is_plain(o))
		return e;

	bool is_tcp = info->protocol == IPPROTO_TCP;
	if ((!is_tcp && info->protocol != IPPROTO_UDP) || info->fragment != PACKET_WHOLE)
		return ERR_MALFORMED;
	if (o->csum_start != info->transport_offset ||
	    o->csum_offset != (is_tcp ? TCP_CSUM_OFFSET : UDP_CSUM_OFFSET))
		return ERR_MALFORMED;
	size_t headers = headers_len(packet, info);
	if (headers == 0)
		return ERR_MALFORMED;
	if (!offload_is_super(o))
		return ERR_OK;

	uint8_t of_tcp = info->version == 4 ? OFFLOAD_GSO_TCP4 : OFFLOAD_GSO_TCP6;
	uint8_t expected = is_tcp ? of_tcp : OFFLOAD_GSO_UDP_L4;
	if ((o->gso_type & ~OFFLOAD_GSO_ECN) != expected || o->hdr_len != headers)
		return ERR_MALFORMED;
	return ERR_OK;
}

enum err offload_canonicalize(struct offload *o, struct span packet, const struct packet_info *info)
{
	struct offload c = *o;
	/* Other flags tell us what the kernel knows already (data valid), not what to do. */
	c.flags &= OFFLOAD_NEEDS_CSUM;
	if (c.flags == 0 && c.gso_type == OFFLOAD_GSO_NONE) {
		c = (struct offload){0};
	} else if (c.gso_type == OFFLOAD_GSO_NONE) {
		c.hdr_len = 0;
		c.gso_size = 0;
	} else if (packet_protocol_has_ports(info->protocol) && info->fragment == PACKET_WHOLE) {
		size_t headers = headers_len(packet, info);
		/* A super-packet with no more than one segment of payload is none. */
		if (headers > 0 && packet.len - headers <= c.gso_size) {
			c.gso_type = OFFLOAD_GSO_NONE;
			c.gso_size = 0;
			headers = 0;
		}
		c.hdr_len = (uint16_t)headers;
	}
	enum err e = offload_check(&c, packet, info);
	if (e == ERR_OK)
		*o = c;
	return e;
}

void offload_finish_checksum(struct offload *o, uint8_t *packet, size_t packet_len)
{
	assert(!offload_is_super(o));
	if ((o->flags & OFFLOAD_NEEDS_CSUM) != 0) {
		assert((size_t)o->csum_start + o->csum_offset + 2 <= packet_len);
		/* The field holds the sum of the pseudo-header: it is part of what is summed up. */
		uint16_t sum = checksum_finish(checksum_add(
			0, span_of(packet + o->csum_start, packet_len - o->csum_start)));
		/* RFC 768: an UDP checksum of 0 is sent as all ones. For TCP both mean the same. */
		store_be16(packet + o->csum_start + o->csum_offset, sum == 0 ? 0xffff : sum);
	}
	*o = (struct offload){0};
}
