/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include "p2p/host/netaddr.h"

static union netaddr parse(const char *text)
{
	struct multiaddr m;
	union netaddr a;
	assert_ok(multiaddr_parse(span_str(text), &m));
	assert_ok(netaddr_from_multiaddr(&m, &a));
	return a;
}

static void test_addresses_survive_the_way_through_multiaddr(void **state)
{
	(void)state;
	static const char *const texts[] = {"/ip4/192.0.2.1/tcp/4001", "/ip6/2001:db8::1/tcp/1",
					    "/ip4/0.0.0.0/tcp/0", "/ip6/::/tcp/65535"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		union netaddr a = parse(texts[i]);
		struct multiaddr m;
		char text[MULTIADDR_TEXT_MAX];
		netaddr_to_multiaddr(&a, &m);
		assert_string_equal(multiaddr_format(&m, text), texts[i]);
	}
}

static void test_names_are_left_to_the_resolver(void **state)
{
	(void)state;
	struct multiaddr m;
	union netaddr a;
	assert_ok(multiaddr_parse(span_str("/dns4/bob.example/tcp/4001"), &m));
	assert_err(netaddr_from_multiaddr(&m, &a), ERR_UNSUPPORTED);
	assert_ok(multiaddr_parse(span_str("/ip4/192.0.2.1/udp/4001/quic-v1"), &m));
	assert_err(netaddr_from_multiaddr(&m, &a), ERR_UNSUPPORTED);
}

static void test_scopes_are_those_of_the_registries(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum netaddr_scope scope;
	} cases[] = {
		{"/ip4/0.0.0.0/tcp/1", NETADDR_NONE},
		{"/ip4/127.0.0.1/tcp/1", NETADDR_LOOPBACK},
		{"/ip4/169.254.9.9/tcp/1", NETADDR_LINK},
		{"/ip4/10.1.2.3/tcp/1", NETADDR_PRIVATE},
		{"/ip4/172.15.0.1/tcp/1", NETADDR_PUBLIC},
		{"/ip4/172.16.0.1/tcp/1", NETADDR_PRIVATE},
		{"/ip4/172.31.0.1/tcp/1", NETADDR_PRIVATE},
		{"/ip4/172.32.0.1/tcp/1", NETADDR_PUBLIC},
		{"/ip4/192.168.1.1/tcp/1", NETADDR_PRIVATE},
		{"/ip4/100.64.0.1/tcp/1", NETADDR_PRIVATE},
		{"/ip4/100.128.0.1/tcp/1", NETADDR_PUBLIC},
		{"/ip4/224.0.0.1/tcp/1", NETADDR_NONE},
		{"/ip4/198.51.100.1/tcp/1", NETADDR_PUBLIC},
		{"/ip6/::/tcp/1", NETADDR_NONE},
		{"/ip6/::1/tcp/1", NETADDR_LOOPBACK},
		{"/ip6/fe80::1/tcp/1", NETADDR_LINK},
		{"/ip6/fd00::1/tcp/1", NETADDR_PRIVATE},
		{"/ip6/2001:db8::1/tcp/1", NETADDR_PUBLIC},
		{"/ip6/::ffff:10.0.0.1/tcp/1", NETADDR_PRIVATE},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		union netaddr a = parse(cases[i].text);
		if (netaddr_scope(&a) != cases[i].scope)
			fail_msg("%s: scope %d", cases[i].text, (int)netaddr_scope(&a));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_survive_the_way_through_multiaddr),
		cmocka_unit_test(test_names_are_left_to_the_resolver),
		cmocka_unit_test(test_scopes_are_those_of_the_registries),
	};
	return cmocka_run_group_tests_name("netaddr", tests, NULL, NULL);
}
