/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What peers send, honest and hostile: frames, their events, and what ends the session. */
#include "yamuxkit.h"

/* What a run of frames brought, as text: "OPENED 2; DATA 2 hello; FIN 2;" with pieces of data
 * joined. */
struct trace {
	char text[1024];
	size_t len;
	bool is_in_data;
};

static void note(struct trace *t, const struct yamux_event *ev)
{
	static const char *const words[] = {"OPENED", "ACKED",    "DATA", "FIN",
					    "RESET",  "WRITABLE", "RTT",  "GO_AWAY"};
	if (ev->type == YAMUX_EV_DATA && t->is_in_data) {
		memcpy(t->text + t->len, ev->data.p, ev->data.len);
		t->len += ev->data.len;
		return;
	}
	unsigned id = ev->stream != NULL ? yamux_stream_id(ev->stream) : ev->code;
	t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, "%s%s %u",
				   t->len > 0 ? ";" : "", words[ev->type], id);
	t->is_in_data = ev->type == YAMUX_EV_DATA;
	if (t->is_in_data)
		t->len += (size_t)snprintf(t->text + t->len, sizeof(t->text) - t->len, " %.*s",
					   (int)ev->data.len, (const char *)ev->data.p);
}

/* Feed in two pieces, each an allocation of its own. */
static void read_split(struct yamux *y, struct span bytes, size_t at, struct trace *t)
{
	const struct span pieces[] = {
		span_of(bytes.p, at),
		span_of(bytes.p + at, bytes.len - at),
	};
	for (size_t i = 0; i < 2; i++) {
		uint8_t *copy = testkit_copy(pieces[i]);
		struct span in = span_of(copy, pieces[i].len);
		struct yamux_event ev;
		enum err e;
		while ((e = yamux_read(y, &in, 0, &ev)) == ERR_OK)
			note(t, &ev);
		assert_err(e, ERR_AGAIN);
		assert_int_equal(in.len, 0);
		free(copy);
	}
	t->text[t->len] = '\0';
}

static void test_frames_split_at_every_byte_bring_the_same_events(void **state)
{
	(void)state;
	uint8_t buf[512];
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	put_head(&w, DATA, SYN | FIN, 1, 5);
	wbuf_put(&w, span_str("hello"));
	put_head(&w, PING, SYN, 0, 7);
	put_head(&w, WINDOW, SYN, 3, 10);
	put_head(&w, DATA, 0, 3, 3);
	wbuf_put(&w, span_str("one"));
	put_head(&w, DATA, 0, 99, 4); /* nobody's */
	wbuf_put(&w, span_str("lost"));
	put_head(&w, DATA, FIN, 3, 3);
	wbuf_put(&w, span_str("two"));
	put_head(&w, WINDOW, SYN, 5, 0);
	put_head(&w, DATA, RST, 5, 4);
	wbuf_put(&w, span_str("gone"));
	put_head(&w, GO_AWAY, 0, 0, 2);

	for (size_t at = 0; at <= w.len; at++) {
		struct yamux *y = session(YAMUX_SERVER);
		struct trace t = {.len = 0};
		read_split(y, wbuf_view(&w), at, &t);
		assert_string_equal(t.text, "OPENED 1;DATA 1 hello;FIN 1;OPENED 3;DATA 3 one"
					    "two;FIN 3;OPENED 5;RESET 5;GO_AWAY 2");
		yamux_free(y);
	}
}

static void test_vector_frames_bring_their_events(void **state)
{
	(void)state;
	static const char *const expected[] = {
		"OPENED 1",
		"",
		"OPENED 3",
		"OPENED 5;DATA 5 hello",
		"DATA 1 hello",
		"DATA 1 hi",
		"FIN 1",
		"",
		"RESET 1",
		"",
		"",
		"",
		"",
		"",
		"GO_AWAY 0",
		"GO_AWAY 1",
		"GO_AWAY 2",
	};
	json_t *root = testkit_vectors("yamux_frames.json");
	json_t *frames = json_object_get(root, "frames");
	assert_int_equal(json_array_size(frames), sizeof(expected) / sizeof(expected[0]));
	struct yamux *y = session(YAMUX_SERVER);
	size_t i;
	json_t *frame;
	json_array_foreach(frames, i, frame)
	{
		size_t len;
		uint8_t *bytes = testkit_unhex(testkit_string(frame, "hex"), &len);
		struct trace t = {.len = 0};
		read_split(y, span_of(bytes, len), len, &t);
		assert_string_equal(t.text, expected[i]);
		free(bytes);
	}
	yamux_free(y);
	json_decref(root);
}

