/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * iface.c - see iface.h
 *
 * Undoing is taking down: iface_down() accepts an interface that is built half way. Where the
 * device is not persistent, closing its descriptor undoes all; what else there is to do concerns
 * a device that an administrator made persistent. Such a device may be complete already, and we
 * without the capability to change it: so each step looks first, and asks only for what differs.
 */
#include "vpn/network/iface.h"

#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vpn/network/netlink.h"
#include "vpn/network/tun.h"
#include "vpn/network/tun_steering.h"

struct address {
	struct ip_prefix prefix;
	bool ours; /* added by us, not found */
};

struct iface {
	struct netlink *nl;
	int fd; /* -1: stolen, or not open yet */
	struct tun_conf tun;
	bool is_steered;
	struct netlink_link before; /* the device as we got it */
	char name[NETLINK_NAME_LEN];
	uint32_t metric, table;
	struct address *addresses;
	size_t n_addresses; /* that the device has */
};

/* --- what can be said before anything is touched ------------------------------------- */

static enum err check_prefix(const struct ip_prefix *prefix, unsigned mtu, struct iface_error *why)
{
	char text[IP_PREFIX_TEXT_MAX];
	unsigned bits = ip_addr_bits(&prefix->addr);
	if (bits == 0 || prefix->len > bits)
		return iface_error_set(why, ERR_RANGE, "not an address and prefix length: %s",
				       ip_prefix_format(prefix, text));
	if (prefix->addr.family == 6 && mtu < IFACE_MTU_MIN_IP6)
		return iface_error_set(why, ERR_RANGE,
				       "MTU %u is below the %d that IPv6 needs, for %s", mtu,
				       IFACE_MTU_MIN_IP6, ip_prefix_format(prefix, text));
	return ERR_OK;
}

static enum err check_conf(const struct iface_conf *conf, struct iface_error *why)
{
	enum err e = tun_name_check(conf->name, why);
	if (e != ERR_OK)
		return e;
	if (conf->mtu < IFACE_MTU_MIN || conf->mtu > IFACE_MTU_MAX)
		return iface_error_set(why, ERR_RANGE, "MTU %u is not within %d to %d", conf->mtu,
				       IFACE_MTU_MIN, IFACE_MTU_MAX);
	for (size_t i = 0; i < conf->n_addresses && e == ERR_OK; i++)
		e = check_prefix(&conf->addresses[i], conf->mtu, why);
	for (size_t i = 0; i < conf->n_routes && e == ERR_OK; i++)
		e = check_prefix(&conf->routes[i], conf->mtu, why);
	return e;
}

/* --- the steps up -------------------------------------------------------------------- */

static enum err open_device(struct iface *iface, struct iface_error *why)
{
	size_t n;
	enum err e = tun_open(iface->nl, &iface->tun, &iface->fd, why);
	if (e == ERR_OK)
		e = netlink_link_get(iface->nl, iface->name, &iface->before, why);
	if (e == ERR_OK && iface->tun.multi_queue)
		iface->is_steered = tun_steer(iface->fd) == ERR_OK;
	if (e == ERR_OK && iface->before.tun_persistent)
		e = netlink_flush(iface->nl, iface->before.index, &n, why);
	return e;
}

static enum err set_properties(struct iface *iface, const struct iface_conf *conf,
			       struct iface_error *why)
{
	enum err e = ERR_OK;
	if (iface->before.mtu != conf->mtu)
		e = netlink_link_set_mtu(iface->nl, iface->before.index, conf->mtu, why);
	if (e == ERR_OK && conf->txqueuelen != 0 && iface->before.txqueuelen != conf->txqueuelen)
		e = netlink_link_set_txqueuelen(iface->nl, iface->before.index, conf->txqueuelen,
						why);
	/* Only saves the tunnel some chatter: not worth a failure. */
	if (e == ERR_OK && !iface->before.up)
		(void)!netlink_link_no_linklocal(iface->nl, iface->before.index, NULL);
	return e;
}

struct addr_search {
	const struct ip_prefix *wanted;
	bool found;
};

static bool is_wanted_addr(void *ctx, const struct netlink_addr *addr)
{
	struct addr_search *search = ctx;
	search->found = addr->addr.len == search->wanted->len &&
			ip_addr_equal(&addr->addr.addr, &search->wanted->addr);
	return !search->found;
}

