/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "p2p/select/mss.h"
#include "wire/varint.h"

static const char *const NOISE[] = {"/noise"};
static const char *const TLS_NOISE[] = {"/tls/1.0.0", "/noise"};

#define HEADER "\x13/multistream/1.0.0\n"
#define NA     "\x03na\n"

/* A responder that speaks the names of a list that ends with NULL. */
static int match_list(void *ctx, struct span name)
{
	const char *const *names = ctx;
	for (int i = 0; names[i] != NULL; i++) {
		if (span_equal(name, span_str(names[i])))
			return i;
	}
	return -1;
}

static const char *speaks_noise[] = {"/yamux/1.0.0", "/noise", NULL};

static int match_none(void *ctx, struct span name)
{
	(void)ctx;
	(void)name;
	return -1;
}

static struct mss initiator(const char *const *names, size_t n)
{
	struct mss m;
	mss_init_initiator(&m, names, n);
	return m;
}

static struct mss responder(void)
{
	struct mss m;
	mss_init_responder(&m, match_list, speaks_noise);
	return m;
}

/* What mss_take() gives must be exactly this text. */
static void expect_out(struct mss *m, const char *text)
{
	uint8_t buf[MSS_OUT_LEN_MAX];
	struct wbuf out = wbuf_of(buf, sizeof(buf));
	assert_ok(mss_take(m, &out));
	assert_span_equal(wbuf_view(&out), span_str(text));
}

/* Feed a copy of exactly this size; the input must shrink to `left`. */
static enum err feed_left(struct mss *m, struct span bytes, size_t left)
{
	uint8_t *copy = testkit_copy(bytes);
	struct span in = span_of(copy, bytes.len);
	enum err e = mss_feed(m, &in);
	assert_int_equal(in.len, left);
	assert_ptr_equal(in.p, copy + bytes.len - left);
	free(copy);
	return e;
}

static enum err feed(struct mss *m, const char *text)
{
	return feed_left(m, span_str(text), 0);
}

static enum err feed_any(struct mss *m, struct span bytes)
{
	uint8_t *copy = testkit_copy(bytes);
	struct span in = span_of(copy, bytes.len);
	enum err e = mss_feed(m, &in);
	free(copy);
	return e;
}

static void test_initiator_sends_header_and_proposal_in_one_write(void **state)
{
	(void)state;
	struct mss m = initiator(NOISE, 1);
	expect_out(&m, HEADER "\x07/noise\n");
	expect_out(&m, "");
}

static void test_header_of_a_responder_that_speaks_first_is_taken_before_ours_is_sent(void **state)
{
	(void)state;
	struct mss m = initiator(NOISE, 1);
	assert_err(feed(&m, HEADER), ERR_AGAIN);
	expect_out(&m, HEADER "\x07/noise\n");
	assert_ok(feed(&m, "\x07/noise\n"));
	assert_int_equal(mss_chosen(&m), 0);
}

static void test_na_brings_next_proposal_without_header(void **state)
{
	(void)state;
	struct mss m = initiator(TLS_NOISE, 2);
	expect_out(&m, HEADER "\x0b/tls/1.0.0\n");
	assert_err(feed(&m, HEADER NA), ERR_AGAIN);
	expect_out(&m, "\x07/noise\n");
	assert_ok(feed(&m, "\x07/noise\n"));
	assert_int_equal(mss_chosen(&m), 1);
	expect_out(&m, "");
}

static void test_initiator_fails_when_proposals_run_out(void **state)
{
	(void)state;
	struct mss m = initiator(NOISE, 1);
	expect_out(&m, HEADER "\x07/noise\n");
	assert_err(feed(&m, HEADER NA), ERR_NEGOTIATION);
	assert_int_equal(m.state, MSS_FAILED);
	expect_out(&m, "");
	/* It stays failed and reads no more. */
	assert_err(feed_left(&m, span_str("\x07/noise\n"), 8), ERR_NEGOTIATION);
}

static void test_initiator_refuses_answer_that_is_not_its_proposal(void **state)
{
	(void)state;
	struct mss m = initiator(TLS_NOISE, 2);
	expect_out(&m, HEADER "\x0b/tls/1.0.0\n");
	assert_err(feed(&m, HEADER "\x07/noise\n"), ERR_PROTOCOL);
}

static void test_initiator_refuses_answer_to_a_proposal_not_sent(void **state)
{
	(void)state;
	struct mss m = initiator(TLS_NOISE, 2);
	assert_err(feed(&m, HEADER NA), ERR_PROTOCOL);

	m = initiator(TLS_NOISE, 2);
	expect_out(&m, HEADER "\x0b/tls/1.0.0\n");
	assert_err(feed(&m, HEADER NA "\x07/noise\n"), ERR_PROTOCOL);
}