static void test_vector_fatal_frames_end_the_session(void **state)
{
	(void)state;
	const enum err errs[] = {ERR_VERSION, ERR_PROTOCOL, ERR_PROTOCOL};
	json_t *root = testkit_vectors("yamux_frames.json");
	json_t *frames = json_object_get(root, "must_kill_session");
	for (size_t i = 0; i < 3; i++) {
		size_t len;
		uint8_t *bytes =
			testkit_unhex(testkit_string(json_array_get(frames, i), "hex"), &len);
		struct yamux *y = session(YAMUX_SERVER);
		struct span in = span_of(bytes, len);
		struct yamux_event ev;
		assert_err(yamux_read(y, &in, 0, &ev), errs[i]);
		expect_over(y, errs[i]);
		yamux_free(y);
		free(bytes);
	}
	json_decref(root);
}

static void test_stream_zero_is_fatal_for_data_and_windows(void **state)
{
	(void)state;
	for (unsigned type = DATA; type <= WINDOW; type++) {
		for (unsigned flags = 0; flags < 16; flags++) {
			struct yamux *y = session(YAMUX_CLIENT);
			assert_err(send_head(y, type, flags, 0, 0), ERR_PROTOCOL);
			expect_over(y, ERR_PROTOCOL);
			yamux_free(y);
		}
	}
}

static void test_every_unknown_type_and_version_is_fatal(void **state)
{
	(void)state;
	for (unsigned v = 1; v < 256; v++) {
		uint8_t header[YAMUX_HEADER_LEN] = {(uint8_t)v, PING, 0, SYN};
		struct yamux *y = session(YAMUX_CLIENT);
		struct span in = span_of(header, sizeof(header));
		struct yamux_event ev;
		assert_err(yamux_read(y, &in, 0, &ev), ERR_VERSION);
		expect_over(y, ERR_VERSION);
		yamux_free(y);
		if (v > GO_AWAY) {
			y = session(YAMUX_CLIENT);
			assert_err(send_head(y, v, 0, 0, 0), ERR_PROTOCOL);
			yamux_free(y);
		}
	}
}

static void test_syn_with_our_parity_is_fatal(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	assert_err(send_head(y, WINDOW, SYN, 3, 0), ERR_PROTOCOL);
	expect_over(y, ERR_PROTOCOL);
	yamux_free(y);
	y = session(YAMUX_SERVER);
	assert_err(send_head(y, DATA, SYN, 4, 0), ERR_PROTOCOL);
	expect_over(y, ERR_PROTOCOL);
	yamux_free(y);
}

static void test_second_syn_for_a_living_stream_is_fatal(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	send_open(y, 1);
	assert_err(send_head(y, WINDOW, SYN, 1, 0), ERR_PROTOCOL);
	expect_over(y, ERR_PROTOCOL);
	yamux_free(y);
}

/* FAULTS 1, CVE-2026-31814 */
static void test_send_window_overflow_is_fatal(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	send_open(y, 1);
	assert_err(send_head(y, WINDOW, 0, 1, UINT32_MAX), ERR_PROTOCOL);
	expect_over(y, ERR_PROTOCOL);
	yamux_free(y);

	y = session(YAMUX_SERVER);
	struct yamux_stream *s = send_open(y, 1);
	send_quiet(y, WINDOW, 0, 1, UINT32_MAX - YAMUX_WINDOW_INITIAL);
	assert_int_equal(yamux_send_room(s), YAMUX_BODY_LEN_SEND);
	assert_err(send_head(y, WINDOW, 0, 1, 1), ERR_PROTOCOL);
	yamux_free(y);

	y = session(YAMUX_SERVER);
	assert_err(send_head(y, WINDOW, SYN, 1, UINT32_MAX), ERR_PROTOCOL);
	assert_int_equal(yamux_stream_count(y), 0);
	yamux_free(y);
}

