/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pair.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static char why[PAIR_ERRBUF];

static void assert_is_not_running(struct runnel_node *node)
{
	char *text = NULL;
	struct runnel_addr at;
	size_t n = 7;
	assert_public_err(runnel_node_status_json(node, &text), RUNNEL_ERR_CLOSED);
	assert_null(text);
	assert_public_err(runnel_node_listen_addrs(node, &at, 1, &n), RUNNEL_ERR_CLOSED);
	assert_int_equal(n, 7);
	assert_public_err(runnel_node_send(node, "x", 1), RUNNEL_ERR_CLOSED);
}

static void test_node_runs_from_start_to_stop_and_once(void **state)
{
	(void)state;
	assert_public_ok(runnel_node_new(&alice.conf, &alice.node, why, sizeof(why)));
	assert_is_not_running(alice.node);
	assert_public_ok(runnel_node_stop(alice.node, 0)); /* not begun: nothing to do */
	assert_public_ok(runnel_node_start(alice.node, why, sizeof(why)));
	assert_string_equal(why, "");
	assert_public_err(runnel_node_start(alice.node, why, sizeof(why)), RUNNEL_ERR_BAD_STATE);
	assert_public_ok(runnel_node_stop(alice.node, RUNNEL_FOREVER));
	assert_is_not_running(alice.node);
	assert_public_ok(runnel_node_stop(alice.node, RUNNEL_FOREVER));
	assert_public_err(runnel_node_start(alice.node, why, sizeof(why)), RUNNEL_ERR_BAD_STATE);
}

static void test_freeing_nothing_is_nothing(void **state)
{
	(void)state;
	assert_null(runnel_node_free(NULL));
	assert_null(runnel_identity_free(NULL));
}

/* Another's listener; returns its descriptor. */
static int take_port(uint16_t *ret_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static void test_port_in_use_is_told_and_start_can_be_tried_again(void **state)
{
	(void)state;
	uint16_t port;
	int fd = take_port(&port);
	char addr[64];
	snprintf(addr, sizeof(addr), "/ip4/127.0.0.1/tcp/%u", port);
	snprintf(alice.config, sizeof(alice.config),
		 "listen: [/ip4/127.0.0.1/tcp/0, %s]\ninterface: {addresses: [10.7.0.1/24]}\n",
		 addr);
	assert_public_ok(runnel_node_new(&alice.conf, &alice.node, why, sizeof(why)));
	for (int i = 0; i < 2; i++) {
		assert_public_err(runnel_node_start(alice.node, why, sizeof(why)),
				  RUNNEL_ERR_ADDRESS_IN_USE);
		assert_non_null(strstr(why, addr));
		assert_is_not_running(alice.node);
	}
	close(fd);
	assert_public_ok(runnel_node_start(alice.node, why, sizeof(why)));
	struct runnel_addr at[3];
	size_t n;
	assert_public_ok(runnel_node_listen_addrs(alice.node, at, 1, &n));
	assert_int_equal(n, 1);
	assert_public_ok(runnel_node_listen_addrs(alice.node, at, 3, &n));
	assert_int_equal(n, 2);
	assert_string_equal(at[1].multiaddr, addr);
	assert_public_ok(runnel_node_stop(alice.node, RUNNEL_FOREVER));
}

static void test_peers_are_told_when_they_come_and_go(void **state)
{
	(void)state;
	pair_connect();
	char text[RUNNEL_PEER_ID_TEXT_MAX];
	assert_string_equal(runnel_peer_id_format(&alice.peer, text), bob.id);
	assert_string_equal(runnel_peer_id_format(&bob.peer, text), alice.id);
	assert_public_ok(runnel_node_stop(bob.node, RUNNEL_FOREVER));
	pair_wait_peer(&alice, false);
	assert_int_equal(alice.n_connects, 1);
	assert_int_equal(alice.n_disconnects, 1);
}

static void test_status_is_the_daemons_json(void **state)
{
	(void)state;
	pair_connect();
	char *text;
	assert_public_ok(runnel_node_status_json(alice.node, &text));
	json_t *json = json_loads(text, 0, NULL);
	free(text);
	assert_string_equal(testkit_string(json, "peer_id"), alice.id);
	const json_t *peer = json_array_get(json_object_get(json, "peers"), 0);
	assert_string_equal(testkit_string(peer, "id"), bob.id);
	assert_string_equal(testkit_string(peer, "state"), "connected");
	json_decref(json);
}

/* --- callbacks ----------------------------------------------------------------------- */

static struct {
	enum runnel_err status, listen, send, stop;
	struct runnel_peer_id id;
	bool are_signals_blocked;
	bool is_done;
} heard;

static void call_all(struct pair_side *side)
{
	if (heard.is_done)
		return;
	char *text = NULL;
	struct runnel_addr at;
	size_t n;
	heard.status = runnel_node_status_json(side->node, &text);
	free(text);
	heard.listen = runnel_node_listen_addrs(side->node, &at, 1, &n);
	heard.send = runnel_node_send(side->node, "not an IP packet", 16);
	heard.stop = runnel_node_stop(side->node, 0);
	runnel_node_peer_id(side->node, &heard.id);
	sigset_t mask;
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	heard.are_signals_blocked = sigismember(&mask, SIGTERM) == 1 &&
				    sigismember(&mask, SIGINT) == 1 &&
				    sigismember(&mask, SIGCHLD) == 1;
	heard.is_done = true;
}

static void test_callbacks_may_ask_their_node_but_not_stop_it(void **state)
{
	(void)state;
	memset(&heard, 0, sizeof(heard));
	alice.in_callback = call_all;
	pair_connect();
	alice.node = runnel_node_free(alice.node); /* and it has seen what its thread wrote */
	assert_true(heard.is_done);
	assert_public_ok(heard.status);
	assert_public_ok(heard.listen);
	assert_public_ok(heard.send);
	assert_public_err(heard.stop, RUNNEL_ERR_BAD_STATE);
	char text[RUNNEL_PEER_ID_TEXT_MAX];
	assert_string_equal(runnel_peer_id_format(&heard.id, text), alice.id);
	assert_true(heard.are_signals_blocked);
}

static void test_signals_of_the_starting_thread_stay_as_they_were(void **state)
{
	(void)state;
	sigset_t before, after;
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	pair_start(&alice);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int sig = 1; sig < 32; sig++)
		assert_int_equal(sigismember(&before, sig), sigismember(&after, sig));
}

