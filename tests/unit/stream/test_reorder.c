/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/util.h"
#include "vpn/stream/reorder.h"

enum {
	LOG_MAX = 200000,
	CONTENT_MIN = 8, /* bytes: the position of a packet, by which it is known again */
};

/* What was delivered, as positions: numbers before they were cut to 32 bits. */
struct log {
	uint64_t positions[LOG_MAX];
	size_t n;
	const uint8_t *last; /* where the last one lay */
};

static struct log delivered;
static struct reorder_counts counts;

static struct offload offload_of(uint64_t position)
{
	return (struct offload){.gso_size = (uint16_t)position};
}

/* A packet says its position at its start, and in each byte after that. */
static uint8_t *packet_of(uint64_t position, size_t len)
{
	uint8_t *bytes = malloc(len);
	assert_true(bytes != NULL && len >= CONTENT_MIN);
	store_be64(bytes, position);
	memset(bytes + 8, (uint8_t)position, len - 8);
	return bytes;
}

static void note(void *ctx, struct span packet, const struct offload *offload)
{
	struct log *log = ctx;
	assert_true(packet.len >= CONTENT_MIN && log->n < LOG_MAX);
	uint64_t position = load_be64(packet.p);
	for (size_t i = 8; i < packet.len; i++)
		if (packet.p[i] != (uint8_t)position)
			fail_msg("byte %zu of packet %llu is another's", i,
				 (unsigned long long)position);
	struct offload expected = offload_of(position);
	assert_memory_equal(offload, &expected, sizeof(expected));
	log->positions[log->n++] = position;
	log->last = packet.p;
}

static const struct reorder_sink sink = {.deliver = note, .ctx = &delivered};

static enum reorder_outcome take_len(struct reorder *r, uint64_t position, size_t len, nsec_t now)
{
	uint8_t *bytes = packet_of(position, len);
	struct offload offload = offload_of(position);
	enum reorder_outcome outcome =
		reorder_take(r, (uint32_t)position, span_of(bytes, len), &offload, now, &sink);
	/* What is kept must not depend on what was lent. */
	memset(bytes, 0xee, len);
	free(bytes);
	return outcome;
}

static enum reorder_outcome take(struct reorder *r, uint64_t position, nsec_t now)
{
	return take_len(r, position, CONTENT_MIN + 4, now);
}

static struct reorder *group(uint64_t first)
{
	delivered.n = 0;
	counts = (struct reorder_counts){0};
	struct reorder *r;
	assert_ok(reorder_new((uint32_t)first, &counts, &r));
	return r;
}

/* Exactly first, first + 1, ... up to and without `until` were delivered since the last call. */
static void assert_delivered(uint64_t first, uint64_t until)
{
	assert_int_equal(delivered.n, until - first);
	for (size_t i = 0; i < delivered.n; i++)
		assert_int_equal(delivered.positions[i], first + i);
	delivered.n = 0;
}

static void test_packets_in_order_are_lent_and_not_copied(void **state)
{
	(void)state;
	struct reorder *r = group(0);
	struct offload offload = offload_of(0);
	for (uint32_t i = 0; i < 5000; i++) {
		uint8_t *bytes = packet_of(i, 20);
		offload = offload_of(i);
		assert_int_equal(reorder_take(r, i, span_of(bytes, 20), &offload, i, &sink),
				 REORDER_DELIVERED);
		assert_ptr_equal(delivered.last, bytes);
		assert_int_equal(reorder_deadline(r), NSEC_NEVER);
		free(bytes);
	}
	assert_delivered(0, 5000);
	assert_int_equal(counts.delivered, 5000);
	assert_int_equal(counts.kept, 0);
	reorder_free(r);
}

static void test_early_packets_wait_for_what_is_missing(void **state)
{
	(void)state;
	struct reorder *r = group(0);
	assert_int_equal(take(r, 3, 10), REORDER_KEPT);
	assert_int_equal(take(r, 1, 11), REORDER_KEPT);
	assert_int_equal(delivered.n, 0);
	assert_int_equal(reorder_kept(r), 2);
	assert_int_equal(reorder_deadline(r), 10 + REORDER_WAIT);
	assert_int_equal(take(r, 0, 12), REORDER_DELIVERED);
	assert_delivered(0, 2);
	assert_int_equal(take(r, 2, 13), REORDER_DELIVERED);
	assert_delivered(2, 4);
	assert_int_equal(reorder_deadline(r), NSEC_NEVER);
	assert_int_equal(counts.kept, 2);
	assert_int_equal(counts.delivered, 4);
	assert_int_equal(counts.missing, 0);
	reorder_free(r);
}

