/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * network_watch.h - tell a node when the machine's network changed
 *
 * The kernel's news (netlink_monitor.h) come as several messages for one change: they are collected
 * until it is quiet for a moment, then the node hears of it once. Owned by the node's loop.
 */
#pragma once

#include <stddef.h>

#include "loop/loop.h"
#include "vpn/network/netlink_monitor.h"
#include "vpn/node/node.h"

struct network_watch {
	struct node *node;
	struct loop *loop;
	struct sock *sock; /* NULL: not watching */
	struct netlink_monitor monitor;
	struct loop_timer settled;
	_Alignas(max_align_t) uint8_t buf[NETLINK_MONITOR_BUF_LEN];
};

/* All that does not fail. `own_index` is the VPN's own device, whose changes are no news; 0: none.
 */
void network_watch_init(struct network_watch *w, struct loop *loop, struct node *node,
			unsigned own_index);
/* Without it peers are found again by the dialler's own schedule, somewhat later. */
MUST_USE enum err network_watch_start(struct network_watch *w);
/* Also when not started; before the node goes. */
void network_watch_stop(struct network_watch *w);
