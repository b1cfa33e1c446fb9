/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "desk.h"

#include "base/util.h"

static struct runnel_dispatcher *dispatcher; /* what a refused new must not write */

static enum runnel_err try_new(char why[256])
{
	const struct runnel_peer_discovery discovery = runnel_memory_discovery_get(desk.discovery);
	const struct runnel_stream_service streams = runnel_memory_streams_get(desk.streams);
	dispatcher = NULL;
	enum runnel_err err = runnel_dispatcher_new(&discovery, &streams, &desk.conf,
						    &desk.resilience, &dispatcher, why, 256);
	if (err != RUNNEL_ERR_OK)
		assert_null(dispatcher);
	return err;
}

static void expect_refused(const char *name)
{
	char why[256];
	assert_public_err(try_new(why), RUNNEL_ERR_RANGE);
	if (strncmp(why, name, strlen(name)) != 0 || strstr(why, "must be from") == NULL)
		fail_msg("of %s it says: %s", name, why);
	runnel_dispatch_conf_init(&desk.conf);
	runnel_resilience_init(&desk.resilience);
}

static void expect_taken(void)
{
	char why[256];
	if (try_new(why) != RUNNEL_ERR_OK)
		fail_msg("refused: %s", why);
	runnel_dispatcher_free(dispatcher);
	runnel_dispatch_conf_init(&desk.conf);
	runnel_resilience_init(&desk.resilience);
	desk.conf.shards = 1;
}

