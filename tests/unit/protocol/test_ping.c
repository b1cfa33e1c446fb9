/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "p2p/protocol/ping.h"

#include "base/util.h"
#include "support/sim_kit.h"

static const struct protocol honest[] = {{PING_PROTOCOL, &ping_responder_ops, NULL}};

struct result {
	unsigned n;
	enum err e;
	nsec_t rtt;
};

static void note(void *ctx, enum err result, nsec_t rtt)
{
	struct result *r = ctx;
	r->n++;
	r->e = result;
	r->rtt = rtt;
}

static size_t streams(const struct world *w)
{
	return conn_stream_count(world_best(w, 0, 1)) + conn_stream_count(world_best(w, 1, 0));
}

static struct result ping_once(struct world *w, nsec_t wait)
{
	struct result r = {0};
	struct ping *ping;
	assert_ok(ping_send(world_best(w, 0, 1), note, &r, &ping));
	assert_int_equal(r.n, 0); /* later */
	world_run(w, wait);
	assert_int_equal(r.n, 1);
	return r;
}

static void test_the_time_is_that_of_the_path(void **state)
{
	(void)state;
	struct world *w = world_connected(1, honest, ARRAY_LEN(honest));
	for (nsec_t delay = MSEC(1); delay < MSEC(500); delay *= 3) {
		world_path(w, 0, 1, (struct sim_path){.delay = delay});
		struct result r = ping_once(w, SEC(5));
		assert_ok(r.e);
		assert_int_equal(r.rtt, 2 * delay);
	}
	assert_int_equal(streams(w), 0);
	world_end(w);
}

static void test_many_pings_at_once(void **state)
{
	(void)state;
	struct world *w = world_connected(1, honest, ARRAY_LEN(honest));
	struct result r[STREAM_NEGOTIATIONS_MAX] = {{0}};
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		struct ping *ping;
		assert_ok(ping_send(world_best(w, i % 2, 1 - i % 2), note, &r[i], &ping));
	}
	world_run(w, MSEC(100));
	for (size_t i = 0; i < ARRAY_LEN(r); i++) {
		assert_int_equal(r[i].n, 1);
		assert_ok(r[i].e);
	}
	assert_int_equal(streams(w), 0);
	world_end(w);
}

static void test_a_cancelled_ping_says_nothing(void **state)
{
	(void)state;
	for (nsec_t t = 0; t < MSEC(6); t += MSEC(1)) {
		struct world *w = world_connected(1, honest, ARRAY_LEN(honest));
		world_path(w, 0, 1, (struct sim_path){.delay = MSEC(2)});
		struct result r = {0};
		struct ping *ping;
		assert_ok(ping_send(world_best(w, 0, 1), note, &r, &ping));
		world_run(w, t);
		ping_cancel(ping);
		world_run(w, MSEC(100));
		assert_int_equal(r.n, 0);
		assert_int_equal(streams(w), 0);
		world_end(w);
	}
}

static void lie(struct stream *s, struct span data)
{
	uint8_t bytes[64];
	assert_in_range(data.len, 1, sizeof(bytes));
	memcpy(bytes, data.p, data.len);
	bytes[data.len - 1] ^= 1;
	assert_ok(stream_write(s, span_of(bytes, data.len)));
}

static void exaggerate(struct stream *s, struct span data)
{
	assert_ok(stream_write(s, data));
	assert_ok(stream_write(s, data));
}

static void leave(struct stream *s, struct span data)
{
	(void)data;
	stream_close_write(s);
}

static void swallow(struct stream *s, struct span data)
{
	(void)s;
	(void)data;
}

static void answer_only(struct stream *s, struct span data)
{
	assert_ok(stream_write(s, data)); /* and never close */
}

static struct result ping_a(void (*on_data)(struct stream *s, struct span data), nsec_t wait)
{
	struct stream_ops ops = {.on_data = on_data};
	const struct protocol protocol[] = {{PING_PROTOCOL, &ops, NULL}};
	struct world *w = world_connected(1, protocol, 1);
	struct result r = ping_once(w, wait);
	world_run(w, PING_TIMEOUT);
	assert_int_equal(streams(w), 0); /* whatever the other side did */
	world_end(w);
	return r;
}

static void test_other_bytes_are_a_fault(void **state)
{
	(void)state;
	assert_err(ping_a(lie, MSEC(100)).e, ERR_PROTOCOL);
	assert_err(ping_a(exaggerate, MSEC(100)).e, ERR_PROTOCOL);
	assert_err(ping_a(leave, MSEC(100)).e, ERR_EOF);
	assert_err(ping_a(swallow, PING_TIMEOUT + MSEC(10)).e, ERR_TIMEOUT);
}

static void test_an_answer_counts_though_the_stream_stays(void **state)
{
	(void)state;
	struct result r = ping_a(answer_only, MSEC(100));
	assert_ok(r.e);
	assert_int_equal(r.rtt, MSEC(2));
}

static void test_a_peer_without_ping_is_told_apart(void **state)
{
	(void)state;
	struct world *w = world_connected(1, NULL, 0);
	assert_err(ping_once(w, MSEC(100)).e, ERR_NEGOTIATION);
	world_end(w);
}

static void test_the_end_of_the_connection_ends_the_ping(void **state)
{
	(void)state;
	struct world *w = world_connected(1, honest, ARRAY_LEN(honest));
	struct result r = {0};
	struct ping *ping;
	assert_ok(ping_send(world_best(w, 0, 1), note, &r, &ping));
	world_end(w);
	assert_int_equal(r.n, 1);
	assert_err(r.e, ERR_CLOSED);
}

/* A peer that writes and does not read. */
static const struct stream_ops deaf_ops = {.on_data = swallow};

static void test_echoes_that_nobody_reads_are_bounded(void **state)
{
	(void)state;
	static const char *const names[] = {PING_PROTOCOL};
	struct world *w = world_connected(1, honest, ARRAY_LEN(honest));
	struct stream *s;
	assert_ok(conn_open_stream(world_best(w, 0, 1), names, 1, &deaf_ops, NULL, &s));
	world_run(w, MSEC(20));
	static const uint8_t bytes[STREAM_WRITE_MAX];
	/* Nothing leaves host 1: the path back is its own to fill. */
	for (int i = 0; i < 10; i++) {
		assert_ok(stream_write(s, span_of(bytes, sizeof(bytes))));
		world_run(w, MSEC(20));
	}
	stream_reset(s, ERR_CLOSED);
	world_run(w, MSEC(20));
	assert_int_equal(streams(w), 0);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_time_is_that_of_the_path),
		cmocka_unit_test(test_many_pings_at_once),
		cmocka_unit_test(test_a_cancelled_ping_says_nothing),
		cmocka_unit_test(test_other_bytes_are_a_fault),
		cmocka_unit_test(test_an_answer_counts_though_the_stream_stays),
		cmocka_unit_test(test_a_peer_without_ping_is_told_apart),
		cmocka_unit_test(test_the_end_of_the_connection_ends_the_ping),
		cmocka_unit_test(test_echoes_that_nobody_reads_are_bounded),
	};
	return cmocka_run_group_tests_name("ping", tests, NULL, NULL);
}
