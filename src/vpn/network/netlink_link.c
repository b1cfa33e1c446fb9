/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* netlink_link.c - links: what they are, up and down, MTU, queue length; see netlink.h */
#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>

#include "vpn/network/netlink_request.h"

static void copy_text(char dst[NETLINK_NAME_LEN], const struct nlattr *attr)
{
	if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) == 0)
		snprintf(dst, NETLINK_NAME_LEN, "%s", mnl_attr_get_str(attr));
}

static unsigned get_u8(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_U8) == 0 ? mnl_attr_get_u8(attr) : 0;
}

static unsigned get_u32(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_U32) == 0 ? mnl_attr_get_u32(attr) : 0;
}

/* The attributes of kind "tun"; other kinds use the same numbers for other things. */
static void read_tun(struct netlink_link *link, const struct nlattr *data)
{
	struct netlink_walk attrs = netlink_walk_nested(data);
	const struct nlattr *attr;
	unsigned queues = 0, disabled = 0;
	while (netlink_walk_next_attr(&attrs, &attr)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_TUN_TYPE:
			link->tun_is_tap = get_u8(attr) == IFF_TAP;
			break;
		case IFLA_TUN_PERSIST:
			link->tun_persistent = get_u8(attr) != 0;
			break;
		case IFLA_TUN_MULTI_QUEUE:
			link->tun_multi_queue = get_u8(attr) != 0;
			break;
		case IFLA_TUN_NUM_QUEUES:
			queues = get_u32(attr);
			break;
		case IFLA_TUN_NUM_DISABLED_QUEUES:
			disabled = get_u32(attr);
			break;
		default:
			break;
		}
	}
	link->tun_queues = queues + disabled;
}

static void read_kind(struct netlink_link *link, const struct nlattr *info)
{
	struct netlink_walk attrs = netlink_walk_nested(info);
	const struct nlattr *attr, *data = NULL;
	while (netlink_walk_next_attr(&attrs, &attr)) {
		if (mnl_attr_get_type(attr) == IFLA_INFO_KIND)
			copy_text(link->kind, attr);
		else if (mnl_attr_get_type(attr) == IFLA_INFO_DATA)
			data = attr;
	}
	if (data != NULL && strcmp(link->kind, "tun") == 0)
		read_tun(link, data);
}

static void read_link(void *ctx, const struct nlmsghdr *head)
{
	struct netlink_link *link = ctx;
	const struct ifinfomsg *body = mnl_nlmsg_get_payload(head);
	if (head->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(head) < sizeof(*body))
		return;
	link->index = (unsigned)body->ifi_index;
	link->up = (body->ifi_flags & IFF_UP) != 0;
	struct netlink_walk attrs = netlink_walk_attrs(head, sizeof(*body));
	const struct nlattr *attr;
	while (netlink_walk_next_attr(&attrs, &attr)) {
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME:
			copy_text(link->name, attr);
			break;
		case IFLA_MTU:
			link->mtu = get_u32(attr);
			break;
		case IFLA_TXQLEN:
			link->txqueuelen = get_u32(attr);
			break;
		case IFLA_LINKINFO:
			read_kind(link, attr);
			break;
		default:
			break;
		}
	}
}

enum err netlink_link_get(struct netlink *nl, const char *name, struct netlink_link *ret,
			  struct iface_error *why)
{
	struct netlink_link link = {0};
	struct netlink_request req;
	netlink_request_init(&req, RTM_GETLINK, 0, sizeof(struct ifinfomsg));
	if (strnlen(name, NETLINK_NAME_LEN) == NETLINK_NAME_LEN)
		return iface_error_set(why, ERR_RANGE, "a device's name has at most %d characters",
				       NETLINK_NAME_LEN - 1);
	mnl_attr_put_strz(req.head, IFLA_IFNAME, name);
	int errnum = netlink_ask(nl, &req, read_link, &link);
	if (errnum == ENODEV || (errnum == 0 && link.index == 0))
		return iface_error_set(why, ERR_NOT_FOUND, "no device %s", name);
	if (errnum != 0)
		return netlink_error(nl, why, errnum, "look up device %s", name);
	*ret = link;
	return ERR_OK;
}

static struct ifinfomsg *init_change(struct netlink_request *req, unsigned index)
{
	struct ifinfomsg *body = netlink_request_init(req, RTM_NEWLINK, 0, sizeof(*body));
	body->ifi_index = (int)index;
	return body;
}

enum err netlink_link_set_up(struct netlink *nl, unsigned index, bool up, struct iface_error *why)
{
	struct netlink_request req;
	struct ifinfomsg *body = init_change(&req, index);
	body->ifi_change = IFF_UP;
	body->ifi_flags = up ? IFF_UP : 0;
	int errnum = netlink_ask(nl, &req, NULL, NULL);
	return errnum == 0
		       ? ERR_OK
		       : netlink_error(nl, why, errnum, "set the device %s", up ? "up" : "down");
}

static enum err set_u32(struct netlink *nl, unsigned index, uint16_t attr, const char *what,
			unsigned value, struct iface_error *why)
{
	struct netlink_request req;
	init_change(&req, index);
	mnl_attr_put_u32(req.head, attr, value);
	int errnum = netlink_ask(nl, &req, NULL, NULL);
	return errnum == 0 ? ERR_OK : netlink_error(nl, why, errnum, "set %s %u", what, value);
}

enum err netlink_link_set_mtu(struct netlink *nl, unsigned index, unsigned mtu,
			      struct iface_error *why)
{
	return set_u32(nl, index, IFLA_MTU, "MTU", mtu, why);
}

enum err netlink_link_set_txqueuelen(struct netlink *nl, unsigned index, unsigned packets,
				     struct iface_error *why)
{
	return set_u32(nl, index, IFLA_TXQLEN, "queue length", packets, why);
}

enum err netlink_link_no_linklocal(struct netlink *nl, unsigned index, struct iface_error *why)
{
	struct netlink_request req;
	init_change(&req, index);
	struct nlattr *families = mnl_attr_nest_start(req.head, IFLA_AF_SPEC);
	struct nlattr *inet6 = mnl_attr_nest_start(req.head, AF_INET6);
	mnl_attr_put_u8(req.head, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(req.head, inet6);
	mnl_attr_nest_end(req.head, families);
	int errnum = netlink_ask(nl, &req, NULL, NULL);
	if (errnum == 0)
		return ERR_OK;
	enum err e = netlink_error(nl, why, errnum, "turn link-local addresses off");
	return errnum == EPERM ? e : ERR_UNSUPPORTED;
}
