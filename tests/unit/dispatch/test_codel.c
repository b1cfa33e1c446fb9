/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <math.h>
#include <stdlib.h>

#include "vpn/dispatch/codel.h"

#define MS NSEC_PER_MSEC

enum {
	MTU = 1500
};

static const struct codel_conf conf = {
	.target = 5 * MS,
	.interval = 100 * MS,
	.mtu_bytes = MTU,
};

/* One packet each millisecond from `from` until before `to`; returns how many are dropped. */
static unsigned drops(struct codel *c, nsec_t sojourn, size_t backlog, nsec_t from, nsec_t to)
{
	unsigned n = 0;
	for (nsec_t now = from; now < to; now += MS)
		n += codel_judge(c, &conf, sojourn, backlog, now) == CODEL_DROP ? 1 : 0;
	return n;
}

static void test_below_target_nothing_is_ever_dropped(void **state)
{
	(void)state;
	struct codel c = {0};
	assert_int_equal(drops(&c, 5 * MS - 1, SIZE_MAX, 0, 10000 * MS), 0);
}

static void test_one_packet_behind_is_no_queue(void **state)
{
	(void)state;
	struct codel c = {0};
	assert_int_equal(drops(&c, 1000 * MS, MTU, 0, 10000 * MS), 0);
	assert_int_equal(drops(&c, 1000 * MS, 0, 10000 * MS, 20000 * MS), 0);
	assert_true(drops(&c, 1000 * MS, MTU + 1, 20000 * MS, 30000 * MS) > 0);
}

static void test_standing_queue_is_left_alone_for_one_interval(void **state)
{
	(void)state;
	struct codel c = {0};
	assert_int_equal(drops(&c, 5 * MS, MTU + 1, 0, 100 * MS), 0);
	assert_int_equal(codel_judge(&c, &conf, 5 * MS, MTU + 1, 100 * MS), CODEL_DROP);
}

static void test_one_good_packet_starts_the_interval_anew(void **state)
{
	(void)state;
	struct codel c = {0};
	assert_int_equal(drops(&c, 50 * MS, 9000, 0, 99 * MS), 0);
	assert_int_equal(codel_judge(&c, &conf, 5 * MS - 1, 9000, 99 * MS), CODEL_SEND);
	assert_int_equal(drops(&c, 50 * MS, 9000, 100 * MS, 200 * MS), 0);
	assert_int_equal(codel_judge(&c, &conf, 50 * MS, 9000, 200 * MS), CODEL_DROP);
}

static void test_drops_come_ever_faster(void **state)
{
	(void)state;
	struct codel c = {0};
	nsec_t times[40];
	unsigned n = 0;
	for (nsec_t now = 0; n < 40; now += MS / 100) {
		if (codel_judge(&c, &conf, 50 * MS, 9000, now) == CODEL_DROP)
			times[n++] = now;
	}
	/* The n-th gap is an interval by the root of n; we look each 10 microseconds only. */
	for (unsigned i = 1; i < n; i++) {
		double gap = (double)(times[i] - times[i - 1]);
		assert_true(fabs(gap - 1e8 / sqrt(i)) <= 1e4 + 1);
	}
	assert_true(times[39] - times[38] < (times[1] - times[0]) / 6);
}

static void test_good_packet_ends_dropping_at_once(void **state)
{
	(void)state;
	struct codel c = {0};
	assert_true(drops(&c, 50 * MS, 9000, 0, 1000 * MS) > 5);
	assert_int_equal(codel_judge(&c, &conf, 0, 9000, 1000 * MS), CODEL_SEND);
	assert_int_equal(drops(&c, 50 * MS, 9000, 1000 * MS, 1100 * MS), 0);
}

static void test_queue_that_empties_ends_dropping(void **state)
{
	(void)state;
	struct codel c = {0};
	assert_true(drops(&c, 50 * MS, 9000, 0, 1000 * MS) > 5);
	/* The last packet of all, however long it waited. */
	assert_int_equal(codel_judge(&c, &conf, 900 * MS, 0, 1000 * MS), CODEL_SEND);
	assert_int_equal(drops(&c, 50 * MS, 9000, 1001 * MS, 1101 * MS), 0);
}

static void test_who_comes_back_soon_goes_on_at_the_old_rate(void **state)
{
	(void)state;
	struct codel soon = {0};
	drops(&soon, 50 * MS, 9000, 0, 2000 * MS);
	codel_judge(&soon, &conf, 0, 9000, 2000 * MS);
	struct codel late = soon, fresh = {0};

	unsigned again = drops(&soon, 50 * MS, 9000, 2100 * MS, 2400 * MS);
	unsigned after_long = drops(&late, 50 * MS, 9000, 9000 * MS, 9300 * MS);
	unsigned first = drops(&fresh, 50 * MS, 9000, 9000 * MS, 9300 * MS);
	assert_true(again > 3 * first);
	assert_int_equal(after_long, first);
}

