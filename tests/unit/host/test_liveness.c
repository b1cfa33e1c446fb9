/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include "p2p/host/liveness.h"

#define KEEPALIVE (15 * NSEC_PER_SEC)
#define START     (100 * NSEC_PER_SEC)

/* Step at each deadline until the verdict; returns when it came. */
static nsec_t run_until(struct liveness *l, enum liveness_verdict verdict)
{
	for (int i = 0; i < 100; i++) {
		nsec_t at = liveness_deadline(l);
		if (liveness_step(l, at) == verdict)
			return at;
	}
	fail_msg("the verdict never came");
	return 0;
}

static void test_silence_is_pinged_after_the_keepalive(void **state)
{
	(void)state;
	struct liveness l;
	liveness_init(&l, KEEPALIVE, START);
	assert_int_equal(liveness_step(&l, START + KEEPALIVE - 1), LIVENESS_OK);
	assert_int_equal(liveness_step(&l, START + KEEPALIVE), LIVENESS_PING);
}

static void test_silence_after_sending_is_pinged_soon(void **state)
{
	(void)state;
	struct liveness l;
	liveness_init(&l, KEEPALIVE, START);
	liveness_sent(&l, START + 5);
	liveness_sent(&l, START + NSEC_PER_SEC); /* sending on does not put it off */
	assert_int_equal(liveness_deadline(&l), START + 5 + LIVENESS_PROBE);
}

static void test_no_answer_is_suspect_then_dead(void **state)
{
	(void)state;
	struct liveness l;
	liveness_init(&l, KEEPALIVE, START);
	nsec_t asked = run_until(&l, LIVENESS_PING);
	assert_int_equal(run_until(&l, LIVENESS_SUSPECTED), asked + LIVENESS_SUSPECT);
	assert_true(liveness_is_suspect(&l));
	assert_int_equal(run_until(&l, LIVENESS_IS_DEAD), asked + LIVENESS_DEAD);
}

static void test_any_byte_clears_suspicion(void **state)
{
	(void)state;
	struct liveness l;
	liveness_init(&l, KEEPALIVE, START);
	nsec_t at = run_until(&l, LIVENESS_SUSPECTED);
	liveness_heard(&l, at + 1);
	assert_false(liveness_is_suspect(&l));
	assert_int_equal(liveness_deadline(&l), at + 1 + KEEPALIVE);
}

static void test_dead_with_traffic_within_six_plus_seconds_idle_within_twenty_plus(void **state)
{
	(void)state;
	struct liveness l;
	liveness_init(&l, KEEPALIVE, START);
	liveness_sent(&l, START);
	assert_true(run_until(&l, LIVENESS_IS_DEAD) <= START + 6 * NSEC_PER_SEC);
	liveness_init(&l, KEEPALIVE, START);
	assert_true(run_until(&l, LIVENESS_IS_DEAD) <= START + 20 * NSEC_PER_SEC);
}

static void test_progress_keeps_a_saturated_connection(void **state)
{
	(void)state;
	struct liveness l;
	liveness_init(&l, KEEPALIVE, START);
	/* A minute without a byte back, but something arrives there each second; then the pong
	 * comes. */
	nsec_t now = START;
	for (int i = 0; i < 29; i++) {
		now += NSEC_PER_SEC;
		liveness_sent(&l, now);
		assert_int_not_equal(liveness_step(&l, now), LIVENESS_IS_DEAD);
		liveness_acked(&l, now, false);
	}
	assert_false(liveness_is_suspect(&l));
}

static void test_a_kernel_does_not_vouch_for_a_hung_process_for_ever(void **state)
{
	(void)state;
	struct liveness l;
	liveness_init(&l, KEEPALIVE, START);
	for (int i = 0; i < 100; i++) {
		nsec_t now = liveness_deadline(&l);
		enum liveness_verdict verdict = liveness_step(&l, now);
		if (verdict == LIVENESS_IS_DEAD) {
			assert_true(now - START < 90 * NSEC_PER_SEC);
			return;
		}
		liveness_acked(&l, now + 1,
			       true); /* the ping's bytes arrive, its answer never comes */
	}
	fail_msg("a peer that never answers is kept");
}

static void test_acknowledgements_do_not_hide_what_is_still_on_its_way(void **state)
{
	(void)state;
	struct liveness l;
	liveness_init(&l, KEEPALIVE, START);
	liveness_sent(&l, START);
	/* Bytes were acknowledged since the last look, perhaps long ago; others were not. */
	nsec_t at = liveness_deadline(&l);
	liveness_acked(&l, at, false);
	assert_int_equal(liveness_deadline(&l), at + LIVENESS_PROBE);
	liveness_acked(&l, at, true);
	assert_int_equal(liveness_deadline(&l), at + KEEPALIVE);
}

static void test_a_listener_asks_once_when_data_stops(void **state)
{
	(void)state;
	struct liveness l;
	liveness_init(&l, KEEPALIVE, START);
	liveness_heard_data(&l, START + 1);
	liveness_heard_data(&l, START + 2);
	liveness_acked(&l, START + 3, true); /* our window updates arrived: not what is asked */
	assert_int_equal(run_until(&l, LIVENESS_PING), START + 2 + LIVENESS_PROBE);
	liveness_heard(&l, START + 2 * NSEC_PER_SEC); /* the pong is no data: no ping for it */
	assert_int_equal(liveness_deadline(&l), START + 2 * NSEC_PER_SEC + KEEPALIVE);
}

static void test_two_listeners_do_not_keep_each_other_busy(void **state)
{
	(void)state;
	struct liveness l;
	liveness_init(&l, KEEPALIVE, START);
	/* The peer's ping comes, our pong goes and is acknowledged. */
	liveness_heard(&l, START + 1);
	liveness_sent(&l, START + 1);
	liveness_acked(&l, liveness_deadline(&l), true);
	assert_true(liveness_deadline(&l) >= START + KEEPALIVE);
}

static void test_doubt_comes_soon_after_a_network_change(void **state)
{
	(void)state;
	struct liveness l;
	liveness_init(&l, KEEPALIVE, START);
	liveness_doubt(&l, START + 1);
	liveness_doubt(&l, START + 2); /* again: not put off */
	assert_int_equal(run_until(&l, LIVENESS_SUSPECTED), START + 1 + LIVENESS_DOUBT);
	liveness_init(&l, KEEPALIVE, START);
	liveness_doubt(&l, START + 1);
	liveness_heard(&l, START + 2);
	nsec_t asked = run_until(&l, LIVENESS_PING);
	assert_int_equal(run_until(&l, LIVENESS_SUSPECTED), asked + LIVENESS_SUSPECT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence_is_pinged_after_the_keepalive),
		cmocka_unit_test(test_silence_after_sending_is_pinged_soon),
		cmocka_unit_test(test_no_answer_is_suspect_then_dead),
		cmocka_unit_test(test_any_byte_clears_suspicion),
		cmocka_unit_test(
			test_dead_with_traffic_within_six_plus_seconds_idle_within_twenty_plus),
		cmocka_unit_test(test_progress_keeps_a_saturated_connection),
		cmocka_unit_test(test_a_kernel_does_not_vouch_for_a_hung_process_for_ever),
		cmocka_unit_test(test_acknowledgements_do_not_hide_what_is_still_on_its_way),
		cmocka_unit_test(test_a_listener_asks_once_when_data_stops),
		cmocka_unit_test(test_two_listeners_do_not_keep_each_other_busy),
		cmocka_unit_test(test_doubt_comes_soon_after_a_network_change),
	};
	return cmocka_run_group_tests_name("liveness", tests, NULL, NULL);
}
