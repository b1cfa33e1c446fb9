/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Receive windows that grow with the path, in virtual time: a sender that always has more, a reader
 * that consumes at once (or does not), and a path that carries so many bytes per round trip.
 */
#include "yamuxkit.h"

enum {
	STREAMS_MAX = 16,
	PIECE = 50000,
};

static const nsec_t RTT = 100 * NSEC_PER_MSEC;

static struct yamux *sender, *reader;
static struct yamux_stream *out[STREAMS_MAX], *in[STREAMS_MAX];
static nsec_t now;

/* One frame, or all control frames where len is 0, from one session to the other; returns the DATA
 * bytes that came. */
static size_t transfer(struct yamux *from, struct yamux *to, struct yamux_stream *s, size_t len)
{
	static uint8_t buf[64 * 1024];
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	if (len > 0) {
		yamux_put_data(s, wbuf_reserve(&w, YAMUX_HEADER_LEN), len);
		memset(wbuf_reserve(&w, len), 'x', len);
	} else {
		yamux_take(from, &w, now);
	}
	struct span bytes = wbuf_view(&w);
	struct yamux_event ev;
	enum err e;
	size_t came = 0;
	while ((e = yamux_read(to, &bytes, now, &ev)) == ERR_OK) {
		if (ev.type == YAMUX_EV_OPENED)
			in[yamux_stream_id(ev.stream) / 2] = ev.stream;
		if (ev.type == YAMUX_EV_DATA)
			came += ev.data.len;
	}
	assert_err(e, ERR_AGAIN);
	return came;
}

static void start(size_t n, bool is_pinged)
{
	now = NSEC_PER_SEC;
	sender = session(YAMUX_CLIENT);
	reader = session(YAMUX_SERVER);
	for (size_t i = 0; i < n; i++)
		assert_ok(yamux_open(sender, NULL, &out[i]));
	transfer(sender, reader, NULL, 0);
	if (!is_pinged)
		return;
	yamux_ping(reader);
	transfer(reader, sender, NULL, 0);
	now += RTT;
	transfer(sender, reader, NULL, 0);
	assert_int_equal(yamux_rtt(reader), RTT);
}

static void stop(void)
{
	sender = yamux_free(sender);
	reader = yamux_free(reader);
}

/* Send up to `limit` bytes on stream i; they are consumed at once, or kept. */
static size_t burst(size_t i, size_t limit, bool is_consumed)
{
	size_t sent = 0;
	while (sent < limit) {
		size_t n = yamux_send_room(out[i]);
		n = n < PIECE ? n : PIECE;
		n = n < limit - sent ? n : limit - sent;
		if (n == 0)
			break;
		size_t came = transfer(sender, reader, out[i], n);
		assert_int_equal(came, n);
		if (is_consumed)
			yamux_consumed(in[i], n, now);
		sent += n;
	}
	return sent;
}

/* One round trip of stream i: data there, windows back. */
static size_t round_trip(size_t i, size_t path_bytes)
{
	size_t sent = burst(i, path_bytes, true);
	now += RTT;
	transfer(reader, sender, NULL, 0);
	return sent;
}

static void test_window_doubles_up_to_its_maximum_on_a_fast_path(void **state)
{
	(void)state;
	start(1, true);
	size_t sent = 0;
	for (int i = 0; i < 12; i++) {
		size_t more = round_trip(0, SIZE_MAX);
		assert_true(more >= sent);
		sent = more;
		assert_true(sent <= YAMUX_WINDOW_MAX);
	}
	assert_int_equal(sent, YAMUX_WINDOW_MAX);
	stop();
}

static void test_window_stays_without_a_measured_round_trip(void **state)
{
	(void)state;
	start(1, false);
	for (int i = 0; i < 12; i++)
		assert_int_equal(round_trip(0, SIZE_MAX), YAMUX_WINDOW_INITIAL);
	stop();
}

static void test_window_stops_growing_when_the_path_is_full(void **state)
{
	(void)state;
	start(1, true);
	const size_t path_bytes = 200000;
	for (int i = 0; i < 100; i++)
		assert_int_equal(round_trip(0, path_bytes), path_bytes);
	/* What could be sent now without waiting. */
	size_t window = burst(0, SIZE_MAX, false);
	assert_in_range(window, 4 * path_bytes / 2, 8 * path_bytes);
	stop();
}

static void test_window_of_a_slow_reader_does_not_grow(void **state)
{
	(void)state;
	start(1, true);
	for (int i = 0; i < 20; i++) {
		size_t sent = burst(0, SIZE_MAX, false);
		assert_true(sent <= YAMUX_WINDOW_INITIAL);
		for (size_t left = sent; left > 0;) {
			size_t n = left < 10000 ? left : 10000;
			now += RTT;
			yamux_consumed(in[0], n, now);
			left -= n;
		}
		transfer(reader, sender, NULL, 0);
	}
	stop();
}

static void test_reader_that_stops_gets_at_most_a_window(void **state)
{
	(void)state;
	start(1, true);
	for (int i = 0; i < 12; i++)
		round_trip(0, SIZE_MAX);
	assert_int_equal(burst(0, SIZE_MAX, false), YAMUX_WINDOW_MAX);
	transfer(reader, sender, NULL, 0);
	assert_int_equal(burst(0, SIZE_MAX, false), 0);
	stop();
}

static void test_growth_of_all_windows_is_bounded_and_given_back(void **state)
{
	(void)state;
	start(STREAMS_MAX, true);
	for (int round = 0; round < 10; round++) {
		for (size_t i = 0; i < STREAMS_MAX - 1; i++)
			burst(i, SIZE_MAX, true);
		now += RTT;
		transfer(reader, sender, NULL, 0);
	}
	size_t total = 0;
	for (size_t i = 0; i < STREAMS_MAX - 1; i++)
		total += burst(i, SIZE_MAX, false);
	assert_in_range(total, YAMUX_WINDOW_GROWTH_MAX / 2,
			YAMUX_WINDOW_GROWTH_MAX + (STREAMS_MAX - 1) * YAMUX_WINDOW_INITIAL);
	/* Streams that end make room for others. */
	for (size_t i = 0; i < STREAMS_MAX - 1; i++)
		yamux_release(in[i]);
	size_t sent = 0;
	for (int round = 0; round < 12; round++)
		sent = round_trip(STREAMS_MAX - 1, SIZE_MAX);
	assert_int_equal(sent, YAMUX_WINDOW_MAX);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window_doubles_up_to_its_maximum_on_a_fast_path),
		cmocka_unit_test(test_window_stays_without_a_measured_round_trip),
		cmocka_unit_test(test_window_stops_growing_when_the_path_is_full),
		cmocka_unit_test(test_window_of_a_slow_reader_does_not_grow),
		cmocka_unit_test(test_reader_that_stops_gets_at_most_a_window),
		cmocka_unit_test(test_growth_of_all_windows_is_bounded_and_given_back),
	};
	return cmocka_run_group_tests_name("yamux_window", tests, NULL, NULL);
}
