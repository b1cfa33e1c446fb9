/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Streams between two swarms. Host 0 opens, host 1 answers with the protocols below. */
#include "base/util.h"
#include "support/sim_kit.h"

enum {
	PULL_TOTAL = 3 * 1000 * 1000, /* bytes: more than the windows and buffers hold */
};

/* What happens to a stream, and what the test does about it. */
struct script {
	unsigned n_open, n_eof, n_close;
	size_t n_data; /* bytes */
	enum err why;
	uint8_t data[256]; /* the first of them */
	size_t to_pull;    /* bytes left for pull() */
	void (*on_open)(struct stream *s);
	void (*on_data)(struct stream *s);
	void (*on_eof)(struct stream *s);
	void (*on_close)(struct stream *s);
};

static void run(struct stream *s, void (*fn)(struct stream *s))
{
	if (fn != NULL)
		fn(s);
}

static void on_open(struct stream *s)
{
	struct script *k = stream_user(s);
	k->n_open++;
	assert_non_null(stream_protocol(s));
	run(s, k->on_open);
}

static void on_data(struct stream *s, struct span data)
{
	struct script *k = stream_user(s);
	assert_int_equal(k->n_close, 0);
	assert_int_not_equal(data.len, 0);
	for (size_t i = 0; i < data.len && k->n_data + i < sizeof(k->data); i++)
		k->data[k->n_data + i] = data.p[i];
	k->n_data += data.len;
	run(s, k->on_data);
}

static void on_eof(struct stream *s)
{
	struct script *k = stream_user(s);
	assert_int_equal(k->n_close, 0);
	k->n_eof++;
	run(s, k->on_eof);
}

static size_t pull(struct stream *s, uint8_t *buf, size_t cap)
{
	struct script *k = stream_user(s);
	assert_int_equal(k->n_close, 0);
	size_t n = MIN(cap, k->to_pull);
	memset(buf, 'p', n);
	k->to_pull -= n;
	return n;
}

static void on_close(struct stream *s, enum err why)
{
	struct script *k = stream_user(s);
	k->n_close++;
	k->why = why;
	run(s, k->on_close);
}

static const struct stream_ops push_ops = {
	.on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_close = on_close};
static const struct stream_ops pull_ops = {.on_open = on_open,
					   .on_data = on_data,
					   .on_eof = on_eof,
					   .on_close = on_close,
					   .pull = pull};

static struct script ours, theirs;

static const struct protocol protocols[] = {
	{"/push", &push_ops, &theirs},
	{"/pull", &pull_ops, &theirs},
};

static const char *const push_name[] = {"/push"};
static const char *const pull_name[] = {"/pull"};

static struct world *begin(void)
{
	ours = (struct script){0};
	theirs = (struct script){0};
	return world_connected(1, protocols, ARRAY_LEN(protocols));
}

static struct stream *open_stream(struct world *w, const char *const *names, size_t n,
				  const struct stream_ops *ops)
{
	struct stream *s;
	assert_ok(conn_open_stream(world_best(w, 0, 1), names, n, ops, &ours, &s));
	return s;
}

static void write_hello(struct stream *s)
{
	assert_ok(stream_write(s, span_str("hello")));
}

static void reset(struct stream *s)
{
	stream_reset(s, ERR_CLOSED);
}

static void close_conn(struct stream *s)
{
	conn_close(stream_conn(s), ERR_CLOSED);
}

/* The connection, both ends, has no streams any more. */
static void end(struct world *w)
{
	world_run(w, MSEC(20));
	for (size_t i = 0; i < 2; i++) {
		struct conn *c = world_best(w, i, 1 - i);
		if (c != NULL)
			assert_int_equal(conn_stream_count(c), 0);
	}
	world_end(w);
	assert_int_equal(ours.n_close, 1);
	assert_true(theirs.n_close <= 1);
}

static void test_both_ways_and_closed_by_both(void **state)
{
	(void)state;
	struct world *w = begin();
	ours.on_open = write_hello;
	theirs.on_data = write_hello;
	struct stream *s = open_stream(w, push_name, 1, &push_ops);
	assert_null(stream_protocol(s));
	world_run(w, MSEC(20));
	assert_int_equal(ours.n_open, 1);
	assert_int_equal(theirs.n_open, 1);
	assert_string_equal(stream_protocol(s), "/push");
	assert_true(stream_is_outbound(s));
	assert_int_equal(theirs.n_data, 5);
	assert_memory_equal(theirs.data, "hello", 5);
	assert_int_equal(ours.n_data, 5);
	stream_close_write(s);
	stream_close_write(s);
	assert_err(stream_write(s, span_str("x")), ERR_BAD_STATE);
	world_run(w, MSEC(20));
	assert_int_equal(theirs.n_eof, 1); /* half-closed: they may still send */
	assert_int_equal(ours.n_close + theirs.n_close, 0);
	theirs.on_eof = stream_close_write;
	stream_reset(s, ERR_CLOSED);
	end(w);
	assert_int_equal(theirs.why, ERR_RESET);
	assert_int_equal(ours.why, ERR_CLOSED);
}