static void test_responder_speaks_before_any_input(void **state)
{
	(void)state;
	struct mss m = responder();
	expect_out(&m, HEADER);
	assert_ok(feed(&m, HEADER "\x07/noise\n"));
	expect_out(&m, "\x07/noise\n");
	assert_int_equal(mss_chosen(&m), 1);
}

static void test_responder_that_waited_sends_header_and_echo_together(void **state)
{
	(void)state;
	struct mss m = responder();
	assert_ok(feed(&m, HEADER "\x07/noise\n"));
	expect_out(&m, HEADER "\x07/noise\n");
	expect_out(&m, "");
}

static void test_bytes_behind_the_agreed_token_stay_in_the_input(void **state)
{
	(void)state;
	struct mss m = responder();
	const char rest[] = HEADER "\x07/noise\n\x00\x20next layer";
	assert_ok(feed_left(&m, span_of(rest, sizeof(rest) - 1), 12));
	expect_out(&m, HEADER "\x07/noise\n");

	m = initiator(NOISE, 1);
	expect_out(&m, HEADER "\x07/noise\n");
	assert_ok(feed_left(&m, span_of(rest, sizeof(rest) - 1), 12));
	/* Fed again after the agreement: nothing is read. */
	assert_ok(feed_left(&m, span_of(rest, sizeof(rest) - 1), sizeof(rest) - 1));
}

static void test_pipelined_proposals_are_answered_in_order(void **state)
{
	(void)state;
	struct mss m = responder();
	assert_ok(feed(&m, HEADER "\x0b/tls/1.0.0\n\x05/foo\n\x07/noise\n"));
	expect_out(&m, HEADER NA NA "\x07/noise\n");
}

static void test_ls_and_simultaneous_connect_are_answered_na(void **state)
{
	(void)state;
	struct mss m = responder();
	assert_err(feed(&m, HEADER "\x03ls\n"), ERR_AGAIN);
	expect_out(&m, HEADER NA);
	assert_err(feed(&m, "\x1d/libp2p/simultaneous-connect\n"), ERR_AGAIN);
	expect_out(&m, NA);
	assert_ok(feed(&m, "\x07/noise\n"));
	expect_out(&m, "\x07/noise\n");
}

static void test_first_token_must_be_the_header(void **state)
{
	(void)state;
	struct mss m = responder();
	assert_err(feed(&m, "\x07/noise\n"), ERR_PROTOCOL);
	expect_out(&m, "");
	m = initiator(NOISE, 1);
	assert_err(feed(&m, NA), ERR_PROTOCOL);
	m = responder();
	assert_err(feed(&m, "\x13/multistream/2.0.0\n"), ERR_PROTOCOL);
}

static void test_second_header_is_refused(void **state)
{
	(void)state;
	struct mss m = responder();
	assert_err(feed(&m, HEADER HEADER), ERR_PROTOCOL);
	m = initiator(NOISE, 1);
	expect_out(&m, HEADER "\x07/noise\n");
	assert_err(feed(&m, HEADER HEADER), ERR_PROTOCOL);
}

