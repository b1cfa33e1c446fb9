/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include "base/util.h"
#include "unit/resilience/breaker_model.h"

#define SEC   NSEC_PER_SEC
#define START (100 * SEC)

static const struct breaker_conf CONF = {.failures = 3, .successes = 2, .open_for = 60 * SEC};

static uint64_t begin(struct breaker *b, nsec_t now)
{
	uint64_t ticket = 0;
	assert_true(breaker_allow(b, now, &ticket));
	return ticket;
}

static void expect_refused(struct breaker *b, nsec_t now)
{
	uint64_t ticket = 77;
	assert_false(breaker_allow(b, now, &ticket));
	assert_int_equal(ticket, 77);
}

static void fail_once(struct breaker *b, nsec_t now)
{
	assert_true(breaker_failed(b, begin(b, now), now));
}

/* Opened at `now`. */
static struct breaker opened(nsec_t now)
{
	struct breaker b;
	breaker_init(&b, &CONF);
	for (uint32_t i = 0; i < CONF.failures; i++)
		fail_once(&b, now);
	assert_int_equal(breaker_state_at(&b, now), BREAKER_OPEN);
	return b;
}

static void test_states_have_names(void **state)
{
	(void)state;
	assert_string_equal(breaker_state_name(BREAKER_CLOSED), "closed");
	assert_string_equal(breaker_state_name(BREAKER_OPEN), "open");
	assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
}

static void test_closed_allows_any_number_at_once(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, &CONF);
	for (int i = 0; i < 1000; i++)
		begin(&b, START);
	assert_int_equal(breaker_deadline(&b, START), START);
	assert_false(breaker_refuses(&b, START));
}

static void test_only_failures_in_a_row_open_it(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, &CONF);
	for (int i = 0; i < 10; i++) {
		fail_once(&b, START);
		fail_once(&b, START);
		assert_int_equal(breaker_state_at(&b, START), BREAKER_CLOSED);
		assert_true(breaker_succeeded(&b, begin(&b, START)));
	}
	fail_once(&b, START);
	breaker_cancelled(&b, begin(&b, START)); /* neither ends a row nor is part of one */
	fail_once(&b, START);
	assert_int_equal(breaker_state_at(&b, START), BREAKER_CLOSED);
	fail_once(&b, START);
	assert_int_equal(breaker_state_at(&b, START), BREAKER_OPEN);
	assert_int_equal(b.openings, 1);
}

static void test_open_refuses_until_its_time_passed(void **state)
{
	(void)state;
	struct breaker b = opened(START);
	assert_int_equal(breaker_deadline(&b, START), START + CONF.open_for);
	nsec_t last = START + CONF.open_for - 1;
	assert_true(breaker_refuses(&b, last));
	expect_refused(&b, last);
	assert_int_equal(b.blocked, 1);
	assert_false(breaker_refuses(&b, last + 1));
	assert_int_equal(breaker_state_at(&b, last + 1), BREAKER_HALF_OPEN);
	begin(&b, last + 1);
}

static void test_a_look_changes_nothing(void **state)
{
	(void)state;
	struct breaker b = opened(START);
	struct breaker before = b;
	breaker_refuses(&b, START + 2 * CONF.open_for);
	breaker_state_at(&b, START + 2 * CONF.open_for);
	breaker_deadline(&b, START + 2 * CONF.open_for);
	assert_int_equal(breaker_state_at(&b, START + 1), BREAKER_OPEN);
	assert_int_equal(b.state, before.state);
	assert_int_equal(b.blocked, before.blocked);
}

static void test_half_open_allows_one_at_a_time(void **state)
{
	(void)state;
	nsec_t now = START + CONF.open_for;
	struct breaker b = opened(START);
	uint64_t first = begin(&b, now);
	expect_refused(&b, now);
	expect_refused(&b, now + 1);
	assert_false(breaker_refuses(&b, now)); /* it is not open: who waits may hope */
	breaker_cancelled(&b, first);
	uint64_t second = begin(&b, now + 2);
	expect_refused(&b, now + 2);
	assert_true(breaker_succeeded(&b, second));
	begin(&b, now + 3);
}

static void test_successes_in_half_open_close_it(void **state)
{
	(void)state;
	nsec_t now = START + CONF.open_for;
	struct breaker b = opened(START);
	breaker_succeeded(&b, begin(&b, now));
	assert_int_equal(breaker_state_at(&b, now), BREAKER_HALF_OPEN);
	breaker_succeeded(&b, begin(&b, now));
	assert_int_equal(breaker_state_at(&b, now), BREAKER_CLOSED);
	assert_int_equal(b.closings, 1);
	/* Nothing is left of the failures before. */
	fail_once(&b, now);
	fail_once(&b, now);
	assert_int_equal(breaker_state_at(&b, now), BREAKER_CLOSED);
}

