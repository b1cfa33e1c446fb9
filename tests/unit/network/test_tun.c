/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <unistd.h>

#include "netns.h"
#include "vpn/network/tun.h"

static struct netlink *nl;
static struct iface_error why;

static int setup(void **state)
{
	(void)state;
	assert_ok(netlink_open(&nl, &why));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	nl = netlink_close(nl);
	return 0;
}

static void test_names_that_cannot_name_a_device_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"",    ".",     "..",         "1234567890123456",
					  "a/b", "a b",   "a\tb",       "a\nb",
					  "a:",  "tun%d", "t\xc3\xbcn", "a\x7f"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why.text[0] = '\0';
		assert_err(tun_name_check(bad[i], &why), ERR_RANGE);
		assert_true(strlen(why.text) > 0);
	}
	assert_ok(tun_name_check("123456789012345", NULL));
	assert_ok(tun_name_check("runnel0", NULL));
	int fd = -2;
	assert_err(tun_open(nl, &(struct tun_conf){.name = "a/b"}, &fd, &why), ERR_RANGE);
	assert_int_equal(fd, -2);
}

static void test_device_lives_as_long_as_its_descriptor(void **state)
{
	(void)state;
	struct tun_conf conf = {.name = "t0"};
	int fd;
	assert_ok(tun_open(nl, &conf, &fd, &why));
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	struct netlink_link link;
	assert_ok(netlink_link_get(nl, "t0", &link, &why));
	assert_string_equal(link.kind, "tun");
	assert_false(link.tun_is_tap);
	assert_false(link.tun_persistent);
	close(fd);
	assert_false(netns_has_link(nl, "t0"));
}

static void test_device_that_is_held_is_busy(void **state)
{
	(void)state;
	for (unsigned multi = 0; multi < 2; multi++) {
		struct tun_conf conf = {.name = "t0", .multi_queue = multi != 0};
		int fd, second = -2;
		assert_ok(tun_open(nl, &conf, &fd, &why));
		assert_err(tun_open(nl, &conf, &second, &why), ERR_BUSY);
		assert_non_null(strstr(why.text, "t0"));
		assert_int_equal(second, -2);
		close(fd);
	}
}

static void test_persistent_device_that_is_held_is_busy(void **state)
{
	(void)state;
	int fd, second;
	netns_make_persistent("t0", IFF_MULTI_QUEUE);
	struct tun_conf conf = {.name = "t0", .multi_queue = true};
	assert_ok(tun_open(nl, &conf, &fd, &why));
	assert_err(tun_open(nl, &conf, &second, &why), ERR_BUSY);
	close(fd);
	netns_remove_persistent("t0", IFF_MULTI_QUEUE);
}

static void test_persistent_leftover_is_taken_and_stays(void **state)
{
	(void)state;
	int fd;
	netns_make_persistent("t0", 0);
	assert_ok(tun_open(nl, &(struct tun_conf){.name = "t0"}, &fd, &why));
	close(fd);
	assert_true(netns_has_link(nl, "t0"));
	netns_remove_persistent("t0", 0);
	assert_false(netns_has_link(nl, "t0"));
}

static void test_device_of_another_shape_is_not_taken(void **state)
{
	(void)state;
	int fd;
	assert_err(tun_open(nl, &(struct tun_conf){.name = "lo"}, &fd, &why), ERR_DUPLICATE);
	assert_non_null(strstr(why.text, "no TUN"));
	netns_make_persistent("t0", IFF_TAP);
	assert_err(tun_open(nl, &(struct tun_conf){.name = "t0"}, &fd, &why), ERR_DUPLICATE);
	assert_non_null(strstr(why.text, "tap"));
	netns_remove_persistent("t0", IFF_TAP);
	netns_make_persistent("t0", IFF_MULTI_QUEUE);
	assert_err(tun_open(nl, &(struct tun_conf){.name = "t0"}, &fd, &why), ERR_DUPLICATE);
	assert_non_null(strstr(why.text, "multi-queue"));
	netns_remove_persistent("t0", IFF_MULTI_QUEUE);
}

static void test_queues_join_a_multi_queue_device(void **state)
{
	(void)state;
	struct tun_conf conf = {.name = "t0", .multi_queue = true, .vnet_hdr = true};
	struct tun_conf single = {.name = "t1"};
	int first, second, other;
	struct netlink_link link;
	assert_ok(tun_open(nl, &conf, &first, &why));
	assert_ok(tun_open_queue(&conf, &second, &why));
	assert_ok(netlink_link_get(nl, "t0", &link, &why));
	assert_int_equal(link.tun_queues, 2);
	assert_err(tun_open_queue(&single, &other, &why), ERR_BAD_STATE);
	close(first);
	assert_true(netns_has_link(nl, "t0"));
	close(second);
	assert_false(netns_has_link(nl, "t0"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_that_cannot_name_a_device_are_refused),
		cmocka_unit_test(test_device_lives_as_long_as_its_descriptor),
		cmocka_unit_test(test_device_that_is_held_is_busy),
		cmocka_unit_test(test_persistent_device_that_is_held_is_busy),
		cmocka_unit_test(test_persistent_leftover_is_taken_and_stays),
		cmocka_unit_test(test_device_of_another_shape_is_not_taken),
		cmocka_unit_test(test_queues_join_a_multi_queue_device),
	};
	netns_enter();
	return cmocka_run_group_tests_name("tun", tests, setup, teardown);
}