static void test_a_gap_is_given_up_when_its_time_is_over(void **state)
{
	(void)state;
	struct reorder *r = group(0);
	assert_int_equal(take(r, 2, 100), REORDER_KEPT);
	assert_int_equal(take(r, 5, 200), REORDER_KEPT);
	reorder_expire(r, 100 + REORDER_WAIT - 1, &sink);
	assert_int_equal(delivered.n, 0);
	reorder_expire(r, 100 + REORDER_WAIT, &sink);
	assert_delivered(2, 3);
	assert_int_equal(counts.gaps, 1);
	assert_int_equal(counts.missing, 2);
	assert_int_equal(take(r, 1, 300), REORDER_LATE);
	assert_int_equal(reorder_deadline(r), 200 + REORDER_WAIT);
	/* Long after: all at once. */
	reorder_expire(r, 200 + 1000 * NSEC_PER_SEC, &sink);
	assert_delivered(5, 6);
	assert_int_equal(counts.gaps, 2);
	assert_int_equal(counts.missing, 4);
	assert_int_equal(counts.late, 1);
	reorder_free(r);
}

/* What fills a gap from its end must not start the wait anew. */
static void test_no_packet_waits_longer_than_its_time(void **state)
{
	(void)state;
	struct reorder *r = group(0);
	assert_int_equal(take(r, 9, 0), REORDER_KEPT);
	for (unsigned i = 1; i < 9; i++)
		assert_int_equal(take(r, 9 - i, i * 7 * NSEC_PER_MSEC), REORDER_KEPT);
	assert_int_equal(reorder_deadline(r), REORDER_WAIT);
	reorder_expire(r, REORDER_WAIT, &sink);
	assert_delivered(1, 10);
	assert_int_equal(reorder_kept(r), 0);
	reorder_free(r);
}

static void test_late_and_double_packets_are_dropped(void **state)
{
	(void)state;
	struct reorder *r = group(0);
	assert_int_equal(take(r, 0, 0), REORDER_DELIVERED);
	assert_int_equal(take(r, 0, 0), REORDER_LATE);
	assert_int_equal(take(r, 2, 0), REORDER_KEPT);
	assert_int_equal(take(r, 2, 0), REORDER_DUPLICATE);
	assert_int_equal(take(r, UINT32_MAX, 0), REORDER_LATE);
	assert_int_equal(take(r, 1u + (1u << 31), 0), REORDER_LATE);
	assert_delivered(0, 1);
	assert_int_equal(counts.late, 3);
	assert_int_equal(counts.duplicate, 1);
	reorder_free(r);
}

static void test_numbers_go_on_after_the_last(void **state)
{
	(void)state;
	uint64_t from = UINT32_MAX - 700;
	struct reorder *r = group(from);
	reorder_flush(r, &sink);
	assert_int_equal(take(r, from, 0), REORDER_KEPT);
	reorder_flush(r, &sink);
	assert_delivered(from, from + 1);
	for (uint64_t p = from + 1; p < from + 1401; p += 2) {
		assert_int_equal(take(r, p + 1, 0), REORDER_KEPT);
		assert_int_equal(take(r, p, 0), REORDER_DELIVERED);
		assert_int_equal(take(r, p, 0), REORDER_LATE);
	}
	assert_delivered(from + 1, from + 1401);
	assert_int_equal(counts.missing, 0);
	reorder_free(r);
}

static void test_the_window_slides_over_the_oldest_gaps(void **state)
{
	(void)state;
	struct reorder *r = group(0);
	assert_int_equal(take(r, 1, 0), REORDER_KEPT);
	assert_int_equal(take(r, REORDER_PACKETS_MAX - 1, 0), REORDER_KEPT);
	assert_int_equal(delivered.n, 0);
	/* One further: 0 is given up, and 1 is due. */
	assert_int_equal(take(r, REORDER_PACKETS_MAX, 0), REORDER_KEPT);
	assert_delivered(1, 2);
	assert_int_equal(counts.missing, 1);
	/* Number after number the same gap: one gap. */
	for (uint64_t p = REORDER_PACKETS_MAX + 1; p < REORDER_PACKETS_MAX + 100; p++)
		assert_int_equal(take(r, p, 0), REORDER_KEPT);
	assert_int_equal(delivered.n, 0);
	assert_int_equal(counts.gaps, 2);
	assert_int_equal(reorder_kept(r), 101);
	/* As far as can be: everything that is kept has its turn, in order. */
	uint64_t far = 98 + (uint64_t)INT32_MAX;
	assert_int_equal(take(r, far, 0), REORDER_KEPT);
	assert_delivered(REORDER_PACKETS_MAX - 1, REORDER_PACKETS_MAX + 100);
	assert_int_equal(counts.gaps, 3);
	reorder_flush(r, &sink);
	assert_delivered(far, far + 1);
	assert_int_equal(counts.delivered + counts.missing, far + 1);
	reorder_free(r);
}

