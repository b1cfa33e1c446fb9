/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What people are told of faults, and how often. */
#include "support/sim_kit.h"
#include "vpn/node/trouble.h"

static void test_a_limiter_holds_lines_back_and_counts_them(void **state)
{
	(void)state;
	struct line_limiter l = {0};
	uint64_t held = 99;
	assert_true(line_limiter_take(&l, SEC(1), SEC(10), &held));
	assert_int_equal(held, 0);
	for (int i = 0; i < 1000; i++)
		assert_false(line_limiter_take(&l, SEC(11) - 1, SEC(10), &held));
	assert_true(line_limiter_take(&l, SEC(11), SEC(10), &held));
	assert_int_equal(held, 1000);
	assert_false(line_limiter_take(&l, SEC(11), SEC(10), &held));
	assert_true(line_limiter_take(&l, SEC(30), SEC(10), &held));
	assert_int_equal(held, 1);
}

static void assert_says(const struct dial_failure *f, const char *words)
{
	char text[TROUBLE_TEXT_MAX];
	dial_failure_text(f, text);
	if (strstr(text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", text, words);
}

static void test_a_failure_says_what_to_do(void **state)
{
	(void)state;
	const struct dial_failure refused = {.why = ERR_REFUSED};
	const struct dial_failure waits = {.why = ERR_NO_ADDRESS};
	const struct dial_failure silent = {.why = ERR_TIMEOUT};
	const struct dial_failure foreign = {.why = ERR_TIMEOUT, .reached = CONN_SELECTING};
	const struct dial_failure unlisted = {.why = ERR_EOF, .reached = CONN_OPEN};
	const struct dial_failure unlisted_go = {.why = ERR_RESET, .reached = CONN_MUXING};
	assert_says(&refused, "connection refused");
	assert_says(&waits, "waits for it to connect");
	assert_says(&silent, "is the machine up");
	assert_says(&foreign, "does not speak libp2p");
	assert_says(&unlisted, "is our Peer ID in its peers?");
	assert_says(&unlisted_go, "is our Peer ID in its peers?");
	struct dial_failure wrong = {.why = ERR_WRONG_PEER, .reached = CONN_SECURING};
	wrong.answered = kit_peer_id(3);
	char id[PEER_ID_TEXT_MAX];
	assert_says(&wrong, peer_id_format(&wrong.answered, id));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_limiter_holds_lines_back_and_counts_them),
		cmocka_unit_test(test_a_failure_says_what_to_do),
	};
	return cmocka_run_group_tests_name("trouble", tests, NULL, NULL);
}