static void test_step_is_the_reals_one_rounded_down(void **state)
{
	(void)state;
	for (int round = 0; round < 200000; round++) {
		struct codel_conf own = conf;
		uint64_t r = testkit_random();
		own.interval = 1 + (r & UINT32_MAX) % CODEL_INTERVAL_MAX;
		uint32_t count = 2 + (uint32_t)(testkit_random() >> (33 + r % 31)) % 1000000;
		struct codel c = {
			.first_above = 1, .drop_next = 7, .count = count - 1, .dropping = 1};
		assert_int_equal(codel_judge(&c, &own, 50 * MS, 9000, 7), CODEL_DROP);
		assert_int_equal(c.count, count);
		double exact = (double)own.interval / sqrt(count);
		double got = (double)(c.drop_next - 7);
		assert_true(got <= exact + 1e-6 && got > exact - 1 - 1e-6);
	}
}

static void test_extreme_intervals_and_counts_do_not_overflow(void **state)
{
	(void)state;
	struct codel_conf own = {.target = 0, .interval = CODEL_INTERVAL_MAX};
	struct codel c = {.first_above = 1, .drop_next = 1, .count = 0, .dropping = 1};
	assert_int_equal(codel_judge(&c, &own, 0, 1, 1), CODEL_DROP);
	assert_true(c.drop_next == 1 + CODEL_INTERVAL_MAX);

	own.interval = 1;
	c = (struct codel){
		.first_above = 1, .drop_next = 1, .count = CODEL_COUNT_MAX, .dropping = 1};
	assert_int_equal(codel_judge(&c, &own, 0, 1, 1), CODEL_DROP);
	assert_int_equal(c.count, CODEL_COUNT_MAX);

	/* Ends, and begins again, with the largest memory there is. */
	c.last_count = 0;
	c.dropping = 0;
	assert_int_equal(codel_judge(&c, &own, 0, 1, 2), CODEL_DROP);
	assert_int_equal(c.count, CODEL_COUNT_MAX);
	assert_int_equal(c.last_count, CODEL_COUNT_MAX);
}

static void test_jump_of_time_neither_drops_a_good_queue_nor_wraps(void **state)
{
	(void)state;
	/* A queue that was fine has its interval, however far the clock jumped. */
	struct codel c = {0};
	assert_int_equal(drops(&c, 1 * MS, 9000, 0, 100 * MS), 0);
	nsec_t later = (nsec_t)1000 * 3600 * NSEC_PER_SEC;
	assert_int_equal(drops(&c, later, 9000, later, later + 100 * MS), 0);

	/* One that was dropping makes up for what it missed, until a packet is fresh. */
	c = (struct codel){0};
	drops(&c, 50 * MS, 9000, 0, 200 * MS);
	unsigned n = 0;
	while (n < 100 && codel_judge(&c, &conf, later, 9000, later) == CODEL_DROP)
		n++;
	assert_int_equal(n, 100);
	assert_int_equal(codel_judge(&c, &conf, 0, 9000, later), CODEL_SEND);

	/* The end of time. */
	c = (struct codel){0};
	codel_judge(&c, &conf, 50 * MS, 9000, NSEC_NEVER - 1);
	assert_true(c.first_above == NSEC_NEVER);
	c = (struct codel){
		.first_above = 1, .drop_next = NSEC_NEVER - 1, .count = 1, .dropping = 1};
	assert_int_equal(codel_judge(&c, &conf, 50 * MS, 9000, NSEC_NEVER - 1), CODEL_DROP);
	assert_true(c.drop_next == NSEC_NEVER);
}

/*
 * RFC 8289 5 as it stands there: over a whole queue, in floating point, with signed times. Only
 * two things are ours: a step is rounded down to our clock's nanosecond, and drop_next moves on
 * with the drop itself, also where the next packet ends dropping.
 */
enum {
	QUEUE = 4096
};

struct item {
	nsec_t at;
	size_t bytes;
};

struct queue {
	struct item items[QUEUE];
	size_t head, tail;
	size_t bytes;
};

static void push(struct queue *q, nsec_t at, size_t bytes)
{
	if (q->tail - q->head == QUEUE)
		return;
	q->items[q->tail++ % QUEUE] = (struct item){.at = at, .bytes = bytes};
	q->bytes += bytes;
}

static struct item take(struct queue *q)
{
	struct item item = q->items[q->head++ % QUEUE];
	q->bytes -= item.bytes;
	return item;
}

struct reference {
	double first_above, drop_next;
	double count, last_count;
	bool dropping;
};

