/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include "base/util.h"
#include "vpn/dispatch/load.h"

#define SEC      NSEC_PER_SEC
#define MSEC     NSEC_PER_MSEC
#define START    (100 * SEC)
#define INTERVAL (100 * MSEC)

/* An idle pool of one to eight streams. */
static struct load_sample sample_of(size_t streams)
{
	return (struct load_sample){
		.streams = streams,
		.streams_min = 1,
		.streams_max = 8,
		.queued_max = 1000,
		.in_flight_bytes_max = 1000,
		.sent_bytes = 1000000,
	};
}

struct run {
	struct load load;
	struct load_sample s;
	nsec_t now;
	enum load_verdict last; /* but STAY */
	nsec_t last_at;
};

static struct run run_of(size_t streams)
{
	struct run r = {.s = sample_of(streams), .now = START};
	load_init(&r.load);
	assert_int_equal(load_step(&r.load, &r.s, r.now), LOAD_STAY);
	return r;
}

/* How many changes are asked for in `duration`, and done, while so much is carried. */
static unsigned run_for(struct run *r, nsec_t duration, nsec_t interval, uint64_t bytes_per_ms)
{
	unsigned changes = 0;
	for (nsec_t end = r->now + duration; r->now < end;) {
		r->now += interval;
		r->s.sent_bytes += bytes_per_ms * interval / MSEC;
		enum load_verdict verdict = load_step(&r->load, &r->s, r->now);
		if (verdict == LOAD_STAY)
			continue;
		changes++;
		r->last = verdict;
		r->last_at = r->now;
		r->s.streams += verdict == LOAD_GROW ? 1 : (size_t)-1;
	}
	return changes;
}

static void test_the_score_is_how_full_the_fuller_part_is(void **state)
{
	(void)state;
	const struct {
		size_t queued, queued_max, in_flight, in_flight_max;
		unsigned score;
	} cases[] = {
		{0, 1000, 0, 1000, 0},
		{250, 1000, 100, 1000, 250},
		{250, 1000, 9000, 10000, 900},
		{5000, 1000, 0, 1000, 1000}, /* above its bound */
		{0, 0, 0, 0, 0},             /* no bound known: nothing to be full */
		{7, 0, 500, 1000, 500},
		{SIZE_MAX, SIZE_MAX, 0, 1, 1000},
		{SIZE_MAX / 2, SIZE_MAX, 0, 1, 500},
		{SIZE_MAX / 8, SIZE_MAX / 2 - 7, 0, 1, 250},
		{0, 1, SIZE_MAX, SIZE_MAX, 1000},
		{0, 1000, SIZE_MAX - 1, 1, 1000},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct load_sample s = sample_of(1);
		s.queued = cases[i].queued;
		s.queued_max = cases[i].queued_max;
		s.in_flight_bytes = cases[i].in_flight;
		s.in_flight_bytes_max = cases[i].in_flight_max;
		struct load l;
		load_init(&l);
		(void)load_step(&l, &s, START);
		assert_in_range(load_score(&l), cases[i].score, cases[i].score + 1);
	}
}

static void test_a_full_pool_grows_after_a_while(void **state)
{
	(void)state;
	struct run r = run_of(2);
	r.s.queued = 1000;
	assert_int_equal(run_for(&r, SEC, INTERVAL, 1000), 1);
	assert_int_equal(r.last, LOAD_GROW);
	assert_in_range(r.last_at - START, LOAD_GROW_AFTER, 3 * LOAD_GROW_AFTER);
}

static void test_full_connections_are_as_good_a_reason_as_full_queues(void **state)
{
	(void)state;
	struct run r = run_of(2);
	r.s.in_flight_bytes = 900;
	assert_int_equal(run_for(&r, SEC, INTERVAL, 1000), 1);
	assert_int_equal(r.last, LOAD_GROW);
}

