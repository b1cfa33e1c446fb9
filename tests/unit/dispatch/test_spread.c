/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A trunk and two limbs, each at a channel of its own, without a dispatcher: packets are numbered
 * in the order of their key whatever stands beside the limbs, and stay the trunk's until they are
 * sent.
 */
#include "support/testkit.h"

#include <stdlib.h>

#include "base/util.h"
#include "vpn/dispatch/pool_stream.h"
#include "vpn/dispatch/receipt.h"
#include "vpn/dispatch/spread.h"
#include "vpn/dispatch/stream_manager.h"
#include "vpn/stream/frame_reader.h"

enum {
	LEN = 1400,            /* bytes of a packet */
	FRAME = LEN + 12,      /* ... with group and number */
	SMALL_LEN = 100,       /* bytes of what others send */
	PACKETS_MAX = 1000,    /* of a scene */
	QUEUE_MAX = 100,       /* packets at a channel */
	PULL_MAX = 256 * 1024, /* bytes: all that a scene has */
	NOW_S = 1,
};

#define NOW (NOW_S * NSEC_PER_SEC)

struct scene {
	struct packet_pool *packets;
	struct metrics metrics;
	struct share share;
	struct fair_queue_conf conf;
	struct pool_stream streams[2];
	struct frame_reader *readers[2];
	struct worker trunk, other, small[QUEUE_MAX];
	struct spread spread;
	uint32_t place_of[PACKETS_MAX]; /* by number in the group: its place in the key, from 1 */
	uint32_t n_arrived;
};

static struct fair_queue *queue(struct scene *s, size_t i)
{
	return &s->streams[i].channel.queue;
}

static void set_up_stream(struct scene *s, size_t i)
{
	const struct frame_hello hello = {
		.version = FRAME_VERSION,
		.mtu = 1420,
		.capabilities = FRAME_CAN_PROBE | FRAME_CAN_SEQ,
		.payload_len_max = FRAME_PAYLOAD_LEN_MAX,
		.stream_id = 1,
	};
	struct channel *c = &s->streams[i].channel;
	channel_init(c, &s->conf, &s->share, &s->metrics);
	channel_attach(c, &hello);
	channel_peer_hello(c, &hello);
	assert_ok(frame_reader_new(FRAME_ACCEPTOR, &hello, &s->readers[i]));
	struct worker *limb = &s->spread.limbs[i];
	limb->spread = &s->spread;
	limb->is_limb = true;
	stream_manager_link(&s->streams[i], limb);
	fair_queue_join(queue(s, i), limb);
}

static int set_up(void **state)
{
	struct scene *s = aligned_alloc(_Alignof(struct scene), sizeof(*s));
	assert_non_null(s);
	memset(s, 0, sizeof(*s));
	assert_ok(packet_pool_new(PACKETS_MAX, 0, &s->packets));
	s->conf = (struct fair_queue_conf){
		.codel = {.target = 5 * NSEC_PER_MSEC,
			  .interval = 100 * NSEC_PER_MSEC,
			  .mtu_bytes = 1514},
		.packets_max = QUEUE_MAX,
		.worker_packets_max = QUEUE_MAX,
	};
	s->share = (struct share){
		.pool = s->packets, .packets_max = PACKETS_MAX, .bytes_max = PACKETS_MAX * LEN};
	s->spread.trunk = &s->trunk;
	s->spread.n_limbs = 2;
	s->trunk.spread = &s->spread;
	for (size_t i = 0; i < 2; i++)
		set_up_stream(s, i);
	*state = s;
	return 0;
}

static void empty(struct worker *w)
{
	if (w->queue != NULL)
		fair_queue_leave(w->queue, w);
	while (w->head != NULL)
		packet_free(worker_take(w));
}

static int tear_down(void **state)
{
	struct scene *s = *state;
	empty(&s->trunk);
	empty(&s->other);
	for (size_t i = 0; i < QUEUE_MAX; i++)
		empty(&s->small[i]);
	for (size_t i = 0; i < 2; i++) {
		empty(&s->spread.limbs[i]);
		channel_deinit(&s->streams[i].channel);
		frame_reader_free(s->readers[i]);
	}
	assert_int_equal(packet_pool_free_count(s->packets), PACKETS_MAX);
	s->packets = packet_pool_free(s->packets);
	free(s);
	return 0;
}

static struct packet *make_packet(struct scene *s, uint32_t place, size_t len)
{
	struct packet *p = packet_alloc(s->packets, len);
	assert_non_null(p);
	memset(p->data, 0, len);
	p->data[0] = 0x45;
	store_be32(p->data + 20, place);
	p->len = (uint32_t)len;
	return p;
}

