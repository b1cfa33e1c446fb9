/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What a node counts on the way from its peers to its TUN, to the packet; and under which name. */
#include "support/sim_kit.h"

#include "base/util.h"
#include "loop/sim_internal.h"
#include "vpn/node/lane.h"

enum {
	FLOOD_STEPS = 200,
	FLOOD_PACKETS = 30, /* a step */
	FLOOD_STEP_MS = 5,
};

/* So many were dropped for this reason, and none for another. */
static void assert_dropped(const struct kit_node *k, enum drop reason, uint64_t n)
{
	for (size_t i = 0; i < DROP_COUNT; i++)
		assert_int_equal(kit_drops(k, (enum drop)i), i == (size_t)reason ? n : 0);
}

static bool are_up(void *ctx)
{
	const struct world *w = ctx;
	return kit_node_has_stream(&w->nodes[0], 0) && kit_node_has_stream(&w->nodes[1], 0);
}

static struct world *two_nodes(void)
{
	struct world *w = world_new(1, 2);
	world_mesh(w, 2);
	world_until(w, are_up, w, SEC(3));
	return w;
}

/* --- ICMP errors --------------------------------------------------------------------- */

static uint64_t count_received(struct world *w, size_t host)
{
	uint8_t got[2 * KIT_MTU];
	size_t len;
	uint64_t n = 0;
	while (world_receive(w, host, got, sizeof(got), &len))
		n++;
	return n;
}

static void test_icmp_errors_are_limited_to_their_rate(void **state)
{
	(void)state;
	struct world *w = world_new(1, 1);
	world_node(w, 0, NULL, 0, NULL);
	world_run(w, SEC(1)); /* the bucket is not fuller for it */
	const struct kit_node *k = &w->nodes[0];
	uint64_t given = 0;
	for (uint64_t i = 0; i < FLOOD_STEPS; i++) {
		for (size_t j = 0; j < FLOOD_PACKETS; j++, given++)
			world_send(w, 0, 5, 1, 100);
		world_run(w, MSEC(1));
		uint64_t allowed = ICMP_ERRORS_BURST +
				   i * FLOOD_STEP_MS * ICMP_ERRORS_PER_SEC / 1000;
		assert_int_equal(kit_counter(k, COUNTER_ICMP_SENT), allowed);
		assert_int_equal(kit_counter(k, COUNTER_ICMP_LIMITED), given - allowed);
		world_run(w, MSEC(FLOOD_STEP_MS - 1));
	}
	assert_dropped(k, DROP_NO_ROUTE, given);
	assert_int_equal(count_received(w, 0), kit_counter(k, COUNTER_ICMP_SENT));
	/* After a pause as many at once as at the start. */
	uint64_t before = kit_counter(k, COUNTER_ICMP_SENT);
	world_run(w, SEC(10));
	for (size_t j = 0; j < FLOOD_PACKETS; j++)
		world_send(w, 0, 5, 1, 100);
	world_run(w, MSEC(1));
	assert_int_equal(kit_counter(k, COUNTER_ICMP_SENT), before + ICMP_ERRORS_BURST);
	world_end(w);
}

/* --- the TUN ------------------------------------------------------------------------- */

static void test_what_is_written_to_the_tun_is_counted_with_its_bytes(void **state)
{
	(void)state;
	struct world *w = two_nodes();
	const size_t lengths[] = {40, 41, 700, KIT_MTU};
	size_t sum = 0;
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		world_send(w, 0, 1, 1, lengths[i]);
		sum += lengths[i];
	}
	world_run(w, MSEC(50));
	const struct kit_node *from = &w->nodes[0], *to = &w->nodes[1];
	assert_int_equal(kit_counter(from, COUNTER_TUN_RX_PACKETS), ARRAY_LEN(lengths));
	assert_int_equal(kit_counter(from, COUNTER_TUN_RX_BYTES), sum);
	assert_int_equal(kit_counter(from, COUNTER_PEER_TX_PACKETS), ARRAY_LEN(lengths));
	assert_int_equal(kit_counter(from, COUNTER_PEER_TX_BYTES), sum);
	assert_int_equal(kit_counter(from, COUNTER_TUN_TX_PACKETS), 0);
	assert_int_equal(kit_counter(from, COUNTER_TUN_TX_BYTES), 0);
	assert_int_equal(kit_counter(to, COUNTER_PEER_RX_PACKETS), ARRAY_LEN(lengths));
	assert_int_equal(kit_counter(to, COUNTER_PEER_RX_BYTES), sum);
	assert_int_equal(kit_counter(to, COUNTER_TUN_TX_PACKETS), ARRAY_LEN(lengths));
	assert_int_equal(kit_counter(to, COUNTER_TUN_TX_BYTES), sum);
	/* Each opened one stream toward the other. */
	assert_int_equal(kit_counter(from, COUNTER_STREAMS_ACCEPTED), 1);
	assert_int_equal(kit_counter(to, COUNTER_STREAMS_ACCEPTED), 1);
	assert_int_equal(kit_counter(from, COUNTER_STREAMS_OPENED), 1);
	assert_int_equal(kit_counter(from, COUNTER_FRAMES_SKIPPED), 0);
	assert_int_equal(kit_counter(from, COUNTER_STREAMS_BROKEN), 0);
	world_end(w);
}

