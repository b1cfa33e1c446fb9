/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "config_fixture.h"

#include <unistd.h>

#include "base/util.h"
#include "vpn/config/settings.h"

static void test_left_out_settings_have_their_defaults(void **state)
{
	(void)state;
	char buf[MULTIADDR_TEXT_MAX];
	struct config *c = parse_ok(INTERFACE);
	assert_string_equal(c->key, "/etc/runnel/node.key");
	assert_int_equal(c->listen.len, 2);
	assert_string_equal(multiaddr_format(&c->listen.items[0], buf), "/ip4/0.0.0.0/tcp/4001");
	assert_string_equal(multiaddr_format(&c->listen.items[1], buf), "/ip6/::/tcp/4001");
	assert_string_equal(c->interface.name, "runnel0");
	assert_int_equal(c->interface.mtu, 1400);
	assert_true(c->interface.routes);
	assert_string_equal(c->control, "/run/runnel/runnel0.sock");
	assert_int_equal(c->log_level, LOG_INFO);
	assert_int_equal(c->queue.packets, 1000);
	assert_int_equal(c->queue.bytes, 2 * 1024 * 1024);
	assert_int_equal(c->tcp.user_timeout, 10 * NSEC_PER_SEC);
	assert_int_equal(c->tcp.notsent_lowat, 128 * 1024);
	assert_string_equal(c->tcp.congestion, "");
	assert_int_equal(c->keepalive, 15 * NSEC_PER_SEC);
	assert_int_equal(c->peers.len, 0);
	config_free(c);
}

static void test_left_out_settings_of_dispatch_have_their_defaults(void **state)
{
	(void)state;
	struct config *c = parse_ok(INTERFACE);
	assert_int_equal(c->shards, 0);
	assert_int_equal(c->dispatch.min_streams_per_peer, 1);
	assert_int_equal(c->dispatch.max_streams_per_peer, 10);
	assert_int_equal(c->dispatch.stream_idle_timeout, 300 * NSEC_PER_SEC);
	assert_int_equal(c->dispatch.stream_cleanup_interval, 60 * NSEC_PER_SEC);
	assert_int_equal(c->dispatch.worker_idle_timeout, 300 * NSEC_PER_SEC);
	assert_int_equal(c->dispatch.worker_cleanup_interval, 60 * NSEC_PER_SEC);
	assert_int_equal(c->dispatch.worker_buffer_size, 1000);
	assert_int_equal(c->dispatch.packet_buffer_size, 1000);
	assert_int_equal(c->dispatch.queue_target, 5 * NSEC_PER_MSEC);
	assert_int_equal(c->dispatch.queue_interval, 100 * NSEC_PER_MSEC);
	assert_true(c->dispatch.multiplex);
	assert_int_equal(c->health.interval, 30 * NSEC_PER_SEC);
	assert_int_equal(c->health.timeout, 5 * NSEC_PER_SEC);
	assert_int_equal(c->health.failures, 3);
	assert_int_equal(c->breaker.failures, 5);
	assert_int_equal(c->breaker.open_for, 60 * NSEC_PER_SEC);
	assert_int_equal(c->breaker.successes, 2);
	assert_int_equal(c->retry.tries, 5);
	assert_int_equal(c->retry.first, 1 * NSEC_PER_SEC);
	assert_int_equal(c->retry.max, 30 * NSEC_PER_SEC);
	config_free(c);
}

