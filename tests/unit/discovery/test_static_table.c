/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdio.h>

#include "base/util.h"
#include "vpn/discovery/static_table.h"

static struct config_errors errors;

static const char text[] = "interface: {addresses: [10.7.0.1/24, 'fd07::1/64']}\n"
			   "peers:\n"
			   "  - id: 12D3KooW9tHTtS3inCZiYykw4u5G4frbjVFqhkmJX12gSNCVeH3e\n"
			   "    name: bob\n"
			   "    addresses: [/ip4/192.0.2.7/tcp/4001]\n"
			   "    allowed_ips: [10.7.0.2/32, 'fd07::2/128', 10.8.0.0/16]\n"
			   "  - id: 12D3KooW9xCm2jWjNVrwh51SWCQBMYdMyeU3NpT85QhLVkF6PcNM\n"
			   "    allowed_ips: [10.8.9.0/24]\n"
			   "  - id: 12D3KooWA284B2yjxoAAqAFwwVj6eRQ8DogF3t8wdpMzZ8Hh8wh4\n"
			   "    name: bo\n";

static struct config *load(void)
{
	struct config *config = NULL;
	enum err e = config_parse(span_str(text), "f", &config, &errors);
	for (size_t i = 0; e != ERR_OK && i < errors.len; i++)
		print_error("%s\n", errors.items[i].text);
	assert_ok(e);
	return config;
}

static void test_peers_are_found_by_id_name_and_ip(void **state)
{
	(void)state;
	struct config *config = load();
	struct static_table *t;
	assert_ok(static_table_new(config, &t));
	assert_int_equal(static_table_len(t), 3);
	for (uint32_t i = 0; i < 3; i++) {
		struct peer_id id = static_table_peer(t, i)->id;
		assert_int_equal(static_table_find_id(t, &id), i);
		id.bytes[id.len - 1] ^= 1;
		assert_int_equal(static_table_find_id(t, &id), ROUTE_NONE);
	}
	assert_int_equal(static_table_find_name(t, "bob"), 0);
	assert_int_equal(static_table_find_name(t, "bo"), 2);
	assert_int_equal(static_table_find_name(t, "b"), ROUTE_NONE);
	assert_int_equal(static_table_find_name(t, ""), ROUTE_NONE);
	assert_int_equal(static_table_peer(t, 0)->addresses.len, 1);

	static const struct {
		const char *ip;
		uint32_t peer;
	} ips[] = {
		{"10.7.0.2", 0}, {"fd07::2", 0},           {"10.8.8.8", 0},
		{"10.8.9.9", 1}, {"10.7.0.3", ROUTE_NONE},
	};
	for (size_t i = 0; i < ARRAY_LEN(ips); i++) {
		struct ip_addr ip;
		assert_ok(ip_addr_parse(span_str(ips[i].ip), &ip));
		assert_int_equal(route_table_find(static_table_routes(t), &ip), ips[i].peer);
	}
	static_table_free(t);
	config_free(config);
}

static void test_empty_configuration_finds_nobody(void **state)
{
	(void)state;
	struct config config = {0};
	struct peer_id id = {0};
	struct static_table *t;
	assert_ok(static_table_new(&config, &t));
	assert_int_equal(static_table_find_id(t, &id), ROUTE_NONE);
	assert_int_equal(static_table_find_name(t, "bob"), ROUTE_NONE);
	static_table_free(t);
	assert_null(static_table_free(NULL));
}

static void test_same_peer_twice_is_refused(void **state)
{
	(void)state;
	struct config *config = load();
	struct static_table *t = NULL;
	config->peers.items[1].id = config->peers.items[0].id;
	assert_err(static_table_new(config, &t), ERR_DUPLICATE);
	config_free(config);
	config = load();
	config->peers.items[2].name = config->peers.items[0].name;
	assert_err(static_table_new(config, &t), ERR_DUPLICATE);
	assert_null(t);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peers_are_found_by_id_name_and_ip),
		cmocka_unit_test(test_empty_configuration_finds_nobody),
		cmocka_unit_test(test_same_peer_twice_is_refused),
	};
	return cmocka_run_group_tests_name("static_table", tests, NULL, NULL);
}