/* What is before the packet that would have to make room needs none itself: it is due then. */
static void test_a_full_arena_keeps_the_order(void **state)
{
	(void)state;
	enum {
		LEN = 1 << 15,
		FIT = REORDER_BYTES_MAX / LEN,
	};
	struct reorder *r = group(0);
	assert_int_equal(take_len(r, 100, LEN, 0), REORDER_KEPT);
	for (uint64_t p = 1; p < FIT; p++)
		assert_int_equal(take_len(r, 100 - p, LEN, p), REORDER_KEPT);
	assert_int_equal(take_len(r, 50, LEN, 50), REORDER_DELIVERED);
	assert_delivered(50, 51);
	assert_int_equal(counts.missing, 50);
	assert_int_equal(reorder_kept(r), FIT);
	/* What is behind it makes it go, and with it all before it: itself is due then. */
	assert_int_equal(take_len(r, 101, LEN, 51), REORDER_DELIVERED);
	assert_delivered(101 - FIT, 102);
	reorder_free(r);
}

static void test_a_copy_fits_to_the_byte(void **state)
{
	(void)state;
	for (unsigned over = 0; over < 2; over++) {
		struct reorder *r = group(0);
		assert_int_equal(take_len(r, 1, 1000, 0), REORDER_KEPT);
		for (unsigned i = 0; i < 15; i++)
			assert_int_equal(take_len(r, 3 + i, PACKET_LEN_MAX, 1), REORDER_KEPT);
		assert_int_equal(take_len(r, 40, REORDER_BYTES_MAX - 1000 - 15 * PACKET_LEN_MAX, 2),
				 REORDER_KEPT);
		assert_int_equal(take(r, 0, 3), REORDER_DELIVERED);
		assert_delivered(0, 2);
		/* 1000 bytes are free, at the start; 3 is behind them. */
		assert_int_equal(take_len(r, 50, 1000 + over, 4), REORDER_KEPT);
		assert_delivered(3, over != 0 ? 18 : 3);
		reorder_flush(r, &sink);
		reorder_free(r);
	}
}

/* Packets of the largest size: no more of them than the arena holds. */
static void test_a_full_arena_gives_up_the_oldest_gap(void **state)
{
	(void)state;
	enum {
		FIT = REORDER_BYTES_MAX / PACKET_LEN_MAX
	};
	struct reorder *r = group(0);
	for (uint64_t p = 0; p < FIT; p++)
		assert_int_equal(take_len(r, 10 + 2 * p, PACKET_LEN_MAX, p), REORDER_KEPT);
	assert_int_equal(delivered.n, 0);
	/* 10 came first: it makes room. */
	assert_int_equal(take_len(r, 100, PACKET_LEN_MAX, 50), REORDER_KEPT);
	assert_delivered(10, 11);
	assert_int_equal(counts.missing, 10);
	assert_int_equal(take_len(r, 11, PACKET_LEN_MAX, 51), REORDER_DELIVERED);
	assert_delivered(11, 13);
	/* 12 made room for one, the next goes around the end of the arena. */
	assert_int_equal(take_len(r, 102, PACKET_LEN_MAX, 52), REORDER_KEPT);
	assert_int_equal(delivered.n, 0);
	/* 14 came first now; 13 is before it. */
	assert_int_equal(take_len(r, 13, PACKET_LEN_MAX, 53), REORDER_DELIVERED);
	assert_delivered(13, 15);
	/* A small one with a large one after it. */
	assert_int_equal(take_len(r, 16 + 1, CONTENT_MIN, 54), REORDER_KEPT);
	assert_int_equal(take_len(r, 104, PACKET_LEN_MAX, 54), REORDER_KEPT);
	assert_int_equal(delivered.n, 3);
	assert_int_equal(delivered.positions[0], 16);
	assert_int_equal(delivered.positions[2], 18);
	reorder_free(r);
}

