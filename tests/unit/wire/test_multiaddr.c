/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/util.h"
#include "wire/multiaddr.h"

#define ED_ID  "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
#define RSA_ID "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"

static enum err parse(const char *text, struct multiaddr *ret_addr)
{
	uint8_t *copy = testkit_copy(span_str(text));
	enum err e = multiaddr_parse(span_of(copy, strlen(text)), ret_addr);
	free(copy);
	return e;
}

static enum err from_hex(const char *hex, struct multiaddr *ret_addr)
{
	size_t len;
	uint8_t *bytes = testkit_unhex(hex, &len);
	enum err e = multiaddr_from_bytes(span_of(bytes, len), ret_addr);
	free(bytes);
	return e;
}

static struct multiaddr addr_of(const char *text)
{
	struct multiaddr addr;
	assert_ok(parse(text, &addr));
	return addr;
}

static void assert_text(const struct multiaddr *addr, const char *text)
{
	char buf[MULTIADDR_TEXT_MAX];
	assert_string_equal(multiaddr_format(addr, buf), text);
}

static void assert_pair(const char *text, const char *canonical, const char *hex)
{
	size_t len;
	uint8_t *bytes = testkit_unhex(hex, &len);
	struct multiaddr addr = addr_of(text);
	assert_span_equal(multiaddr_view(&addr), span_of(bytes, len));
	assert_text(&addr, canonical);
	struct multiaddr again;
	assert_ok(multiaddr_from_bytes(span_of(bytes, len), &again));
	assert_true(multiaddr_equal(&addr, &again));

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *copy = testkit_copy(span_of(bytes, cut));
		/* A cut between two parts is an address; anywhere else it is an error. */
		if (multiaddr_from_bytes(span_of(copy, cut), &again) == ERR_OK)
			assert_int_equal(again.len, cut);
		free(copy);
	}
	free(bytes);
}

static void test_vectors_agree_both_ways(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("multiaddr.json");
	size_t i;
	json_t *pair;
	json_array_foreach(json_object_get(root, "pairs"), i, pair)
	{
		const char *text = testkit_string(pair, "text");
		assert_pair(text, text, testkit_string(pair, "hex"));
	}
	assert_true(i >= 3);
	json_array_foreach(json_object_get(root, "generated"), i, pair)
	{
		assert_pair(testkit_string(pair, "text"), testkit_string(pair, "canonical"),
			    testkit_string(pair, "hex"));
		struct multiaddr addr = addr_of(testkit_string(pair, "text"));
		struct span iter = multiaddr_view(&addr);
		struct multiaddr_part part;
		size_t j;
		json_t *component;
		json_array_foreach(json_object_get(pair, "components"), j, component)
		{
			assert_true(multiaddr_next(&iter, &part));
			assert_int_equal(part.code,
					 json_integer_value(json_array_get(component, 0)));
		}
		assert_false(multiaddr_next(&iter, &part));
	}
	assert_true(i >= 19);
	json_decref(root);
}

static void test_vectors_that_must_fail_do(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("multiaddr.json");
	size_t i;
	json_t *bad;
	struct multiaddr addr = {.len = 999};
	json_array_foreach(json_object_get(root, "must_fail_text"), i, bad)
	{
		if (parse(json_string_value(bad), &addr) == ERR_OK)
			fail_msg("'%s' was accepted", json_string_value(bad));
	}
	assert_true(i > 30);
	json_array_foreach(json_object_get(root, "must_fail_hex"), i, bad)
	{
		if (from_hex(json_string_value(bad), &addr) == ERR_OK)
			fail_msg("%s was accepted", json_string_value(bad));
	}
	assert_true(i >= 10);
	assert_int_equal(addr.len, 999);
	json_decref(root);
}

