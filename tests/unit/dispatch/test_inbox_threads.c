/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Several producers, one consumer on a loop that waits in the kernel; also under ThreadSanitizer.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/util.h"
#include "loop/loop_uv.h"
#include "support/testkit.h"
#include "vpn/dispatch/inbox.h"

enum {
	N_PRODUCERS = 4,
	N_ROUNDS = 20,
	N_PACKETS = 10000, /* of each producer in each round */
	N_AHEAD = 256,     /* then a producer waits until all of its packets arrived */
	N_SLOTS = 64,
	N_SLOTS_MANY = 8192,
	N_BUDGET = 32, /* packets that the consumer takes in one turn */
	LEN_MAX = 96,
};

struct producer {
	struct office *office;
	pthread_t thread;
	uint32_t id;
	uint32_t random;
	uint64_t n_taken, n_full, n_rings; /* by its thread: what the puts said */
	atomic_uint_fast64_t n_arrived;    /* by the consumer */
	uint64_t last; /* number of the packet that arrived last; the consumer's */
};

struct office {
	struct inbox *inbox;
	struct loop *loop;
	struct loop_mail bell, end;
	struct producer producers[N_PRODUCERS];
	pthread_barrier_t barrier;
	atomic_bool is_asleep;
	uint64_t n_sleeps; /* the consumer's */
};

/* A packet says who sent it, and its number, to its last byte. */
static size_t fill(uint8_t *bytes, uint32_t id, uint64_t number)
{
	size_t len = 12 + (size_t)(number % (LEN_MAX - 12 + 1));
	store_be32(bytes, id);
	store_be64(bytes + 4, number);
	memset(bytes + 12, (int)(number * 31 + id) & 0xff, len - 12);
	return len;
}

static void take(struct office *office, const struct inbox_item *item)
{
	uint8_t expected[LEN_MAX];
	assert_true(item->len >= 12);
	uint32_t id = load_be32(item->data);
	uint64_t number = load_be64(item->data + 4);
	assert_true(id < N_PRODUCERS);
	struct producer *p = &office->producers[id];
	assert_ptr_equal(item->meta.ticket, p);
	assert_true(number > p->last);
	p->last = number;
	assert_span_equal(span_of(item->data, item->len),
			  span_of(expected, fill(expected, id, number)));
	atomic_fetch_add(&p->n_arrived, 1);
}

static void on_bell(struct loop_mail *mail)
{
	struct office *office = CONTAINER_OF(mail, struct office, bell);
	struct inbox_item item;
	loop_assert_here(office->loop);
	atomic_store(&office->is_asleep, false);
	inbox_wake(office->inbox);
	for (size_t n = 0; n < N_BUDGET; n++) {
		if (!inbox_peek(office->inbox, &item)) {
			if (!inbox_sleep(office->inbox))
				continue;
			office->n_sleeps++;
			atomic_store(&office->is_asleep, true);
			return;
		}
		take(office, &item);
		inbox_pop(office->inbox);
	}
	loop_post(office->loop, mail); /* awake: the mail is the consumer's */
}

static uint32_t draw(struct producer *p)
{
	p->random = p->random * 1664525 + 1013904223;
	return p->random >> 16;
}

/* Until it is in, or given up. Returns false only if the inbox is closed. */
static bool put(struct producer *p, uint64_t number, bool may_give_up)
{
	uint8_t bytes[LEN_MAX];
	struct span packet = span_of(bytes, fill(bytes, p->id, number));
	struct inbox_meta meta = {.ticket = p};
	bool must_wake;
	for (;;) {
		enum err e = inbox_put(p->office->inbox, packet, &meta, &must_wake);
		if (e == ERR_OK) {
			p->n_taken++;
			p->n_rings += must_wake;
			if (must_wake)
				loop_post(p->office->loop, &p->office->bell);
			return true;
		}
		if (e == ERR_CLOSED)
			return false;
		assert_err(e, ERR_FULL);
		p->n_full++;
		if (may_give_up && draw(p) % 4 == 0)
			return true;
		sched_yield();
	}
}

