/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/util.h"
#include "vpn/dispatch/fair_queue.h"
#include "vpn/dispatch/receipt.h"

enum {
	POOL = 4000,
	KEYS = 40,
	NOT_ECT = 0,
	ECT = 2,
	CE = 3,
};

struct fixture {
	struct packet_pool *pool;
	struct metrics metrics;
	struct share share;
	struct fair_queue_conf conf;
	struct fair_queue q;
	struct worker keys[KEYS];
};

static int set_up(void **state)
{
	struct fixture *f = aligned_alloc(64, sizeof(*f));
	memset(f, 0, sizeof(*f));
	assert_ok(packet_pool_new(POOL, 0, &f->pool));
	f->conf = (struct fair_queue_conf){
		.codel = {.target = 5 * NSEC_PER_MSEC,
			  .interval = 100 * NSEC_PER_MSEC,
			  .mtu_bytes = 1514},
		.packets_max = 1000,
		.worker_packets_max = 1000,
	};
	f->share = (struct share){.pool = f->pool, .packets_max = 1000, .bytes_max = 1000000};
	fair_queue_init(&f->q, &f->conf, &f->share, &f->metrics);
	for (size_t i = 0; i < KEYS; i++)
		f->keys[i].index = (uint32_t)i;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	for (size_t i = 0; i < KEYS; i++) {
		struct worker *w = &f->keys[i];
		if (w->queue != NULL)
			fair_queue_leave(&f->q, w);
		while (w->head != NULL)
			share_drop(&f->share, &f->metrics, worker_take(w), DROP_CLOSING);
	}
	assert_int_equal(f->q.packets + f->q.bytes + f->share.packets + f->share.bytes, 0);
	packet_pool_free(f->pool);
	free(f);
	return 0;
}

/* A packet of IPv4 with this ECN field, whose number stands behind the header. */
static struct packet *packet_of(struct fixture *f, size_t len, uint32_t number, uint8_t ecn)
{
	struct packet *p = packet_alloc(f->pool, len);
	assert_non_null(p);
	memset(p->data, 0, len);
	p->data[0] = 0x45;
	p->data[1] = ecn;
	store_be32(p->data + 20, number);
	p->len = (uint32_t)len;
	return p;
}

static uint32_t number_of(const struct packet *p)
{
	return load_be32(p->data + 20);
}

static void push(struct fixture *f, size_t key, size_t len, uint32_t number, nsec_t now)
{
	fair_queue_push(&f->q, &f->keys[key], packet_of(f, len, number, NOT_ECT), now);
}

/* What a channel does with what it takes, once it is sent. */
static void send(struct fixture *f, struct packet *p)
{
	f->share.packets--;
	f->share.bytes -= p->len;
	packet_end(p, &f->metrics, PACKET_SENT);
}

/* The next packet and its key; NULL: none. */
static struct packet *take(struct fixture *f, size_t *ret_key, nsec_t now)
{
	struct worker *w;
	while ((w = fair_queue_next(&f->q)) != NULL) {
		*ret_key = w->index;
		struct packet *p = fair_queue_take(&f->q, w, now);
		if (p != NULL)
			return p;
	}
	return NULL;
}

/* Whose packet it was; there is one. */
static size_t take_and_send(struct fixture *f, nsec_t now)
{
	size_t key = KEYS;
	struct packet *p = take(f, &key, now);
	assert_non_null(p);
	if (p != NULL)
		send(f, p);
	return key;
}

static void join(struct fixture *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fair_queue_join(&f->q, &f->keys[i]);
}

static void test_packets_of_a_key_stay_in_order(void **state)
{
	struct fixture *f = *state;
	uint32_t given[KEYS] = {0}, taken[KEYS] = {0};
	join(f, KEYS);
	for (unsigned i = 0; i < 200000; i++) {
		size_t key = testkit_random() % KEYS;
		struct packet *p;
		if (testkit_random() % 2 == 0 && f->q.packets < 900)
			push(f, key, 24 + testkit_random() % 1400, ++given[key], 0);
		else if ((p = take(f, &key, 0)) != NULL) {
			assert_int_equal(number_of(p), ++taken[key]);
			send(f, p);
		}
	}
	assert_int_equal(metrics_dropped(&f->metrics), 0);
	assert_true(f->metrics.counters[COUNTER_PEER_TX_PACKETS] > 90000);
}

