/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ip_addr.c - see ip_addr.h; text is read and written by the C library, which touches no network */
#include "vpn/packet/ip_addr.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

enum err ip_addr_parse(struct span text, struct ip_addr *ret_addr)
{
	char buf[IP_ADDR_TEXT_MAX];
	if (text.len == 0 || text.len >= sizeof(buf) || memchr(text.p, '\0', text.len) != NULL)
		return ERR_MALFORMED;
	memcpy(buf, text.p, text.len);
	buf[text.len] = '\0';

	bool is_v6 = strchr(buf, ':') != NULL;
	struct ip_addr addr = {.family = is_v6 ? 6 : 4};
	if (inet_pton(is_v6 ? AF_INET6 : AF_INET, buf, addr.bytes) != 1)
		return ERR_MALFORMED;
	*ret_addr = addr;
	return ERR_OK;
}

const char *ip_addr_format(const struct ip_addr *addr, char buf[IP_ADDR_TEXT_MAX])
{
	if (addr->family != 4 && addr->family != 6)
		return strcpy(buf, "none");
	return inet_ntop(addr->family == 4 ? AF_INET : AF_INET6, addr->bytes, buf,
			 IP_ADDR_TEXT_MAX);
}

bool ip_addr_is_unspecified(const struct ip_addr *addr)
{
	static const uint8_t zero[16];
	return addr->family != 0 && memcmp(addr->bytes, zero, sizeof(zero)) == 0;
}

bool ip_addr_is_multicast(const struct ip_addr *addr)
{
	return addr->family == 4 ? (addr->bytes[0] & 0xf0) == 0xe0
				 : addr->family == 6 && addr->bytes[0] == 0xff;
}

bool ip_addr_is_loopback(const struct ip_addr *addr)
{
	static const uint8_t one[16] = {[15] = 1};
	return addr->family == 4 ? addr->bytes[0] == 127
				 : addr->family == 6 && memcmp(addr->bytes, one, sizeof(one)) == 0;
}

bool ip_addr_is_link_local(const struct ip_addr *addr)
{
	return addr->family == 4 ? addr->bytes[0] == 169 && addr->bytes[1] == 254
				 : addr->family == 6 && addr->bytes[0] == 0xfe &&
					   (addr->bytes[1] & 0xc0) == 0x80;
}

static enum err parse_len(struct span text, unsigned bits_max, uint8_t *ret_len)
{
	/* Digits as everybody writes them: no sign, no space, no leading zero. */
	if (text.len == 0 || text.len > 3 || (text.len > 1 && text.p[0] == '0'))
		return ERR_MALFORMED;
	unsigned len = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return ERR_MALFORMED;
		len = len * 10 + (unsigned)(text.p[i] - '0');
	}
	if (len > bits_max)
		return ERR_RANGE;
	*ret_len = (uint8_t)len;
	return ERR_OK;
}

enum err ip_prefix_parse(struct span text, struct ip_prefix *ret_prefix)
{
	const uint8_t *slash = text.len > 0 ? memchr(text.p, '/', text.len) : NULL;
	size_t addr_len = slash != NULL ? (size_t)(slash - text.p) : text.len;
	struct ip_prefix prefix;
	enum err e = ip_addr_parse(span_of(text.p, addr_len), &prefix.addr);
	if (e != ERR_OK)
		return e;
	prefix.len = (uint8_t)ip_addr_bits(&prefix.addr);
	if (slash != NULL) {
		span_skip(&text, addr_len + 1);
		e = parse_len(text, prefix.len, &prefix.len);
		if (e != ERR_OK)
			return e;
	}
	*ret_prefix = prefix;
	return ERR_OK;
}

const char *ip_prefix_format(const struct ip_prefix *prefix, char buf[IP_PREFIX_TEXT_MAX])
{
	char addr[IP_ADDR_TEXT_MAX];
	snprintf(buf, IP_PREFIX_TEXT_MAX, "%s/%u", ip_addr_format(&prefix->addr, addr),
		 prefix->len);
	return buf;
}

/* The bits of byte i that belong to the first `len` bits. */
static uint8_t mask_of(unsigned len, unsigned i)
{
	if (len >= 8 * (i + 1))
		return 0xff;
	if (len <= 8 * i)
		return 0;
	return (uint8_t)(0xff << (8 * (i + 1) - len));
}

struct ip_prefix ip_prefix_network(const struct ip_prefix *prefix)
{
	struct ip_prefix network = *prefix;
	for (unsigned i = 0; i < sizeof(network.addr.bytes); i++)
		network.addr.bytes[i] = (uint8_t)(network.addr.bytes[i] & mask_of(prefix->len, i));
	return network;
}

bool ip_prefix_is_network(const struct ip_prefix *prefix)
{
	struct ip_prefix network = ip_prefix_network(prefix);
	return ip_addr_equal(&network.addr, &prefix->addr);
}

bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *addr)
{
	if (prefix->addr.family != addr->family || addr->family == 0)
		return false;
	unsigned whole = prefix->len / 8;
	if (memcmp(prefix->addr.bytes, addr->bytes, whole) != 0)
		return false;
	return whole == sizeof(addr->bytes) || ((prefix->addr.bytes[whole] ^ addr->bytes[whole]) &
						mask_of(prefix->len, whole)) == 0;
}

bool ip_prefix_overlaps(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len <= b->len ? ip_prefix_contains(a, &b->addr) : ip_prefix_contains(b, &a->addr);
}

bool ip_prefix_is_broadcast(const struct ip_prefix *prefix, const struct ip_addr *addr)
{
	/* RFC 3021: a /31 has none. */
	if (addr->family != 4 || prefix->len > 30 || !ip_prefix_contains(prefix, addr))
		return false;
	for (unsigned i = 0; i < 4; i++) {
		if ((addr->bytes[i] | mask_of(prefix->len, i)) != 0xff)
			return false;
	}
	return true;
}