/* --- many threads -------------------------------------------------------------------- */

enum {
	ASKERS = 3,
};

static atomic_uint n_answers;

/* Until the node is gone from under it. */
static void *ask_until_closed(void *arg)
{
	struct runnel_node *node = arg;
	uint8_t packet[PAIR_PACKET_MAX];
	size_t len = pair_packet("10.7.0.1", "10.7.0.2", "x", 1, packet);
	enum runnel_err err;
	do {
		char *text;
		err = runnel_node_status_json(node, &text);
		if (err == RUNNEL_ERR_OK) {
			free(text);
			atomic_fetch_add(&n_answers, 1);
		}
		enum runnel_err sent = runnel_node_send(node, packet, len);
		(void)sent; /* sent, full or closed */
	} while (err == RUNNEL_ERR_OK);
	return (void *)(uintptr_t)err;
}

static void *stop_too(void *arg)
{
	return (void *)(uintptr_t)runnel_node_stop(arg, RUNNEL_FOREVER);
}

static void test_node_may_be_asked_by_many_threads_while_two_stop_it(void **state)
{
	(void)state;
	pair_connect();
	atomic_store(&n_answers, 0);
	pthread_t askers[ASKERS], stopper;
	for (int i = 0; i < ASKERS; i++)
		assert_int_equal(pthread_create(&askers[i], NULL, ask_until_closed, alice.node), 0);
	while (atomic_load(&n_answers) < 100)
		sched_yield();
	assert_int_equal(pthread_create(&stopper, NULL, stop_too, alice.node), 0);
	assert_public_ok(runnel_node_stop(alice.node, RUNNEL_FOREVER));
	void *result;
	pthread_join(stopper, &result);
	assert_public_ok((enum runnel_err)(uintptr_t)result);
	for (int i = 0; i < ASKERS; i++) {
		pthread_join(askers[i], &result);
		assert_public_err((enum runnel_err)(uintptr_t)result, RUNNEL_ERR_CLOSED);
	}
	assert_is_not_running(alice.node);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_node_runs_from_start_to_stop_and_once),
		TEST(test_freeing_nothing_is_nothing),
		TEST(test_port_in_use_is_told_and_start_can_be_tried_again),
		TEST(test_peers_are_told_when_they_come_and_go),
		TEST(test_status_is_the_daemons_json),
		TEST(test_callbacks_may_ask_their_node_but_not_stop_it),
		TEST(test_signals_of_the_starting_thread_stay_as_they_were),
		TEST(test_node_may_be_asked_by_many_threads_while_two_stop_it),
	};
	return cmocka_run_group_tests_name("embed_life", tests, NULL, NULL);
}
