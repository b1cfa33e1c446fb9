/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * What vpn/api/stream_service.h promises, asked of each service: the one over memory, and libp2p
 * streams between two swarms on the simulator. The far end reads frames and counts packets.
 */
#include "support/sim_kit.h"

#include <stdlib.h>

#include "base/util.h"
#include "vpn/adapter/libp2p_streams.h"
#include "vpn/adapter/memory_streams.h"
#include "vpn/stream/frame_reader.h"

static const struct frame_hello hello = {.version = FRAME_VERSION,
					 .mtu = 1420,
					 .capabilities = FRAME_CAN_PROBE,
					 .payload_len_max = 1420};

/* --- services -------------------------------------------------------------------------------- */

struct subject {
	const char *name;
	struct stream_service service;
	struct peer_id peer, stranger;
	void (*set_up)(struct subject *s);
	void (*tear_down)(struct subject *s);
	void (*retire)(struct subject *s);
	void (*break_all)(struct subject *s);
	void (*suspect)(struct subject *s, bool is_suspect); /* its connection to the peer */

	struct world *world;
	uint32_t arrived; /* packets, in order */
	struct memory_streams *memory;
	struct libp2p_streams libp2p;
	struct conn *first; /* that was suspected */
	struct kit_swarm spare;
	unsigned n_spares_wanted;
};

static struct subject *now; /* the one that is asked */

static void take_packet(struct span packet)
{
	assert_int_equal(packet.len, 100);
	assert_int_equal(load_be32(packet.p), now->arrived);
	now->arrived++;
}

static void on_memory_packet(void *ctx, const struct peer_id *peer, uint64_t stream,
			     struct span packet)
{
	(void)ctx;
	(void)peer;
	(void)stream;
	take_packet(packet);
}

static void set_up_memory(struct subject *s)
{
	s->world = world_new(1, 1);
	s->peer = kit_peer_id(1);
	s->stranger = kit_peer_id(2);
	assert_ok(memory_streams_new(world_loop(s->world, 0), &s->memory));
	struct memory_peer peer = {
		.id = s->peer, .on_packet = on_memory_packet, .hello = hello, .pull_max = 1000};
	assert_ok(memory_streams_add(s->memory, &peer));
	s->service = memory_streams_get(s->memory);
}

static void tear_down_memory(struct subject *s)
{
	world_run(s->world, SEC(1));
	assert_null(memory_streams_free(s->memory));
	world_end(s->world);
}

static void retire_memory(struct subject *s)
{
	memory_streams_retire(s->memory, &s->peer);
}

static void break_memory(struct subject *s)
{
	memory_streams_break(s->memory, &s->peer, ERR_RESET);
}

static void suspect_memory(struct subject *s, bool is_suspect)
{
	assert_ok(memory_streams_set(s->memory, &s->peer,
				     (struct memory_faults){.is_suspect = is_suspect}));
}

static void far_on_open(struct stream *s)
{
	uint8_t bytes[FRAME_HEADER_LEN + FRAME_HELLO_LEN_MAX];
	struct wbuf out = wbuf_of(bytes, sizeof(bytes));
	frame_put_hello(&out, &hello);
	assert_ok(stream_write(s, wbuf_view(&out)));
	struct frame_reader *r;
	assert_ok(frame_reader_new(FRAME_ACCEPTOR, &hello, &r));
	stream_set_user(s, r);
}

static void far_on_data(struct stream *s, struct span data)
{
	struct frame_event ev;
	while (frame_reader_read(stream_user(s), &data, &ev) == ERR_OK) {
		if (ev.type == FRAME_EV_PACKET)
			take_packet(ev.packet);
	}
}

static void far_on_close(struct stream *s, enum err why)
{
	(void)why;
	frame_reader_free(stream_user(s));
}

static const struct stream_ops far_ops = {.on_open = far_on_open,
					  .on_data = far_on_data,
					  .on_eof = stream_close_write,
					  .on_close = far_on_close};
static const struct protocol protocols[] = {{FRAME_PROTOCOL, &far_ops, NULL}};

