/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* netaddr.c - see netaddr.h */
#include "p2p/host/netaddr.h"

#include <net/if.h>

union netaddr netaddr_from_ip(const uint8_t *ip, size_t ip_len, uint16_t port)
{
	union netaddr a;
	memset(&a, 0, sizeof(a));
	if (ip_len == 4) {
		a.in4.sin_family = AF_INET;
		a.in4.sin_port = htons(port);
		memcpy(&a.in4.sin_addr, ip, 4);
	} else {
		a.in6.sin6_family = AF_INET6;
		a.in6.sin6_port = htons(port);
		memcpy(&a.in6.sin6_addr, ip, 16);
	}
	return a;
}

void netaddr_to_multiaddr(const union netaddr *addr, struct multiaddr *ret_addr)
{
	const uint8_t *ip;
	size_t len;
	if (addr->sa.sa_family == AF_INET) {
		ip = (const uint8_t *)&addr->in4.sin_addr;
		len = 4;
	} else if (IN6_IS_ADDR_V4MAPPED(&addr->in6.sin6_addr)) {
		ip = (const uint8_t *)&addr->in6.sin6_addr + 12;
		len = 4;
	} else {
		ip = (const uint8_t *)&addr->in6.sin6_addr;
		len = 16;
	}
	multiaddr_from_ip_tcp(ip, len, netaddr_port(addr), ret_addr);
}

enum err netaddr_from_multiaddr(const struct multiaddr *addr, union netaddr *ret_addr)
{
	struct multiaddr_tcp tcp;
	enum err e = multiaddr_as_tcp(addr, &tcp);
	if (e != ERR_OK)
		return e;
	if (tcp.host_code != MULTIADDR_IP4 && tcp.host_code != MULTIADDR_IP6)
		return ERR_UNSUPPORTED;
	*ret_addr = netaddr_from_ip(tcp.host.p, tcp.host.len, tcp.port);
	if (tcp.zone.len > 0 && tcp.zone.len < IF_NAMESIZE && tcp.host_code == MULTIADDR_IP6) {
		char zone[IF_NAMESIZE] = "";
		memcpy(zone, tcp.zone.p, tcp.zone.len);
		ret_addr->in6.sin6_scope_id = if_nametoindex(zone);
	}
	return ERR_OK;
}

bool netaddr_same_ip(const union netaddr *a, const union netaddr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 16) == 0;
}

bool netaddr_equal(const union netaddr *a, const union netaddr *b)
{
	return netaddr_same_ip(a, b) && netaddr_port(a) == netaddr_port(b);
}

uint16_t netaddr_port(const union netaddr *addr)
{
	return ntohs(addr->sa.sa_family == AF_INET ? addr->in4.sin_port : addr->in6.sin6_port);
}

void netaddr_set_port(union netaddr *addr, uint16_t port)
{
	if (addr->sa.sa_family == AF_INET)
		addr->in4.sin_port = htons(port);
	else
		addr->in6.sin6_port = htons(port);
}

static enum netaddr_scope scope4(uint32_t ip)
{
	if (ip >> 24 == 0 || ip >> 28 >= 14) /* 0.0.0.0/8, 224.0.0.0/4, 240.0.0.0/4 */
		return NETADDR_NONE;
	if (ip >> 24 == 127)
		return NETADDR_LOOPBACK;
	if (ip >> 16 == 0xa9fe) /* 169.254.0.0/16 */
		return NETADDR_LINK;
	if (ip >> 24 == 10 || ip >> 20 == 0xac1 || ip >> 16 == 0xc0a8 || ip >> 22 == 0x191)
		return NETADDR_PRIVATE; /* 10/8, 172.16/12, 192.168/16, 100.64/10 */
	return NETADDR_PUBLIC;
}

enum netaddr_scope netaddr_scope(const union netaddr *addr)
{
	if (addr->sa.sa_family == AF_INET)
		return scope4(ntohl(addr->in4.sin_addr.s_addr));
	const struct in6_addr *ip = &addr->in6.sin6_addr;
	if (IN6_IS_ADDR_V4MAPPED(ip))
		return scope4(load_be32(&ip->s6_addr[12]));
	if (IN6_IS_ADDR_UNSPECIFIED(ip) || IN6_IS_ADDR_MULTICAST(ip))
		return NETADDR_NONE;
	if (IN6_IS_ADDR_LOOPBACK(ip))
		return NETADDR_LOOPBACK;
	if (IN6_IS_ADDR_LINKLOCAL(ip))
		return NETADDR_LINK;
	if ((ip->s6_addr[0] & 0xfe) == 0xfc) /* fc00::/7 */
		return NETADDR_PRIVATE;
	return NETADDR_PUBLIC;
}
