/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netns.h"
#include "vpn/network/netlink_monitor.h"
#include "vpn/network/tun.h"

static struct netlink *nl;
static struct iface_error why;
static struct netlink_link tun;
static int tun_fd, mon_fd;
static struct netlink_monitor mon;

static int setup(void **state)
{
	(void)state;
	assert_ok(netlink_open(&nl, &why));
	assert_ok(tun_open(nl, &(struct tun_conf){.name = "t0"}, &tun_fd, &why));
	assert_ok(netlink_link_get(nl, "t0", &tun, &why));
	assert_ok(netlink_link_no_linklocal(nl, tun.index, &why));
	netlink_monitor_init(&mon, 0);
	assert_ok(netlink_monitor_open(&mon_fd, &why));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(tun_fd);
	close(mon_fd);
	nl = netlink_close(nl);
	return 0;
}

/* What the kernel said since the last call; it has said all of it when the change returns. Each
 * datagram is parsed from an allocation of exactly its size. */
static unsigned changes(void)
{
	static uint8_t buf[NETLINK_MONITOR_BUF_LEN];
	unsigned change = 0;
	for (;;) {
		ssize_t n = read(mon_fd, buf, sizeof(buf));
		if (n < 0 && errno == ENOBUFS) {
			change |= NETWORK_CHANGE_LOST;
			continue;
		}
		if (n < 0)
			break;
		uint8_t *copy = testkit_copy(span_of(buf, (size_t)n));
		change |= netlink_monitor_parse(&mon, span_of(copy, (size_t)n));
		free(copy);
	}
	assert_int_equal(errno, EAGAIN);
	return change;
}

/* The kernel tells of IPv6 addresses a little later than it makes them. */
static void await(unsigned wanted)
{
	for (unsigned seen = 0; (seen & wanted) != wanted; seen |= changes()) {
		struct pollfd p = {.fd = mon_fd, .events = POLLIN};
		assert_int_equal(poll(&p, 1, 10000), 1);
	}
}

static void test_link_that_comes_and_goes_is_told_once(void **state)
{
	(void)state;
	changes();
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	assert_int_equal(changes() & NETWORK_CHANGE_LINK_UP, NETWORK_CHANGE_LINK_UP);
	/* a message about the link that changes neither */
	assert_ok(netlink_link_set_mtu(nl, tun.index, 1400, &why));
	assert_int_equal(changes() & (NETWORK_CHANGE_LINK_UP | NETWORK_CHANGE_LINK_DOWN), 0);
	assert_ok(netlink_link_set_up(nl, tun.index, false, &why));
	assert_int_equal(changes() & NETWORK_CHANGE_LINK_DOWN, NETWORK_CHANGE_LINK_DOWN);
	close(tun_fd);
	/* was down before it went */
	assert_int_equal(changes() & NETWORK_CHANGE_LINK_DOWN, 0);
	tun_fd = -1;
}

static void test_addresses_and_routes_of_others_are_told(void **state)
{
	(void)state;
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	changes();
	struct ip_prefix addrs[] = {netns_prefix("10.7.0.1/24"), netns_prefix("fd00:7::1/64")};
	for (size_t i = 0; i < 2; i++) {
		assert_ok(netlink_addr_add(nl, tun.index, &addrs[i], &why));
		await(NETWORK_CHANGE_ADDR_ADDED | NETWORK_CHANGE_ROUTE_ADDED);
		assert_ok(netlink_addr_remove(nl, tun.index, &addrs[i], &why));
		await(NETWORK_CHANGE_ADDR_GONE);
	}
}

static void test_own_device_and_own_routes_are_no_change(void **state)
{
	(void)state;
	struct ip_prefix addr = netns_prefix("10.7.0.1/24");
	struct netlink_route route = {.dst = netns_prefix("10.9.0.0/16"), .index = tun.index};
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	changes();
	assert_ok(netlink_route_add(nl, &route, &why));
	assert_ok(netlink_route_remove(nl, &route, &why));
	assert_int_equal(changes(), 0);
	mon.own_index = tun.index;
	assert_ok(netlink_addr_add(nl, tun.index, &addr, &why));
	assert_ok(netlink_link_set_up(nl, tun.index, false, &why));
	assert_int_equal(changes(), 0);
}

static void test_loopback_is_no_change(void **state)
{
	(void)state;
	changes();
	assert_ok(netlink_link_set_up(nl, 1, true, &why));
	assert_int_equal(changes() & (NETWORK_CHANGE_LINK_UP | NETWORK_CHANGE_ADDR_ADDED), 0);
	assert_ok(netlink_link_set_up(nl, 1, false, &why));
}

