/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Two hosts with two swarms each, as if on two shards: lane 0 listens, and what comes for other
 * lanes waits in a mailbox as long as the test wants, before the swarm of its lane adopts it.
 */
#include "unit/host/raw_peer.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/util.h"
#include "p2p/host/conn_baton.h"

enum {
	LANES = 2,
	ECHO_MAX = 12000, /* bytes; below what a stream keeps of what was written */
	MAIL_MAX = 16,
};

#define ECHO  "/echo/1"
#define MUXER "/yamux/1.0.0"

struct shard {
	struct box *box;
	struct swarm *swarm;
	uint32_t lane;
	unsigned n_best, n_down, n_dial_failed;
	enum err why_down;
	bool is_closed;
	bool removes_on_best, removes_on_down, removes_on_failure;
};

/* A host. */
struct box {
	struct world *w;
	size_t host;
	struct identity *identity;
	struct shard shards[LANES];
	size_t n_shards;
	bool refuses_lanes, knows_no_lanes;
	nsec_t mail_takes; /* 0: it is adopted inside of on_lane */
	unsigned n_asked;
	uint32_t asked; /* the last lane */
	struct letter {
		struct conn_baton *baton;
		struct box *box;
		struct loop_timer due;
	} mail[MAIL_MAX];
	size_t n_mail;     /* letters ever sent */
	enum err adopted;  /* the last one */
	uint64_t n_echoed; /* bytes */
};

/* --- an echo ---------------------------------------------------------------------------------- */

static void echo_data(struct stream *s, struct span data)
{
	struct box *box = stream_user(s);
	box->n_echoed += data.len;
	assert_ok(stream_write(s, data));
}

static void echo_eof(struct stream *s)
{
	stream_close_write(s);
}

static const struct stream_ops echo_ops = {.on_data = echo_data, .on_eof = echo_eof};

/* The other end of it: sends numbered bytes, and knows them when they come back. */
struct call {
	size_t total, n_sent, n_back;
	bool is_over, is_good;
	enum err why;
};

