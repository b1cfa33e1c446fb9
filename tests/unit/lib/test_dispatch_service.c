/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A stream service as a program would write one: a thread of its own that moves the bytes, which
 * gets to the shards by posts. It knows no connections and speaks /vpn/1.0.0.
 */
#include "desk.h"

#include <sched.h>
#include <stdlib.h>
#include <utlist.h>

enum {
	PACKETS = 2000,
	PULL = 512, /* bytes at once: frames are cut anywhere */
};

/* What posts and the service's thread hand to each other; desk_lock(). */
struct pipe_stream {
	struct pipe_stream *prev, *next; /* in the service's line, while is_queued */
	struct pipe_shard *shard;
	struct runnel_link *link;
	bool is_open, is_awake, is_ending; /* the shard's thread's */
	enum runnel_err why;
	bool is_queued;
	unsigned n_posted;                  /* calls of work() on their way */
	uint8_t frame[4 + DESK_PACKET_MAX]; /* what came of one; the shard's thread's */
	size_t frame_len;
};

struct pipe_shard {
	struct runnel_shard *shard;
	struct pipe_service *service;
	size_t n_streams;
};

struct pipe_service {
	struct pipe_stream *line; /* streams for the thread to post about */
	bool is_ending;
	pthread_t thread;
	unsigned fail_shard; /* whose open_shard() fails; SHARDS_NONE: none */
	unsigned n_open_shards, n_opened_shards;
	unsigned n_unreachable; /* open() that say so before one succeeds */
	uint64_t n_packets, n_bad;
	struct runnel_shard *shard; /* the last that was opened */
	unsigned n_late;            /* posts of a test that have run */
};

#define SHARDS_NONE UINT32_MAX

static struct pipe_service service;

/* --- the service's thread ------------------------------------------------------------ */

static void work(void *ctx);

static void *run_service(void *arg)
{
	(void)arg;
	desk_lock();
	for (;;) {
		while (service.line == NULL && !service.is_ending)
			desk_wait();
		struct pipe_stream *s = service.line;
		if (s == NULL)
			break;
		DL_DELETE(service.line, s);
		s->is_queued = false;
		s->n_posted++;
		if (runnel_shard_post(s->shard->shard, work, s) != RUNNEL_ERR_OK)
			service.n_bad++;
	}
	desk_unlock();
	return NULL;
}

/* Have work() called soon, from there. */
static void queue(struct pipe_stream *s)
{
	desk_lock();
	if (!s->is_queued)
		DL_APPEND(service.line, s);
	s->is_queued = true;
	desk_tell();
	desk_unlock();
}

/* --- on the shards' threads ---------------------------------------------------------- */

static void read_frames(struct pipe_stream *s, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		s->frame[s->frame_len++] = bytes[i];
		if (s->frame_len < 4 || s->frame_len < 4 + load_be32(s->frame))
			continue;
		desk_lock();
		service.n_packets++;
		service.n_bad += load_be32(s->frame) != DESK_HEADERS + 4;
		desk_unlock();
		s->frame_len = 0;
	}
}

static void work(void *ctx)
{
	struct pipe_stream *s = ctx;
	uint8_t bytes[PULL];
	desk_lock();
	bool is_last = --s->n_posted == 0 && !s->is_queued; /* no other call is to come */
	desk_unlock();
	if (s->is_ending) {
		if (!is_last)
			return;
		s->shard->n_streams--;
		runnel_link_closed(s->link, s->why);
		free(s);
		return;
	}
	if (!s->is_open) {
		s->is_open = true;
		runnel_link_opened(s->link, RUNNEL_FRAMING_VPN);
		queue(s);
		return;
	}
	if (!s->is_awake)
		return;
	s->is_awake = false;
	size_t n = runnel_link_pull(s->link, bytes, sizeof(bytes));
	read_frames(s, bytes, n);
	if (n == sizeof(bytes)) {
		s->is_awake = true;
		queue(s);
	}
}

static enum runnel_err open_shard(void *ctx, struct runnel_shard *shard, void **ret_here)
{
	struct pipe_service *svc = ctx;
	desk_lock();
	bool fails = svc->fail_shard == runnel_shard_index(shard);
	svc->n_open_shards += !fails;
	svc->n_opened_shards += !fails;
	svc->shard = shard;
	desk_unlock();
	if (fails)
		return RUNNEL_ERR_BUSY;
	struct pipe_shard *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return RUNNEL_ERR_NO_MEMORY;
	*p = (struct pipe_shard){.shard = shard, .service = svc};
	*ret_here = p;
	return RUNNEL_ERR_OK;
}

static void close_shard(void *here)
{
	struct pipe_shard *p = here;
	desk_lock();
	service.n_bad += p->n_streams > 0;
	service.n_open_shards--;
	desk_unlock();
	free(p);
}

static enum runnel_err open_stream(void *here, const struct runnel_peer_id *peer,
				   struct runnel_link *link, void **ret_stream)
{
	struct pipe_shard *p = here;
	(void)peer;
	desk_lock();
	bool is_unreachable = service.n_unreachable > 0;
	service.n_unreachable -= is_unreachable;
	desk_unlock();
	if (is_unreachable)
		return RUNNEL_ERR_UNREACHABLE;
	struct pipe_stream *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return RUNNEL_ERR_NO_MEMORY;
	*s = (struct pipe_stream){.shard = p, .link = link};
	p->n_streams++;
	queue(s);
	*ret_stream = s;
	return RUNNEL_ERR_OK;
}

static void wake(void *stream)
{
	struct pipe_stream *s = stream;
	s->is_awake = true;
	queue(s);
}

static void end(struct pipe_stream *s, enum runnel_err why)
{
	s->is_ending = true;
	s->why = why;
	queue(s);
}

