/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * netlink_monitor.c - see netlink_monitor.h
 *
 * The kernel says much that is no change: a wireless link's scan is a message about the link, an
 * IPv6 address comes once while it is tentative and once when it is usable, each address brings
 * local and broadcast routes. Links are compared with what was known of them; the others are told
 * apart by their flags.
 */
#include "vpn/network/netlink_monitor.h"

#include <assert.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/util.h"
#include "vpn/network/netlink.h"
#include "vpn/network/netlink_walk.h"

const char *network_change_text(unsigned change, char buf[NETWORK_CHANGE_TEXT_LEN])
{
	static const struct {
		unsigned bit;
		const char *text;
	} words[] = {
		{NETWORK_CHANGE_LINK_UP, "link up"},
		{NETWORK_CHANGE_LINK_DOWN, "link down"},
		{NETWORK_CHANGE_ADDR_ADDED, "address added"},
		{NETWORK_CHANGE_ADDR_GONE, "address gone"},
		{NETWORK_CHANGE_ROUTE_ADDED, "route added"},
		{NETWORK_CHANGE_ROUTE_GONE, "route gone"},
		{NETWORK_CHANGE_LOST, "messages lost"},
	};
	size_t len = 0;
	buf[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if ((change & words[i].bit) != 0) {
			snprintf(buf + len, NETWORK_CHANGE_TEXT_LEN - len, "%s%s",
				 len > 0 ? ", " : "", words[i].text);
			len = strlen(buf);
		}
	return buf;
}

void netlink_monitor_init(struct netlink_monitor *mon, unsigned own_index)
{
	*mon = (struct netlink_monitor){.own_index = own_index};
}

enum err netlink_monitor_open(int *ret_fd, struct iface_error *why)
{
	struct sockaddr_nl at = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
			     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (fd < 0)
		return iface_error_errno(why, errno, "open a netlink socket");
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0) {
		int errnum = errno;
		close(fd);
		return iface_error_errno(why, errnum, "subscribe to network changes");
	}
	*ret_fd = fd;
	return ERR_OK;
}

static unsigned link_changed(struct netlink_monitor *mon, unsigned index, bool running)
{
	unsigned change = running ? NETWORK_CHANGE_LINK_UP : NETWORK_CHANGE_LINK_DOWN;
	size_t free_slot = NETLINK_MONITOR_LINKS_MAX;
	for (size_t i = 0; i < NETLINK_MONITOR_LINKS_MAX; i++) {
		if (mon->links[i].index == index) {
			bool was_running = mon->links[i].running;
			mon->links[i].running = running;
			return was_running == running ? 0 : change;
		}
		if (mon->links[i].index == 0 && free_slot == NETLINK_MONITOR_LINKS_MAX)
			free_slot = i;
	}
	if (free_slot < NETLINK_MONITOR_LINKS_MAX) {
		mon->links[free_slot].index = index;
		mon->links[free_slot].running = running;
	}
	return change;
}

static unsigned link_gone(struct netlink_monitor *mon, unsigned index)
{
	for (size_t i = 0; i < NETLINK_MONITOR_LINKS_MAX; i++)
		if (mon->links[i].index == index) {
			bool was_running = mon->links[i].running;
			mon->links[i].index = 0;
			return was_running ? NETWORK_CHANGE_LINK_DOWN : 0;
		}
	return NETWORK_CHANGE_LINK_DOWN;
}

static unsigned parse_link(struct netlink_monitor *mon, const struct nlmsghdr *head)
{
	const struct ifinfomsg *body = mnl_nlmsg_get_payload(head);
	if (mnl_nlmsg_get_payload_len(head) < sizeof(*body) || body->ifi_index <= 0)
		return 0;
	/* Bridges repeat the state of their ports in messages of their own family. */
	if ((body->ifi_flags & IFF_LOOPBACK) != 0 || body->ifi_family != AF_UNSPEC ||
	    (unsigned)body->ifi_index == mon->own_index)
		return 0;
	if (head->nlmsg_type == RTM_DELLINK)
		return link_gone(mon, (unsigned)body->ifi_index);
	unsigned both = IFF_UP | IFF_RUNNING;
	return link_changed(mon, (unsigned)body->ifi_index, (body->ifi_flags & both) == both);
}

/* An attribute of this type as a number, 0 if there is none. */
static uint32_t find_u32(const struct nlmsghdr *head, size_t body_len, uint16_t type)
{
	struct netlink_walk attrs = netlink_walk_attrs(head, body_len);
	const struct nlattr *attr;
	while (netlink_walk_next_attr(&attrs, &attr))
		if (mnl_attr_get_type(attr) == type && mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
			return mnl_attr_get_u32(attr);
	return 0;
}

static unsigned parse_addr(struct netlink_monitor *mon, const struct nlmsghdr *head)
{
	const struct ifaddrmsg *body = mnl_nlmsg_get_payload(head);
	if (mnl_nlmsg_get_payload_len(head) < sizeof(*body) || body->ifa_index == mon->own_index ||
	    body->ifa_scope == RT_SCOPE_HOST)
		return 0;
	if (head->nlmsg_type == RTM_DELADDR)
		return NETWORK_CHANGE_ADDR_GONE;
	unsigned flags = body->ifa_flags | find_u32(head, sizeof(*body), IFA_FLAGS);
	if ((flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0 && (flags & IFA_F_OPTIMISTIC) == 0)
		return 0;
	return NETWORK_CHANGE_ADDR_ADDED;
}

static unsigned parse_route(struct netlink_monitor *mon, const struct nlmsghdr *head)
{
	const struct rtmsg *body = mnl_nlmsg_get_payload(head);
	if (mnl_nlmsg_get_payload_len(head) < sizeof(*body) ||
	    (body->rtm_flags & RTM_F_CLONED) != 0 || body->rtm_protocol == NETLINK_PROTO_RUNNEL)
		return 0;
	if (body->rtm_type == RTN_LOCAL || body->rtm_type == RTN_BROADCAST ||
	    body->rtm_type == RTN_ANYCAST || body->rtm_type == RTN_MULTICAST)
		return 0;
	uint32_t index = find_u32(head, sizeof(*body), RTA_OIF);
	if (index != 0 && index == mon->own_index)
		return 0;
	return head->nlmsg_type == RTM_NEWROUTE ? NETWORK_CHANGE_ROUTE_ADDED
						: NETWORK_CHANGE_ROUTE_GONE;
}

unsigned netlink_monitor_parse(struct netlink_monitor *mon, struct span datagram)
{
	unsigned change = 0;
	assert((uintptr_t)datagram.p % _Alignof(struct nlmsghdr) == 0);
	assert(datagram.len <= NETLINK_MONITOR_BUF_LEN);
	struct netlink_walk walk = netlink_walk_messages(datagram);
	const struct nlmsghdr *head;
	while (netlink_walk_next_message(&walk, &head)) {
		switch (head->nlmsg_type) {
		case RTM_NEWLINK:
		case RTM_DELLINK:
			change |= parse_link(mon, head);
			break;
		case RTM_NEWADDR:
		case RTM_DELADDR:
			change |= parse_addr(mon, head);
			break;
		case RTM_NEWROUTE:
		case RTM_DELROUTE:
			change |= parse_route(mon, head);
			break;
		case NLMSG_OVERRUN:
			change |= NETWORK_CHANGE_LOST;
			break;
		default:
			break;
		}
	}
	return change;
}