static void test_a_half_closed_stream_still_carries_the_other_way(void **state)
{
	(void)state;
	struct world *w = begin();
	ours.on_open = stream_close_write;
	theirs.to_pull = 100 * 1000;
	open_stream(w, pull_name, 1, &pull_ops);
	world_run(w, MSEC(200));
	assert_int_equal(ours.n_data, 100 * 1000);
	assert_int_equal(theirs.n_eof, 1);
	assert_int_equal(ours.n_close, 0);
	conn_close(world_best(w, 0, 1), ERR_CLOSED);
	end(w);
}

static void test_fin_both_ways_is_a_clean_end(void **state)
{
	(void)state;
	struct world *w = begin();
	ours.on_open = write_hello;
	theirs.on_eof = stream_close_write;
	struct stream *s = open_stream(w, push_name, 1, &push_ops);
	world_run(w, MSEC(20));
	stream_close_write(s);
	end(w);
	assert_int_equal(ours.n_eof, 1);
	assert_int_equal(ours.why, ERR_OK);
	assert_int_equal(theirs.why, ERR_OK);
	assert_int_equal(theirs.n_close, 1);
}

static void test_the_first_common_protocol_is_agreed_on(void **state)
{
	(void)state;
	struct world *w = begin();
	static const char *const names[] = {"/new", "/newer", "/pull", "/push"};
	struct stream *s = open_stream(w, names, ARRAY_LEN(names), &push_ops);
	world_run(w, MSEC(20));
	assert_string_equal(stream_protocol(s), "/pull");
	stream_reset(s, ERR_CLOSED);
	end(w);
}

static void test_nothing_in_common_is_said(void **state)
{
	(void)state;
	struct world *w = begin();
	static const char *const names[] = {"/new", "/newer"};
	open_stream(w, names, ARRAY_LEN(names), &push_ops);
	end(w);
	assert_int_equal(ours.n_open, 0);
	assert_int_equal(ours.why, ERR_NEGOTIATION);
	assert_int_equal(theirs.n_close, 0); /* never was theirs */
}

static void test_writing_is_bounded(void **state)
{
	(void)state;
	struct world *w = begin();
	struct stream *s = open_stream(w, push_name, 1, &push_ops);
	world_run(w, MSEC(20));
	static const uint8_t bytes[STREAM_WRITE_MAX + 1];
	assert_err(stream_write(s, span_of(bytes, STREAM_WRITE_MAX + 1)), ERR_FULL);
	assert_ok(stream_write(s, span_of(bytes, STREAM_WRITE_MAX - 1)));
	assert_err(stream_write(s, span_of(bytes, 2)), ERR_FULL);
	assert_ok(stream_write(s, span_of(bytes, 1)));
	assert_ok(stream_write(s, span_of(bytes, 0)));
	stream_close_write(s); /* what is written goes before the FIN */
	theirs.on_eof = stream_close_write;
	world_run(w, MSEC(100));
	assert_int_equal(theirs.n_data, STREAM_WRITE_MAX);
	end(w);
	assert_int_equal(ours.why, ERR_OK);
}

static void test_pulling_waits_for_the_socket(void **state)
{
	(void)state;
	struct world *w = begin();
	world_path(w, 0, 1, (struct sim_path){.delay = MSEC(1), .rate_bytes_per_sec = 1000000});
	ours.to_pull = PULL_TOTAL;
	struct stream *s = open_stream(w, pull_name, 1, &pull_ops);
	world_run(w, MSEC(1000));
	assert_in_range(theirs.n_data, 800 * 1000, 1000 * 1000);
	/* Little was taken before it could leave: buffers of a second would be a second late. */
	assert_in_range(PULL_TOTAL - ours.to_pull - theirs.n_data, 0, 700 * 1000);
	world_run(w, SEC(4));
	assert_int_equal(theirs.n_data, PULL_TOTAL);
	ours.to_pull = 10;
	stream_wake(s);
	stream_wake(s);
	world_run(w, MSEC(10));
	assert_int_equal(theirs.n_data, PULL_TOTAL + 10);
	stream_reset(s, ERR_CLOSED);
	end(w);
}

/* --- ends in the midst of callbacks
 * --------------------------------------------------------------- */

static void (*const endings[])(struct stream *s) = {reset, close_conn};

static void test_a_stream_may_end_in_any_callback(void **state)
{
	(void)state;
	for (size_t side = 0; side < 2; side++) {
		for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
			for (int where = 0; where < 4; where++) {
				struct world *w = begin();
				struct script *k = side == 0 ? &ours : &theirs;
				ours.on_open = theirs.on_open = write_hello;
				ours.to_pull = theirs.to_pull = 1000;
				if (where == 0)
					k->on_open = endings[i];
				else if (where == 1)
					k->on_data = endings[i];
				else if (where == 2)
					k->on_eof = endings[i];
				else
					k->on_close = endings[i];
				struct stream *s = open_stream(w, pull_name, 1, &pull_ops);
				if (where == 2)
					(side == 0 ? &theirs : &ours)->on_data = stream_close_write;
				world_run(w, MSEC(50));
				if (ours.n_close == 0)
					stream_reset(s, ERR_CLOSED);
				end(w);
			}
		}
	}
}

