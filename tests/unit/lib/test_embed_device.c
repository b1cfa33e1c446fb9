/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pair.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static char why[PAIR_ERRBUF];

/* A pair of sockets is as good as a TUN: one packet a call. */
static void test_callers_device_carries_packets_and_stays_open(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	bob.conf.tun = RUNNEL_TUN_FD;
	bob.conf.tun_fd = ends[0];
	pair_connect();
	assert_true((fcntl(ends[0], F_GETFL) & O_NONBLOCK) != 0);
	assert_public_err(runnel_node_send(bob.node, "x", 1), RUNNEL_ERR_UNSUPPORTED);

	uint8_t packet[PAIR_PACKET_MAX], got[PAIR_PACKET_MAX];
	size_t len = pair_packet("10.7.0.2", "10.7.0.1", "out", 3, packet);
	assert_int_equal(send(ends[1], packet, len, 0), len);
	pair_wait_packets(&alice, 1);
	pair_assert_packet(&alice, packet, len);
	len = pair_packet("10.7.0.1", "10.7.0.2", "home", 4, packet);
	assert_public_ok(runnel_node_send(alice.node, packet, len));
	ssize_t n = recv(ends[1], got, sizeof(got), 0);
	assert_span_equal(span_of(got, (size_t)n), span_of(packet, len));

	bob.node = runnel_node_free(bob.node);
	assert_int_equal(send(ends[0], "x", 1, 0), 1);
	close(ends[0]);
	/* The node has closed its own: nobody else holds that end. */
	assert_int_equal(recv(ends[1], got, sizeof(got), 0), 1);
	assert_int_equal(recv(ends[1], got, sizeof(got), 0), 0);
	close(ends[1]);
}

static void test_closed_descriptor_is_told_at_the_start(void **state)
{
	(void)state;
	alice.conf.tun = RUNNEL_TUN_FD;
	alice.conf.tun_fd = -1;
	assert_public_ok(runnel_node_new(&alice.conf, &alice.node, why, sizeof(why)));
	assert_public_err(runnel_node_start(alice.node, why, sizeof(why)), RUNNEL_ERR_SYSTEM);
	assert_non_null(strstr(why, "tun_fd"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_callers_device_carries_packets_and_stays_open),
		TEST(test_closed_descriptor_is_told_at_the_start),
	};
	return cmocka_run_group_tests_name("embed_device", tests, NULL, NULL);
}
