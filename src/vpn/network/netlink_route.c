/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* netlink_route.c - routes to links; see netlink.h */
#include <errno.h>

#include "vpn/network/netlink_request.h"

static struct rtmsg *init_request(struct netlink_request *req, uint16_t type, unsigned flags,
				  const struct netlink_route *route)
{
	struct ip_prefix dst = ip_prefix_network(&route->dst);
	uint32_t table = route->table != 0 ? route->table : RT_TABLE_MAIN;
	struct rtmsg *body = netlink_request_init(req, type, flags, sizeof(*body));
	body->rtm_family = netlink_family(&dst.addr);
	body->rtm_dst_len = dst.len;
	body->rtm_table = (uint8_t)(table <= UINT8_MAX ? table : RT_TABLE_COMPAT);
	body->rtm_protocol = NETLINK_PROTO_RUNNEL;
	body->rtm_type = RTN_UNICAST;
	netlink_request_put_addr(req, RTA_DST, &dst.addr);
	mnl_attr_put_u32(req->head, RTA_TABLE, table);
	mnl_attr_put_u32(req->head, RTA_OIF, route->index);
	if (route->metric != 0)
		mnl_attr_put_u32(req->head, RTA_PRIORITY, route->metric);
	return body;
}

enum err netlink_route_add(struct netlink *nl, const struct netlink_route *route,
			   struct iface_error *why)
{
	char text[IP_PREFIX_TEXT_MAX];
	struct netlink_request req;
	struct rtmsg *body = init_request(&req, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route);
	body->rtm_scope = RT_SCOPE_LINK; /* IPv6 has no use for it */
	int errnum = netlink_ask(nl, &req, NULL, NULL);
	if (errnum == 0)
		return ERR_OK;
	struct ip_prefix dst = ip_prefix_network(&route->dst);
	ip_prefix_format(&dst, text);
	if (netlink_is_no_ip6(errnum, &dst.addr))
		return iface_error_set(why, ERR_UNSUPPORTED, "add route %s: " NETLINK_NO_IP6, text);
	if (errnum == EEXIST)
		return iface_error_set(why, ERR_DUPLICATE, "add route %s: there is one already",
				       text);
	return netlink_error(nl, why, errnum, "add route %s", text);
}

enum err netlink_route_remove(struct netlink *nl, const struct netlink_route *route,
			      struct iface_error *why)
{
	char text[IP_PREFIX_TEXT_MAX];
	struct netlink_request req;
	struct rtmsg *body = init_request(&req, RTM_DELROUTE, 0, route);
	body->rtm_scope = RT_SCOPE_NOWHERE; /* of any scope */
	int errnum = netlink_ask(nl, &req, NULL, NULL);
	if (errnum == 0)
		return ERR_OK;
	/* ESRCH: no such route. ENODEV: no such link, so no route to it. ERR_NOT_FOUND both. */
	return netlink_error(nl, why, errnum, "remove route %s",
			     ip_prefix_format(&route->dst, text));
}

/* --- the list ------------------------------------------------------------------------ */

struct walk {
	unsigned index;
	uint8_t protocol;
	netlink_route_fn *fn;
	void *ctx;
	bool ended;
};

static uint32_t get_u32(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_U32) == 0 ? mnl_attr_get_u32(attr) : 0;
}

static void read_route(void *ctx, const struct nlmsghdr *head)
{
	struct walk *walk = ctx;
	const struct rtmsg *body = mnl_nlmsg_get_payload(head);
	if (walk->ended || head->nlmsg_type != RTM_NEWROUTE ||
	    mnl_nlmsg_get_payload_len(head) < sizeof(*body))
		return;
	struct netlink_route route = {.protocol = body->rtm_protocol, .table = body->rtm_table};
	/* The default route has no RTA_DST. */
	uint8_t zero[16] = {0};
	route.dst.addr = body->rtm_family == AF_INET6 ? ip_addr_v6(zero) : ip_addr_v4(zero);
	route.dst.len = body->rtm_dst_len;
	struct netlink_walk attrs = netlink_walk_attrs(head, sizeof(*body));
	const struct nlattr *attr;
	while (netlink_walk_next_attr(&attrs, &attr)) {
		switch (mnl_attr_get_type(attr)) {
		case RTA_DST:
			if (!netlink_attr_addr(attr, body->rtm_family, &route.dst.addr))
				return;
			break;
		case RTA_OIF:
			route.index = get_u32(attr);
			break;
		case RTA_PRIORITY:
			route.metric = get_u32(attr);
			break;
		case RTA_TABLE:
			route.table = get_u32(attr);
			break;
		default:
			break;
		}
	}
	/* Kernels before 4.20 do not filter; none leaves cloned routes out of an IPv6 list. */
	if ((body->rtm_family != AF_INET && body->rtm_family != AF_INET6) ||
	    body->rtm_type != RTN_UNICAST || (body->rtm_flags & RTM_F_CLONED) != 0 ||
	    (walk->index != 0 && walk->index != route.index) ||
	    (walk->protocol != 0 && walk->protocol != route.protocol))
		return;
	walk->ended = !walk->fn(walk->ctx, &route);
}

static int list_family(struct netlink *nl, uint8_t family, struct walk *walk)
{
	struct netlink_request req;
	struct rtmsg *body = netlink_request_init(&req, RTM_GETROUTE, NLM_F_DUMP, sizeof(*body));
	body->rtm_family = family;
	body->rtm_protocol = walk->protocol;
	if (walk->index != 0)
		mnl_attr_put_u32(req.head, RTA_OIF, walk->index);
	int errnum = netlink_ask(nl, &req, read_route, walk);
	/* A link that is gone has no routes; nor has a family that the kernel does not know. */
	return errnum == ENODEV || errnum == EOPNOTSUPP ? 0 : errnum;
}

enum err netlink_route_list(struct netlink *nl, unsigned index, uint8_t protocol,
			    netlink_route_fn *fn, void *ctx, struct iface_error *why)
{
	struct walk walk = {.index = index, .protocol = protocol, .fn = fn, .ctx = ctx};
	int errnum = list_family(nl, AF_INET, &walk);
	if (errnum == 0 && !walk.ended)
		errnum = list_family(nl, AF_INET6, &walk);
	return errnum == 0 ? ERR_OK : netlink_error(nl, why, errnum, "list routes");
}