static uint8_t numbered(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static size_t call_pull(struct stream *s, uint8_t *buf, size_t cap)
{
	struct call *call = stream_user(s);
	size_t n = MIN(cap, call->total - call->n_sent);
	for (size_t i = 0; i < n; i++)
		buf[i] = numbered(call->n_sent + i);
	call->n_sent += n;
	return n;
}

static void call_data(struct stream *s, struct span data)
{
	struct call *call = stream_user(s);
	for (size_t i = 0; i < data.len; i++)
		assert_int_equal(data.p[i], numbered(call->n_back + i));
	call->n_back += data.len;
	assert_in_range(call->n_back, 0, call->total);
	if (call->n_back == call->total)
		stream_close_write(s);
}

static void call_close(struct stream *s, enum err why)
{
	struct call *call = stream_user(s);
	call->is_over = true;
	call->why = why;
	call->is_good = why == ERR_OK && call->n_back == call->total;
}

static const struct stream_ops call_ops = {
	.pull = call_pull, .on_data = call_data, .on_close = call_close};

static void call_start(struct call *call, struct conn *c, size_t total)
{
	static const char *const names[] = {ECHO};
	struct stream *s;
	*call = (struct call){.total = total};
	assert_non_null(c);
	assert_ok(conn_open_stream(c, names, 1, &call_ops, call, &s));
}

static bool call_is_over(void *ctx)
{
	return ((struct call *)ctx)->is_over;
}

/* --- hosts ------------------------------------------------------------------------------------ */

static struct shard *shard_for(struct box *box, uint32_t lane)
{
	return &box->shards[lane % box->n_shards];
}

static bool is_allowed(void *ctx, const struct peer_id *id)
{
	(void)ctx;
	(void)id;
	return true;
}

static void on_best(void *ctx, const struct peer_id *id, struct conn *best)
{
	struct shard *shard = ctx;
	assert_int_equal(conn_lane(best), shard->lane);
	assert_true(peer_id_equal(id, conn_peer(best)));
	assert_true(conn_peer_key(best).len > 0);
	shard->n_best++;
	if (shard->removes_on_best)
		swarm_remove_peer(shard->swarm, id);
}

static void on_down(void *ctx, const struct peer_id *id, enum err why)
{
	struct shard *shard = ctx;
	shard->n_down++;
	shard->why_down = why;
	if (shard->removes_on_down)
		swarm_remove_peer(shard->swarm, id);
}

static void on_dial_failed(void *ctx, const struct peer_id *id, const struct dial_failure *failure)
{
	struct shard *shard = ctx;
	(void)failure;
	shard->n_dial_failed++;
	if (shard->removes_on_failure)
		swarm_remove_peer(shard->swarm, id);
}

static bool takes_lane(void *ctx, const struct peer_id *id, uint32_t lane)
{
	struct shard *shard = ctx;
	struct box *box = shard->box;
	assert_int_equal(shard->lane, 0);
	assert_in_range(lane, 1, LANES_MAX - 1);
	assert_true(id->len > 0);
	box->n_asked++;
	box->asked = lane;
	return !box->refuses_lanes;
}

static void deliver(struct letter *letter)
{
	struct box *box = letter->box;
	struct conn_baton *baton = letter->baton;
	letter->baton = NULL;
	box->adopted = swarm_adopt(shard_for(box, conn_baton_lane(baton))->swarm, baton);
}

static void on_due(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	deliver(CONTAINER_OF(timer, struct letter, due));
}

static void on_lane(void *ctx, struct conn_baton *baton)
{
	struct box *box = ((struct shard *)ctx)->box;
	struct letter *letter = &box->mail[box->n_mail++ % MAIL_MAX];
	assert_null(letter->baton);
	assert_int_equal(conn_baton_lane(baton), box->asked);
	assert_true(conn_baton_remote(baton)->sa.sa_family == AF_INET);
	letter->baton = baton;
	letter->box = box;
	if (box->mail_takes == 0) {
		deliver(letter);
		return;
	}
	struct loop *loop = world_loop(box->w, box->host);
	loop_timer_init(&letter->due, loop, on_due);
	loop_timer_set(&letter->due, loop_now(loop) + box->mail_takes);
}

static void on_closed(void *ctx)
{
	struct shard *shard = ctx;
	assert_false(shard->is_closed);
	shard->is_closed = true;
}

static const struct swarm_events events = {
	.is_allowed = is_allowed,
	.on_best = on_best,
	.on_down = on_down,
	.on_dial_failed = on_dial_failed,
	.takes_lane = takes_lane,
	.on_lane = on_lane,
	.on_closed = on_closed,
};

static const struct swarm_events events_without_lanes = {
	.is_allowed = is_allowed,
	.on_best = on_best,
	.on_down = on_down,
	.on_dial_failed = on_dial_failed,
	.on_closed = on_closed,
};

static void start(struct box *box, struct world *w, size_t host, size_t n_shards)
{
	static struct protocol protocols[KIT_HOSTS_MAX][1];
	protocols[host][0] = (struct protocol){ECHO, &echo_ops, box};
	box->w = w;
	box->host = host;
	box->identity = kit_identity(host);
	box->n_shards = n_shards;
	for (uint32_t lane = 0; lane < n_shards; lane++) {
		struct shard *shard = &box->shards[lane];
		shard->box = box;
		shard->lane = lane;
		struct swarm_conf conf = {
			.loop = world_loop(w, host),
			.identity = box->identity,
			.lane = lane,
			.tcp = {.notsent_lowat_bytes = 128 * 1024, .user_timeout_ms = 10000},
			.keepalive = SEC(15),
			.protocols = protocols[host],
			.n_protocols = 1,
			.events = box->knows_no_lanes || lane != 0 ? &events_without_lanes
								   : &events,
			.ctx = shard,
		};
		assert_ok(swarm_new(&conf, &shard->swarm));
	}
	struct multiaddr any = kit_addr("/ip4/0.0.0.0/tcp/4001");
	assert_ok(swarm_listen(box->shards[0].swarm, &any));
}

static bool are_closed(void *ctx)
{
	struct box *box = ctx;
	for (size_t i = 0; i < box->n_shards; i++) {
		if (!box->shards[i].is_closed)
			return false;
	}
	return true;
}

static void stop(struct box *box)
{
	for (size_t i = 0; i < box->n_shards; i++)
		swarm_close(box->shards[i].swarm);
	world_until(box->w, are_closed, box, SEC(1));
	for (size_t i = 0; i < MAIL_MAX; i++) {
		if (box->mail[i].baton == NULL)
			continue;
		loop_timer_stop(&box->mail[i].due);
		box->mail[i].baton = conn_baton_free(box->mail[i].baton);
	}
	for (size_t i = 0; i < box->n_shards; i++) {
		assert_int_equal(swarm_conn_count(box->shards[i].swarm), 0);
		box->shards[i].swarm = swarm_free(box->shards[i].swarm);
	}
	box->identity = identity_free(box->identity);
}

static void want(struct box *box, uint32_t lane, size_t peer)
{
	struct multiaddr addr = kit_host_addr(peer);
	struct peer_id id = kit_peer_id(peer);
	assert_ok(swarm_add_peer(box->shards[lane].swarm, &id, &addr, 1));
}

static void let_go(struct box *box, uint32_t lane, size_t peer)
{
	struct peer_id id = kit_peer_id(peer);
	swarm_remove_peer(box->shards[lane].swarm, &id);
}

static struct conn *best_of(const struct box *box, uint32_t lane, size_t peer)
{
	struct peer_id id = kit_peer_id(peer);
	return swarm_best(box->shards[lane].swarm, &id);
}

static struct swarm_stats stats_of(const struct box *box, uint32_t lane)
{
	return swarm_get_stats(box->shards[lane].swarm);
}

static size_t count(const struct box *box, uint32_t lane)
{
	return swarm_conn_count(box->shards[lane].swarm);
}

/* Hosts 0 and 1. */
struct scene {
	struct world *w;
	struct box a, b;
};

static bool are_up(void *ctx)
{
	struct scene *s = ctx;
	for (uint32_t lane = 0; lane < LANES; lane++) {
		if (best_of(&s->a, lane, 1) == NULL || best_of(&s->b, lane, 0) == NULL)
			return false;
	}
	return true;
}

static bool lane_0_is_up(void *ctx)
{
	struct scene *s = ctx;
	return best_of(&s->a, 0, 1) != NULL && best_of(&s->b, 0, 0) != NULL;
}

/* a dials b on lane 0. */
static struct scene *begin(uint64_t seed, size_t n_shards_b)
{
	struct scene *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	s->w = world_new(seed, 2);
	start(&s->a, s->w, 0, LANES);
	start(&s->b, s->w, 1, n_shards_b);
	want(&s->a, 0, 1);
	world_until(s->w, lane_0_is_up, s, SEC(1));
	return s;
}

static void end(struct scene *s)
{
	if (s->a.identity != NULL)
		stop(&s->a);
	if (s->b.identity != NULL)
		stop(&s->b);
	world_run(s->w, SEC(1));
	world_end(s->w);
	free(s);
}

static void assert_echo(struct scene *s, struct conn *c)
{
	struct call call;
	call_start(&call, c, ECHO_MAX);
	world_until(s->w, call_is_over, &call, SEC(5));
	assert_err(call.why, ERR_OK);
	assert_true(call.is_good);
}

/* --- the usual way ---------------------------------------------------------------------------- */

static void lanes_stand_beside_each_other(nsec_t mail_takes)
{
	struct scene *s = begin(1, LANES);
	s->b.mail_takes = mail_takes;
	want(&s->a, 1, 1);
	world_until(s->w, are_up, s, SEC(1) + mail_takes);
	world_run(s->w, SEC(30));
	for (uint32_t lane = 0; lane < LANES; lane++) {
		assert_int_equal(s->a.shards[lane].n_best, 1);
		assert_int_equal(s->b.shards[lane].n_best, 1);
		assert_int_equal(s->a.shards[lane].n_down + s->b.shards[lane].n_down, 0);
		assert_int_equal(count(&s->a, lane), 1);
		assert_int_equal(count(&s->b, lane), 1);
		assert_int_equal(stats_of(&s->a, lane).superseded, 0);
		assert_int_equal(stats_of(&s->b, lane).superseded, 0);
		assert_int_equal(stats_of(&s->b, lane).opened, 1);
		assert_true(conn_is_outbound(best_of(&s->a, lane, 1)));
		assert_false(conn_is_outbound(best_of(&s->b, lane, 0)));
		assert_ptr_equal(conn_swarm(best_of(&s->b, lane, 0)), s->b.shards[lane].swarm);
		assert_echo(s, best_of(&s->a, lane, 1));
		assert_echo(s, best_of(&s->b, lane, 0));
	}
	assert_int_equal(s->b.n_asked, 1);
	struct swarm_stats listening = stats_of(&s->b, 0), lane = stats_of(&s->b, 1);
	assert_int_equal(listening.accepted, 2);
	assert_int_equal(listening.handed_over, 1);
	assert_int_equal(listening.closed + listening.failed_inbound, 0);
	assert_int_equal(lane.adopted, 1);
	assert_int_equal(lane.accepted, 0);
	/* The bytes of the handshake count on. */
	struct conn *adopted = best_of(&s->b, 1, 0), *dialled = best_of(&s->a, 1, 1);
	assert_true(conn_get_stats(adopted).rx_bytes == conn_get_stats(dialled).tx_bytes);
	assert_true(conn_get_stats(adopted).tx_bytes == conn_get_stats(dialled).rx_bytes);
	assert_int_equal(conn_rtt(adopted), MSEC(2));
	end(s);
}

static void test_lanes_stand_beside_each_other(void **state)
{
	(void)state;
	lanes_stand_beside_each_other(0);
	lanes_stand_beside_each_other(MSEC(1));
	lanes_stand_beside_each_other(MSEC(900));
}

/* A peer with more shards than we have: its lanes come together here, and lane 0 stays what it is.
 */
static void test_one_shard_carries_all_lanes_of_a_peer(void **state)
{
	(void)state;
	struct scene *s = begin(1, 1);
	struct conn *before = best_of(&s->b, 0, 0);
	want(&s->a, 1, 1);
	world_run(s->w, SEC(10));
	assert_int_equal(count(&s->b, 0), 2);
	assert_ptr_equal(best_of(&s->b, 0, 0), before);
	assert_int_equal(s->b.shards[0].n_best, 1);
	assert_int_equal(stats_of(&s->b, 0).superseded, 0);
	assert_int_equal(stats_of(&s->b, 0).handed_over, 1);
	assert_int_equal(stats_of(&s->b, 0).adopted, 1);
	assert_echo(s, best_of(&s->a, 0, 1));
	assert_echo(s, best_of(&s->a, 1, 1));
	/* It goes, and comes again: nobody is told. */
	conn_close(best_of(&s->a, 1, 1), ERR_CLOSED);
	world_run(s->w, SEC(10));
	assert_int_equal(count(&s->b, 0), 2);
	assert_int_equal(stats_of(&s->b, 0).adopted, 2);
	assert_int_equal(s->b.shards[0].n_best, 1);
	assert_int_equal(s->b.shards[0].n_down, 0);
	assert_echo(s, best_of(&s->a, 1, 1));
	end(s);
}

/* --- many seeds ------------------------------------------------------------------------------- */

static uint64_t mixed(uint64_t x)
{
	x *= 0x9e3779b97f4a7c15u;
	return x ^ x >> 31;
}

/* Both dial lane 1 at about the same time, over all kinds of paths and mailboxes, and speak at
 * once. */
static void dial_each_other(uint64_t seed)
{
	struct scene *s = begin(seed, LANES);
	uint64_t r = mixed(seed), q = mixed(seed + 1000000);
	world_path(s->w, 0, 1,
		   (struct sim_path){.delay = MSEC(1 + r % 200), .jitter = MSEC(r / 256 % 200)});
	s->a.mail_takes = q % 4 == 0 ? 0 : q / 4 % MSEC(50);
	s->b.mail_takes = q / 65536 % 4 == 0 ? 0 : q / 65536 % MSEC(200);
	want(&s->a, 1, 1);
	world_run(s->w, MSEC(r / 65536 % 600));
	want(&s->b, 1, 0);
	struct call calls[2] = {{.is_over = true}, {.is_over = true}};
	for (int i = 0; i < 800; i++) {
		if (calls[0].is_over && best_of(&s->a, 1, 1) != NULL)
			call_start(&calls[0], best_of(&s->a, 1, 1), 1 + r % ECHO_MAX);
		if (calls[1].is_over && best_of(&s->b, 1, 0) != NULL)
			call_start(&calls[1], best_of(&s->b, 1, 0), 1 + q % ECHO_MAX);
		world_run(s->w, MSEC(10));
	}
	struct conn *a = best_of(&s->a, 1, 1), *b = best_of(&s->b, 1, 0);
	if (a == NULL || b == NULL || count(&s->a, 1) != 1 || count(&s->b, 1) != 1 ||
	    conn_is_outbound(a) == conn_is_outbound(b) || s->a.shards[1].n_down != 0 ||
	    s->b.shards[1].n_down != 0)
		fail_msg("seed %llu: %zu and %zu connections, %u and %u times down",
			 (unsigned long long)seed, count(&s->a, 1), count(&s->b, 1),
			 s->a.shards[1].n_down, s->b.shards[1].n_down);
	assert_int_equal(count(&s->a, 0), 1);
	assert_int_equal(count(&s->b, 0), 1);
	assert_int_equal(s->a.shards[0].n_best + s->b.shards[0].n_best, 2);
	world_until(s->w, call_is_over, &calls[0], SEC(5));
	world_until(s->w, call_is_over, &calls[1], SEC(5));
	assert_true(calls[0].is_good && calls[1].is_good);
	end(s);
}

static void test_dialling_each_other_on_a_lane_ends_in_the_same_one_connection(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= kit_seeds(100); seed++)
		dial_each_other(seed);
}