static void test_texts_become_canonical(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *canonical;
	} cases[] = {
		{"/ip4/1.2.3.4/tcp/80///", "/ip4/1.2.3.4/tcp/80"},
		{"/ip4/1.2.3.4/tcp/00080", "/ip4/1.2.3.4/tcp/80"},
		{"/ip6/2001:DB8:0:0:1:0:0:1/tcp/1", "/ip6/2001:db8::1:0:0:1/tcp/1"},
		{"/ip6/2001:db8:0:1:1:1:1:1/tcp/1", "/ip6/2001:db8:0:1:1:1:1:1/tcp/1"},
		{"/ip6/::ffff:1.2.3.4/tcp/1", "/ip6/::ffff:1.2.3.4/tcp/1"},
		{"/ipfs/" RSA_ID, "/p2p/" RSA_ID},
		{"/p2p/bafzaajaiaejcahwr5d5ofrfbis4l5d6uwr57hu5tjodrypfm6yaq6dsc2r2pzyt6",
		 "/p2p/12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"},
		{"/certhash/f1220"
		 "00000000000000000000000000000000"
		 "00000000000000000000000000000000",
		 "/certhash/uEiAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
		{"/unix/run/runnel/p2p/x/", "/unix/run/runnel/p2p/x"},
		{"/memory/a", "/memory/a"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct multiaddr addr = addr_of(cases[i].text);
		assert_text(&addr, cases[i].canonical);
	}
}

static void test_texts_fail_for_the_reason_given(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err expected;
	} cases[] = {
		{"ip4/1.2.3.4", ERR_MALFORMED},   {"//ip4/1.2.3.4", ERR_MALFORMED},
		{"/ip4//1.2.3.4", ERR_MALFORMED}, {"/ip4/1.2.3.4//tcp/1", ERR_MALFORMED},
		{"/ip4/01.2.3.4", ERR_MALFORMED}, {"/ip4/1.2.3", ERR_MALFORMED},
		{"/ip4/1.2.3.4 ", ERR_MALFORMED}, {"/ip6/fe80::1%eth0", ERR_MALFORMED},
		{"/tcp/65536", ERR_RANGE},        {"/tcp/99999999999999999999999", ERR_RANGE},
		{"/tcp/+1", ERR_MALFORMED},       {"/tcp/0x1", ERR_MALFORMED},
		{"/dns/a b", ERR_MALFORMED},      {"/dns/a\nb", ERR_MALFORMED},
		{"/onion3/x", ERR_UNSUPPORTED},   {"/IP4/1.2.3.4", ERR_UNSUPPORTED},
		{"/p2p/alice", ERR_UNSUPPORTED},  {"/certhash/uEiA", ERR_MALFORMED},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct multiaddr addr;
		assert_err(parse(cases[i].text, &addr), cases[i].expected);
	}
	struct multiaddr addr;
	assert_err(multiaddr_parse(span_of("/ip4/1.2.3.4\0", 13), &addr), ERR_MALFORMED);
	assert_err(multiaddr_parse(span_of("/dns/a\0b", 8), &addr), ERR_MALFORMED);
}

static void test_hostile_bytes_fail_for_the_reason_given(void **state)
{
	(void)state;
	static const struct {
		const char *hex;
		enum err expected;
	} cases[] = {
		{"04", ERR_TRUNCATED},
		{"840001020304", ERR_MALFORMED}, /* a code that is not minimal */
		{"ffffffffffffffff7f", ERR_UNSUPPORTED},
		{"33", ERR_UNSUPPORTED},
		{"35ffffffffffffffff7f61", ERR_TRUNCATED},
		{"35810061", ERR_MALFORMED},
		{"35012f", ERR_MALFORMED}, /* a slash in a name */
		{"350100", ERR_MALFORMED},
		{"35017f", ERR_MALFORMED},
		{"a503020000", ERR_MALFORMED}, /* no key */
		{"a503020001", ERR_MALFORMED}, /* lies about its length: malformed inside */
		{"a503031101aa", ERR_UNSUPPORTED},
		{"d203021201", ERR_MALFORMED},
		{"90030161", ERR_MALFORMED},       /* paths are absolute, ... */
		{"9003022f61a202", ERR_MALFORMED}, /* last, ... */
		{"9003032f612f", ERR_MALFORMED},   /* and no folders */
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct multiaddr addr;
		assert_err(from_hex(cases[i].hex, &addr), cases[i].expected);
	}
}

static void test_longest_addresses_print_within_their_buffer(void **state)
{
	(void)state;
	/* As many parts as may be, each with the longest text for its bytes. */
	uint8_t bytes[MULTIADDR_LEN_MAX + 1];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	for (unsigned i = 0; i + 1 < MULTIADDR_PARTS_MAX; i++) {
		wbuf_put_u8(&w, MULTIADDR_IP6);
		memset(wbuf_reserve(&w, 16), 0xee, 16);
	}
	size_t digest_len = MULTIADDR_LEN_MAX - w.len - 2 - 2 - 3;
	wbuf_put(&w, span_of("\xd2\x03", 2));
	wbuf_put_u8(&w, (uint8_t)((digest_len + 3) & 0x7f) | 0x80);
	wbuf_put_u8(&w, (uint8_t)((digest_len + 3) >> 7));
	wbuf_put_u8(&w, 0x16);
	wbuf_put_u8(&w, (uint8_t)(digest_len & 0x7f) | 0x80);
	wbuf_put_u8(&w, (uint8_t)(digest_len >> 7));
	memset(wbuf_reserve(&w, digest_len), 0xff, digest_len);
	assert_int_equal(w.len, MULTIADDR_LEN_MAX);

	struct multiaddr addr;
	struct multiaddr again;
	assert_ok(multiaddr_from_bytes(wbuf_view(&w), &addr));
	char *text = malloc(MULTIADDR_TEXT_MAX);
	assert_non_null(text);
	size_t len = strlen(multiaddr_format(&addr, text));
	assert_in_range(len, 1000, MULTIADDR_TEXT_MAX - 1);
	assert_ok(parse(text, &again));
	assert_true(multiaddr_equal(&addr, &again));
	free(text);

	memset(bytes, 'a', sizeof(bytes));
	assert_err(multiaddr_from_bytes(span_of(bytes, sizeof(bytes)), &addr), ERR_TOO_LONG);
}