static void finish(void *stream)
{
	end(stream, RUNNEL_ERR_OK);
}

static void reset(void *stream, enum runnel_err why)
{
	end(stream, why);
}

static void facts(void *stream, struct runnel_link_facts *ret_facts)
{
	(void)stream;
	(void)ret_facts;
}

static const struct runnel_stream_ops ops = {
	.open_shard = open_shard,
	.close_shard = close_shard,
	.open = open_stream,
	.wake = wake,
	.finish = finish,
	.reset = reset,
	.facts = facts,
};

/* --- tests --------------------------------------------------------------------------- */

static int setup(void **state)
{
	desk_setup(state);
	service = (struct pipe_service){.fail_shard = SHARDS_NONE};
	const struct runnel_peer_discovery discovery = runnel_memory_discovery_get(desk.discovery);
	const struct runnel_stream_service streams = {.ops = &ops, .ctx = &service};
	desk.conf.shards = 4;
	desk.resilience.retry_first = 100 * RUNNEL_NSEC_PER_MSEC;
	assert_public_ok(runnel_dispatcher_new(&discovery, &streams, &desk.conf, &desk.resilience,
					       &desk.dispatcher, NULL, 0));
	assert_int_equal(pthread_create(&service.thread, NULL, run_service, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	desk_release();
	desk.dispatcher = runnel_dispatcher_free(desk.dispatcher);
	desk_lock();
	service.is_ending = true;
	desk_tell();
	desk_unlock();
	pthread_join(service.thread, NULL);
	assert_int_equal(service.n_bad, 0);
	assert_int_equal(service.n_open_shards, 0);
	return desk_teardown(state);
}

static void test_service_with_a_thread_of_its_own_carries_each_packet(void **state)
{
	(void)state;
	uint64_t dropped;
	assert_public_ok(runnel_dispatcher_start(desk.dispatcher));
	for (uint32_t i = 0; i < PACKETS; i++) {
		enum runnel_err err;
		while ((err = desk_send("10.7.0.1", (uint16_t)(i % 50), i)) == RUNNEL_ERR_FULL)
			desk_wait_done(i / 2);
		assert_public_ok(err);
	}
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, RUNNEL_FOREVER, &dropped));
	assert_int_equal(dropped, 0);
	assert_int_equal(desk.n_done, PACKETS);
	assert_int_equal(service.n_packets, desk.outcomes[RUNNEL_DROP_NONE]);
	assert_int_equal(service.n_packets + desk.outcomes[RUNNEL_DROP_QUEUE_DELAY] +
				 desk.outcomes[RUNNEL_DROP_QUEUE_FULL],
			 PACKETS);
	assert_int_equal(service.n_opened_shards, 4);
}

static void test_start_that_fails_on_one_shard_undoes_all_and_may_be_tried_again(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		service.fail_shard = i;
		assert_public_err(runnel_dispatcher_start(desk.dispatcher), RUNNEL_ERR_BUSY);
		assert_int_equal(service.n_open_shards, 0);
		assert_public_err(desk_send("10.7.0.1", 1, 1), RUNNEL_ERR_CLOSED);
	}
	service.fail_shard = SHARDS_NONE;
	assert_public_ok(runnel_dispatcher_start(desk.dispatcher));
	assert_public_ok(desk_send("10.7.0.1", 1, 1));
	desk_wait_done(1);
	assert_int_equal(desk.outcomes[RUNNEL_DROP_NONE], 1);
}

/* Nobody would say that it is reachable again: so it is a failure, and tried again. */
static void test_unreachable_without_connections_is_tried_again(void **state)
{
	(void)state;
	service.n_unreachable = 1;
	assert_public_ok(runnel_dispatcher_start(desk.dispatcher));
	assert_public_ok(desk_send("10.7.0.1", 1, 1));
	desk_lock();
	while (service.n_unreachable > 0 || desk.n_done < 1)
		desk_wait();
	desk_unlock();
	assert_true(desk_metric(RUNNEL_METRIC_STREAMS_FAILED) >= 1);
	/* The first may have waited too long; one that comes now is sent. */
	while (desk_metric(RUNNEL_METRIC_STREAMS_NOW) == 0)
		sched_yield();
	assert_public_ok(desk_send("10.7.0.1", 1, 2));
	desk_wait_done(2);
	assert_true(desk.outcomes[RUNNEL_DROP_NONE] >= 1);
	assert_true(desk_metric(RUNNEL_METRIC_RETRIES) >= 1);
}

static void count_late(void *ctx)
{
	(void)ctx;
	service.n_late++;
}

static void test_post_after_the_end_is_refused_and_one_before_it_runs(void **state)
{
	(void)state;
	assert_public_ok(runnel_dispatcher_start(desk.dispatcher));
	assert_public_ok(desk_send("10.7.0.1", 1, 1));
	desk_wait_done(1);
	assert_non_null(service.shard);
	assert_public_ok(runnel_shard_post(service.shard, count_late, NULL));
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, RUNNEL_FOREVER, NULL));
	assert_int_equal(service.n_late, 1);
	assert_public_err(runnel_shard_post(service.shard, count_late, NULL), RUNNEL_ERR_CLOSED);
	desk.dispatcher = runnel_dispatcher_free(desk.dispatcher);
	assert_int_equal(service.n_late, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_service_with_a_thread_of_its_own_carries_each_packet),
		T(test_start_that_fails_on_one_shard_undoes_all_and_may_be_tried_again),
		T(test_unreachable_without_connections_is_tried_again),
		T(test_post_after_the_end_is_refused_and_one_before_it_runs),
	};
	return cmocka_run_group_tests_name("dispatch_service", tests, NULL, NULL);
}