static void test_a_pause_follows_each_change(void **state)
{
	(void)state;
	struct run r = run_of(1);
	r.s.queued = 1000;
	nsec_t last_at = 0;
	for (int i = 0; i < 7; i++) {
		while (run_for(&r, INTERVAL, INTERVAL, 1000) == 0)
			assert_true(r.now < START + 60 * SEC);
		assert_int_equal(r.last, LOAD_GROW);
		assert_true(r.last_at - last_at >= LOAD_PAUSE + LOAD_GROW_AFTER);
		last_at = r.last_at;
	}
	assert_int_equal(r.s.streams, r.s.streams_max);
}

static void test_advice_that_is_not_followed_is_repeated_after_a_pause_and_a_while(void **state)
{
	(void)state;
	struct run r = run_of(1);
	r.s.queued = 1000;
	nsec_t last_at = 0;
	for (int i = 0; i < 5; i++) {
		while (run_for(&r, INTERVAL, INTERVAL, 1000) == 0)
			assert_true(r.now < START + 60 * SEC);
		assert_true(r.last_at - last_at >= LOAD_PAUSE + LOAD_GROW_AFTER);
		last_at = r.last_at;
		r.s.streams = 1; /* could not be opened */
	}
}

static void test_it_never_grows_above_the_most(void **state)
{
	(void)state;
	struct run r = run_of(8);
	r.s.queued = 1000;
	assert_int_equal(run_for(&r, 3600 * SEC, INTERVAL, 1000), 0);
}

static void test_it_never_shrinks_below_the_least(void **state)
{
	(void)state;
	struct run r = run_of(3);
	r.s.streams_min = 3;
	assert_int_equal(run_for(&r, 3600 * SEC, INTERVAL, 0), 0);
}

static void test_outside_of_its_bounds_it_changes_at_once_and_once_a_pause(void **state)
{
	(void)state;
	struct load l;
	load_init(&l);
	struct load_sample s = sample_of(0);
	s.streams_min = 2;
	s.queued = s.queued_max;
	assert_int_equal(load_step(&l, &s, START), LOAD_GROW);
	s.streams = 1;
	assert_int_equal(load_step(&l, &s, START + LOAD_PAUSE - 1), LOAD_STAY);
	assert_int_equal(load_step(&l, &s, START + LOAD_PAUSE + MSEC), LOAD_GROW);

	load_init(&l);
	s = sample_of(9);
	s.queued = s.queued_max;
	assert_int_equal(load_step(&l, &s, START), LOAD_SHRINK);
	assert_int_equal(load_step(&l, &s, START + LOAD_PAUSE - 1), LOAD_STAY);
	assert_int_equal(load_step(&l, &s, START + LOAD_PAUSE + MSEC), LOAD_SHRINK);
}

static void test_bursts_shorter_than_the_while_change_nothing(void **state)
{
	(void)state;
	const nsec_t intervals[] = {1 * MSEC, 7 * MSEC, 29 * MSEC, 145 * MSEC, 290 * MSEC};
	for (size_t i = 0; i < ARRAY_LEN(intervals); i++) {
		/* ... nor does it matter how full it is otherwise. */
		for (size_t rest = 0; rest < LOAD_HIGH; rest += 79) {
			struct run r = run_of(1);
			for (int burst = 0; burst < 60; burst++) {
				r.s.queued = 1000;
				assert_int_equal(run_for(&r, 290 * MSEC, intervals[i], 1000), 0);
				r.s.queued = rest;
				assert_int_equal(run_for(&r, 1500 * MSEC, intervals[i], 1000), 0);
			}
		}
	}
}

static void test_what_stands_still_does_not_grow(void **state)
{
	(void)state;
	struct run r = run_of(1);
	r.s.queued = 1000;
	r.s.in_flight_bytes = 1000;
	assert_int_equal(run_for(&r, 3600 * SEC, INTERVAL, 0), 0);
	/* Taken by the connections, but not gone: it is as far as it was. */
	r.s.in_flight_bytes_max = 100000000;
	for (int i = 0; i < 50; i++) {
		r.s.sent_bytes += 1000;
		r.s.in_flight_bytes += 1000;
		assert_int_equal(run_for(&r, INTERVAL, INTERVAL, 0), 0);
	}
	assert_true(run_for(&r, SEC, INTERVAL, 1000) > 0);
}

