/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "p2p/protocol/identify.h"

#include <stdlib.h>

#include "base/util.h"
#include "p2p/host/netaddr.h"
#include "support/sim_kit.h"
#include "wire/varint.h"

/* Host 0 asks; host 1 answers as `responder` says. */
static struct identify asker, answerer;
static struct protocol protocols[2];

/* What host 0 was told, copied. */
static struct told {
	unsigned n;
	char agent[128];
	char version[64];
	size_t n_protocols, n_addrs;
	struct multiaddr observed, first_addr;
} told;

static void copy_text(char *to, size_t cap, struct span from)
{
	assert_in_range(from.len, 0, cap - 1);
	if (from.len > 0)
		memcpy(to, from.p, from.len);
	to[from.len] = '\0';
}

static void on_identified(void *ctx, struct conn *c, const struct identify_msg *msg)
{
	(void)ctx;
	(void)c;
	told.n++;
	copy_text(told.agent, sizeof(told.agent), msg->agent_version);
	copy_text(told.version, sizeof(told.version), msg->protocol_version);
	told.n_protocols = msg->protocols_len;
	told.n_addrs = msg->listen_addrs.len;
	if (told.n_addrs > 0)
		told.first_addr = msg->listen_addrs.at[0];
	told.observed = msg->observed_addr;
}

static struct world *begin(const struct stream_ops *responder)
{
	told = (struct told){0};
	protocols[0] = (struct protocol){IDENTIFY_PROTOCOL, responder, &answerer};
	protocols[1] = (struct protocol){IDENTIFY_PUSH_PROTOCOL, &identify_push_ops, &asker};
	struct identify_conf conf = {.agent = "test/1", .protocols = protocols, .n_protocols = 2};
	answerer = (struct identify){.conf = conf};
	conf.on_identified = on_identified;
	asker = (struct identify){.conf = conf};
	return world_connected(1, protocols, 2);
}

static void ask(struct world *w, nsec_t wait)
{
	assert_ok(identify_request(&asker, world_best(w, 0, 1)));
	world_run(w, wait);
}

/* The connection is as it was, without a stream. */
static void end(struct world *w)
{
	assert_non_null(world_best(w, 0, 1));
	assert_int_equal(conn_stream_count(world_best(w, 0, 1)), 0);
	assert_int_equal(conn_stream_count(world_best(w, 1, 0)), 0);
	assert_int_equal(w->swarms[0].n_down, 0);
	world_end(w);
}

static void test_an_answer_says_who_and_how_it_sees_us(void **state)
{
	(void)state;
	struct world *w = begin(&identify_responder_ops);
	ask(w, MSEC(50));
	assert_int_equal(told.n, 1);
	assert_string_equal(told.agent, "test/1");
	assert_string_equal(told.version, "ipfs/0.1.0");
	assert_int_equal(told.n_protocols, 2);
	union netaddr seen;
	assert_ok(netaddr_from_multiaddr(&told.observed, &seen));
	union netaddr local;
	assert_ok(conn_local(world_best(w, 0, 1), &local));
	assert_true(netaddr_equal(&seen, &local));
	/* It listens on 0.0.0.0: we are told where we reached it. */
	struct multiaddr want = kit_host_addr(1);
	assert_int_equal(told.n_addrs, 1);
	assert_true(multiaddr_equal(&told.first_addr, &want));
	assert_int_equal(answerer.answered, 1);
	assert_int_equal(asker.received, 1);
	assert_int_equal(asker.refused, 0);
	end(w);
}

static bool is_connected(void *ctx)
{
	struct world *w = ctx;
	return world_best(w, 1, 0) != NULL;
}

static void test_addresses_that_were_told_are_dialled(void **state)
{
	(void)state;
	struct world *w = begin(&identify_responder_ops);
	/* Host 1 has no address of host 0, but wants it, and asks it. */
	world_want_at(w, 1, 0, NULL, 0);
	assert_ok(identify_request(&asker, world_best(w, 1, 0)));
	world_run(w, MSEC(50));
	assert_int_equal(told.n, 1);
	/* Host 0 forgets host 1: restart it without that peer. */
	world_swarm_end(w, 0);
	world_run(w, MSEC(10));
	assert_null(world_best(w, 1, 0));
	world_swarm(w, 0, protocols, 2);
	world_until(w, is_connected, w, SEC(3));
	assert_true(conn_is_outbound(world_best(w, 1, 0)));
	world_end(w);
}

static void test_a_push_is_heard(void **state)
{
	(void)state;
	struct world *w = begin(&identify_responder_ops);
	assert_ok(identify_push(&answerer, world_best(w, 1, 0)));
	world_run(w, MSEC(50));
	assert_int_equal(told.n, 1);
	assert_string_equal(told.agent, "test/1");
	assert_int_equal(asker.received, 1);
	end(w);
}

static void test_a_peer_that_does_not_know_identify_is_left_in_peace(void **state)
{
	(void)state;
	told = (struct told){0};
	struct world *w = world_connected(1, NULL, 0);
	ask(w, MSEC(50));
	assert_int_equal(told.n, 0);
	end(w);
}

