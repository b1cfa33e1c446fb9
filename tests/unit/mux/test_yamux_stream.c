/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The life of streams, what they owe, pings, go-aways and limits, seen from our side. */
#include "yamuxkit.h"

static struct yamux_stream *open_one(struct yamux *y)
{
	struct yamux_stream *s;
	assert_ok(yamux_open(y, NULL, &s));
	return s;
}

/* Take all that is owed and throw it away. */
static void flush(struct yamux *y)
{
	while (yamux_has_control(y))
		take_one(y, 0);
}

static void put(struct yamux_stream *s, size_t len, unsigned flags)
{
	uint8_t header[YAMUX_HEADER_LEN];
	yamux_put_data(s, header, len);
	assert_int_equal(header[0], 0);
	assert_int_equal(header[1], DATA);
	assert_int_equal(load_be16(header + 2), flags);
	assert_int_equal(load_be32(header + 4), yamux_stream_id(s));
	assert_int_equal(load_be32(header + 8), len);
}

static void test_ids_count_up_by_two_from_one_or_two(void **state)
{
	(void)state;
	for (uint32_t role = 0; role < 2; role++) {
		struct yamux *y = session(role == 0 ? YAMUX_CLIENT : YAMUX_SERVER);
		for (uint32_t i = 0; i < 3; i++)
			assert_int_equal(yamux_stream_id(open_one(y)), 1 + role + 2 * i);
		for (uint32_t i = 0; i < 3; i++)
			expect_frame(y, WINDOW, SYN, 1 + role + 2 * i, 0);
		expect_silence(y);
		yamux_free(y);
	}
}

static void test_user_is_kept(void **state)
{
	(void)state;
	int a, b;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s;
	assert_ok(yamux_open(y, &a, &s));
	assert_ptr_equal(yamux_user(s), &a);
	yamux_set_user(s, &b);
	assert_ptr_equal(yamux_user(s), &b);
	yamux_free(y);
	assert_null(yamux_free(NULL));
}

static void test_data_may_carry_the_syn(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s = open_one(y);
	put(s, 5, SYN);
	expect_silence(y);
	put(s, 5, 0);
	yamux_free(y);
}

static void test_ack_follows_opened_at_once_also_on_data(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	send_open(y, 1);
	expect_frame(y, WINDOW, ACK, 1, 0);
	expect_silence(y);
	struct yamux_stream *s = send_open(y, 3);
	put(s, 5, ACK);
	expect_silence(y);
	yamux_free(y);
}

static void test_send_room_is_the_window_and_at_most_one_frame(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s = open_one(y);
	flush(y);
	size_t sent = 0;
	for (size_t room; (room = yamux_send_room(s)) > 0; sent += room) {
		assert_true(room <= YAMUX_BODY_LEN_SEND);
		put(s, room, 0);
	}
	assert_int_equal(sent, YAMUX_WINDOW_INITIAL);
	send_quiet(y, WINDOW, 0, 1, 0);
	send_event(y, WINDOW, 0, 1, 7, YAMUX_EV_WRITABLE);
	assert_int_equal(yamux_send_room(s), 7);
	send_quiet(y, WINDOW, 0, 1, 7); /* it was open already */
	assert_int_equal(yamux_send_room(s), 14);
	yamux_free(y);
}

static void test_window_that_opens_behind_our_fin_is_not_an_event(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s = open_one(y);
	for (size_t room; (room = yamux_send_room(s)) > 0;) {
		uint8_t header[YAMUX_HEADER_LEN];
		yamux_put_data(s, header, room);
	}
	yamux_close_write(s);
	send_quiet(y, WINDOW, 0, 1, 1000);
	assert_int_equal(yamux_send_room(s), 0);
	yamux_free(y);
}

static void test_fin_has_a_frame_of_its_own(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s = open_one(y);
	put(s, 5, SYN);
	yamux_close_write(s);
	yamux_close_write(s);
	assert_int_equal(yamux_send_room(s), 0);
	expect_frame(y, WINDOW, FIN, 1, 0);
	yamux_close_write(s);
	expect_silence(y);
	yamux_free(y);
}

static void test_close_before_syn_was_taken_sends_both(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s = open_one(y);
	yamux_close_write(s);
	uint8_t buf[2 * YAMUX_HEADER_LEN];
	struct wbuf out = wbuf_of(buf, sizeof(buf));
	yamux_take(y, &out, 0);
	assert_int_equal(out.len, sizeof(buf));
	assert_int_equal(load_be16(buf + 2), SYN);
	assert_int_equal(load_be16(buf + YAMUX_HEADER_LEN + 2), FIN);
	expect_silence(y);
	send_event(y, DATA, FIN, 1, 0, YAMUX_EV_FIN);
	yamux_release(s);
	expect_silence(y);
	yamux_free(y);
}

