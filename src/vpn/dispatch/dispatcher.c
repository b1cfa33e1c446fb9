/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatcher.c - see dispatcher.h */
#include "vpn/dispatch/dispatcher.h"

static bool is_subnet_broadcast(const struct dispatch_tables *t, const struct ip_addr *addr)
{
	for (size_t i = 0; i < t->n_addresses; i++) {
		if (ip_prefix_is_broadcast(&t->addresses[i], addr))
			return true;
	}
	return false;
}

static void drop(struct dispatch_verdict *v, enum drop reason)
{
	v->peer = ROUTE_NONE;
	v->reason = reason;
	v->is_answered = false;
}

void dispatch_route(const struct dispatch_tables *t, struct span packet,
		    struct dispatch_verdict *ret)
{
	if (packet_parse(packet, &ret->info) != ERR_OK) {
		drop(ret, DROP_MALFORMED);
		return;
	}
	const struct packet_info *info = &ret->info;
	if (ip_addr_is_multicast(&info->destination) ||
	    is_subnet_broadcast(t, &info->destination)) {
		drop(ret, DROP_MULTICAST);
		return;
	}
	ret->peer = route_table_find(t->routes, &info->destination);
	if (ret->peer != ROUTE_NONE)
		return;
	drop(ret, DROP_NO_ROUTE);
	ret->icmp = ICMP_NO_ROUTE;
	ret->is_answered = icmp_error_is_allowed(ICMP_NO_ROUTE, packet, info);
}

bool dispatch_admit(const struct dispatch_tables *t, uint32_t peer, struct span packet,
		    enum drop *ret_reason)
{
	struct packet_info info;
	if (packet_parse(packet, &info) != ERR_OK) {
		*ret_reason = DROP_MALFORMED;
		return false;
	}
	/* No peer speaks for another: the source is the sender's own. */
	if (!route_table_allows(t->routes, peer, &info.source)) {
		*ret_reason = DROP_SOURCE;
		return false;
	}
	return true;
}

const struct ip_addr *dispatch_own_address(const struct dispatch_tables *t, uint8_t family)
{
	for (size_t i = 0; i < t->n_addresses; i++) {
		if (t->addresses[i].addr.family == family)
			return &t->addresses[i].addr;
	}
	return NULL;
}
