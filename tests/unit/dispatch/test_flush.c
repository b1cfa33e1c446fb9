/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A flush is done once: when what was sent has arrived, on its own stream and whatever dies, and
 * also where there is nothing to wait for, or nobody any more.
 */
#include "dispatch_kit.h"
#include "slow_net.h"

#include "base/util.h"
#include "vpn/dispatch/flush.h"
#include "vpn/dispatch/pool_stream.h"
#include "vpn/dispatch/stream_manager.h"

struct asked {
	struct flush flush;
	struct kit *kit;
	unsigned n_done;
	uint64_t arrived; /* packets, when it was done */
};

static void on_done(struct flush *flush)
{
	struct asked *a = CONTAINER_OF(flush, struct asked, flush);
	a->n_done++;
	a->arrived = a->kit->arrived;
}

static struct asked a_key(struct kit *k)
{
	return (struct asked){.kit = k,
			      .flush = {.key = {.ip = {10, 7, 0, 2}, .source_port = 1, .family = 4},
					.done = on_done}};
}

/* The only one that was used. */
static struct worker *the_worker(const struct kit *k)
{
	uint32_t at = 0, steps = 100000;
	struct worker *w = worker_table_walk(k->d->table, &at, &steps);
	assert_non_null(w);
	return w;
}

static struct asked the_key(struct kit *k)
{
	return (struct asked){.kit = k, .flush = {.key = the_worker(k)->key, .done = on_done}};
}

static void test_a_key_of_which_nothing_is_under_way_is_done_later(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	struct asked asked = a_key(k);
	flush_begin(k->d, &asked.flush);
	assert_int_equal(asked.n_done, 0);
	kit_run(k, FLUSH_LOOK);
	assert_int_equal(asked.n_done, 1);
	kit_end(k);
	assert_int_equal(asked.n_done, 1);
}

/* Its owner may be another thread's, whose loop will not wait for what comes after the end. */
static void test_none_is_left_behind_the_end(void **state)
{
	(void)state;
	struct kit *k = kit_new(1, NULL);
	struct asked asked = a_key(k);
	kit_close(k, SEC(1));
	flush_begin(k->d, &asked.flush);
	assert_int_equal(asked.n_done, 1);
	k->d = dispatcher_free(k->d);
	assert_int_equal(asked.n_done, 1);
	kit_end(k);
}

/* Numbers of probes can be guessed. */
static void test_only_the_stream_that_was_asked_answers(void **state)
{
	(void)state;
	struct kit *k = kit_new(2, NULL);
	kit_run(k, MSEC(10));
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(10));
	struct pool_stream *own = the_worker(k)->stream;
	struct pool_stream *other = kit_pool(k, 1)->streams.streams;
	assert_ptr_equal(own->pool, kit_pool(k, 0));
	assert_non_null(other);
	kit_faults(k, 0, (struct memory_faults){.is_silent = true});
	struct asked asked = the_key(k);
	flush_begin(k->d, &asked.flush);
	kit_run(k, MSEC(50));
	assert_int_not_equal(asked.flush.probe, 0);
	flush_on_answer(other, asked.flush.probe);
	flush_on_answer(own, asked.flush.probe + 1);
	assert_int_equal(asked.n_done, 0);
	flush_on_answer(own, asked.flush.probe);
	assert_int_equal(asked.n_done, 1);
	kit_end(k);
	assert_int_equal(asked.n_done, 1);
}

/* The stream that a flush was begun on, and that no key uses any more, drains: at once, or when the
 * probe is under way. */
static void drain_under_it(bool is_probed)
{
	struct kit *k = kit_new(1, NULL);
	kit_run(k, MSEC(10));
	kit_send(k, 1, 0, 100);
	kit_run(k, MSEC(10));
	struct worker *w = the_worker(k);
	struct pool_stream *s = w->stream;
	assert_non_null(s);
	assert_int_equal(s->pool->streams.deaths, 0);
	struct asked asked = the_key(k);
	kit_faults(k, 0, (struct memory_faults){.is_full = true});
	stream_manager_release(w);
	flush_begin_on(k->d, &asked.flush, s);
	if (is_probed)
		kit_run(k, 2 * FLUSH_LOOK);
	pool_stream_drain(s, loop_now(k->d->conf.loop));
	assert_int_equal(s->state, POOL_STREAM_DRAINING);
	kit_run(k, MSEC(50));
	assert_int_equal(asked.n_done, 0); /* nothing says that all has arrived */
	kit_faults(k, 0, (struct memory_faults){.is_full = false});
	kit_run(k, MSEC(100));
	assert_int_equal(asked.n_done, 1);
	kit_end(k);
	assert_int_equal(asked.n_done, 1);
}

static void test_a_stream_that_drains_ends_the_flush_on_it(void **state)
{
	(void)state;
	drain_under_it(false);
	drain_under_it(true);
}

/* How often the far end threw away what was late. */
static unsigned run_deaths(void)
{
	struct slow_net *net;
	struct dispatch_settings settings = kit_settings();
	struct kit *k = kit_new_with(1, &settings, slow_net_service, &net);
	assert_ok(dispatcher_peer_up(k->d, &k->peers[0]));
	kit_run(k, SEC(1));
	kit_send_many(k, 1, 0, 200, 10);
	kit_run(k, MSEC(5));
	struct asked asked = the_key(k);
	flush_begin(k->d, &asked.flush);
	kit_run(k, MSEC(2));
	if (asked.n_done == 0) {
		for (size_t i = 0; i < 20; i++)
			slow_net_kill(net, 0, false); /* any of its connections */
	}
	for (size_t i = 0; i < 100 && asked.n_done == 0; i++)
		kit_run(k, MSEC(100));
	assert_int_equal(asked.n_done, 1);
	kit_run(k, SEC(1));
	assert_int_equal(asked.n_done, 1);
	kit_close(k, SEC(1));
	kit_run(k, SEC(1)); /* what is late comes */
	assert_int_equal(k->arrived, asked.arrived);
	k->d = dispatcher_free(k->d);
	unsigned superseded = slow_net_superseded(net);
	slow_net_free(net);
	kit_end(k);
	return superseded;
}

/* Bytes of a connection that died may be read at the far end, later. */
static void test_nothing_arrives_after_it_is_done(void **state)
{
	(void)state;
	unsigned superseded = 0;
	for (size_t i = 0; i < 300; i++)
		superseded += run_deaths();
	assert_true(superseded > 20); /* or it was no test */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_of_which_nothing_is_under_way_is_done_later),
		cmocka_unit_test(test_none_is_left_behind_the_end),
		cmocka_unit_test(test_only_the_stream_that_was_asked_answers),
		cmocka_unit_test(test_a_stream_that_drains_ends_the_flush_on_it),
		cmocka_unit_test(test_nothing_arrives_after_it_is_done),
	};
	return cmocka_run_group_tests_name("flush", tests, NULL, NULL);
}