static enum err full(struct sim_sock *sock, const struct iovec *iov, int n_iov, size_t *ret_n)
{
	(void)sock, (void)iov, (void)n_iov, (void)ret_n;
	return ERR_AGAIN;
}

static enum err broken(struct sim_sock *sock, const struct iovec *iov, int n_iov, size_t *ret_n)
{
	(void)sock, (void)iov, (void)n_iov, (void)ret_n;
	return ERR_SYSTEM;
}

static void check_tun_write(enum err (*writev)(struct sim_sock *sock, const struct iovec *iov,
					       int n_iov, size_t *ret_n),
			    enum drop reason)
{
	struct world *w = two_nodes();
	struct sim_sock *tun = CONTAINER_OF(w->nodes[1].tun, struct sim_sock, base);
	const struct sim_sock_ops *usual = tun->ops;
	struct sim_sock_ops ops = *usual;
	ops.writev = writev;
	tun->ops = &ops;
	for (size_t i = 0; i < 7; i++)
		world_send(w, 0, 1, 1, 100);
	world_run(w, MSEC(50));
	tun->ops = usual;
	assert_dropped(&w->nodes[1], reason, 7);
	assert_int_equal(kit_counter(&w->nodes[1], COUNTER_TUN_TX_PACKETS), 0);
	assert_int_equal(kit_counter(&w->nodes[1], COUNTER_TUN_TX_BYTES), 0);
	world_end(w);
}

static void test_a_full_tun_and_one_that_refuses_are_told_apart(void **state)
{
	(void)state;
	check_tun_write(full, DROP_TUN_FULL);
	check_tun_write(broken, DROP_TUN_WRITE);
}

static void test_without_a_tun_what_arrives_could_not_be_written(void **state)
{
	(void)state;
	struct world *w = two_nodes();
	struct shard *s = &w->nodes[1].node->shards[0];
	struct sock *tun = s->tun;
	s->tun = NULL;
	for (size_t i = 0; i < 7; i++)
		world_send(w, 0, 1, 1, 100);
	world_run(w, MSEC(50));
	s->tun = tun;
	assert_dropped(&w->nodes[1], DROP_TUN_WRITE, 7);
	world_end(w);
}

/* --- frames of a peer that is no node ------------------------------------------------ */

/* Host 1, whose packet stream the test writes; host 0 is a node. */
struct raw {
	struct world *w;
	struct stream *stream;
	bool is_closed;
	enum err why;
};

static void on_raw_open(struct stream *s)
{
	((struct raw *)stream_user(s))->stream = s;
}

static void on_raw_close(struct stream *s, enum err why)
{
	struct raw *r = stream_user(s);
	r->is_closed = true;
	r->why = why;
}

static const struct stream_ops raw_ops = {.on_open = on_raw_open, .on_close = on_raw_close};

static bool is_connected(void *ctx)
{
	return world_best(((struct raw *)ctx)->w, 1, 0) != NULL;
}

static bool is_open(void *ctx)
{
	return ((struct raw *)ctx)->stream != NULL;
}

static void raw_begin(struct raw *r)
{
	static const char *const names[] = {FRAME_PROTOCOL};
	*r = (struct raw){.w = world_new(1, 2)};
	struct kit_peer peer = {.host = 1};
	world_node(r->w, 0, &peer, 1, NULL);
	world_swarm(r->w, 1, NULL, 0);
	world_want(r->w, 1, 0);
	world_until(r->w, is_connected, r, SEC(3));
	struct stream *s;
	assert_ok(conn_open_stream(world_best(r->w, 1, 0), names, 1, &raw_ops, r, &s));
	world_until(r->w, is_open, r, SEC(1));
	uint8_t bytes[FRAME_HEADER_LEN + FRAME_HELLO_LEN_SENT_MAX];
	struct wbuf out = wbuf_of(bytes, sizeof(bytes));
	frame_put_hello(&out, &r->w->nodes[0].node->settings.hello);
	assert_ok(stream_write(r->stream, wbuf_view(&out)));
}

static void raw_seq(struct raw *r, uint32_t seq)
{
	uint8_t bytes[FRAME_SEQ_HEADER_LEN + 100];
	frame_put_seq_header(bytes, &(struct frame_seq){.group = 9, .seq = seq}, 100);
	kit_packet(bytes + FRAME_SEQ_HEADER_LEN, 1, 0, seq, 100);
	assert_ok(stream_write(r->stream, span_of(bytes, sizeof(bytes))));
	world_run(r->w, MSEC(5));
}

