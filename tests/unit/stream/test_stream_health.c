/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include "vpn/stream/stream_health.h"

#define SEC   NSEC_PER_SEC
#define MSEC  NSEC_PER_MSEC
#define START (100 * SEC)

static const struct stream_health_conf CONF = {
	.interval = 30 * SEC, .timeout = 5 * SEC, .failures = 3};

static struct stream_health by_probes(void)
{
	struct stream_health h;
	stream_health_init(&h, &CONF, STREAM_HEALTH_BY_PROBES, START);
	return h;
}

static struct stream_health by_progress(void)
{
	struct stream_health h;
	stream_health_init(&h, &CONF, STREAM_HEALTH_BY_PROGRESS, START);
	return h;
}

static enum stream_health_verdict step(struct stream_health *h, nsec_t now)
{
	uint64_t id;
	return stream_health_step(h, now, &id);
}

/* A probe must go at `now` and not before; returns its id. */
static uint64_t expect_probe(struct stream_health *h, nsec_t now)
{
	uint64_t id = 0;
	assert_int_equal(stream_health_deadline(h), now);
	assert_int_equal(stream_health_step(h, now - 1, &id), STREAM_HEALTH_OK);
	assert_int_equal(id, 0);
	assert_int_equal(stream_health_step(h, now, &id), STREAM_HEALTH_SEND_PROBE);
	return id;
}

/* Step at each deadline; returns when the stream is sick. */
static nsec_t sick_at(struct stream_health *h, nsec_t now)
{
	for (int i = 0; i < 100; i++) {
		nsec_t due = stream_health_deadline(h);
		assert_int_not_equal(due, NSEC_NEVER);
		now = due > now ? due : now;
		if (step(h, now) == STREAM_HEALTH_SICK)
			return now;
	}
	fail_msg("it never is sick");
	return 0;
}

static void test_a_probe_goes_each_interval_while_all_is_well(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	uint64_t last = 0;
	for (nsec_t now = START; now < START + 100 * CONF.interval; now += CONF.interval) {
		uint64_t id = expect_probe(&h, now);
		assert_true(id > last);
		last = id;
		assert_true(stream_health_on_answer(&h, id, now + 20 * MSEC));
	}
}

static void test_an_answer_gives_a_round_trip_time(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	assert_int_equal(h.rtt, NSEC_NEVER);
	uint64_t id = expect_probe(&h, START);
	stream_health_on_answer(&h, id, START + 80 * MSEC);
	assert_int_equal(h.rtt, 80 * MSEC);
	assert_int_equal(h.rtt_smoothed, 80 * MSEC);
	id = expect_probe(&h, START + CONF.interval);
	stream_health_on_answer(&h, id, START + CONF.interval + 160 * MSEC);
	assert_int_equal(h.rtt, 160 * MSEC);
	assert_int_equal(h.rtt_smoothed, 90 * MSEC);
	assert_int_equal(h.rtt_min, 80 * MSEC);
}

static void test_the_smoothed_time_comes_to_a_steady_one(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	uint64_t id = expect_probe(&h, START);
	stream_health_on_answer(&h, id, START + 4 * SEC);
	nsec_t now = START;
	for (int i = 0; i < 100; i++) {
		now += CONF.interval;
		id = expect_probe(&h, now);
		stream_health_on_answer(&h, id, now + 10 * MSEC);
	}
	assert_in_range(h.rtt_smoothed, 10 * MSEC - 100, 11 * MSEC);
}

static void test_a_dead_stream_is_known_after_as_many_timeouts_as_failures(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	expect_probe(&h, START);
	expect_probe(&h, START + CONF.timeout);
	expect_probe(&h, START + 2 * CONF.timeout);
	assert_int_equal(step(&h, START + 3 * CONF.timeout - 1), STREAM_HEALTH_OK);
	assert_int_equal(step(&h, START + 3 * CONF.timeout), STREAM_HEALTH_SICK);
}

static void test_sick_is_for_ever(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	uint64_t id = expect_probe(&h, START);
	nsec_t now = sick_at(&h, START);
	assert_false(stream_health_on_answer(&h, id, now));
	assert_int_equal(step(&h, now), STREAM_HEALTH_SICK);
	assert_int_equal(step(&h, now + SEC), STREAM_HEALTH_SICK);
	assert_int_equal(stream_health_deadline(&h), NSEC_NEVER);
}