/* What its header says is allowed, and the values right beside it. */
#define BOUNDS(where, member, low, high)    \
	do {                                \
		where.member = (low)-1;     \
		expect_refused(#member);    \
		where.member = (high) + 1u; \
		expect_refused(#member);    \
		where.member = (low);       \
		expect_taken();             \
	} while (0)

#define SEC RUNNEL_NSEC_PER_SEC
#define MS  RUNNEL_NSEC_PER_MSEC

static void test_each_member_is_held_to_its_range_and_named(void **state)
{
	(void)state;
	desk.conf.shards = 65;
	expect_refused("shards");
	desk.conf.min_streams_per_peer = 11; /* above the default of the maximum */
	expect_refused("min_streams_per_peer");
	BOUNDS(desk.conf, stream_idle_timeout, 1 * SEC, 24 * 3600 * SEC);
	BOUNDS(desk.conf, stream_cleanup_interval, 1 * SEC, 3600 * SEC);
	BOUNDS(desk.conf, worker_idle_timeout, 1 * SEC, 24 * 3600 * SEC);
	BOUNDS(desk.conf, worker_cleanup_interval, 1 * SEC, 3600 * SEC);
	BOUNDS(desk.conf, worker_buffer_size, 16, 65536);
	BOUNDS(desk.conf, packet_buffer_size, 16, 65536);
	BOUNDS(desk.conf, peer_packets, 16, 65536);
	BOUNDS(desk.conf, peer_bytes, 128 * 1024, 1024 * 1024 * 1024);
	BOUNDS(desk.conf, shard_packets, 64, 1048576);
	BOUNDS(desk.conf, inbox_size, 16, 65536);
	BOUNDS(desk.conf, queue_target, 1 * MS, 100 * MS - 1);
	BOUNDS(desk.conf, queue_interval, 10 * MS, 4 * SEC);
	BOUNDS(desk.conf, mtu, 576, 65535);
	desk.conf.health.interval = 1 * SEC - 1;
	expect_refused("health.interval");
	desk.conf.health.interval = 3600 * SEC + 1;
	expect_refused("health.interval");
	BOUNDS(desk.conf, health.timeout, 100 * MS, 30 * SEC);
	BOUNDS(desk.conf, health.failures, 1, 16);
	BOUNDS(desk.resilience, breaker_failures, 1, 1000);
	BOUNDS(desk.resilience, breaker_open_for, 1 * SEC, 3600 * SEC);
	BOUNDS(desk.resilience, breaker_successes, 1, 100);
	BOUNDS(desk.resilience, retry_tries, 1, 100);
	BOUNDS(desk.resilience, retry_first, 100 * MS, 30 * SEC);
	desk.resilience.retry_max = 100 * MS - 1;
	expect_refused("retry_max");
	desk.resilience.retry_max = 3600 * SEC + 1;
	expect_refused("retry_max");
	desk.conf.max_streams_per_peer = 0;
	expect_refused("max_streams_per_peer");
	desk.conf.max_streams_per_peer = 65;
	expect_refused("max_streams_per_peer");
}

static void test_no_conf_is_the_defaults(void **state)
{
	(void)state;
	const struct runnel_peer_discovery discovery = runnel_memory_discovery_get(desk.discovery);
	const struct runnel_stream_service streams = runnel_memory_streams_get(desk.streams);
	assert_public_ok(
		runnel_dispatcher_new(&discovery, &streams, NULL, NULL, &desk.dispatcher, NULL, 0));
	unsigned n = runnel_dispatcher_shards(desk.dispatcher);
	assert_true(n >= 1 && n <= 8);
}

static void test_text_of_a_refusal_is_cut_to_the_buffer(void **state)
{
	(void)state;
	const struct runnel_peer_discovery discovery = runnel_memory_discovery_get(desk.discovery);
	const struct runnel_stream_service streams = runnel_memory_streams_get(desk.streams);
	char why[5] = "none";
	desk.conf.mtu = 0;
	for (size_t len = 0; len <= sizeof(why); len++)
		assert_public_err(runnel_dispatcher_new(&discovery, &streams, &desk.conf, NULL,
							&dispatcher, len > 0 ? why : NULL, len),
				  RUNNEL_ERR_RANGE);
	assert_string_equal(why, "mtu:");
}

static void test_interface_with_a_function_missing_is_refused(void **state)
{
	(void)state;
	struct runnel_peer_discovery discovery = runnel_memory_discovery_get(desk.discovery);
	struct runnel_stream_service streams = runnel_memory_streams_get(desk.streams);
	const struct runnel_peer_discovery_ops no_find = {.find = NULL};
	struct runnel_stream_ops ops;
	const size_t must[] = {
		offsetof(struct runnel_stream_ops, open_shard),
		offsetof(struct runnel_stream_ops, close_shard),
		offsetof(struct runnel_stream_ops, open),
		offsetof(struct runnel_stream_ops, wake),
		offsetof(struct runnel_stream_ops, finish),
		offsetof(struct runnel_stream_ops, reset),
		offsetof(struct runnel_stream_ops, facts),
	};
	char why[256];
	for (size_t i = 0; i < ARRAY_LEN(must); i++) {
		struct runnel_stream_service part = {.ops = &ops};
		ops = *streams.ops;
		memset((char *)&ops + must[i], 0, sizeof(void (*)(void)));
		assert_public_err(runnel_dispatcher_new(&discovery, &part, NULL, NULL, &dispatcher,
							why, sizeof(why)),
				  RUNNEL_ERR_MALFORMED);
		assert_non_null(strstr(why, "streams"));
	}
	discovery.ops = &no_find;
	assert_public_err(runnel_dispatcher_new(&discovery, &streams, NULL, NULL, &dispatcher, why,
						sizeof(why)),
			  RUNNEL_ERR_MALFORMED);
	assert_non_null(strstr(why, "find()"));
}

/* --- names --------------------------------------------------------------------------- */

static void test_names_of_drops_are_there_and_differ(void **state)
{
	(void)state;
	for (unsigned i = 0; i <= RUNNEL_DROP_CLOSING; i++) {
		const char *name = runnel_drop_name((enum runnel_drop)i);
		assert_string_not_equal(name, "unknown");
		assert_true(strlen(runnel_drop_text((enum runnel_drop)i)) > 5);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(name, runnel_drop_name((enum runnel_drop)k));
	}
	assert_string_equal(runnel_drop_name(RUNNEL_DROP_QUEUE_FULL), "queue_full");
	assert_string_equal(runnel_drop_name((enum runnel_drop)(RUNNEL_DROP_CLOSING + 1)),
			    "unknown");
	assert_string_equal(runnel_drop_text((enum runnel_drop) - 1), "unknown reason");
}

static void test_names_of_metrics_are_there_and_differ(void **state)
{
	(void)state;
	unsigned n = 0;
	while (runnel_metric_name((enum runnel_metric)n) != NULL) {
		for (unsigned k = 0; k < n; k++)
			assert_string_not_equal(runnel_metric_name((enum runnel_metric)n),
						runnel_metric_name((enum runnel_metric)k));
		n++;
	}
	assert_int_equal(n, RUNNEL_METRIC_PROBES_ANSWERED + 1);
	assert_string_equal(runnel_metric_name(RUNNEL_METRIC_STREAMS_CREATED), "streams_created");
	assert_non_null(runnel_histogram_name(RUNNEL_HISTOGRAM_STREAM_AGE));
	assert_null(runnel_histogram_name((enum runnel_histogram_id)3));
	assert_string_equal(runnel_breaker_state_name(RUNNEL_BREAKER_HALF_OPEN), "half_open");
	assert_string_equal(runnel_breaker_state_name((enum runnel_breaker_state)3), "unknown");
}

/* --- keys ---------------------------------------------------------------------------- */

static void test_key_and_its_text_are_inverse(void **state)
{
	(void)state;
	const char *const texts[] = {"51000:10.7.0.2:443", "0:10.7.0.2:0", "65535:fd07::2:1",
				     "1::::65535"};
	struct runnel_conn_key key, back;
	char text[RUNNEL_CONN_KEY_TEXT_MAX];
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_public_ok(runnel_conn_key_parse(texts[i], &key));
		assert_string_equal(runnel_conn_key_format(&key, text), texts[i]);
		assert_public_ok(runnel_conn_key_parse(text, &back));
		assert_true(runnel_conn_key_equal(&key, &back));
	}
	assert_public_err(runnel_conn_key_parse("", &key), RUNNEL_ERR_MALFORMED);
	assert_public_err(runnel_conn_key_parse("1:10.7.0.2", &key), RUNNEL_ERR_MALFORMED);
	assert_public_err(runnel_conn_key_parse("65536:10.7.0.2:1", &key), RUNNEL_ERR_RANGE);
	key.destination.family = 5;
	assert_string_equal(runnel_conn_key_format(&key, text), "");
	assert_false(runnel_conn_key_equal(&key, &back));
}

static void test_key_of_a_packet_is_its_ports_and_destination(void **state)
{
	(void)state;
	uint8_t packet[DESK_PACKET_MAX];
	size_t len = desk_packet("10.7.0.2", 51000, 1, packet);
	struct runnel_conn_key key;
	char text[RUNNEL_CONN_KEY_TEXT_MAX];
	assert_public_ok(runnel_conn_key_of_packet(packet, len, &key));
	assert_string_equal(runnel_conn_key_format(&key, text), "51000:10.7.0.2:443");
	for (size_t cut = 0; cut < len; cut++)
		assert_public_err(runnel_conn_key_of_packet(packet, cut, &key),
				  RUNNEL_ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_member_is_held_to_its_range_and_named,
						desk_setup, desk_teardown),
		cmocka_unit_test_setup_teardown(test_no_conf_is_the_defaults, desk_setup,
						desk_teardown),
		cmocka_unit_test_setup_teardown(test_text_of_a_refusal_is_cut_to_the_buffer,
						desk_setup, desk_teardown),
		cmocka_unit_test_setup_teardown(test_interface_with_a_function_missing_is_refused,
						desk_setup, desk_teardown),
		cmocka_unit_test(test_names_of_drops_are_there_and_differ),
		cmocka_unit_test(test_names_of_metrics_are_there_and_differ),
		cmocka_unit_test(test_key_and_its_text_are_inverse),
		cmocka_unit_test(test_key_of_a_packet_is_its_ports_and_destination),
	};
	return cmocka_run_group_tests_name("dispatch_conf", tests, NULL, NULL);
}
