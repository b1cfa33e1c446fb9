/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdio.h>
#include <unistd.h>

#include "netns.h"
#include "vpn/network/tun.h"

static struct netlink *nl;
static struct iface_error why;
static struct netlink_link tun;
static int tun_fd;

static int setup(void **state)
{
	(void)state;
	assert_ok(netlink_open(&nl, &why));
	assert_ok(tun_open(nl, &(struct tun_conf){.name = "t0"}, &tun_fd, &why));
	assert_ok(netlink_link_get(nl, "t0", &tun, &why));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(tun_fd);
	nl = netlink_close(nl);
	return 0;
}

static void test_link_settings_read_back(void **state)
{
	(void)state;
	struct netlink_link link;
	assert_false(tun.up);
	assert_ok(netlink_link_set_mtu(nl, tun.index, 1380, &why));
	assert_ok(netlink_link_set_txqueuelen(nl, tun.index, 777, &why));
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	assert_ok(netlink_link_get(nl, "t0", &link, &why));
	assert_int_equal(link.index, tun.index);
	assert_int_equal(link.mtu, 1380);
	assert_int_equal(link.txqueuelen, 777);
	assert_true(link.up);
	assert_string_equal(link.name, "t0");
	assert_ok(netlink_link_set_up(nl, tun.index, false, &why));
	assert_ok(netlink_link_get(nl, "t0", &link, &why));
	assert_false(link.up);
}

static void test_mtu_has_the_edges_of_the_device(void **state)
{
	(void)state;
	assert_ok(netlink_link_set_mtu(nl, tun.index, 68, &why));
	assert_ok(netlink_link_set_mtu(nl, tun.index, 65535, &why));
	assert_err(netlink_link_set_mtu(nl, tun.index, 67, &why), ERR_RANGE);
	assert_string_equal(why.text, "set MTU 67: mtu less than device minimum");
	assert_err(netlink_link_set_mtu(nl, tun.index, 65536, &why), ERR_RANGE);
}

static void test_missing_link_is_not_found(void **state)
{
	(void)state;
	struct netlink_link link;
	assert_err(netlink_link_get(nl, "nothere", &link, &why), ERR_NOT_FOUND);
	assert_string_equal(why.text, "no device nothere");
	assert_err(netlink_link_get(nl, "1234567890123456", &link, &why), ERR_RANGE);
	assert_err(netlink_link_set_up(nl, 99999, true, &why), ERR_NOT_FOUND);
	struct ip_prefix addr = netns_prefix("10.7.0.1/24");
	assert_err(netlink_addr_add(nl, 99999, &addr, &why), ERR_NOT_FOUND);
}

static void test_addresses_come_and_go(void **state)
{
	(void)state;
	static const char *const texts[] = {"10.7.0.1/24", "10.7.0.9/32", "fd00:7::1/64",
					    "fd00:8::1/128"};
	for (size_t i = 0; i < 4; i++) {
		struct ip_prefix addr = netns_prefix(texts[i]);
		assert_false(netns_has_addr(nl, tun.index, texts[i]));
		assert_ok(netlink_addr_add(nl, tun.index, &addr, &why));
		assert_true(netns_has_addr(nl, tun.index, texts[i]));
		assert_true(netns_has_addr(nl, 0, texts[i]));
		assert_err(netlink_addr_add(nl, tun.index, &addr, &why), ERR_DUPLICATE);
	}
	assert_false(netns_has_addr(nl, 1, texts[0]));
	for (size_t i = 0; i < 4; i++) {
		struct ip_prefix addr = netns_prefix(texts[i]);
		assert_ok(netlink_addr_remove(nl, tun.index, &addr, &why));
		assert_false(netns_has_addr(nl, tun.index, texts[i]));
		assert_err(netlink_addr_remove(nl, tun.index, &addr, &why), ERR_NOT_FOUND);
	}
}

static bool count_ours(void *ctx, const struct netlink_addr *addr)
{
	if (addr->protocol == NETLINK_PROTO_RUNNEL)
		++*(size_t *)ctx;
	return true;
}

static bool take_one(void *ctx, const struct netlink_addr *addr)
{
	(void)addr;
	++*(size_t *)ctx;
	return false;
}