static void test_an_answer_ends_the_row_of_failures(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	nsec_t now = START;
	for (int i = 0; i < 20; i++) {
		expect_probe(&h, now);
		expect_probe(&h, now + CONF.timeout);
		now += 2 * CONF.timeout;
		uint64_t id = expect_probe(&h, now);
		assert_true(stream_health_on_answer(&h, id, now + 1));
		now += CONF.interval;
	}
}

static void test_an_answer_to_an_earlier_probe_of_the_row_shows_life(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	uint64_t first = expect_probe(&h, START);
	uint64_t second = expect_probe(&h, START + CONF.timeout);
	uint64_t third = expect_probe(&h, START + 2 * CONF.timeout);
	nsec_t now = START + 2 * CONF.timeout + SEC;
	assert_true(stream_health_on_answer(&h, second, now));
	assert_int_equal(h.rtt, CONF.timeout + SEC);
	/* The third is still asked; its failure is the first of a row. */
	assert_false(stream_health_on_answer(&h, first, now));
	uint64_t fourth = expect_probe(&h, START + 3 * CONF.timeout);
	assert_true(stream_health_on_answer(&h, third, START + 3 * CONF.timeout));
	assert_true(stream_health_on_answer(&h, fourth, START + 3 * CONF.timeout));
	assert_int_equal(stream_health_deadline(&h), START + 3 * CONF.timeout + CONF.interval);
}

static void test_a_path_slower_than_the_timeout_is_not_sick(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	nsec_t rtt = 2 * CONF.timeout + SEC;
	nsec_t sent_at[1000];
	uint64_t sent = 0, answered = 0;
	for (nsec_t now = START; sent < 900; now += SEC) {
		for (; answered < sent && sent_at[answered] + rtt <= now; answered++)
			assert_true(stream_health_on_answer(&h, answered + 1, now));
		enum stream_health_verdict verdict = step(&h, now);
		assert_int_not_equal(verdict, STREAM_HEALTH_SICK);
		if (verdict == STREAM_HEALTH_SEND_PROBE)
			sent_at[sent++] = now;
	}
	assert_int_equal(h.rtt, rtt);
	assert_int_equal(h.rtt_min, rtt);
}

static void test_unknown_and_repeated_ids_are_ignored(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	assert_false(stream_health_on_answer(&h, 1, START)); /* nothing was asked */
	uint64_t id = expect_probe(&h, START);
	const uint64_t unknown[] = {0, id - 1, id + 1, UINT64_MAX};
	for (size_t i = 0; i < 4; i++)
		assert_false(stream_health_on_answer(&h, unknown[i], START + 1));
	assert_int_equal(stream_health_deadline(&h), START + CONF.timeout);
	assert_true(stream_health_on_answer(&h, id, START + 2));
	assert_false(stream_health_on_answer(&h, id, START + 3));
	assert_int_equal(h.rtt, 2);
	/* Nor does an old answer help the next probe. */
	expect_probe(&h, START + CONF.interval);
	assert_false(stream_health_on_answer(&h, id, START + CONF.interval + 1));
	assert_int_equal(sick_at(&h, START), START + CONF.interval + 3 * CONF.timeout);
}

static void test_a_time_is_never_taken_of_another_probe(void **state)
{
	(void)state;
	struct stream_health_conf conf = {
		.interval = 30 * SEC, .timeout = SEC, .failures = STREAM_HEALTH_FAILURES_MAX};
	struct stream_health h;
	stream_health_init(&h, &conf, STREAM_HEALTH_BY_PROBES, START);
	/* The second probe is answered when more followed it than are timed. */
	for (nsec_t i = 0; i < conf.failures; i++)
		expect_probe(&h, START + i * SEC);
	assert_true(stream_health_on_answer(&h, 1, START + 15 * SEC));
	for (nsec_t i = conf.failures; i < 2 * conf.failures - 1; i++)
		expect_probe(&h, START + i * SEC);
	assert_true(stream_health_on_answer(&h, 2, START + 30 * SEC));
	assert_int_equal(h.rtt_min, 15 * SEC);
	assert_int_equal(h.rtt, 15 * SEC);
}

static void test_a_late_step_asks_again_before_it_judges(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	expect_probe(&h, START);
	nsec_t now = START + 3600 * SEC; /* the machine slept */
	uint64_t id;
	assert_int_equal(stream_health_step(&h, now, &id), STREAM_HEALTH_SEND_PROBE);
	assert_true(stream_health_on_answer(&h, id, now + MSEC));
	assert_int_equal(h.rtt, MSEC);
}

