/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * netlink_monitor.h - hear that the machine's network changed
 *
 * A netlink socket that the kernel tells of links, addresses and routes that come and go, so that
 * peers are dialled again at once when a path is back, and not after a backoff. The loop adopts
 * the descriptor; the owner reads a datagram with sock_read() and has it parsed. Many datagrams
 * come for one change (a cable: link, two addresses, four routes): the owner collects bits until
 * ERR_AGAIN, then acts once.
 *
 *     sock_read() == ERR_OK         change |= netlink_monitor_parse(&mon, datagram)
 *     sock_read() == ERR_NO_MEMORY  the kernel lost messages: change |= NETWORK_CHANGE_LOST, read
 * on sock_read() == ERR_AGAIN      done: change != 0 is a change
 *
 * What our own device does is not a change.
 */
#pragma once

#include "base/span.h"
#include "vpn/network/iface_error.h"

enum {
	NETLINK_MONITOR_BUF_LEN = 32 *
				  1024, /* bytes for a datagram; the kernel makes none longer */
	NETLINK_MONITOR_LINKS_MAX = 64, /* links whose state is remembered; the state of further
					   ones is reported with each message about them */
};

/* A set of these. */
enum network_change {
	NETWORK_CHANGE_LINK_UP = 1,    /* a link has carrier now */
	NETWORK_CHANGE_LINK_DOWN = 2,  /* a link lost it, or is gone */
	NETWORK_CHANGE_ADDR_ADDED = 4, /* or its lifetime was renewed: the kernel says no more */
	NETWORK_CHANGE_ADDR_GONE = 8,
	NETWORK_CHANGE_ROUTE_ADDED = 16,
	NETWORK_CHANGE_ROUTE_GONE = 32,
	NETWORK_CHANGE_LOST = 64, /* messages were lost: anything may have changed */
	/* those with which a path may be back */
	NETWORK_CHANGE_HOPEFUL = NETWORK_CHANGE_LINK_UP | NETWORK_CHANGE_ADDR_ADDED |
				 NETWORK_CHANGE_ROUTE_ADDED | NETWORK_CHANGE_LOST,
};

enum {
	NETWORK_CHANGE_TEXT_LEN = 96, /* bytes, the zero included */
};

/* "link up, address added" for a log line. Returns buf. */
const char *network_change_text(unsigned change, char buf[NETWORK_CHANGE_TEXT_LEN]);

/* Owned by the loop's thread. */
struct netlink_monitor {
	unsigned own_index; /* our device, whose changes are not reported; 0: none. The owner sets
			       it. */
	struct {
		unsigned index; /* 0: free */
		bool running;
	} links[NETLINK_MONITOR_LINKS_MAX];
};

void netlink_monitor_init(struct netlink_monitor *mon, unsigned own_index);

/* Subscribe; *ret_fd is non-blocking and close-on-exec, for loop_adopt_fd(). Needs no privilege. */
MUST_USE enum err netlink_monitor_open(int *ret_fd, struct iface_error *why);

/* A set of enum network_change, 0 for none that matters. The bytes are aligned as malloc() aligns
 * and at most NETLINK_MONITOR_BUF_LEN. Malformed bytes are skipped. No system
 * call. */
unsigned netlink_monitor_parse(struct netlink_monitor *mon, struct span datagram);