static struct stream *other;

static void reset_other(struct stream *s)
{
	(void)s;
	if (other != NULL)
		stream_reset(other, ERR_CLOSED);
	other = NULL;
}

static void test_a_stream_may_end_another_in_its_callbacks(void **state)
{
	(void)state;
	for (int where = 0; where < 3; where++) {
		struct world *w = begin();
		struct script second = {0};
		theirs.on_open = write_hello;
		if (where == 0)
			ours.on_open = reset_other;
		else if (where == 1)
			ours.on_data = reset_other;
		else
			ours.on_close = reset_other;
		struct stream *s = open_stream(w, pull_name, 1, &pull_ops);
		assert_ok(conn_open_stream(world_best(w, 0, 1), pull_name, 1, &pull_ops, &second,
					   &other));
		world_run(w, MSEC(20));
		if (ours.n_close == 0)
			stream_reset(s, ERR_CLOSED);
		world_run(w, MSEC(20));
		assert_int_equal(second.n_close, 1);
		assert_int_equal(ours.n_close, 1);
		world_end(w);
	}
}

static void open_again(struct stream *s)
{
	struct stream *next;
	enum err e = conn_open_stream(stream_conn(s), push_name, 1, &push_ops, &theirs, &next);
	assert_true(e == ERR_OK || e == ERR_BAD_STATE);
}

static void test_the_next_stream_may_be_opened_when_one_ends(void **state)
{
	(void)state;
	struct world *w = begin();
	ours.on_close = open_again;
	struct stream *s = open_stream(w, push_name, 1, &push_ops);
	world_run(w, MSEC(10));
	stream_reset(s, ERR_CLOSED);
	world_run(w, MSEC(10));
	assert_int_equal(conn_stream_count(world_best(w, 0, 1)), 1);
	world_end(w);
	assert_int_equal(ours.n_close, 1);
	/* Also when it is the connection that ends: refused then. */
	w = begin();
	ours.on_close = open_again;
	open_stream(w, push_name, 1, &push_ops);
	world_run(w, MSEC(10));
	world_end(w);
	assert_int_equal(ours.n_close, 1);
}

/* --- many
 * ----------------------------------------------------------------------------------------- */

static void test_256_streams_and_not_one_more(void **state)
{
	(void)state;
	struct world *w = begin();
	struct conn *c = world_best(w, 0, 1);
	struct stream *streams[YAMUX_STREAMS_OUT_MAX], *one_more;
	/* In portions: the other side bounds those that negotiate. */
	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		assert_ok(conn_open_stream(c, pull_name, 1, &pull_ops, &ours, &streams[i]));
		if (i % STREAM_NEGOTIATIONS_MAX == STREAM_NEGOTIATIONS_MAX - 1)
			world_run(w, MSEC(10));
	}
	assert_int_equal(ours.n_open, YAMUX_STREAMS_OUT_MAX);
	assert_err(conn_open_stream(c, pull_name, 1, &pull_ops, &ours, &one_more), ERR_LIMIT);
	assert_int_equal(conn_stream_count(world_best(w, 1, 0)), YAMUX_STREAMS_OUT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(streams); i++)
		assert_ok(stream_write(streams[i], span_str("0123456789")));
	world_run(w, MSEC(20));
	assert_int_equal(theirs.n_data, 10 * YAMUX_STREAMS_OUT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(streams); i++)
		stream_reset(streams[i], ERR_CLOSED);
	world_run(w, MSEC(20));
	assert_int_equal(conn_stream_count(c), 0);
	assert_int_equal(ours.n_close, YAMUX_STREAMS_OUT_MAX);
	assert_int_equal(theirs.n_close, YAMUX_STREAMS_OUT_MAX);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways_and_closed_by_both),
		cmocka_unit_test(test_a_half_closed_stream_still_carries_the_other_way),
		cmocka_unit_test(test_fin_both_ways_is_a_clean_end),
		cmocka_unit_test(test_the_first_common_protocol_is_agreed_on),
		cmocka_unit_test(test_nothing_in_common_is_said),
		cmocka_unit_test(test_writing_is_bounded),
		cmocka_unit_test(test_pulling_waits_for_the_socket),
		cmocka_unit_test(test_a_stream_may_end_in_any_callback),
		cmocka_unit_test(test_a_stream_may_end_another_in_its_callbacks),
		cmocka_unit_test(test_the_next_stream_may_be_opened_when_one_ends),
		cmocka_unit_test(test_256_streams_and_not_one_more),
	};
	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
