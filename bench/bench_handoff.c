/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench_handoff.c - what it costs to hand a packet to another shard
 *
 *     same thread   put, peek, pop: the ring itself
 *     stream        one thread puts as fast as it can, another thread's loop takes
 *     one by one    each packet waits until the one before was taken: the loop sleeps and is woken
 *                   for each, and the giver sees that it was
 *
 * The packet is copied into its slot; its taker reads a byte of each of its cache lines. Prints,
 * asserts nothing about time.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/util.h"
#include "loop/loop_uv.h"
#include "vpn/dispatch/inbox.h"

enum {
	SLOTS = 1024,
	LEN_MAX = 1500,
	BUDGET = 64, /* packets of one turn */
	N_SAME = 4000000,
	N_STREAM = 2000000,
	N_SINGLE = 50000,
};

struct shard {
	struct loop *loop;
	struct inbox *inbox;
	struct loop_mail bell, stop;
	atomic_size_t n_taken;
	size_t n_wakes;
	pthread_t thread;
};

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must(enum err e)
{
	if (e == ERR_OK)
		return;
	fprintf(stderr, "bench_handoff: %s\n", err_text(e));
	abort();
}

static volatile unsigned sink;

static void look_at(const struct inbox_item *item)
{
	unsigned sum = 0;
	for (size_t i = 0; i < item->len; i += 64)
		sum += item->data[i];
	sink = sum;
}

/* --- the taker: a loop in its own thread ------------------------------------------------- */

static void on_bell(struct loop_mail *mail)
{
	struct shard *shard = CONTAINER_OF(mail, struct shard, bell);
	struct inbox_item item;
	size_t n = 0;
	bool sleeps = false;
	inbox_wake(shard->inbox);
	while (n < BUDGET && !sleeps) {
		if (inbox_peek(shard->inbox, &item)) {
			look_at(&item);
			inbox_pop(shard->inbox);
			n++;
		} else {
			sleeps = inbox_sleep(shard->inbox);
		}
	}
	if (!sleeps)
		loop_post(shard->loop, mail);
	else
		shard->n_wakes++;
	atomic_fetch_add_explicit(&shard->n_taken, n, memory_order_release);
}

static void on_stop(struct loop_mail *mail)
{
	loop_stop(CONTAINER_OF(mail, struct shard, stop)->loop);
}

static void *run(void *ctx)
{
	struct shard *shard = ctx;
	must(loop_run(shard->loop));
	return NULL;
}

static void start(struct shard *shard)
{
	*shard = (struct shard){.bell = {.run = on_bell}, .stop = {.run = on_stop}};
	must(loop_uv_new(&shard->loop));
	must(inbox_new(SLOTS, LEN_MAX, &shard->inbox));
	if (pthread_create(&shard->thread, NULL, run, shard) != 0)
		abort();
}

static void end(struct shard *shard)
{
	loop_post(shard->loop, &shard->stop);
	pthread_join(shard->thread, NULL);
	loop_drain(shard->loop);
	inbox_free(shard->inbox);
	loop_free(shard->loop);
}

/* --- the giver ----------------------------------------------------------------------------- */

static uint8_t bytes[LEN_MAX];
static const struct inbox_meta meta;

static void give(struct shard *shard, size_t len, size_t *n_full)
{
	bool must_wake;
	enum err e;
	while ((e = inbox_put(shard->inbox, span_of(bytes, len), &meta, &must_wake)) == ERR_FULL) {
		++*n_full;
		sched_yield();
	}
	must(e);
	if (must_wake)
		loop_post(shard->loop, &shard->bell);
}

static void wait_for(struct shard *shard, size_t n)
{
	while (atomic_load_explicit(&shard->n_taken, memory_order_acquire) < n)
		sched_yield();
}

static void bench_same(size_t len)
{
	struct inbox *in;
	struct inbox_item item;
	bool must_wake;
	must(inbox_new(SLOTS, LEN_MAX, &in));
	double t0 = seconds();
	for (size_t i = 0; i < N_SAME; i++) {
		must(inbox_put(in, span_of(bytes, len), &meta, &must_wake));
		if (inbox_peek(in, &item))
			look_at(&item);
		inbox_pop(in);
	}
	double took = seconds() - t0;
	printf("%5zu bytes, same thread: %6.0f ns a packet\n", len, took * 1e9 / N_SAME);
	inbox_free(in);
}

static void bench_stream(size_t len)
{
	struct shard shard;
	size_t n_full = 0;
	start(&shard);
	double t0 = seconds();
	for (size_t i = 0; i < N_STREAM; i++)
		give(&shard, len, &n_full);
	wait_for(&shard, N_STREAM);
	double took = seconds() - t0;
	end(&shard);
	printf("%5zu bytes, stream:      %6.0f ns a packet, %.1f packets a wake-up, %.2f times "
	       "full a "
	       "packet\n",
	       len, took * 1e9 / N_STREAM, (double)N_STREAM / (double)(shard.n_wakes + 1),
	       (double)n_full / N_STREAM);
}

static void bench_single(size_t len)
{
	struct shard shard;
	size_t n_full = 0;
	start(&shard);
	double t0 = seconds();
	for (size_t i = 0; i < N_SINGLE; i++) {
		give(&shard, len, &n_full);
		wait_for(&shard, i + 1);
	}
	double took = seconds() - t0;
	end(&shard);
	printf("%5zu bytes, one by one:  %6.0f ns a packet, %.1f packets a wake-up\n", len,
	       took * 1e9 / N_SINGLE, (double)N_SINGLE / (double)(shard.n_wakes + 1));
}

int main(void)
{
	const size_t lens[] = {64, 1400};
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		bench_same(lens[i]);
		bench_stream(lens[i]);
		bench_single(lens[i]);
	}
	return 0;
}
