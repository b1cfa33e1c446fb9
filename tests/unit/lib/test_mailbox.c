/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/util.h"
#include "lib/mailbox.h"
#include "loop/loop_uv.h"

enum {
	ASKERS = 4,
	ASKS = 500, /* of each asker */
};

struct house {
	struct mailbox mailbox;
	struct loop *loop;
	pthread_t loop_thread;
	unsigned n_run; /* of the loop's thread */
};

struct ask {
	struct mailbox_request base;
	struct house *house;
	bool is_last;
};

static void run_ask(struct mailbox_request *base)
{
	struct ask *a = CONTAINER_OF(base, struct ask, base);
	assert_true(pthread_equal(pthread_self(), a->house->loop_thread));
	a->house->n_run++;
	if (a->is_last)
		loop_stop(a->house->loop);
}

static int setup(void **state)
{
	struct house *h = calloc(1, sizeof(*h));
	assert_non_null(h);
	mailbox_init(&h->mailbox);
	assert_ok(loop_uv_new(&h->loop));
	h->loop_thread = pthread_self();
	assert_ok(mailbox_open(&h->mailbox, h->loop));
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct house *h = *state;
	mailbox_close(&h->mailbox);
	mailbox_deinit(&h->mailbox);
	loop_free(h->loop);
	free(h);
	return 0;
}

struct asker {
	struct house *house;
	atomic_uint *left; /* askers that have not finished */
	unsigned n_run, n_closed;
};

static void *ask_often(void *arg)
{
	struct asker *asker = arg;
	for (unsigned i = 0; i < ASKS; i++) {
		struct ask a = {.base.run = run_ask, .house = asker->house};
		/* The very last one of all stops the loop. */
		if (i == ASKS - 1)
			a.is_last = atomic_fetch_sub(asker->left, 1) == 1;
		if (mailbox_ask(&asker->house->mailbox, &a.base) == ERR_OK)
			asker->n_run++;
		else
			asker->n_closed++;
	}
	return NULL;
}

static void start_askers(struct house *h, pthread_t threads[ASKERS], struct asker askers[ASKERS],
			 atomic_uint *left)
{
	for (unsigned i = 0; i < ASKERS; i++) {
		askers[i] = (struct asker){.house = h, .left = left};
		assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &askers[i]), 0);
	}
}

/* The last asker's own last request may be overtaken by another's: the mailbox is closed then. */
static void test_each_request_is_run_or_given_back(void **state)
{
	struct house *h = *state;
	pthread_t threads[ASKERS];
	struct asker askers[ASKERS];
	atomic_uint left = ASKERS;
	start_askers(h, threads, askers, &left);
	assert_ok(loop_run(h->loop));
	mailbox_close(&h->mailbox);
	unsigned n_run = 0, n_closed = 0;
	for (unsigned i = 0; i < ASKERS; i++) {
		pthread_join(threads[i], NULL);
		n_run += askers[i].n_run;
		n_closed += askers[i].n_closed;
	}
	assert_int_equal(n_run + n_closed, ASKERS * ASKS);
	assert_int_equal(n_run, h->n_run);
	assert_true(n_closed < ASKERS);
}

static unsigned count_waiting(struct mailbox *m)
{
	unsigned n = 0;
	pthread_mutex_lock(&m->mutex);
	for (struct mailbox_request *r = m->requests; r != NULL; r = r->next)
		n++;
	pthread_mutex_unlock(&m->mutex);
	return n;
}

static void test_requests_that_wait_at_the_close_are_given_back_unrun(void **state)
{
	struct house *h = *state;
	pthread_t threads[ASKERS];
	struct asker askers[ASKERS];
	atomic_uint left = ASKERS;
	start_askers(h, threads, askers, &left);
	while (count_waiting(&h->mailbox) < ASKERS)
		sched_yield();
	mailbox_close(&h->mailbox); /* the loop never turned */
	for (unsigned i = 0; i < ASKERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(askers[i].n_closed, ASKS);
	}
	assert_int_equal(h->n_run, 0);
}

static void test_closed_mailbox_refuses_and_opens_again(void **state)
{
	struct house *h = *state;
	mailbox_close(&h->mailbox);
	struct ask a = {.base.run = run_ask, .house = h};
	assert_err(mailbox_ask(&h->mailbox, &a.base), ERR_CLOSED);
	assert_int_equal(h->n_run, 0);
	assert_ok(mailbox_open(&h->mailbox, h->loop));
	pthread_t thread;
	atomic_uint left = 1;
	struct asker asker = {.house = h, .left = &left};
	assert_int_equal(pthread_create(&thread, NULL, ask_often, &asker), 0);
	assert_ok(loop_run(h->loop));
	pthread_join(thread, NULL);
	assert_int_equal(asker.n_run, ASKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_each_request_is_run_or_given_back, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_requests_that_wait_at_the_close_are_given_back_unrun, setup, teardown),
		cmocka_unit_test_setup_teardown(test_closed_mailbox_refuses_and_opens_again, setup,
						teardown),
	};
	return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
