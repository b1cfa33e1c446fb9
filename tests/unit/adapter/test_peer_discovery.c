/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What vpn/api/peer_discovery.h promises, asked of each discovery; all know the same peers. */
#include "support/testkit.h"

#include <pthread.h>

#include "base/util.h"
#include "vpn/adapter/memory_discovery.h"
#include "vpn/adapter/static_discovery.h"

static const char *const ids[] = {
	"12D3KooW9tHTtS3inCZiYykw4u5G4frbjVFqhkmJX12gSNCVeH3e",
	"12D3KooW9xCm2jWjNVrwh51SWCQBMYdMyeU3NpT85QhLVkF6PcNM",
};

static const char text[] = "interface: {addresses: [10.7.0.1/24, 'fd07::1/64']}\n"
			   "peers:\n"
			   "  - id: 12D3KooW9tHTtS3inCZiYykw4u5G4frbjVFqhkmJX12gSNCVeH3e\n"
			   "    addresses: [/ip4/192.0.2.7/tcp/4001, /ip4/192.0.2.8/tcp/4001]\n"
			   "    allowed_ips: [10.7.0.2/32, 'fd07::2/128', 10.8.0.0/16]\n"
			   "  - id: 12D3KooW9xCm2jWjNVrwh51SWCQBMYdMyeU3NpT85QhLVkF6PcNM\n"
			   "    allowed_ips: [10.8.9.0/24]\n";

static const struct {
	const char *prefix;
	size_t peer;
} routes[] = {{"10.7.0.2/32", 0}, {"fd07::2/128", 0}, {"10.8.0.0/16", 0}, {"10.8.9.0/24", 1}};

static struct config *config;
static struct static_table *table;
static struct memory_discovery *memory;

static struct peer_id id_of(size_t peer)
{
	struct peer_id id;
	assert_ok(peer_id_parse(span_str(ids[peer]), &id));
	return id;
}

static struct ip_addr ip_of(const char *ip)
{
	struct ip_addr addr;
	assert_ok(ip_addr_parse(span_str(ip), &addr));
	return addr;
}

static struct ip_prefix prefix_of(const char *prefix)
{
	struct ip_prefix p;
	assert_ok(ip_prefix_parse(span_str(prefix), &p));
	return p;
}

static int set_up(void **state)
{
	static struct config_errors errors;
	(void)state;
	assert_ok(config_parse(span_str(text), "f", &config, &errors));
	assert_ok(static_table_new(config, &table));
	assert_ok(memory_discovery_new(&memory));
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		struct ip_prefix prefix = prefix_of(routes[i].prefix);
		struct peer_id id = id_of(routes[i].peer);
		assert_ok(memory_discovery_add(memory, &prefix, &id));
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	assert_null(memory_discovery_free(memory));
	assert_null(static_table_free(table));
	config_free(config);
	return 0;
}

static void check_owner(const struct peer_discovery *d, const char *ip, size_t peer)
{
	struct ip_addr addr = ip_of(ip);
	struct peer_id id, wanted = id_of(peer);
	assert_ok(peer_discovery_find(d, &addr, &id));
	assert_true(peer_id_equal(&id, &wanted));
}

static void check_nobody(const struct peer_discovery *d, const char *ip)
{
	struct ip_addr addr = ip_of(ip);
	struct peer_id id = {.len = 77};
	assert_err(peer_discovery_find(d, &addr, &id), ERR_NOT_FOUND);
	assert_int_equal(id.len, 77);
}

static void check_discovery(const struct peer_discovery *d)
{
	check_owner(d, "10.7.0.2", 0);
	check_owner(d, "fd07::2", 0);
	check_owner(d, "10.8.8.8", 0);
	check_owner(d, "10.8.9.9", 1); /* the longest prefix */
	check_nobody(d, "10.7.0.3");
	check_nobody(d, "fd07::3");
	check_nobody(d, "0.0.0.0");
	check_nobody(d, "::a07:2"); /* not the IPv4 address of that number */
	uint32_t generation = peer_discovery_generation(d);
	check_owner(d, "10.7.0.2", 0);
	assert_int_equal(peer_discovery_generation(d), generation);
	struct peer_id id = id_of(0);
	id.bytes[id.len - 1] ^= 1;
	struct multiaddr addrs[4];
	assert_int_equal(peer_discovery_addresses(d, &id, addrs, 4), 0);
}

