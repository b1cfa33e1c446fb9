/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Random operations on the heap, and the same on an array that is searched from end to end. */
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "loop/loop.h"
#include "support/testkit.h"

enum {
	N_TIMERS = 60,
	N_STEPS = 60000
};

struct model {
	struct loop loop;
	struct loop_timer timers[N_TIMERS];
	nsec_t at[N_TIMERS]; /* the array: NSEC_NEVER where it is not set */
	uint64_t set_no[N_TIMERS];
	uint64_t n_sets;
	uint64_t n_sets_before; /* when this round of firing began: later ones must wait */
	nsec_t armed;
	nsec_t now;
	size_t n_fired;
	bool is_firing;
};

static struct model m;

static void on_arm(struct loop *loop, nsec_t at)
{
	assert_ptr_equal(loop, &m.loop);
	m.armed = at;
}

static void on_have_task(struct loop *loop)
{
	(void)loop;
}

static const struct loop_ops ops = {.arm = on_arm, .have_task = on_have_task};

static bool must_be_before(size_t a, size_t b)
{
	return m.at[a] != m.at[b] ? m.at[a] < m.at[b] : m.set_no[a] < m.set_no[b];
}

/* The one to fire next, N_TIMERS if none is due. */
static size_t first_due(void)
{
	size_t best = N_TIMERS;
	for (size_t i = 0; i < N_TIMERS; i++) {
		if (m.at[i] > m.now || m.set_no[i] >= m.n_sets_before)
			continue;
		if (best == N_TIMERS || must_be_before(i, best))
			best = i;
	}
	return best;
}

static void do_something(void)
{
	size_t i = testkit_random() % N_TIMERS;
	if (testkit_random() % 3 == 0) {
		loop_timer_stop(&m.timers[i]);
		m.at[i] = NSEC_NEVER;
		return;
	}
	/* Few different deadlines, so that many are equal; some in the past. */
	m.at[i] = m.now + testkit_random() % 16 - nsec_min(m.now, 4);
	m.set_no[i] = m.n_sets++;
	loop_timer_set(&m.timers[i], m.at[i]);
}

static void on_fire(struct loop_timer *timer, nsec_t now)
{
	size_t i = (size_t)(timer - m.timers);
	assert_true(m.is_firing);
	assert_true(now == m.now);
	assert_int_equal(i, first_due());
	assert_false(loop_timer_is_set(timer));
	m.at[i] = NSEC_NEVER;
	m.n_fired++;
	for (uint64_t n = testkit_random() % 3; n > 0; n--)
		do_something();
}

static void check_model(void)
{
	nsec_t earliest = NSEC_NEVER;
	for (size_t i = 0; i < N_TIMERS; i++) {
		earliest = nsec_min(earliest, m.at[i]);
		assert_true(m.timers[i].at == m.at[i]);
	}
	assert_true(m.armed == earliest);
}

static void test_heap_fires_what_an_array_would(void **state)
{
	(void)state;
	loop_init(&m.loop, &ops);
	m.armed = NSEC_NEVER;
	for (size_t i = 0; i < N_TIMERS; i++) {
		loop_timer_init(&m.timers[i], &m.loop, on_fire);
		m.at[i] = NSEC_NEVER;
	}
	for (size_t step = 0; step < N_STEPS; step++) {
		do_something();
		if (testkit_random() % 4 == 0) {
			m.now += testkit_random() % 8;
			m.n_sets_before = m.n_sets;
			m.is_firing = true;
			loop_run_timers(&m.loop, m.now);
			m.is_firing = false;
			assert_int_equal(first_due(), N_TIMERS);
		}
		check_model();
	}
	assert_true(m.n_fired > N_STEPS / 10);
	for (size_t i = 0; i < N_TIMERS; i++)
		loop_timer_stop(&m.timers[i]);
	assert_null(m.loop.timers);
	assert_true(m.armed == NSEC_NEVER);
}

/* --- a timer that frees its owner, tasks that cancel each other ------------------------------- */

static unsigned n_freed;

static void on_free_self(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	free(timer);
	n_freed++;
}

static void test_timer_may_free_itself(void **state)
{
	(void)state;
	loop_init(&m.loop, &ops);
	n_freed = 0;
	for (int i = 0; i < 100; i++) {
		struct loop_timer *timer = malloc(sizeof(*timer));
		assert_non_null(timer);
		loop_timer_init(timer, &m.loop, on_free_self);
		loop_timer_set(timer, testkit_random() % 10);
	}
	loop_run_timers(&m.loop, 10);
	assert_int_equal(n_freed, 100);
}

static char ran[16];
static struct loop_task task[4];

static void on_task(struct loop_task *t)
{
	char name[2] = {(char)('0' + (t - task)), '\0'};
	strcat(ran, name);
	if (t == &task[0] && ran[1] == '\0') {
		loop_task_cancel(&task[1]);    /* of this turn */
		loop_defer(&m.loop, &task[0]); /* for the next */
		loop_defer(&m.loop, &task[2]); /* waits already: stays in this turn */
		loop_defer(&m.loop, &task[1]); /* for the next, behind 0 */
		loop_defer(&m.loop, &task[3]);
		loop_task_cancel(&task[3]);
	}
}

static void test_tasks_run_in_order_once_and_may_cancel_each_other(void **state)
{
	(void)state;
	loop_init(&m.loop, &ops);
	for (size_t i = 0; i < ARRAY_LEN(task); i++)
		task[i] = (struct loop_task){.run = on_task};
	for (size_t i = 0; i < 3; i++)
		loop_defer(&m.loop, &task[i]);
	loop_defer(&m.loop, &task[0]);
	loop_run_tasks(&m.loop);
	assert_string_equal(ran, "02");
	assert_true(loop_has_tasks(&m.loop));
	loop_run_tasks(&m.loop);
	assert_string_equal(ran, "0201");
	for (size_t i = 0; i < ARRAY_LEN(task); i++)
		loop_task_cancel(&task[i]);
	assert_false(loop_has_tasks(&m.loop));
	loop_run_tasks(&m.loop);
	assert_string_equal(ran, "0201");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heap_fires_what_an_array_would),
		cmocka_unit_test(test_timer_may_free_itself),
		cmocka_unit_test(test_tasks_run_in_order_once_and_may_cancel_each_other),
	};
	return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