static void test_window_and_fin_are_two_frames(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	struct yamux_stream *s = send_open(y, 1);
	flush(y);
	assert_err(send_at(y, 0, DATA, 0, 1, 200000, 200000), ERR_AGAIN);
	yamux_consumed(s, 200000, 0);
	yamux_close_write(s);
	expect_frame(y, WINDOW, 0, 1, 200000);
	expect_frame(y, WINDOW, FIN, 1, 0);
	yamux_free(y);
}

static void test_stream_that_was_never_announced_dies_in_silence(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s = open_one(y);
	yamux_reset(s);
	expect_silence(y);
	yamux_release(s);
	s = open_one(y);
	yamux_close_write(s);
	yamux_release(s);
	expect_silence(y);
	assert_int_equal(yamux_stream_count(y), 0);
	yamux_free(y);
}

static void test_reset_sends_rst_once_and_release_adds_none(void **state)
{
	(void)state;
	for (int taken = 0; taken < 2; taken++) {
		struct yamux *y = session(YAMUX_CLIENT);
		struct yamux_stream *s = open_one(y);
		flush(y);
		yamux_close_write(s);
		yamux_reset(s); /* instead of the FIN */
		yamux_reset(s);
		assert_int_equal(yamux_send_room(s), 0);
		if (taken)
			expect_frame(y, WINDOW, RST, 1, 0);
		yamux_release(s);
		if (!taken)
			expect_frame(y, WINDOW, RST, 1, 0);
		expect_silence(y);
		yamux_free(y);
	}
}

static void test_release_of_an_open_stream_resets_it(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s = open_one(y);
	flush(y);
	yamux_release(s);
	assert_int_equal(yamux_stream_count(y), 0);
	assert_err(send_at(y, 0, DATA, ACK, 1, 100, 100), ERR_AGAIN);
	expect_frame(y, WINDOW, RST, 1, 0);
	expect_silence(y);
	yamux_free(y);
}

static void test_release_keeps_the_fin_that_was_not_taken(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	struct yamux_stream *s = send_open(y, 1);
	send_event(y, DATA, FIN, 1, 0, YAMUX_EV_FIN);
	yamux_close_write(s);
	yamux_release(s);
	expect_frame(y, WINDOW, ACK | FIN, 1, 0);
	expect_silence(y);
	yamux_free(y);
}

static void test_peers_reset_takes_back_what_was_owed(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	struct yamux_stream *s = send_open(y, 1);
	yamux_close_write(s);
	send_event(y, WINDOW, RST, 1, 0, YAMUX_EV_RESET);
	expect_silence(y);
	yamux_consumed(s, 0, 0);
	yamux_release(s);
	expect_silence(y);
	yamux_free(y);
}

static void test_window_is_granted_at_half_of_it(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	struct yamux_stream *s = send_open(y, 1);
	flush(y);
	assert_err(send_at(y, 0, DATA, 0, 1, YAMUX_WINDOW_INITIAL, YAMUX_WINDOW_INITIAL),
		   ERR_AGAIN);
	yamux_consumed(s, YAMUX_WINDOW_INITIAL / 2 - 1, 0);
	expect_silence(y);
	yamux_consumed(s, 1, 0);
	yamux_consumed(s, 5, 0); /* goes with it */
	expect_frame(y, WINDOW, 0, 1, YAMUX_WINDOW_INITIAL / 2 + 5);
	expect_silence(y);
	/* Exactly that much may come. */
	assert_err(send_at(y, 0, DATA, 0, 1, YAMUX_WINDOW_INITIAL / 2 + 5,
			   YAMUX_WINDOW_INITIAL / 2 + 5),
		   ERR_AGAIN);
	assert_err(send_head(y, DATA, 0, 1, 1), ERR_FLOW_CONTROL);
	yamux_free(y);
}

static void test_body_under_way_is_not_granted_again(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	struct yamux_stream *s = send_open(y, 1);
	flush(y);
	/* Half of the body came, and was consumed; the other half is still to come. */
	assert_err(send_at(y, 0, DATA, 0, 1, YAMUX_WINDOW_INITIAL, YAMUX_WINDOW_INITIAL / 2),
		   ERR_AGAIN);
	yamux_consumed(s, YAMUX_WINDOW_INITIAL / 2, 0);
	expect_frame(y, WINDOW, 0, 1, YAMUX_WINDOW_INITIAL / 2);
	yamux_free(y);
}