/* FAULTS 2, CVE-2026-32314 */
static void test_data_syn_above_the_window_leaves_no_stream(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	assert_err(send_head(y, DATA, SYN, 1, YAMUX_WINDOW_INITIAL + 1), ERR_FLOW_CONTROL);
	assert_int_equal(yamux_stream_count(y), 0);
	expect_over(y, ERR_FLOW_CONTROL);
	yamux_free(y);

	y = session(YAMUX_SERVER);
	assert_err(send_at(y, 0, DATA, SYN, 1, YAMUX_WINDOW_INITIAL, YAMUX_WINDOW_INITIAL),
		   ERR_AGAIN);
	assert_int_equal(yamux_stream_count(y), 1);
	yamux_free(y);
}

/* FAULTS 3, CVE-2026-73568 */
static void test_body_of_4_gib_is_refused_at_the_header(void **state)
{
	(void)state;
	const unsigned flags[] = {0, SYN, FIN, RST, SYN | RST, ACK, 0xffff & ~SYN};
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		for (uint32_t id = 1; id <= 2; id++) {
			struct yamux *y = session(YAMUX_SERVER);
			if ((flags[i] & SYN) == 0)
				send_open(y, 1);
			enum err e = send_head(y, DATA, flags[i], id, UINT32_MAX);
			assert_err(e, ERR_FLOW_CONTROL);
			expect_over(y, e);
			yamux_free(y);
		}
	}
}

static void test_data_above_the_window_left_is_fatal(void **state)
{
	(void)state;
	for (uint32_t over = 0; over < 2; over++) {
		struct yamux *y = session(YAMUX_SERVER);
		send_open(y, 1);
		assert_err(send_at(y, 0, DATA, 0, 1, 200000, 200000), ERR_AGAIN);
		enum err e = send_head(y, DATA, 0, 1, YAMUX_WINDOW_INITIAL - 200000 + over);
		assert_err(e, over ? ERR_FLOW_CONTROL : ERR_AGAIN);
		yamux_free(y);
	}
}

static void test_fin_and_rst_are_taken_from_both_frame_types(void **state)
{
	(void)state;
	for (unsigned type = DATA; type <= WINDOW; type++) {
		struct yamux *y = session(YAMUX_SERVER);
		send_open(y, 1);
		send_open(y, 3);
		send_event(y, type, FIN, 1, 0, YAMUX_EV_FIN);
		send_event(y, type, RST, 3, 0, YAMUX_EV_RESET);
		yamux_free(y);
	}
}

static void test_rst_on_window_update_carries_a_code_not_a_window(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	struct yamux_stream *s = send_open(y, 1);
	send_event(y, WINDOW, RST, 1, UINT32_MAX, YAMUX_EV_RESET);
	assert_int_equal(yamux_send_room(s), 0);
	yamux_release(s);
	/* Also with SYN: opened and gone, not worth a stream. */
	send_quiet(y, WINDOW, SYN | RST, 3, UINT32_MAX);
	assert_int_equal(yamux_stream_count(y), 0);
	yamux_free(y);
}

static void test_syn_may_carry_window(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	struct yamux_stream *s = send_event(y, WINDOW, SYN, 1, 1000, YAMUX_EV_OPENED).stream;
	size_t sent = 0;
	for (size_t room; (room = yamux_send_room(s)) > 0; sent += room) {
		uint8_t header[YAMUX_HEADER_LEN];
		yamux_put_data(s, header, room);
	}
	assert_int_equal(sent, YAMUX_WINDOW_INITIAL + 1000);
	yamux_free(y);
}

static void test_second_fin_second_ack_and_late_rst_are_not_events(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s;
	assert_ok(yamux_open(y, NULL, &s));
	expect_frame(y, WINDOW, SYN, 1, 0);
	send_event(y, WINDOW, ACK, 1, 0, YAMUX_EV_ACKED);
	send_quiet(y, WINDOW, ACK, 1, 0);
	send_event(y, WINDOW, FIN, 1, 0, YAMUX_EV_FIN);
	send_quiet(y, DATA, FIN, 1, 0);
	yamux_close_write(s);
	send_quiet(y, WINDOW, RST, 1, 0); /* closed both ways before */
	expect_frame(y, WINDOW, FIN, 1, 0);
	yamux_free(y);
}

