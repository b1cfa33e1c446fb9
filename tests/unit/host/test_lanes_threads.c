/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Lanes on real threads and sockets: a node with two shards, each a thread with a loop and a swarm,
 * and on the main thread a few peers that dial both of its lanes and talk on them. What the first
 * shard accepts for lane 1 goes through a mailbox to the second one, which dials some of the peers
 * on lane 1 itself meanwhile. ThreadSanitizer sees to the rest.
 */
#include "support/sim_kit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "loop/loop_uv.h"
#include "p2p/host/conn_baton.h"
#include "p2p/host/netaddr.h"

enum {
	LANES = 2,
	PEERS = 6,
	NODE = 100, /* its number among the identities of the kit */
	CALLS = 20, /* one after the other, on each lane of each peer */
	CALL_LEN = 12000,
};

#define ECHO "/echo/1"

/* Asserts of the test library are for its own thread. */
static void must(bool is_true)
{
	if (!is_true)
		abort();
}

/* --- the node --------------------------------------------------------------------------------- */

/* What others tell a shard. */
struct mailbox {
	pthread_mutex_t lock;
	struct conn_baton *batons[64];
	size_t n_batons;
	bool is_to_close;
	int fd; /* wakes its reader */
};

struct shard {
	uint32_t lane;
	pthread_t thread; /* to join it */
	pthread_t self;   /* the same, for itself */
	struct loop *loop;
	struct swarm *swarm;
	struct sock *wake;
	struct mailbox mailbox;
	struct shard *next; /* the one that lanes go to */
	uint64_t n_echoed;  /* bytes, on its thread */
};

static void shard_tell(struct shard *shard, struct conn_baton *baton)
{
	struct mailbox *m = &shard->mailbox;
	pthread_mutex_lock(&m->lock);
	if (baton != NULL) {
		must(m->n_batons < ARRAY_LEN(m->batons));
		m->batons[m->n_batons++] = baton;
	} else {
		m->is_to_close = true;
	}
	pthread_mutex_unlock(&m->lock);
	uint64_t one = 1;
	must(write(m->fd, &one, sizeof(one)) == sizeof(one));
}

static void on_mail(void *ctx, unsigned ready)
{
	(void)ready;
	struct shard *shard = ctx;
	struct mailbox *m = &shard->mailbox;
	uint64_t n_told;
	size_t n, n_batons;
	struct conn_baton *batons[ARRAY_LEN(m->batons)];
	enum err e = sock_read(shard->wake, &n_told, sizeof(n_told), &n);
	must(e == ERR_OK || e == ERR_AGAIN);
	pthread_mutex_lock(&m->lock);
	n_batons = m->n_batons;
	memcpy(batons, m->batons, n_batons * sizeof(struct conn_baton *));
	m->n_batons = 0;
	bool is_to_close = m->is_to_close;
	pthread_mutex_unlock(&m->lock);
	for (size_t i = 0; i < n_batons; i++)
		must(swarm_adopt(shard->swarm, batons[i]) == ERR_OK);
	if (is_to_close)
		swarm_close(shard->swarm);
}

static bool is_allowed(void *ctx, const struct peer_id *id)
{
	(void)ctx;
	(void)id;
	return true;
}

static void node_best(void *ctx, const struct peer_id *id, struct conn *best)
{
	struct shard *shard = ctx;
	(void)id;
	must(pthread_equal(pthread_self(), shard->self));
	must(conn_lane(best) == shard->lane);
}

static void on_down(void *ctx, const struct peer_id *id, enum err why)
{
	(void)ctx;
	(void)id;
	(void)why;
}

static bool takes_lane(void *ctx, const struct peer_id *id, uint32_t lane)
{
	(void)ctx;
	(void)id;
	return lane < LANES;
}

static void node_lane(void *ctx, struct conn_baton *baton)
{
	shard_tell(((struct shard *)ctx)->next, baton);
}

static void node_closed(void *ctx)
{
	struct shard *shard = ctx;
	shard->wake = sock_close(shard->wake, false);
	loop_stop(shard->loop);
}

static const struct swarm_events node_events = {
	.is_allowed = is_allowed,
	.on_best = node_best,
	.on_down = on_down,
	.takes_lane = takes_lane,
	.on_lane = node_lane,
	.on_closed = node_closed,
};

/* One table for both threads; so a stream tells its shard by its connection. */
static void echo_data(struct stream *s, struct span data)
{
	struct shard *shards = stream_user(s);
	struct shard *shard = &shards[conn_lane(stream_conn(s))];
	must(pthread_equal(pthread_self(), shard->self));
	shard->n_echoed += data.len;
	must(stream_write(s, data) == ERR_OK);
}

