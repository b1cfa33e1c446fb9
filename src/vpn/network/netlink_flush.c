/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * netlink_flush.c - remove all that is ours from a link; see netlink.h
 *
 * In rounds: list a batch, then remove it, because the socket can not do both at once. A round
 * that finds less than a full batch, in a list that nobody changed meanwhile, is the last one.
 */
#include <stdlib.h>

#include "vpn/network/netlink_request.h"

enum {
	BATCH_LEN = 256,   /* entries; a node with more routes takes some rounds more */
	ROUNDS_MAX = 4096, /* a million entries; beyond, somebody adds them as fast as we remove */
};

struct batch {
	size_t n;
	union {
		struct netlink_route routes[BATCH_LEN];
		struct netlink_addr addrs[BATCH_LEN];
	};
};

static bool keep_route(void *ctx, const struct netlink_route *route)
{
	struct batch *batch = ctx;
	batch->routes[batch->n++] = *route;
	return batch->n < BATCH_LEN;
}

static bool keep_addr(void *ctx, const struct netlink_addr *addr)
{
	struct batch *batch = ctx;
	if (addr->protocol == NETLINK_PROTO_RUNNEL)
		batch->addrs[batch->n++] = *addr;
	return batch->n < BATCH_LEN;
}

/* One round; ERR_AGAIN: another one is needed. */
static enum err flush_routes(struct netlink *nl, unsigned index, struct batch *batch, size_t *n,
			     struct iface_error *why)
{
	enum err listed =
		netlink_route_list(nl, index, NETLINK_PROTO_RUNNEL, keep_route, batch, why);
	if (listed != ERR_OK && listed != ERR_AGAIN)
		return listed;
	for (size_t i = 0; i < batch->n; i++) {
		enum err e = netlink_route_remove(nl, &batch->routes[i], why);
		if (e == ERR_OK)
			++*n;
		else if (e != ERR_NOT_FOUND) /* not found: another removed it in the meantime */
			return e;
	}
	return batch->n == BATCH_LEN ? ERR_AGAIN : listed;
}

static enum err flush_addrs(struct netlink *nl, unsigned index, struct batch *batch, size_t *n,
			    struct iface_error *why)
{
	enum err listed = netlink_addr_list(nl, index, keep_addr, batch, why);
	if (listed != ERR_OK && listed != ERR_AGAIN)
		return listed;
	for (size_t i = 0; i < batch->n; i++) {
		enum err e = netlink_addr_remove(nl, index, &batch->addrs[i].addr, why);
		if (e == ERR_OK)
			++*n;
		else if (e != ERR_NOT_FOUND) /* not found: it went with its primary address */
			return e;
	}
	return batch->n == BATCH_LEN ? ERR_AGAIN : listed;
}

enum err netlink_flush(struct netlink *nl, unsigned index, size_t *ret_n, struct iface_error *why)
{
	static enum err (*const rounds[])(struct netlink *, unsigned, struct batch *, size_t *,
					  struct iface_error *) = {flush_routes, flush_addrs};
	size_t n = 0;
	struct batch *batch = malloc(sizeof(*batch));
	if (batch == NULL)
		return iface_error_set(why, ERR_NO_MEMORY, "flush leftovers: out of memory");
	enum err e = ERR_OK;
	for (unsigned what = 0; what < 2 && e == ERR_OK; what++) {
		e = ERR_AGAIN;
		for (unsigned round = 0; e == ERR_AGAIN && round < ROUNDS_MAX; round++) {
			batch->n = 0;
			e = rounds[what](nl, index, batch, &n, why);
		}
	}
	free(batch);
	if (e == ERR_OK)
		*ret_n = n;
	return e;
}
