/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/sim_kit.h"

#include "base/util.h"
#include "p2p/host/netaddr.h"

static bool is_connected(void *ctx)
{
	struct world *w = ctx;
	return world_best(w, 0, 1) != NULL && world_best(w, 1, 0) != NULL;
}

static bool is_down(void *ctx)
{
	struct world *w = ctx;
	return world_best(w, 0, 1) == NULL && world_best(w, 1, 0) == NULL;
}

static struct swarm_peer_info info_of(struct world *w, size_t host, size_t peer)
{
	struct swarm_peer_info info;
	struct peer_id id = kit_peer_id(peer);
	assert_ok(swarm_peer_info(w->swarms[host].swarm, &id, &info));
	return info;
}

static void test_two_swarms_connect_and_part(void **state)
{
	(void)state;
	struct world *w = world_connected(1, NULL, 0);
	world_run(w, SEC(3));
	assert_int_equal(w->swarms[0].n_best, 1);
	assert_int_equal(w->swarms[1].n_best, 1);
	assert_int_equal(w->swarms[0].n_down, 0);
	struct swarm_peer_info info = info_of(w, 0, 1);
	assert_true(info.is_connected && info.is_outbound && !info.is_dialling && !info.is_suspect);
	assert_int_equal(info.n_conns, 1);
	assert_int_equal(info.failure.why, ERR_OK);
	assert_int_equal(info.rtt, MSEC(2));
	assert_false(info_of(w, 1, 0).is_outbound);

	/* Host 1 does not want host 0: it closes, and host 0 dials again. */
	conn_close(world_best(w, 1, 0), ERR_CLOSED);
	world_until(w, is_down, w, MSEC(100));
	assert_int_equal(w->swarms[0].n_down, 1);
	assert_int_equal(w->swarms[1].n_down, 1);
	assert_int_equal(w->swarms[1].why_down, ERR_CLOSED);
	assert_int_equal(w->swarms[0].why_down, ERR_GO_AWAY);
	world_until(w, is_connected, w, SEC(2));
	assert_int_equal(w->swarms[0].n_best, 2);
	struct swarm_stats stats = swarm_get_stats(w->swarms[1].swarm);
	assert_int_equal(stats.accepted, 2);
	assert_int_equal(stats.opened, 2);
	assert_int_equal(stats.closed, 1);
	assert_int_equal(stats.failed_inbound, 0);
	world_end(w);
}

/* A ping each way per keepalive, and no conversation about them. */
static void test_an_idle_connection_is_quiet(void **state)
{
	(void)state;
	struct world *w = world_connected(1, NULL, 0);
	world_run(w, SEC(30));
	uint64_t before = info_of(w, 0, 1).stats.tx_bytes;
	world_run(w, SEC(600));
	uint64_t sent = info_of(w, 0, 1).stats.tx_bytes - before;
	const uint64_t record_len = 2 + 12 + 16;
	assert_in_range(sent, 600 / 20 * record_len, 2 * 600 / 15 * record_len);
	assert_int_equal(w->swarms[0].n_best, 1);
	assert_int_equal(w->swarms[0].n_down, 0);
	world_end(w);
}

static uint64_t mixed(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15u;
	return x ^ x >> 31;
}

/* Both dial at once, over paths of all kinds. */
static void dial_each_other(uint64_t seed)
{
	struct world *w = world_new(seed, 2);
	uint64_t r = mixed(seed);
	world_path(w, 0, 1,
		   (struct sim_path){.delay = MSEC(1 + r % 200), .jitter = MSEC(r / 256 % 200)});
	world_swarm(w, 0, NULL, 0);
	world_swarm(w, 1, NULL, 0);
	world_want(w, 0, 1);
	world_run(w, MSEC(r / 65536 % 600));
	world_want(w, 1, 0);
	world_until(w, is_connected, w, SEC(10));
	world_run(w, SEC(2) + SWARM_GRACE);
	struct swarm_peer_info a = info_of(w, 0, 1), b = info_of(w, 1, 0);
	if (a.n_conns != 1 || b.n_conns != 1 || a.is_outbound == b.is_outbound ||
	    w->swarms[0].n_down + w->swarms[1].n_down != 0)
		fail_msg("seed %llu: %zu and %zu connections, %u and %u times down",
			 (unsigned long long)seed, a.n_conns, b.n_conns, w->swarms[0].n_down,
			 w->swarms[1].n_down);
	assert_int_equal(swarm_conn_count(w->swarms[0].swarm), 1);
	assert_int_equal(swarm_conn_count(w->swarms[1].swarm), 1);
	assert_false(a.is_dialling || b.is_dialling);
	world_end(w);
}

