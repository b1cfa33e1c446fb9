/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/util.h"
#include "lib/postbox.h"
#include "loop/loop_uv.h"

enum {
	SENDERS = 4,
	POSTS = 5000, /* of each sender, until it hears that it is closed */
};

static struct loop *loop;
static struct postbox box;

static int setup(void **state)
{
	(void)state;
	assert_ok(loop_uv_new(&loop));
	postbox_init(&box, loop);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	loop_drain(loop);
	postbox_deinit(&box);
	loop_free(loop);
	return 0;
}

struct note {
	struct post base;
	unsigned n_run, n_let_go;
};

static void end_note(struct post *post, bool must_run)
{
	struct note *n = CONTAINER_OF(post, struct note, base);
	n->n_run += must_run;
	n->n_let_go += !must_run;
}

static void test_closed_box_takes_nothing(void **state)
{
	(void)state;
	struct note note = {.base.end = end_note};
	assert_err(postbox_put(&box, &note.base), ERR_CLOSED);
	postbox_open(&box);
	postbox_close(&box, true);
	assert_err(postbox_put(&box, &note.base), ERR_CLOSED);
	assert_err(postbox_ask(&box, free, NULL), ERR_CLOSED);
	assert_int_equal(note.n_run + note.n_let_go, 0);
}

static void test_close_ends_what_the_loop_did_not_get_to(void **state)
{
	(void)state;
	struct note notes[2] = {{.base.end = end_note}, {.base.end = end_note}};
	postbox_open(&box);
	assert_ok(postbox_put(&box, &notes[0].base));
	postbox_close(&box, true);
	assert_int_equal(notes[0].n_run, 1);
	loop_drain(loop); /* the mail comes late */
	postbox_open(&box);
	assert_ok(postbox_put(&box, &notes[1].base));
	postbox_close(&box, false);
	assert_int_equal(notes[1].n_let_go, 1);
	loop_drain(loop);
	assert_int_equal(notes[0].n_run + notes[1].n_run, 1);
}

/* --- with threads -------------------------------------------------------------------- */

struct sender {
	pthread_t thread;
	struct note notes[POSTS];
	unsigned n_taken;
	unsigned n_asked; /* the loop's thread's */
	unsigned n_bad;   /* asks that ran and said no, or the other way round */
};

static struct sender senders[SENDERS];
static atomic_uint n_enough; /* senders that are half through */

static void count_ask(void *ctx)
{
	unsigned *n = ctx;
	(*n)++;
}

static void *send_notes(void *ctx)
{
	struct sender *s = ctx;
	for (unsigned i = 0; i < POSTS; i++) {
		s->notes[i].base.end = end_note;
		if (postbox_put(&box, &s->notes[i].base) != ERR_OK)
			break;
		s->n_taken++;
		if (i % 100 == 0) {
			unsigned before = s->n_asked;
			bool is_said = postbox_ask(&box, count_ask, &s->n_asked) == ERR_OK;
			s->n_bad += s->n_asked != before + is_said;
		}
		if (i == POSTS / 2)
			atomic_fetch_add(&n_enough, 1);
	}
	return NULL;
}

static void *turn(void *ctx)
{
	(void)ctx;
	enum err e = loop_run(loop);
	postbox_close(&box, true);
	return e == ERR_OK ? NULL : ctx;
}

static void test_each_post_that_was_taken_runs_once_whenever_it_closes(void **state)
{
	(void)state;
	pthread_t turner;
	atomic_store(&n_enough, 0);
	postbox_open(&box);
	assert_int_equal(pthread_create(&turner, NULL, turn, &box), 0);
	for (size_t i = 0; i < SENDERS; i++)
		assert_int_equal(pthread_create(&senders[i].thread, NULL, send_notes, &senders[i]),
				 0);
	while (atomic_load(&n_enough) == 0)
		sched_yield();
	loop_stop(loop);
	assert_int_equal(pthread_join(turner, NULL), 0);
	for (size_t i = 0; i < SENDERS; i++) {
		struct sender *s = &senders[i];
		pthread_join(s->thread, NULL);
		assert_int_equal(s->n_bad, 0);
		for (unsigned k = 0; k < POSTS; k++) {
			assert_int_equal(s->notes[k].n_run, k < s->n_taken);
			assert_int_equal(s->notes[k].n_let_go, 0);
		}
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_closed_box_takes_nothing),
		T(test_close_ends_what_the_loop_did_not_get_to),
		T(test_each_post_that_was_taken_runs_once_whenever_it_closes),
	};
	return cmocka_run_group_tests_name("postbox", tests, NULL, NULL);
}
