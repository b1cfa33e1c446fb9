/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * packet.c - see packet.h; each reader below has checked the length before it looks
 *
 * A result is written field by field to where it goes, once all checks are passed: to make it
 * elsewhere and copy it costs more than all of parsing.
 */
#include "vpn/packet/packet.h"

#include <netinet/in.h>

#include "base/limits.h"

enum {
	IPV4_HEADER_LEN = 20,
	IPV6_HEADER_LEN = 40,
	FRAGMENT_HEADER_LEN = 8,
	/* IANA's numbers where libc has no name. */
	PROTOCOL_HIP = 139,
	PROTOCOL_SHIM6 = 140,
};

bool packet_protocol_has_ports(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return true;
	default:
		return false;
	}
}

/* Bytes without which a transport header is none. */
static size_t transport_len_min(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		return 8;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return 12;
	default:
		return 0;
	}
}

/* Where the walk over a packet's headers has come to; at its end, to the transport header. */
struct walk {
	struct span rest;
	uint8_t protocol; /* of rest */
	enum packet_fragment fragment;
	size_t fragment_offset; /* bytes */
};

/*
 * Is what follows the last header acceptable? A first fragment must hold the whole transport
 * header, and no later one may begin within it: else a firewall that read the first can be made to
 * have read wrong (RFC 1858 3.2.2, RFC 3128).
 */
static bool transport_is_whole(const struct walk *walk)
{
	size_t len_min = transport_len_min(walk->protocol);
	return walk->fragment == PACKET_FRAGMENT_LATER ? walk->fragment_offset >= len_min
						       : walk->rest.len >= len_min;
}

/* What is the same for both versions. */
static void put_info(struct packet_info *ret, struct span bytes, const struct walk *walk)
{
	bool has_ports = walk->fragment != PACKET_FRAGMENT_LATER &&
			 packet_protocol_has_ports(walk->protocol);
	ret->protocol = walk->protocol;
	ret->fragment = walk->fragment;
	ret->source_port = has_ports ? load_be16(walk->rest.p) : 0;
	ret->destination_port = has_ports ? load_be16(walk->rest.p + 2) : 0;
	ret->transport_offset = (uint16_t)(bytes.len - walk->rest.len);
	ret->len = (uint32_t)bytes.len;
}

static enum packet_fragment fragment_of(size_t offset, bool more)
{
	if (offset > 0)
		return PACKET_FRAGMENT_LATER;
	return more ? PACKET_FRAGMENT_FIRST : PACKET_WHOLE;
}

/* A fragment that is not the last has a multiple of 8 bytes; none may reach beyond a packet's
 * largest length. */
static bool fragment_fits(size_t offset, bool more, size_t len)
{
	if (more && (len == 0 || len % 8 != 0))
		return false;
	return offset + len <= PACKET_LEN_MAX;
}

static enum err parse_v4(struct span bytes, struct packet_info *ret_info)
{
	if (bytes.len < IPV4_HEADER_LEN)
		return ERR_TRUNCATED;
	size_t header_len = (size_t)(bytes.p[0] & 0xf) * 4;
	size_t total_len = load_be16(bytes.p + 2);
	if (header_len < IPV4_HEADER_LEN || total_len < header_len)
		return ERR_MALFORMED;
	if (bytes.len != total_len)
		return bytes.len < total_len ? ERR_TRUNCATED : ERR_MALFORMED;

	unsigned flags = load_be16(bytes.p + 6);
	bool more = (flags & 0x2000) != 0;
	struct walk walk = {
		.rest = span_of(bytes.p + header_len, total_len - header_len),
		.protocol = bytes.p[9],
		.fragment_offset = (size_t)(flags & 0x1fff) * 8,
	};
	walk.fragment = fragment_of(walk.fragment_offset, more);
	if (!fragment_fits(walk.fragment_offset, more, walk.rest.len) || !transport_is_whole(&walk))
		return ERR_MALFORMED;

	ret_info->version = 4;
	ret_info->traffic_class = bytes.p[1];
	ret_info->dont_fragment = (flags & 0x4000) != 0;
	put_info(ret_info, bytes, &walk);
	ip_addr_set_v4(&ret_info->source, bytes.p + 12);
	ip_addr_set_v4(&ret_info->destination, bytes.p + 16);
	return ERR_OK;
}