static void test_a_ping_overtakes_a_bulk_transfer(void **state)
{
	struct fixture *f = *state;
	join(f, 2);
	for (uint32_t i = 0; i < 500; i++)
		push(f, 0, 1400, i, 0);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(take_and_send(f, 0), 0);
	push(f, 1, 84, 1, 0);
	assert_int_equal(take_and_send(f, 0), 1);
	/* Its turn is not over: it has bytes left. Then the other one's comes. */
	assert_int_equal(take_and_send(f, 0), 0);
	push(f, 1, 84, 2, 0);
	/* Not a newcomer any more, it waits for its turn, which is not far. */
	unsigned before = 1;
	while (take_and_send(f, 0) == 0)
		before++;
	assert_in_range(before, 1, 3);
}

static void test_keys_share_by_bytes_whatever_their_packets_are(void **state)
{
	struct fixture *f = *state;
	static const size_t lens[] = {64, 200, 576, 1400};
	uint64_t bytes[ARRAY_LEN(lens)] = {0};
	join(f, ARRAY_LEN(lens));
	for (unsigned i = 0; i < 20000; i++) {
		for (size_t k = 0; k < ARRAY_LEN(lens); k++) {
			while (f->keys[k].packets < 50)
				push(f, k, lens[k], 0, 0);
		}
		size_t key = take_and_send(f, 0);
		bytes[key] += lens[key];
	}
	for (size_t k = 1; k < ARRAY_LEN(lens); k++) {
		uint64_t less = MIN(bytes[0], bytes[k]), more = MAX(bytes[0], bytes[k]);
		/* Nobody is ahead by more than a turn and a packet. */
		assert_true(more - less <= 2 * FAIR_QUANTUM + 1400);
	}
	assert_int_equal(metrics_dropped(&f->metrics), 0);
}

static void test_at_its_bound_a_key_loses_its_own_oldest(void **state)
{
	struct fixture *f = *state;
	f->conf.worker_packets_max = 10;
	join(f, 2);
	push(f, 1, 1000, 0, 0);
	for (uint32_t i = 1; i <= 13; i++)
		push(f, 0, 30, i, 0);
	assert_int_equal(f->keys[0].packets, 10);
	assert_int_equal(number_of(f->keys[0].head), 4);
	assert_int_equal(f->keys[1].packets, 1);
	assert_int_equal(f->metrics.drops[DROP_QUEUE_FULL], 3);
}

/* The fat key 0 fills the queue; a thin one comes: who pays is the fat one, with its oldest. */
static void check_fat_pays(struct fixture *f, uint32_t fat, size_t len)
{
	join(f, 3);
	push(f, 2, 40, 1, 0);
	for (uint32_t i = 1; i <= fat; i++)
		push(f, 0, len, i, 0);
	uint64_t before = f->metrics.drops[DROP_QUEUE_FULL];
	assert_true(f->keys[0].packets > 1);
	uint32_t oldest = number_of(f->keys[0].head);
	push(f, 1, 84, 7, 0);
	assert_int_equal(f->keys[1].packets, 1);
	assert_int_equal(f->keys[2].packets, 1);
	assert_true(f->metrics.drops[DROP_QUEUE_FULL] > before);
	assert_true(number_of(f->keys[0].head) > oldest);
	assert_int_equal(f->keys[0].bytes + 84 + 40, f->q.bytes);
}

static void test_at_the_bound_of_the_stream_the_fattest_pays(void **state)
{
	struct fixture *f = *state;
	f->conf.packets_max = 20;
	check_fat_pays(f, 19, 1000);
	assert_int_equal(f->q.packets, 20);
}

static void test_at_the_peers_bound_of_packets_the_fattest_pays(void **state)
{
	struct fixture *f = *state;
	f->share.packets_max = 20;
	check_fat_pays(f, 19, 1000);
	assert_int_equal(f->share.packets, 20);
}

static void test_at_the_peers_bound_of_bytes_the_fattest_pays(void **state)
{
	struct fixture *f = *state;
	f->share.bytes_max = 20000;
	check_fat_pays(f, 19, 1050);
	assert_true(f->share.bytes <= 20000);
}

/* A stream that does not move has taken all of the peer's share: those of another one still send.
 */