static void test_an_unknown_begin_is_waited_for(void **state)
{
	(void)state;
	/* Its first numbers may still come. */
	struct reorder *r = group(REORDER_PACKETS_MAX - 1);
	assert_int_equal(take(r, REORDER_PACKETS_MAX - 1, 0), REORDER_KEPT);
	assert_int_equal(take(r, 0, 0), REORDER_DELIVERED);
	assert_delivered(0, 1);
	reorder_free(r);

	/* In the middle: what comes a little later with a lower number is not lost ... */
	r = group(5000);
	assert_int_equal(take(r, 5000, 0), REORDER_KEPT);
	assert_int_equal(take(r, 4997, 1), REORDER_KEPT);
	assert_int_equal(take(r, 4998, 2), REORDER_KEPT);
	assert_int_equal(take(r, 5000 - REORDER_BEFORE - 1, 3), REORDER_LATE);
	reorder_expire(r, REORDER_WAIT, &sink);
	assert_int_equal(delivered.n, 3);
	assert_int_equal(delivered.positions[0], 4997);
	assert_int_equal(delivered.positions[2], 5000);
	/* ... and what nobody missed does not count. */
	assert_int_equal(counts.gaps, 1);
	assert_int_equal(counts.missing, 1);
	reorder_free(r);
}

static void test_a_group_is_done_at_its_end(void **state)
{
	(void)state;
	struct reorder *r = group(0);
	assert_int_equal(take(r, 0, 0), REORDER_DELIVERED);
	assert_int_equal(take(r, 3, 0), REORDER_KEPT);
	/* Ends that cannot be. */
	reorder_end(r, 0, 0);
	reorder_end(r, 3, 0);
	assert_false(reorder_is_done(r));
	reorder_end(r, 5, 1);
	reorder_end(r, 6, 1);
	assert_int_equal(take(r, 5, 2), REORDER_LATE);
	assert_int_equal(take(r, 4, 2), REORDER_KEPT);
	assert_int_equal(take(r, 1, 3), REORDER_DELIVERED);
	assert_false(reorder_is_done(r));
	assert_int_equal(take(r, 2, 4), REORDER_DELIVERED);
	assert_delivered(0, 5);
	assert_true(reorder_is_done(r));
	assert_int_equal(take(r, 5, 5), REORDER_LATE);
	assert_int_equal(reorder_deadline(r), NSEC_NEVER);
	reorder_free(r);

	/* What is missing before the end is waited for, and no longer than that. */
	r = group(0);
	assert_int_equal(take(r, 0, 0), REORDER_DELIVERED);
	reorder_end(r, 3, 10);
	assert_int_equal(reorder_deadline(r), 10 + REORDER_WAIT);
	assert_int_equal(take(r, 2, 20), REORDER_KEPT);
	reorder_expire(r, 9 + REORDER_WAIT, &sink);
	assert_false(reorder_is_done(r));
	reorder_expire(r, 10 + REORDER_WAIT, &sink);
	assert_true(reorder_is_done(r));
	assert_int_equal(counts.missing, 1);
	assert_int_equal(delivered.n, 2);
	/* An end that is exactly where we are. */
	reorder_restart(r, 0);
	assert_int_equal(take(r, 0, 0), REORDER_DELIVERED);
	reorder_end(r, 1, 0);
	assert_true(reorder_is_done(r));
	/* One as far away as can be. */
	reorder_restart(r, 0);
	reorder_end(r, INT32_MAX, 0);
	assert_int_equal(take(r, 5, 0), REORDER_KEPT);
	reorder_expire(r, REORDER_WAIT, &sink);
	assert_true(reorder_is_done(r));
	reorder_free(r);
}

/* --- against a model ----------------------------------------------------------------- */

enum {
	MODEL_KEPT_MAX = 2048,
};

/* The same rules, said as simply as can be: positions of 64 bits, a heap of packets, one number
 * after the other. Memory is no matter there. */
struct model {
	uint64_t next;
	bool is_begun;
	uint64_t end; /* UINT64_MAX: not known */
	nsec_t ended_at;
	struct {
		uint64_t position;
		nsec_t came_at;
	} kept[MODEL_KEPT_MAX]; /* in the order in which they came */
	size_t n_kept;
	struct log log;
	uint64_t missing;
};