static bool is_extension(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_AH:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
	case PROTOCOL_HIP:
	case PROTOCOL_SHIM6:
		return true;
	default:
		return false; /* ESP too: what follows it cannot be read */
	}
}

/* Bytes of the extension header that starts at `rest`, which holds at least its first two. */
static size_t extension_len(uint8_t protocol, struct span rest)
{
	switch (protocol) {
	case IPPROTO_FRAGMENT:
		return FRAGMENT_HEADER_LEN;
	case IPPROTO_AH:
		return ((size_t)rest.p[1] + 2) * 4; /* RFC 4302 2.2: the only one in words of 4 */
	default:
		return ((size_t)rest.p[1] + 1) * 8;
	}
}

/*
 * From the header after the IPv6 header to the first that is no extension.
 * RFC 7112: the chain must end within the first fragment, so running out of bytes is malformed.
 */
static enum err walk_extensions(struct walk *walk)
{
	bool has_fragment = false;
	for (unsigned n = 0; is_extension(walk->protocol); n++) {
		if (n == PACKET_EXTENSIONS_MAX)
			return ERR_LIMIT;
		/* RFC 8200 4.1: hop-by-hop options only right after the IPv6 header. */
		if (walk->protocol == IPPROTO_HOPOPTS && n > 0)
			return ERR_MALFORMED;
		struct span *rest = &walk->rest;
		if (rest->len < 2 || rest->len < extension_len(walk->protocol, *rest))
			return ERR_MALFORMED;

		struct span header = span_of(rest->p, extension_len(walk->protocol, *rest));
		span_skip(rest, header.len);
		if (walk->protocol == IPPROTO_FRAGMENT) {
			if (has_fragment)
				return ERR_MALFORMED;
			has_fragment = true;
			unsigned flags = load_be16(header.p + 2);
			bool more = (flags & 1) != 0;
			walk->fragment_offset = flags & 0xfff8u;
			if (!fragment_fits(walk->fragment_offset, more, rest->len))
				return ERR_MALFORMED;
			walk->fragment = fragment_of(walk->fragment_offset, more);
		}
		walk->protocol = header.p[0];
		/* What follows is data from the middle of another packet, whatever it is called. */
		if (walk->fragment == PACKET_FRAGMENT_LATER)
			return ERR_OK;
	}
	return ERR_OK;
}

static enum err parse_v6(struct span bytes, struct packet_info *ret_info)
{
	if (bytes.len < IPV6_HEADER_LEN)
		return ERR_TRUNCATED;
	/* A jumbogram says 0 here and is refused with the other trailing bytes. */
	size_t total_len = IPV6_HEADER_LEN + (size_t)load_be16(bytes.p + 4);
	if (bytes.len != total_len)
		return bytes.len < total_len ? ERR_TRUNCATED : ERR_MALFORMED;

	struct walk walk = {
		.rest = span_of(bytes.p + IPV6_HEADER_LEN, bytes.len - IPV6_HEADER_LEN),
		.protocol = bytes.p[6],
		.fragment = PACKET_WHOLE,
	};
	enum err e = walk_extensions(&walk);
	if (e != ERR_OK)
		return e;
	if (!transport_is_whole(&walk))
		return ERR_MALFORMED;

	ret_info->version = 6;
	ret_info->traffic_class = (uint8_t)(load_be16(bytes.p) >> 4);
	ret_info->dont_fragment = true;
	put_info(ret_info, bytes, &walk);
	ip_addr_set_v6(&ret_info->source, bytes.p + 8);
	ip_addr_set_v6(&ret_info->destination, bytes.p + 24);
	return ERR_OK;
}

enum err packet_parse(struct span bytes, struct packet_info *ret_info)
{
	if (bytes.len == 0)
		return ERR_TRUNCATED;
	if (bytes.len > PACKET_LEN_MAX)
		return ERR_TOO_LONG;
	switch (bytes.p[0] >> 4) {
	case 4:
		return parse_v4(bytes, ret_info);
	case 6:
		return parse_v6(bytes, ret_info);
	default:
		return ERR_UNSUPPORTED;
	}
}