static void test_an_idle_pool_goes_down_to_the_least_in_bounded_time(void **state)
{
	(void)state;
	const nsec_t intervals[] = {1 * MSEC, 100 * MSEC, 3 * SEC, 40 * SEC};
	for (size_t i = 0; i < ARRAY_LEN(intervals); i++) {
		struct run r = run_of(1);
		r.s.queued = 1000;
		run_for(&r, 20 * MAX(intervals[i], SEC), intervals[i], 1000);
		assert_int_equal(r.s.streams, 8);
		r.s.queued = 0;
		nsec_t each = LOAD_PAUSE + LOAD_SHRINK_AFTER + 2 * intervals[i];
		assert_int_equal(run_for(&r, 7 * each + 20 * SEC, intervals[i], 0), 7);
		assert_int_equal(r.s.streams, 1);
		assert_int_equal(run_for(&r, 3600 * SEC, intervals[i], 0), 0);
	}
}

static void test_a_pool_that_carried_next_to_nothing_goes_down_as_well(void **state)
{
	(void)state;
	struct run r = run_of(1);
	run_for(&r, 20 * SEC, MSEC, 100);
	r.s.queued = 1000;
	run_for(&r, 20 * SEC, MSEC, 1);
	assert_int_equal(r.s.streams, 8);
	r.s.queued = 0;
	run_for(&r, 7 * 35 * SEC, MSEC, 0);
	assert_int_equal(r.s.streams, 1);
}

static void test_odd_intervals_do_not_bend_the_rate(void **state)
{
	(void)state;
	struct run r = run_of(1);
	run_for(&r, 20 * SEC, 1900 * NSEC_PER_USEC, 1000);
	assert_in_range(r.load.rate, 980000, 1020000);
}

static void test_an_idle_pool_is_not_shrunk_early(void **state)
{
	(void)state;
	struct run r = run_of(4);
	assert_int_equal(run_for(&r, LOAD_SHRINK_AFTER - INTERVAL, INTERVAL, 0), 0);
	/* A moment's work begins the while anew. */
	r.s.in_flight_bytes = 1000;
	assert_int_equal(run_for(&r, 2 * INTERVAL, INTERVAL, 1000), 0);
	r.s.in_flight_bytes = 0;
	assert_int_equal(run_for(&r, LOAD_SHRINK_AFTER - INTERVAL, INTERVAL, 0), 0);
	assert_int_equal(run_for(&r, SEC, INTERVAL, 0), 1);
	assert_int_equal(r.last, LOAD_SHRINK);
}

static void test_it_does_not_shrink_to_what_was_too_few(void **state)
{
	(void)state;
	struct run r = run_of(2);
	r.s.queued = 1000;
	run_for(&r, SEC, INTERVAL, 1000); /* two streams were too few for 1 MB/s */
	assert_int_equal(r.s.streams, 3);
	r.s.queued = 0;
	assert_int_equal(run_for(&r, 3600 * SEC, INTERVAL, 1000), 0);
}

static void test_streams_that_carried_more_since_are_believed(void **state)
{
	(void)state;
	struct run r = run_of(1);
	r.s.queued = 1000;
	run_for(&r, 3 * SEC, INTERVAL, 100); /* a slow time: 50 KB/s each were too few */
	assert_int_equal(r.s.streams, 3);
	r.s.queued = 0;
	assert_int_equal(run_for(&r, 10 * SEC, INTERVAL, 3000), 0); /* 1 MB/s each */
	assert_int_equal(run_for(&r, 40 * SEC, INTERVAL, 600), 1);
	assert_int_equal(r.last, LOAD_SHRINK);
}