/* --- what comes right behind the handshake ---------------------------------------------------- */

static bool has_pong(struct raw_peer *r, uint8_t value)
{
	const uint8_t pong[YAMUX_HEADER_LEN] = {0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, value};
	for (size_t at = 0; at + sizeof(pong) <= r->plain_len; at++) {
		if (memcmp(r->plain + at, pong, sizeof(pong)) == 0)
			return true;
	}
	return false;
}

static bool has_text(struct raw_peer *r, const char *text, size_t len)
{
	for (size_t at = 0; at + len <= r->plain_len; at++) {
		if (memcmp(r->plain + at, text, len) == 0)
			return true;
	}
	return false;
}

/* The last message of the handshake, a ping, a stream with its protocol and a text to be echoed,
 * and another ping, in pieces that come one after the other. */
static void speak_at_once(size_t piece, nsec_t between, nsec_t mail_takes)
{
	static const char opening[] = "\x13/multistream/1.0.0\n\x08" ECHO "\nhello world";
	const size_t opening_len = sizeof(opening) - 1;
	struct scene *s = begin(1, LANES);
	s->b.mail_takes = mail_takes;
	struct raw_peer *r = raw_dial(s->w, 0, 1);
	r->lane = 1;
	raw_secure_begin(r, 0, MUXER);
	world_run(s->w, MSEC(20));
	sock_watch(r->sock, 0, NULL, NULL);
	assert_true(raw_secure_step(r));
	raw_frame(r, 2, 1, 0, 7, NULL, 0);
	raw_frame(r, 0, 1, 1, (uint32_t)opening_len, opening, opening_len);
	raw_frame(r, 2, 1, 0, 8, NULL, 0);
	size_t len = r->out_len;
	uint8_t *bytes = testkit_copy(span_of(r->out, len));
	r->out_len = 0;
	for (size_t at = 0; at < len; at += piece) {
		raw_send(r, bytes + at, MIN(piece, len - at));
		world_run(s->w, between);
	}
	free(bytes);
	world_run(s->w, MSEC(50) + mail_takes);
	assert_false(r->is_over);
	assert_non_null(best_of(&s->b, 1, 0));
	raw_open(r);
	assert_true(has_pong(r, 7) && has_pong(r, 8));
	assert_true(has_text(r, "hello world", 11));
	assert_int_equal(s->b.n_echoed, 11);
	raw_free(r);
	end(s);
}

