/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Packets between whole nodes on the simulator: host i is 10.7.0.(i+1). */
#include <stdlib.h>

#include "base/util.h"
#include "support/sim_kit.h"

struct ready {
	struct world *w;
	size_t n; /* hosts: each has streams to all others */
};

static bool is_ready(void *ctx)
{
	const struct ready *r = ctx;
	for (size_t host = 0; host < r->n; host++) {
		const struct kit_node *k = &r->w->nodes[host];
		for (size_t i = 0; i < node_peer_count(k->node); i++) {
			if (!kit_node_has_stream(k, i))
				return false;
		}
	}
	return true;
}

static void wait_ready(struct world *w, size_t n)
{
	struct ready r = {w, n};
	world_until(w, is_ready, &r, SEC(3));
}

static struct world *two_nodes(void)
{
	struct world *w = world_new(1, 2);
	world_mesh(w, 2);
	wait_ready(w, 2);
	return w;
}

/* Every packet of these arrives as it was sent, in order, and nothing else. */
static void assert_passes(struct world *w, size_t from, size_t to)
{
	const size_t lengths[] = {32, 33, 576, 1280, KIT_MTU};
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
		world_send(w, from, to, (uint32_t)i, lengths[i]);
	world_run(w, MSEC(50));
	for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
		uint8_t want[KIT_MTU], got[2 * KIT_MTU];
		size_t len;
		assert_true(world_receive(w, to, got, sizeof(got), &len));
		kit_packet(want, from, to, (uint32_t)i, lengths[i]);
		assert_span_equal(span_of(got, len), span_of(want, lengths[i]));
	}
	uint8_t more[2 * KIT_MTU];
	size_t len;
	assert_false(world_receive(w, to, more, sizeof(more), &len));
	assert_false(world_receive(w, from, more, sizeof(more), &len));
}

static void test_packets_arrive_byte_for_byte(void **state)
{
	(void)state;
	struct world *w = two_nodes();
	assert_passes(w, 0, 1);
	assert_passes(w, 1, 0);
	struct node_peer_info info;
	node_peer_info(w->nodes[0].node, 0, &info);
	assert_string_equal(info.protocol, "/runnel/packet/1.0.0");
	assert_string_equal(info.agent, "runnel/test");
	assert_int_equal(info.dispatch.rtt, MSEC(2));
	assert_int_equal(info.dispatch.sent_packets, 5);
	assert_int_equal(info.rx_packets, 5);
	world_end(w);
}

static void test_vpn_protocol_carries_packets_both_ways(void **state)
{
	(void)state;
	const char *words[][2] = {{"vpn", "vpn"}, {"vpn", "auto"}, {"auto", "vpn"}};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct world *w = world_new(1, 2);
		for (size_t host = 0; host < 2; host++) {
			struct kit_peer peer = {.host = 1 - host,
						.is_dialled = host == 1,
						.protocol = words[i][host]};
			world_node(w, host, &peer, 1, NULL);
		}
		wait_ready(w, 2);
		assert_passes(w, 0, 1);
		assert_passes(w, 1, 0);
		struct node_peer_info info;
		node_peer_info(w->nodes[0].node, 0, &info);
		assert_string_equal(info.protocol, i == 2 ? "/runnel/packet/1.0.0" : "/vpn/1.0.0");
		world_end(w);
	}
}

/* The ICMP error that came back for a packet of kit_packet() from this host. */
static void assert_icmp(struct world *w, size_t host, uint8_t type, uint8_t code)
{
	uint8_t got[2 * KIT_MTU];
	size_t len;
	assert_true(world_receive(w, host, got, sizeof(got), &len));
	assert_in_range(len, 20 + 8 + 20 + 8, 576);
	assert_int_equal(got[9], IPPROTO_ICMP);
	assert_int_equal(got[20], type);
	assert_int_equal(got[21], code);
	const uint8_t own[4] = {10, 7, 0, (uint8_t)(host + 1)};
	assert_memory_equal(got + 16, own, 4);      /* to the sender */
	assert_memory_equal(got + 28 + 12, own, 4); /* about its packet */
}

static void test_a_destination_that_nobody_owns_is_unreachable(void **state)
{
	(void)state;
	struct world *w = two_nodes();
	world_send(w, 0, 5, 1, 100);
	world_run(w, MSEC(1));
	assert_icmp(w, 0, 3, 0);
	assert_int_equal(kit_drops(&w->nodes[0], DROP_NO_ROUTE), 1);
	struct ip_addr unrouted = node_unrouted(w->nodes[0].node);
	char text[IP_ADDR_TEXT_MAX];
	assert_string_equal(ip_addr_format(&unrouted, text), "10.7.0.6");
	world_end(w);
}