static void test_frames_behind_both_fins_are_not_events(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s;
	assert_ok(yamux_open(y, NULL, &s));
	yamux_close_write(s);
	expect_frame(y, WINDOW, SYN, 1, 0);
	expect_frame(y, WINDOW, FIN, 1, 0);
	send_event(y, WINDOW, FIN, 1, 0, YAMUX_EV_FIN);
	send_quiet(y, WINDOW, ACK, 1, UINT32_MAX);
	assert_err(send_at(y, 0, DATA, ACK | FIN, 1, 100, 100), ERR_AGAIN);
	yamux_release(s);
	expect_silence(y);
	yamux_free(y);
}

static void test_close_at_acked_takes_back_writable(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s;
	assert_ok(yamux_open(y, NULL, &s));
	uint8_t buf[YAMUX_HEADER_LEN];
	for (size_t room; (room = yamux_send_room(s)) > 0;)
		yamux_put_data(s, buf, room);
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	put_head(&w, WINDOW, ACK | FIN, 1, 1000);
	struct span in = wbuf_view(&w);
	expect_event(y, &in, YAMUX_EV_ACKED);
	yamux_close_write(s);
	expect_event(y, &in, YAMUX_EV_FIN);
	expect_none(y, &in);
	yamux_free(y);
}

static void test_data_behind_fin_is_dropped(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	send_open(y, 1);
	send_event(y, WINDOW, FIN, 1, 0, YAMUX_EV_FIN);
	assert_err(send_at(y, 0, DATA, 0, 1, 100, 100), ERR_AGAIN);
	struct yamux_event ev = send_event(y, WINDOW, RST, 1, 0, YAMUX_EV_RESET);
	assert_int_equal(yamux_stream_id(ev.stream), 1);
	yamux_free(y);
}

static void test_frames_of_unknown_streams_are_dropped_without_an_answer(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	const unsigned flags[] = {0, ACK, FIN, RST, ACK | FIN | RST, 0xfff0};
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		for (uint32_t id = 1; id <= 2; id++) {
			uint8_t buf[YAMUX_HEADER_LEN + 5] = {0};
			struct wbuf w = wbuf_of(buf, sizeof(buf));
			put_head(&w, DATA, flags[i], id, 5);
			struct span in = span_of(buf, sizeof(buf));
			expect_none(y, &in);
			send_quiet(y, WINDOW, flags[i], id, UINT32_MAX);
		}
	}
	expect_silence(y);
	send_open(y, 1); /* still in step */
	yamux_free(y);
}

static void test_stream_is_unknown_to_the_peer_until_its_syn_was_taken(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_CLIENT);
	struct yamux_stream *s;
	assert_ok(yamux_open(y, NULL, &s));
	send_quiet(y, WINDOW, ACK | FIN, 1, 5);
	expect_frame(y, WINDOW, SYN, 1, 0);
	send_event(y, WINDOW, ACK, 1, 0, YAMUX_EV_ACKED);
	yamux_free(y);
}

static void test_unknown_flags_are_ignored(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	send_event(y, WINDOW, 0xfff0 | SYN, 1, 0, YAMUX_EV_OPENED);
	send_event(y, WINDOW, 0xfff0 | FIN, 1, 0, YAMUX_EV_FIN);
	yamux_free(y);
}

static void test_every_header_is_survived(void **state)
{
	(void)state;
	/* All types, all known flags, ids and lengths at their edges, in all orders of two. */
	const uint32_t ids[] = {0, 1, 2, 3, UINT32_MAX - 1, UINT32_MAX};
	const uint32_t lens[] = {0, 1, YAMUX_WINDOW_INITIAL, YAMUX_WINDOW_INITIAL + 1, UINT32_MAX};
	for (unsigned first = 0; first < 64; first++) {
		for (unsigned i = 0; i < 64 * 6 * 5; i++) {
			struct yamux *y = session(first % 2 ? YAMUX_CLIENT : YAMUX_SERVER);
			enum err e = send_at(y, 0, first % 4, first / 4, ids[i % 6], 0, 0);
			assert_true(e == ERR_AGAIN || e == ERR_PROTOCOL);
			e = send_at(y, 0, i % 4, i / 4 % 16, ids[i / 64 % 6], lens[i / 384], 16);
			assert_int_not_equal(e, ERR_OK);
			yamux_free(y);
		}
	}
}