static struct model model;

static void model_begin(uint64_t first, bool is_begin_known)
{
	model.next = is_begin_known ? 0 : first - REORDER_BEFORE;
	model.is_begun = is_begin_known;
	model.end = UINT64_MAX;
	model.n_kept = 0;
	model.log.n = 0;
	model.missing = 0;
}

static size_t model_find(uint64_t position)
{
	size_t i = 0;
	while (i < model.n_kept && model.kept[i].position != position)
		i++;
	return i;
}

static void model_deliver(void)
{
	model.log.positions[model.log.n++] = model.next++;
	model.is_begun = true;
}

static bool model_deliver_kept(void)
{
	size_t i = model_find(model.next);
	if (i == model.n_kept)
		return false;
	model_deliver();
	model.n_kept--;
	memmove(&model.kept[i], &model.kept[i + 1], (model.n_kept - i) * sizeof(model.kept[0]));
	return true;
}

static void model_advance(uint64_t until)
{
	while (model.next < until) {
		if (!model_deliver_kept()) {
			model.next++;
			model.missing += model.is_begun;
		}
	}
	while (model_deliver_kept())
		;
}

static enum reorder_outcome model_take(uint64_t position, nsec_t now)
{
	if (position < model.next || position >= model.end)
		return REORDER_LATE;
	if (model_find(position) < model.n_kept)
		return REORDER_DUPLICATE;
	if (position >= model.next + REORDER_PACKETS_MAX)
		model_advance(position - REORDER_PACKETS_MAX + 1);
	if (position != model.next) {
		assert_true(model.n_kept < MODEL_KEPT_MAX);
		model.kept[model.n_kept].position = position;
		model.kept[model.n_kept++].came_at = now;
		return REORDER_KEPT;
	}
	model_deliver();
	model_advance(model.next);
	return REORDER_DELIVERED;
}

static void model_expire(nsec_t now)
{
	while (model.n_kept > 0 && model.kept[0].came_at + REORDER_WAIT <= now)
		model_advance(model.kept[0].position);
	if (model.end != UINT64_MAX && model.ended_at + REORDER_WAIT <= now)
		model_advance(model.end);
}

static nsec_t model_deadline(void)
{
	nsec_t since = NSEC_NEVER - REORDER_WAIT;
	if (model.n_kept > 0)
		since = model.kept[0].came_at;
	if (model.end != UINT64_MAX && model.next != model.end)
		since = nsec_min(since, model.ended_at);
	return since + REORDER_WAIT;
}

/* Three ways with queues of their own, one of which stands still now and then. */
struct way {
	uint64_t queue[4096];
	size_t head, tail;
};

static struct way ways[3];

static unsigned below(unsigned n)
{
	return (unsigned)(testkit_random() % n);
}

/* The next packet to come, of any way; of a stalled one rarely. */
static bool next_to_come(unsigned stalled, uint64_t *ret)
{
	unsigned i = below(3);
	if (i == stalled && below(200) != 0)
		i = (i + 1) % 3;
	struct way *w = &ways[i];
	if (w->head == w->tail)
		return false;
	*ret = w->queue[w->head++ % ARRAY_LEN(w->queue)];
	return true;
}

static void check_against_model(const struct reorder *r)
{
	assert_int_equal(delivered.n, model.log.n);
	assert_int_equal(reorder_kept(r), model.n_kept);
	assert_int_equal(reorder_deadline(r), model_deadline());
	assert_int_equal(counts.missing, model.missing);
}

