/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What strangers, and peers gone wrong, do to a listening swarm: each costs its own connection at
 * most, is counted, and leaves nothing behind.
 */
#include "base/util.h"
#include "unit/host/raw_peer.h"
#include "wire/varint.h"

#define MUXER "/yamux/1.0.0"

/* Host 0 listens, host 1 is hostile, host 2 is a friend that stays connected. */
struct scene {
	struct world *w;
	struct swarm *swarm;
	struct raw_peer *r;
};

static bool is_friend_here(void *ctx)
{
	return world_best(ctx, 0, 2) != NULL;
}

static struct scene begin(void)
{
	struct scene s = {.w = world_new(1, 3)};
	s.swarm = world_swarm(s.w, 0, NULL, 0)->swarm;
	world_swarm(s.w, 2, NULL, 0);
	world_want(s.w, 2, 0);
	world_until(s.w, is_friend_here, s.w, SEC(1));
	world_run(s.w, MSEC(100));
	s.r = raw_dial(s.w, 1, 0);
	return s;
}

static void end(struct scene *s)
{
	world_run(s->w, MSEC(10));
	assert_int_equal(swarm_conn_count(s->swarm), 1);
	assert_non_null(world_best(s->w, 0, 2));
	assert_int_equal(s->w->swarms[0].n_down, 0);
	s->r = raw_free(s->r);
	world_end(s->w);
}

/* The proved peer goes. */
static void leave(struct scene *s)
{
	s->r = raw_free(s->r);
	world_run(s->w, MSEC(50));
	assert_null(world_best(s->w, 0, 1));
	s->w->swarms[0].n_down = 0;
	end(s);
}

/* Refused before it proved anything. */
static void assert_refused_within(struct scene *s, nsec_t within)
{
	world_until(s->w, raw_is_over, s->r, within);
	world_run(s->w, MSEC(10));
	struct swarm_stats stats = swarm_get_stats(s->swarm);
	assert_int_equal(stats.accepted, 2);
	assert_int_equal(stats.failed_inbound, 1);
	assert_int_equal(stats.opened, 1);
}

static void test_garbage_ends_at_once(void **state)
{
	(void)state;
	struct scene s = begin();
	raw_send_text(s.r, "GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test\r\n"
			   "Accept: */*\r\nConnection: close\r\n\r\n");
	assert_refused_within(&s, MSEC(100));
	end(&s);
}

static void test_silence_ends_with_the_upgrade_time(void **state)
{
	(void)state;
	struct scene s = begin();
	nsec_t from = sim_now(s.w->sim);
	assert_refused_within(&s, UPGRADE_TIMEOUT + MSEC(100));
	assert_in_range(s.r->over_at - from, UPGRADE_TIMEOUT, UPGRADE_TIMEOUT + MSEC(100));
	end(&s);
}

static void test_a_byte_a_second_gains_no_time(void **state)
{
	(void)state;
	struct scene s = begin();
	nsec_t from = sim_now(s.w->sim);
	const char *text = "\x13/multistream/1.0.0\n";
	for (size_t i = 0; i < 12 && !s.r->is_over; i++) {
		raw_send(s.r, text + i, 1);
		world_run(s.w, SEC(1));
	}
	assert_true(s.r->is_over);
	assert_in_range(s.r->over_at - from, UPGRADE_TIMEOUT, UPGRADE_TIMEOUT + MSEC(100));
	end(&s);
}

static void test_a_huge_token_is_refused_by_its_length(void **state)
{
	(void)state;
	struct scene s = begin();
	raw_send_text(s.r, "\xff\xff\x7f");
	assert_refused_within(&s, MSEC(100));
	end(&s);
}

static void test_garbage_behind_the_header_ends_at_once(void **state)
{
	(void)state;
	struct scene s = begin();
	raw_send_token(s.r, "/multistream/1.0.0");
	raw_send_text(s.r, "\x05nonsense");
	assert_refused_within(&s, MSEC(100));
	end(&s);
}

static void test_endless_proposals_end(void **state)
{
	(void)state;
	struct scene s = begin();
	raw_send_token(s.r, "/multistream/1.0.0");
	for (int i = 0; i < MSS_ROUNDS_MAX + 1; i++)
		raw_send_token(s.r, "/tls/1.0.0");
	assert_refused_within(&s, MSEC(100));
	end(&s);
}