static void test_each_setting_of_dispatch_reaches_its_member(void **state)
{
	(void)state;
	struct config *c = parse_ok(INTERFACE
				    "shards: 3\n"
				    "dispatch:\n"
				    "  min_streams_per_peer: 2\n"
				    "  max_streams_per_peer: 4\n"
				    "  stream_idle_timeout: 5s\n"
				    "  stream_cleanup_interval: 6s\n"
				    "  worker_idle_timeout: 7s\n"
				    "  worker_cleanup_interval: 8s\n"
				    "  worker_buffer_size: 19\n"
				    "  packet_buffer_size: 20\n"
				    "  queue_target: 11ms\n"
				    "  queue_interval: 12ms\n"
				    "  multiplex: false\n"
				    "health: {interval: 14s, timeout: 13s, failures: 15}\n"
				    "breaker: {failures: 16, open_for: 17s, successes: 18}\n"
				    "retry: {tries: 21, first: 22s, max: 23s}\n");
	assert_int_equal(c->shards, 3);
	assert_int_equal(c->dispatch.min_streams_per_peer, 2);
	assert_int_equal(c->dispatch.max_streams_per_peer, 4);
	assert_int_equal(c->dispatch.stream_idle_timeout, 5 * NSEC_PER_SEC);
	assert_int_equal(c->dispatch.stream_cleanup_interval, 6 * NSEC_PER_SEC);
	assert_int_equal(c->dispatch.worker_idle_timeout, 7 * NSEC_PER_SEC);
	assert_int_equal(c->dispatch.worker_cleanup_interval, 8 * NSEC_PER_SEC);
	assert_int_equal(c->dispatch.worker_buffer_size, 19);
	assert_int_equal(c->dispatch.packet_buffer_size, 20);
	assert_int_equal(c->dispatch.queue_target, 11 * NSEC_PER_MSEC);
	assert_int_equal(c->dispatch.queue_interval, 12 * NSEC_PER_MSEC);
	assert_false(c->dispatch.multiplex);
	assert_int_equal(c->health.timeout, 13 * NSEC_PER_SEC);
	assert_int_equal(c->health.interval, 14 * NSEC_PER_SEC);
	assert_int_equal(c->health.failures, 15);
	assert_int_equal(c->breaker.failures, 16);
	assert_int_equal(c->breaker.open_for, 17 * NSEC_PER_SEC);
	assert_int_equal(c->breaker.successes, 18);
	assert_int_equal(c->retry.tries, 21);
	assert_int_equal(c->retry.first, 22 * NSEC_PER_SEC);
	assert_int_equal(c->retry.max, 23 * NSEC_PER_SEC);
	config_free(c);
}

static void test_numbers_of_a_pair_may_meet_where_that_makes_sense(void **state)
{
	(void)state;
	config_free(parse_ok(INTERFACE
			     "dispatch: {min_streams_per_peer: 10, max_streams_per_peer: 10}\n"
			     "health: {interval: 3s, timeout: 3s}\n"
			     "retry: {first: 3s, max: 3s}\n"));
	config_free(parse_ok(INTERFACE "dispatch: {min_streams_per_peer: 0}\n"));
}

static void test_each_setting_reaches_its_member(void **state)
{
	(void)state;
	char id[PEER_ID_TEXT_MAX];
	char addr[MULTIADDR_TEXT_MAX];
	char prefix[IP_PREFIX_TEXT_MAX];
	struct config *c =
		parse_ok("key: /k\n"
			 "listen: [/ip4/127.0.0.1/tcp/0]\n"
			 "interface:\n"
			 "  name: vpn1\n"
			 "  addresses: [10.7.0.1/24, fd07::1/64]\n"
			 "  mtu: 1280\n"
			 "  routes: false\n"
			 "control: /c\n"
			 "log_level: debug\n"
			 "queue: {packets: 77, bytes: 1GiB}\n"
			 "tcp: {user_timeout: 1m, notsent_lowat: 4096B, congestion: bbr}\n"
			 "keepalive: 1500ms\n"
			 "peers:\n"
			 "  - id: " ID1 "\n"
			 "    name: bob\n"
			 "    addresses: [/dns6/bob.example/tcp/1]\n"
			 "    allowed_ips: [10.7.0.2, 'fd07:1::/32']\n"
			 "    protocol: vpn\n"
			 "  - id: " ID2 "\n");
	assert_string_equal(c->key, "/k");
	assert_int_equal(c->listen.len, 1);
	assert_string_equal(c->interface.name, "vpn1");
	assert_int_equal(c->interface.addresses.len, 2);
	assert_string_equal(ip_prefix_format(&c->interface.addresses.items[1], prefix),
			    "fd07::1/64");
	assert_int_equal(c->interface.mtu, 1280);
	assert_false(c->interface.routes);
	assert_string_equal(c->control, "/c");
	assert_int_equal(c->log_level, LOG_DEBUG);
	assert_int_equal(c->queue.packets, 77);
	assert_int_equal(c->queue.bytes, 1 << 30);
	assert_int_equal(c->tcp.user_timeout, 60 * NSEC_PER_SEC);
	assert_int_equal(c->tcp.notsent_lowat, 4096);
	assert_string_equal(c->tcp.congestion, "bbr");
	assert_int_equal(c->keepalive, 1500 * NSEC_PER_MSEC);
	assert_int_equal(c->peers.len, 2);
	const struct config_peer *bob = &c->peers.items[0];
	assert_string_equal(peer_id_format(&bob->id, id), ID1);
	assert_string_equal(bob->name, "bob");
	assert_int_equal(bob->addresses.len, 1);
	assert_string_equal(multiaddr_format(&bob->addresses.items[0], addr),
			    "/dns6/bob.example/tcp/1");
	assert_int_equal(bob->allowed_ips.len, 2);
	assert_string_equal(ip_prefix_format(&bob->allowed_ips.items[0], prefix), "10.7.0.2/32");
	assert_string_equal(ip_prefix_format(&bob->allowed_ips.items[1], prefix), "fd07:1::/32");
	assert_int_equal(bob->protocol, CONFIG_PROTOCOL_VPN);
	assert_string_equal(config_protocol_name(bob->protocol), "vpn");
	const struct config_peer *other = &c->peers.items[1];
	assert_string_equal(other->name, "");
	assert_int_equal(other->addresses.len, 0);
	assert_int_equal(other->allowed_ips.len, 0);
	assert_int_equal(other->protocol, CONFIG_PROTOCOL_AUTO);
	config_free(c);
}

