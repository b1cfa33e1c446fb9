/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <dirent.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "netns.h"
#include "vpn/network/iface.h"

static struct netlink *nl;
static struct iface_error why;

static int open_netlink(void **state)
{
	(void)state;
	assert_ok(netlink_open(&nl, &why));
	return 0;
}

static int close_netlink(void **state)
{
	(void)state;
	nl = netlink_close(nl);
	return 0;
}

/* A configuration with both families; tests change what they are about. */
struct fixture {
	struct ip_prefix addresses[2], routes[3];
	struct iface_conf conf;
};

static struct iface_conf *make_conf(struct fixture *f)
{
	f->addresses[0] = netns_prefix("10.7.0.1/24");
	f->addresses[1] = netns_prefix("fd00:7::1/64");
	f->routes[0] = netns_prefix("10.7.0.2/32");
	f->routes[1] = netns_prefix("10.9.0.0/16");
	f->routes[2] = netns_prefix("fd00:9::/64");
	f->conf = (struct iface_conf){
		.name = "t0",
		.mtu = 1380,
		.txqueuelen = 1000,
		.addresses = f->addresses,
		.n_addresses = ARRAY_LEN(f->addresses),
		.routes = f->routes,
		.n_routes = ARRAY_LEN(f->routes),
	};
	return &f->conf;
}