static void set_up_libp2p(struct subject *s)
{
	s->world = world_connected(1, protocols, 1);
	s->peer = kit_peer_id(1);
	s->stranger = kit_peer_id(2);
	libp2p_streams_init(&s->libp2p, s->world->swarms[0].swarm, NULL, NULL);
	s->service = libp2p_streams_get(&s->libp2p);
}

static void tear_down_libp2p(struct subject *s)
{
	world_end(s->world);
	assert_null(s->libp2p.links);
}

static void retire_libp2p(struct subject *s)
{
	libp2p_streams_on_best(&s->libp2p, &s->peer, NULL);
}

static void break_libp2p(struct subject *s)
{
	conn_close(world_best(s->world, 0, 1), ERR_RESET);
}

static bool is_suspect(void *ctx)
{
	return conn_is_suspect(ctx);
}

static bool is_trusted(void *ctx)
{
	return !is_suspect(ctx);
}

static void suspect_libp2p(struct subject *s, bool wanted)
{
	world_cut(s->world, 0, 1, wanted);
	if (wanted)
		s->first = world_best(s->world, 0, 1); /* another one may be better later */
	world_until(s->world, wanted ? is_suspect : is_trusted, s->first, SEC(30));
}

static void want_spare(void *ctx, const struct peer_id *peer)
{
	(void)ctx;
	assert_true(peer_id_equal(peer, &now->peer));
	now->n_spares_wanted++;
}

/* Another identity, or the far end would keep one of the two connections only: it knows no lanes.
 */
static void set_up_spare(struct subject *s)
{
	struct kit_swarm *k = &s->spare;
	*k = (struct kit_swarm){.identity = kit_identity(2), .conf = s->world->swarms[0].conf};
	k->conf.identity = k->identity;
	k->conf.ctx = k;
	assert_ok(swarm_new(&k->conf, &k->swarm));
	s->libp2p.spare = k->swarm;
	s->libp2p.want_spare = want_spare;
}

static bool is_closed(void *ctx)
{
	return ((struct kit_swarm *)ctx)->is_closed;
}

static void tear_down_spare(struct subject *s)
{
	struct kit_swarm *k = &s->spare;
	swarm_close(k->swarm);
	world_until(s->world, is_closed, k, SEC(1));
	k->swarm = swarm_free(k->swarm);
	k->identity = identity_free(k->identity);
}

/* --- the user of a link ---------------------------------------------------------------------- */

struct user {
	void *link;
	unsigned n_open, n_pull, n_retire, n_close;
	size_t n_data;
	enum err why;
	uint32_t to_send, sent; /* packets */
	bool has_hello;         /* ... was sent */
	bool finishes_at_once, resets_at_once;
};

static bool is_inside; /* a call of the service: it must not call back */
static uint32_t next_number;

/* The call, from which nothing calls back. */
#define CALL(statement)                \
	do {                           \
		bool was_ = is_inside; \
		is_inside = true;      \
		statement;             \
		is_inside = was_;      \
	} while (0)

static void on_open(void *user, enum packet_framing framing)
{
	struct user *u = user;
	assert_false(is_inside);
	assert_int_equal(framing, PACKET_FRAMING_RUNNEL);
	assert_int_equal(u->n_open + u->n_close + u->n_data + u->n_pull, 0);
	u->n_open++;
	if (u->resets_at_once)
		CALL(now->service.ops->reset(u->link, ERR_CLOSED));
	if (u->finishes_at_once)
		CALL(now->service.ops->finish(u->link));
}

static void on_data(void *user, struct span data)
{
	struct user *u = user;
	assert_false(is_inside);
	assert_true(u->n_open == 1 && u->n_close == 0 && data.len > 0);
	u->n_data += data.len;
}

static size_t pull(void *user, uint8_t *buf, size_t cap)
{
	struct user *u = user;
	assert_false(is_inside);
	assert_true(u->n_open == 1 && u->n_close == 0 && cap > 0);
	u->n_pull++;
	struct wbuf out = wbuf_of(buf, cap);
	if (!u->has_hello && cap >= FRAME_HEADER_LEN + FRAME_HELLO_LEN_SENT_MAX) {
		frame_put_hello(&out, &hello);
		u->has_hello = true;
	}
	while (u->has_hello && u->sent < u->to_send && wbuf_room(&out) >= 104) {
		uint8_t frame[104] = {0};
		frame_put_packet_header(frame, 100);
		store_be32(frame + 4, next_number++);
		wbuf_put(&out, span_of(frame, sizeof(frame)));
		u->sent++;
	}
	return out.len;
}