static void test_list_ends_when_its_reader_has_enough(void **state)
{
	(void)state;
	size_t n = 0;
	struct ip_prefix a = netns_prefix("10.7.0.1/24"), b = netns_prefix("10.8.0.1/24");
	assert_ok(netlink_addr_add(nl, tun.index, &a, &why));
	assert_ok(netlink_addr_add(nl, tun.index, &b, &why));
	assert_ok(netlink_addr_list(nl, tun.index, take_one, &n, &why));
	assert_int_equal(n, 1);
	/* and the socket is ready for the next question */
	assert_true(netns_has_addr(nl, tun.index, "10.8.0.1/24"));
}

static void test_routes_come_and_go(void **state)
{
	(void)state;
	static const char *const texts[] = {"10.9.0.0/16",   "10.9.3.4/32", "fd00:9::/64",
					    "fd00:9::5/128", "0.0.0.0/0",   "::/0"};
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	for (size_t i = 0; i < 6; i++) {
		struct netlink_route route = {.dst = netns_prefix(texts[i]), .index = tun.index};
		assert_err(netlink_route_remove(nl, &route, &why), ERR_NOT_FOUND);
		assert_ok(netlink_route_add(nl, &route, &why));
		assert_true(netns_has_route(nl, tun.index, texts[i]));
		assert_err(netlink_route_add(nl, &route, &why), ERR_DUPLICATE);
	}
	assert_int_equal(netns_count_routes(nl), 6);
	for (size_t i = 0; i < 6; i++) {
		struct netlink_route route = {.dst = netns_prefix(texts[i]), .index = tun.index};
		assert_ok(netlink_route_remove(nl, &route, &why));
		assert_false(netns_has_route(nl, tun.index, texts[i]));
	}
}

static bool keep_route(void *ctx, const struct netlink_route *route)
{
	*(struct netlink_route *)ctx = *route;
	return true;
}

static void test_route_keeps_its_metric_and_table(void **state)
{
	(void)state;
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	static const uint32_t tables[] = {100, 51820};
	static const char *const texts[] = {"10.9.0.0/16", "fd00:9::/64"};
	for (size_t i = 0; i < 4; i++) {
		struct netlink_route got = {0}, route = {
							.dst = netns_prefix(texts[i / 2]),
							.index = tun.index,
							.metric = 4242,
							.table = tables[i % 2],
						};
		assert_ok(netlink_route_add(nl, &route, &why));
		assert_ok(netlink_route_list(nl, tun.index, NETLINK_PROTO_RUNNEL, keep_route, &got,
					     &why));
		assert_int_equal(got.metric, 4242);
		assert_int_equal(got.table, tables[i % 2]);
		assert_int_equal(got.index, tun.index);
		assert_int_equal(got.protocol, NETLINK_PROTO_RUNNEL);
		assert_ok(netlink_route_remove(nl, &route, &why));
	}
}

static void test_host_bits_of_a_route_are_ignored(void **state)
{
	(void)state;
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	struct netlink_route route = {.dst = netns_prefix("10.9.1.2/16"), .index = tun.index};
	assert_ok(netlink_route_add(nl, &route, &why));
	assert_true(netns_has_route(nl, tun.index, "10.9.0.0/16"));
	assert_ok(netlink_route_remove(nl, &route, &why));
}

static void test_only_routes_of_ours_are_removed(void **state)
{
	(void)state;
	size_t n;
	struct ip_prefix addr = netns_prefix("10.7.0.1/24"), addr6 = netns_prefix("fd00:7::1/64");
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	assert_ok(netlink_addr_add(nl, tun.index, &addr, &why));
	assert_ok(netlink_addr_add(nl, tun.index, &addr6, &why));
	/* the kernel's own routes of these addresses */
	struct netlink_route v4 = {.dst = netns_prefix("10.7.0.0/24"), .index = tun.index};
	struct netlink_route v6 = {.dst = netns_prefix("fd00:7::/64"), .index = tun.index};
	assert_err(netlink_route_remove(nl, &v4, &why), ERR_NOT_FOUND);
	assert_err(netlink_route_remove(nl, &v6, &why), ERR_NOT_FOUND);
	assert_ok(netlink_flush(nl, tun.index, &n, &why));
	assert_int_equal(n, 2);
}

