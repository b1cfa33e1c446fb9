/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From the words of a configuration to what a node's dispatchers do: each word its own member. */
#include <stdio.h>

#include "support/sim_kit.h"
#include "vpn/node/node_internal.h"

static const char words[] = "dispatch:\n"
			    "  min_streams_per_peer: 3\n"
			    "  max_streams_per_peer: 17\n"
			    "  stream_idle_timeout: 101s\n"
			    "  stream_cleanup_interval: 102s\n"
			    "  worker_idle_timeout: 103s\n"
			    "  worker_cleanup_interval: 104s\n"
			    "  worker_buffer_size: 105\n"
			    "  packet_buffer_size: 106\n"
			    "  queue_target: 107ms\n"
			    "  queue_interval: 108ms\n"
			    "  multiplex: %s\n"
			    "health:\n"
			    "  interval: 109s\n"
			    "  timeout: 11s\n"
			    "  failures: 12\n"
			    "breaker:\n"
			    "  failures: 113\n"
			    "  open_for: 114s\n"
			    "  successes: 15\n"
			    "retry:\n"
			    "  tries: 16\n"
			    "  first: 117s\n"
			    "  max: 118s\n"
			    "queue:\n"
			    "  packets: 119\n"
			    "  bytes: 120000000B\n";

static struct world *node_with(const char *multiplex, size_t n_shards)
{
	char text[2048];
	assert_in_range(snprintf(text, sizeof(text), words, multiplex), 1, sizeof(text) - 1);
	struct world *w = world_new(1, 1);
	w->n_shards[0] = n_shards;
	world_node(w, 0, NULL, 0, text);
	return w;
}

static void check(const struct dispatch_settings *s, bool multiplex)
{
	assert_int_equal(s->streams_min, 3);
	assert_int_equal(s->streams_max, 17);
	assert_int_equal(s->stream_idle_timeout, SEC(101));
	assert_int_equal(s->stream_cleanup_interval, SEC(102));
	assert_int_equal(s->worker_idle_timeout, SEC(103));
	assert_int_equal(s->worker_cleanup_interval, SEC(104));
	assert_int_equal(s->queue.worker_packets_max, 105);
	assert_int_equal(s->queue.packets_max, 106);
	assert_int_equal(s->queue.codel.target, MSEC(107));
	assert_int_equal(s->queue.codel.interval, MSEC(108));
	assert_int_equal(s->queue.codel.mtu_bytes, KIT_MTU);
	assert_int_equal(s->multiplex, multiplex);
	assert_int_equal(s->health.interval, SEC(109));
	assert_int_equal(s->health.timeout, SEC(11));
	assert_int_equal(s->health.failures, 12);
	assert_int_equal(s->breaker.failures, 113);
	assert_int_equal(s->breaker.open_for, SEC(114));
	assert_int_equal(s->breaker.successes, 15);
	assert_int_equal(s->retry.tries, 16);
	assert_int_equal(s->retry.first, SEC(117));
	assert_int_equal(s->retry.max, SEC(118));
	assert_int_equal(s->peer_packets_max, 119);
	assert_int_equal(s->peer_bytes_max, 120000000);
	assert_int_equal(s->hello.version, FRAME_VERSION);
	assert_int_equal(s->hello.mtu, KIT_MTU);
	assert_int_equal(s->hello.capabilities,
			 FRAME_CAN_PROBE | FRAME_CAN_MOVE | (multiplex ? FRAME_CAN_SEQ : 0));
	assert_int_equal(s->hello.payload_len_max, FRAME_PAYLOAD_LEN_MAX);
	assert_int_equal(s->vpn_mtu, KIT_MTU);
}

static void test_each_word_of_the_configuration_sets_its_own_member(void **state)
{
	(void)state;
	struct world *w = node_with("true", 1);
	const struct node *n = w->nodes[0].node;
	check(&n->settings, true);
	assert_int_equal(n->settings.hello.lanes, 1);
	world_end(w);
}

static void test_without_multiplex_no_numbered_packets_are_promised(void **state)
{
	(void)state;
	struct world *w = node_with("false", 3);
	const struct node *n = w->nodes[0].node;
	check(&n->settings, false);
	assert_int_equal(n->settings.hello.lanes, 3);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_word_of_the_configuration_sets_its_own_member),
		cmocka_unit_test(test_without_multiplex_no_numbered_packets_are_promised),
	};
	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
