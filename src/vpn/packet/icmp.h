/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * icmp.h - tell a sender at once why its packet goes nowhere
 *
 * RFC 792, 1122 (3.2.2), 1812 (4.3.2), 4443. What we answer goes into our own TUN only. The error
 * quotes as much of the packet as fits into 576 bytes (IPv4) or 1280 (IPv6).
 */
#pragma once

#include "vpn/packet/packet.h"

enum icmp_reason {
	ICMP_NO_ROUTE,    /* 3/0 net unreachable         1/0 no route to destination */
	ICMP_UNREACHABLE, /* 3/1 host unreachable        1/3 address unreachable */
	ICMP_PROHIBITED,  /* 3/13 prohibited             1/1 administratively prohibited */
	ICMP_BAD_SOURCE,  /* 3/13 prohibited             1/5 source failed policy */
	ICMP_TOO_BIG,     /* 3/4 fragmentation needed    2/0 packet too big */
	ICMP_REASON_COUNT,
};

enum {
	ICMP4_ERROR_LEN_MAX = 576,  /* bytes, RFC 1812 4.3.2.3 */
	ICMP6_ERROR_LEN_MAX = 1280, /* bytes, RFC 4443 2.4 (c) */
	ICMP_ERROR_LEN_MAX = ICMP6_ERROR_LEN_MAX,
};

/* May there be an ICMP error about this packet? Not about errors, redirects, later fragments,
 * multicast and broadcast, or a source that is no single host. (A subnet's broadcast address is the
 * caller's to know: ip_prefix_is_broadcast().) */
bool icmp_error_is_allowed(enum icmp_reason reason, struct span packet,
			   const struct packet_info *info);

/*
 * Append the error about `packet` to `out`, from `from` (our address, of the packet's family) to
 * the packet's source. `mtu` matters for ICMP_TOO_BIG only; IPv6 never says less than 1280.
 * ERR_REFUSED: not allowed, see above; ERR_FULL: `out` has not enough room (ICMP_ERROR_LEN_MAX
 * always is); ERR_UNSUPPORTED: `from` is of the other family.
 */
MUST_USE enum err icmp_error_build(enum icmp_reason reason, uint32_t mtu, struct span packet,
				   const struct packet_info *info, const struct ip_addr *from,
				   struct wbuf *out);