static size_t count_fds(void)
{
	size_t n = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static void test_interface_reads_back_as_configured(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *iface;
	struct netlink_link link;
	size_t fds = count_fds();
	assert_ok(iface_up(make_conf(&f), &iface, &why));
	assert_ok(netlink_link_get(nl, "t0", &link, &why));
	assert_true(link.up);
	assert_int_equal(link.mtu, 1380);
	assert_int_equal(link.txqueuelen, 1000);
	assert_int_equal(link.index, iface_index(iface));
	assert_string_equal(iface_name(iface), "t0");
	assert_true(netns_has_addr(nl, link.index, "10.7.0.1/24"));
	assert_true(netns_has_addr(nl, link.index, "fd00:7::1/64")); /* and not tentative */
	assert_true(netns_has_route(nl, link.index, "10.9.0.0/16"));
	assert_true(netns_has_route(nl, link.index, "fd00:9::/64"));
	assert_int_equal(netns_count_routes(nl), 2); /* the covered one needs none */
	assert_null(iface_down(iface));
	assert_false(netns_has_link(nl, "t0"));
	assert_int_equal(netns_count_routes(nl), 0);
	assert_int_equal(count_fds(), fds);
}

static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* Send a ping until the answer comes: the kernel takes packets for an IPv6 address a few
 * milliseconds after it was added. The kernel's own packets (multicast reports) are passed over. */
static void exchange(int fd, struct span ping, size_t type_at, uint8_t reply_type,
		     uint8_t pong[2048])
{
	for (unsigned tries = 0; tries < 100; tries++) {
		assert_int_equal(write(fd, ping.p, ping.len), ping.len);
		struct pollfd p = {.fd = fd, .events = POLLIN};
		while (poll(&p, 1, 100) == 1) {
			ssize_t n = read(fd, pong, 2048);
			if (n == (ssize_t)ping.len && pong[0] >> 4 == ping.p[0] >> 4 &&
			    pong[type_at] == reply_type)
				return;
		}
	}
	fail_msg("no answer to 100 pings");
}

static void test_kernel_answers_a_ping_from_the_tun(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *iface;
	assert_ok(iface_up(make_conf(&f), &iface, &why));
	int fd = iface_steal_fd(iface);
	assert_true(fd >= 0);
	assert_int_equal(iface_steal_fd(iface), -1);
	uint8_t ping[28 + 4] = {0x45, 0, 0, 32, 0, 1, 0, 0, 64,   1,    0, 0, 10,  7,   0,   2,
				10,   7, 0, 1,  8, 0, 0, 0, 0x12, 0x34, 0, 1, 'p', 'i', 'n', 'g'};
	store_be16(ping + 10, checksum(ping, 20));
	store_be16(ping + 22, checksum(ping + 20, 12));
	uint8_t pong[2048];
	exchange(fd, span_of(ping, sizeof(ping)), 20, 0, pong);
	assert_span_equal(span_of(pong + 12, 8), span_of("\x0a\x07\x00\x01\x0a\x07\x00\x02", 8));
	assert_span_equal(span_of(pong + 24, 8), span_of(ping + 24, 8));
	close(fd);
	iface_down(iface);
}

static void test_kernel_answers_an_ip6_ping_from_the_tun(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *iface;
	assert_ok(iface_up(make_conf(&f), &iface, &why));
	int fd = iface_steal_fd(iface);
	uint8_t ping[40 + 12] = {0x60, 0, 0, 0, 0, 12, 58, 64};
	struct ip_prefix from = netns_prefix("fd00:9::2"), to = netns_prefix("fd00:7::1");
	memcpy(ping + 8, from.addr.bytes, 16);
	memcpy(ping + 24, to.addr.bytes, 16);
	memcpy(ping + 40, "\x80\0\0\0\x12\x34\0\1ping", 12);
	uint8_t pseudo[40 + 12] = {0};
	memcpy(pseudo, ping + 8, 32);
	pseudo[35] = 12;
	pseudo[39] = 58;
	memcpy(pseudo + 40, ping + 40, 12);
	store_be16(ping + 42, checksum(pseudo, sizeof(pseudo)));
	uint8_t pong[2048];
	exchange(fd, span_of(ping, sizeof(ping)), 40, 129, pong);
	assert_span_equal(span_of(pong + 8, 16), span_of(to.addr.bytes, 16));
	assert_span_equal(span_of(pong + 44, 8), span_of(ping + 44, 8));
	close(fd);
	iface_down(iface);
}

static void test_mtu_has_edges(void **state)
{
	(void)state;
	static const struct {
		unsigned mtu;
		bool ip6;
		enum err expected;
	} cases[] = {
		{67, false, ERR_RANGE},    {68, false, ERR_OK},     {65535, false, ERR_OK},
		{65536, false, ERR_RANGE}, {1279, true, ERR_RANGE}, {1280, true, ERR_OK},
		{65535, true, ERR_OK},     {0, false, ERR_RANGE},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct fixture f;
		struct iface *iface = NULL;
		make_conf(&f)->mtu = cases[i].mtu;
		f.conf.n_addresses = cases[i].ip6 ? 2 : 1;
		f.conf.n_routes = cases[i].ip6 ? 3 : 2;
		assert_err(iface_up(&f.conf, &iface, &why), cases[i].expected);
		iface_down(iface);
		assert_false(netns_has_link(nl, "t0"));
	}
}

static void test_bad_prefix_length_is_refused(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *iface;
	make_conf(&f);
	f.addresses[0].len = 33;
	assert_err(iface_up(&f.conf, &iface, &why), ERR_RANGE);
	make_conf(&f);
	f.routes[2].addr.family = 0;
	assert_err(iface_up(&f.conf, &iface, &why), ERR_RANGE);
}

static void test_second_interface_of_a_name_is_busy(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *iface, *second;
	assert_ok(iface_up(make_conf(&f), &iface, &why));
	assert_err(iface_up(&f.conf, &second, &why), ERR_BUSY);
	assert_string_equal(why.text, "device t0: another process holds the TUN device t0");
	size_t n;
	assert_err(iface_cleanup("t0", &n, &why), ERR_BUSY);
	assert_true(netns_has_addr(nl, iface_index(iface), "10.7.0.1/24"));
	iface_down(iface);
}

static void test_route_that_leads_elsewhere_undoes_all(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *other, *iface;
	size_t fds = count_fds();
	struct ip_prefix address = netns_prefix("10.8.0.1/24");
	struct iface_conf conf = {
		.name = "t1", .mtu = 1280, .addresses = &address, .n_addresses = 1};
	assert_ok(iface_up(&conf, &other, &why));
	make_conf(&f);
	assert_ok(iface_route_add(other, &f.routes[2], &why));
	size_t routes = netns_count_routes(nl);
	assert_err(iface_up(&f.conf, &iface, &why), ERR_DUPLICATE);
	assert_string_equal(why.text,
			    "device t0: add route fd00:9::/64: there is one already, to t1");
	assert_false(netns_has_link(nl, "t0"));
	assert_int_equal(netns_count_routes(nl), routes);
	iface_down(other);
	assert_int_equal(count_fds(), fds);
}

static void test_disabled_ip6_undoes_all_and_says_so(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *iface;
	FILE *file = fopen("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w");
	assert_non_null(file);
	fputs("1", file);
	fclose(file);
	enum err e = iface_up(make_conf(&f), &iface, &why);
	file = fopen("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w");
	assert_non_null(file);
	fputs("0", file);
	fclose(file);
	assert_err(e, ERR_UNSUPPORTED);
	assert_non_null(strstr(why.text, "add address fd00:7::1/64: IPv6 is disabled"));
	assert_false(netns_has_link(nl, "t0"));
}

static void test_routes_change_while_it_runs(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *iface;
	struct ip_prefix route = netns_prefix("10.20.0.0/16"), covered = netns_prefix("10.7.0.77");
	assert_ok(iface_up(make_conf(&f), &iface, &why));
	size_t routes = netns_count_routes(nl);
	for (unsigned twice = 0; twice < 2; twice++) {
		assert_ok(iface_route_add(iface, &route, &why));
		assert_ok(iface_route_add(iface, &covered, &why));
		assert_int_equal(netns_count_routes(nl), routes + 1);
	}
	assert_true(netns_has_route(nl, iface_index(iface), "10.20.0.0/16"));
	for (unsigned twice = 0; twice < 2; twice++) {
		assert_ok(iface_route_remove(iface, &route, &why));
		assert_ok(iface_route_remove(iface, &covered, &why));
		assert_int_equal(netns_count_routes(nl), routes);
	}
	iface_down(iface);
}

static void test_routes_in_a_table_of_their_own_are_all_added(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *iface;
	make_conf(&f)->table = 51820;
	f.conf.metric = 7;
	assert_ok(iface_up(&f.conf, &iface, &why));
	/* also the one that a route of the main table covers */
	assert_true(netns_has_route(nl, iface_index(iface), "10.7.0.2/32"));
	assert_int_equal(netns_count_routes(nl), 3);
	assert_ok(iface_route_remove(iface, &f.routes[0], &why));
	assert_int_equal(netns_count_routes(nl), 2);
	iface_down(iface);
}

static void test_killed_process_leaves_nothing(void **state)
{
	(void)state;
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct fixture f;
		struct iface *iface;
		if (iface_up(make_conf(&f), &iface, NULL) != ERR_OK || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_true(netns_has_link(nl, "t0"));
	assert_int_equal(netns_count_routes(nl), 2);
	int status;
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_false(netns_has_link(nl, "t0"));
	assert_int_equal(netns_count_routes(nl), 0);
	close(ready[0]);
	close(ready[1]);
	/* and the next one starts at once */
	struct fixture f;
	struct iface *iface;
	assert_ok(iface_up(make_conf(&f), &iface, &why));
	iface_down(iface);
}

static void test_persistent_device_gets_back_what_it_was(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *iface;
	struct netlink_link before, after;
	struct ip_prefix foreign = netns_prefix("192.0.2.1/32");
	netns_make_persistent("t0", 0);
	assert_ok(netlink_link_get(nl, "t0", &before, &why));
	assert_ok(netlink_addr_add(nl, before.index, &foreign, &why));
	assert_ok(iface_up(make_conf(&f), &iface, &why));
	/* ours, as it seemed: a leftover of an earlier run */
	assert_false(netns_has_addr(nl, before.index, "192.0.2.1/32"));
	iface_down(iface);
	assert_ok(netlink_link_get(nl, "t0", &after, &why));
	assert_int_equal(after.index, before.index);
	assert_int_equal(after.mtu, before.mtu);
	assert_int_equal(after.txqueuelen, before.txqueuelen);
	assert_false(after.up);
	assert_false(netns_has_addr(nl, before.index, "10.7.0.1/24"));
	assert_false(netns_has_addr(nl, before.index, "fd00:7::1/64"));
	assert_int_equal(netns_count_routes(nl), 0);
	netns_remove_persistent("t0", 0);
}

static void use_net_admin(bool on)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2];
	assert_int_equal(syscall(SYS_capget, &head, caps), 0);
	caps[0].effective &= ~(1u << CAP_NET_ADMIN);
	caps[0].effective |= on ? 1u << CAP_NET_ADMIN : 0;
	assert_int_equal(syscall(SYS_capset, &head, caps), 0);
}