static void test_a_peer_that_is_away_is_unreachable_at_once(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	struct kit_peer peer = {.host = 1, .is_dialled = true};
	world_node(w, 0, &peer, 1, NULL);
	world_run(w, SEC(3));
	world_send(w, 0, 1, 1, 100);
	world_run(w, MSEC(1));
	assert_icmp(w, 0, 3, 1);
	assert_int_equal(kit_drops(&w->nodes[0], DROP_PEER_DOWN), 1);
	world_end(w);
}

static void test_packets_wait_for_a_short_break(void **state)
{
	(void)state;
	struct world *w = two_nodes();
	world_node_end(w, 0);
	world_run(w, MSEC(50));
	world_send(w, 1, 0, 77, 100);
	struct kit_peer peer = {.host = 1};
	world_node(w, 0, &peer, 1, NULL);
	world_run(w, SEC(1));
	uint8_t got[2 * KIT_MTU];
	size_t len;
	assert_true(world_receive(w, 0, got, sizeof(got), &len));
	assert_int_equal(kit_packet_number(got, len), 77);
	world_end(w);
}

static void test_garbage_from_the_kernel_is_dropped(void **state)
{
	(void)state;
	struct world *w = two_nodes();
	assert_ok(sim_tun_send(w->nodes[0].tun, span_str("x")));
	assert_ok(sim_tun_send(w->nodes[0].tun, span_str("\x45 and no more than that")));
	world_run(w, MSEC(10));
	assert_int_equal(kit_drops(&w->nodes[0], DROP_MALFORMED), 2);
	world_end(w);
}

static void test_a_spoofed_source_is_dropped_and_counted(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	/* Node 0 lets node 1 speak for 10.7.0.9 only. */
	struct kit_peer peer = {.host = 1, .allowed_ips = "10.7.0.9/32"};
	world_node(w, 0, &peer, 1, NULL);
	peer = (struct kit_peer){.host = 0, .is_dialled = true};
	world_node(w, 1, &peer, 1, NULL);
	wait_ready(w, 2);
	world_send(w, 1, 0, 1, 100); /* from 10.7.0.2 */
	world_run(w, MSEC(50));
	uint8_t got[2 * KIT_MTU];
	size_t len;
	assert_false(world_receive(w, 0, got, sizeof(got), &len));
	assert_int_equal(kit_drops(&w->nodes[0], DROP_SOURCE), 1);
	struct node_peer_info info;
	node_peer_info(w->nodes[0].node, 0, &info);
	assert_int_equal(info.dropped_packets, 1);
	assert_int_equal(info.rx_packets, 0);
	char text[IP_ADDR_TEXT_MAX];
	assert_string_equal(ip_addr_format(&info.refused_source, text), "10.7.0.2");
	/* The address that it may use passes. */
	uint8_t packet[100];
	kit_packet(packet, 8, 0, 2, sizeof(packet));
	assert_ok(sim_tun_send(w->nodes[1].tun, span_of(packet, sizeof(packet))));
	world_run(w, MSEC(50));
	assert_true(world_receive(w, 0, got, sizeof(got), &len));
	assert_int_equal(kit_packet_number(got, len), 2);
	world_end(w);
}

static void test_a_peer_without_a_path_does_not_hold_up_the_others(void **state)
{
	(void)state;
	struct world *w = world_new(1, 3);
	world_mesh(w, 3);
	wait_ready(w, 3);
	world_cut(w, 0, 1, true);
	uint8_t got[2 * KIT_MTU];
	size_t len;
	uint32_t n_arrived = 0;
	for (uint32_t i = 0; i < 2000; i++) {
		world_send(w, 0, 1, i, KIT_MTU);
		world_send(w, 0, 2, i, KIT_MTU);
		world_run(w, MSEC(2));
		while (world_receive(w, 2, got, sizeof(got), &len))
			assert_int_equal(kit_packet_number(got, len), n_arrived++);
	}
	world_run(w, MSEC(10));
	while (world_receive(w, 2, got, sizeof(got), &len))
		n_arrived++;
	assert_int_equal(n_arrived, 2000);
	struct node_peer_info info;
	node_peer_info(w->nodes[0].node, 0, &info);
	assert_true(info.dispatch.queued_packets <= 1000);
	assert_true(kit_drops(&w->nodes[0], DROP_QUEUE_FULL) > 0);
	assert_true(info.dropped_packets >= kit_drops(&w->nodes[0], DROP_QUEUE_FULL));
	node_peer_info(w->nodes[0].node, 1, &info);
	assert_int_equal(info.dropped_packets, 0);
	world_end(w);
}