static void test_control_defaults_to_the_interfaces_name(void **state)
{
	(void)state;
	struct config *c = parse_ok("interface: {addresses: [10.7.0.1/24], name: wan}\n");
	assert_string_equal(c->control, "/run/runnel/wan.sock");
	config_free(c);
}

static void test_empty_values_are_empty_lists_and_maps(void **state)
{
	(void)state;
	struct config *c = parse_ok(INTERFACE "peers:\ntcp:\nqueue: {}\nlisten: []\n");
	assert_int_equal(c->peers.len, 0);
	assert_int_equal(c->listen.len, 0);
	assert_int_equal(c->queue.packets, 1000);
	config_free(c);
}

static void test_p2p_end_of_an_address_is_taken_off(void **state)
{
	(void)state;
	char addr[MULTIADDR_TEXT_MAX];
	struct config *c = parse_ok(INTERFACE "peers:\n  - id: " ID1
					      "\n    addresses: [/ip4/192.0.2.7/tcp/1/p2p/" ID1
					      "]\n");
	assert_string_equal(multiaddr_format(&c->peers.items[0].addresses.items[0], addr),
			    "/ip4/192.0.2.7/tcp/1");
	config_free(c);
}

static void test_peer_may_be_dialled_inside_of_its_ips_without_routes(void **state)
{
	(void)state;
	config_free(parse_ok("interface: {addresses: [10.7.0.1/24], routes: false}\n"
			     "peers:\n  - id: " ID1 "\n    addresses: [/ip4/192.0.2.7/tcp/1]\n"
			     "    allowed_ips: [0.0.0.0/0, '::/1', '8000::/1']\n"));
}

static const char *section_prefix(enum setting_section section)
{
	switch (section) {
	case SECTION_INTERFACE:
		return "interface: {addresses: [10.7.0.1/24], ";
	case SECTION_QUEUE:
		return INTERFACE "queue: {";
	case SECTION_TCP:
		return INTERFACE "tcp: {";
	case SECTION_DISPATCH:
		return INTERFACE "dispatch: {";
	case SECTION_HEALTH:
		return INTERFACE "health: {";
	case SECTION_BREAKER:
		return INTERFACE "breaker: {";
	case SECTION_RETRY:
		return INTERFACE "retry: {";
	default:
		return INTERFACE;
	}
}

/* What has to stand beside a setting for it to take all its values. */
static const char *company_of(const char *name)
{
	static const char *const companies[][2] = {
		{"min_streams_per_peer", "max_streams_per_peer: 64, "},
		{"max_streams_per_peer", "min_streams_per_peer: 0, "},
		{"queue_target", "queue_interval: 4s, "},
		{"queue_interval", "queue_target: 1ms, "},
		{"interval", "timeout: 100ms, "},
		{"timeout", "interval: 1h, "},
		{"first", "max: 1h, "},
		{"max", "first: 100ms, "},
	};
	for (size_t i = 0; i < ARRAY_LEN(companies); i++) {
		if (strcmp(companies[i][0], name) == 0)
			return companies[i][1];
	}
	return "";
}

static enum err parse_value(const struct setting *s, uint64_t value, struct config **ret_config)
{
	/* The smallest unit, so that one off can be written. */
	const char *unit = s->type == SETTING_DURATION ? "ms" : s->type == SETTING_SIZE ? "B" : "";
	uint64_t factor = s->type == SETTING_DURATION ? NSEC_PER_MSEC : 1;
	char text[512];
	snprintf(text, sizeof(text), "%s%s%s: %llu%s%s\n", section_prefix(s->section),
		 company_of(s->name), s->name, (unsigned long long)(value / factor), unit,
		 s->section != SECTION_TOP ? "}" : "");
	return parse(text, ret_config);
}