static void test_a_failure_in_half_open_opens_it_for_a_fresh_time(void **state)
{
	(void)state;
	nsec_t now = START + 5 * CONF.open_for;
	struct breaker b = opened(START);
	breaker_succeeded(&b, begin(&b, now));
	fail_once(&b, now);
	assert_int_equal(b.openings, 2);
	assert_int_equal(breaker_deadline(&b, now), now + CONF.open_for);
	expect_refused(&b, now + CONF.open_for - 1);
	/* The success before does not count in the next half-open. */
	now += CONF.open_for;
	breaker_succeeded(&b, begin(&b, now));
	assert_int_equal(breaker_state_at(&b, now), BREAKER_HALF_OPEN);
}

static void test_late_reports_change_nothing(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, &CONF);
	uint64_t early[6];
	for (size_t i = 0; i < ARRAY_LEN(early); i++)
		early[i] = begin(&b, START);
	for (size_t i = 0; i < 3; i++)
		breaker_failed(&b, early[i], START);
	assert_int_equal(breaker_state_at(&b, START), BREAKER_OPEN);

	/* Begun while closed, reported while open: */
	assert_false(breaker_succeeded(&b, early[3]));
	assert_int_equal(breaker_state_at(&b, START), BREAKER_OPEN);
	assert_int_equal(breaker_deadline(&b, START), START + CONF.open_for);

	/* ... while half-open, with an operation on its way: */
	nsec_t now = START + CONF.open_for;
	uint64_t probe = begin(&b, now);
	assert_false(breaker_failed(&b, early[4], now));
	assert_int_equal(breaker_state_at(&b, now), BREAKER_HALF_OPEN);
	expect_refused(&b, now);

	/* ... and while closed again. */
	breaker_succeeded(&b, probe);
	breaker_succeeded(&b, begin(&b, now));
	fail_once(&b, now);
	fail_once(&b, now);
	assert_false(breaker_failed(&b, early[5], now));
	assert_int_equal(breaker_state_at(&b, now), BREAKER_CLOSED);
}

static void test_an_operation_that_never_reports_does_not_block_for_ever(void **state)
{
	(void)state;
	nsec_t now = START + CONF.open_for;
	struct breaker b = opened(START);
	uint64_t lost = begin(&b, now);
	assert_int_equal(breaker_deadline(&b, now), now + CONF.open_for);
	expect_refused(&b, now + CONF.open_for - 1);
	now += CONF.open_for;
	uint64_t next = begin(&b, now);
	/* The lost one turns up: it neither frees the place of the next nor opens. */
	assert_false(breaker_failed(&b, lost, now));
	expect_refused(&b, now);
	assert_true(breaker_succeeded(&b, next));
	assert_false(breaker_succeeded(&b, lost));
	assert_int_equal(breaker_state_at(&b, now), BREAKER_HALF_OPEN);
}

static void test_news_end_an_open_spell(void **state)
{
	(void)state;
	struct breaker b = opened(START);
	breaker_news(&b);
	assert_int_equal(breaker_state_at(&b, START), BREAKER_HALF_OPEN);
	assert_int_equal(breaker_deadline(&b, START), START);
	begin(&b, START);
	breaker_news(&b); /* not a second one because of it */
	expect_refused(&b, START);
}

static void test_failures_from_before_the_news_do_not_count(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, &CONF);
	uint64_t before = begin(&b, START);
	fail_once(&b, START);
	fail_once(&b, START);
	breaker_news(&b);
	assert_false(breaker_failed(&b, before, START));
	fail_once(&b, START);
	fail_once(&b, START);
	assert_int_equal(breaker_state_at(&b, START), BREAKER_CLOSED);

	/* In half-open such a failure makes room for another try. */
	b = opened(START);
	breaker_news(&b);
	before = begin(&b, START);
	breaker_news(&b);
	assert_false(breaker_failed(&b, before, START));
	assert_int_equal(breaker_state_at(&b, START), BREAKER_HALF_OPEN);
	assert_true(breaker_succeeded(&b, begin(&b, START)));
}

static void test_it_can_be_opened_by_hand(void **state)
{
	(void)state;
	struct breaker b;
	breaker_init(&b, &CONF);
	uint64_t early = begin(&b, START);
	breaker_open(&b, START);
	assert_false(breaker_succeeded(&b, early));
	assert_true(breaker_refuses(&b, START + CONF.open_for - 1));
	assert_false(breaker_refuses(&b, START + CONF.open_for));
	assert_int_equal(b.openings, 1);
}