static void test_the_owner_is_that_of_the_longest_prefix(void **state)
{
	(void)state;
	struct peer_discovery by_table = static_discovery(table);
	struct peer_discovery by_memory = memory_discovery_get(memory);
	check_discovery(&by_table);
	check_discovery(&by_memory);
}

static void test_addresses_are_those_of_the_table_and_as_many_as_fit(void **state)
{
	(void)state;
	struct peer_discovery d = static_discovery(table);
	struct multiaddr addrs[4];
	struct peer_id id = id_of(0);
	for (size_t cap = 0; cap < 4; cap++)
		assert_int_equal(peer_discovery_addresses(&d, &id, addrs, cap), MIN(cap, 2u));
	char buf[MULTIADDR_TEXT_MAX];
	assert_string_equal(multiaddr_format(&addrs[0], buf), "/ip4/192.0.2.7/tcp/4001");
	id = id_of(1);
	assert_int_equal(peer_discovery_addresses(&d, &id, addrs, 4), 0);
}

static void test_each_change_has_a_generation_of_its_own(void **state)
{
	(void)state;
	struct peer_discovery d = memory_discovery_get(memory);
	uint32_t before = peer_discovery_generation(&d);
	struct ip_prefix prefix = prefix_of("10.7.0.2/32");
	struct peer_id id = id_of(1);
	assert_ok(memory_discovery_add(memory, &prefix, &id));
	assert_int_not_equal(peer_discovery_generation(&d), before);
	check_owner(&d, "10.7.0.2", 1);
	check_owner(&d, "10.8.8.8", 0);
	before = peer_discovery_generation(&d);
	assert_ok(memory_discovery_remove(memory, &prefix));
	assert_int_not_equal(peer_discovery_generation(&d), before);
	check_nobody(&d, "10.7.0.2");
	/* What fails changes nothing. */
	before = peer_discovery_generation(&d);
	assert_err(memory_discovery_remove(memory, &prefix), ERR_NOT_FOUND);
	struct ip_prefix host_bits = prefix_of("10.8.9.1/24");
	assert_err(memory_discovery_add(memory, &host_bits, &id), ERR_RANGE);
	assert_int_equal(peer_discovery_generation(&d), before);
	check_owner(&d, "10.8.9.9", 1);
}

static void *look_up(void *arg)
{
	const struct peer_discovery *d = arg;
	for (unsigned i = 0; i < 20000; i++) {
		struct ip_addr addr = ip_addr_v4((const uint8_t[]){10, 8, (uint8_t)i, 1});
		struct peer_id id;
		if (peer_discovery_find(d, &addr, &id) != ERR_OK || id.len == 0)
			return arg;
	}
	return NULL;
}

/* TSan watches. */
static void test_lookups_while_it_changes_are_no_race(void **state)
{
	(void)state;
	struct peer_discovery d = memory_discovery_get(memory);
	pthread_t threads[2];
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, look_up, &d), 0);
	struct ip_prefix prefix = prefix_of("10.8.7.0/24");
	for (unsigned i = 0; i < 100; i++) {
		struct peer_id id = id_of(i % 2);
		assert_ok(memory_discovery_add(memory, &prefix, &id));
	}
	for (size_t i = 0; i < 2; i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_the_owner_is_that_of_the_longest_prefix),
		WITH_FIXTURE(test_addresses_are_those_of_the_table_and_as_many_as_fit),
		WITH_FIXTURE(test_each_change_has_a_generation_of_its_own),
		WITH_FIXTURE(test_lookups_while_it_changes_are_no_race),
	};
	return cmocka_run_group_tests_name("peer_discovery", tests, NULL, NULL);
}