static void echo_eof(struct stream *s)
{
	stream_close_write(s);
}

static const struct stream_ops echo_ops = {.on_data = echo_data, .on_eof = echo_eof};

static void *shard_main(void *ctx)
{
	struct shard *shard = ctx;
	shard->self = pthread_self();
	must(loop_run(shard->loop) == ERR_OK);
	return NULL;
}

static void shard_init(struct shard *shard, uint32_t lane, const struct identity *identity,
		       const struct protocol *protocol)
{
	shard->lane = lane;
	assert_ok(loop_uv_new(&shard->loop));
	assert_int_equal(pthread_mutex_init(&shard->mailbox.lock, NULL), 0);
	shard->mailbox.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(shard->mailbox.fd >= 0);
	assert_ok(loop_adopt_fd(shard->loop, shard->mailbox.fd, &shard->wake));
	sock_watch(shard->wake, SOCK_READABLE, on_mail, shard);
	struct swarm_conf conf = {
		.loop = shard->loop,
		.identity = identity,
		.lane = lane,
		.keepalive = SEC(15),
		.protocols = protocol,
		.n_protocols = 1,
		.events = &node_events,
		.ctx = shard,
	};
	assert_ok(swarm_new(&conf, &shard->swarm));
}

static void shard_join(struct shard *shard)
{
	shard_tell(shard, NULL);
	pthread_join(shard->thread, NULL);
	assert_int_equal(swarm_conn_count(shard->swarm), 0);
	assert_int_equal(shard->mailbox.n_batons, 0);
	shard->swarm = swarm_free(shard->swarm);
	assert_null(loop_free(shard->loop));
	pthread_mutex_destroy(&shard->mailbox.lock);
}

/* --- its peers, all on the main thread ---------------------------------------------------------
 */

struct peers;

struct lane {
	struct peers *all;
	struct swarm *swarm;
	size_t n_sent, n_back; /* bytes of this call */
	size_t n_calls;        /* that came back */
	bool is_calling, is_closed;
};

struct peers {
	struct loop *loop;
	struct peer_id node;
	struct loop_timer look;
	nsec_t give_up_at;
	bool is_closing;
	struct {
		struct identity *identity;
		struct lane lanes[LANES];
	} peers[PEERS];
};

