/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* netlink_addr.c - addresses of links; see netlink.h */
#include <errno.h>
#include <linux/if_addr.h>

#include "vpn/network/netlink_request.h"

static void init_request(struct netlink_request *req, uint16_t type, unsigned flags, unsigned index,
			 const struct ip_prefix *addr)
{
	struct ifaddrmsg *body = netlink_request_init(req, type, flags, sizeof(*body));
	body->ifa_family = netlink_family(&addr->addr);
	body->ifa_prefixlen = addr->len;
	body->ifa_index = index;
	netlink_request_put_addr(req, IFA_LOCAL, &addr->addr);
	netlink_request_put_addr(req, IFA_ADDRESS, &addr->addr);
}

enum err netlink_addr_add(struct netlink *nl, unsigned index, const struct ip_prefix *addr,
			  struct iface_error *why)
{
	char text[IP_PREFIX_TEXT_MAX];
	struct netlink_request req;
	init_request(&req, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, index, addr);
	struct ifaddrmsg *body = mnl_nlmsg_get_payload(req.head);
	if (addr->addr.family == 6)
		body->ifa_flags = IFA_F_NODAD;
	mnl_attr_put_u8(req.head, IFA_PROTO, NETLINK_PROTO_RUNNEL);
	int errnum = netlink_ask(nl, &req, NULL, NULL);
	if (errnum == 0)
		return ERR_OK;
	ip_prefix_format(addr, text);
	if (netlink_is_no_ip6(errnum, &addr->addr))
		return iface_error_set(why, ERR_UNSUPPORTED, "add address %s: " NETLINK_NO_IP6,
				       text);
	return netlink_error(nl, why, errnum, "add address %s", text);
}

enum err netlink_addr_remove(struct netlink *nl, unsigned index, const struct ip_prefix *addr,
			     struct iface_error *why)
{
	char text[IP_PREFIX_TEXT_MAX];
	struct netlink_request req;
	init_request(&req, RTM_DELADDR, 0, index, addr);
	int errnum = netlink_ask(nl, &req, NULL, NULL);
	if (errnum == 0)
		return ERR_OK;
	enum err e =
		netlink_error(nl, why, errnum, "remove address %s", ip_prefix_format(addr, text));
	return errnum == EADDRNOTAVAIL ? ERR_NOT_FOUND : e;
}

/* --- the list ------------------------------------------------------------------------ */

struct walk {
	unsigned index;
	netlink_addr_fn *fn;
	void *ctx;
	bool ended;
};

static void read_addr(void *ctx, const struct nlmsghdr *head)
{
	struct walk *walk = ctx;
	const struct ifaddrmsg *body = mnl_nlmsg_get_payload(head);
	if (walk->ended || head->nlmsg_type != RTM_NEWADDR ||
	    mnl_nlmsg_get_payload_len(head) < sizeof(*body) ||
	    (walk->index != 0 && walk->index != body->ifa_index))
		return;
	struct netlink_addr addr = {.index = body->ifa_index};
	unsigned flags = body->ifa_flags;
	bool has_local = false, has_addr = false;
	struct netlink_walk attrs = netlink_walk_attrs(head, sizeof(*body));
	const struct nlattr *attr;
	while (netlink_walk_next_attr(&attrs, &attr)) {
		switch (mnl_attr_get_type(attr)) {
		case IFA_LOCAL: /* before IFA_ADDRESS, which on a pair is the far end's */
			has_local = netlink_attr_addr(attr, body->ifa_family, &addr.addr.addr);
			break;
		case IFA_ADDRESS:
			if (!has_local)
				has_addr =
					netlink_attr_addr(attr, body->ifa_family, &addr.addr.addr);
			break;
		case IFA_FLAGS:
			if (mnl_attr_validate(attr, MNL_TYPE_U32) == 0)
				flags = mnl_attr_get_u32(attr);
			break;
		case IFA_PROTO:
			if (mnl_attr_validate(attr, MNL_TYPE_U8) == 0)
				addr.protocol = mnl_attr_get_u8(attr);
			break;
		default:
			break;
		}
	}
	if (!has_local && !has_addr)
		return;
	addr.addr.len = body->ifa_prefixlen;
	addr.tentative = (flags & IFA_F_TENTATIVE) != 0;
	walk->ended = !walk->fn(walk->ctx, &addr);
}

enum err netlink_addr_list(struct netlink *nl, unsigned index, netlink_addr_fn *fn, void *ctx,
			   struct iface_error *why)
{
	struct walk walk = {.index = index, .fn = fn, .ctx = ctx};
	struct netlink_request req;
	struct ifaddrmsg *body = netlink_request_init(&req, RTM_GETADDR, NLM_F_DUMP, sizeof(*body));
	body->ifa_index = index;
	int errnum = netlink_ask(nl, &req, read_addr, &walk);
	if (errnum == 0 || errnum == ENODEV) /* a link that is gone has none */
		return ERR_OK;
	return netlink_error(nl, why, errnum, "list addresses");
}