static void test_what_follows_the_handshake_arrives_once_and_in_order(void **state)
{
	(void)state;
	const size_t pieces[] = {1, 7, 50, 100, 128, 129, 200, 250, 300, 100000};
	const nsec_t mail_takes[] = {0, MSEC(3), MSEC(700)};
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		for (size_t j = 0; j < ARRAY_LEN(mail_takes); j++)
			speak_at_once(pieces[i], MSEC(2), mail_takes[j]);
	}
}

/* The border between two reads at every byte of what follows the handshake. */
static void test_reads_may_end_at_every_byte_behind_the_handshake(void **state)
{
	(void)state;
	for (size_t piece = 100; piece < 400; piece++)
		speak_at_once(piece, MSEC(2), MSEC(3));
}

/* --- who is turned away ----------------------------------------------------------------------- */

static void test_refused_lanes_are_counted_and_leave_lane_0_alone(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct scene *s = calloc(1, sizeof(*s));
		assert_non_null(s);
		s->w = world_new(1, 2);
		s->b.knows_no_lanes = i == 0;
		s->b.refuses_lanes = i == 1;
		start(&s->a, s->w, 0, LANES);
		start(&s->b, s->w, 1, LANES);
		want(&s->a, 0, 1);
		want(&s->a, 1, 1);
		world_run(s->w, MSEC(300));
		assert_int_equal(s->b.n_asked, i);
		struct swarm_stats stats = stats_of(&s->b, 0);
		assert_int_equal(stats.refused_limit, 1);
		assert_int_equal(stats.failed_inbound, 0);
		assert_int_equal(stats.handed_over, 0);
		assert_int_equal(stats.opened, 1);
		assert_int_equal(s->b.shards[1].n_best, 0);
		assert_null(best_of(&s->a, 1, 1));
		assert_int_equal(s->a.shards[1].n_dial_failed, 1);
		/* The dialler backs off. */
		world_run(s->w, SEC(60));
		assert_in_range(stats_of(&s->b, 0).accepted, 5, 9);
		assert_int_equal(s->a.shards[0].n_best, 1);
		assert_int_equal(s->b.shards[0].n_best, 1);
		assert_echo(s, best_of(&s->a, 0, 1));
		end(s);
	}
}

