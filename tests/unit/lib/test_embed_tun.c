/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pair.h"

#include <net/if.h>

#include "../network/netns.h"

static char why[PAIR_ERRBUF];

/* The namespace has no address to listen on. */
#define CONFIG(address) "listen: []\ninterface: {name: lib0, addresses: [" address "/24]}\n"

static void test_configured_device_lives_as_long_as_the_node_runs(void **state)
{
	(void)state;
	alice.conf.tun = RUNNEL_TUN;
	alice.conf.config_text = CONFIG("10.7.0.1");
	assert_public_ok(runnel_node_new(&alice.conf, &alice.node, why, sizeof(why)));
	assert_int_equal(if_nametoindex("lib0"), 0);
	assert_public_ok(runnel_node_start(alice.node, why, sizeof(why)));
	assert_int_not_equal(if_nametoindex("lib0"), 0);
	assert_public_ok(runnel_node_stop(alice.node, RUNNEL_FOREVER));
	assert_int_equal(if_nametoindex("lib0"), 0);
}

static void test_device_of_another_is_told_and_stays(void **state)
{
	(void)state;
	alice.conf.tun = RUNNEL_TUN;
	alice.conf.config_text = CONFIG("10.7.0.1");
	bob.conf.tun = RUNNEL_TUN;
	bob.conf.config_text = CONFIG("10.7.0.2");
	assert_public_ok(runnel_node_new(&alice.conf, &alice.node, why, sizeof(why)));
	assert_public_ok(runnel_node_start(alice.node, why, sizeof(why)));
	assert_public_ok(runnel_node_new(&bob.conf, &bob.node, why, sizeof(why)));
	assert_public_err(runnel_node_start(bob.node, why, sizeof(why)), RUNNEL_ERR_BUSY);
	assert_non_null(strstr(why, "lib0"));
	assert_int_not_equal(if_nametoindex("lib0"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_configured_device_lives_as_long_as_the_node_runs),
		TEST(test_device_of_another_is_told_and_stays),
	};
	netns_enter();
	return cmocka_run_group_tests_name("embed_tun", tests, NULL, NULL);
}