static void test_dialling_each_other_ends_in_the_same_one_connection(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(250); seed++)
		dial_each_other(seed);
}

static void test_a_peer_that_starts_last_is_found(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	world_swarm(w, 0, NULL, 0);
	world_want(w, 0, 1);
	world_run(w, SEC(10));
	assert_int_equal(info_of(w, 0, 1).failure.why, ERR_REFUSED);
	assert_true(info_of(w, 0, 1).is_dialling);
	assert_in_range(swarm_get_stats(w->swarms[0].swarm).failed_outbound, 3, 8);
	world_swarm(w, 1, NULL, 0);
	world_until(w, is_connected, w, SEC(38)); /* nobody waits for it */
	world_end(w);
}

static void test_demand_shortens_the_wait(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	world_swarm(w, 0, NULL, 0);
	world_want(w, 0, 1);
	world_run(w, SEC(200));
	world_swarm(w, 1, NULL, 0);
	struct peer_id id = kit_peer_id(1);
	swarm_demand(w->swarms[0].swarm, &id);
	world_until(w, is_connected, w, SEC(1));
	world_end(w);
}

static uint64_t failures(const struct world *w)
{
	return swarm_get_stats(w->swarms[0].swarm).failed_outbound;
}

static void test_back_off_doubles_within_its_jitter(void **state)
{
	(void)state;
	bool differs = false;
	nsec_t first[10] = {0};
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct world *w = world_new(seed, 2);
		world_swarm(w, 0, NULL, 0);
		world_want(w, 0, 1);
		nsec_t wait = DIAL_BACKOFF_MIN;
		uint64_t seen = 0;
		nsec_t at = 0;
		for (size_t i = 0; i < 10; i++) {
			while (failures(w) == seen)
				world_run(w, MSEC(1));
			seen = failures(w);
			nsec_t took = sim_now(w->sim) - at;
			if (at != 0) {
				/* refused after one round trip; the steps of this test are 1 ms */
				assert_in_range(took, wait - wait / 4, wait + wait / 4 + MSEC(5));
				differs |= first[i] != 0 && first[i] != took;
				first[i] = took;
				wait = nsec_min(2 * wait, DIAL_BACKOFF_MAX);
			}
			at = sim_now(w->sim);
		}
		world_end(w);
	}
	assert_true(differs);
}

static void test_another_peer_at_the_address_is_refused(void **state)
{
	(void)state;
	struct world *w = world_new(1, 3);
	world_swarm(w, 0, NULL, 0);
	world_swarm(w, 2, NULL, 0);
	const char *addr = "/ip4/192.0.2.3/tcp/4001"; /* where host 2 is, not host 1 */
	world_want_at(w, 0, 1, &addr, 1);
	world_run(w, MSEC(300));
	assert_null(world_best(w, 0, 1));
	struct dial_failure failure = info_of(w, 0, 1).failure;
	assert_int_equal(failure.why, ERR_WRONG_PEER);
	struct peer_id there = kit_peer_id(2);
	assert_true(peer_id_equal(&failure.answered, &there)); /* it says who answered */
	assert_int_equal(w->swarms[2].n_best, 0);
	assert_int_equal(swarm_conn_count(w->swarms[2].swarm), 0);
	assert_true(swarm_get_stats(w->swarms[2].swarm).failed_inbound > 0);
	world_end(w);
}

/* Its kernel takes the connection, its process does nothing with it. */
static void test_a_dialled_peer_that_hangs_is_given_up(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	struct sock *listener;
	union netaddr at = kit_netaddr("192.0.2.2", KIT_PORT);
	assert_ok(loop_tcp_listen(world_loop(w, 1), &at, &listener));
	world_swarm(w, 0, NULL, 0);
	world_want(w, 0, 1);
	world_run(w, UPGRADE_TIMEOUT - MSEC(10));
	assert_int_equal(swarm_conn_count(w->swarms[0].swarm), 1);
	assert_int_equal(swarm_get_stats(w->swarms[0].swarm).failed_outbound, 0);
	world_run(w, MSEC(20));
	assert_int_equal(swarm_conn_count(w->swarms[0].swarm), 0);
	assert_int_equal(info_of(w, 0, 1).failure.why, ERR_TIMEOUT);
	sock_close(listener, true);
	world_end(w);
}