static void on_retire(void *user)
{
	struct user *u = user;
	assert_int_equal(u->n_close, 0);
	u->n_retire++;
}

static void on_close(void *user, enum err why)
{
	struct user *u = user;
	assert_false(is_inside);
	assert_int_equal(u->n_close, 0); /* once */
	u->n_close++;
	u->why = why;
}

static const struct link_user_ops user_ops = {.on_open = on_open,
					      .on_data = on_data,
					      .pull = pull,
					      .on_retire = on_retire,
					      .on_close = on_close};

static void open_link(struct user *u)
{
	CALL(assert_ok(
		now->service.ops->open(now->service.ctx, &now->peer, &user_ops, u, &u->link)));
	assert_non_null(u->link);
	assert_int_equal(u->n_open, 0);
}

static void wait_open(struct user *u)
{
	world_run(now->world, MSEC(50));
	assert_int_equal(u->n_open, 1);
	assert_int_equal(u->n_close, 0);
}

static void open_and_wait(struct user *u)
{
	open_link(u);
	wait_open(u);
}

static enum err open_spare(struct user *u)
{
	enum err e;
	CALL(e = now->service.ops->open_spare(now->service.ctx, &now->peer, &user_ops, u,
					      &u->link));
	assert_int_equal(u->link != NULL, e == ERR_OK);
	return e;
}

static void wake(struct user *u)
{
	CALL(now->service.ops->wake(u->link));
}

static void send_more(struct user *u, uint32_t packets)
{
	u->to_send += packets;
	wake(u);
}

static void reset(struct user *u)
{
	CALL(now->service.ops->reset(u->link, ERR_CLOSED));
}

static void finish(struct user *u)
{
	CALL(now->service.ops->finish(u->link));
}

static void run(void)
{
	world_run(now->world, SEC(1));
}

/* The user goes; it must have heard the last of it. */
static void end(struct user *u)
{
	reset(u);
	run();
	assert_int_equal(u->n_close, 1);
}

/* --- what is promised ------------------------------------------------------------------------ */

static void open_is_answered_later_and_once(void)
{
	struct user u = {0};
	open_and_wait(&u);
	assert_true(u.n_data > 0); /* the far end's HELLO */
	run();
	assert_int_equal(u.n_open, 1);
	end(&u);
}

static void a_stranger_is_unreachable(void)
{
	struct user u = {0};
	CALL(assert_err(
		now->service.ops->open(now->service.ctx, &now->stranger, &user_ops, &u, &u.link),
		ERR_UNREACHABLE));
	assert_null(u.link);
	CALL(now->service.ops->demand(now->service.ctx, &now->stranger));
	CALL(now->service.ops->demand(now->service.ctx, &now->peer));
	run();
	assert_int_equal(u.n_open + u.n_close, 0);
}

static void what_is_pulled_arrives_in_order(void)
{
	struct user u = {0};
	open_and_wait(&u);
	for (unsigned i = 0; i < 100; i++) {
		send_more(&u, 100);
		world_run(now->world, MSEC(1));
	}
	run();
	assert_int_equal(u.sent, 10000);
	assert_int_equal(now->arrived, 10000);
	end(&u);
}

static void many_wakes_are_one(void)
{
	struct user u = {0};
	open_and_wait(&u);
	send_more(&u, 1);
	run();
	unsigned n = u.n_pull;
	run();
	assert_int_equal(u.n_pull, n); /* who said 0 is not asked again */
	for (unsigned i = 0; i < 100; i++)
		wake(&u);
	run();
	assert_in_range(u.n_pull - n, 1, 2);
	end(&u);
}

static void after_finish_all_arrives_and_both_end(void)
{
	struct user u = {0};
	open_and_wait(&u);
	send_more(&u, 500);
	while (u.sent < 500)
		world_run(now->world, NSEC_PER_USEC * 100);
	finish(&u);
	run();
	assert_int_equal(now->arrived, 500);
	assert_int_equal(u.n_close, 1);
	assert_err(u.why, ERR_OK);
}

