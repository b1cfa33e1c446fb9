/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* static_discovery.c - see static_discovery.h */
#include "vpn/adapter/static_discovery.h"

#include "base/util.h"

static enum err find(void *ctx, const struct ip_addr *ip, struct peer_id *ret_peer)
{
	const struct static_table *table = ctx;
	uint32_t index = route_table_find(static_table_routes(table), ip);
	if (index == ROUTE_NONE)
		return ERR_NOT_FOUND;
	*ret_peer = static_table_peer(table, index)->id;
	return ERR_OK;
}

static size_t addresses(void *ctx, const struct peer_id *peer, struct multiaddr *ret_addrs,
			size_t cap)
{
	const struct static_table *table = ctx;
	uint32_t index = static_table_find_id(table, peer);
	if (index == ROUTE_NONE)
		return 0;
	const struct config_addrs *known = &static_table_peer(table, index)->addresses;
	size_t n = MIN(known->len, cap);
	for (size_t i = 0; i < n; i++)
		ret_addrs[i] = known->items[i];
	return n;
}

static const struct peer_discovery_ops ops = {
	.find = find,
	.addresses = addresses,
};

struct peer_discovery static_discovery(struct static_table *table)
{
	return (struct peer_discovery){.ops = &ops, .ctx = table};
}