static void test_streams_that_come_and_go_by_themselves_begin_the_while_anew(void **state)
{
	(void)state;
	struct run r = run_of(4);
	assert_int_equal(run_for(&r, LOAD_SHRINK_AFTER - INTERVAL, INTERVAL, 0), 0);
	r.s.streams = 3;
	assert_int_equal(run_for(&r, LOAD_SHRINK_AFTER, INTERVAL, 0), 0);
	assert_int_equal(run_for(&r, 2 * INTERVAL, INTERVAL, 0), 1);
}

static void test_jumps_of_time_and_sums_are_survived(void **state)
{
	(void)state;
	struct load l;
	load_init(&l);
	struct load_sample s = sample_of(4);
	nsec_t now = 0;
	for (int i = 0; i < 200000; i++) {
		switch (testkit_random() % 6) {
		case 0:
			now = nsec_add(now, testkit_random() >> testkit_random() % 64);
			break;
		case 1:
			now = testkit_random() % 64 == 0 ? testkit_random() : now;
			break;
		default:
			now = nsec_add(now, testkit_random() % SEC);
		}
		s.queued = (size_t)(testkit_random() >> testkit_random() % 64);
		s.queued_max = (size_t)(testkit_random() >> testkit_random() % 64);
		s.in_flight_bytes = (size_t)(testkit_random() >> testkit_random() % 64);
		s.in_flight_bytes_max = (size_t)(testkit_random() >> testkit_random() % 64);
		s.sent_bytes += testkit_random() >> testkit_random() % 64;
		enum load_verdict verdict = load_step(&l, &s, now);
		assert_true(load_score(&l) <= LOAD_SCORE_MAX);
		assert_true(verdict != LOAD_GROW || s.streams < s.streams_max);
		assert_true(verdict != LOAD_SHRINK || s.streams > s.streams_min);
		s.streams += verdict == LOAD_GROW ? 1 : verdict == LOAD_SHRINK ? (size_t)-1 : 0;
		if (now > NSEC_NEVER / 2 || testkit_random() % 1000 == 0) {
			now = 0;
			load_init(&l);
		}
	}
}

/* Bytes as they flow, millisecond by millisecond: offered -> queue -> connections -> peer. */
struct flow {
	struct load_sample s;
	int64_t offered;      /* bytes a ms */
	int64_t stream_takes; /* ... that one stream can carry */
	int64_t link_takes;   /* ... and all of them together */
	bool is_noisy;
};

static void flow_ms(struct flow *f)
{
	int64_t n = (int64_t)f->s.streams;
	int64_t carries = MIN(n * f->stream_takes, f->link_takes);
	int64_t offered = f->offered;
	if (f->is_noisy) {
		offered = offered * (int64_t)(testkit_random() % 2001) / 1000;
		carries = carries * (int64_t)(900 + testkit_random() % 201) / 1000;
	}
	f->s.in_flight_bytes_max = (size_t)(n * f->stream_takes * 50);
	f->s.queued_max = (size_t)(n * f->stream_takes * 100);
	f->s.in_flight_bytes -= MIN(f->s.in_flight_bytes, (size_t)carries);
	f->s.queued = MIN(f->s.queued + (size_t)offered, f->s.queued_max);
	size_t room = f->s.in_flight_bytes_max -
		      MIN(f->s.in_flight_bytes, f->s.in_flight_bytes_max);
	size_t taken = MIN(room, f->s.queued);
	f->s.queued -= taken;
	f->s.in_flight_bytes += taken;
	f->s.sent_bytes += taken;
}

struct changes {
	unsigned total;
	unsigned turns; /* a shrink after a grow, or a grow after a shrink */
	enum load_verdict last;
};

static void flow_for(struct flow *f, struct load *l, nsec_t *now, nsec_t duration,
		     uint64_t interval_ms, struct changes *changes)
{
	for (nsec_t end = *now + duration; *now < end;) {
		for (uint64_t ms = 0; ms < interval_ms; ms++)
			flow_ms(f);
		*now += interval_ms * MSEC;
		enum load_verdict verdict = load_step(l, &f->s, *now);
		if (verdict == LOAD_STAY)
			continue;
		f->s.streams += verdict == LOAD_GROW ? 1 : (size_t)-1;
		assert_in_range(f->s.streams, f->s.streams_min, f->s.streams_max);
		changes->total++;
		changes->turns += changes->last != LOAD_STAY && changes->last != verdict;
		changes->last = verdict;
	}
}

