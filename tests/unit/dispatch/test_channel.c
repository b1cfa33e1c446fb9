/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "vpn/dispatch/channel.h"
#include "vpn/stream/frame_reader.h"

enum {
	POOL_SMALL = 64,
	POOL_LARGE = 8,
	HELLO_LEN = FRAME_HEADER_LEN + FRAME_HELLO_LEN,
};

static const struct frame_hello hello = {
	.version = FRAME_VERSION,
	.mtu = 1420,
	.capabilities = FRAME_CAN_OFFLOAD | FRAME_CAN_PROBE,
	.payload_len_max = FRAME_PAYLOAD_LEN_MAX,
};

static const struct fair_queue_conf conf = {
	.codel = {.target = NSEC_PER_SEC, .interval = 4 * NSEC_PER_SEC, .mtu_bytes = 1514},
	.packets_max = 32,
	.worker_packets_max = 32,
};

struct fixture {
	struct packet_pool *pool;
	struct metrics metrics;
	struct share share;
	struct channel c;
	struct worker key;
	uint8_t out[1 << 18];
};

static int set_up(void **state)
{
	struct fixture *f = aligned_alloc(64, sizeof(*f));
	memset(f, 0, sizeof(*f));
	assert_ok(packet_pool_new(POOL_SMALL, POOL_LARGE, &f->pool));
	f->share = (struct share){.pool = f->pool, .packets_max = 32, .bytes_max = 200000};
	channel_init(&f->c, &conf, &f->share, &f->metrics);
	fair_queue_join(&f->c.queue, &f->key);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	fair_queue_leave(&f->c.queue, &f->key);
	while (f->key.head != NULL)
		share_drop(&f->share, &f->metrics, worker_take(&f->key), DROP_CLOSING);
	channel_deinit(&f->c);
	assert_int_equal(f->share.packets + f->share.bytes, 0);
	packet_pool_free(f->pool); /* asserts that all came back */
	free(f);
	return 0;
}

/* `len` bytes of `fill`. */
static struct packet *packet_of(struct fixture *f, size_t len, uint8_t fill)
{
	struct packet *p = packet_alloc(f->pool, len);
	assert_non_null(p);
	memset(p->data, fill, len);
	p->len = (uint32_t)len;
	return p;
}

static struct packet *super_of(struct fixture *f, size_t len, uint8_t fill)
{
	struct packet *p = packet_of(f, len, fill);
	p->offload = (struct offload){.flags = OFFLOAD_NEEDS_CSUM,
				      .gso_type = OFFLOAD_GSO_TCP4,
				      .hdr_len = 40,
				      .gso_size = 1380,
				      .csum_start = 20,
				      .csum_offset = 16};
	return p;
}

static void push(struct fixture *f, struct packet *p)
{
	fair_queue_push(&f->c.queue, &f->key, p, 0);
}

static size_t pull(struct fixture *f, size_t cap)
{
	uint8_t *exact = malloc(cap > 0 ? cap : 1);
	size_t n = channel_pull(&f->c, exact, cap, 0);
	assert_true(n <= cap);
	memcpy(f->out, exact, n);
	free(exact);
	return n;
}

static void make_ready(struct fixture *f)
{
	channel_attach(&f->c, &hello);
	assert_int_equal(pull(f, 1000), HELLO_LEN);
	channel_peer_hello(&f->c, &hello);
}

static void test_detached_channel_keeps_packets(void **state)
{
	struct fixture *f = *state;
	push(f, packet_of(f, 100, 1));
	assert_false(channel_has_output(&f->c));
	assert_int_equal(pull(f, 1000), 0);
	channel_attach_vpn(&f->c, 1420);
	assert_true(channel_has_output(&f->c));
	assert_int_equal(pull(f, 1000), 104);
}

static void test_vpn_frames_are_lengths_and_packets(void **state)
{
	struct fixture *f = *state;
	channel_attach_vpn(&f->c, 1420);
	push(f, packet_of(f, 2, 0xaa));
	push(f, packet_of(f, 1, 0xbb));
	assert_int_equal(pull(f, 1000), 11);
	assert_memory_equal(f->out, "\0\0\0\2\xaa\xaa\0\0\0\1\xbb", 11);
	assert_false(channel_has_output(&f->c));
	assert_int_equal(f->metrics.counters[COUNTER_PEER_TX_PACKETS], 2);
	assert_int_equal(f->metrics.counters[COUNTER_PEER_TX_BYTES], 3);
}

static void test_hello_goes_first(void **state)
{
	struct fixture *f = *state;
	push(f, packet_of(f, 3, 0xaa));
	channel_attach(&f->c, &hello);
	assert_int_equal(pull(f, 1000), HELLO_LEN + 7);
	assert_int_equal(f->out[0], FRAME_HELLO);
	assert_memory_equal(f->out + HELLO_LEN, "\2\0\0\3\xaa\xaa\xaa", 7);
}