static void administer(const char *command)
{
	if (system(command) != 0) {
		use_net_admin(true);
		fail_msg("'%s' failed", command);
	}
}

static void test_complete_persistent_device_needs_no_capability(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *iface = NULL;
	size_t n;
	netns_make_persistent("t0", 0);
	administer("ip link set t0 mtu 1380 txqueuelen 1000 up && ip addr add 10.7.0.1/24 dev t0 "
		   "&& ip addr add fd00:7::1/64 dev t0 nodad && ip route add 10.9.0.0/16 dev t0 "
		   "&& ip route add fd00:9::/64 dev t0");
	use_net_admin(false);
	enum err up = iface_up(make_conf(&f), &iface, &why);
	iface_down(iface);
	f.conf.mtu = 1400; /* but a change does */
	enum err other = iface_up(&f.conf, &iface, &why);
	enum err cleanup = iface_cleanup("t0", &n, NULL);
	use_net_admin(true);
	assert_ok(up);
	assert_err(other, ERR_PERMISSION);
	assert_string_equal(why.text, "device t0: set MTU 1400: needs CAP_NET_ADMIN");
	assert_ok(cleanup);
	/* what the administrator put there is no leftover of ours */
	struct netlink_link link;
	assert_int_equal(n, 0);
	assert_ok(netlink_link_get(nl, "t0", &link, &why));
	assert_true(link.up);
	assert_true(netns_has_addr(nl, link.index, "10.7.0.1/24"));
	assert_true(netns_has_addr(nl, link.index, "fd00:7::1/64"));
	netns_remove_persistent("t0", 0);
}