static uint64_t sum_drops(const struct kit_node *k)
{
	struct metrics m = node_metrics(k->node);
	return metrics_dropped(&m);
}

/* More than the path carries, and the queues' bounds: nothing is lost without a trace. */
static void test_sent_is_delivered_or_dropped(void **state)
{
	(void)state;
	struct world *w = two_nodes();
	world_path(w, 0, 1, (struct sim_path){.delay = MSEC(10), .rate_bytes_per_sec = 500 * 1000});
	uint64_t sent = 0, delivered = 0;
	uint8_t packet[KIT_MTU], got[2 * KIT_MTU];
	size_t len;
	for (uint32_t i = 0; i < 500; i++) {
		for (size_t j = 0; j < 10; j++, sent++) {
			kit_packet(packet, 0, 1, i, 200 + i);
			assert_ok(sim_tun_send(w->nodes[0].tun, span_of(packet, 200 + i)));
		}
		world_run(w, MSEC(2));
		while (world_receive(w, 1, got, sizeof(got), &len))
			delivered++;
	}
	world_run(w, SEC(10));
	while (world_receive(w, 1, got, sizeof(got), &len))
		delivered++;
	assert_true(sum_drops(&w->nodes[0]) > 0);
	assert_true(delivered > 0);
	assert_int_equal(sent, delivered + sum_drops(&w->nodes[0]) + sum_drops(&w->nodes[1]));
	assert_int_equal(kit_counter(&w->nodes[0], COUNTER_TUN_RX_PACKETS), sent);
	assert_int_equal(kit_counter(&w->nodes[1], COUNTER_TUN_TX_PACKETS), delivered);
	assert_int_equal(kit_counter(&w->nodes[0], COUNTER_PEER_TX_BYTES),
			 kit_counter(&w->nodes[1], COUNTER_PEER_RX_BYTES));
	world_end(w);
}

static void note_closed(void *ctx)
{
	*(bool *)ctx = true;
}

/* --- life ----------------------------------------------------------------------------------------
 */

static void test_a_node_can_be_closed_at_any_moment(void **state)
{
	(void)state;
	for (nsec_t t = 0; t < MSEC(30); t += MSEC(1)) {
		struct world *w = world_new(t + 1, 2);
		world_mesh(w, 2);
		world_run(w, t);
		world_send(w, 0, 1, 1, 1000);
		world_send(w, 1, 0, 1, 1000);
		world_run(w, MSEC(1));
		world_node_end(w, t % 2);
		world_run(w, MSEC(5));
		world_end(w);
	}
}

/* A second node on the same host cannot listen: it says so, and can be closed. */
static void test_a_node_that_cannot_listen_can_be_closed(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	world_mesh(w, 1);
	struct kit_node *first = &w->nodes[0], second = {.identity = kit_identity(1)};
	bool is_closed = false;
	struct node_conf conf = {
		.loop = world_loop(w, 0),
		.config = first->config,
		.identity = second.identity,
		.agent = "runnel/test",
		.on_closed = note_closed,
		.ctx = &is_closed,
	};
	assert_ok(node_new(&conf, &second.node));
	size_t bad = 99;
	assert_err(node_start(second.node, &bad), ERR_ADDRESS_IN_USE);
	assert_int_equal(bad, 0);
	node_close(second.node);
	world_run(w, MSEC(10));
	assert_true(is_closed);
	node_free(second.node);
	/* And one that was never started. */
	assert_ok(node_new(&conf, &second.node));
	node_free(second.node);
	identity_free(second.identity);
	world_end(w);
}

static void test_a_node_that_is_its_own_peer_is_refused(void **state)
{
	(void)state;
	struct world *w = two_nodes();
	struct node_conf conf = {
		.loop = world_loop(w, 0),
		.config = w->nodes[1].config, /* whose peer is host 0 */
		.identity = w->nodes[0].identity,
		.agent = "runnel/test",
		.on_closed = note_closed,
	};
	struct node *node;
	assert_err(node_new(&conf, &node), ERR_SELF);
	world_end(w);
}