static void test_nothing_is_granted_behind_the_peers_fin(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	struct yamux_stream *s = send_open(y, 1);
	flush(y);
	assert_err(send_at(y, 0, DATA, 0, 1, 200000, 200000), ERR_AGAIN);
	yamux_consumed(s, 150000, 0);
	assert_true(yamux_has_control(y));
	send_event(y, WINDOW, FIN, 1, 0, YAMUX_EV_FIN);
	expect_silence(y);
	yamux_consumed(s, 50000, 0);
	expect_silence(y);
	yamux_free(y);
}

static void test_ping_is_answered_once_with_its_value(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	send_quiet(y, PING, SYN, 0, 0xdeadbeef);
	send_quiet(y, PING, SYN, 0, 5);
	expect_frame(y, PING, ACK, 0, 0xdeadbeef);
	expect_frame(y, PING, ACK, 0, 5);
	expect_silence(y);
	yamux_free(y);
}

/* FAULTS 5 */
static void test_pongs_for_a_stopped_reader_are_bounded(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	for (uint32_t i = 0; i < YAMUX_PONGS_MAX; i++)
		send_quiet(y, PING, SYN, 0, i);
	assert_err(send_head(y, PING, SYN, 0, 99), ERR_LIMIT);
	expect_over(y, ERR_LIMIT);
	yamux_free(y);
	/* A reader that reads may ping for ever. */
	y = session(YAMUX_SERVER);
	for (uint32_t i = 0; i < 4 * YAMUX_PONGS_MAX; i++) {
		send_quiet(y, PING, SYN, 0, i);
		if (i >= YAMUX_PONGS_MAX - 1)
			expect_frame(y, PING, ACK, 0, i - (YAMUX_PONGS_MAX - 1));
	}
	yamux_free(y);
}

static void test_our_ping_is_timed_from_when_it_was_taken(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	assert_int_equal(yamux_rtt(y), 0);
	assert_false(yamux_is_ping_pending(y));
	yamux_ping(y);
	send_quiet(y, PING, ACK, 0, 0); /* of nothing: it is not sent yet */
	assert_true(yamux_is_ping_pending(y));
	struct head h = take_one(y, 1000);
	assert_int_equal(h.type, PING);
	assert_int_equal(h.flags, SYN);
	yamux_ping(y); /* one at a time */
	expect_silence(y);

	uint8_t buf[YAMUX_HEADER_LEN];
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	put_head(&w, PING, ACK, 0, h.len);
	struct span in = wbuf_view(&w);
	struct yamux_event ev;
	assert_ok(yamux_read(y, &in, 1000 + 42, &ev));
	assert_int_equal(ev.type, YAMUX_EV_RTT);
	assert_int_equal(ev.rtt, 42);
	assert_int_equal(yamux_rtt(y), 42);
	assert_false(yamux_is_ping_pending(y));
	yamux_ping(y);
	assert_int_not_equal(take_one(y, 2000).len, h.len);
	yamux_free(y);
}

static void test_unasked_and_wrong_pongs_change_nothing(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	send_quiet(y, PING, ACK, 0, 0);
	yamux_ping(y);
	struct head h = take_one(y, 0);
	send_quiet(y, PING, ACK, 0, h.len + 1);
	send_quiet(y, PING, 0, 0, h.len);
	assert_true(yamux_is_ping_pending(y));
	send_event(y, PING, ACK, 0, h.len, YAMUX_EV_RTT);
	send_quiet(y, PING, ACK, 0, h.len);
	expect_silence(y);
	yamux_free(y);
}

static void test_peers_go_away_of_any_code_is_told(void **state)
{
	(void)state;
	const uint32_t codes[] = {0, 1, 2, 3, UINT32_MAX};
	for (size_t i = 0; i < 5; i++) {
		struct yamux *y = session(YAMUX_CLIENT);
		struct yamux_event ev = send_event(y, GO_AWAY, 0, 0, codes[i], YAMUX_EV_GO_AWAY);
		assert_int_equal(ev.code, codes[i]);
		struct yamux_stream *s;
		assert_err(yamux_open(y, NULL, &s), ERR_GO_AWAY);
		yamux_free(y);
	}
}

static void test_our_go_away_goes_last_and_no_stream_opens_behind_it(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	yamux_go_away(y, YAMUX_GO_AWAY_INTERNAL);
	struct yamux_stream *s;
	assert_err(yamux_open(y, NULL, &s), ERR_GO_AWAY);
	send_quiet(y, WINDOW, SYN, 2, 0);
	send_quiet(y, PING, SYN, 0, 1);
	expect_frame(y, PING, ACK, 0, 1);
	expect_frame(y, WINDOW, RST, 2, 0);
	expect_frame(y, GO_AWAY, 0, 0, 2);
	expect_silence(y);
	yamux_free(y);
}