/* Without the muxer in the handshake there is no point at which it could be handed over. */
static void test_a_lane_without_an_early_muxer_is_refused(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct scene *s = begin(1, LANES);
		struct raw_peer *r = raw_dial(s->w, 0, 1);
		r->lane = 1;
		raw_secure_begin(r, 0, i == 0 ? NULL : "/mplex/6.7.0");
		world_run(s->w, MSEC(20));
		sock_watch(r->sock, 0, NULL, NULL);
		assert_true(raw_secure_step(r));
		raw_seal(r, "\x13/multistream/1.0.0\n\x0d/yamux/1.0.0\n", 34);
		world_until(s->w, raw_is_over, r, SEC(1));
		assert_int_equal(s->b.n_asked, 0);
		assert_int_equal(stats_of(&s->b, 0).failed_inbound, 1);
		assert_int_equal(count(&s->b, 0), 1);
		raw_free(r);
		end(s);
	}
}

static void test_a_lane_gets_its_share_of_connections_only(void **state)
{
	(void)state;
	struct scene *s = begin(1, LANES);
	struct raw_peer *raw[CONN_PER_PEER_MAX + 2];
	for (size_t i = 0; i < ARRAY_LEN(raw); i++) {
		raw[i] = raw_dial(s->w, 0, 1);
		raw[i]->lane = 1;
		bool stays = raw_upgrade(raw[i], 0, MUXER);
		assert_int_equal(stays, i < CONN_PER_PEER_MAX);
	}
	assert_int_equal(stats_of(&s->b, 1).adopted, CONN_PER_PEER_MAX);
	assert_int_equal(stats_of(&s->b, 1).refused_limit, 2);
	assert_err(s->b.adopted, ERR_LIMIT);
	assert_int_equal(stats_of(&s->b, 0).handed_over, ARRAY_LEN(raw));
	assert_int_equal(count(&s->b, 0), 1);
	/* Lane 0 has a share of its own, and of those of a lane one stays. */
	struct raw_peer *zero = raw_dial(s->w, 0, 1);
	assert_true(raw_upgrade(zero, 0, MUXER));
	world_run(s->w, SWARM_GRACE + SEC(1));
	assert_int_equal(count(&s->b, 1), 1);
	assert_int_equal(stats_of(&s->b, 1).superseded, CONN_PER_PEER_MAX - 1);
	for (size_t i = 0; i < ARRAY_LEN(raw); i++)
		raw_free(raw[i]);
	raw_free(zero);
	end(s);
}