static uint8_t numbered(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static size_t call_pull(struct stream *s, uint8_t *buf, size_t cap)
{
	struct lane *lane = stream_user(s);
	size_t n = MIN(cap, CALL_LEN - lane->n_sent);
	for (size_t i = 0; i < n; i++)
		buf[i] = numbered(lane->n_sent + i);
	lane->n_sent += n;
	return n;
}

static void call_data(struct stream *s, struct span data)
{
	struct lane *lane = stream_user(s);
	for (size_t i = 0; i < data.len; i++)
		must(data.p[i] == numbered(lane->n_back + i));
	lane->n_back += data.len;
	if (lane->n_back == CALL_LEN)
		stream_close_write(s);
}

/* One that was superseded by another connection is made again. */
static void call_close(struct stream *s, enum err why)
{
	struct lane *lane = stream_user(s);
	lane->is_calling = false;
	lane->n_calls += why == ERR_OK && lane->n_back == CALL_LEN;
}

static const struct stream_ops call_ops = {
	.pull = call_pull, .on_data = call_data, .on_close = call_close};

static void call_next(struct lane *lane)
{
	static const char *const names[] = {ECHO};
	struct conn *best = swarm_best(lane->swarm, &lane->all->node);
	struct stream *s;
	if (lane->is_calling || lane->n_calls == CALLS || best == NULL)
		return;
	lane->n_sent = lane->n_back = 0;
	lane->is_calling = conn_open_stream(best, names, 1, &call_ops, lane, &s) == ERR_OK;
}

static void on_best(void *ctx, const struct peer_id *id, struct conn *best)
{
	(void)id;
	(void)best;
	call_next(ctx);
}

/* They have one thread for both lanes. */
static void on_lane(void *ctx, struct conn_baton *baton)
{
	struct lane *lane = ctx;
	must(conn_baton_lane(baton) == 1);
	must(swarm_adopt(lane[1].swarm, baton) == ERR_OK);
}

static void on_closed(void *ctx)
{
	((struct lane *)ctx)->is_closed = true;
}

static const struct swarm_events peer_events = {
	.is_allowed = is_allowed,
	.on_best = on_best,
	.on_down = on_down,
	.takes_lane = takes_lane,
	.on_lane = on_lane,
	.on_closed = on_closed,
};

static void on_look(struct loop_timer *timer, nsec_t now)
{
	struct peers *all = CONTAINER_OF(timer, struct peers, look);
	bool are_done = true, are_closed = true;
	for (size_t i = 0; i < PEERS; i++) {
		for (size_t k = 0; k < LANES; k++) {
			struct lane *lane = &all->peers[i].lanes[k];
			if (!all->is_closing)
				call_next(lane);
			are_done = are_done && lane->n_calls == CALLS;
			are_closed = are_closed && lane->is_closed;
		}
	}
	if (are_done && !all->is_closing) {
		all->is_closing = true;
		for (size_t i = 0; i < PEERS; i++) {
			swarm_close(all->peers[i].lanes[0].swarm);
			swarm_close(all->peers[i].lanes[1].swarm);
		}
	}
	if (are_closed || now >= all->give_up_at)
		loop_stop(all->loop);
	else
		loop_timer_set(timer, now + MSEC(1));
}

static void make_peer(struct peers *all, size_t i)
{
	all->peers[i].identity = kit_identity(i);
	for (uint32_t k = 0; k < LANES; k++) {
		struct lane *lane = &all->peers[i].lanes[k];
		lane->all = all;
		struct swarm_conf conf = {
			.loop = all->loop,
			.identity = all->peers[i].identity,
			.lane = k,
			.keepalive = SEC(15),
			.events = &peer_events,
			.ctx = lane,
		};
		assert_ok(swarm_new(&conf, &lane->swarm));
	}
	struct multiaddr any = kit_addr("/ip4/127.0.0.1/tcp/0");
	assert_ok(swarm_listen(all->peers[i].lanes[0].swarm, &any));
}

static struct multiaddr listens_at(struct swarm *swarm)
{
	struct multiaddr at;
	assert_int_equal(swarm_listen_addrs(swarm, &at, 1), 1);
	return at;
}

static void test_lanes_of_two_threads_carry_streams(void **state)
{
	(void)state;
	static struct shard shards[LANES];
	static struct peers all;
	static struct protocol protocol = {ECHO, &echo_ops, shards};
	struct identity *identity = kit_identity(NODE);
	all.node = *identity_peer_id(identity);
	for (uint32_t k = 0; k < LANES; k++)
		shard_init(&shards[k], k, identity, &protocol);
	shards[0].next = &shards[1];
	struct multiaddr at = kit_addr("/ip4/127.0.0.1/tcp/0");
	assert_ok(swarm_listen(shards[0].swarm, &at));
	at = listens_at(shards[0].swarm);

	assert_ok(loop_uv_new(&all.loop));
	for (size_t i = 0; i < PEERS; i++) {
		make_peer(&all, i);
		for (size_t k = 0; k < LANES; k++)
			assert_ok(swarm_add_peer(all.peers[i].lanes[k].swarm, &all.node, &at, 1));
		/* Every second one is dialled by the second shard as well. */
		struct multiaddr theirs = listens_at(all.peers[i].lanes[0].swarm);
		if (i % 2 == 1)
			assert_ok(swarm_add_peer(shards[1].swarm,
						 identity_peer_id(all.peers[i].identity), &theirs,
						 1));
	}
	for (size_t k = 0; k < LANES; k++)
		assert_int_equal(pthread_create(&shards[k].thread, NULL, shard_main, &shards[k]),
				 0);
	loop_timer_init(&all.look, all.loop, on_look);
	loop_timer_set(&all.look, loop_now(all.loop));
	all.give_up_at = loop_now(all.loop) + SEC(60);
	assert_ok(loop_run(all.loop));

	shard_join(&shards[0]);
	shard_join(&shards[1]);
	assert_true(all.is_closing);
	for (size_t i = 0; i < PEERS; i++) {
		for (size_t k = 0; k < LANES; k++) {
			struct lane *lane = &all.peers[i].lanes[k];
			assert_true(lane->is_closed);
			assert_int_equal(lane->n_calls, CALLS);
			lane->swarm = swarm_free(lane->swarm);
		}
		identity_free(all.peers[i].identity);
	}
	for (size_t k = 0; k < LANES; k++)
		assert_true(shards[k].n_echoed >= (uint64_t)PEERS * CALLS * CALL_LEN);
	loop_timer_stop(&all.look);
	assert_null(loop_free(all.loop));
	identity_free(identity);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lanes_of_two_threads_carry_streams),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests_name("lanes_threads", tests, NULL, NULL);
}