static void test_outbound_streams_are_limited(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *first = open_one(y);
	for (int i = 1; i < YAMUX_STREAMS_OUT_MAX; i++)
		open_one(y);
	struct yamux_stream *s;
	assert_err(yamux_open(y, NULL, &s), ERR_LIMIT);
	yamux_release(first);
	assert_ok(yamux_open(y, NULL, &s));
	yamux_free(y);
}

/* FAULTS 6 */
static void test_inbound_streams_above_the_limit_are_reset(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	struct yamux_stream *first = send_open(y, 1);
	uint32_t id = 3;
	for (int i = 1; i < YAMUX_STREAMS_IN_MAX; i++, id += 2)
		send_open(y, id);
	flush(y);
	/* Also with a body, which is skipped. */
	assert_err(send_at(y, 0, DATA, SYN, id, 1000, 1000), ERR_AGAIN);
	assert_int_equal(yamux_stream_count(y), YAMUX_STREAMS_IN_MAX);
	expect_frame(y, WINDOW, RST, id, 0);
	expect_silence(y);
	yamux_release(first);
	send_open(y, id + 2);
	yamux_free(y);
}

/* FAULTS 4 */
static void test_syn_rst_churn_ends_the_session(void **state)
{
	(void)state;
	for (int together = 0; together < 2; together++) {
		struct yamux *y = session(YAMUX_SERVER);
		uint32_t pairs = 0;
		for (enum err e = ERR_AGAIN; e == ERR_AGAIN; pairs++) {
			uint32_t id = 2 * pairs + 1;
			if (together) {
				e = send_head(y, WINDOW, SYN | RST, id, 0);
				continue;
			}
			e = send_head(y, WINDOW, SYN, id, 0);
			if (e == ERR_AGAIN && pairs % 2 == 0)
				send_quiet(y, PING, 0, 0, 0);
			if (e == ERR_AGAIN) {
				struct yamux_event ev =
					send_event(y, WINDOW, RST, id, 0, YAMUX_EV_RESET);
				yamux_release(ev.stream);
			}
		}
		assert_in_range(pairs, YAMUX_CHURN_BURST, YAMUX_CHURN_BURST + 2);
		assert_int_equal(yamux_stream_count(y), 0);
		expect_over(y, ERR_LIMIT);
		yamux_free(y);
	}
}

static void test_churn_below_its_rate_may_go_on(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	nsec_t now = 0;
	for (uint32_t i = 0; i < 8 * YAMUX_CHURN_BURST; i++) {
		assert_err(send_at(y, now, WINDOW, SYN | RST, 2 * i + 1, 0, 0), ERR_AGAIN);
		now += NSEC_PER_SEC / YAMUX_CHURN_PER_SEC;
	}
	yamux_free(y);
}

static void test_streams_that_end_in_peace_are_not_churn(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	for (uint32_t i = 0; i < 4 * YAMUX_CHURN_BURST; i++) {
		struct yamux_stream *s = send_open(y, 2 * i + 1);
		send_event(y, DATA, FIN, 2 * i + 1, 0, YAMUX_EV_FIN);
		yamux_close_write(s);
		flush(y);
		yamux_release(s);
	}
	yamux_free(y);
}

/* A peer that makes us refuse, and never reads that, must not fill our memory; even slowly. */
static void test_last_frames_for_a_stopped_reader_are_bounded(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	nsec_t now = 0;
	uint32_t n = 0;
	for (enum err e = ERR_AGAIN; e == ERR_AGAIN; n++, now += NSEC_PER_SEC) {
		uint8_t buf[YAMUX_HEADER_LEN];
		struct wbuf w = wbuf_of(buf, sizeof(buf));
		put_head(&w, WINDOW, SYN, 2 * n + 1, 0);
		struct span in = wbuf_view(&w);
		struct yamux_event ev;
		while ((e = yamux_read(y, &in, now, &ev)) == ERR_OK)
			yamux_release(ev.stream);
	}
	assert_int_equal(n, YAMUX_OWED_MAX + 1);
	expect_over(y, ERR_LIMIT);
	yamux_free(y);
}

