/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * iface.h - the VPN's network device, complete with addresses and routes, or not at all
 *
 * iface_up() climbs a ladder: open TUN, flush leftovers, MTU, queue length, addresses, up, routes.
 * When a step fails it undoes the steps before it, so that no device, address or route stays. The
 * owner takes the descriptor with iface_steal_fd() for its loop.
 *
 * Down, in this order: sock_close() of the adopted descriptor, which takes the device away, then
 * iface_down(), which removes what is ours from a device that stays because it is persistent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vpn/network/iface_error.h"
#include "vpn/packet/ip_addr.h"

enum {
	IFACE_MTU_MIN = 68,       /* bytes; what each IPv4 link must carry: RFC 791 */
	IFACE_MTU_MIN_IP6 = 1280, /* bytes; what each IPv6 link must carry: RFC 8200 5 */
	IFACE_MTU_MAX = 65535,    /* bytes; an IP packet's own maximum */
};

struct iface;

/* Lent for the call. */
struct iface_conf {
	const char *name;
	unsigned mtu;
	unsigned txqueuelen;               /* packets; 0: the kernel's (500) */
	const struct ip_prefix *addresses; /* of the device, with host bits: 10.7.0.1/24 */
	size_t n_addresses;
	const struct ip_prefix *routes; /* to this device; those inside of an address's own subnet
					   need no route and get none */
	size_t n_routes;
	uint32_t metric;            /* of the routes; 0: the kernel's default */
	uint32_t table;             /* of the routes; 0: main */
	bool multi_queue, vnet_hdr; /* see tun.h */
};

/*
 * ERR_RANGE: a bad name, MTU or prefix length. ERR_BUSY: another process holds the device.
 * ERR_DUPLICATE: another device has this name, or a route of this destination exists.
 * ERR_UNSUPPORTED: IPv6 is disabled. ERR_PERMISSION, ERR_NOT_FOUND (/dev/net/tun), ...; `why` says
 * which step, and the reason.
 */
MUST_USE enum err iface_up(const struct iface_conf *conf, struct iface **ret_iface,
			   struct iface_error *why);

/* The descriptor of the TUN's (first) queue, which is the caller's from now on; -1 the second
 * time. */
int iface_steal_fd(struct iface *iface);
/* One more queue: tun_open_queue(). */
MUST_USE enum err iface_open_queue(struct iface *iface, int *ret_fd, struct iface_error *why);

/* Are packets spread over the queues as tun_steering.h says? If not, the kernel has its own way. */
bool iface_is_steered(const struct iface *iface);

unsigned iface_index(const struct iface *iface);
const char *iface_name(const struct iface *iface);

/* A peer comes or goes while we run. A route that is there, or that is covered, is no error; nor is
 * one that is gone. */
MUST_USE enum err iface_route_add(struct iface *iface, const struct ip_prefix *dst,
				  struct iface_error *why);
MUST_USE enum err iface_route_remove(struct iface *iface, const struct ip_prefix *dst,
				     struct iface_error *why);

/* Remove what is ours and free. Takes NULL; returns NULL. */
struct iface *iface_down(struct iface *iface);

/* Remove what a killed predecessor left on the device of this name (`runnel down`); *ret_n routes
 * and addresses. No such device: nothing to do. ERR_BUSY: a process holds it, so it is alive. */
MUST_USE enum err iface_cleanup(const char *name, size_t *ret_n, struct iface_error *why);