static void test_malformed_tokens_are_refused(void **state)
{
	(void)state;
	const struct {
		const char *bytes;
		size_t len;
		enum err err;
	} cases[] = {
		{"\x00", 1, ERR_MALFORMED},                          /* not even a newline */
		{"\x13/multistream/1.0.0x", 20, ERR_MALFORMED},      /* no newline */
		{"\x80\x00", 2, ERR_MALFORMED},                      /* not minimal */
		{"\x93\x00/multistream/1.0.0\n", 21, ERR_MALFORMED}, /* not minimal */
		{"\x81\x08", 2, ERR_TOO_LONG},                       /* 1025 */
		{"\xff\x7f", 2, ERR_TOO_LONG},                       /* rust's maximum */
		{"\x80\x80", 2, ERR_TOO_LONG},                       /* a third byte to come */
		{"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9, ERR_TOO_LONG},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, ERR_TOO_LONG},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mss m = responder();
		assert_err(feed_any(&m, span_of(cases[i].bytes, cases[i].len)), cases[i].err);
		assert_int_equal(m.state, MSS_FAILED);
		/* Also as a later token. */
		m = responder();
		assert_err(feed(&m, HEADER), ERR_AGAIN);
		assert_err(feed_any(&m, span_of(cases[i].bytes, cases[i].len)), cases[i].err);
	}
}

static void test_token_of_the_longest_length_is_read_and_declined(void **state)
{
	(void)state;
	uint8_t buf[2 + MSS_TOKEN_LEN_MAX];
	struct wbuf w = wbuf_of(buf, sizeof(buf));
	wbuf_put_uvarint(&w, MSS_TOKEN_LEN_MAX);
	memset(wbuf_reserve(&w, MSS_TOKEN_LEN_MAX), 'a', MSS_TOKEN_LEN_MAX);
	assert_ok(wbuf_check(&w));
	buf[sizeof(buf) - 1] = '\n';
	struct mss m = responder();
	assert_err(feed(&m, HEADER), ERR_AGAIN);
	for (size_t len = 0; len < sizeof(buf); len++)
		assert_err(feed_left(&m, span_of(buf, len), len), ERR_AGAIN);
	assert_err(feed_left(&m, span_of(buf, sizeof(buf)), 0), ERR_AGAIN);
	expect_out(&m, HEADER NA);
}

static void test_name_of_the_longest_length_is_agreed_and_one_more_is_not(void **state)
{
	(void)state;
	char name[MSS_NAME_LEN_MAX + 2];
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[MSS_NAME_LEN_MAX + 1] = '\0';
	const char *names[] = {name, NULL};
	for (size_t over = 0; over < 2; over++) {
		name[MSS_NAME_LEN_MAX + over] = '\0';
		uint8_t buf[MSS_OUT_LEN_MAX + 1];
		struct wbuf w = wbuf_of(buf, sizeof(buf));
		wbuf_put(&w, span_str(HEADER));
		wbuf_put_uvarint(&w, strlen(name) + 1);
		wbuf_put(&w, span_str(name));
		wbuf_put_u8(&w, '\n');

		struct mss m;
		mss_init_responder(&m, match_list, names);
		assert_err(feed_left(&m, wbuf_view(&w), 0), over == 0 ? ERR_OK : ERR_AGAIN);
		uint8_t answer[MSS_OUT_LEN_MAX];
		struct wbuf out = wbuf_of(answer, sizeof(answer));
		assert_ok(mss_take(&m, &out));
		if (over == 0)
			assert_span_equal(wbuf_view(&out), wbuf_view(&w));
		else
			assert_span_equal(wbuf_view(&out), span_str(HEADER NA));
		name[MSS_NAME_LEN_MAX] = 'x';
	}
}

static void test_rounds_are_bounded_and_their_answers_fit(void **state)
{
	(void)state;
	struct mss m;
	mss_init_responder(&m, match_none, NULL);
	assert_err(feed(&m, HEADER), ERR_AGAIN);
	for (int i = 0; i < MSS_ROUNDS_MAX; i++)
		assert_err(feed(&m, "\x05/foo\n"), ERR_AGAIN);
	uint8_t buf[MSS_OUT_LEN_MAX];
	struct wbuf out = wbuf_of(buf, sizeof(buf));
	assert_ok(mss_take(&m, &out));
	assert_int_equal(out.len, MSS_HEADER_LEN + MSS_ROUNDS_MAX * MSS_NA_LEN);
	assert_err(feed(&m, "\x05/foo\n"), ERR_NEGOTIATION);
}

static void test_take_writes_all_or_nothing(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < 28; cap++) {
		struct mss m = initiator(NOISE, 1);
		uint8_t *buf = malloc(cap > 0 ? cap : 1);
		struct wbuf out = wbuf_of(buf, cap);
		assert_err(mss_take(&m, &out), ERR_FULL);
		assert_int_equal(out.len, 0);
		assert_false(out.overflowed);
		free(buf);
		expect_out(&m, HEADER "\x07/noise\n");
	}
}

/* Both ends, any split of the bytes between them, must agree on the same name. */
static void test_two_ends_agree_byte_by_byte(void **state)
{
	(void)state;
	for (int speaks_first = 0; speaks_first < 2; speaks_first++) {
		struct mss ends[2] = {initiator(TLS_NOISE, 2), responder()};
		uint8_t pipe[2][512];
		size_t written[2] = {0, 0}, fed[2] = {0, 0}, seen[2] = {0, 0};
		for (int round = 0; round < 400; round++) {
			for (int i = 0; i < 2; i++) {
				struct wbuf out =
					wbuf_of(pipe[i] + written[i], sizeof(pipe[i]) - written[i]);
				if (i == 0 || speaks_first || round > 5)
					assert_ok(mss_take(&ends[i], &out));
				written[i] += out.len;
				/* The other end sees one byte more than before. */
				int to = 1 - i;
				if (fed[i] < written[i])
					fed[i]++;
				struct span in = span_of(pipe[i] + seen[i], fed[i] - seen[i]);
				enum err e = mss_feed(&ends[to], &in);
				assert_true(e == ERR_OK || e == ERR_AGAIN);
				seen[i] = fed[i] - in.len;
			}
		}
		assert_int_equal(mss_chosen(&ends[0]), 1);
		assert_int_equal(mss_chosen(&ends[1]), 1);
		assert_int_equal(seen[0], written[0]);
		assert_int_equal(seen[1], written[1]);
	}
}