static enum err add_address(struct iface *iface, const struct ip_prefix *prefix,
			    struct iface_error *why)
{
	struct addr_search search = {.wanted = prefix};
	enum err e = ERR_OK;
	if (iface->before.tun_persistent)
		e = netlink_addr_list(iface->nl, iface->before.index, is_wanted_addr, &search, why);
	if (e == ERR_OK && !search.found)
		e = netlink_addr_add(iface->nl, iface->before.index, prefix, why);
	if (e == ERR_OK)
		iface->addresses[iface->n_addresses++] =
			(struct address){.prefix = *prefix, .ours = !search.found};
	return e;
}

static enum err climb(struct iface *iface, const struct iface_conf *conf, struct iface_error *why)
{
	enum err e = netlink_open(&iface->nl, why);
	if (e == ERR_OK)
		e = open_device(iface, why);
	if (e == ERR_OK)
		e = set_properties(iface, conf, why);
	for (size_t i = 0; i < conf->n_addresses && e == ERR_OK; i++)
		e = add_address(iface, &conf->addresses[i], why);
	if (e == ERR_OK && !iface->before.up)
		e = netlink_link_set_up(iface->nl, iface->before.index, true, why);
	for (size_t i = 0; i < conf->n_routes && e == ERR_OK; i++)
		e = iface_route_add(iface, &conf->routes[i], why);
	return e;
}

enum err iface_up(const struct iface_conf *conf, struct iface **ret_iface, struct iface_error *why)
{
	enum err e = check_conf(conf, why);
	if (e != ERR_OK)
		return e;
	struct iface *iface = calloc(1, sizeof(*iface));
	struct address *addresses = calloc(conf->n_addresses + 1, sizeof(*addresses));
	if (iface == NULL || addresses == NULL) {
		free(iface);
		free(addresses);
		return iface_error_set(why, ERR_NO_MEMORY, "device %s: out of memory", conf->name);
	}
	iface->fd = -1;
	iface->addresses = addresses;
	memcpy(iface->name, conf->name, strlen(conf->name) + 1);
	iface->metric = conf->metric;
	iface->table = conf->table;
	iface->tun = (struct tun_conf){
		.name = iface->name, .multi_queue = conf->multi_queue, .vnet_hdr = conf->vnet_hdr};
	e = climb(iface, conf, why);
	if (e != ERR_OK) {
		iface_down(iface);
		return iface_error_prefix(why, e, "device %s", conf->name);
	}
	*ret_iface = iface;
	return ERR_OK;
}

/* --- routes -------------------------------------------------------------------------- */

/* Does the kernel's own route of an address lead there? It does so in the main table only. */
static bool is_covered(const struct iface *iface, const struct ip_prefix *dst)
{
	if (iface->table != 0 || iface->metric != 0)
		return false;
	for (size_t i = 0; i < iface->n_addresses; i++) {
		const struct ip_prefix *own = &iface->addresses[i].prefix;
		if (own->len <= dst->len && ip_prefix_contains(own, &dst->addr))
			return true;
	}
	return false;
}

static struct netlink_route route_of(const struct iface *iface, const struct ip_prefix *dst)
{
	return (struct netlink_route){
		.dst = ip_prefix_network(dst),
		.index = iface->before.index,
		.metric = iface->metric,
		.table = iface->table,
	};
}

struct route_search {
	const struct netlink_route *wanted;
	uint32_t table;
	unsigned elsewhere; /* a link to which a route of this destination leads */
	bool found;         /* it leads to us */
};

static bool is_wanted_route(void *ctx, const struct netlink_route *route)
{
	struct route_search *search = ctx;
	const struct netlink_route *wanted = search->wanted;
	if (route->dst.len != wanted->dst.len ||
	    !ip_addr_equal(&route->dst.addr, &wanted->dst.addr) || route->table != search->table)
		return true;
	if (route->index == wanted->index)
		search->found = true;
	else
		search->elsewhere = route->index;
	return !search->found;
}