/* --- ends ------------------------------------------------------------------------------------- */

/* Everything closes at any moment: before, during and after the handover. */
static void test_closing_at_any_moment_leaves_nothing(void **state)
{
	(void)state;
	for (nsec_t t = 0; t < MSEC(24); t += MSEC(1) / 4) {
		for (int who = 0; who < 4; who++) {
			struct scene *s = begin(1, LANES);
			s->b.mail_takes = who % 2 == 0 ? 0 : MSEC(5);
			want(&s->a, 1, 1);
			world_run(s->w, t);
			if (who < 2) {
				stop(&s->a);
				world_run(s->w, MSEC(20));
				assert_int_equal(count(&s->b, 0) + count(&s->b, 1), 0);
			} else {
				stop(&s->b);
				world_run(s->w, MSEC(20));
				assert_int_equal(count(&s->a, 0), 0);
			}
			end(s);
		}
	}
}

static void test_a_closed_lane_takes_no_baton(void **state)
{
	(void)state;
	struct scene *s = begin(1, LANES);
	s->b.mail_takes = MSEC(100);
	want(&s->a, 1, 1);
	world_run(s->w, MSEC(50));
	assert_int_equal(s->b.n_mail, 1);
	swarm_close(s->b.shards[1].swarm);
	world_run(s->w, MSEC(100));
	assert_err(s->b.adopted, ERR_CLOSED);
	assert_int_equal(stats_of(&s->b, 1).adopted, 0);
	assert_null(best_of(&s->a, 1, 1)); /* it was told */
	assert_int_equal(s->a.shards[1].n_down, 1);
	end(s);
}