static void test_garbage_instead_of_a_handshake_ends_it(void **state)
{
	(void)state;
	for (size_t len = 0; len < 70; len += 23) {
		struct scene s = begin();
		uint8_t bytes[128] = {0, (uint8_t)len};
		memset(bytes + 2, 0xee, len);
		raw_send_token(s.r, "/multistream/1.0.0");
		raw_send_token(s.r, "/noise");
		raw_send(s.r, bytes, len + 2);
		raw_send(s.r, bytes, len + 2);
		assert_refused_within(&s, MSEC(100));
		end(&s);
	}
}

/* It never reads, and sends as much as it can. */
static void test_a_flood_into_the_handshake_is_bounded(void **state)
{
	(void)state;
	struct scene s = begin();
	s.r->is_deaf = true;
	uint8_t bytes[32 * 1024];
	memset(bytes, 0xff, sizeof(bytes)); /* a message of 65,535 bytes, says its length */
	raw_send_token(s.r, "/multistream/1.0.0");
	raw_send_token(s.r, "/noise");
	raw_send(s.r, bytes, sizeof(bytes));
	world_run(s.w, MSEC(200));
	assert_int_equal(swarm_conn_count(s.swarm), 1);
	assert_int_equal(swarm_get_stats(s.swarm).failed_inbound, 1);
	end(&s);
}

/* The last handshake message is changed: its signature, or its seal, is wrong. */
static void test_a_forged_proof_ends_it(void **state)
{
	(void)state;
	struct scene s = begin();
	raw_secure_begin(s.r, 1, MUXER);
	world_run(s.w, MSEC(20));
	sock_watch(s.r->sock, 0, NULL, NULL);
	assert_true(raw_secure_step(s.r));
	s.r->out[s.r->out_len - 20] ^= 1;
	assert_refused_within(&s, MSEC(100));
	assert_int_equal(s.w->swarms[0].n_best, 1);
	end(&s);
}

static void test_strangers_beyond_their_share_are_refused_at_the_door(void **state)
{
	(void)state;
	struct scene s = begin();
	struct raw_peer *more[CONN_PER_IP4_MAX + 4];
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		more[i] = raw_dial(s.w, 1, 0);
	world_run(s.w, MSEC(100));
	assert_int_equal(swarm_conn_count(s.swarm), 1 + CONN_PER_IP4_MAX);
	assert_int_equal(swarm_get_stats(s.swarm).refused_limit, 5);
	/* They leave, or their time is up: the places are free again. */
	world_run(s.w, UPGRADE_TIMEOUT);
	assert_int_equal(swarm_conn_count(s.swarm), 1);
	for (size_t i = 0; i < ARRAY_LEN(more); i++)
		raw_free(more[i]);
	struct raw_peer *late = raw_dial(s.w, 1, 0);
	world_run(s.w, MSEC(100));
	assert_int_equal(swarm_conn_count(s.swarm), 2);
	raw_free(late);
	end(&s);
}

/* --- peers that do it right, in other pieces ---------------------------------------------------
 */

static void open_in_pieces(size_t piece, const char *muxer, bool is_pipelined)
{
	struct scene s = begin();
	raw_secure_begin(s.r, 1, muxer);
	world_run(s.w, MSEC(20));
	sock_watch(s.r->sock, 0, NULL, NULL);
	assert_true(raw_secure_step(s.r));
	if (muxer == NULL && is_pipelined) {
		raw_seal(s.r, "\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n", 34);
		raw_frame(s.r, 2, 1, 0, 7, NULL, 0); /* a ping behind it */
	} else if (muxer != NULL && is_pipelined) {
		raw_frame(s.r, 2, 1, 0, 7, NULL, 0);
	}
	/* Now in pieces. */
	size_t len = s.r->out_len;
	uint8_t *bytes = testkit_copy(span_of(s.r->out, len));
	s.r->out_len = 0;
	for (size_t at = 0; at < len; at += piece) {
		raw_send(s.r, bytes + at, MIN(piece, len - at));
		world_run(s.w, MSEC(5));
	}
	if (muxer == NULL && !is_pipelined) {
		const char *text = "\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n";
		for (size_t i = 0; i < 34; i++) {
			raw_seal(s.r, text + i, 1); /* a record for each byte */
			world_run(s.w, MSEC(5));
		}
	}
	free(bytes);
	world_run(s.w, MSEC(50));
	assert_false(s.r->is_over);
	assert_int_equal(swarm_get_stats(s.swarm).opened, 2);
	assert_non_null(world_best(s.w, 0, 1));
	raw_open(s.r);
	if (is_pipelined) { /* our ping was answered, behind its own and the echo */
		bool is_answered = false;
		for (size_t at = 0; at + 12 <= s.r->plain_len; at++)
			is_answered |= memcmp(s.r->plain + at,
					      "\x00\x02\x00\x02\x00\x00\x00\x00\x00\x00\x00\x07",
					      12) == 0;
		assert_true(is_answered);
	}
	leave(&s);
}

