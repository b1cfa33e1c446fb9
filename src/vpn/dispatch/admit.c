/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* admit.c - see admit.h */
#include "vpn/dispatch/admit.h"

bool admit_packet(const struct route_table *routes, uint32_t peer, struct span packet,
		  enum drop *ret_reason)
{
	struct packet_info info;
	if (packet_parse(packet, &info) != ERR_OK) {
		*ret_reason = DROP_MALFORMED;
		return false;
	}
	/* No peer speaks for another: the source is the sender's own. */
	if (!route_table_allows(routes, peer, &info.source)) {
		*ret_reason = DROP_SOURCE;
		return false;
	}
	return true;
}