static bool lane_1_is_down(void *ctx)
{
	struct scene *s = ctx;
	return best_of(&s->a, 1, 1) == NULL && best_of(&s->b, 1, 0) == NULL &&
	       s->a.shards[1].n_down > 0;
}

static void test_a_lane_that_is_let_go_closes_and_is_not_dialled_again(void **state)
{
	(void)state;
	struct scene *s = begin(1, LANES);
	want(&s->a, 1, 1);
	world_until(s->w, are_up, s, SEC(1));
	world_run(s->w, SEC(10));
	let_go(&s->a, 1, 1);
	world_until(s->w, lane_1_is_down, s, MSEC(100));
	assert_err(s->a.shards[1].why_down, ERR_CLOSED);
	assert_err(s->b.shards[1].why_down, ERR_GO_AWAY);
	uint64_t accepted = stats_of(&s->b, 0).accepted;
	let_go(&s->a, 1, 1); /* twice is once; so is one that nobody knows */
	let_go(&s->a, 1, 5);
	world_run(s->w, SEC(60));
	assert_true(stats_of(&s->b, 0).accepted == accepted);
	assert_int_equal(count(&s->a, 1) + count(&s->b, 1), 0);
	assert_int_equal(s->a.shards[0].n_down, 0);
	struct swarm_peer_info info;
	struct peer_id id = kit_peer_id(1);
	assert_err(swarm_peer_info(s->a.shards[1].swarm, &id, &info), ERR_NOT_FOUND);
	want(&s->a, 1, 1);
	world_until(s->w, are_up, s, SEC(1));
	/* In one turn: wanted again while the old connection closes. */
	let_go(&s->a, 1, 1);
	want(&s->a, 1, 1);
	world_until(s->w, lane_1_is_down, s, SEC(1));
	world_until(s->w, are_up, s, SEC(2));
	assert_echo(s, best_of(&s->a, 1, 1));
	end(s);
}