static void test_a_full_stream_does_not_starve_another_of_its_peer(void **state)
{
	struct fixture *f = *state;
	struct fair_queue other;
	fair_queue_init(&other, &f->conf, &f->share, &f->metrics);
	f->share.packets_max = 100;
	join(f, 2);
	for (uint32_t i = 1; i <= 200; i++)
		push(f, i % 2, 1000, i, 0);
	fair_queue_join(&other, &f->keys[2]);
	for (uint32_t i = 1; i <= 30; i++) {
		struct packet *p = packet_of(f, 84, i, NOT_ECT);
		fair_queue_push(&other, &f->keys[2], p, 0);
		assert_int_equal(f->keys[2].packets, i);
		assert_int_equal(f->share.packets, 100);
	}
	assert_int_equal(number_of(f->keys[2].head), 1);
	/* Once it holds most itself, it pays itself. */
	for (uint32_t i = 31; i <= 100; i++)
		fair_queue_push(&other, &f->keys[2], packet_of(f, 1400, i, NOT_ECT), 0);
	assert_true(number_of(f->keys[2].head) > 1 && f->q.packets > 20);
	fair_queue_leave(&other, &f->keys[2]);
	fair_queue_deinit(&other);
}

static void test_a_peer_leaves_as_many_packets_free_as_it_holds(void **state)
{
	struct fixture *f = *state;
	struct packet_pool *small;
	assert_ok(packet_pool_new(21, 0, &small));
	f->share.pool = small;
	join(f, 1);
	for (uint32_t i = 1; i <= 20; i++) {
		struct packet *p = packet_alloc(small, 100);
		assert_non_null(p); /* there is always one left for others */
		p->len = 100;
		fair_queue_push(&f->q, &f->keys[0], p, 0);
	}
	assert_in_range(f->share.packets, 10, 11);
	assert_int_equal(f->metrics.drops[DROP_QUEUE_FULL], 20 - f->share.packets);
	fair_queue_leave(&f->q, &f->keys[0]);
	while (f->keys[0].head != NULL)
		share_drop(&f->share, &f->metrics, worker_take(&f->keys[0]), DROP_CLOSING);
	packet_pool_free(small);
}

static void test_a_packet_beyond_all_bounds_is_dropped_itself(void **state)
{
	struct fixture *f = *state;
	f->share.bytes_max = 100;
	join(f, 1);
	push(f, 0, 101, 1, 0);
	assert_int_equal(f->q.packets, 0);
	assert_int_equal(f->share.dropped_packets, 1);
	assert_int_equal(f->metrics.drops[DROP_QUEUE_FULL], 1);
	push(f, 0, 100, 1, 0);
	assert_int_equal(f->q.packets, 1);
}

/* More comes than leaves, for seconds; returns packets sent. */
static uint64_t overload(struct fixture *f, uint8_t ecn)
{
	join(f, 1);
	uint64_t sent = 0;
	for (uint32_t i = 0; i < 3000; i++) {
		nsec_t now = NSEC_PER_SEC + i * NSEC_PER_MSEC;
		if (f->q.packets < 300)
			fair_queue_push(&f->q, &f->keys[0], packet_of(f, 1000, i, ecn), now);
		size_t key;
		struct packet *p = i % 2 == 0 ? take(f, &key, now) : NULL;
		if (p == NULL)
			continue;
		assert_int_equal(f->q.sojourn, now - p->queued_at);
		sent++;
		if ((p->data[1] & 3) == CE)
			assert_int_equal(ecn, ECT);
		send(f, p);
	}
	return sent;
}

static void test_what_waits_too_long_is_dropped_and_says_why(void **state)
{
	struct fixture *f = *state;
	overload(f, NOT_ECT);
	assert_true(f->metrics.drops[DROP_QUEUE_DELAY] > 10);
	assert_int_equal(f->metrics.counters[COUNTER_ECN_MARKED], 0);
	assert_int_equal(f->metrics.drops[DROP_QUEUE_DELAY], metrics_dropped(&f->metrics));
	assert_int_equal(f->share.dropped_packets, metrics_dropped(&f->metrics));
}

static void test_what_can_be_marked_is_marked_and_not_dropped(void **state)
{
	struct fixture *f = *state;
	overload(f, ECT);
	assert_int_equal(metrics_dropped(&f->metrics), 0);
	assert_true(f->metrics.counters[COUNTER_ECN_MARKED] > 10);
}

static void test_each_packet_that_leaves_is_in_the_histograms(void **state)
{
	struct fixture *f = *state;
	uint64_t sent = overload(f, ECT), waited = 0, depth = 0;
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
		waited += f->metrics.histograms[HISTOGRAM_SOJOURN][i];
		depth += f->metrics.histograms[HISTOGRAM_DEPTH][i];
	}
	assert_int_equal(waited, sent);
	assert_int_equal(depth, sent + f->q.packets);
}

/* --- a model: each key a count of packets and bytes, and who stands here --------------------- */