static void wait_until_all_arrived(struct producer *p)
{
	while (atomic_load(&p->n_arrived) < p->n_taken)
		sched_yield();
}

static void *produce(void *ctx)
{
	struct producer *p = ctx;
	uint64_t number = 0;
	for (size_t round = 0; round < N_ROUNDS; round++) {
		for (size_t i = 1; i <= N_PACKETS; i++) {
			assert_true(put(p, ++number, true));
			if (i % N_AHEAD == 0)
				wait_until_all_arrived(p);
		}
		wait_until_all_arrived(p);
		pthread_barrier_wait(&p->office->barrier);
		while (!atomic_load(&p->office->is_asleep))
			sched_yield();
		pthread_barrier_wait(&p->office->barrier);
	}
	return NULL;
}

static void on_end(struct loop_mail *mail)
{
	struct office *office = CONTAINER_OF(mail, struct office, end);
	assert_true(inbox_is_drained(office->inbox));
	loop_stop(office->loop);
}

static void *run_loop(void *ctx)
{
	struct office *office = ctx;
	assert_ok(loop_run(office->loop));
	return NULL;
}

static void open_office(struct office *office, size_t n_slots)
{
	*office = (struct office){.bell = {.run = on_bell}, .end = {.run = on_end}};
	assert_ok(loop_uv_new(&office->loop));
	assert_ok(inbox_new(n_slots, LEN_MAX, &office->inbox));
	assert_int_equal(pthread_barrier_init(&office->barrier, NULL, N_PRODUCERS), 0);
	for (uint32_t id = 0; id < N_PRODUCERS; id++) {
		struct producer *p = &office->producers[id];
		p->office = office;
		p->id = id;
		p->random = (uint32_t)testkit_random();
	}
}

static void start_producers(struct office *office, void *(*run)(void *ctx))
{
	for (size_t i = 0; i < N_PRODUCERS; i++) {
		struct producer *p = &office->producers[i];
		assert_int_equal(pthread_create(&p->thread, NULL, run, p), 0);
	}
}

static void join_producers(struct office *office)
{
	for (size_t i = 0; i < N_PRODUCERS; i++)
		assert_int_equal(pthread_join(office->producers[i].thread, NULL), 0);
}

static void close_office(struct office *office)
{
	loop_drain(office->loop);
	for (size_t i = 0; i < N_PRODUCERS; i++)
		assert_int_equal(atomic_load(&office->producers[i].n_arrived),
				 office->producers[i].n_taken);
	inbox_free(office->inbox);
	loop_free(office->loop);
	pthread_barrier_destroy(&office->barrier);
}

static void test_packets_of_each_producer_arrive_in_order_and_none_is_lost(void **state)
{
	(void)state;
	static struct office office;
	pthread_t consumer;
	uint64_t n_rings = 0, n_full = 0, n_taken = 0;
	open_office(&office, N_SLOTS);
	assert_int_equal(pthread_create(&consumer, NULL, run_loop, &office), 0);
	start_producers(&office, produce);
	join_producers(&office);
	inbox_close(office.inbox);
	loop_post(office.loop, &office.end);
	assert_int_equal(pthread_join(consumer, NULL), 0);
	for (size_t i = 0; i < N_PRODUCERS; i++) {
		n_taken += office.producers[i].n_taken;
		n_full += office.producers[i].n_full;
		n_rings += office.producers[i].n_rings;
	}
	print_message("# %llu packets, %llu times full, %llu wake-ups\n",
		      (unsigned long long)n_taken, (unsigned long long)n_full,
		      (unsigned long long)n_rings);
	/* Each ring ended a sleep; the first was there at the start. */
	assert_int_equal(n_rings, office.n_sleeps);
	/* It slept between the rounds; a ring of the end of one may reach into the next. */
	assert_true(n_rings >= N_ROUNDS / 2);
	close_office(&office);
}