/* As the dispatcher does with the packets of a spread key. */
static void feed(struct scene *s, uint32_t n)
{
	for (uint32_t place = 1; place <= n; place++) {
		struct packet *p = make_packet(s, place, LEN);
		p->queued_at = NOW;
		worker_append(&s->trunk, p);
		s->share.packets++;
		s->share.bytes += p->len;
	}
	for (size_t i = 0; i < 2; i++)
		fair_queue_stir(queue(s, i), &s->spread.limbs[i]);
}

/* The connection of a stream has room for so much. */
static void pull(struct scene *s, size_t i, size_t cap)
{
	static uint8_t buf[PULL_MAX];
	struct span in = span_of(buf, channel_pull(&s->streams[i].channel, buf, cap, NOW));
	struct frame_event event;
	while (frame_reader_read(s->readers[i], &in, &event) == ERR_OK) {
		if (event.type != FRAME_EV_PACKET || !event.is_seq)
			continue;
		assert_in_range(event.seq.seq, 0, PACKETS_MAX - 1);
		s->place_of[event.seq.seq] = load_be32(event.packet.p + 20);
		s->n_arrived++;
	}
}

static void check_all_in_order(const struct scene *s, uint32_t n)
{
	assert_int_equal(s->n_arrived, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(s->place_of[i], i + 1);
}

/* Another key has its turn at one of the two streams, whose connection then has no room for a
 * while: what its limb would send next must not have been taken before. */
static void test_numbers_follow_the_key_beside_another_one(void **state)
{
	struct scene *s = *state;
	feed(s, 20);
	fair_queue_join(queue(s, 0), &s->other);
	for (uint32_t i = 0; i < 3; i++)
		fair_queue_push(queue(s, 0), &s->other, make_packet(s, 0, LEN), NOW);
	pull(s, 0, 3 * FRAME);
	pull(s, 1, 10 * FRAME);
	pull(s, 0, PULL_MAX);
	pull(s, 1, PULL_MAX);
	check_all_in_order(s, 20);
}

/* The same, with room for any number of bytes, which may end within a packet. */
static void test_numbers_follow_the_key_wherever_a_connection_stops(void **state)
{
	struct scene *s = *state;
	feed(s, 60);
	fair_queue_join(queue(s, 0), &s->other);
	for (uint32_t i = 0; i < 30; i++)
		fair_queue_push(queue(s, 0), &s->other, make_packet(s, 0, LEN), NOW);
	while (s->n_arrived < 60)
		pull(s, testkit_random() % 2, 1 + testkit_random() % (4 * FRAME));
	check_all_in_order(s, 60);
}

/* Its packets stand in no queue: a bound of one is no reason to drop them. */
static void test_a_full_queue_does_not_empty_a_trunk(void **state)
{
	struct scene *s = *state;
	feed(s, 50);
	for (size_t i = 0; i < QUEUE_MAX; i++) {
		fair_queue_join(queue(s, 0), &s->small[i]);
		fair_queue_push(queue(s, 0), &s->small[i], make_packet(s, 0, SMALL_LEN), NOW);
	}
	assert_int_equal(s->metrics.drops[DROP_QUEUE_FULL], 0);
	fair_queue_join(queue(s, 0), &s->other);
	fair_queue_push(queue(s, 0), &s->other, make_packet(s, 0, SMALL_LEN), NOW);
	assert_int_equal(s->metrics.drops[DROP_QUEUE_FULL], 1);
	assert_int_equal(s->trunk.packets, 50);
}

/* Its turn had come, but nothing of the packet was sent. */
static void test_a_lost_limb_gives_back_what_it_had_taken(void **state)
{
	struct scene *s = *state;
	feed(s, 20);
	struct worker *lost = &s->spread.limbs[0];
	assert_ptr_equal(fair_queue_next(queue(s, 0)), lost);
	assert_int_equal(lost->packets, 1);
	assert_int_equal(s->trunk.packets, 19);
	/* Nobody is to be woken: there is no link. */
	stream_manager_unlink(&s->spread.limbs[1]);
	spread_lose_limb(lost);
	assert_null(lost->stream);
	assert_null(lost->queue);
	assert_int_equal(queue(s, 0)->packets, 0);
	assert_int_equal(queue(s, 0)->bytes, 0);
	assert_int_equal(s->trunk.packets, 20);
	assert_int_equal(s->trunk.bytes, 20 * LEN);
	pull(s, 1, PULL_MAX);
	check_all_in_order(s, 20);
	assert_int_equal(s->share.packets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_numbers_follow_the_key_beside_another_one,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_numbers_follow_the_key_wherever_a_connection_stops, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_full_queue_does_not_empty_a_trunk, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_lost_limb_gives_back_what_it_had_taken,
						set_up, tear_down),
	};
	return cmocka_run_group_tests_name("dispatch_spread", tests, NULL, NULL);
}