static void test_frames_of_unknown_types_are_counted(void **state)
{
	(void)state;
	static const uint8_t frames[] = {200, 0, 0, 0, 201, 0, 0, 2, 'h', 'i', 202, 0, 0, 1, 0};
	struct raw r;
	raw_begin(&r);
	const struct kit_node *k = &r.w->nodes[0];
	assert_ok(stream_write(r.stream, span_of(frames, sizeof(frames))));
	world_run(r.w, MSEC(50));
	assert_int_equal(kit_counter(k, COUNTER_FRAMES_SKIPPED), 3);
	/* Byte by byte: each once. */
	for (size_t i = 0; i < sizeof(frames); i++) {
		assert_ok(stream_write(r.stream, span_of(&frames[i], 1)));
		world_run(r.w, MSEC(5));
	}
	assert_int_equal(kit_counter(k, COUNTER_FRAMES_SKIPPED), 6);
	assert_int_equal(kit_counter(k, COUNTER_STREAMS_ACCEPTED), 1);
	assert_int_equal(kit_counter(k, COUNTER_STREAMS_BROKEN), 0);
	assert_false(r.is_closed);
	world_end(r.w);
}

static void test_a_stream_that_breaks_the_rules_is_counted_and_ended(void **state)
{
	(void)state;
	static const uint8_t frames[] = {200, 0, 0, 0, FRAME_HELLO, 0, 0, 0}; /* a second HELLO */
	struct raw r;
	raw_begin(&r);
	assert_ok(stream_write(r.stream, span_of(frames, sizeof(frames))));
	world_run(r.w, MSEC(50));
	assert_true(r.is_closed);
	assert_int_equal(kit_counter(&r.w->nodes[0], COUNTER_STREAMS_BROKEN), 1);
	assert_int_equal(kit_counter(&r.w->nodes[0], COUNTER_FRAMES_SKIPPED), 1);
	world_end(r.w);
}

/* Late, and twice. */
static void test_numbered_packets_that_come_too_late_are_dropped_as_that(void **state)
{
	(void)state;
	struct raw r;
	raw_begin(&r);
	const struct kit_node *k = &r.w->nodes[0];
	for (uint32_t seq = 0; seq < 4; seq++)
		raw_seq(&r, seq);
	assert_dropped(k, DROP_REORDER, 0);
	raw_seq(&r, 1);
	assert_dropped(k, DROP_REORDER, 1);
	raw_seq(&r, 5); /* is kept for 4 */
	raw_seq(&r, 5);
	assert_dropped(k, DROP_REORDER, 2);
	assert_int_equal(kit_counter(k, COUNTER_TUN_TX_PACKETS), 4);
	raw_seq(&r, 4);
	assert_dropped(k, DROP_REORDER, 2);
	assert_int_equal(kit_counter(k, COUNTER_TUN_TX_PACKETS), 6);
	assert_int_equal(kit_counter(k, COUNTER_PEER_RX_PACKETS), 8);
	struct node_peer_info info;
	node_peer_info(k->node, 0, &info);
	assert_int_equal(info.dropped_packets, 2);
	assert_int_equal(info.rx_packets, 6);
	world_end(r.w);
}

/* --- between shards ------------------------------------------------------------------ */

static void test_what_shard_0_has_no_room_for_is_dropped_as_that(void **state)
{
	(void)state;
	struct world *w = world_new(1, 1);
	w->n_shards[0] = 2;
	struct kit_peer peer = {.host = 2};
	struct kit_node *k = world_node(w, 0, &peer, 1, NULL);
	world_run(w, SEC(1));
	struct shard *s = &k->node->shards[1];
	struct peer_id id = kit_peer_id(2);
	struct conn_key key = {.family = 4, .ip = {10, 7, 0, 3}};
	size_t n_free = packet_pool_free_count(s->pool);
	for (size_t i = 0; i < LANE_INBOX + 5; i++) {
		struct packet *p = packet_alloc(s->pool, 100);
		assert_non_null(p);
		p->len = (uint32_t)kit_packet(p->data, 0, 2, 1, 100);
		lane_hand_over(s, &id, p, &key);
	}
	assert_int_equal(packet_pool_free_count(s->pool), n_free);
	assert_dropped(k, DROP_HANDOFF_FULL, 5);
	assert_int_equal(kit_counter(k, COUNTER_HANDOFFS), LANE_INBOX);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_icmp_errors_are_limited_to_their_rate),
		cmocka_unit_test(test_what_is_written_to_the_tun_is_counted_with_its_bytes),
		cmocka_unit_test(test_a_full_tun_and_one_that_refuses_are_told_apart),
		cmocka_unit_test(test_without_a_tun_what_arrives_could_not_be_written),
		cmocka_unit_test(test_frames_of_unknown_types_are_counted),
		cmocka_unit_test(test_a_stream_that_breaks_the_rules_is_counted_and_ended),
		cmocka_unit_test(test_numbered_packets_that_come_too_late_are_dropped_as_that),
		cmocka_unit_test(test_what_shard_0_has_no_room_for_is_dropped_as_that),
	};
	return cmocka_run_group_tests_name("counts", tests, NULL, NULL);
}