static void test_parts_and_texts_are_bounded(void **state)
{
	(void)state;
	char text[2 * MULTIADDR_TEXT_MAX] = "";
	struct multiaddr addr;
	for (unsigned i = 0; i < MULTIADDR_PARTS_MAX; i++)
		strcat(text, "/ws");
	assert_ok(parse(text, &addr));
	strcat(text, "/ws");
	assert_err(parse(text, &addr), ERR_TOO_LONG);

	strcpy(text, "/memory/");
	memset(text + 8, 'a', MULTIADDR_LEN_MAX - 4);
	text[8 + MULTIADDR_LEN_MAX - 4] = '\0';
	assert_ok(parse(text, &addr));
	assert_int_equal(addr.len, MULTIADDR_LEN_MAX);
	strcat(text, "a");
	assert_err(parse(text, &addr), ERR_TOO_LONG);
	memset(text + 8, 'a', sizeof(text) - 9);
	assert_err(parse(text, &addr), ERR_TOO_LONG);

	strcpy(text, "/dns/");
	memset(text + 5, 'a', 253);
	text[5 + 253] = '\0';
	assert_ok(parse(text, &addr));
	strcat(text, "a");
	assert_err(parse(text, &addr), ERR_TOO_LONG);
}

static void test_ip_and_port_make_an_address(void **state)
{
	(void)state;
	struct multiaddr addr;
	multiaddr_from_ip_tcp((const uint8_t[]){192, 0, 2, 1}, 4, 4001, &addr);
	assert_text(&addr, "/ip4/192.0.2.1/tcp/4001");
	uint8_t ip6[16] = {0xfe, 0x80, [15] = 1};
	multiaddr_from_ip_tcp(ip6, 16, 65535, &addr);
	assert_text(&addr, "/ip6/fe80::1/tcp/65535");
	struct multiaddr again;
	assert_ok(multiaddr_from_bytes(multiaddr_view(&addr), &again));
}

static void test_peer_id_is_appended_and_split_off(void **state)
{
	(void)state;
	struct multiaddr addr = addr_of("/ip4/192.0.2.1/tcp/4001");
	struct multiaddr before = addr;
	struct peer_id id;
	struct peer_id split;
	assert_ok(peer_id_parse(span_str(ED_ID), &id));
	multiaddr_split_p2p(&addr, &split);
	assert_int_equal(split.len, 0);
	assert_true(multiaddr_equal(&addr, &before));

	assert_ok(multiaddr_append_p2p(&addr, &id));
	assert_text(&addr, "/ip4/192.0.2.1/tcp/4001/p2p/" ED_ID);
	multiaddr_split_p2p(&addr, &split);
	assert_true(peer_id_equal(&id, &split));
	assert_true(multiaddr_equal(&addr, &before));

	addr = addr_of("/p2p/" RSA_ID "/p2p-circuit");
	multiaddr_split_p2p(&addr, &split);
	assert_int_equal(split.len, 0);
	addr = addr_of("/p2p/" RSA_ID "/p2p-circuit/p2p/" ED_ID);
	multiaddr_split_p2p(&addr, &split);
	assert_true(peer_id_equal(&id, &split));
	assert_text(&addr, "/p2p/" RSA_ID "/p2p-circuit");
	addr = addr_of("/p2p/" ED_ID);
	multiaddr_split_p2p(&addr, &split);
	assert_true(peer_id_equal(&id, &split));
	assert_int_equal(addr.len, 0);
	multiaddr_split_p2p(&addr, &split);
	assert_int_equal(split.len, 0);
	assert_text(&addr, "");
}

static void test_full_address_takes_no_peer_id_and_stays_whole(void **state)
{
	(void)state;
	struct peer_id id;
	assert_ok(peer_id_parse(span_str(ED_ID), &id));
	struct multiaddr addr = {0};
	unsigned n = 0;
	while (multiaddr_append_p2p(&addr, &id) == ERR_OK)
		n++;
	assert_int_equal(n, MULTIADDR_LEN_MAX / 41);
	struct multiaddr again;
	assert_ok(multiaddr_from_bytes(multiaddr_view(&addr), &again));
	assert_true(multiaddr_equal(&addr, &again));

	addr = addr_of("/ws/ws/ws/ws/ws/ws/ws/ws/ws/ws/ws/ws/ws/ws/ws/ws");
	assert_err(multiaddr_append_p2p(&addr, &id), ERR_FULL);
}