static void test_numbers_are_taken_up_to_their_bounds_and_not_one_off(void **state)
{
	(void)state;
	size_t n = 0;
	for (size_t i = 0; i < settings_len; i++) {
		const struct setting *s = &settings[i];
		if (s->type != SETTING_NUMBER && s->type != SETTING_SIZE &&
		    s->type != SETTING_DURATION)
			continue;
		n++;
		uint64_t step = s->type == SETTING_DURATION ? NSEC_PER_MSEC : 1;
		const uint64_t bounds[] = {s->min, s->max};
		for (size_t j = 0; j < ARRAY_LEN(bounds); j++) {
			struct config *c = NULL;
			uint64_t got = 0;
			assert_ok(parse_value(s, bounds[j], &c));
			if (s->type == SETTING_NUMBER)
				got = *(uint32_t *)((uint8_t *)c + s->offset);
			else
				got = *(uint64_t *)((uint8_t *)c + s->offset);
			assert_int_equal(got, bounds[j]);
			config_free(c);
		}
		struct config *none = NULL;
		assert_err(parse_value(s, s->min - step, &none), ERR_RANGE);
		assert_err(parse_value(s, s->max + step, &none), ERR_RANGE);
		assert_null(none);
	}
	assert_int_equal(n, 26);
}

/* A file of n peers with two addresses and two prefixes each; free() it. */
static char *make_file(unsigned n)
{
	size_t cap = 256 + (size_t)n * 256;
	char *text = malloc(cap);
	assert_non_null(text);
	size_t at = (size_t)snprintf(text, cap, "%speers:\n", INTERFACE);
	for (unsigned i = 0; i < n; i++) {
		char id[PEER_ID_TEXT_MAX];
		make_id(i, id);
		at += (size_t)snprintf(
			text + at, cap - at,
			"  - id: %s\n    name: peer-%u\n"
			"    addresses: [/ip4/192.0.2.%u/tcp/%u, /dns/p%u.example/tcp/1]\n"
			"    allowed_ips: [10.8.%u.%u/32, 'fd08::%x/128']\n",
			id, i, i % 250 + 1, i + 1, i, i / 256, i % 256, i);
	}
	assert_true(at < cap);
	return text;
}

static void test_thousand_peers_load(void **state)
{
	(void)state;
	char *text = make_file(1000);
	struct config *c = parse_ok(text);
	assert_int_equal(c->peers.len, 1000);
	assert_string_equal(c->peers.items[999].name, "peer-999");
	assert_int_equal(c->peers.items[999].allowed_ips.items[0].addr.bytes[3], 999 % 256);
	config_free(c);
	free(text);
}

static void test_one_peer_too_many_is_refused(void **state)
{
	(void)state;
	char *text = make_file(CONFIG_PEERS_MAX + 1);
	struct config *c = NULL;
	assert_err(parse(text, &c), ERR_RANGE);
	assert_string_equal(errors.items[0].text,
			    "f:3:3: peers: has 10001 items; at most 10000 are possible");
	free(text);
}

static void test_file_cut_at_any_byte_is_read_or_explained(void **state)
{
	(void)state;
	char *text = make_file(3);
	size_t len = strlen(text);
	for (size_t n = 0; n <= len; n++) {
		uint8_t *copy = testkit_copy(span_of(text, n));
		struct config *c = NULL;
		enum err e = config_parse(span_of(copy, n), "f", &c, &errors);
		free(copy);
		assert_true((e == ERR_OK) == (c != NULL));
		assert_true((e == ERR_OK) == (errors.len == 0));
		config_free(c);
	}
	free(text);
}

static void test_file_with_any_byte_changed_is_read_or_explained(void **state)
{
	(void)state;
	char *text = make_file(2);
	size_t len = strlen(text);
	for (unsigned i = 0; i < 4000; i++) {
		uint8_t *copy = testkit_copy(span_of(text, len));
		copy[testkit_random() % len] = (uint8_t)testkit_random();
		struct config *c = NULL;
		enum err e = config_parse(span_of(copy, len), "f", &c, &errors);
		free(copy);
		assert_true((e == ERR_OK) == (errors.len == 0));
		config_free(c);
	}
	free(text);
}