static void test_a_lane_is_let_go_at_any_moment_of_its_dialling(void **state)
{
	(void)state;
	for (nsec_t t = 0; t < MSEC(24); t += MSEC(1) / 4) {
		struct scene *s = begin(1, LANES);
		s->b.mail_takes = MSEC(5);
		want(&s->a, 1, 1);
		world_run(s->w, t);
		let_go(&s->a, 1, 1);
		world_run(s->w, SEC(5));
		assert_int_equal(count(&s->a, 1) + count(&s->b, 1), 0);
		assert_int_equal(count(&s->a, 0), 1);
		end(s);
	}
}

static void test_a_lane_may_be_let_go_in_its_callbacks(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct scene *s = begin(1, LANES);
		struct shard *shard = &s->a.shards[1];
		shard->removes_on_best = i == 0;
		shard->removes_on_down = i == 1;
		shard->removes_on_failure = i >= 2;
		s->b.refuses_lanes = i == 2;
		if (i == 3) { /* no address at all */
			struct peer_id id = kit_peer_id(1);
			assert_ok(swarm_add_peer(shard->swarm, &id, NULL, 0));
		} else {
			want(&s->a, 1, 1);
		}
		world_run(s->w, MSEC(100));
		if (i == 1)
			conn_close(best_of(&s->b, 1, 0), ERR_CLOSED);
		world_run(s->w, SEC(60));
		assert_int_equal(count(&s->a, 1) + count(&s->b, 1), 0);
		assert_int_equal(shard->n_best, i < 3);
		assert_int_equal(shard->n_down, i < 3);
		/* What closed at once counts as dialled in vain, but not where we closed it. */
		assert_int_equal(shard->n_dial_failed, i >= 1);
		struct swarm_peer_info info;
		struct peer_id id = kit_peer_id(1);
		assert_err(swarm_peer_info(shard->swarm, &id, &info), ERR_NOT_FOUND);
		end(s);
	}
}

/* The path of a lane dies without a word: the dialler dials beside, on the same lane, and both ends
 * move to the new one. */
static void test_a_lane_outlives_a_cut(void **state)
{
	(void)state;
	struct scene *s = begin(1, LANES);
	want(&s->a, 1, 1);
	world_until(s->w, are_up, s, SEC(1));
	world_cut(s->w, 0, 1, true);
	world_run(s->w, SEC(60));
	assert_null(best_of(&s->a, 1, 1));
	assert_null(best_of(&s->b, 1, 0));
	world_cut(s->w, 0, 1, false);
	world_until(s->w, are_up, s, SEC(40));
	world_run(s->w, SEC(10));
	for (uint32_t lane = 0; lane < LANES; lane++) {
		assert_int_equal(count(&s->a, lane), 1);
		assert_int_equal(count(&s->b, lane), 1);
		assert_echo(s, best_of(&s->b, lane, 0));
	}
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lanes_stand_beside_each_other),
		cmocka_unit_test(test_one_shard_carries_all_lanes_of_a_peer),
		cmocka_unit_test(
			test_dialling_each_other_on_a_lane_ends_in_the_same_one_connection),
		cmocka_unit_test(test_what_follows_the_handshake_arrives_once_and_in_order),
		cmocka_unit_test(test_reads_may_end_at_every_byte_behind_the_handshake),
		cmocka_unit_test(test_refused_lanes_are_counted_and_leave_lane_0_alone),
		cmocka_unit_test(test_a_lane_without_an_early_muxer_is_refused),
		cmocka_unit_test(test_a_lane_gets_its_share_of_connections_only),
		cmocka_unit_test(test_closing_at_any_moment_leaves_nothing),
		cmocka_unit_test(test_a_closed_lane_takes_no_baton),
		cmocka_unit_test(test_a_lane_that_is_let_go_closes_and_is_not_dialled_again),
		cmocka_unit_test(test_a_lane_is_let_go_at_any_moment_of_its_dialling),
		cmocka_unit_test(test_a_lane_may_be_let_go_in_its_callbacks),
		cmocka_unit_test(test_a_lane_outlives_a_cut),
	};
	return cmocka_run_group_tests_name("lanes", tests, NULL, NULL);
}
