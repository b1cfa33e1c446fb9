/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Mail between threads, and what wakes a loop that waits. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/util.h"
#include "loop/loop_uv.h"
#include "support/testkit.h"

enum {
	N_THREADS = 4,
	N_MAILS = 20000, /* of each thread */
	N_ROUNDS = 5000, /* of each thread, one mail at a time */
};

static int setup(void **state)
{
	struct loop *loop;
	assert_ok(loop_uv_new(&loop));
	*state = loop;
	return 0;
}

static int teardown(void **state)
{
	assert_null(loop_free(*state));
	return 0;
}

/* --- the loop's own thread: no timer is set, so that only mail can make a turn come ------------
 */

struct again {
	struct loop_mail mail;
	struct loop *loop;
	unsigned n_runs, n_wanted;
};

static void on_again(struct loop_mail *mail)
{
	struct again *again = CONTAINER_OF(mail, struct again, mail);
	if (++again->n_runs == again->n_wanted)
		loop_stop(again->loop);
	else
		loop_post(again->loop, mail);
}

static void test_mail_of_mail_needs_no_event(void **state)
{
	struct again again = {.mail = {.run = on_again}, .loop = *state, .n_wanted = 1000};
	loop_post(*state, &again.mail);
	assert_ok(loop_run(*state));
	assert_int_equal(again.n_runs, 1000);
}

static void on_first(struct loop_mail *mail)
{
	struct again *pair = CONTAINER_OF(mail, struct again, mail);
	loop_stop(pair->loop);
	loop_post(pair->loop, &pair[1].mail);
}

static void test_mail_left_at_a_stop_waits_for_the_next_run(void **state)
{
	struct again pair[2] = {
		{.mail = {.run = on_first}, .loop = *state},
		{.mail = {.run = on_again}, .loop = *state, .n_wanted = 1},
	};
	loop_post(*state, &pair[0].mail);
	assert_ok(loop_run(*state));
	assert_int_equal(pair[1].n_runs, 0);
	assert_true(loop_mail_is_posted(&pair[1].mail));
	assert_ok(loop_run(*state));
	assert_int_equal(pair[1].n_runs, 1);
}

/* --- other threads ------------------------------------------------------------------------------
 */

struct crowd {
	struct loop *loop;
	size_t n_left; /* the loop's */
};

struct item {
	struct loop_mail mail;
	struct sender *sender;
	size_t number;
};

struct sender {
	struct crowd *crowd;
	struct item *items;
	atomic_size_t n_run; /* written by the loop */
	pthread_t thread;
};

static void on_item(struct loop_mail *mail)
{
	struct item *item = CONTAINER_OF(mail, struct item, mail);
	struct sender *sender = item->sender;
	loop_assert_here(sender->crowd->loop);
	assert_int_equal(item->number, atomic_load(&sender->n_run));
	bool is_last = --sender->crowd->n_left == 0;
	atomic_fetch_add(&sender->n_run, 1);
	if (is_last)
		loop_stop(sender->crowd->loop);
}

static void *send_many(void *ctx)
{
	struct sender *sender = ctx;
	for (size_t i = 0; i < N_MAILS; i++) {
		struct item *item = &sender->items[i];
		*item = (struct item){{.run = on_item}, sender, i};
		loop_post(sender->crowd->loop, &item->mail);
		if (i % 128 == 0)
			sched_yield();
	}
	return NULL;
}

static void *send_one_by_one(void *ctx)
{
	struct sender *sender = ctx;
	struct item *item = &sender->items[0];
	*item = (struct item){{.run = on_item}, sender, 0};
	for (size_t i = 0; i < N_ROUNDS; i++) {
		item->number = i;
		loop_post(sender->crowd->loop, &item->mail);
		/* Meanwhile the loop has nothing to do but to wait. */
		while (atomic_load(&sender->n_run) == i)
			sched_yield();
	}
	return NULL;
}

static void run_crowd(struct loop *loop, void *(*send)(void *ctx), size_t n_each)
{
	struct sender senders[N_THREADS];
	struct crowd crowd = {.loop = loop, .n_left = N_THREADS * n_each};
	for (size_t i = 0; i < N_THREADS; i++) {
		senders[i] = (struct sender){.crowd = &crowd};
		senders[i].items = calloc(N_MAILS, sizeof(struct item));
		assert_non_null(senders[i].items);
	}
	for (size_t i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send, &senders[i]), 0);
	assert_ok(loop_run(loop));
	for (size_t i = 0; i < N_THREADS; i++) {
		pthread_join(senders[i].thread, NULL);
		assert_int_equal(atomic_load(&senders[i].n_run), n_each);
		free(senders[i].items);
	}
	assert_int_equal(crowd.n_left, 0);
}

static void test_mail_of_many_threads_arrives_once_and_in_their_order(void **state)
{
	run_crowd(*state, send_many, N_MAILS);
}

/* A wake-up that is lost stops the sender for good. */
static void test_each_mail_wakes_a_loop_that_waits(void **state)
{
	run_crowd(*state, send_one_by_one, N_ROUNDS);
}

struct visitor {
	struct loop_mail mail;
	struct loop *loop;
	pthread_t thread;
	bool was_here;
};

static void *visit(void *ctx)
{
	struct visitor *visitor = ctx;
	visitor->was_here = loop_is_here(visitor->loop);
	loop_stop(visitor->loop);
	return NULL;
}

static void on_visitor(struct loop_mail *mail)
{
	struct visitor *visitor = CONTAINER_OF(mail, struct visitor, mail);
	assert_true(loop_is_here(visitor->loop));
	assert_int_equal(pthread_create(&visitor->thread, NULL, visit, visitor), 0);
}

static void test_only_the_thread_that_runs_the_loop_is_here(void **state)
{
	struct visitor visitor = {.mail = {.run = on_visitor}, .loop = *state, .was_here = true};
	assert_true(loop_is_here(*state));
	loop_post(*state, &visitor.mail);
	assert_ok(loop_run(*state));
	pthread_join(visitor.thread, NULL);
	assert_false(visitor.was_here);
	assert_true(loop_is_here(*state));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_mail_of_mail_needs_no_event),
		TEST(test_mail_left_at_a_stop_waits_for_the_next_run),
		TEST(test_mail_of_many_threads_arrives_once_and_in_their_order),
		TEST(test_each_mail_wakes_a_loop_that_waits),
		TEST(test_only_the_thread_that_runs_the_loop_is_here),
	};
	return cmocka_run_group_tests_name("mail", tests, NULL, NULL);
}