/* Supers and what is behind them wait for the peer's HELLO; short plain packets do not. */
static void test_long_packets_wait_for_the_peers_hello(void **state)
{
	struct fixture *f = *state;
	channel_attach(&f->c, &hello);
	push(f, packet_of(f, FRAME_MTU_MIN, 1));
	push(f, packet_of(f, FRAME_MTU_MIN + 1, 2));
	push(f, packet_of(f, 20, 3));
	assert_int_equal(pull(f, 10000), HELLO_LEN + FRAME_HEADER_LEN + FRAME_MTU_MIN);
	assert_int_equal(pull(f, 10000), 0);
	channel_peer_hello(&f->c, &hello);
	assert_true(channel_has_output(&f->c));
	assert_int_equal(pull(f, 10000), 2 * FRAME_HEADER_LEN + FRAME_MTU_MIN + 1 + 20);

	push(f, super_of(f, 3000, 1));
	channel_reset_to_frame_boundary(&f->c);
	channel_attach(&f->c, &hello);
	assert_int_equal(pull(f, 10000), HELLO_LEN);
	channel_peer_hello(&f->c, &hello);
	assert_int_equal(pull(f, 10000), FRAME_SUPER_HEADER_LEN + 3000);
	assert_int_equal(f->out[0], FRAME_SUPER);
	assert_int_equal(f->metrics.counters[COUNTER_SUPER_TX_PACKETS], 1);
}

static void test_mtu_is_what_the_peer_said_and_boundless_before(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(channel_mtu(&f->c), PACKET_LEN_MAX);
	channel_attach(&f->c, &hello);
	assert_int_equal(channel_mtu(&f->c), PACKET_LEN_MAX);
	channel_peer_hello(&f->c, &(struct frame_hello){.mtu = 1300, .payload_len_max = 1300});
	assert_int_equal(channel_mtu(&f->c), 1300);
	channel_reset_to_frame_boundary(&f->c);
	assert_int_equal(channel_mtu(&f->c), PACKET_LEN_MAX);
	channel_attach_vpn(&f->c, 1350);
	assert_int_equal(channel_mtu(&f->c), 1350);
}

static void test_what_the_peer_does_not_take_is_dropped_by_name(void **state)
{
	struct fixture *f = *state;
	struct frame_hello bare = {.version = 1, .mtu = 1300, .payload_len_max = 1300};
	channel_attach(&f->c, &hello);
	channel_peer_hello(&f->c, &bare);
	pull(f, 1000);
	push(f, super_of(f, 3000, 1));
	push(f, packet_of(f, 1301, 1));
	assert_int_equal(pull(f, 10000), 0);
	assert_int_equal(f->metrics.drops[DROP_PEER_OFFLOAD], 1);
	assert_int_equal(f->metrics.drops[DROP_TOO_BIG], 1);
	assert_int_equal(f->metrics.dropped_bytes, 4301);
	assert_int_equal(f->share.dropped_packets, 2);
	assert_int_equal(f->c.sent_packets, 0); /* what was pushed is not what was sent */
	push(f, packet_of(f, 1300, 7));
	assert_int_equal(pull(f, 10000), 1304);
	assert_int_equal(f->c.sent_packets, 1);
	assert_int_equal(f->c.sent_bytes, 1300);

	/* Segments longer than the peer's MTU, payloads longer than its limit. */
	channel_reset_to_frame_boundary(&f->c);
	struct frame_hello small = hello;
	small.payload_len_max = 3000;
	channel_attach(&f->c, &hello);
	channel_peer_hello(&f->c, &small);
	pull(f, 1000);
	push(f, super_of(f, 2991, 1));
	struct packet *p = super_of(f, 2000, 1);
	p->offload.gso_size = 1381;
	push(f, p);
	assert_int_equal(pull(f, 10000), 0);
	assert_int_equal(f->metrics.drops[DROP_TOO_BIG], 3);
	push(f, super_of(f, 2990, 1));
	assert_int_equal(pull(f, 10000), FRAME_HEADER_LEN + 3000);
}

/* The peer's share holds it until its last byte is out, and no other packet takes its place. */
static void test_a_packet_that_is_being_sent_still_counts(void **state)
{
	struct fixture *f = *state;
	channel_attach_vpn(&f->c, 1420);
	for (unsigned i = 0; i < 32; i++)
		push(f, packet_of(f, 10, (uint8_t)i));
	assert_int_equal(pull(f, 13), 13);
	assert_int_equal(f->c.queue.packets, 31);
	assert_int_equal(f->share.packets, 32);
	push(f, packet_of(f, 10, 99));
	assert_int_equal(f->metrics.drops[DROP_QUEUE_FULL], 1);
	assert_int_equal(f->share.packets, 32);
	assert_int_equal(pull(f, 1), 1);
	assert_int_equal(f->share.packets, 31);
	assert_int_equal(pull(f, 14), 14);
	assert_int_equal(f->out[4], 2); /* 1 was the oldest that waited */
}