/* --- put against sleep: one packet at a time, so that each put meets a consumer that falls asleep
 * --- */

enum {
	N_MEETINGS = 300000,
	N_SPINS = 200, /* then the other thread may need this one's core */
};

struct meeting {
	struct inbox *inbox;
	atomic_bool mail; /* stands for the doorbell's */
	atomic_size_t n_arrived;
};

static void spin(size_t *n)
{
	if (++*n % N_SPINS == 0)
		sched_yield();
}

static void *come(void *ctx)
{
	struct meeting *m = ctx;
	struct inbox_meta meta = {0};
	bool must_wake;
	size_t n_spins = 0;
	for (size_t i = 0; i < N_MEETINGS; i++) {
		for (volatile size_t pause = i * 7 % 64; pause > 0; pause--)
			;
		assert_ok(inbox_put(m->inbox, span_str("x"), &meta, &must_wake));
		if (must_wake)
			assert_false(atomic_exchange(&m->mail, true)); /* one at most */
		while (atomic_load(&m->n_arrived) == i)
			spin(&n_spins);
	}
	return NULL;
}

/* A wake-up that is lost stops both threads for good. */
static void test_put_that_meets_a_sleep_is_seen_or_rings(void **state)
{
	(void)state;
	struct meeting m = {0};
	struct inbox_item item;
	pthread_t producer;
	size_t n_spins = 0;
	assert_ok(inbox_new(1, LEN_MAX, &m.inbox));
	assert_int_equal(pthread_create(&producer, NULL, come, &m), 0);
	while (atomic_load(&m.n_arrived) < N_MEETINGS) {
		while (!atomic_exchange(&m.mail, false))
			spin(&n_spins);
		inbox_wake(m.inbox);
		do {
			while (inbox_peek(m.inbox, &item)) {
				inbox_pop(m.inbox);
				atomic_fetch_add(&m.n_arrived, 1);
			}
		} while (!inbox_sleep(m.inbox));
	}
	pthread_join(producer, NULL);
	inbox_free(m.inbox);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void *produce_until_closed(void *ctx)
{
	struct producer *p = ctx;
	for (uint64_t number = 1; put(p, number, false); number++)
		;
	return NULL;
}

/* The consumer closes while puts are on their way, and takes until it is told that it has all: once
 * with a ring that is full most of the time, once with one that never is. */
static void test_close_loses_no_packet_that_was_taken(void **state)
{
	(void)state;
	static struct office office;
	for (size_t round = 0; round < 200; round++) {
		bool has_room = round % 2 == 0;
		open_office(&office, has_room ? N_SLOTS_MANY : N_SLOTS);
		start_producers(&office, produce_until_closed);
		size_t n = 0, n_before = has_room ? 0 : (size_t)(testkit_random() % 200);
		struct inbox_item first;
		while (has_room && !inbox_peek(office.inbox, &first))
			sched_yield();
		for (volatile uint64_t pause = testkit_random() % 4096; pause > 0; pause--)
			;
		while (!inbox_is_drained(office.inbox)) {
			struct inbox_item item;
			if (n++ == n_before)
				inbox_close(office.inbox);
			if (!inbox_peek(office.inbox, &item)) {
				sched_yield();
				continue;
			}
			take(&office, &item);
			inbox_pop(office.inbox);
		}
		join_producers(&office);
		assert_true(inbox_is_drained(office.inbox));
		close_office(&office);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_of_each_producer_arrive_in_order_and_none_is_lost),
		cmocka_unit_test(test_put_that_meets_a_sleep_is_seen_or_rings),
		cmocka_unit_test(test_close_loses_no_packet_that_was_taken),
	};
	return cmocka_run_group_tests_name("inbox_threads", tests, NULL, NULL);
}
