/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* netns.c - see netns.h */
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "support/testkit.h"

static void skip_all(const char *what)
{
	printf("1..0 # SKIP %s: %s\n", what, strerror(errno));
	exit(0);
}

void netns_enter(void)
{
	if (unshare(CLONE_NEWNET) != 0)
		skip_all("may not make a network namespace");
	if (access("/dev/net/tun", R_OK | W_OK) != 0)
		skip_all("may not use /dev/net/tun");
}

struct ip_prefix netns_prefix(const char *text)
{
	struct ip_prefix prefix;
	assert_ok(ip_prefix_parse(span_str(text), &prefix));
	return prefix;
}

bool netns_has_link(struct netlink *nl, const char *name)
{
	struct netlink_link link;
	enum err e = netlink_link_get(nl, name, &link, NULL);
	assert_true(e == ERR_OK || e == ERR_NOT_FOUND);
	return e == ERR_OK;
}

struct search {
	struct ip_prefix wanted;
	size_t n;
	bool found;
};

static bool same(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->len == b->len && ip_addr_equal(&a->addr, &b->addr);
}

static bool see_addr(void *ctx, const struct netlink_addr *addr)
{
	struct search *search = ctx;
	search->found = search->found || (same(&addr->addr, &search->wanted) && !addr->tentative);
	return true;
}

static bool see_route(void *ctx, const struct netlink_route *route)
{
	struct search *search = ctx;
	search->n++;
	search->found = search->found || same(&route->dst, &search->wanted);
	return true;
}

bool netns_has_addr(struct netlink *nl, unsigned index, const char *text)
{
	struct search search = {.wanted = netns_prefix(text)};
	assert_ok(netlink_addr_list(nl, index, see_addr, &search, NULL));
	return search.found;
}

bool netns_has_route(struct netlink *nl, unsigned index, const char *text)
{
	struct search search = {.wanted = netns_prefix(text)};
	assert_ok(netlink_route_list(nl, index, NETLINK_PROTO_RUNNEL, see_route, &search, NULL));
	return search.found;
}

size_t netns_count_routes(struct netlink *nl)
{
	struct search search = {0};
	assert_ok(netlink_route_list(nl, 0, NETLINK_PROTO_RUNNEL, see_route, &search, NULL));
	return search.n;
}

static void set_persistent(const char *name, unsigned flags, int persistent)
{
	struct ifreq req = {0};
	snprintf(req.ifr_name, sizeof(req.ifr_name), "%s", name);
	req.ifr_flags = (short)(IFF_NO_PI | flags | ((flags & IFF_TAP) != 0 ? 0 : IFF_TUN));
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETIFF, &req), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, persistent), 0);
	close(fd);
}

void netns_make_persistent(const char *name, unsigned flags)
{
	set_persistent(name, flags, 1);
}

void netns_remove_persistent(const char *name, unsigned flags)
{
	set_persistent(name, flags, 0);
}
