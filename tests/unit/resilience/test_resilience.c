/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include "base/util.h"
#include "unit/resilience/breaker_model.h"
#include "vpn/resilience/resilience.h"

#define SEC   NSEC_PER_SEC
#define START (100 * SEC)

static struct resilience fresh(uint32_t failures, uint32_t tries)
{
	struct breaker_conf breaker = BREAKER_CONF_DEFAULT;
	struct retry_conf retry = RETRY_CONF_DEFAULT;
	breaker.failures = failures;
	retry.tries = tries;
	struct resilience r;
	resilience_init(&r, &breaker, &retry);
	return r;
}

/* Begins at `now`, which must be allowed. */
static uint64_t begin(struct resilience *r, nsec_t now)
{
	uint64_t ticket = 0;
	assert_int_equal(resilience_deadline(r, now), now);
	assert_true(resilience_allow(r, now, &ticket));
	return ticket;
}

static void expect_refused(struct resilience *r, nsec_t now)
{
	uint64_t ticket;
	assert_true(resilience_deadline(r, now) > now);
	assert_false(resilience_allow(r, now, &ticket));
}

/* One attempt as soon as it may begin, which fails at once; returns when. */
static nsec_t fail_next(struct resilience *r, nsec_t now)
{
	now = resilience_deadline(r, now);
	resilience_failed(r, begin(r, now), now, 0);
	return now;
}

static void test_a_failure_is_followed_by_a_wait(void **state)
{
	(void)state;
	struct resilience r = fresh(5, 5);
	fail_next(&r, START);
	nsec_t next = resilience_deadline(&r, START);
	assert_int_equal(next, START + 3 * SEC / 4);
	expect_refused(&r, next - 1);
	assert_int_equal(r.waited, 1);
	assert_false(resilience_refuses(&r, START)); /* packets may wait for it */
	begin(&r, next);
}

static void test_a_success_forgets_the_waits(void **state)
{
	(void)state;
	struct resilience r = fresh(5, 5);
	nsec_t now = START;
	uint64_t beside = begin(&r, now);
	for (int i = 0; i < 4; i++)
		now = fail_next(&r, now);
	resilience_succeeded(&r, beside);
	assert_int_equal(resilience_deadline(&r, now), now);
	now = fail_next(&r, now);
	assert_int_equal(resilience_deadline(&r, now), now + 3 * SEC / 4);
}

static void test_cancelled_is_no_failure(void **state)
{
	(void)state;
	struct resilience r = fresh(1, 1);
	for (int i = 0; i < 100; i++)
		resilience_cancelled(&r, begin(&r, START));
	assert_false(resilience_refuses(&r, START));
}

static void test_an_open_breaker_ends_the_waits_with_its_own(void **state)
{
	(void)state;
	struct resilience r = fresh(3, 5);
	nsec_t now = START;
	for (int i = 0; i < 3; i++)
		now = fail_next(&r, now);
	assert_true(resilience_refuses(&r, now));
	assert_int_equal(resilience_deadline(&r, now), now + 60 * SEC);
	assert_false(retry_gave_up(&r.retry));
}

static void test_giving_up_opens_the_breaker(void **state)
{
	(void)state;
	struct resilience r = fresh(100, 3);
	nsec_t now = START;
	for (int i = 0; i < 3; i++)
		now = fail_next(&r, now);
	assert_true(resilience_refuses(&r, now));
	assert_int_equal(resilience_deadline(&r, now), now + 60 * SEC);
	assert_int_equal(r.breaker.openings, 1);
}

static void test_a_dead_peer_is_tried_once_a_minute_for_ever(void **state)
{
	(void)state;
	struct resilience r = fresh(5, 5);
	nsec_t now = START;
	for (int i = 0; i < 5; i++)
		now = fail_next(&r, now);
	for (int i = 0; i < 1000; i++) {
		nsec_t next = fail_next(&r, now);
		assert_int_equal(next - now, 60 * SEC);
		now = next;
	}
}

static void test_a_peer_that_came_back_is_as_new(void **state)
{
	(void)state;
	struct resilience r = fresh(5, 5);
	nsec_t now = START;
	for (int i = 0; i < 5; i++)
		now = fail_next(&r, now);
	now = resilience_deadline(&r, now);
	resilience_succeeded(&r, begin(&r, now));
	resilience_succeeded(&r, begin(&r, now));
	for (int i = 0; i < 4; i++)
		now = fail_next(&r, now);
	assert_false(resilience_refuses(&r, now));
}

static void test_news_end_every_wait(void **state)
{
	(void)state;
	struct resilience r = fresh(5, 5);
	nsec_t now = fail_next(&r, START);
	resilience_news(&r);
	assert_int_equal(resilience_deadline(&r, now), now);
	for (int i = 0; i < 5; i++)
		now = fail_next(&r, now);
	assert_true(resilience_refuses(&r, now));
	resilience_news(&r);
	assert_false(resilience_refuses(&r, now));
	begin(&r, now);
}

static void test_a_late_failure_is_followed_by_no_wait(void **state)
{
	(void)state;
	struct resilience r = fresh(5, 5);
	uint64_t old = begin(&r, START);
	resilience_news(&r);
	resilience_failed(&r, old, START, 0);
	assert_int_equal(resilience_deadline(&r, START), START);
	assert_int_equal(r.retry.failed, 0);
}