static void after_reset_comes_only_the_end(void)
{
	struct user u = {0};
	open_and_wait(&u);
	send_more(&u, 100000);
	world_run(now->world, NSEC_PER_USEC * 500);
	unsigned n = u.n_pull;
	reset(&u);
	reset(&u);
	run();
	assert_int_equal(u.n_close, 1);
	assert_err(u.why, ERR_CLOSED);
	assert_true(u.n_pull <= n);
}

static void reset_ends_what_is_not_open_yet(void)
{
	struct user u = {0};
	open_link(&u);
	reset(&u);
	run();
	assert_int_equal(u.n_close, 1);
	assert_int_equal(u.n_open, 0);
}

static void finish_ends_what_is_not_open_yet(void)
{
	struct user u = {0};
	open_link(&u);
	finish(&u);
	run();
	assert_int_equal(u.n_close, 1);
	assert_true(u.n_pull == 0 && u.n_open <= 1);
}

static void what_is_finished_can_be_reset(void)
{
	struct user u = {0};
	open_and_wait(&u);
	finish(&u);
	reset(&u);
	run();
	assert_int_equal(u.n_close, 1);
}

static void callbacks_may_call(void)
{
	struct user u = {.resets_at_once = true}, v = {.finishes_at_once = true};
	open_link(&u);
	open_link(&v);
	run();
	assert_true(u.n_open == 1 && u.n_close == 1);
	assert_true(v.n_open == 1 && v.n_close == 1);
	assert_err(u.why, ERR_CLOSED);
	assert_err(v.why, ERR_OK);
}

static void what_breaks_below_ends_all_its_links_once(void)
{
	struct user u[5] = {{0}};
	for (size_t i = 0; i < 5; i++)
		open_and_wait(&u[i]);
	send_more(&u[2], 10000);
	now->break_all(now);
	run();
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(u[i].n_close, 1);
		assert_true(u[i].why != ERR_OK);
	}
}

static void facts_tell_who_shares_a_connection(void)
{
	struct user u = {0}, v = {0};
	struct link_facts a, b;
	open_and_wait(&u);
	open_and_wait(&v);
	CALL(now->service.ops->facts(u.link, &a));
	CALL(now->service.ops->facts(v.link, &b));
	assert_true(a.conn != 0 && a.conn == b.conn);
	assert_false(a.is_suspect);
	end(&u);
	end(&v);
}

static void facts_tell_of_suspicion(void)
{
	struct user u = {0};
	struct link_facts f;
	open_and_wait(&u);
	now->suspect(now, true);
	CALL(now->service.ops->facts(u.link, &f));
	assert_true(f.is_suspect);
	now->suspect(now, false);
	CALL(now->service.ops->facts(u.link, &f));
	assert_false(f.is_suspect);
	end(&u);
}

static void there_is_no_spare_where_none_can_be(void)
{
	struct user u = {0};
	if (now->service.ops->open_spare != NULL)
		assert_err(open_spare(&u), ERR_UNREACHABLE);
	run();
	assert_int_equal(u.n_open + u.n_close, 0);
}

static void what_retires_still_works(void)
{
	struct user u = {0};
	open_and_wait(&u);
	send_more(&u, 10);
	now->retire(now);
	assert_int_equal(u.n_retire, 1);
	send_more(&u, 10);
	run();
	assert_int_equal(now->arrived, 20);
	assert_int_equal(u.n_close, 0);
	end(&u);
}

/* --- ask both -------------------------------------------------------------------------------- */

static struct subject subjects[] = {
	{.name = "memory",
	 .set_up = set_up_memory,
	 .tear_down = tear_down_memory,
	 .retire = retire_memory,
	 .break_all = break_memory,
	 .suspect = suspect_memory},
	{.name = "libp2p",
	 .set_up = set_up_libp2p,
	 .tear_down = tear_down_libp2p,
	 .retire = retire_libp2p,
	 .break_all = break_libp2p,
	 .suspect = suspect_libp2p},
};