static void check_sums(const struct fixture *f)
{
	size_t packets = 0, bytes = 0, all_packets = 0, all_bytes = 0, lines = 0;
	for (size_t i = 0; i < KEYS; i++) {
		const struct worker *w = &f->keys[i];
		size_t n = 0, len = 0;
		for (const struct packet *p = w->head; p != NULL; p = p->next) {
			n++;
			len += p->len;
			if (p->next == NULL)
				assert_ptr_equal(w->tail, p);
		}
		assert_int_equal(w->packets, n);
		assert_int_equal(w->bytes, len);
		all_packets += n;
		all_bytes += len;
		if (w->queue == NULL) {
			assert_int_equal(w->place, WORKER_IDLE);
			continue;
		}
		packets += n;
		bytes += len;
		lines += w->place != WORKER_IDLE;
		if (n > 0)
			assert_int_not_equal(w->place, WORKER_IDLE);
	}
	assert_int_equal(f->q.packets, packets);
	assert_int_equal(f->q.bytes, bytes);
	assert_int_equal(f->share.packets, all_packets);
	assert_int_equal(f->share.bytes, all_bytes);
	size_t standing = 0;
	struct worker *const heads[] = {f->q.fresh, f->q.standing};
	for (size_t i = 0; i < 2; i++) {
		struct worker *w = heads[i];
		if (w == NULL)
			continue;
		do {
			assert_int_equal(w->place, i == 0 ? WORKER_FRESH : WORKER_STANDING);
			assert_ptr_equal(w->next->prev, w);
			standing++;
			w = w->next;
		} while (w != heads[i]);
	}
	assert_int_equal(lines, standing);
}

static void test_random_life_keeps_all_counts(void **state)
{
	struct fixture *f = *state;
	f->conf.packets_max = 150;
	f->conf.worker_packets_max = 30;
	f->share.packets_max = 200;
	f->share.bytes_max = 120000;
	uint32_t given = 0, last[KEYS] = {0};
	uint64_t sent = 0;
	for (unsigned i = 0; i < 60000; i++) {
		uint64_t dice = testkit_random();
		struct worker *w = &f->keys[dice % KEYS];
		nsec_t now = NSEC_PER_SEC + i * NSEC_PER_USEC * 20;
		size_t key;
		struct packet *p;
		switch ((dice >> 16) % 8) {
		case 0:
			if (w->queue == NULL)
				fair_queue_join(&f->q, w);
			break;
		case 1:
			if (w->queue != NULL && dice >> 60 == 0)
				fair_queue_leave(&f->q, w);
			break;
		case 2:
		case 3:
			p = take(f, &key, now);
			if (p == NULL)
				break;
			assert_true(number_of(p) > last[key]);
			last[key] = number_of(p);
			send(f, p);
			sent++;
			break;
		default:
			if (w->queue != NULL)
				push(f, dice % KEYS, 24 + (dice >> 32) % 1400, ++given, now);
		}
		check_sums(f);
		assert_true(f->share.packets <= 200 && f->share.bytes <= 120000);
	}
	assert_int_equal(given, sent + metrics_dropped(&f->metrics) + f->share.packets);
	assert_int_equal(f->share.dropped_packets, metrics_dropped(&f->metrics));
	assert_true(f->metrics.drops[DROP_QUEUE_FULL] > 100);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_packets_of_a_key_stay_in_order),
		WITH_FIXTURE(test_a_ping_overtakes_a_bulk_transfer),
		WITH_FIXTURE(test_keys_share_by_bytes_whatever_their_packets_are),
		WITH_FIXTURE(test_at_its_bound_a_key_loses_its_own_oldest),
		WITH_FIXTURE(test_at_the_bound_of_the_stream_the_fattest_pays),
		WITH_FIXTURE(test_at_the_peers_bound_of_packets_the_fattest_pays),
		WITH_FIXTURE(test_at_the_peers_bound_of_bytes_the_fattest_pays),
		WITH_FIXTURE(test_a_full_stream_does_not_starve_another_of_its_peer),
		WITH_FIXTURE(test_a_peer_leaves_as_many_packets_free_as_it_holds),
		WITH_FIXTURE(test_a_packet_beyond_all_bounds_is_dropped_itself),
		WITH_FIXTURE(test_what_waits_too_long_is_dropped_and_says_why),
		WITH_FIXTURE(test_what_can_be_marked_is_marked_and_not_dropped),
		WITH_FIXTURE(test_each_packet_that_leaves_is_in_the_histograms),
		WITH_FIXTURE(test_random_life_keeps_all_counts),
	};
	return cmocka_run_group_tests_name("fair_queue", tests, NULL, NULL);
}
