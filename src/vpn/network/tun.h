/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tun.h - open a TUN device: IP packets in and out, one a call
 *
 * The descriptor is the device: it is not persistent, so that the kernel takes the device with
 * its addresses and routes away when the last descriptor closes, however the process ends.
 */
#pragma once

#include <stdbool.h>

#include "vpn/network/iface_error.h"
#include "vpn/network/netlink.h"

struct tun_conf {
	const char *name;
	bool multi_queue; /* one descriptor per shard: tun_open() for the first, tun_open_queue()
			     for the others */
	bool vnet_hdr;    /* a struct virtio_net_hdr before each packet: offloads */
};

/* ERR_RANGE with the reason, unless `name` can name a device: 1 to 15 printable ASCII characters,
 * no space, none of '/', ':' and '%', not "." or "..". */
MUST_USE enum err tun_name_check(const char *name, struct iface_error *why);

/*
 * Make the device and open its (first) queue. *ret_fd is non-blocking and close-on-exec, for
 * loop_adopt_fd(). A persistent TUN of that name that nobody holds is taken over as it is, and
 * stays when we go: an administrator made it for us, or it is a leftover.
 * ERR_BUSY: another process holds the device. ERR_DUPLICATE: the name belongs to a device that is
 * no TUN, or a TUN of another shape. ERR_NOT_FOUND: no /dev/net/tun. ERR_PERMISSION. ERR_RANGE.
 */
MUST_USE enum err tun_open(struct netlink *nl, const struct tun_conf *conf, int *ret_fd,
			   struct iface_error *why);

/* One more queue of a device that this process made with multi_queue; errors as tun_open(). */
MUST_USE enum err tun_open_queue(const struct tun_conf *conf, int *ret_fd, struct iface_error *why);
