/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* icmp.c - see icmp.h */
#include "vpn/packet/icmp.h"

#include <assert.h>
#include <netinet/in.h>

#include "base/limits.h"
#include "base/util.h"
#include "vpn/packet/checksum.h"

enum {
	IPV4_HEADER_LEN = 20,
	IPV6_HEADER_LEN = 40,
	ICMP_HEADER_LEN = 8,
	HOP_LIMIT = 64,
	IPV6_MTU_MIN = 1280,
};

struct kind {
	uint8_t type, code;
};

static const struct kind kinds4[] = {
	[ICMP_NO_ROUTE] = {3, 0},    [ICMP_UNREACHABLE] = {3, 1}, [ICMP_PROHIBITED] = {3, 13},
	[ICMP_BAD_SOURCE] = {3, 13}, [ICMP_TOO_BIG] = {3, 4},
};
static const struct kind kinds6[] = {
	[ICMP_NO_ROUTE] = {1, 0},   [ICMP_UNREACHABLE] = {1, 3}, [ICMP_PROHIBITED] = {1, 1},
	[ICMP_BAD_SOURCE] = {1, 5}, [ICMP_TOO_BIG] = {2, 0},
};
static_assert(ARRAY_LEN(kinds4) == ICMP_REASON_COUNT, "each reason has an ICMPv4 type");
static_assert(ARRAY_LEN(kinds6) == ICMP_REASON_COUNT, "each reason has an ICMPv6 type");

/* ICMPv4 messages that ask or tell; all others, unknown ones too, may be errors and get none. */
static bool is_query4(uint8_t type)
{
	switch (type) {
	case 0:  /* echo reply */
	case 8:  /* echo */
	case 9:  /* router advertisement */
	case 10: /* router solicitation */
	case 13: /* timestamp, its reply, information, its reply, address mask, its reply */
	case 14:
	case 15:
	case 16:
	case 17:
	case 18:
	case 42: /* extended echo, its reply */
	case 43:
		return true;
	default:
		return false;
	}
}

/* RFC 1122 3.2.2: not about an ICMP error. RFC 4443 2.4 (e.1, e.2): nor about an ICMPv6 redirect.
 * Where the type is not there, assume the worst. */
static bool is_error(struct span packet, const struct packet_info *info)
{
	bool has_type = info->transport_offset < packet.len;
	uint8_t type = has_type ? packet.p[info->transport_offset] : 0;
	if (info->version == 4)
		return info->protocol == IPPROTO_ICMP && (!has_type || !is_query4(type));
	return info->protocol == IPPROTO_ICMPV6 && (!has_type || type < 128 || type == 137);
}

/* RFC 1122: "a datagram whose source address does not define a single host -- e.g., a zero
 * address, a loopback address, a broadcast address, a multicast address, or a Class E address". */
static bool is_single_host(const struct ip_addr *addr)
{
	if (ip_addr_is_unspecified(addr) || ip_addr_is_multicast(addr) || ip_addr_is_loopback(addr))
		return false;
	return addr->family == 6 || (addr->bytes[0] != 0 && addr->bytes[0] < 0xf0);
}

bool icmp_error_is_allowed(enum icmp_reason reason, struct span packet,
			   const struct packet_info *info)
{
	if (info->fragment == PACKET_FRAGMENT_LATER || is_error(packet, info) ||
	    !is_single_host(&info->source))
		return false;
	if (info->version == 4)
		return !ip_addr_is_multicast(&info->destination) &&
		       info->destination.bytes[0] != 0xff &&
		       (reason != ICMP_TOO_BIG || info->dont_fragment);
	/* RFC 4443 2.4 (e.3): packet too big is the exception, for path MTU discovery. */
	return reason == ICMP_TOO_BIG || !ip_addr_is_multicast(&info->destination);
}

static void put_v4_header(uint8_t *h, size_t total_len, const struct ip_addr *from,
			  const struct ip_addr *to)
{
	memset(h, 0, IPV4_HEADER_LEN);
	h[0] = 0x45;
	h[1] = 0xc0; /* RFC 1812 4.3.2.5: precedence INTERNETWORK CONTROL */
	store_be16(h + 2, (uint16_t)total_len);
	store_be16(h + 6, 0x4000); /* with DF the id may be 0, RFC 6864 */
	h[8] = HOP_LIMIT;
	h[9] = IPPROTO_ICMP;
	memcpy(h + 12, from->bytes, 4);
	memcpy(h + 16, to->bytes, 4);
	store_be16(h + 10, checksum_finish(checksum_add(0, span_of(h, IPV4_HEADER_LEN))));
}

static void put_v6_header(uint8_t *h, size_t total_len, const struct ip_addr *from,
			  const struct ip_addr *to)
{
	memset(h, 0, IPV6_HEADER_LEN);
	h[0] = 0x60;
	store_be16(h + 4, (uint16_t)(total_len - IPV6_HEADER_LEN));
	h[6] = IPPROTO_ICMPV6;
	h[7] = HOP_LIMIT;
	memcpy(h + 8, from->bytes, 16);
	memcpy(h + 24, to->bytes, 16);
}

/* The second word of the header: the MTU in its last 16 bits (RFC 1191 4), in IPv6 in all 32. */
static uint32_t rest_of(enum icmp_reason reason, uint8_t version, uint32_t mtu)
{
	if (reason != ICMP_TOO_BIG)
		return 0;
	if (version == 4)
		return mtu < 0xffff ? mtu : 0xffff;
	return mtu > IPV6_MTU_MIN ? mtu : IPV6_MTU_MIN;
}

enum err icmp_error_build(enum icmp_reason reason, uint32_t mtu, struct span packet,
			  const struct packet_info *info, const struct ip_addr *from,
			  struct wbuf *out)
{
	assert(reason < ICMP_REASON_COUNT);
	if (from->family != info->version)
		return ERR_UNSUPPORTED;
	if (!icmp_error_is_allowed(reason, packet, info))
		return ERR_REFUSED;

	bool is_v4 = info->version == 4;
	size_t ip_len = is_v4 ? IPV4_HEADER_LEN : IPV6_HEADER_LEN;
	size_t len_max = is_v4 ? ICMP4_ERROR_LEN_MAX : ICMP6_ERROR_LEN_MAX;
	size_t quoted = len_max - ip_len - ICMP_HEADER_LEN;
	if (packet.len < quoted)
		quoted = packet.len;
	size_t total_len = ip_len + ICMP_HEADER_LEN + quoted;
	if (wbuf_room(out) < total_len)
		return ERR_FULL;

	uint8_t *ip = wbuf_reserve(out, total_len);
	uint8_t *icmp = ip + ip_len;
	struct kind kind = is_v4 ? kinds4[reason] : kinds6[reason];
	icmp[0] = kind.type;
	icmp[1] = kind.code;
	store_be16(icmp + 2, 0);
	store_be32(icmp + 4, rest_of(reason, info->version, mtu));
	memcpy(icmp + ICMP_HEADER_LEN, packet.p, quoted);

	uint64_t sum = checksum_add(0, span_of(icmp, ICMP_HEADER_LEN + quoted));
	if (is_v4) {
		put_v4_header(ip, total_len, from, &info->source);
	} else {
		put_v6_header(ip, total_len, from, &info->source);
		sum = checksum_add_pseudo(sum, from, &info->source, IPPROTO_ICMPV6,
					  (uint32_t)(ICMP_HEADER_LEN + quoted));
	}
	store_be16(icmp + 2, checksum_finish(sum));
	return ERR_OK;
}