static void test_cleanup_takes_what_a_killed_process_left(void **state)
{
	(void)state;
	size_t n = 99;
	struct netlink_link link;
	struct ip_prefix addr = netns_prefix("10.7.0.1/24");
	assert_ok(iface_cleanup("t0", &n, &why));
	assert_int_equal(n, 0);
	netns_make_persistent("t0", 0);
	assert_ok(netlink_link_get(nl, "t0", &link, &why));
	struct netlink_route route = {.dst = netns_prefix("10.9.0.0/16"), .index = link.index};
	assert_ok(netlink_link_set_up(nl, link.index, true, &why));
	assert_ok(netlink_addr_add(nl, link.index, &addr, &why));
	assert_ok(netlink_route_add(nl, &route, &why));
	assert_ok(iface_cleanup("t0", &n, &why));
	assert_int_equal(n, 2);
	assert_false(netns_has_addr(nl, link.index, "10.7.0.1/24"));
	assert_int_equal(netns_count_routes(nl), 0);
	netns_remove_persistent("t0", 0);
	assert_err(iface_cleanup("not/one", &n, &why), ERR_RANGE);
}

static void test_queues_are_opened_one_by_one(void **state)
{
	(void)state;
	struct fixture f;
	struct iface *iface;
	int second;
	struct netlink_link link;
	make_conf(&f)->multi_queue = true;
	assert_ok(iface_up(&f.conf, &iface, &why));
	assert_ok(iface_open_queue(iface, &second, &why));
	assert_ok(netlink_link_get(nl, "t0", &link, &why));
	assert_int_equal(link.tun_queues, 2);
	close(second);
	iface_down(iface);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interface_reads_back_as_configured),
		cmocka_unit_test(test_kernel_answers_a_ping_from_the_tun),
		cmocka_unit_test(test_kernel_answers_an_ip6_ping_from_the_tun),
		cmocka_unit_test(test_mtu_has_edges),
		cmocka_unit_test(test_bad_prefix_length_is_refused),
		cmocka_unit_test(test_second_interface_of_a_name_is_busy),
		cmocka_unit_test(test_route_that_leads_elsewhere_undoes_all),
		cmocka_unit_test(test_disabled_ip6_undoes_all_and_says_so),
		cmocka_unit_test(test_routes_change_while_it_runs),
		cmocka_unit_test(test_routes_in_a_table_of_their_own_are_all_added),
		cmocka_unit_test(test_killed_process_leaves_nothing),
		cmocka_unit_test(test_persistent_device_gets_back_what_it_was),
		cmocka_unit_test(test_complete_persistent_device_needs_no_capability),
		cmocka_unit_test(test_cleanup_takes_what_a_killed_process_left),
		cmocka_unit_test(test_queues_are_opened_one_by_one),
	};
	netns_enter();
	return cmocka_run_group_tests_name("iface", tests, open_netlink, close_netlink);
}