static void test_peers_may_send_all_at_once_or_byte_by_byte(void **state)
{
	(void)state;
	const size_t pieces[] = {1, 2, 7, 100000};
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		open_in_pieces(pieces[i], MUXER, true);
		open_in_pieces(pieces[i], MUXER, false);
		open_in_pieces(pieces[i], NULL, true);
		open_in_pieces(pieces[i], NULL, false);
	}
}

/* --- proved peers that break the rules ----------------------------------------------------------
 */

static struct scene begin_proved(void)
{
	struct scene s = begin();
	assert_true(raw_upgrade(s.r, 1, MUXER));
	assert_int_equal(swarm_get_stats(s.swarm).opened, 2);
	return s;
}

static void assert_ended(struct scene *s, enum err why)
{
	world_until(s->w, raw_is_over, s->r, MSEC(100));
	assert_int_equal(swarm_get_stats(s->swarm).closed, 1);
	assert_int_equal(swarm_get_stats(s->swarm).failed_inbound, 0);
	assert_int_equal(s->w->swarms[0].n_down, 1);
	assert_int_equal(s->w->swarms[0].why_down, why);
	s->w->swarms[0].n_down = 0;
	end(s);
}

static void test_a_broken_record_ends_the_connection(void **state)
{
	(void)state;
	struct scene s = begin_proved();
	uint8_t record[] = {0, 18, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};
	raw_send(s.r, record, sizeof(record));
	assert_ended(&s, ERR_DECRYPT);
}

static void test_a_broken_frame_ends_the_connection_with_a_go_away(void **state)
{
	(void)state;
	struct scene s = begin_proved();
	raw_frame(s.r, 9, 0, 1, 0, NULL, 0); /* no such type */
	world_run(s.w, MSEC(20));
	raw_open(s.r);
	assert_true(s.r->plain_len >= 12);
	assert_memory_equal(s.r->plain + s.r->plain_len - 12,
			    "\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", 12);
	assert_ended(&s, ERR_PROTOCOL);
}

static void test_a_go_away_ends_the_connection(void **state)
{
	(void)state;
	struct scene s = begin_proved();
	raw_frame(s.r, 3, 0, 0, 0, NULL, 0);
	assert_ended(&s, ERR_GO_AWAY);
}

static void test_a_window_that_overflows_ends_the_connection(void **state)
{
	(void)state;
	struct scene s = begin_proved();
	raw_frame(s.r, 1, 1, 1, 0, NULL, 0);
	raw_frame(s.r, 1, 0, 1, 0xffffffff, NULL, 0);
	raw_frame(s.r, 1, 0, 1, 0xffffffff, NULL, 0);
	world_run(s.w, MSEC(20));
	assert_ended(&s, s.w->swarms[0].why_down);
}

/* A record that never ends: its bytes are no sign of life, however regularly they come. */
static void test_bytes_of_an_endless_record_do_not_keep_a_connection(void **state)
{
	(void)state;
	struct scene s = begin_proved();
	for (int i = 0; i < 20 && !s.r->is_over; i++) {
		raw_send(s.r, "\xff", 1);
		world_run(s.w, SEC(5));
	}
	assert_true(s.r->is_over);
	leave(&s);
}

/* The header of a stream in two frames, the second with 2 KB of proposals behind it. */
static void test_a_cut_token_loses_nothing_behind_it(void **state)
{
	(void)state;
	enum {
		PROPOSALS = 10,
		NAME_LEN = 200,
		CUT = 5
	};
	uint8_t bytes[4096];
	struct wbuf out = wbuf_of(bytes, sizeof(bytes));
	wbuf_put(&out, span_str("\x13/multistream/1.0.0\n"));
	for (int i = 0; i < PROPOSALS; i++) {
		wbuf_put_uvarint(&out, NAME_LEN + 1);
		wbuf_put_u8(&out, '/');
		for (int j = 1; j < NAME_LEN; j++)
			wbuf_put_u8(&out, 'x');
		wbuf_put_u8(&out, '\n');
	}
	assert_ok(wbuf_check(&out));

	struct scene s = begin_proved();
	raw_frame(s.r, 0, 1, 1, CUT, bytes, CUT);
	raw_frame(s.r, 0, 0, 1, (uint32_t)(out.len - CUT), bytes + CUT, out.len - CUT);
	world_run(s.w, MSEC(50));
	raw_open(s.r);
	int n_declined = 0;
	for (size_t at = 0; at + 4 <= s.r->plain_len; at++)
		n_declined += memcmp(s.r->plain + at, "\x03na\n", 4) == 0;
	assert_int_equal(n_declined, PROPOSALS);
	leave(&s);
}

