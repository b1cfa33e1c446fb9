/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * peer_discovery.h - the interface: who owns this address, and where is that peer?
 *
 * What dispatch asks once per connection key, not per packet: a worker remembers the answer until
 * generation() changes. Shared by all shards: every function may be called from several threads at
 * once, and none of them may block.
 */
#pragma once

#include "base/err.h"
#include "vpn/packet/ip_addr.h"
#include "wire/multiaddr.h"

struct peer_discovery_ops {
	/* The peer that owns this address. ERR_NOT_FOUND: nobody does. Other errors: it cannot be
	 * told now; counted apart. */
	enum err (*find)(void *ctx, const struct ip_addr *ip, struct peer_id *ret_peer);
	/* Changes whenever an earlier answer of find() may not hold any more. NULL: never. */
	uint32_t (*generation)(void *ctx);
	/* Where the peer may be reached, most wanted first; how many were written. NULL: unknown.
	 */
	size_t (*addresses)(void *ctx, const struct peer_id *peer, struct multiaddr *ret_addrs,
			    size_t cap);
};

struct peer_discovery {
	const struct peer_discovery_ops *ops;
	void *ctx;
};

static inline MUST_USE enum err peer_discovery_find(const struct peer_discovery *d,
						    const struct ip_addr *ip,
						    struct peer_id *ret_peer)
{
	return d->ops->find(d->ctx, ip, ret_peer);
}

static inline uint32_t peer_discovery_generation(const struct peer_discovery *d)
{
	return d->ops->generation == NULL ? 0 : d->ops->generation(d->ctx);
}

static inline size_t peer_discovery_addresses(const struct peer_discovery *d,
					      const struct peer_id *peer,
					      struct multiaddr *ret_addrs, size_t cap)
{
	return d->ops->addresses == NULL ? 0 : d->ops->addresses(d->ctx, peer, ret_addrs, cap);
}