static void test_reset_in_the_middle_of_a_body_ends_its_events(void **state)
{
	(void)state;
	for (int how = 0; how < 2; how++) {
		struct yamux *y = session(YAMUX_SERVER);
		uint8_t buf[64];
		struct wbuf w = wbuf_of(buf, sizeof(buf));
		put_head(&w, DATA, SYN | FIN, 1, 8);
		wbuf_put(&w, span_str("abcd"));
		struct span in = wbuf_view(&w);
		struct yamux_stream *s = expect_event(y, &in, YAMUX_EV_OPENED).stream;
		expect_event(y, &in, YAMUX_EV_DATA);
		if (how == 0)
			yamux_reset(s);
		else
			yamux_release(s);
		w = wbuf_of(buf, sizeof(buf));
		wbuf_put(&w, span_str("efgh"));
		put_head(&w, DATA, SYN, 3, 0);
		in = wbuf_view(&w);
		struct yamux_event ev = expect_event(y, &in, YAMUX_EV_OPENED);
		assert_int_equal(yamux_stream_id(ev.stream), 3);
		expect_none(y, &in);
		yamux_free(y);
	}
}

static void test_release_at_opened_ends_the_events_of_its_frame(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	uint8_t buf[64];
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	put_head(&w, DATA, SYN | FIN, 1, 4);
	wbuf_put(&w, span_str("abcd"));
	struct span in = wbuf_view(&w);
	yamux_release(expect_event(y, &in, YAMUX_EV_OPENED).stream);
	expect_none(y, &in);
	expect_frame(y, WINDOW, RST, 1, 0);
	expect_silence(y);
	yamux_free(y);
}

static void test_release_at_reset_with_a_body_behind_it(void **state)
{
	(void)state;
	struct yamux *y = session(YAMUX_SERVER);
	send_open(y, 1);
	uint8_t buf[64];
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	put_head(&w, DATA, RST, 1, 4);
	wbuf_put(&w, span_str("abcd"));
	struct span in = wbuf_view(&w);
	yamux_release(expect_event(y, &in, YAMUX_EV_RESET).stream);
	expect_none(y, &in);
	expect_silence(y); /* neither RST nor ACK for what is dead on both sides */
	yamux_free(y);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_split_at_every_byte_bring_the_same_events),
		cmocka_unit_test(test_vector_frames_bring_their_events),
		cmocka_unit_test(test_vector_fatal_frames_end_the_session),
		cmocka_unit_test(test_stream_zero_is_fatal_for_data_and_windows),
		cmocka_unit_test(test_every_unknown_type_and_version_is_fatal),
		cmocka_unit_test(test_syn_with_our_parity_is_fatal),
		cmocka_unit_test(test_second_syn_for_a_living_stream_is_fatal),
		cmocka_unit_test(test_send_window_overflow_is_fatal),
		cmocka_unit_test(test_data_syn_above_the_window_leaves_no_stream),
		cmocka_unit_test(test_body_of_4_gib_is_refused_at_the_header),
		cmocka_unit_test(test_data_above_the_window_left_is_fatal),
		cmocka_unit_test(test_fin_and_rst_are_taken_from_both_frame_types),
		cmocka_unit_test(test_rst_on_window_update_carries_a_code_not_a_window),
		cmocka_unit_test(test_syn_may_carry_window),
		cmocka_unit_test(test_second_fin_second_ack_and_late_rst_are_not_events),
		cmocka_unit_test(test_frames_behind_both_fins_are_not_events),
		cmocka_unit_test(test_close_at_acked_takes_back_writable),
		cmocka_unit_test(test_data_behind_fin_is_dropped),
		cmocka_unit_test(test_frames_of_unknown_streams_are_dropped_without_an_answer),
		cmocka_unit_test(test_stream_is_unknown_to_the_peer_until_its_syn_was_taken),
		cmocka_unit_test(test_unknown_flags_are_ignored),
		cmocka_unit_test(test_every_header_is_survived),
		cmocka_unit_test(test_reset_in_the_middle_of_a_body_ends_its_events),
		cmocka_unit_test(test_release_at_opened_ends_the_events_of_its_frame),
		cmocka_unit_test(test_release_at_reset_with_a_body_behind_it),
	};
	return cmocka_run_group_tests_name("yamux_read", tests, NULL, NULL);
}