static void test_open_checksums_are_finished_for_who_takes_no_offload(void **state)
{
	struct fixture *f = *state;
	channel_attach_vpn(&f->c, 1420);
	for (unsigned i = 0; i < 2; i++) {
		struct packet *p = packet_of(f, 40, 0);
		p->offload = (struct offload){
			.flags = OFFLOAD_NEEDS_CSUM, .csum_start = 20, .csum_offset = 16};
		p->data[39] = 1;
		push(f, p);
		if (i == 0) {
			assert_int_equal(pull(f, 1000), 44);
			assert_int_equal(load_be16(f->out + 4 + 36), 0xfffe);
			channel_reset_to_frame_boundary(&f->c);
			make_ready(f);
		} else {
			assert_int_equal(pull(f, 1000), FRAME_SUPER_HEADER_LEN + 40);
			assert_int_equal(load_be16(f->out + FRAME_SUPER_HEADER_LEN + 36), 0);
		}
	}
}

static void test_half_sent_packet_dies_with_its_stream_and_others_wait(void **state)
{
	struct fixture *f = *state;
	channel_attach_vpn(&f->c, 1420);
	push(f, packet_of(f, 10, 1));
	push(f, packet_of(f, 10, 2));
	push(f, packet_of(f, 10, 3));
	assert_int_equal(pull(f, 14 + 5), 19);
	channel_reset_to_frame_boundary(&f->c);
	assert_int_equal(f->metrics.drops[DROP_STREAM_RESET], 1);
	assert_int_equal(f->c.queue.packets, 1);
	assert_false(channel_has_output(&f->c));
	channel_attach_vpn(&f->c, 1420);
	assert_int_equal(pull(f, 1000), 14);
	assert_int_equal(f->out[4], 3);
	/* At a boundary nothing is lost. */
	push(f, packet_of(f, 10, 4));
	channel_reset_to_frame_boundary(&f->c);
	assert_int_equal(f->metrics.drops[DROP_STREAM_RESET], 1);
	assert_int_equal(f->c.queue.packets, 1);
}

static void test_control_frames_go_between_frames(void **state)
{
	struct fixture *f = *state;
	const struct frame_probe probe = {.id = 7, .sent_at = 8};
	make_ready(f);
	push(f, packet_of(f, 10, 1));
	push(f, packet_of(f, 10, 2));
	assert_int_equal(pull(f, 2), 2);
	assert_ok(channel_put_probe(&f->c, FRAME_PROBE, &probe));
	assert_int_equal(pull(f, 1000), 12 + 20 + 14);
	assert_int_equal(f->out[12], FRAME_PROBE);
	assert_int_equal(load_be64(f->out + 16), 7);
	assert_int_equal(f->out[12 + 20], FRAME_PACKET);
}

static void test_control_frames_are_bounded_and_cut_like_others(void **state)
{
	struct fixture *f = *state;
	struct frame_probe probe = {0};
	make_ready(f);
	unsigned n = 0;
	for (; channel_put_probe(&f->c, FRAME_PROBE_ANSWER, &probe) == ERR_OK; n++)
		probe.id = n + 1;
	assert_int_equal(n, CHANNEL_CONTROL_CAP / 20);
	/* Byte by byte, refilling as soon as there is room. */
	uint8_t all[2000];
	size_t len = 0;
	while (channel_has_output(&f->c)) {
		assert_int_equal(pull(f, 1), 1);
		all[len++] = f->out[0];
		if (n < 50 && channel_put_probe(&f->c, FRAME_PROBE_ANSWER, &probe) == ERR_OK)
			probe.id = ++n;
	}
	assert_int_equal(len, 50 * 20);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(load_be64(all + i * 20 + 4), i);
	/* They die with their stream. */
	assert_ok(channel_put_probe(&f->c, FRAME_PROBE, &probe));
	channel_reset_to_frame_boundary(&f->c);
	channel_attach(&f->c, &hello);
	assert_int_equal(pull(f, 1000), HELLO_LEN);
}

/*
 * Random pushes, pulls of random sizes and stream deaths against a list of what was pushed: what
 * the other end reads is in order and whole, and everything is delivered or counted.
 */