enum err iface_route_add(struct iface *iface, const struct ip_prefix *dst, struct iface_error *why)
{
	enum {
		TABLE_MAIN = 254, /* RT_TABLE_MAIN */
	};
	struct netlink_route route = route_of(iface, dst);
	struct route_search search = {.wanted = &route,
				      .table = route.table != 0 ? route.table : TABLE_MAIN};
	if (is_covered(iface, dst))
		return ERR_OK;
	enum err e = netlink_route_add(iface->nl, &route, why);
	if (e != ERR_DUPLICATE && e != ERR_PERMISSION)
		return e;
	if (netlink_route_list(iface->nl, 0, 0, is_wanted_route, &search, NULL) != ERR_OK)
		return e;
	if (search.found)
		return ERR_OK;
	char other[IF_NAMESIZE], text[IP_PREFIX_TEXT_MAX];
	if (e == ERR_DUPLICATE && if_indextoname(search.elsewhere, other) != NULL)
		return iface_error_set(why, e, "add route %s: there is one already, to %s",
				       ip_prefix_format(&route.dst, text), other);
	return e;
}

enum err iface_route_remove(struct iface *iface, const struct ip_prefix *dst,
			    struct iface_error *why)
{
	struct netlink_route route = route_of(iface, dst);
	if (is_covered(iface, dst))
		return ERR_OK;
	enum err e = netlink_route_remove(iface->nl, &route, why);
	return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* --- the rest ------------------------------------------------------------------------ */

int iface_steal_fd(struct iface *iface)
{
	int fd = iface->fd;
	iface->fd = -1;
	return fd;
}

enum err iface_open_queue(struct iface *iface, int *ret_fd, struct iface_error *why)
{
	return tun_open_queue(&iface->tun, ret_fd, why);
}

bool iface_is_steered(const struct iface *iface)
{
	return iface->is_steered;
}

unsigned iface_index(const struct iface *iface)
{
	return iface->before.index;
}

const char *iface_name(const struct iface *iface)
{
	return iface->name;
}

/* Give a device that stays back as we got it. Each step does what it can. */
static void restore(struct iface *iface)
{
	unsigned index = iface->before.index;
	size_t n;
	struct netlink_link now;
	(void)!netlink_flush(iface->nl, index, &n, NULL);
	/* Kernels before 5.18 do not keep whose an address is. */
	for (size_t i = 0; i < iface->n_addresses; i++)
		if (iface->addresses[i].ours)
			(void)!netlink_addr_remove(iface->nl, index, &iface->addresses[i].prefix,
						   NULL);
	if (netlink_link_get(iface->nl, iface->name, &now, NULL) != ERR_OK || now.index != index)
		return;
	if (now.up && !iface->before.up)
		(void)!netlink_link_set_up(iface->nl, index, false, NULL);
	if (now.mtu != iface->before.mtu)
		(void)!netlink_link_set_mtu(iface->nl, index, iface->before.mtu, NULL);
	if (now.txqueuelen != iface->before.txqueuelen)
		(void)!netlink_link_set_txqueuelen(iface->nl, index, iface->before.txqueuelen,
						   NULL);
}

struct iface *iface_down(struct iface *iface)
{
	if (iface == NULL)
		return NULL;
	/* Before the descriptor closes: then still nobody else can have this device. */
	if (iface->nl != NULL && iface->before.index != 0 && iface->before.tun_persistent)
		restore(iface);
	if (iface->fd >= 0)
		close(iface->fd);
	iface->nl = netlink_close(iface->nl);
	free(iface->addresses);
	free(iface);
	return NULL;
}

/* Whoever can attach to the device is its only holder. */
static enum err flush_name(struct netlink *nl, const char *name, size_t *ret_n,
			   struct iface_error *why)
{
	int fd;
	struct netlink_link link;
	enum err e = netlink_link_get(nl, name, &link, why);
	if (e != ERR_OK)
		return e;
	struct tun_conf conf = {.name = name, .multi_queue = link.tun_multi_queue};
	e = tun_open(nl, &conf, &fd, why);
	if (e != ERR_OK)
		return e;
	e = netlink_flush(nl, link.index, ret_n, why);
	close(fd);
	return e;
}

enum err iface_cleanup(const char *name, size_t *ret_n, struct iface_error *why)
{
	struct netlink *nl = NULL;
	size_t n = 0;
	enum err e = tun_name_check(name, why);
	if (e == ERR_OK)
		e = netlink_open(&nl, why);
	if (e == ERR_OK)
		e = flush_name(nl, name, &n, why);
	netlink_close(nl);
	if (e != ERR_OK && e != ERR_NOT_FOUND)
		return e;
	*ret_n = n;
	return ERR_OK;
}