static void test_lost_messages_are_an_error_of_the_socket(void **state)
{
	(void)state;
	int small = 1;
	struct ip_prefix addr = netns_prefix("10.7.0.1/24");
	changes();
	assert_int_equal(setsockopt(mon_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	for (unsigned i = 0; i < 64; i++) {
		assert_ok(netlink_addr_add(nl, tun.index, &addr, &why));
		assert_ok(netlink_addr_remove(nl, tun.index, &addr, &why));
	}
	assert_true((changes() & NETWORK_CHANGE_LOST) != 0);
	assert_err(err_from_errno(ENOBUFS), ERR_NO_MEMORY); /* as netlink_monitor.h says */
}

/* A message about link `index` with one attribute, for the tests that need no kernel. */
static size_t make_link(uint8_t *buf, unsigned index, unsigned flags)
{
	struct {
		struct nlmsghdr head;
		struct ifinfomsg body;
		struct rtattr attr;
		char name[4];
	} msg = {
		.head = {.nlmsg_len = sizeof(msg), .nlmsg_type = RTM_NEWLINK},
		.body = {.ifi_index = (int)index, .ifi_flags = flags},
		.attr = {.rta_len = sizeof(msg.attr) + 4, .rta_type = IFLA_IFNAME},
		.name = "ab",
	};
	memcpy(buf, &msg, sizeof(msg));
	return sizeof(msg);
}

static void test_links_beyond_the_table_are_told_each_time(void **state)
{
	(void)state;
	uint8_t buf[256];
	netlink_monitor_init(&mon, 0);
	for (unsigned i = 1; i <= NETLINK_MONITOR_LINKS_MAX + 5; i++) {
		size_t len = make_link(buf, i, IFF_UP | IFF_RUNNING);
		uint8_t *copy = testkit_copy(span_of(buf, len));
		assert_int_equal(netlink_monitor_parse(&mon, span_of(copy, len)),
				 NETWORK_CHANGE_LINK_UP);
		assert_int_equal(netlink_monitor_parse(&mon, span_of(copy, len)),
				 i <= NETLINK_MONITOR_LINKS_MAX ? 0 : NETWORK_CHANGE_LINK_UP);
		free(copy);
	}
}

/* Every message that the kernel can make for us, cut at each byte, with each length field at its
 * extremes: ASan watches. */
static void test_cut_and_lying_messages_are_harmless(void **state)
{
	(void)state;
	static uint8_t buf[NETLINK_MONITOR_BUF_LEN];
	static const uint16_t lies[] = {0, 1, 3, 4, 5, 15, 16, 17, 0x7fff, 0xffff};
	struct ip_prefix addr = netns_prefix("fd00:7::1/64");
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	assert_ok(netlink_addr_add(nl, tun.index, &addr, &why));
	size_t datagrams = 0;
	for (ssize_t n; (n = read(mon_fd, buf, sizeof(buf))) > 0; datagrams++) {
		for (size_t len = 0; len <= (size_t)n; len++) {
			uint8_t *copy = testkit_copy(span_of(buf, len));
			netlink_monitor_parse(&mon, span_of(copy, len));
			/* the message's own length follows the cut, so that its inside is read */
			uint32_t own = (uint32_t)len;
			if (len >= sizeof(own))
				memcpy(copy, &own, sizeof(own));
			netlink_monitor_parse(&mon, span_of(copy, len));
			free(copy);
		}
		for (size_t at = 0; at + 2 <= (size_t)n; at += 2)
			for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
				uint8_t *copy = testkit_copy(span_of(buf, (size_t)n));
				memcpy(copy + at, &lies[i], 2);
				netlink_monitor_parse(&mon, span_of(copy, (size_t)n));
				free(copy);
			}
	}
	assert_true(datagrams >= 3);
}

static void test_change_has_words(void **state)
{
	(void)state;
	char buf[NETWORK_CHANGE_TEXT_LEN];
	assert_string_equal(network_change_text(0, buf), "");
	assert_string_equal(
		network_change_text(NETWORK_CHANGE_LINK_UP | NETWORK_CHANGE_ADDR_ADDED, buf),
		"link up, address added");
	network_change_text(~0u, buf);
	assert_string_equal(buf + strlen(buf) - strlen("messages lost"), "messages lost");
}

int main(void)
{
#define ON_TUN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ON_TUN(test_link_that_comes_and_goes_is_told_once),
		ON_TUN(test_addresses_and_routes_of_others_are_told),
		ON_TUN(test_own_device_and_own_routes_are_no_change),
		ON_TUN(test_loopback_is_no_change),
		ON_TUN(test_lost_messages_are_an_error_of_the_socket),
		ON_TUN(test_cut_and_lying_messages_are_harmless),
		cmocka_unit_test(test_links_beyond_the_table_are_told_each_time),
		cmocka_unit_test(test_change_has_words),
	};
	netns_enter();
	return cmocka_run_group_tests_name("netlink_monitor", tests, NULL, NULL);
}