static void test_nobody_connects_to_itself(void **state)
{
	(void)state;
	struct world *w = world_new(1, 1);
	struct kit_swarm *k = world_swarm(w, 0, NULL, 0);
	struct peer_id own = kit_peer_id(0);
	struct multiaddr addr = kit_host_addr(0);
	assert_err(swarm_add_peer(k->swarm, &own, &addr, 1), ERR_SELF);
	/* Another peer's address that leads back to us. */
	const char *loop = "/ip4/127.0.0.1/tcp/4001";
	world_want_at(w, 0, 1, &loop, 1);
	world_run(w, MSEC(300));
	assert_null(world_best(w, 0, 1));
	enum err e = info_of(w, 0, 1).failure.why;
	assert_true(e == ERR_SELF || e == ERR_WRONG_PEER);
	assert_int_equal(k->n_best, 0);
	world_end(w);
}

static void test_unknown_peers_are_gated_and_counted_once(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	world_swarm(w, 0, NULL, 0);
	world_swarm(w, 1, NULL, 0)->refuses_all = true;
	world_want(w, 0, 1);
	world_run(w, MSEC(300));
	assert_null(world_best(w, 1, 0));
	struct swarm_stats stats = swarm_get_stats(w->swarms[1].swarm);
	assert_int_equal(stats.accepted, 1);
	assert_int_equal(stats.refused_gated, 1);
	assert_int_equal(stats.failed_inbound, 0); /* it did prove who it is */
	assert_int_equal(stats.opened, 0);
	assert_int_equal(swarm_conn_count(w->swarms[1].swarm), 0);
	struct swarm_peer_info info;
	struct peer_id id = kit_peer_id(0);
	assert_err(swarm_peer_info(w->swarms[1].swarm, &id, &info), ERR_NOT_FOUND);
	/* Both sides can say what happened: who was turned away, and that it was right after the
	 * handshake. */
	assert_int_equal(w->swarms[1].n_refused, 1);
	assert_true(peer_id_equal(&w->swarms[1].refused, &id));
	struct dial_failure failure = info_of(w, 0, 1).failure;
	assert_int_equal(failure.reached, CONN_OPEN);
	assert_int_not_equal(failure.why, ERR_OK);
	assert_int_equal(w->swarms[0].n_dial_failed, 1);
	/* To the refused one it looked like a connection: it backs off all the same. */
	world_run(w, SEC(60));
	assert_in_range(swarm_get_stats(w->swarms[1].swarm).accepted, 5, 8);
	world_end(w);
}

/* --- one peer, many connections: conn_dial() without a swarm behind it ----------------------- */

struct crowd {
	struct conn_env env;
	size_t n_open, n_closed;
};

static struct crowd *crowd_of(struct conn *c)
{
	return CONTAINER_OF(conn_get_env(c), struct crowd, env);
}

static enum err crowd_secured(struct conn *c)
{
	(void)c;
	return ERR_OK;
}

static void crowd_open(struct conn *c)
{
	crowd_of(c)->n_open++;
}

static void crowd_suspect(struct conn *c)
{
	(void)c;
}

static void crowd_close(struct conn *c, enum err why)
{
	(void)why;
	struct conn **slot = conn_owner(c);
	*slot = NULL;
	crowd_of(c)->n_closed++;
}

static void crowd_init(struct crowd *crowd, struct world *w, size_t host, struct identity *identity)
{
	*crowd = (struct crowd){
		.env = {.loop = world_loop(w, host),
			.identity = identity,
			.keepalive = SEC(15),
			.on_secured = crowd_secured,
			.on_open = crowd_open,
			.on_suspect = crowd_suspect,
			.on_close = crowd_close},
	};
}