static void one_random_life(uint64_t first)
{
	struct reorder *r = group(first);
	model_begin(first, first < REORDER_PACKETS_MAX);
	memset(ways, 0, sizeof(ways));
	uint64_t sent = first;
	unsigned stalled = 3, loss = below(30);
	nsec_t now = testkit_random() % 1000;
	for (unsigned step = 0; step < 3000; step++) {
		if (below(500) == 0)
			stalled = below(4);
		struct way *w = &ways[below(3)];
		if (w->tail - w->head < ARRAY_LEN(w->queue))
			w->queue[w->tail++ % ARRAY_LEN(w->queue)] = sent++;
		now += below(40) == 0 ? below(30) * NSEC_PER_MSEC : below(100) * NSEC_PER_USEC;
		if (below(1000) == 0)
			now += 10 * NSEC_PER_SEC;
		if (below(2000) == 0)
			sent += below(3000);
		uint64_t position;
		if (!next_to_come(stalled, &position) || below(1000) < loss)
			continue;
		for (unsigned copies = below(50) == 0 ? 2 : 1; copies > 0; copies--)
			assert_int_equal(take(r, position, now), model_take(position, now));
		check_against_model(r);
		if (reorder_deadline(r) <= now || below(100) == 0) {
			reorder_expire(r, now, &sink);
			model_expire(now);
			check_against_model(r);
			assert_true(reorder_deadline(r) > now);
		}
	}
	if (below(2) == 0) {
		reorder_end(r, (uint32_t)sent, now);
		model.end = sent;
		model.ended_at = now;
		reorder_expire(r, now + REORDER_WAIT, &sink);
		model_expire(now + REORDER_WAIT);
		assert_true(reorder_is_done(r));
	} else {
		reorder_flush(r, &sink);
		model_expire(now + REORDER_WAIT);
	}
	check_against_model(r);
	assert_memory_equal(delivered.positions, model.log.positions,
			    delivered.n * sizeof(delivered.positions[0]));
	reorder_free(r);
}

static void test_random_arrivals_are_as_the_model_says(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		one_random_life(0);
		one_random_life(below(4000));
		one_random_life(UINT32_MAX - below(2500));
		one_random_life(REORDER_PACKETS_MAX + testkit_random() % UINT32_MAX);
	}
}

/* Mostly early packets, more than the arena holds: what is delivered is whole, in order, and
 * counted. */
static void fill_the_arena(size_t (*len_of_next)(void))
{
	struct reorder *r = group(0);
	uint64_t n = 0, given = 0, given_up = 0;
	nsec_t now = 0;
	for (unsigned step = 0; step < 10000; step++) {
		uint64_t position = n + below(200);
		size_t len = len_of_next();
		now += below(100) * NSEC_PER_USEC;
		given++;
		uint64_t missing = counts.missing;
		take_len(r, position, len, now);
		given_up += counts.missing - missing;
		if (below(3) == 0)
			n += below(4);
		if (reorder_deadline(r) <= now)
			reorder_expire(r, now, &sink);
	}
	/* Room was made, not only time passed. */
	assert_true(given_up > 0);
	reorder_flush(r, &sink);
	assert_int_equal(reorder_kept(r), 0);
	for (size_t i = 1; i < delivered.n; i++)
		assert_true(delivered.positions[i] > delivered.positions[i - 1]);
	assert_int_equal(counts.delivered, delivered.n);
	assert_int_equal(counts.delivered + counts.late + counts.duplicate, given);
	assert_int_equal(counts.delivered + counts.missing,
			 delivered.positions[delivered.n - 1] + 1);
	reorder_free(r);
}

static size_t len_of_all_sizes(void)
{
	return CONTENT_MIN + below(below(2) == 0 ? PACKET_LEN_MAX - CONTENT_MIN + 1 : 1500);
}

/* Fills the arena to its last byte. */
static size_t len_of_a_power(void)
{
	return (size_t)1 << (13 + below(3));
}

static void test_random_sizes_stay_within_the_arena(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		fill_the_arena(len_of_all_sizes);
		fill_the_arena(len_of_a_power);
	}
	assert_null(reorder_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_in_order_are_lent_and_not_copied),
		cmocka_unit_test(test_early_packets_wait_for_what_is_missing),
		cmocka_unit_test(test_a_gap_is_given_up_when_its_time_is_over),
		cmocka_unit_test(test_no_packet_waits_longer_than_its_time),
		cmocka_unit_test(test_late_and_double_packets_are_dropped),
		cmocka_unit_test(test_numbers_go_on_after_the_last),
		cmocka_unit_test(test_the_window_slides_over_the_oldest_gaps),
		cmocka_unit_test(test_a_full_arena_gives_up_the_oldest_gap),
		cmocka_unit_test(test_a_full_arena_keeps_the_order),
		cmocka_unit_test(test_a_copy_fits_to_the_byte),
		cmocka_unit_test(test_an_unknown_begin_is_waited_for),
		cmocka_unit_test(test_a_group_is_done_at_its_end),
		cmocka_unit_test(test_random_arrivals_are_as_the_model_says),
		cmocka_unit_test(test_random_sizes_stay_within_the_arena),
	};
	return cmocka_run_group_tests_name("reorder", tests, NULL, NULL);
}
