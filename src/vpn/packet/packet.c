/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* packet.c - see packet.h; each reader below has checked the length before it looks */
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

/*
 * The ports, or a refusal. A first fragment must hold the whole transport header, and no later
 * one may begin within it: else a firewall that read the first can be made to have read wrong
 * (RFC 1858 3.2.2, RFC 3128).
 */
static enum err parse_transport(struct span payload, size_t fragment_offset,
				struct packet_info *info)
{
	size_t len_min = transport_len_min(info->protocol);
	if (info->fragment == PACKET_FRAGMENT_LATER)
		return fragment_offset < len_min ? ERR_MALFORMED : ERR_OK;
	if (payload.len < len_min)
		return ERR_MALFORMED;
	if (packet_protocol_has_ports(info->protocol)) {
		info->source_port = load_be16(payload.p);
		info->destination_port = load_be16(payload.p + 2);
	}
	return ERR_OK;
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

static enum err parse_v4(struct span bytes, struct packet_info *info)
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
	size_t offset = (size_t)(flags & 0x1fff) * 8;
	bool more = (flags & 0x2000) != 0;
	struct span payload = span_of(bytes.p + header_len, total_len - header_len);
	if (!fragment_fits(offset, more, payload.len))
		return ERR_MALFORMED;

	info->protocol = bytes.p[9];
	info->traffic_class = bytes.p[1];
	info->dont_fragment = (flags & 0x4000) != 0;
	info->fragment = fragment_of(offset, more);
	info->transport_offset = (uint16_t)header_len;
	info->source = ip_addr_v4(bytes.p + 12);
	info->destination = ip_addr_v4(bytes.p + 16);
	return parse_transport(payload, offset, info);
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
 * From the header after the IPv6 header to the first that is no extension. *rest is what follows;
 * RFC 7112: the chain must end within the first fragment, so running out of bytes is malformed.
 */
static enum err walk_extensions(struct span *rest, struct packet_info *info, size_t *ret_offset)
{
	bool has_fragment = false;
	*ret_offset = 0;
	for (unsigned n = 0; is_extension(info->protocol); n++) {
		if (n == PACKET_EXTENSIONS_MAX)
			return ERR_LIMIT;
		/* RFC 8200 4.1: hop-by-hop options only right after the IPv6 header. */
		if (info->protocol == IPPROTO_HOPOPTS && n > 0)
			return ERR_MALFORMED;
		if (rest->len < 2 || rest->len < extension_len(info->protocol, *rest))
			return ERR_MALFORMED;

		struct span header = span_of(rest->p, extension_len(info->protocol, *rest));
		span_skip(rest, header.len);
		if (info->protocol == IPPROTO_FRAGMENT) {
			if (has_fragment)
				return ERR_MALFORMED;
			has_fragment = true;
			unsigned flags = load_be16(header.p + 2);
			bool more = (flags & 1) != 0;
			*ret_offset = flags & 0xfff8u;
			if (!fragment_fits(*ret_offset, more, rest->len))
				return ERR_MALFORMED;
			info->fragment = fragment_of(*ret_offset, more);
		}
		info->protocol = header.p[0];
		/* What follows is data from the middle of another packet, whatever it is called. */
		if (info->fragment == PACKET_FRAGMENT_LATER)
			return ERR_OK;
	}
	return ERR_OK;
}

static enum err parse_v6(struct span bytes, struct packet_info *info)
{
	if (bytes.len < IPV6_HEADER_LEN)
		return ERR_TRUNCATED;
	/* A jumbogram says 0 here and is refused with the other trailing bytes. */
	size_t total_len = IPV6_HEADER_LEN + (size_t)load_be16(bytes.p + 4);
	if (bytes.len != total_len)
		return bytes.len < total_len ? ERR_TRUNCATED : ERR_MALFORMED;

	info->protocol = bytes.p[6];
	info->traffic_class = (uint8_t)(load_be16(bytes.p) >> 4);
	info->dont_fragment = true;
	info->fragment = PACKET_WHOLE;
	info->source = ip_addr_v6(bytes.p + 8);
	info->destination = ip_addr_v6(bytes.p + 24);

	struct span rest = span_of(bytes.p + IPV6_HEADER_LEN, bytes.len - IPV6_HEADER_LEN);
	size_t fragment_offset;
	enum err e = walk_extensions(&rest, info, &fragment_offset);
	if (e != ERR_OK)
		return e;
	info->transport_offset = (uint16_t)(bytes.len - rest.len);
	return parse_transport(rest, fragment_offset, info);
}

enum err packet_parse(struct span bytes, struct packet_info *ret_info)
{
	if (bytes.len == 0)
		return ERR_TRUNCATED;
	if (bytes.len > PACKET_LEN_MAX)
		return ERR_TOO_LONG;
	struct packet_info info = {.version = bytes.p[0] >> 4, .len = (uint32_t)bytes.len};
	enum err e = info.version == 4   ? parse_v4(bytes, &info)
		     : info.version == 6 ? parse_v6(bytes, &info)
					 : ERR_UNSUPPORTED;
	if (e == ERR_OK)
		*ret_info = info;
	return e;
}