static void test_one_peer_gets_its_share_of_connections_only(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	world_swarm(w, 0, NULL, 0);
	struct identity *identity = kit_identity(1);
	struct crowd crowd;
	crowd_init(&crowd, w, 1, identity);
	struct conn *conns[6] = {NULL};
	union netaddr to = kit_netaddr("192.0.2.1", KIT_PORT);
	struct tcp_opts opts = {0};
	struct peer_id id = kit_peer_id(0);
	for (size_t i = 0; i < ARRAY_LEN(conns); i++)
		assert_ok(conn_dial(&crowd.env, &to, &opts, &id, &conns[i], &conns[i]));
	world_run(w, MSEC(100));
	assert_int_equal(info_of(w, 0, 1).n_conns, CONN_PER_PEER_MAX);
	struct swarm_stats stats = swarm_get_stats(w->swarms[0].swarm);
	assert_int_equal(stats.refused_limit, ARRAY_LEN(conns) - CONN_PER_PEER_MAX);
	assert_int_equal(stats.failed_inbound, 0);
	/* Of these one stays. */
	world_run(w, SWARM_GRACE + SEC(1));
	assert_int_equal(info_of(w, 0, 1).n_conns, 1);
	assert_int_equal(swarm_get_stats(w->swarms[0].swarm).superseded, CONN_PER_PEER_MAX - 1);
	for (size_t i = 0; i < ARRAY_LEN(conns); i++) {
		if (conns[i] != NULL)
			conn_close(conns[i], ERR_CLOSED);
	}
	world_run(w, MSEC(100));
	assert_int_equal(crowd.n_closed, ARRAY_LEN(conns));
	assert_int_equal(w->swarms[0].n_down, 1);
	assert_int_equal(swarm_conn_count(w->swarms[0].swarm), 0);
	iobuf_pool_deinit(&crowd.env.io);
	identity_free(identity);
	world_end(w);
}

/* All of a peer's connections end in the same turn. */
static void test_down_is_told_once_when_all_connections_end_at_once(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	world_swarm(w, 0, NULL, 0);
	struct identity *identity = kit_identity(1);
	struct crowd crowd;
	crowd_init(&crowd, w, 1, identity);
	struct conn *conns[3] = {NULL};
	union netaddr to = kit_netaddr("192.0.2.1", KIT_PORT);
	struct tcp_opts opts = {0};
	struct peer_id id = kit_peer_id(0);
	for (size_t i = 0; i < ARRAY_LEN(conns); i++)
		assert_ok(conn_dial(&crowd.env, &to, &opts, &id, &conns[i], &conns[i]));
	world_run(w, MSEC(100));
	assert_int_equal(info_of(w, 0, 1).n_conns, ARRAY_LEN(conns));
	unsigned n_best = w->swarms[0].n_best;
	for (size_t i = 0; i < ARRAY_LEN(conns); i++)
		conn_close(conns[i], ERR_CLOSED);
	world_run(w, MSEC(100));
	assert_int_equal(w->swarms[0].n_down, 1);
	assert_int_equal(w->swarms[0].n_best, n_best); /* none that is closing was offered */
	iobuf_pool_deinit(&crowd.env.io);
	identity_free(identity);
	world_end(w);
}

/* --- addresses -------------------------------------------------------------------------------- */

static void test_a_dead_first_address_costs_one_stagger(void **state)
{
	(void)state;
	struct world *w = world_new(1, 3);
	world_swarm(w, 0, NULL, 0);
	world_swarm(w, 1, NULL, 0);
	world_cut(w, 0, 2, true);
	const char *addrs[] = {"/ip4/192.0.2.3/tcp/4001", "/ip4/192.0.2.2/tcp/4001"};
	world_want_at(w, 0, 1, addrs, ARRAY_LEN(addrs));
	world_until(w, is_connected, w, DIAL_STAGGER + MSEC(20));
	world_run(w, SEC(5));
	assert_int_equal(swarm_conn_count(w->swarms[0].swarm), 1); /* the other attempt went */
	assert_int_equal(info_of(w, 0, 1).failure.why, ERR_OK);
	world_end(w);
}

static void test_a_name_is_dialled(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	assert_ok(sim_add_name(w->sim, "peer.example", "192.0.2.2"));
	world_swarm(w, 0, NULL, 0);
	world_swarm(w, 1, NULL, 0);
	const char *addrs[] = {"/dns/nobody.example/tcp/4001", "/dns4/peer.example/tcp/4001"};
	world_want_at(w, 0, 1, addrs, ARRAY_LEN(addrs));
	world_until(w, is_connected, w, SEC(1));
	world_end(w);
}