/* Takes the head, if there is one. Returns ok_to_drop. */
static bool reference_dodequeue(struct reference *r, struct queue *q, double now, bool *ret_any)
{
	*ret_any = q->head != q->tail;
	if (!*ret_any) {
		r->first_above = 0;
		return false;
	}
	struct item p = take(q);
	if (now - (double)p.at < 5e6 || q->bytes <= MTU)
		r->first_above = 0;
	else if (r->first_above == 0)
		r->first_above = now + 1e8;
	else
		return now >= r->first_above;
	return false;
}

static double reference_law(double t, double count)
{
	return t + floor(1e8 / sqrt(count));
}

/* Takes packets until one is to be sent; returns how many were dropped before it. */
static size_t reference_deque(struct reference *r, struct queue *q, double now)
{
	size_t dropped = 0;
	bool any;
	bool ok = reference_dodequeue(r, q, now, &any);
	if (r->dropping) {
		if (!ok)
			r->dropping = false;
		while (r->dropping && now >= r->drop_next) {
			dropped++;
			r->count++;
			r->drop_next = reference_law(r->drop_next, r->count);
			if (!reference_dodequeue(r, q, now, &any))
				r->dropping = false;
		}
	} else if (ok) {
		dropped++;
		reference_dodequeue(r, q, now, &any);
		r->dropping = true;
		double delta = r->count - r->last_count;
		r->count = delta > 1 && now - r->drop_next < 16 * 1e8 ? delta : 1;
		r->drop_next = reference_law(now, r->count);
		r->last_count = r->count;
	}
	return dropped;
}

static size_t own_deque(struct codel *c, struct queue *q, nsec_t now)
{
	size_t dropped = 0;
	while (q->head != q->tail) {
		struct item p = take(q);
		if (codel_judge(c, &conf, now - p.at, q->bytes, now) == CODEL_SEND)
			break;
		dropped++;
	}
	return dropped;
}

static size_t below(size_t n)
{
	return (size_t)(testkit_random() % n);
}

static void test_random_traces_agree_with_the_rfc_in_floating_point(void **state)
{
	(void)state;
	static struct queue ours, theirs;
	size_t dropped = 0, entered = 0, remembered = 0;
	for (int round = 0; round < 40; round++) {
		memset(&ours, 0, sizeof(ours));
		memset(&theirs, 0, sizeof(theirs));
		struct codel c = {0};
		struct reference r = {0};
		nsec_t now = 1 + below(1000 * MS);
		for (int phase = 0; phase < 60; phase++) {
			/* Arrivals by departure: scarce, balanced, too many. */
			size_t load = 20 + below(160);
			nsec_t pace = 1 + below((size_t)(2 * MS));
			for (int i = 0; i < 400; i++) {
				now += 1 + below((size_t)pace);
				while (below(100 + load) < load) {
					size_t bytes = 40 + below(1461);
					push(&ours, now, bytes);
					push(&theirs, now, bytes);
				}
				if (below(2000) == 0)
					now += below(3000 * (size_t)MS);
				bool was = c.dropping;
				size_t n = own_deque(&c, &ours, now);
				assert_int_equal(n, reference_deque(&r, &theirs, (double)now));
				assert_int_equal(ours.head, theirs.head);
				dropped += n;
				entered += !was && c.dropping ? 1 : 0;
				remembered += !was && c.dropping && c.last_count > 1 ? 1 : 0;
			}
		}
	}
	/* Else nothing was compared. */
	assert_true(dropped > 1000);
	assert_true(entered > 50);
	assert_true(remembered > 10);
	print_message("# %zu drops, %zu times dropping, %zu from memory\n", dropped, entered,
		      remembered);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_below_target_nothing_is_ever_dropped),
		cmocka_unit_test(test_one_packet_behind_is_no_queue),
		cmocka_unit_test(test_standing_queue_is_left_alone_for_one_interval),
		cmocka_unit_test(test_one_good_packet_starts_the_interval_anew),
		cmocka_unit_test(test_drops_come_ever_faster),
		cmocka_unit_test(test_good_packet_ends_dropping_at_once),
		cmocka_unit_test(test_queue_that_empties_ends_dropping),
		cmocka_unit_test(test_who_comes_back_soon_goes_on_at_the_old_rate),
		cmocka_unit_test(test_step_is_the_reals_one_rounded_down),
		cmocka_unit_test(test_extreme_intervals_and_counts_do_not_overflow),
		cmocka_unit_test(test_jump_of_time_neither_drops_a_good_queue_nor_wraps),
		cmocka_unit_test(test_random_traces_agree_with_the_rfc_in_floating_point),
	};
	return cmocka_run_group_tests_name("codel", tests, NULL, NULL);
}