static void test_flush_takes_more_than_a_batch(void **state)
{
	(void)state;
	size_t n = 0, left = 0;
	char text[IP_PREFIX_TEXT_MAX];
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	for (unsigned i = 0; i < 600; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.0/24", 100 + i / 256, i % 256);
		struct netlink_route route = {.dst = netns_prefix(text), .index = tun.index};
		assert_ok(netlink_route_add(nl, &route, &why));
	}
	for (unsigned i = 1; i <= 300; i++) {
		snprintf(text, sizeof(text), "10.8.%u.%u/16", i / 256, i % 256);
		struct ip_prefix addr = netns_prefix(text);
		assert_ok(netlink_addr_add(nl, tun.index, &addr, &why));
	}
	assert_ok(netlink_flush(nl, tun.index, &n, &why));
	/* secondary addresses go with their primary one, uncounted */
	assert_true(n >= 601);
	assert_int_equal(netns_count_routes(nl), 0);
	assert_ok(netlink_addr_list(nl, tun.index, count_ours, &left, &why));
	assert_int_equal(left, 0);
	assert_ok(netlink_flush(nl, tun.index, &n, &why));
	assert_int_equal(n, 0);
}

static void test_flush_of_a_link_that_is_gone_finds_nothing(void **state)
{
	(void)state;
	size_t n = 7;
	assert_ok(netlink_flush(nl, 99999, &n, &why));
	assert_int_equal(n, 0);
}

static void disable_ip6(const char *value)
{
	FILE *file = fopen("/proc/sys/net/ipv6/conf/t0/disable_ipv6", "w");
	assert_non_null(file);
	assert_true(fputs(value, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void test_disabled_ip6_is_said_so(void **state)
{
	(void)state;
	struct ip_prefix addr = netns_prefix("fd00:7::1/64");
	struct netlink_route route = {.dst = netns_prefix("fd00:9::/64"), .index = tun.index};
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	disable_ip6("1");
	assert_err(netlink_addr_add(nl, tun.index, &addr, &why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "IPv6 is disabled"));
	assert_err(netlink_route_add(nl, &route, &why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "IPv6 is disabled"));
	disable_ip6("0");
	assert_ok(netlink_addr_add(nl, tun.index, &addr, &why));
}

static void test_kernel_makes_no_link_local_address_when_told_so(void **state)
{
	(void)state;
	size_t n = 0;
	assert_ok(netlink_link_no_linklocal(nl, tun.index, &why));
	assert_ok(netlink_link_set_up(nl, tun.index, true, &why));
	assert_ok(netlink_addr_list(nl, tun.index, take_one, &n, &why));
	assert_int_equal(n, 0);
}

static void test_stranger_may_look_and_not_touch(void **state)
{
	(void)state;
	struct netlink *own = NULL;
	struct netlink_link link;
	struct ip_prefix addr = netns_prefix("10.7.0.1/24");
	/* the effective user alone: the capabilities come back with it */
	assert_int_equal(seteuid(65534), 0);
	enum err opened = netlink_open(&own, &why);
	enum err read = netlink_link_get(own, "t0", &link, &why);
	enum err written = netlink_addr_add(own, tun.index, &addr, &why);
	int fd;
	enum err made = tun_open(own, &(struct tun_conf){.name = "t9"}, &fd, NULL);
	assert_int_equal(seteuid(0), 0);
	own = netlink_close(own);
	assert_ok(opened);
	assert_ok(read);
	assert_err(written, ERR_PERMISSION);
	assert_string_equal(why.text, "add address 10.7.0.1/24: needs CAP_NET_ADMIN");
	assert_err(made, ERR_PERMISSION);
}

int main(void)
{
#define ON_TUN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		ON_TUN(test_link_settings_read_back),
		ON_TUN(test_mtu_has_the_edges_of_the_device),
		ON_TUN(test_missing_link_is_not_found),
		ON_TUN(test_addresses_come_and_go),
		ON_TUN(test_list_ends_when_its_reader_has_enough),
		ON_TUN(test_routes_come_and_go),
		ON_TUN(test_route_keeps_its_metric_and_table),
		ON_TUN(test_host_bits_of_a_route_are_ignored),
		ON_TUN(test_only_routes_of_ours_are_removed),
		ON_TUN(test_flush_takes_more_than_a_batch),
		ON_TUN(test_flush_of_a_link_that_is_gone_finds_nothing),
		ON_TUN(test_disabled_ip6_is_said_so),
		ON_TUN(test_kernel_makes_no_link_local_address_when_told_so),
		ON_TUN(test_stranger_may_look_and_not_touch),
	};
	netns_enter();
	return cmocka_run_group_tests_name("netlink", tests, NULL, NULL);
}