static void test_vector_tokens_are_written_and_read_as_the_spec_says(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("multistream.json");
	const char *name;
	json_t *hex;
	json_object_foreach(json_object_get(root, "tokens"), name, hex)
	{
		if (name[0] != '/' || strcmp(name, "/multistream/1.0.0") == 0)
			continue;
		size_t len;
		uint8_t *token = testkit_unhex(json_string_value(hex), &len);
		const char *const names[] = {name, NULL};
		struct mss a = initiator(names, 1);
		uint8_t buf[MSS_OUT_LEN_MAX];
		struct wbuf out = wbuf_of(buf, sizeof(buf));
		assert_ok(mss_take(&a, &out));
		assert_span_equal(span_of(buf + MSS_HEADER_LEN, out.len - MSS_HEADER_LEN),
				  span_of(token, len));

		struct mss b;
		mss_init_responder(&b, match_list, (void *)(uintptr_t)names);
		assert_ok(feed_left(&b, wbuf_view(&out), 0));
		assert_ok(feed_left(&a, wbuf_view(&out), 0));
		free(token);
	}
	json_decref(root);
}

static void test_vector_dialog_with_a_refusal(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("multistream.json");
	json_t *dialog = json_array_get(json_object_get(root, "dialogs"), 2);
	struct mss a = initiator(TLS_NOISE, 2);
	struct mss b = responder();
	const char *const steps[] = {"initiator1", "responder1", "initiator2", "responder2"};
	for (size_t i = 0; i < 4; i++) {
		size_t len;
		uint8_t *expected = testkit_unhex(testkit_string(dialog, steps[i]), &len);
		uint8_t buf[MSS_OUT_LEN_MAX];
		struct wbuf out = wbuf_of(buf, sizeof(buf));
		assert_ok(mss_take(i % 2 == 0 ? &a : &b, &out));
		assert_span_equal(wbuf_view(&out), span_of(expected, len));
		assert_err(feed_left(i % 2 == 0 ? &b : &a, wbuf_view(&out), 0),
			   i < 2 ? ERR_AGAIN : ERR_OK);
		free(expected);
	}
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_initiator_sends_header_and_proposal_in_one_write),
		cmocka_unit_test(
			test_header_of_a_responder_that_speaks_first_is_taken_before_ours_is_sent),
		cmocka_unit_test(test_na_brings_next_proposal_without_header),
		cmocka_unit_test(test_initiator_fails_when_proposals_run_out),
		cmocka_unit_test(test_initiator_refuses_answer_that_is_not_its_proposal),
		cmocka_unit_test(test_initiator_refuses_answer_to_a_proposal_not_sent),
		cmocka_unit_test(test_responder_speaks_before_any_input),
		cmocka_unit_test(test_responder_that_waited_sends_header_and_echo_together),
		cmocka_unit_test(test_bytes_behind_the_agreed_token_stay_in_the_input),
		cmocka_unit_test(test_pipelined_proposals_are_answered_in_order),
		cmocka_unit_test(test_ls_and_simultaneous_connect_are_answered_na),
		cmocka_unit_test(test_first_token_must_be_the_header),
		cmocka_unit_test(test_second_header_is_refused),
		cmocka_unit_test(test_malformed_tokens_are_refused),
		cmocka_unit_test(test_token_of_the_longest_length_is_read_and_declined),
		cmocka_unit_test(test_name_of_the_longest_length_is_agreed_and_one_more_is_not),
		cmocka_unit_test(test_rounds_are_bounded_and_their_answers_fit),
		cmocka_unit_test(test_take_writes_all_or_nothing),
		cmocka_unit_test(test_two_ends_agree_byte_by_byte),
		cmocka_unit_test(test_vector_tokens_are_written_and_read_as_the_spec_says),
		cmocka_unit_test(test_vector_dialog_with_a_refusal),
	};
	return cmocka_run_group_tests_name("mss", tests, NULL, NULL);
}
