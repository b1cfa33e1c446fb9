/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * netlink_walk.h - walk over messages, and over the attributes of one; for netlink*.c only
 *
 *     struct netlink_walk attrs = netlink_walk_attrs(head, sizeof(*body));
 *     const struct nlattr *attr;
 *     while (netlink_walk_next_attr(&attrs, &attr))
 *             switch (mnl_attr_get_type(attr)) ...
 *
 * libmnl's own iterators take lengths of 2 GiB and more for negative ones, and round the end of a
 * message up to 4 bytes: they may look past what was received. These do not.
 */
#pragma once

#include <libmnl/libmnl.h>

#include "base/span.h"

struct netlink_walk {
	struct span left; /* aligned as struct nlmsghdr is */
};

static inline size_t netlink_walk_round(size_t len)
{
	size_t unit = MNL_ALIGNTO;
	return (len + unit - 1) / unit * unit;
}

static inline void netlink_walk_skip(struct netlink_walk *walk, size_t len)
{
	size_t step = netlink_walk_round(len);
	span_skip(&walk->left, step < walk->left.len ? step : walk->left.len);
}

static inline struct netlink_walk netlink_walk_messages(struct span datagram)
{
	return (struct netlink_walk){datagram};
}

/* False at the end, and where a length is a lie. */
static inline bool netlink_walk_next_message(struct netlink_walk *walk,
					     const struct nlmsghdr **ret_head)
{
	if (walk->left.len < sizeof(struct nlmsghdr))
		return false;
	const struct nlmsghdr *head = (const void *)walk->left.p;
	if (head->nlmsg_len < sizeof(*head) || head->nlmsg_len > walk->left.len)
		return false;
	netlink_walk_skip(walk, head->nlmsg_len);
	*ret_head = head;
	return true;
}

/* Behind a body of `body_len` bytes; none where the message is too short. */
static inline struct netlink_walk netlink_walk_attrs(const struct nlmsghdr *head, size_t body_len)
{
	struct netlink_walk walk = {
		span_of(mnl_nlmsg_get_payload(head), mnl_nlmsg_get_payload_len(head))};
	netlink_walk_skip(&walk, body_len);
	return walk;
}

static inline struct netlink_walk netlink_walk_nested(const struct nlattr *attr)
{
	return (struct netlink_walk){
		span_of(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr))};
}

/* False at the end, and where a length is a lie. */
static inline bool netlink_walk_next_attr(struct netlink_walk *walk, const struct nlattr **ret_attr)
{
	if (walk->left.len < sizeof(struct nlattr))
		return false;
	const struct nlattr *attr = (const void *)walk->left.p;
	if (attr->nla_len < sizeof(*attr) || attr->nla_len > walk->left.len)
		return false;
	netlink_walk_skip(walk, attr->nla_len);
	*ret_attr = attr;
	return true;
}