struct pending {
	bool is_there;
	uint64_t ticket;
	struct model_op op;
};

/* From wherever it is: with attempts that succeed it closes, with bounded waits. */
static void expect_can_close(struct resilience r, nsec_t now)
{
	nsec_t wait_max = MAX(r.breaker.conf.open_for, r.retry.conf.max + r.retry.conf.max / 4);
	for (uint32_t i = 0; i <= r.breaker.conf.successes; i++) {
		nsec_t at = resilience_deadline(&r, now);
		assert_true(at >= now && at - now <= wait_max);
		now = at;
		resilience_succeeded(&r, begin(&r, now));
	}
	assert_int_equal(breaker_state_at(&r.breaker, now), BREAKER_CLOSED);
}

/* The wait after failure i (from 0), one doubling after the other, without jitter. */
static nsec_t usual_wait(const struct retry_conf *conf, uint32_t i)
{
	nsec_t wait = nsec_min(conf->first, conf->max);
	for (; i > 0; i--)
		wait = nsec_min(2 * wait, conf->max);
	return wait;
}

static void run_random_life(const struct breaker_conf *breaker, const struct retry_conf *retry,
			    unsigned events)
{
	struct pending pending[6] = {0};
	struct resilience r;
	struct model m;
	resilience_init(&r, breaker, retry);
	model_init(&m, breaker);
	uint32_t failed = 0;   /* since the last success, news or opening */
	nsec_t wait_until = 0; /* after these */
	nsec_t now = testkit_random() % SEC;
	for (unsigned i = 0; i < events; i++) {
		nsec_t until = m.state == BREAKER_OPEN ? m.open_until
			       : wait_until > now      ? wait_until
						       : m.probe_until;
		now += model_step(now, until, breaker->open_for, testkit_random());
		struct pending *p = &pending[testkit_random() % ARRAY_LEN(pending)];
		unsigned what = (unsigned)(testkit_random() % 16);
		if (what == 0) {
			resilience_news(&r);
			model_news(&m, now);
			failed = 0;
			wait_until = 0;
		} else if (!p->is_there) {
			bool is_allowed = now >= wait_until && model_allow(&m, now, &p->op);
			assert_int_equal(resilience_deadline(&r, now) == now, is_allowed);
			assert_int_equal(resilience_allow(&r, now, &p->ticket), is_allowed);
			p->is_there = is_allowed;
		} else if (what < 5) {
			if (model_report(&m, &p->op, 1, now)) {
				failed = 0;
				wait_until = 0;
			}
			resilience_succeeded(&r, p->ticket);
			p->is_there = false;
		} else if (what < 14) {
			bool counts = model_report(&m, &p->op, -1, now);
			resilience_failed(&r, p->ticket, now, testkit_random());
			p->is_there = false;
			if (counts && m.state != BREAKER_OPEN && ++failed == retry->tries)
				model_open(&m, now);
			if (counts && m.state == BREAKER_OPEN) {
				failed = 0;
				wait_until = 0;
			} else if (counts) {
				nsec_t wait = resilience_deadline(&r, now) - now;
				nsec_t usual = usual_wait(retry, failed - 1);
				assert_in_range(wait, usual - usual / 4, usual + usual / 4);
				wait_until = now + wait;
			}
		} else {
			model_report(&m, &p->op, 0, now);
			resilience_cancelled(&r, p->ticket);
			p->is_there = false;
		}

		model_tick(&m, now);
		assert_int_equal(breaker_state_at(&r.breaker, now), m.state);
		assert_int_equal(resilience_refuses(&r, now), m.state == BREAKER_OPEN);
		assert_int_equal(r.breaker.openings, m.openings);
		assert_int_equal(r.breaker.closings, m.closings);
		if (i % 16 == 0)
			expect_can_close(r, now);
	}
}

static void test_random_lives_are_as_the_model_says(void **state)
{
	(void)state;
	for (int i = 0; i < 400; i++) {
		struct breaker_conf breaker = {
			.failures = 1 + (uint32_t)(testkit_random() % 6),
			.successes = 1 + (uint32_t)(testkit_random() % 3),
			.open_for = 1 + testkit_random() % (60 * SEC),
		};
		struct retry_conf retry = {
			.tries = 1 + (uint32_t)(testkit_random() % 6),
			.first = testkit_random() % (2 * SEC),
			.max = testkit_random() % (30 * SEC),
		};
		run_random_life(&breaker, &retry, 10000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_failure_is_followed_by_a_wait),
		cmocka_unit_test(test_a_success_forgets_the_waits),
		cmocka_unit_test(test_cancelled_is_no_failure),
		cmocka_unit_test(test_an_open_breaker_ends_the_waits_with_its_own),
		cmocka_unit_test(test_giving_up_opens_the_breaker),
		cmocka_unit_test(test_a_dead_peer_is_tried_once_a_minute_for_ever),
		cmocka_unit_test(test_a_peer_that_came_back_is_as_new),
		cmocka_unit_test(test_news_end_every_wait),
		cmocka_unit_test(test_a_late_failure_is_followed_by_no_wait),
		cmocka_unit_test(test_random_lives_are_as_the_model_says),
	};
	return cmocka_run_group_tests_name("resilience", tests, NULL, NULL);
}