static void test_messages_are_bounded_and_in_order(void **state)
{
	(void)state;
	char text[8192] = "";
	size_t at = 0;
	struct config *c = NULL;
	for (unsigned i = 0; i < 200; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "unknown_%u: 1\n", i);
	assert_err(parse(text, &c), ERR_MALFORMED);
	assert_int_equal(errors.len, CONFIG_ERRORS_MAX);
	assert_int_equal(errors.len + errors.omitted, 201); /* and interface.addresses */
	for (size_t i = 1; i < errors.len; i++)
		assert_true(errors.items[i - 1].line <= errors.items[i].line);
}

static void test_long_file_is_refused_unread(void **state)
{
	(void)state;
	struct config *c = NULL;
	uint8_t *big = malloc(CONFIG_LEN_MAX + 1);
	assert_non_null(big);
	memset(big, '\n', CONFIG_LEN_MAX + 1);
	assert_err(config_parse(span_of(big, CONFIG_LEN_MAX + 1), "f", &c, &errors), ERR_TOO_LONG);
	assert_string_equal(errors.items[0].text,
			    "f: longer than 4 MiB, which is no configuration");
	assert_err(config_parse(span_of(big, CONFIG_LEN_MAX), "f", &c, &errors), ERR_MALFORMED);
	free(big);
}

/* Text that makes the most of its length. */
static void test_dense_files_are_refused_in_time(void **state)
{
	(void)state;
	static const char *const units[] = {"[",   "{",  "- ", "? ", "a,",
					    "&a ", "\"", "#",  "!",  "a: "};
	uint8_t *big = malloc(CONFIG_LEN_MAX);
	assert_non_null(big);
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		struct config *c = NULL;
		size_t n = strlen(units[i]);
		for (size_t at = 0; at + n <= CONFIG_LEN_MAX; at += n)
			memcpy(big + at, units[i], n);
		big[0] = strcmp(units[i], "a,") == 0 ? '[' : big[0];
		assert_true(config_parse(span_of(big, CONFIG_LEN_MAX), "f", &c, &errors) != ERR_OK);
		assert_null(c);
	}
	free(big);
}

static void test_load_reads_a_file_or_says_why_not(void **state)
{
	(void)state;
	char path[] = "/tmp/runnel-config-XXXXXX";
	struct config *c = NULL;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, INTERFACE, strlen(INTERFACE)), strlen(INTERFACE));
	close(fd);
	assert_ok(config_load(path, &c, &errors));
	assert_int_equal(errors.len, 0);
	assert_string_equal(c->interface.name, "runnel0");
	c = config_free(c);
	unlink(path);

	assert_err(config_load("/nonexistent/runnel.yaml", &c, &errors), ERR_NOT_FOUND);
	assert_string_equal(
		errors.items[0].text,
		"/nonexistent/runnel.yaml: cannot be opened: No such file or directory");
	assert_true(config_load("/", &c, &errors) != ERR_OK);
	assert_int_equal(errors.len, 1);
	assert_string_equal(errors.items[0].text, "/: cannot be read: Is a directory");
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_left_out_settings_have_their_defaults),
		cmocka_unit_test(test_each_setting_reaches_its_member),
		cmocka_unit_test(test_left_out_settings_of_dispatch_have_their_defaults),
		cmocka_unit_test(test_each_setting_of_dispatch_reaches_its_member),
		cmocka_unit_test(test_numbers_of_a_pair_may_meet_where_that_makes_sense),
		cmocka_unit_test(test_control_defaults_to_the_interfaces_name),
		cmocka_unit_test(test_empty_values_are_empty_lists_and_maps),
		cmocka_unit_test(test_p2p_end_of_an_address_is_taken_off),
		cmocka_unit_test(test_peer_may_be_dialled_inside_of_its_ips_without_routes),
		cmocka_unit_test(test_numbers_are_taken_up_to_their_bounds_and_not_one_off),
		cmocka_unit_test(test_thousand_peers_load),
		cmocka_unit_test(test_one_peer_too_many_is_refused),
		cmocka_unit_test(test_file_cut_at_any_byte_is_read_or_explained),
		cmocka_unit_test(test_file_with_any_byte_changed_is_read_or_explained),
		cmocka_unit_test(test_messages_are_bounded_and_in_order),
		cmocka_unit_test(test_long_file_is_refused_unread),
		cmocka_unit_test(test_dense_files_are_refused_in_time),
		cmocka_unit_test(test_load_reads_a_file_or_says_why_not),
	};
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
