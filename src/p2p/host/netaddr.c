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
