/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * netlink.h - ask the kernel about links, addresses and routes, and change them
 *
 * A synchronous rtnetlink client for the few changes that a VPN makes when it starts, stops or
 * reloads: one request, wait for the answer, at most NETLINK_TIMEOUT per message. Addresses and
 * routes that we add carry NETLINK_PROTO_RUNNEL, so that what a killed process left on a
 * persistent device is known as ours and can be flushed.
 *
 * A struct netlink belongs to one thread and to the network namespace in which it was opened.
 * All functions: ERR_PERMISSION without CAP_NET_ADMIN, ERR_TIMEOUT, ERR_NO_MEMORY, and `why` with
 * the kernel's own words where it has some.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"
#include "vpn/network/iface_error.h"
#include "vpn/packet/ip_addr.h"

#define NETLINK_TIMEOUT (5 * NSEC_PER_SEC) /* others may hold the kernel's one lock for a while */

enum {
	/* Our number in /etc/iproute2/rt_protos' space. 0..4 are the kernel's and the boot's,
	 * routing daemons have registered 8..18, 42, 99 and 186..192: 200 is far from all of them.
	 */
	NETLINK_PROTO_RUNNEL = 200,
	NETLINK_NAME_LEN = 16, /* bytes, the zero included: IFNAMSIZ */
};

struct netlink;

/* A client in the calling thread's network namespace. ERR_NO_MEMORY, ERR_FDS. */
MUST_USE enum err netlink_open(struct netlink **ret_nl, struct iface_error *why);
/* Takes NULL; returns NULL. */
struct netlink *netlink_close(struct netlink *nl);

/* --- links --------------------------------------------------------------------------- */

struct netlink_link {
	unsigned index; /* never 0 */
	unsigned mtu;
	unsigned txqueuelen; /* packets */
	bool up;
	char name[NETLINK_NAME_LEN];
	char kind[NETLINK_NAME_LEN]; /* "tun", "veth", ...; "" for hardware */
	/* of kind "tun" only */
	bool tun_is_tap, tun_persistent, tun_multi_queue;
	unsigned tun_queues; /* descriptors that are attached now; 0 unless tun_multi_queue: of
				single queues the kernel does not tell */
};

/* ERR_NOT_FOUND: no such link. */
MUST_USE enum err netlink_link_get(struct netlink *nl, const char *name, struct netlink_link *ret,
				   struct iface_error *why);
MUST_USE enum err netlink_link_set_up(struct netlink *nl, unsigned index, bool up,
				      struct iface_error *why);
/* ERR_RANGE: not an MTU of this device. Below 1280 the kernel takes IPv6 from the device. */
MUST_USE enum err netlink_link_set_mtu(struct netlink *nl, unsigned index, unsigned mtu,
				       struct iface_error *why);
MUST_USE enum err netlink_link_set_txqueuelen(struct netlink *nl, unsigned index, unsigned packets,
					      struct iface_error *why);
/* No link-local address of the kernel's own making when the link goes up: a tunnel has no
 * neighbours to solicit. ERR_UNSUPPORTED where there is no IPv6. */
MUST_USE enum err netlink_link_no_linklocal(struct netlink *nl, unsigned index,
					    struct iface_error *why);

/* --- addresses ----------------------------------------------------------------------- */

struct netlink_addr {
	unsigned index;        /* of the link */
	struct ip_prefix addr; /* with its host bits: 10.7.0.1/24 */
	uint8_t protocol;      /* NETLINK_PROTO_RUNNEL: ours; 0 on kernels before 5.18 */
	bool tentative;        /* IPv6: not usable until duplicates are ruled out */
};

/* IPv6 addresses skip duplicate address detection: programs can bind to them at once, and packets
 * to them are taken as soon as a worker of the kernel has run, within milliseconds.
 * ERR_DUPLICATE: the link has this address. ERR_UNSUPPORTED: IPv6 is disabled. */
MUST_USE enum err netlink_addr_add(struct netlink *nl, unsigned index, const struct ip_prefix *addr,
				   struct iface_error *why);
/* ERR_NOT_FOUND: the link does not have it. */
MUST_USE enum err netlink_addr_remove(struct netlink *nl, unsigned index,
				      const struct ip_prefix *addr, struct iface_error *why);

/* Called once for each; `false` ends the calls. No netlink call from inside. A list that changed
 * while it was read ends with ERR_AGAIN: entries may be missing, or have come twice. */
typedef bool netlink_addr_fn(void *ctx, const struct netlink_addr *addr);
/* Addresses of one link, or of all with index 0. */
MUST_USE enum err netlink_addr_list(struct netlink *nl, unsigned index, netlink_addr_fn *fn,
				    void *ctx, struct iface_error *why);

/* --- routes -------------------------------------------------------------------------- */

struct netlink_route {
	struct ip_prefix dst; /* host bits are ignored */
	unsigned index;       /* of the link that it leads to */
	uint32_t metric;      /* 0: the kernel's default (IPv4 0, IPv6 1024) */
	uint32_t table;       /* 0: the main table */
	uint8_t protocol;     /* listed only: what is added is ours */
};

/* ERR_DUPLICATE: a route with this destination, metric and table exists, perhaps elsewhere. */
MUST_USE enum err netlink_route_add(struct netlink *nl, const struct netlink_route *route,
				    struct iface_error *why);
/* Only routes of ours. ERR_NOT_FOUND. */
MUST_USE enum err netlink_route_remove(struct netlink *nl, const struct netlink_route *route,
				       struct iface_error *why);

typedef bool netlink_route_fn(void *ctx, const struct netlink_route *route);
/* Unicast routes with this protocol (0: any) to one link (0: any), in all tables. A route with
 * several next hops is listed with index 0. */
MUST_USE enum err netlink_route_list(struct netlink *nl, unsigned index, uint8_t protocol,
				     netlink_route_fn *fn, void *ctx, struct iface_error *why);

/* Remove our routes to, and our addresses of, one link; *ret_n of them. */
MUST_USE enum err netlink_flush(struct netlink *nl, unsigned index, size_t *ret_n,
				struct iface_error *why);