/* Streams beyond the negotiation limit are reset, the connection stays. */
static void test_streams_that_never_negotiate_are_bounded(void **state)
{
	(void)state;
	struct scene s = begin_proved();
	for (uint32_t i = 0; i < STREAM_NEGOTIATIONS_MAX + 8; i++)
		raw_frame(s.r, 1, 1, 1 + 2 * i, 0, NULL, 0);
	world_run(s.w, MSEC(50));
	assert_false(s.r->is_over);
	struct conn *c = world_best(s.w, 0, 1);
	assert_int_equal(conn_stream_count(c), STREAM_NEGOTIATIONS_MAX);
	/* ... and end with their time. */
	for (int i = 0; i < 13; i++) {
		raw_frame(s.r, 2, 1, 0, 7, NULL, 0); /* it lives */
		world_run(s.w, SEC(1));
	}
	if (!s.r->is_over)
		assert_int_equal(conn_stream_count(world_best(s.w, 0, 1)), 0);
	leave(&s);
}

static void note_end(struct stream *s, enum err why)
{
	*(enum err *)stream_user(s) = why;
}

static void test_a_stream_whose_protocol_is_never_agreed_on_ends(void **state)
{
	(void)state;
	struct scene s = begin_proved();
	static const char *const names[] = {"/any"};
	static const struct stream_ops ops = {.on_close = note_end};
	enum err why = ERR_OK;
	struct stream *stream;
	assert_ok(conn_open_stream(world_best(s.w, 0, 1), names, 1, &ops, &why, &stream));
	nsec_t from = sim_now(s.w->sim);
	while (why == ERR_OK && sim_now(s.w->sim) - from < SEC(20)) {
		raw_frame(s.r, 2, 1, 0, 7, NULL, 0); /* it lives */
		world_run(s.w, MSEC(500));
	}
	assert_int_equal(why, ERR_TIMEOUT);
	assert_in_range(sim_now(s.w->sim) - from, NEGOTIATION_TIMEOUT,
			NEGOTIATION_TIMEOUT + SEC(1));
	assert_false(s.r->is_over);
	leave(&s);
}

/* It proved who it is and then says nothing, not even a pong. */
static void test_a_proved_peer_that_is_silent_is_given_up(void **state)
{
	(void)state;
	struct scene s = begin_proved();
	world_until(s.w, raw_is_over, s.r, SEC(60));
	assert_int_equal(s.w->swarms[0].why_down, ERR_TIMEOUT);
	s.w->swarms[0].n_down = 0;
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_garbage_ends_at_once),
		cmocka_unit_test(test_silence_ends_with_the_upgrade_time),
		cmocka_unit_test(test_a_byte_a_second_gains_no_time),
		cmocka_unit_test(test_a_huge_token_is_refused_by_its_length),
		cmocka_unit_test(test_garbage_behind_the_header_ends_at_once),
		cmocka_unit_test(test_endless_proposals_end),
		cmocka_unit_test(test_garbage_instead_of_a_handshake_ends_it),
		cmocka_unit_test(test_a_flood_into_the_handshake_is_bounded),
		cmocka_unit_test(test_a_forged_proof_ends_it),
		cmocka_unit_test(test_strangers_beyond_their_share_are_refused_at_the_door),
		cmocka_unit_test(test_peers_may_send_all_at_once_or_byte_by_byte),
		cmocka_unit_test(test_a_broken_record_ends_the_connection),
		cmocka_unit_test(test_a_broken_frame_ends_the_connection_with_a_go_away),
		cmocka_unit_test(test_a_go_away_ends_the_connection),
		cmocka_unit_test(test_a_window_that_overflows_ends_the_connection),
		cmocka_unit_test(test_bytes_of_an_endless_record_do_not_keep_a_connection),
		cmocka_unit_test(test_a_cut_token_loses_nothing_behind_it),
		cmocka_unit_test(test_streams_that_never_negotiate_are_bounded),
		cmocka_unit_test(test_a_stream_whose_protocol_is_never_agreed_on_ends),
		cmocka_unit_test(test_a_proved_peer_that_is_silent_is_given_up),
	};
	return cmocka_run_group_tests_name("upgrade", tests, NULL, NULL);
}