/* The tunnel does not run through itself. */
static void test_vpn_addresses_are_not_dialled(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	world_mesh(w, 2);
	wait_ready(w, 2);
	struct node_peer_info info;
	node_peer_info(w->nodes[1].node, 0, &info);
	uint64_t failed = node_swarm_stats(w->nodes[1].node).failed_outbound;
	world_node_end(w, 1);
	/* Host 0 now has a VPN address as its address. */
	world_move(w, 0, "10.7.0.1");
	struct kit_peer peer = {.host = 0, .is_dialled = true};
	world_node(w, 1, &peer, 1, NULL);
	world_run(w, SEC(3));
	assert_false(kit_node_has_stream(&w->nodes[1], 0));
	assert_int_equal(failed, 0);
	world_end(w);
}

static void note_ping(void *ctx, enum err result, nsec_t rtt)
{
	assert_ok(result);
	*(nsec_t *)ctx = rtt;
}

static void test_peers_are_found_by_name_or_id_and_pinged(void **state)
{
	(void)state;
	struct world *w = two_nodes();
	struct node *n = w->nodes[0].node;
	char text[PEER_ID_TEXT_MAX];
	struct peer_id id = kit_peer_id(1);
	assert_int_equal(node_find_peer(n, "peer1"), 0);
	assert_int_equal(node_find_peer(n, peer_id_format(&id, text)), 0);
	assert_int_equal(node_find_peer(n, "nobody"), SIZE_MAX);
	nsec_t rtt = 0;
	struct ping *ping;
	assert_ok(node_ping(n, 0, note_ping, &rtt, &ping));
	world_run(w, MSEC(50));
	assert_int_equal(rtt, MSEC(2));
	world_node_end(w, 1);
	world_run(w, MSEC(50));
	assert_err(node_ping(n, 0, note_ping, &rtt, &ping), ERR_UNREACHABLE);
	world_end(w);
}

/* A TUN that says it has something, and then cannot be read: as one whose device was deleted. */
static struct {
	const struct loop_ops *own;
	struct sock *tun;
	bool is_broken;
	unsigned n_failed; /* reads */
} broken_tun;

static enum err read_broken(struct sock *sock, void *buf, size_t cap, size_t *ret_n)
{
	if (sock != broken_tun.tun || !broken_tun.is_broken)
		return broken_tun.own->sock_read(sock, buf, cap, ret_n);
	broken_tun.n_failed++;
	return ERR_SYSTEM;
}

static void test_a_tun_that_cannot_be_read_is_tried_once_a_second(void **state)
{
	(void)state;
	struct world *w = two_nodes();
	struct loop *loop = world_loop(w, 0);
	broken_tun.own = loop->ops;
	broken_tun.tun = w->nodes[0].tun;
	broken_tun.is_broken = true;
	broken_tun.n_failed = 0;
	struct loop_ops ops = *loop->ops;
	ops.sock_read = read_broken;
	loop->ops = &ops;
	world_send(w, 0, 1, 1, 100);
	world_run(w, SEC(3) + MSEC(500));
	assert_int_equal(broken_tun.n_failed, 4);
	assert_true(kit_node_has_stream(&w->nodes[0], 0));
	assert_passes(w, 1, 0);
	broken_tun.is_broken = false;
	world_run(w, SEC(1)); /* it was kept by the kernel */
	uint8_t got[2 * KIT_MTU];
	size_t len;
	assert_true(world_receive(w, 1, got, sizeof(got), &len));
	assert_int_equal(kit_packet_number(got, len), 1);
	assert_passes(w, 0, 1);
	loop->ops = broken_tun.own;
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets_arrive_byte_for_byte),
		cmocka_unit_test(test_vpn_protocol_carries_packets_both_ways),
		cmocka_unit_test(test_a_destination_that_nobody_owns_is_unreachable),
		cmocka_unit_test(test_a_peer_that_is_away_is_unreachable_at_once),
		cmocka_unit_test(test_packets_wait_for_a_short_break),
		cmocka_unit_test(test_garbage_from_the_kernel_is_dropped),
		cmocka_unit_test(test_a_spoofed_source_is_dropped_and_counted),
		cmocka_unit_test(test_a_peer_without_a_path_does_not_hold_up_the_others),
		cmocka_unit_test(test_sent_is_delivered_or_dropped),
		cmocka_unit_test(test_a_node_can_be_closed_at_any_moment),
		cmocka_unit_test(test_a_node_that_cannot_listen_can_be_closed),
		cmocka_unit_test(test_a_node_that_is_its_own_peer_is_refused),
		cmocka_unit_test(test_vpn_addresses_are_not_dialled),
		cmocka_unit_test(test_peers_are_found_by_name_or_id_and_pinged),
		cmocka_unit_test(test_a_tun_that_cannot_be_read_is_tried_once_a_second),
	};
	return cmocka_run_group_tests_name("node", tests, NULL, NULL);
}