/* The literal address is tried before the name is resolved; the name does not wait for its end. */
static void test_a_name_does_not_wait_for_a_dead_address(void **state)
{
	(void)state;
	struct world *w = world_new(1, 3);
	assert_ok(sim_add_name(w->sim, "peer.example", "192.0.2.2"));
	world_swarm(w, 0, NULL, 0);
	world_swarm(w, 1, NULL, 0);
	world_cut(w, 0, 2, true);
	const char *addrs[] = {"/ip4/192.0.2.3/tcp/4001", "/dns4/peer.example/tcp/4001"};
	world_want_at(w, 0, 1, addrs, ARRAY_LEN(addrs));
	world_until(w, is_connected, w, 2 * DIAL_STAGGER);
	world_end(w);
}

static void test_closing_with_queries_and_attempts_under_way_leaves_nothing(void **state)
{
	(void)state;
	for (nsec_t t = 0; t < MSEC(40); t += MSEC(1)) {
		struct world *w = world_new(1, 2);
		assert_ok(sim_add_name(w->sim, "peer.example", "192.0.2.2"));
		world_swarm(w, 0, NULL, 0);
		world_swarm(w, 1, NULL, 0);
		const char *addrs[] = {"/dns4/peer.example/tcp/4001", "/ip4/192.0.2.2/tcp/4002",
				       "/dns/nobody.example/tcp/4001"};
		world_want_at(w, 0, 1, addrs, ARRAY_LEN(addrs));
		world_run(w, t);
		world_end(w);
	}
}

static void test_a_network_change_ends_the_wait(void **state)
{
	(void)state;
	struct world *w = world_new(1, 2);
	world_swarm(w, 0, NULL, 0);
	world_want(w, 0, 1);
	world_run(w, SEC(200));
	world_swarm(w, 1, NULL, 0);
	swarm_network_changed(w->swarms[0].swarm);
	world_until(w, is_connected, w, MSEC(50));
	world_end(w);
}

static void test_what_cannot_be_listened_on_is_refused(void **state)
{
	(void)state;
	struct world *w = world_new(1, 1);
	struct kit_swarm *k = world_swarm(w, 0, NULL, 0);
	struct multiaddr addr = kit_addr("/ip4/0.0.0.0/tcp/4001");
	assert_err(swarm_listen(k->swarm, &addr), ERR_ADDRESS_IN_USE);
	addr = kit_addr("/ip4/203.0.113.9/tcp/4001");
	assert_err(swarm_listen(k->swarm, &addr), ERR_NO_ADDRESS);
	addr = kit_addr("/dns4/a.example/tcp/4001");
	assert_err(swarm_listen(k->swarm, &addr), ERR_UNSUPPORTED);
	addr = kit_addr("/ip4/0.0.0.0/tcp/0");
	assert_ok(swarm_listen(k->swarm, &addr));
	struct multiaddr list[4];
	assert_int_equal(swarm_listen_addrs(k->swarm, list, ARRAY_LEN(list)), 2);
	union netaddr at;
	assert_ok(netaddr_from_multiaddr(&list[1], &at));
	assert_int_not_equal(netaddr_port(&at), 0);
	world_end(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_swarms_connect_and_part),
		cmocka_unit_test(test_an_idle_connection_is_quiet),
		cmocka_unit_test(test_dialling_each_other_ends_in_the_same_one_connection),
		cmocka_unit_test(test_a_peer_that_starts_last_is_found),
		cmocka_unit_test(test_demand_shortens_the_wait),
		cmocka_unit_test(test_back_off_doubles_within_its_jitter),
		cmocka_unit_test(test_another_peer_at_the_address_is_refused),
		cmocka_unit_test(test_a_dialled_peer_that_hangs_is_given_up),
		cmocka_unit_test(test_nobody_connects_to_itself),
		cmocka_unit_test(test_unknown_peers_are_gated_and_counted_once),
		cmocka_unit_test(test_one_peer_gets_its_share_of_connections_only),
		cmocka_unit_test(test_down_is_told_once_when_all_connections_end_at_once),
		cmocka_unit_test(test_a_dead_first_address_costs_one_stagger),
		cmocka_unit_test(test_a_name_is_dialled),
		cmocka_unit_test(test_a_name_does_not_wait_for_a_dead_address),
		cmocka_unit_test(test_closing_with_queries_and_attempts_under_way_leaves_nothing),
		cmocka_unit_test(test_a_network_change_ends_the_wait),
		cmocka_unit_test(test_what_cannot_be_listened_on_is_refused),
	};
	return cmocka_run_group_tests_name("swarm", tests, NULL, NULL);
}