static void test_tcp_dialler_takes_exactly_tcp(void **state)
{
	(void)state;
	struct multiaddr_tcp tcp;
	struct multiaddr addr = addr_of("/ip4/192.0.2.1/tcp/4001");
	assert_ok(multiaddr_as_tcp(&addr, &tcp));
	assert_int_equal(tcp.host_code, MULTIADDR_IP4);
	assert_span_equal(tcp.host, span_of("\xc0\x00\x02\x01", 4));
	assert_int_equal(tcp.port, 4001);
	assert_int_equal(tcp.zone.len, 0);
	assert_int_equal(tcp.peer.len, 0);

	addr = addr_of("/ip6zone/eth0/ip6/fe80::1/tcp/1/p2p/" ED_ID);
	assert_ok(multiaddr_as_tcp(&addr, &tcp));
	assert_int_equal(tcp.host_code, MULTIADDR_IP6);
	assert_int_equal(tcp.host.len, 16);
	assert_span_equal(tcp.zone, span_str("eth0"));
	assert_int_equal(tcp.peer.len, 38);

	addr = addr_of("/dns4/example.com/tcp/443");
	assert_ok(multiaddr_as_tcp(&addr, &tcp));
	assert_int_equal(tcp.host_code, MULTIADDR_DNS4);
	assert_span_equal(tcp.host, span_str("example.com"));

	static const char *const others[] = {
		"/ip4/192.0.2.1",
		"/tcp/1",
		"/ip4/192.0.2.1/udp/1",
		"/ip4/192.0.2.1/tcp/1/ws",
		"/ip4/192.0.2.1/tcp/1/tls/ws",
		"/ip4/192.0.2.1/tcp/1/p2p/" ED_ID "/p2p-circuit",
		"/ip4/192.0.2.1/tcp/1/p2p/" ED_ID "/p2p/" ED_ID,
		"/ip4/192.0.2.1/tcp/1/p2p-circuit",
		"/ip4/192.0.2.1/tcp/1/tcp/2",
		"/ip4/192.0.2.1/udp/1/quic-v1",
		"/dnsaddr/example.com/tcp/1",
		"/ip6zone/eth0/ip4/192.0.2.1/tcp/1",
		"/ip6zone/eth0",
		"/unix/run/x",
		("/p2p/" ED_ID),
	};
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		addr = addr_of(others[i]);
		assert_err(multiaddr_as_tcp(&addr, &tcp), ERR_UNSUPPORTED);
	}
	addr.len = 0;
	assert_err(multiaddr_as_tcp(&addr, &tcp), ERR_UNSUPPORTED);
}

static void test_only_common_kinds_are_portable(void **state)
{
	(void)state;
	static const char *const portable[] = {
		"/ip4/1.2.3.4/tcp/1", "/ip6/::1/udp/1/quic-v1",
		"/dnsaddr/a",         "/ip4/1.2.3.4/tcp/1/p2p/" ED_ID "/p2p-circuit",
		"/dns4/a/tcp/1",      "/dns6/a/tcp/1",
		"/dns/a/tcp/1",
	};
	static const char *const others[] = {
		"/ip4/1.2.3.4/tcp/1/ws",
		"/ip6zone/a/ip6/::1/tcp/1",
		"/ip4/1.2.3.4/udp/1/quic",
		"/memory/a",
		"/ip4/1.2.3.4/udp/1/webrtc-direct",
		"/unix/a",
	};
	struct multiaddr addr;
	for (size_t i = 0; i < ARRAY_LEN(portable); i++) {
		addr = addr_of(portable[i]);
		assert_true(multiaddr_is_portable(&addr));
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		addr = addr_of(others[i]);
		assert_false(multiaddr_is_portable(&addr));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_agree_both_ways),
		cmocka_unit_test(test_vectors_that_must_fail_do),
		cmocka_unit_test(test_texts_become_canonical),
		cmocka_unit_test(test_texts_fail_for_the_reason_given),
		cmocka_unit_test(test_hostile_bytes_fail_for_the_reason_given),
		cmocka_unit_test(test_longest_addresses_print_within_their_buffer),
		cmocka_unit_test(test_parts_and_texts_are_bounded),
		cmocka_unit_test(test_ip_and_port_make_an_address),
		cmocka_unit_test(test_peer_id_is_appended_and_split_off),
		cmocka_unit_test(test_full_address_takes_no_peer_id_and_stays_whole),
		cmocka_unit_test(test_tcp_dialler_takes_exactly_tcp),
		cmocka_unit_test(test_only_common_kinds_are_portable),
	};
	return cmocka_run_group_tests_name("multiaddr", tests, NULL, NULL);
}