static void test_random_life_loses_only_what_it_counts(void **state)
{
	struct fixture *f = *state;
	uint32_t next = 0, last = 0;
	uint64_t delivered = 0;
	struct frame_reader *r = NULL;
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t dice = testkit_random();
		if (r == NULL) {
			assert_ok(frame_reader_new(FRAME_ACCEPTOR, &hello, &r));
			channel_attach(&f->c, &hello);
		} else if (dice % 500 == 0) {
			channel_reset_to_frame_boundary(&f->c);
			r = frame_reader_free(r);
			continue;
		} else if (dice % 50 == 0 && f->c.state == CHANNEL_GREETED) {
			channel_peer_hello(&f->c, &hello);
		}
		if (dice % 3 > 0) {
			size_t len = 4 + (dice >> 8) % 1400;
			struct packet *p = dice % 41 == 0 ? packet_alloc(f->pool, 30000)
							  : packet_alloc(f->pool, len);
			if (p != NULL) {
				memset(p->data, 0x33, len);
				p->len = (uint32_t)len;
				store_be32(p->data, ++next);
				fair_queue_push(&f->c.queue, &f->key, p, i);
			}
		}
		struct span in = span_of(f->out, pull(f, (dice >> 32) % 3000));
		struct frame_event event;
		enum err e;
		while ((e = frame_reader_read(r, &in, &event)) == ERR_OK) {
			if (event.type != FRAME_EV_PACKET)
				continue;
			assert_true(load_be32(event.packet.p) > last);
			last = load_be32(event.packet.p);
			delivered++;
		}
		assert_err(e, ERR_AGAIN);
	}
	frame_reader_free(r);
	channel_reset_to_frame_boundary(&f->c);
	assert_int_equal(next, delivered + metrics_dropped(&f->metrics) + f->c.queue.packets);
	assert_int_equal(delivered, f->metrics.counters[COUNTER_PEER_TX_PACKETS]);
	assert_int_equal(metrics_dropped(&f->metrics),
			 f->metrics.drops[DROP_STREAM_RESET] + f->metrics.drops[DROP_QUEUE_FULL]);
	assert_true(delivered > 10000 && f->metrics.drops[DROP_QUEUE_FULL] > 0 &&
		    f->metrics.drops[DROP_STREAM_RESET] > 0);
}

/* Several keys take turns; what the far end reads of each is in order, however it is cut. */
static void test_frames_of_all_keys_are_whole_at_every_cut(void **state)
{
	struct fixture *f = *state;
	for (size_t cut = 1; cut <= 80; cut++) {
		struct worker keys[3] = {0};
		struct frame_reader *r;
		assert_ok(frame_reader_new(FRAME_ACCEPTOR, &hello, &r));
		channel_attach(&f->c, &hello);
		for (unsigned k = 0; k < 3; k++)
			fair_queue_join(&f->c.queue, &keys[k]);
		for (unsigned i = 0; i < 15; i++) {
			struct packet *p = packet_of(f, 20 + i, (uint8_t)(i % 3));
			p->data[1] = (uint8_t)(i / 3);
			fair_queue_push(&f->c.queue, &keys[i % 3], p, 0);
		}
		unsigned seen[3] = {0};
		while (channel_has_output(&f->c)) {
			struct span in = span_of(f->out, pull(f, cut));
			assert_true(in.len > 0);
			struct frame_event ev;
			while (frame_reader_read(r, &in, &ev) == ERR_OK) {
				if (ev.type != FRAME_EV_PACKET)
					continue;
				assert_int_equal(ev.packet.p[1], seen[ev.packet.p[0]]);
				assert_int_equal(ev.packet.len,
						 20 + 3 * ev.packet.p[1] + ev.packet.p[0]);
				seen[ev.packet.p[0]]++;
			}
		}
		assert_true(seen[0] == 5 && seen[1] == 5 && seen[2] == 5);
		assert_true(frame_reader_is_between(r));
		for (unsigned k = 0; k < 3; k++)
			fair_queue_leave(&f->c.queue, &keys[k]);
		frame_reader_free(r);
		channel_reset_to_frame_boundary(&f->c);
	}
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(test_detached_channel_keeps_packets),
		WITH_FIXTURE(test_vpn_frames_are_lengths_and_packets),
		WITH_FIXTURE(test_hello_goes_first),
		WITH_FIXTURE(test_long_packets_wait_for_the_peers_hello),
		WITH_FIXTURE(test_mtu_is_what_the_peer_said_and_boundless_before),
		WITH_FIXTURE(test_what_the_peer_does_not_take_is_dropped_by_name),
		WITH_FIXTURE(test_a_packet_that_is_being_sent_still_counts),
		WITH_FIXTURE(test_open_checksums_are_finished_for_who_takes_no_offload),
		WITH_FIXTURE(test_half_sent_packet_dies_with_its_stream_and_others_wait),
		WITH_FIXTURE(test_control_frames_go_between_frames),
		WITH_FIXTURE(test_control_frames_are_bounded_and_cut_like_others),
		WITH_FIXTURE(test_frames_of_all_keys_are_whole_at_every_cut),
		WITH_FIXTURE(test_random_life_loses_only_what_it_counts),
	};
	return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