static void ask(size_t subject, void (*claim)(void))
{
	now = &subjects[subject];
	now->arrived = 0;
	next_number = 0;
	is_inside = false;
	now->set_up(now);
	claim();
	now->tear_down(now);
}

#define CLAIM(claim)                                       \
	static void test_over_memory_##claim(void **state) \
	{                                                  \
		(void)state;                               \
		ask(0, claim);                             \
	}                                                  \
	static void test_over_libp2p_##claim(void **state) \
	{                                                  \
		(void)state;                               \
		ask(1, claim);                             \
	}

CLAIM(open_is_answered_later_and_once)
CLAIM(a_stranger_is_unreachable)
CLAIM(what_is_pulled_arrives_in_order)
CLAIM(many_wakes_are_one)
CLAIM(after_finish_all_arrives_and_both_end)
CLAIM(after_reset_comes_only_the_end)
CLAIM(reset_ends_what_is_not_open_yet)
CLAIM(finish_ends_what_is_not_open_yet)
CLAIM(what_is_finished_can_be_reset)
CLAIM(callbacks_may_call)
CLAIM(what_breaks_below_ends_all_its_links_once)
CLAIM(facts_tell_who_shares_a_connection)
CLAIM(facts_tell_of_suspicion)
CLAIM(there_is_no_spare_where_none_can_be)
CLAIM(what_retires_still_works)

/* Peers in memory have no connections of which one could be another. */
static void there_never_is_a_spare(void)
{
	assert_null(now->service.ops->open_spare);
}

static void test_over_memory_there_never_is_a_spare(void **state)
{
	(void)state;
	ask(0, there_never_is_a_spare);
}

static bool has_spare(void *ctx)
{
	struct subject *s = ctx;
	return swarm_best(s->spare.swarm, &s->peer) != NULL;
}

/* Asking is asking for one. */
static void a_spare_is_another_connection(void)
{
	struct user u = {0}, v = {0};
	set_up_spare(now);
	now->n_spares_wanted = 0;
	assert_err(open_spare(&v), ERR_UNREACHABLE);
	assert_int_equal(now->n_spares_wanted, 1);
	struct multiaddr addr = kit_host_addr(1);
	assert_ok(swarm_add_peer(now->spare.swarm, &now->peer, &addr, 1));
	world_until(now->world, has_spare, now, SEC(1));
	assert_ok(open_spare(&v));
	wait_open(&v);
	open_and_wait(&u);
	struct link_facts a, b;
	CALL(now->service.ops->facts(u.link, &a));
	CALL(now->service.ops->facts(v.link, &b));
	assert_true(a.conn != 0 && b.conn != 0 && a.conn != b.conn);
	now->break_all(now); /* the others */
	send_more(&v, 100);
	run();
	assert_int_equal(u.n_close, 1);
	assert_int_equal(v.n_close, 0);
	assert_int_equal(now->arrived, 100);
	end(&v);
	tear_down_spare(now);
}

static void test_over_libp2p_a_spare_is_another_connection(void **state)
{
	(void)state;
	ask(1, a_spare_is_another_connection);
}

#define BOTH(claim) \
	cmocka_unit_test(test_over_memory_##claim), cmocka_unit_test(test_over_libp2p_##claim)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(open_is_answered_later_and_once),
		BOTH(a_stranger_is_unreachable),
		BOTH(what_is_pulled_arrives_in_order),
		BOTH(many_wakes_are_one),
		BOTH(after_finish_all_arrives_and_both_end),
		BOTH(after_reset_comes_only_the_end),
		BOTH(reset_ends_what_is_not_open_yet),
		BOTH(finish_ends_what_is_not_open_yet),
		BOTH(what_is_finished_can_be_reset),
		BOTH(callbacks_may_call),
		BOTH(what_breaks_below_ends_all_its_links_once),
		BOTH(facts_tell_who_shares_a_connection),
		BOTH(facts_tell_of_suspicion),
		BOTH(there_is_no_spare_where_none_can_be),
		cmocka_unit_test(test_over_memory_there_never_is_a_spare),
		cmocka_unit_test(test_over_libp2p_a_spare_is_another_connection),
		BOTH(what_retires_still_works),
	};
	return cmocka_run_group_tests_name("stream_service", tests, NULL, NULL);
}