static void test_a_constant_load_settles(void **state)
{
	(void)state;
	for (int i = 0; i < 120; i++) {
		const uint64_t intervals[] = {10, 100, 250, 1000};
		uint64_t interval_ms = intervals[testkit_random() % ARRAY_LEN(intervals)];
		struct flow f = {.s = {.streams_min = 1, .streams_max = 6}};
		f.stream_takes = 10 + (int64_t)(testkit_random() % 10000);
		f.link_takes = f.stream_takes * (int64_t)(1000 + testkit_random() % 7000) / 1000;
		f.offered = f.stream_takes * (int64_t)(testkit_random() % 7000) / 1000;
		f.is_noisy = testkit_random() % 2 == 0;
		bool starts_small = testkit_random() % 2 == 0;
		f.s.streams = starts_small ? 1 : 6;

		struct load l;
		load_init(&l);
		nsec_t now = START;
		struct changes changes = {0};
		flow_for(&f, &l, &now, 300 * SEC, interval_ms, &changes);
		unsigned before = changes.total;
		flow_for(&f, &l, &now, 600 * SEC, interval_ms, &changes);
		/* From few streams it only grows. From many it may have to learn how few are too
		 * few. Noise may let it grow late, never back and forth. */
		if (changes.turns > (starts_small ? 0 : 1) ||
		    (!f.is_noisy && changes.total > before))
			fail_msg("offered %ld, a stream %ld, the link %ld, %ld ms, noise %d, "
				 "small %d: %u changes, %u turns, %u late",
				 (long)f.offered, (long)f.stream_takes, (long)f.link_takes,
				 (long)interval_ms, f.is_noisy, starts_small, changes.total,
				 changes.turns, changes.total - before);
		/* Enough of them, where streams are what lacks. */
		if (f.offered * 10 > f.stream_takes * 11 * (int64_t)f.s.streams)
			assert_true(f.s.streams == 6 || f.link_takes < f.offered);

		/* And then nothing. */
		f.offered = 0;
		flow_for(&f, &l, &now, 6 * 35 * SEC, interval_ms, &changes);
		assert_int_equal(f.s.streams, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_score_is_how_full_the_fuller_part_is),
		cmocka_unit_test(test_a_full_pool_grows_after_a_while),
		cmocka_unit_test(test_full_connections_are_as_good_a_reason_as_full_queues),
		cmocka_unit_test(test_a_pause_follows_each_change),
		cmocka_unit_test(
			test_advice_that_is_not_followed_is_repeated_after_a_pause_and_a_while),
		cmocka_unit_test(test_it_never_grows_above_the_most),
		cmocka_unit_test(test_it_never_shrinks_below_the_least),
		cmocka_unit_test(test_outside_of_its_bounds_it_changes_at_once_and_once_a_pause),
		cmocka_unit_test(test_bursts_shorter_than_the_while_change_nothing),
		cmocka_unit_test(test_what_stands_still_does_not_grow),
		cmocka_unit_test(test_an_idle_pool_goes_down_to_the_least_in_bounded_time),
		cmocka_unit_test(test_a_pool_that_carried_next_to_nothing_goes_down_as_well),
		cmocka_unit_test(test_odd_intervals_do_not_bend_the_rate),
		cmocka_unit_test(test_an_idle_pool_is_not_shrunk_early),
		cmocka_unit_test(test_it_does_not_shrink_to_what_was_too_few),
		cmocka_unit_test(test_streams_that_carried_more_since_are_believed),
		cmocka_unit_test(test_streams_that_come_and_go_by_themselves_begin_the_while_anew),
		cmocka_unit_test(test_jumps_of_time_and_sums_are_survived),
		cmocka_unit_test(test_a_constant_load_settles),
	};
	return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