static void test_suspicion_asks_at_once_and_one_failure_is_enough(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	uint64_t id = expect_probe(&h, START);
	stream_health_on_answer(&h, id, START + MSEC);
	stream_health_suspect(&h, true);
	nsec_t now = START + SEC;
	assert_int_equal(step(&h, now), STREAM_HEALTH_SEND_PROBE);
	stream_health_suspect(&h, true); /* told twice: asked once */
	assert_int_equal(step(&h, now), STREAM_HEALTH_OK);
	assert_int_equal(sick_at(&h, now), now + CONF.timeout);
}

static void test_suspicion_after_a_failure_is_enough(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	expect_probe(&h, START);
	expect_probe(&h, START + CONF.timeout);
	stream_health_suspect(&h, true);
	assert_true(stream_health_deadline(&h) <= START + CONF.timeout);
	assert_int_equal(step(&h, START + CONF.timeout), STREAM_HEALTH_SICK);
}

static void test_suspicion_that_passes_leaves_no_trace(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	expect_probe(&h, START);
	stream_health_suspect(&h, true);
	stream_health_suspect(&h, false);
	assert_int_equal(sick_at(&h, START), START + 3 * CONF.timeout);

	/* Answered while suspect: no probe after probe. */
	h = by_probes();
	uint64_t id = expect_probe(&h, START);
	stream_health_suspect(&h, true);
	stream_health_on_answer(&h, id, START + MSEC);
	stream_health_suspect(&h, true);
	assert_int_equal(stream_health_deadline(&h), START + CONF.interval);
}

static void test_progress_is_no_answer(void **state)
{
	(void)state;
	struct stream_health h = by_probes();
	expect_probe(&h, START);
	stream_health_waiting(&h, START, true);
	stream_health_progress(&h, START + CONF.timeout - 1);
	stream_health_waiting(&h, START + CONF.timeout - 1, false);
	assert_int_equal(sick_at(&h, START), START + 3 * CONF.timeout);
}

static void test_without_probes_an_idle_stream_is_not_judged(void **state)
{
	(void)state;
	struct stream_health h = by_progress();
	assert_int_equal(stream_health_deadline(&h), NSEC_NEVER);
	stream_health_suspect(&h, true);
	assert_int_equal(step(&h, START + 3600 * SEC), STREAM_HEALTH_OK);
	assert_int_equal(stream_health_deadline(&h), NSEC_NEVER);
	assert_false(stream_health_on_answer(&h, 0, START));
	assert_false(stream_health_on_answer(&h, 1, START));
}

static void test_output_that_waits_without_progress_is_sick(void **state)
{
	(void)state;
	struct stream_health h = by_progress();
	stream_health_waiting(&h, START, true);
	stream_health_waiting(&h, START + SEC, true); /* again: not put off */
	assert_int_equal(stream_health_deadline(&h), START + CONF.timeout);
	assert_int_equal(sick_at(&h, START), START + 3 * CONF.timeout);
}

static void test_progress_ends_the_row_of_failures(void **state)
{
	(void)state;
	struct stream_health h = by_progress();
	nsec_t now = START;
	stream_health_waiting(&h, now, true);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(step(&h, now + CONF.timeout), STREAM_HEALTH_OK);
		assert_int_equal(step(&h, now + 2 * CONF.timeout), STREAM_HEALTH_OK);
		now += 3 * CONF.timeout - 1;
		stream_health_progress(&h, now);
	}
	assert_int_equal(sick_at(&h, now), now + 3 * CONF.timeout);
}

static void test_waiting_begins_anew_after_progress(void **state)
{
	(void)state;
	struct stream_health h = by_progress();
	stream_health_waiting(&h, START, true);
	stream_health_progress(&h, START + SEC);
	stream_health_waiting(&h, START + SEC, false);
	assert_int_equal(stream_health_deadline(&h), NSEC_NEVER);
	stream_health_waiting(&h, START + 60 * SEC, true);
	assert_int_equal(stream_health_deadline(&h), START + 60 * SEC + CONF.timeout);

	/* The same, told in the other order. */
	stream_health_waiting(&h, START + 61 * SEC, false);
	stream_health_progress(&h, START + 61 * SEC);
	stream_health_waiting(&h, START + 70 * SEC, true);
	assert_int_equal(stream_health_deadline(&h), START + 70 * SEC + CONF.timeout);
}