static void test_our_own_streams_leave_room_for_last_frames(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	for (int i = 0; i < YAMUX_OWED_MAX; i++) {
		struct yamux_stream *s = open_one(y);
		put(s, 1, SYN);
		yamux_release(s);
	}
	struct yamux_stream *s;
	assert_err(yamux_open(y, NULL, &s), ERR_LIMIT);
	expect_frame(y, WINDOW, RST, 1, 0);
	assert_ok(yamux_open(y, NULL, &s));
	yamux_free(y);
}

static void test_take_writes_whole_frames_into_any_room(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < 8 * YAMUX_HEADER_LEN; cap++) {
		struct yamux *y = session(YAMUX_SERVER);
		send_quiet(y, PING, SYN, 0, 1);
		yamux_ping(y);
		yamux_close_write(open_one(y));
		yamux_release(send_open(y, 1));
		send_open(y, 3);
		yamux_go_away(y, YAMUX_GO_AWAY_NORMAL);
		/* pong, ping, SYN, FIN, ACK, RST, go-away */
		size_t total = 0;
		for (int i = 0; i < 10; i++) {
			uint8_t *buf = malloc(cap > 0 ? cap : 1);
			struct wbuf out = wbuf_of(buf, cap);
			yamux_take(y, &out, 0);
			assert_false(out.overflowed);
			assert_int_equal(out.len % YAMUX_HEADER_LEN, 0);
			total += out.len;
			free(buf);
		}
		assert_int_equal(total, cap < YAMUX_HEADER_LEN ? 0 : 7 * YAMUX_HEADER_LEN);
		assert_int_equal(yamux_has_control(y), cap < YAMUX_HEADER_LEN);
		yamux_free(y);
	}
}

static void test_nothing_but_the_go_away_leaves_a_failed_session(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	struct yamux_stream *s = send_open(y, 1);
	send_quiet(y, PING, SYN, 0, 1);
	assert_err(send_head(y, 4, 0, 0, 0), ERR_PROTOCOL);
	assert_int_equal(yamux_send_room(s), 0);
	yamux_close_write(s);
	yamux_release(s);
	expect_over(y, ERR_PROTOCOL);
	yamux_free(y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_count_up_by_two_from_one_or_two),
		cmocka_unit_test(test_user_is_kept),
		cmocka_unit_test(test_data_may_carry_the_syn),
		cmocka_unit_test(test_ack_follows_opened_at_once_also_on_data),
		cmocka_unit_test(test_send_room_is_the_window_and_at_most_one_frame),
		cmocka_unit_test(test_window_that_opens_behind_our_fin_is_not_an_event),
		cmocka_unit_test(test_fin_has_a_frame_of_its_own),
		cmocka_unit_test(test_close_before_syn_was_taken_sends_both),
		cmocka_unit_test(test_window_and_fin_are_two_frames),
		cmocka_unit_test(test_stream_that_was_never_announced_dies_in_silence),
		cmocka_unit_test(test_reset_sends_rst_once_and_release_adds_none),
		cmocka_unit_test(test_release_of_an_open_stream_resets_it),
		cmocka_unit_test(test_release_keeps_the_fin_that_was_not_taken),
		cmocka_unit_test(test_peers_reset_takes_back_what_was_owed),
		cmocka_unit_test(test_window_is_granted_at_half_of_it),
		cmocka_unit_test(test_body_under_way_is_not_granted_again),
		cmocka_unit_test(test_nothing_is_granted_behind_the_peers_fin),
		cmocka_unit_test(test_ping_is_answered_once_with_its_value),
		cmocka_unit_test(test_pongs_for_a_stopped_reader_are_bounded),
		cmocka_unit_test(test_our_ping_is_timed_from_when_it_was_taken),
		cmocka_unit_test(test_unasked_and_wrong_pongs_change_nothing),
		cmocka_unit_test(test_peers_go_away_of_any_code_is_told),
		cmocka_unit_test(test_our_go_away_goes_last_and_no_stream_opens_behind_it),
		cmocka_unit_test(test_outbound_streams_are_limited),
		cmocka_unit_test(test_inbound_streams_above_the_limit_are_reset),
		cmocka_unit_test(test_syn_rst_churn_ends_the_session),
		cmocka_unit_test(test_churn_below_its_rate_may_go_on),
		cmocka_unit_test(test_streams_that_end_in_peace_are_not_churn),
		cmocka_unit_test(test_last_frames_for_a_stopped_reader_are_bounded),
		cmocka_unit_test(test_our_own_streams_leave_room_for_last_frames),
		cmocka_unit_test(test_take_writes_whole_frames_into_any_room),
		cmocka_unit_test(test_nothing_but_the_go_away_leaves_a_failed_session),
	};
	return cmocka_run_group_tests_name("yamux_stream", tests, NULL, NULL);
}