/* --- answers that a test makes
 * --------------------------------------------------------------------- */

static uint8_t answer[16 * 1024];
static size_t answer_len;

static void add_message(const struct identify_msg *msg)
{
	uint8_t bytes[IDENTIFY_READ_MAX];
	struct wbuf body = wbuf_of(bytes, sizeof(bytes));
	identify_msg_put(&body, msg);
	assert_ok(wbuf_check(&body));
	struct wbuf out = wbuf_of(answer, sizeof(answer));
	out.len = answer_len;
	wbuf_put_uvarint(&out, body.len);
	wbuf_put(&out, wbuf_view(&body));
	assert_ok(wbuf_check(&out));
	answer_len = out.len;
}

static void say_answer(struct stream *s)
{
	assert_ok(stream_write(s, span_of(answer, answer_len)));
	stream_close_write(s);
}

static const struct stream_ops say_ops = {.on_open = say_answer};

static void begin_answer(void)
{
	answer_len = 0;
}

static struct identify_msg *new_message(void)
{
	struct identify_msg *msg = calloc(1, sizeof(*msg));
	assert_non_null(msg);
	return msg;
}

static void test_two_messages_are_one_answer(void **state)
{
	(void)state;
	begin_answer();
	struct identify_msg *msg = new_message();
	msg->agent_version = span_str("first");
	msg->protocol_version = span_str("v");
	msg->protocols[msg->protocols_len++] = span_str("/a");
	add_message(msg);
	memset(msg, 0, sizeof(*msg));
	msg->agent_version = span_str("second");
	msg->protocols[msg->protocols_len++] = span_str("/b");
	msg->listen_addrs.at[msg->listen_addrs.len++] = kit_addr("/ip4/203.0.113.1/tcp/1");
	add_message(msg);
	free(msg);
	struct world *w = begin(&say_ops);
	ask(w, MSEC(50));
	assert_int_equal(told.n, 1);
	assert_string_equal(told.agent, "second");
	assert_string_equal(told.version, "v");
	assert_int_equal(told.n_protocols, 2);
	assert_int_equal(told.n_addrs, 1);
	end(w);
}

/* This answer is counted as refused, and costs no more than its stream. */
static void assert_refused(void)
{
	struct world *w = begin(&say_ops);
	ask(w, MSEC(50));
	assert_int_equal(told.n, 0);
	assert_int_equal(asker.refused, 1);
	assert_int_equal(asker.received, 0);
	end(w);
}

static void test_the_key_of_another_is_refused(void **state)
{
	(void)state;
	begin_answer();
	struct identity *other = kit_identity(3);
	struct identify_msg *msg = new_message();
	msg->agent_version = span_str("liar");
	msg->public_key = identity_public_key(other);
	add_message(msg);
	assert_refused();
	free(msg);
	identity_free(other);
}

static void test_broken_and_empty_answers_are_refused(void **state)
{
	(void)state;
	struct identify_msg *msg = new_message();
	msg->agent_version = span_str("a peer");
	begin_answer();
	add_message(msg);
	for (size_t len = answer_len; len-- > 0;) { /* truncated at every byte, empty at last */
		answer_len = len;
		assert_refused();
	}
	memset(answer, 0xff, 9);
	answer_len = 9;
	assert_refused();
	free(msg);
}

static void test_too_many_messages_are_refused(void **state)
{
	(void)state;
	struct identify_msg *msg = new_message();
	begin_answer();
	for (int i = 0; i < IDENTIFY_MESSAGES_MAX; i++)
		add_message(msg);
	struct world *w = begin(&say_ops);
	ask(w, MSEC(50));
	assert_int_equal(told.n, 1);
	end(w);
	add_message(msg);
	assert_refused();
	free(msg);
}

static void test_an_oversized_answer_is_refused(void **state)
{
	(void)state;
	memset(answer, 0, sizeof(answer));
	answer_len = IDENTIFY_READ_MAX + 1;
	assert_refused();
}

static void say_nothing(struct stream *s)
{
	(void)s;
}

static void test_silence_ends_with_its_time(void **state)
{
	(void)state;
	static const struct stream_ops silent_ops = {.on_open = say_nothing};
	struct world *w = begin(&silent_ops);
	ask(w, IDENTIFY_TIMEOUT + MSEC(50));
	assert_int_equal(told.n, 0);
	end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_answer_says_who_and_how_it_sees_us),
		cmocka_unit_test(test_addresses_that_were_told_are_dialled),
		cmocka_unit_test(test_a_push_is_heard),
		cmocka_unit_test(test_a_peer_that_does_not_know_identify_is_left_in_peace),
		cmocka_unit_test(test_two_messages_are_one_answer),
		cmocka_unit_test(test_the_key_of_another_is_refused),
		cmocka_unit_test(test_broken_and_empty_answers_are_refused),
		cmocka_unit_test(test_too_many_messages_are_refused),
		cmocka_unit_test(test_an_oversized_answer_is_refused),
		cmocka_unit_test(test_silence_ends_with_its_time),
	};
	return cmocka_run_group_tests_name("identify", tests, NULL, NULL);
}