static void test_the_end_of_time_is_no_overflow(void **state)
{
	(void)state;
	struct breaker b = opened(NSEC_NEVER - 10);
	assert_true(breaker_refuses(&b, NSEC_NEVER - 10));
	assert_int_equal(breaker_deadline(&b, NSEC_NEVER - 10), NSEC_NEVER);
}

struct pending {
	bool is_there;
	uint64_t ticket;
	struct model_op op;
};

/* From wherever it is: with operations that succeed it closes. */
static void expect_can_close(struct breaker b, nsec_t now)
{
	for (uint32_t i = 0; i <= 2 * b.conf.successes; i++) {
		if (breaker_state_at(&b, now) == BREAKER_CLOSED)
			return;
		now = breaker_deadline(&b, now);
		assert_true(breaker_succeeded(&b, begin(&b, now)));
	}
	fail_msg("it never closes");
}

static void run_random_life(const struct breaker_conf *conf, unsigned events)
{
	struct pending pending[6] = {0};
	struct breaker b;
	struct model m;
	breaker_init(&b, conf);
	model_init(&m, conf);
	nsec_t now = testkit_random() % SEC;
	for (unsigned i = 0; i < events; i++) {
		nsec_t until = m.state == BREAKER_OPEN ? m.open_until : m.probe_until;
		now += model_step(now, until, conf->open_for, testkit_random());
		struct pending *p = &pending[testkit_random() % ARRAY_LEN(pending)];
		unsigned what = (unsigned)(testkit_random() % 16);
		if (what == 0) {
			breaker_news(&b);
			model_news(&m, now);
		} else if (what == 1) {
			/* Never reports. The model still watches the one of half-open. */
			p->is_there = p->is_there && m.probe == &p->op;
		} else if (!p->is_there) {
			bool is_allowed = model_allow(&m, now, &p->op);
			assert_int_equal(breaker_deadline(&b, now) == now, is_allowed);
			assert_int_equal(breaker_allow(&b, now, &p->ticket), is_allowed);
			p->is_there = is_allowed;
		} else if (what < 8) {
			bool counts = model_report(&m, &p->op, 1, now);
			assert_int_equal(breaker_succeeded(&b, p->ticket), counts);
			p->is_there = false;
		} else if (what < 14) {
			bool counts = model_report(&m, &p->op, -1, now);
			assert_int_equal(breaker_failed(&b, p->ticket, now), counts);
			p->is_there = false;
		} else {
			model_report(&m, &p->op, 0, now);
			breaker_cancelled(&b, p->ticket);
			p->is_there = false;
		}

		model_tick(&m, now);
		assert_int_equal(breaker_state_at(&b, now), m.state);
		assert_int_equal(breaker_refuses(&b, now), m.state == BREAKER_OPEN);
		assert_int_equal(b.openings, m.openings);
		assert_int_equal(b.closings, m.closings);
		assert_int_equal(b.allowed, m.allowed);
		assert_int_equal(b.blocked, m.blocked);
		if (i % 16 == 0)
			expect_can_close(b, now);
	}
}

static void test_random_lives_are_as_the_model_says(void **state)
{
	(void)state;
	for (int i = 0; i < 400; i++) {
		struct breaker_conf conf = {
			.failures = 1 + (uint32_t)(testkit_random() % 5),
			.successes = 1 + (uint32_t)(testkit_random() % 4),
			.open_for = 1 + testkit_random() % (testkit_random() % 2 ? 10 : 60 * SEC),
		};
		run_random_life(&conf, 10000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_states_have_names),
		cmocka_unit_test(test_closed_allows_any_number_at_once),
		cmocka_unit_test(test_only_failures_in_a_row_open_it),
		cmocka_unit_test(test_open_refuses_until_its_time_passed),
		cmocka_unit_test(test_a_look_changes_nothing),
		cmocka_unit_test(test_half_open_allows_one_at_a_time),
		cmocka_unit_test(test_successes_in_half_open_close_it),
		cmocka_unit_test(test_a_failure_in_half_open_opens_it_for_a_fresh_time),
		cmocka_unit_test(test_late_reports_change_nothing),
		cmocka_unit_test(test_an_operation_that_never_reports_does_not_block_for_ever),
		cmocka_unit_test(test_news_end_an_open_spell),
		cmocka_unit_test(test_failures_from_before_the_news_do_not_count),
		cmocka_unit_test(test_it_can_be_opened_by_hand),
		cmocka_unit_test(test_the_end_of_time_is_no_overflow),
		cmocka_unit_test(test_random_lives_are_as_the_model_says),
	};
	return cmocka_run_group_tests_name("breaker", tests, NULL, NULL);
}
