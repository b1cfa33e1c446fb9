/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pair.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	MTU = 1400, /* the default of interface.mtu */
	HEADERS = 28,
	ROUNDS = 200,
};

static void send_and_wait(struct pair_side *from, struct pair_side *to, const uint8_t *packet,
			  size_t len)
{
	pair_lock();
	unsigned n = to->n_packets + 1;
	pair_unlock();
	assert_public_ok(runnel_node_send(from->node, packet, len));
	pair_wait_packets(to, n);
	pair_assert_packet(to, packet, len);
}

static void test_packets_of_each_length_arrive_as_they_were(void **state)
{
	(void)state;
	pair_connect();
	uint8_t packet[PAIR_PACKET_MAX], text[MTU];
	for (int i = 0; i < ROUNDS; i++) {
		size_t len = i == 0   ? 0
			     : i == 1 ? MTU - HEADERS
				      : testkit_random() % (MTU - HEADERS);
		for (size_t k = 0; k < len; k++)
			text[k] = (uint8_t)testkit_random();
		send_and_wait(&bob, &alice, packet,
			      pair_packet("10.7.0.2", "10.7.0.1", text, len, packet));
		send_and_wait(&alice, &bob, packet,
			      pair_packet("10.7.0.1", "10.7.0.2", text, len, packet));
	}
}

static void test_packet_that_no_mtu_allows_is_refused(void **state)
{
	(void)state;
	pair_start(&alice);
	uint8_t packet[PAIR_PACKET_MAX], text[PAIR_PACKET_MAX] = {0};
	size_t len = pair_packet("10.7.0.1", "10.7.0.2", text, MTU - HEADERS + 1, packet);
	assert_public_err(runnel_node_send(alice.node, packet, len), RUNNEL_ERR_TOO_LONG);
	assert_public_err(runnel_node_send(alice.node, packet, SIZE_MAX), RUNNEL_ERR_TOO_LONG);
	assert_public_err(runnel_node_send(alice.node, packet, 0), RUNNEL_ERR_MALFORMED);
	assert_public_ok(runnel_node_send(alice.node, packet, MTU));
}

static void test_packet_to_nobody_is_answered_by_the_node(void **state)
{
	(void)state;
	pair_start(&alice);
	uint8_t packet[PAIR_PACKET_MAX];
	size_t len = pair_packet("10.7.0.1", "10.99.0.1", "x", 1, packet);
	assert_public_ok(runnel_node_send(alice.node, packet, len));
	pair_wait_packets(&alice, 1);
	assert_int_equal(alice.packet[9], 1);  /* ICMP */
	assert_int_equal(alice.packet[20], 3); /* destination unreachable */
	assert_true(span_equal(span_of(alice.packet + 28, 20), span_of(packet, 20)));
}

static void test_packet_from_a_source_that_is_not_the_senders_does_not_arrive(void **state)
{
	(void)state;
	pair_connect();
	uint8_t packet[PAIR_PACKET_MAX];
	size_t len = pair_packet("10.7.0.77", "10.7.0.1", "false", 5, packet);
	assert_public_ok(runnel_node_send(bob.node, packet, len));
	/* One stream carries both: what comes after a packet comes after its drop. */
	send_and_wait(&bob, &alice, packet, pair_packet("10.7.0.2", "10.7.0.1", "true", 4, packet));
	assert_int_equal(alice.n_packets, 1);
}

/* --- bounds -------------------------------------------------------------------------- */

static bool is_held; /* by the test; guarded by pair_lock() */
static bool is_inside;

static void hold(struct pair_side *side)
{
	(void)side;
	pair_lock();
	is_inside = true;
	pair_tell();
	while (is_held)
		pair_wait();
	pair_unlock();
}

static void test_node_that_does_not_read_refuses_and_loses_nothing_that_it_took(void **state)
{
	(void)state;
	is_held = true;
	is_inside = false;
	alice.in_callback = hold;
	pair_start(&alice);
	uint8_t packet[PAIR_PACKET_MAX];
	size_t len = pair_packet("10.7.0.1", "10.99.0.1", "x", 1, packet);
	/* The answer to it is the packet whose callback does not return. */
	assert_public_ok(runnel_node_send(alice.node, packet, len));
	pair_lock();
	while (!is_inside)
		pair_wait();
	pair_unlock();

	unsigned n_taken = 1;
	enum runnel_err err;
	while ((err = runnel_node_send(alice.node, packet, len)) == RUNNEL_ERR_OK)
		assert_true(++n_taken < 100000);
	assert_public_err(err, RUNNEL_ERR_FULL);
	pair_lock();
	is_held = false;
	pair_tell();
	pair_unlock();

	/* Until it has looked at the last. */
	json_int_t n_read = 0;
	while (n_read < n_taken) {
		char *text;
		assert_public_ok(runnel_node_status_json(alice.node, &text));
		json_t *json = json_loads(text, 0, NULL);
		free(text);
		n_read = json_integer_value(
			json_object_get(json_object_get(json, "counters"), "tun_rx_packets"));
		json_decref(json);
	}
	assert_int_equal(n_read, n_taken);
}

static void test_node_without_a_packet_callback_drops_what_comes(void **state)
{
	(void)state;
	alice.conf.on_packet = NULL;
	alice.conf.on_peer = NULL;
	pair_start(&alice);
	uint8_t packet[PAIR_PACKET_MAX];
	size_t len = pair_packet("10.7.0.1", "10.99.0.1", "x", 1, packet);
	json_int_t n_answers = 0;
	assert_public_ok(runnel_node_send(alice.node, packet, len));
	while (n_answers < 1) {
		char *text;
		assert_public_ok(runnel_node_status_json(alice.node, &text));
		json_t *json = json_loads(text, 0, NULL);
		free(text);
		n_answers = json_integer_value(
			json_object_get(json_object_get(json, "counters"), "tun_tx_packets"));
		json_decref(json);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_packets_of_each_length_arrive_as_they_were),
		TEST(test_packet_that_no_mtu_allows_is_refused),
		TEST(test_packet_to_nobody_is_answered_by_the_node),
		TEST(test_packet_from_a_source_that_is_not_the_senders_does_not_arrive),
		TEST(test_node_that_does_not_read_refuses_and_loses_nothing_that_it_took),
		TEST(test_node_without_a_packet_callback_drops_what_comes),
	};
	return cmocka_run_group_tests_name("embed_packets", tests, NULL, NULL);
}