static void test_output_that_was_dropped_is_no_progress(void **state)
{
	(void)state;
	struct stream_health h = by_progress();
	/* Each second output waits for half of it, and is dropped. */
	nsec_t now = START;
	for (int i = 0; i < 2 * 3 * 5 + 1; i++, now += SEC) {
		stream_health_waiting(&h, now, true);
		if (step(&h, now) == STREAM_HEALTH_SICK)
			return;
		stream_health_waiting(&h, now + SEC / 2, false);
		assert_int_equal(stream_health_deadline(&h), NSEC_NEVER);
	}
	fail_msg("a stream that takes nothing is taken for well");
}

static void test_without_probes_suspicion_is_enough_with_one_failure(void **state)
{
	(void)state;
	struct stream_health h = by_progress();
	stream_health_waiting(&h, START, true);
	stream_health_suspect(&h, true);
	assert_int_equal(sick_at(&h, START), START + CONF.timeout);
}

/* Answers that come in time by chance, else late, twice or never: whatever comes, the ids are
 * unique and a stream of which none is answered any more is found. */
static void test_random_lives_end_in_bounded_time_once_nothing_is_answered(void **state)
{
	(void)state;
	for (int life = 0; life < 2000; life++) {
		struct stream_health_conf conf = {
			.interval = 1 + testkit_random() % (40 * SEC),
			.timeout = 1 + testkit_random() % (10 * SEC),
			.failures = 1 + (uint32_t)(testkit_random() % STREAM_HEALTH_FAILURES_MAX)};
		struct stream_health h;
		stream_health_init(&h, &conf, STREAM_HEALTH_BY_PROBES, START);
		nsec_t now = START;
		uint64_t last = 0;
		for (int i = 0; i < 500; i++) {
			uint64_t id = 0;
			enum stream_health_verdict verdict = stream_health_step(&h, now, &id);
			if (verdict == STREAM_HEALTH_SICK)
				break;
			assert_int_equal(verdict == STREAM_HEALTH_SEND_PROBE, id == last + 1);
			last = id != 0 ? id : last;
			if (testkit_random() % 8 == 0)
				stream_health_suspect(&h, testkit_random() % 4 == 0);
			uint64_t answer = last - testkit_random() % 4;
			bool counts = answer > h.answered && answer <= last;
			if (testkit_random() % 2 == 0)
				assert_int_equal(stream_health_on_answer(&h, answer, now), counts);
			now += testkit_random() % (2 * conf.timeout);
		}
		if (h.state != STREAM_HEALTH_IS_SICK) {
			nsec_t longest = conf.interval + (conf.failures + 1) * conf.timeout;
			assert_true(sick_at(&h, now) <= now + longest);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_probe_goes_each_interval_while_all_is_well),
		cmocka_unit_test(test_an_answer_gives_a_round_trip_time),
		cmocka_unit_test(test_the_smoothed_time_comes_to_a_steady_one),
		cmocka_unit_test(test_a_dead_stream_is_known_after_as_many_timeouts_as_failures),
		cmocka_unit_test(test_sick_is_for_ever),
		cmocka_unit_test(test_an_answer_ends_the_row_of_failures),
		cmocka_unit_test(test_an_answer_to_an_earlier_probe_of_the_row_shows_life),
		cmocka_unit_test(test_a_path_slower_than_the_timeout_is_not_sick),
		cmocka_unit_test(test_unknown_and_repeated_ids_are_ignored),
		cmocka_unit_test(test_a_time_is_never_taken_of_another_probe),
		cmocka_unit_test(test_a_late_step_asks_again_before_it_judges),
		cmocka_unit_test(test_suspicion_asks_at_once_and_one_failure_is_enough),
		cmocka_unit_test(test_suspicion_after_a_failure_is_enough),
		cmocka_unit_test(test_suspicion_that_passes_leaves_no_trace),
		cmocka_unit_test(test_progress_is_no_answer),
		cmocka_unit_test(test_without_probes_an_idle_stream_is_not_judged),
		cmocka_unit_test(test_output_that_waits_without_progress_is_sick),
		cmocka_unit_test(test_progress_ends_the_row_of_failures),
		cmocka_unit_test(test_waiting_begins_anew_after_progress),
		cmocka_unit_test(test_output_that_was_dropped_is_no_progress),
		cmocka_unit_test(test_without_probes_suspicion_is_enough_with_one_failure),
		cmocka_unit_test(test_random_lives_end_in_bounded_time_once_nothing_is_answered),
	};
	return cmocka_run_group_tests_name("stream_health", tests, NULL, NULL);
}
