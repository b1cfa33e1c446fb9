/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* conformance.c - see conformance.h */
#include "unit/loop/conformance.h"

#include <stdlib.h>

#include "base/util.h"

enum {
	MANY = 200
};

/* One end of a connection that remembers what happened to it. */
struct end {
	struct sock *sock;
	unsigned n_calls;
	unsigned last_ready;
	enum err err; /* the first of a read that was neither ERR_OK nor ERR_AGAIN */
	size_t n_read;
	uint64_t sum; /* of the bytes read */
	struct end *other;
	bool keep_unread;
};

static void close_end(struct end *end)
{
	end->sock = sock_close(end->sock, false);
}

static void on_read(void *ctx, unsigned ready)
{
	struct end *end = ctx;
	end->n_calls++;
	end->last_ready = ready;
	uint8_t buf[4096];
	size_t n;
	while (!end->keep_unread && end->err == ERR_OK) {
		enum err err = sock_read(end->sock, buf, sizeof(buf), &n);
		if (err == ERR_AGAIN)
			return;
		if (err != ERR_OK) {
			end->err = err;
			sock_watch(end->sock, 0, NULL, NULL);
			return;
		}
		for (size_t i = 0; i < n; i++)
			end->sum = end->sum * 31 + buf[i];
		end->n_read += n;
	}
}

static void on_any(void *ctx, unsigned ready)
{
	struct end *end = ctx;
	end->n_calls++;
	end->last_ready = ready;
	sock_watch(end->sock, 0, NULL, NULL);
}

static bool was_called(void *ctx)
{
	return ((struct end *)ctx)->n_calls > 0;
}

static bool has_ended(void *ctx)
{
	return ((struct end *)ctx)->err != ERR_OK;
}

static void wait_for(struct conformance *c, bool (*done)(void *ctx), void *ctx)
{
	assert_true(c->turn_until(c, done, ctx));
}

static bool is_past(void *ctx)
{
	struct loop_timer *timer = ctx;
	return !loop_timer_is_set(timer);
}

static void on_nothing(struct loop_timer *timer, nsec_t now)
{
	(void)timer;
	(void)now;
}

/* A few turns, so that what must not happen had its chance. */
static void let_pass(struct conformance *c, nsec_t span)
{
	struct loop_timer timer;
	loop_timer_init(&timer, c->a, on_nothing);
	loop_timer_set(&timer, loop_now(c->a) + span);
	wait_for(c, is_past, &timer);
}

static struct sock *listen_at(struct conformance *c, union netaddr *ret_at)
{
	struct sock *listener;
	assert_ok(loop_tcp_listen(c->b, &c->at, &listener));
	assert_ok(sock_local(listener, ret_at));
	return listener;
}

static struct sock *accept_one(struct conformance *c, struct sock *listener)
{
	struct end at = {.sock = listener};
	struct sock *sock;
	union netaddr remote;
	enum err err;
	while ((err = sock_accept(listener, NULL, &sock, &remote)) == ERR_AGAIN) {
		at.n_calls = 0;
		sock_watch(listener, SOCK_READABLE, on_any, &at);
		wait_for(c, was_called, &at);
	}
	assert_ok(err);
	assert_int_equal(remote.sa.sa_family, c->at.sa.sa_family);
	return sock;
}

/* A connection from a to b, both ends idle. */
static void connect_ends(struct conformance *c, struct end *a, struct end *b,
			 const struct tcp_opts *opts)
{
	union netaddr at;
	struct sock *listener = listen_at(c, &at);
	*a = *b = (struct end){0};
	assert_ok(loop_tcp_dial(c->a, &at, opts, &a->sock));
	sock_watch(a->sock, SOCK_WRITABLE, on_any, a);
	wait_for(c, was_called, a);
	assert_ok(sock_error(a->sock));
	b->sock = accept_one(c, listener);
	sock_close(listener, false);
	a->n_calls = 0;
}

static void write_all(struct end *end, const char *text)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
	size_t n = 0;
	assert_ok(sock_writev(end->sock, &iov, 1, &n));
	assert_int_equal(n, iov.iov_len);
}

/* --- sockets -------------------------------------------------------------------------------- */

static void on_echo(void *ctx, unsigned ready)
{
	(void)ready;
	struct end *end = ctx;
	uint8_t buf[100];
	size_t n, written;
	enum err err;
	while ((err = sock_read(end->sock, buf, sizeof(buf), &n)) == ERR_OK) {
		struct iovec iov[2] = {{buf, n / 2}, {buf + n / 2, n - n / 2}};
		assert_ok(sock_writev(end->sock, iov, 2, &written));
		assert_int_equal(written, n);
	}
	assert_err(err, ERR_AGAIN);
}

static bool has_read_eleven(void *ctx)
{
	return ((struct end *)ctx)->n_read >= 11;
}

void test_bytes_come_back_from_an_echo(void **state)
{
	struct conformance *c = *state;
	struct end a, b, expected = {0};
	connect_ends(c, &a, &b, NULL);
	sock_watch(b.sock, SOCK_READABLE, on_echo, &b);
	sock_watch(a.sock, SOCK_READABLE, on_read, &a);
	write_all(&a, "hello ");
	write_all(&a, "world");
	wait_for(c, has_read_eleven, &a);
	for (const char *p = "hello world"; *p != '\0'; p++)
		expected.sum = expected.sum * 31 + (uint8_t)*p;
	assert_int_equal(a.n_read, 11);
	assert_true(a.sum == expected.sum);
	close_end(&a);
	close_end(&b);
}

void test_dial_without_listener_is_refused(void **state)
{
	struct conformance *c = *state;
	union netaddr at;
	sock_close(listen_at(c, &at), false);
	struct end a = {0};
	assert_ok(loop_tcp_dial(c->a, &at, NULL, &a.sock));
	sock_watch(a.sock, SOCK_WRITABLE, on_any, &a);
	wait_for(c, was_called, &a);
	assert_int_equal(a.last_ready, SOCK_WRITABLE);
	assert_err(sock_error(a.sock), ERR_REFUSED);
	close_end(&a);
}

void test_bytes_before_eof_are_read_before_eof(void **state)
{
	struct conformance *c = *state;
	struct end a, b;
	connect_ends(c, &a, &b, NULL);
	write_all(&a, "half a messa");
	write_all(&b, "never read by a, must not harm what a wrote");
	let_pass(c, 20 * NSEC_PER_MSEC);
	close_end(&a);
	sock_watch(b.sock, SOCK_READABLE, on_read, &b);
	wait_for(c, has_ended, &b);
	assert_int_equal(b.n_read, 12);
	assert_err(b.err, ERR_EOF);
	close_end(&b);
}

void test_abort_is_a_reset_for_the_peer(void **state)
{
	struct conformance *c = *state;
	struct end a, b;
	connect_ends(c, &a, &b, NULL);
	a.sock = sock_close(a.sock, true);
	sock_watch(b.sock, SOCK_READABLE, on_read, &b);
	wait_for(c, has_ended, &b);
	assert_err(b.err, ERR_RESET);
	close_end(&b);
}

static uint8_t big[64 * 1024];

static size_t fill_pipe(struct end *end)
{
	struct iovec iov = {.iov_base = big, .iov_len = sizeof(big)};
	size_t n, total = 0;
	enum err err;
	while ((err = sock_writev(end->sock, &iov, 1, &n)) == ERR_OK) {
		assert_in_range(n, 1, sizeof(big));
		total += n;
		assert_true(total < 64 * 1024 * 1024);
	}
	assert_err(err, ERR_AGAIN);
	return total;
}

void test_full_pipe_says_again_then_becomes_writable(void **state)
{
	struct conformance *c = *state;
	struct end a, b;
	size_t total = 0, round;
	connect_ends(c, &a, &b, &(struct tcp_opts){.send_buffer_bytes = 64 * 1024});
	/* Full at rest: what the kernel moves to the other end meanwhile makes room. */
	size_t rounds = 0;
	do {
		assert_true(rounds++ < 100);
		round = fill_pipe(&a);
		total += round;
		a.n_calls = 0;
		sock_watch(a.sock, SOCK_WRITABLE, on_any, &a);
		let_pass(c, 20 * NSEC_PER_MSEC);
	} while (a.n_calls > 0);
	sock_watch(b.sock, SOCK_READABLE, on_read, &b);
	wait_for(c, was_called, &a);
	total += fill_pipe(&a);
	close_end(&a);
	wait_for(c, has_ended, &b);
	assert_err(b.err, ERR_EOF);
	assert_int_equal(b.n_read, total);
	close_end(&b);
}

static void on_close_self(void *ctx, unsigned ready)
{
	(void)ready;
	struct end *end = ctx;
	assert_int_equal(end->n_calls++, 0);
	close_end(end);
}

void test_sock_may_close_itself_in_its_callback(void **state)
{
	struct conformance *c = *state;
	struct end a, b;
	connect_ends(c, &a, &b, NULL);
	sock_watch(b.sock, SOCK_READABLE | SOCK_WRITABLE, on_close_self, &b);
	write_all(&a, "x");
	sock_watch(a.sock, SOCK_READABLE, on_read, &a);
	wait_for(c, has_ended, &a);
	assert_int_equal(b.n_calls, 1);
	close_end(&a);
}

static void on_close_other(void *ctx, unsigned ready)
{
	(void)ready;
	struct end *end = ctx;
	end->n_calls++;
	assert_non_null(end->sock);
	close_end(end->other);
	close_end(end);
}

static bool both_closed(void *ctx)
{
	struct end *ends = ctx;
	return ends[0].sock == NULL && ends[1].sock == NULL;
}

void test_sock_closed_by_another_ready_one_is_not_called(void **state)
{
	struct conformance *c = *state;
	struct end a[2], b[2];
	for (size_t i = 0; i < 2; i++)
		connect_ends(c, &a[i], &b[i], NULL);
	for (size_t i = 0; i < 2; i++) {
		b[i].other = &b[1 - i];
		write_all(&a[i], "x");
	}
	let_pass(c, 20 * NSEC_PER_MSEC); /* both are ready before the first is called */
	for (size_t i = 0; i < 2; i++)
		sock_watch(b[i].sock, SOCK_READABLE, on_close_other, &b[i]);
	wait_for(c, both_closed, b);
	let_pass(c, 20 * NSEC_PER_MSEC);
	assert_int_equal(b[0].n_calls + b[1].n_calls, 1);
	for (size_t i = 0; i < 2; i++)
		close_end(&a[i]);
}

void test_unwatched_sock_is_not_called(void **state)
{
	struct conformance *c = *state;
	struct end a, b;
	connect_ends(c, &a, &b, NULL);
	write_all(&a, "x");
	let_pass(c, 20 * NSEC_PER_MSEC);
	sock_watch(b.sock, SOCK_READABLE | SOCK_WRITABLE, on_read, &b);
	sock_watch(b.sock, 0, on_read, &b);
	let_pass(c, 20 * NSEC_PER_MSEC);
	assert_int_equal(b.n_calls, 0);
	sock_watch(b.sock, SOCK_READABLE, on_read, &b);
	wait_for(c, was_called, &b);
	assert_int_equal(b.last_ready, SOCK_READABLE);
	close_end(&a);
	close_end(&b);
}

static bool was_called_thrice(void *ctx)
{
	struct end *end = ctx;
	end->keep_unread = end->n_calls < 3;
	return end->n_calls > 3;
}

static void hold_back(struct conformance *c, bool abort)
{
	struct end a, b;
	connect_ends(c, &a, &b, NULL);
	if (!abort)
		write_all(&a, "x");
	b.keep_unread = true;
	sock_watch(b.sock, SOCK_READABLE, on_read, &b);
	a.sock = sock_close(a.sock, abort);
	wait_for(c, was_called_thrice, &b);
	wait_for(c, has_ended, &b);
	assert_err(b.err, abort ? ERR_RESET : ERR_EOF);
	assert_int_equal(b.n_read, abort ? 0 : 1);
	close_end(&b);
}

void test_readiness_is_called_again_while_it_holds(void **state)
{
	hold_back(*state, false);
	hold_back(*state, true);
}

/* --- many ----------------------------------------------------------------------------------- */

struct crowd {
	struct sock *listener;
	struct end a[MANY], b[MANY];
	size_t n_accepted, n_ended;
};

static struct crowd *crowd;

static void on_crowd_read(void *ctx, unsigned ready)
{
	struct end *end = ctx;
	on_read(end, ready);
	if (end->err != ERR_OK) {
		assert_err(end->err, ERR_EOF);
		crowd->n_ended++;
		close_end(end);
	}
}

static void on_crowd_accept(void *ctx, unsigned ready)
{
	(void)ctx;
	(void)ready;
	union netaddr remote;
	struct sock *sock;
	enum err err;
	while ((err = sock_accept(crowd->listener, NULL, &sock, &remote)) == ERR_OK) {
		assert_true(crowd->n_accepted < MANY);
		struct end *end = &crowd->b[crowd->n_accepted++];
		end->sock = sock;
		sock_watch(sock, SOCK_READABLE, on_crowd_read, end);
	}
	assert_err(err, ERR_AGAIN);
}

static void on_crowd_connected(void *ctx, unsigned ready)
{
	(void)ready;
	struct end *end = ctx;
	assert_ok(sock_error(end->sock));
	write_all(end, "one of many");
	close_end(end);
}

static bool all_ended(void *ctx)
{
	(void)ctx;
	return crowd->n_ended == MANY;
}

void test_two_hundred_socks_at_once(void **state)
{
	struct conformance *c = *state;
	union netaddr at;
	crowd = calloc(1, sizeof(*crowd));
	assert_non_null(crowd);
	crowd->listener = listen_at(c, &at);
	sock_watch(crowd->listener, SOCK_READABLE, on_crowd_accept, NULL);
	for (size_t i = 0; i < MANY; i++) {
		struct end *end = &crowd->a[i];
		assert_ok(loop_tcp_dial(c->a, &at, NULL, &end->sock));
		sock_watch(end->sock, SOCK_WRITABLE, on_crowd_connected, end);
	}
	wait_for(c, all_ended, NULL);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(crowd->b[i].n_read, 11);
	sock_close(crowd->listener, false);
	free(crowd);
}

static bool has_acked_all(void *ctx)
{
	struct tcp_stats stats;
	assert_ok(sock_tcp_stats(((struct end *)ctx)->sock, &stats));
	return stats.unacked_segs == 0 && stats.notsent_bytes == 0;
}

void test_acked_bytes_are_what_was_written(void **state)
{
	struct conformance *c = *state;
	struct end a, b;
	struct tcp_stats stats;
	connect_ends(c, &a, &b, NULL);
	struct iovec iov = {.iov_base = big, .iov_len = 10000};
	size_t n;
	for (struct end *end = &a; end != NULL; end = end == &a ? &b : NULL) {
		assert_ok(sock_tcp_stats(end->sock, &stats));
		assert_int_equal(stats.acked_bytes, 0);
		assert_ok(sock_writev(end->sock, &iov, 1, &n));
		assert_int_equal(n, 10000);
		wait_for(c, has_acked_all, end);
		assert_ok(sock_tcp_stats(end->sock, &stats));
		assert_int_equal(stats.acked_bytes, 10000);
		assert_true(stats.rtt > 0);
	}
	close_end(&a);
	close_end(&b);
}

void test_taken_address_is_not_listened_on_twice(void **state)
{
	struct conformance *c = *state;
	union netaddr at;
	struct sock *listener = listen_at(c, &at), *second;
	assert_err(loop_tcp_listen(c->b, &at, &second), ERR_ADDRESS_IN_USE);
	sock_close(listener, false);
	/* Free again at once. */
	assert_ok(loop_tcp_listen(c->b, &at, &second));
	sock_close(second, false);
}

/* --- moving from loop to loop, here to the same one ------------------------------------------ */

static void move(struct conformance *c, struct end *end)
{
	struct sock_baton baton;
	sock_detach(end->sock, &baton);
	end->sock = NULL;
	assert_ok(sock_attach(c->b, &baton, &end->sock));
	assert_null(baton.ops); /* it holds nothing any more */
	sock_baton_close(&baton, false);
}

struct mover {
	struct conformance *c;
	struct end from, to;
	struct loop_timer timer;
	uint64_t sum; /* of the bytes written */
	size_t n_written, n_moves;
	bool is_away; /* in the baton */
	struct sock_baton baton;
};

/* Bytes that tell their place, as many as the socket takes. */
static void write_numbered(struct mover *m)
{
	uint8_t bytes[997];
	size_t n;
	do {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)((m->n_written + i) * 7 + (m->n_written + i) / 251);
		struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
		if (sock_writev(m->from.sock, &iov, 1, &n) != ERR_OK)
			return;
		for (size_t i = 0; i < n; i++)
			m->sum = m->sum * 31 + bytes[i];
		m->n_written += n;
	} while (m->n_written % 16384 > 1000);
}

/* Every second time it leaves its loop, otherwise it comes back. */
static void on_move(struct loop_timer *timer, nsec_t now)
{
	struct mover *m = CONTAINER_OF(timer, struct mover, timer);
	write_numbered(m);
	if (m->is_away) {
		assert_ok(sock_attach(m->c->b, &m->baton, &m->to.sock));
		sock_watch(m->to.sock, SOCK_READABLE, on_read, &m->to);
		if (++m->n_moves == 100)
			return;
	} else {
		sock_detach(m->to.sock, &m->baton);
		m->to.sock = NULL;
	}
	m->is_away = !m->is_away;
	loop_timer_set(timer, now + NSEC_PER_MSEC / 2);
}

void test_moved_sock_loses_and_doubles_nothing(void **state)
{
	struct conformance *c = *state;
	struct mover m = {.c = c};
	connect_ends(c, &m.from, &m.to, NULL);
	union netaddr before, after;
	assert_ok(sock_local(m.to.sock, &before));
	sock_watch(m.to.sock, SOCK_READABLE, on_read, &m.to);
	loop_timer_init(&m.timer, c->b, on_move);
	loop_timer_set(&m.timer, loop_now(c->b));
	wait_for(c, is_past, &m.timer);
	assert_int_equal(m.n_moves, 100);
	assert_ok(sock_local(m.to.sock, &after));
	assert_memory_equal(&before.in4.sin_port, &after.in4.sin_port, 2);
	/* And the other way. */
	write_all(&m.to, "hello world");
	sock_watch(m.from.sock, SOCK_READABLE, on_read, &m.from);
	wait_for(c, has_read_eleven, &m.from);
	close_end(&m.from);
	wait_for(c, has_ended, &m.to);
	assert_err(m.to.err, ERR_EOF);
	assert_true(m.n_written > 100000);
	assert_int_equal(m.to.n_read, m.n_written);
	assert_true(m.to.sum == m.sum);
	close_end(&m.to);
}

static void on_move_self(void *ctx, unsigned ready)
{
	struct mover *m = ctx;
	(void)ready;
	m->to.n_calls++;
	move(m->c, &m->to); /* unwatched: not called any more */
}

void test_moved_sock_may_move_itself_in_its_callback(void **state)
{
	struct conformance *c = *state;
	struct mover m = {.c = c};
	connect_ends(c, &m.from, &m.to, NULL);
	write_all(&m.from, "hello world");
	sock_watch(m.to.sock, SOCK_READABLE | SOCK_WRITABLE, on_move_self, &m);
	wait_for(c, was_called, &m.to);
	let_pass(c, 20 * NSEC_PER_MSEC);
	assert_int_equal(m.to.n_calls, 1);
	sock_watch(m.to.sock, SOCK_READABLE, on_read, &m.to);
	wait_for(c, has_read_eleven, &m.to);
	assert_int_equal(m.to.n_read, 11);
	close_end(&m.from);
	close_end(&m.to);
}

static struct conformance *moving;

static void on_move_other(void *ctx, unsigned ready)
{
	(void)ready;
	struct end *end = ctx;
	end->n_calls++;
	move(moving, end->other);
	move(moving, end);
}

static bool either_was_called(void *ctx)
{
	struct end *ends = ctx;
	return ends[0].n_calls + ends[1].n_calls > 0;
}

void test_sock_moved_by_another_ready_one_is_not_called(void **state)
{
	struct conformance *c = *state;
	struct end a[2], b[2];
	moving = c;
	for (size_t i = 0; i < 2; i++)
		connect_ends(c, &a[i], &b[i], NULL);
	for (size_t i = 0; i < 2; i++) {
		b[i].other = &b[1 - i];
		write_all(&a[i], "x");
	}
	let_pass(c, 20 * NSEC_PER_MSEC); /* both are ready before the first is called */
	for (size_t i = 0; i < 2; i++)
		sock_watch(b[i].sock, SOCK_READABLE, on_move_other, &b[i]);
	wait_for(c, either_was_called, b);
	let_pass(c, 20 * NSEC_PER_MSEC);
	assert_int_equal(b[0].n_calls + b[1].n_calls, 1);
	for (size_t i = 0; i < 2; i++) {
		close_end(&a[i]);
		close_end(&b[i]);
	}
}

void test_closed_baton_delivers_what_was_written(void **state)
{
	struct conformance *c = *state;
	struct end a, b;
	struct sock_baton baton;
	connect_ends(c, &a, &b, NULL);
	write_all(&a, "never read by b, must not harm what b wrote");
	write_all(&b, "hello world");
	let_pass(c, 20 * NSEC_PER_MSEC);
	sock_detach(b.sock, &baton);
	sock_watch(a.sock, SOCK_READABLE, on_read, &a);
	wait_for(c, has_read_eleven, &a);
	sock_baton_close(&baton, false);
	wait_for(c, has_ended, &a);
	assert_err(a.err, ERR_EOF);
	assert_int_equal(a.n_read, 11);
	close_end(&a);
}

void test_aborted_baton_is_a_reset_for_the_peer(void **state)
{
	struct conformance *c = *state;
	struct end a, b;
	struct sock_baton baton;
	connect_ends(c, &a, &b, NULL);
	sock_detach(b.sock, &baton);
	sock_baton_close(&baton, true);
	sock_watch(a.sock, SOCK_READABLE, on_read, &a);
	wait_for(c, has_ended, &a);
	assert_err(a.err, ERR_RESET);
	close_end(&a);
}

/* --- timers ---------------------------------------------------------------------------------- */

struct probe {
	struct loop_timer timer;
	nsec_t fired_at;
	unsigned n_fired;
	unsigned order;
};

static unsigned next_order;

static void on_probe(struct loop_timer *timer, nsec_t now)
{
	struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
	assert_false(loop_timer_is_set(timer));
	probe->fired_at = now;
	probe->n_fired++;
	probe->order = next_order++;
}

static bool has_fired(void *ctx)
{
	return ((struct probe *)ctx)->n_fired > 0;
}

static void probe_set(struct probe *probe, struct loop *loop, nsec_t at)
{
	*probe = (struct probe){0};
	loop_timer_init(&probe->timer, loop, on_probe);
	loop_timer_set(&probe->timer, at);
}

void test_timers_fire_by_deadline_then_by_order_of_setting(void **state)
{
	struct conformance *c = *state;
	struct probe p[5];
	nsec_t now = loop_now(c->a), late = now + 10 * NSEC_PER_MSEC;
	next_order = 0;
	probe_set(&p[4], c->a, late + 1);
	probe_set(&p[2], c->a, late); /* moved to the same deadline below: then it is the last */
	probe_set(&p[1], c->a, late);
	probe_set(&p[0], c->a, late - 1);
	probe_set(&p[3], c->a, now);
	loop_timer_set(&p[2].timer, late);
	loop_timer_stop(&p[3].timer);
	assert_false(loop_timer_is_set(&p[3].timer));
	loop_timer_set(&p[3].timer, NSEC_NEVER);
	wait_for(c, has_fired, &p[4]);
	assert_int_equal(p[0].order, 0);
	assert_int_equal(p[1].order, 1);
	assert_int_equal(p[2].order, 2);
	assert_int_equal(p[4].order, 3);
	assert_int_equal(p[3].n_fired, 0);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(p[i].n_fired, i == 3 ? 0 : 1);
}

void test_timers_never_fire_early(void **state)
{
	struct conformance *c = *state;
	struct probe p[50];
	nsec_t now = loop_now(c->a), at[50];
	for (size_t i = 0; i < 50; i++) {
		at[i] = now + (i + 1) * 313 * NSEC_PER_USEC + 7;
		probe_set(&p[i], c->a, at[i]);
	}
	wait_for(c, has_fired, &p[49]);
	for (size_t i = 0; i < 50; i++) {
		assert_int_equal(p[i].n_fired, 1);
		assert_true(p[i].fired_at >= at[i]);
	}
}

struct again {
	struct loop_timer timer;
	struct loop_task task;
	unsigned n_fired, n_turns;
};

/* The task runs once a turn, so timers that fire more often fire in one turn. */
static void on_again(struct loop_timer *timer, nsec_t now)
{
	struct again *again = CONTAINER_OF(timer, struct again, timer);
	again->n_fired++;
	assert_int_equal(again->n_fired, again->n_turns + 1);
	if (again->n_fired < 5)
		loop_timer_set(timer, again->n_fired % 2 == 0 ? now : now - 1);
	loop_defer(timer->loop, &again->task);
}

static void on_turn(struct loop_task *task)
{
	CONTAINER_OF(task, struct again, task)->n_turns++;
}

static bool has_turned_five_times(void *ctx)
{
	return ((struct again *)ctx)->n_turns == 5;
}

void test_timer_set_for_now_waits_for_the_next_turn(void **state)
{
	struct conformance *c = *state;
	struct again again = {.task = {.run = on_turn}};
	loop_timer_init(&again.timer, c->a, on_again);
	loop_timer_set(&again.timer, loop_now(c->a));
	wait_for(c, has_turned_five_times, &again);
	assert_int_equal(again.n_fired, 5);
}

struct master {
	struct loop_timer timer;
	struct probe *stopped, *moved, *freed;
	nsec_t move_to;
};

static void on_master(struct loop_timer *timer, nsec_t now)
{
	struct master *master = CONTAINER_OF(timer, struct master, timer);
	loop_timer_stop(&master->stopped->timer);
	loop_timer_set(&master->moved->timer, master->move_to = now + 5 * NSEC_PER_MSEC);
	loop_timer_stop(&master->freed->timer);
	free(master->freed);
}

void test_timer_may_stop_set_and_free_others(void **state)
{
	struct conformance *c = *state;
	struct probe stopped, moved, *freed = malloc(sizeof(*freed));
	assert_non_null(freed);
	nsec_t at = loop_now(c->a) + NSEC_PER_MSEC;
	struct master master = {.stopped = &stopped, .moved = &moved, .freed = freed};
	loop_timer_init(&master.timer, c->a, on_master);
	loop_timer_set(&master.timer, at);
	/* All due with it. */
	probe_set(&moved, c->a, at);
	probe_set(freed, c->a, at);
	probe_set(&stopped, c->a, at);
	wait_for(c, has_fired, &moved);
	assert_int_equal(moved.n_fired, 1);
	assert_true(moved.fired_at >= master.move_to);
	assert_int_equal(stopped.n_fired, 0);
}

/* --- tasks ------------------------------------------------------------------------------------ */

struct turn {
	struct loop *loop;
	struct end b;
	struct probe probe;
	struct loop_task task, cancelled, second;
	char log[16];
	size_t n_log;
	nsec_t socket_now, timer_now, task_now;
};

static void note(struct turn *turn, char what)
{
	assert_true(turn->n_log < sizeof(turn->log) - 1);
	turn->log[turn->n_log++] = what;
}

static void on_turn_sock(void *ctx, unsigned ready)
{
	(void)ready;
	struct turn *turn = CONTAINER_OF(ctx, struct turn, b);
	turn->socket_now = loop_now(turn->loop);
	sock_watch(turn->b.sock, 0, NULL, NULL);
	loop_defer(turn->loop, &turn->task);
	loop_defer(turn->loop, &turn->cancelled);
	loop_timer_set(&turn->probe.timer, turn->socket_now);
	/* Real time goes on; the turn's does not. */
	for (volatile unsigned i = 0; i < 1000 * 1000; i++)
		;
	note(turn, 's');
}

static void on_turn_timer(struct loop_timer *timer, nsec_t now)
{
	struct turn *turn = CONTAINER_OF(timer, struct turn, probe.timer);
	turn->timer_now = now;
	loop_defer(turn->loop, &turn->task); /* asking twice is asking once */
	loop_defer(turn->loop, &turn->second);
	loop_task_cancel(&turn->cancelled);
	loop_task_cancel(&turn->cancelled);
	note(turn, 't');
}

static void on_task(struct loop_task *task)
{
	struct turn *turn = CONTAINER_OF(task, struct turn, task);
	assert_null(task->loop);
	turn->task_now = loop_now(turn->loop);
	note(turn, '1');
	if (turn->n_log < 6)
		loop_defer(turn->loop, task); /* the next turn, which comes by itself */
}

static void on_second(struct loop_task *task)
{
	note(CONTAINER_OF(task, struct turn, second), '2');
}

static void on_cancelled(struct loop_task *task)
{
	note(CONTAINER_OF(task, struct turn, cancelled), 'X');
}

static bool has_noted_six(void *ctx)
{
	return ((struct turn *)ctx)->n_log >= 6;
}

static void run_turn(struct conformance *c, struct turn *turn)
{
	struct end a;
	*turn = (struct turn){
		.loop = c->b,
		.task = {.run = on_task},
		.cancelled = {.run = on_cancelled},
		.second = {.run = on_second},
	};
	connect_ends(c, &a, &turn->b, NULL);
	loop_timer_init(&turn->probe.timer, c->b, on_turn_timer);
	sock_watch(turn->b.sock, SOCK_READABLE, on_turn_sock, &turn->b);
	write_all(&a, "x");
	wait_for(c, has_noted_six, turn);
	close_end(&a);
	close_end(&turn->b);
}

void test_task_runs_once_after_sockets_and_timers(void **state)
{
	struct turn turn;
	run_turn(*state, &turn);
	let_pass(*state, NSEC_PER_MSEC);
	assert_string_equal(turn.log, "st1211");
}

void test_now_stands_still_within_a_turn(void **state)
{
	struct turn turn;
	run_turn(*state, &turn);
	assert_true(turn.socket_now == turn.timer_now);
	assert_true(turn.socket_now <= turn.task_now);
}

/* --- mail ------------------------------------------------------------------------------------- */

struct letter {
	struct loop_mail mail;
	struct post *post;
	char name;
	struct letter *then;    /* what its run() posts, it may be itself, ... */
	unsigned n_then;        /* ... so often */
	struct loop_task *task; /* ... and puts off */
};

struct post {
	struct loop *loop;
	struct end b;
	struct letter first, second;
	struct loop_timer timer;
	struct loop_task task;
	char log[16];
	size_t n_log, n_wanted;
};

static void log_post(struct post *post, char what)
{
	assert_true(post->n_log < sizeof(post->log) - 1);
	post->log[post->n_log++] = what;
}

static void on_letter(struct loop_mail *mail)
{
	struct letter *letter = CONTAINER_OF(mail, struct letter, mail);
	struct loop *loop = letter->post->loop;
	assert_false(loop_mail_is_posted(mail));
	loop_assert_here(loop);
	log_post(letter->post, letter->name);
	if (letter->n_then > 0) {
		letter->n_then--;
		loop_post(loop, &letter->then->mail);
	}
	if (letter->task != NULL)
		loop_defer(loop, letter->task);
}

static struct letter letter_to(struct post *post, char name)
{
	return (struct letter){.mail = {.run = on_letter}, .post = post, .name = name};
}

static void on_post_timer(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	log_post(CONTAINER_OF(timer, struct post, timer), 't');
}

static void on_post_task(struct loop_task *task)
{
	log_post(CONTAINER_OF(task, struct post, task), 'T');
}

static void on_post_sock(void *ctx, unsigned ready)
{
	(void)ready;
	struct post *post = CONTAINER_OF(ctx, struct post, b);
	sock_watch(post->b.sock, 0, NULL, NULL);
	loop_defer(post->loop, &post->task);
	loop_timer_set(&post->timer, loop_now(post->loop));
	loop_post(post->loop, &post->first.mail);
	loop_post(post->loop, &post->second.mail);
	assert_true(loop_mail_is_posted(&post->second.mail));
	log_post(post, 's');
}

static bool has_logged_all(void *ctx)
{
	struct post *post = ctx;
	return post->n_log >= post->n_wanted;
}

void test_mail_runs_after_sockets_and_before_timers(void **state)
{
	struct conformance *c = *state;
	struct end a;
	struct post post = {.loop = c->b, .task = {.run = on_post_task}, .n_wanted = 6};
	post.first = letter_to(&post, '1');
	post.second = letter_to(&post, '2');
	/* What mail posts waits for the next turn. */
	post.first.then = &post.first;
	post.first.n_then = 1;
	connect_ends(c, &a, &post.b, NULL);
	loop_timer_init(&post.timer, c->b, on_post_timer);
	sock_watch(post.b.sock, SOCK_READABLE, on_post_sock, &post.b);
	write_all(&a, "x");
	wait_for(c, has_logged_all, &post);
	let_pass(c, NSEC_PER_MSEC);
	assert_string_equal(post.log, "s12tT1");
	close_end(&a);
	close_end(&post.b);
}

struct numbered {
	struct loop_mail mail;
	size_t number, *n_run;
};

static void on_numbered(struct loop_mail *mail)
{
	struct numbered *numbered = CONTAINER_OF(mail, struct numbered, mail);
	assert_int_equal(numbered->number, *numbered->n_run);
	++*numbered->n_run;
	free(numbered);
}

static bool is_thousand(void *ctx)
{
	return *(size_t *)ctx == 1000;
}

void test_mail_runs_in_the_order_of_posting_and_may_free_itself(void **state)
{
	struct conformance *c = *state;
	size_t n_run = 0;
	for (size_t i = 0; i < 1000; i++) {
		struct numbered *numbered = calloc(1, sizeof(*numbered));
		assert_non_null(numbered);
		*numbered = (struct numbered){{.run = on_numbered}, i, &n_run};
		loop_post(c->a, &numbered->mail);
	}
	assert_int_equal(n_run, 0);
	wait_for(c, is_thousand, &n_run);
}

void test_drain_runs_mail_and_all_that_comes_of_it(void **state)
{
	struct conformance *c = *state;
	struct post post = {.loop = c->a, .task = {.run = on_post_task}};
	post.first = letter_to(&post, '1');
	post.second = letter_to(&post, '2');
	post.first.then = &post.second;
	post.first.n_then = 1;
	post.second.task = &post.task;
	loop_drain(c->a);
	assert_true(loop_is_here(c->a));
	loop_post(c->a, &post.first.mail);
	loop_drain(c->a);
	assert_string_equal(post.log, "12T");
}

/* --- names ------------------------------------------------------------------------------------ */

struct answer {
	unsigned n_calls;
	enum err err;
	size_t n_addrs;
	union netaddr addrs[16];
};

static void on_answer(void *ctx, enum err result, const union netaddr *addrs, size_t n_addrs)
{
	struct answer *answer = ctx;
	answer->n_calls++;
	answer->err = result;
	answer->n_addrs = n_addrs;
	assert_true(n_addrs <= 16);
	if (n_addrs > 0)
		memcpy(answer->addrs, addrs, n_addrs * sizeof(*addrs));
}

static bool is_answered(void *ctx)
{
	return ((struct answer *)ctx)->n_calls > 0;
}

void test_name_resolves_to_distinct_addresses(void **state)
{
	struct conformance *c = *state;
	struct answer answer = {0};
	struct resolve *query;
	assert_ok(loop_resolve(c->a, c->good_name, AF_UNSPEC, on_answer, &answer, &query));
	assert_int_equal(answer.n_calls, 0);
	wait_for(c, is_answered, &answer);
	assert_ok(answer.err);
	assert_true(answer.n_addrs > 0);
	for (size_t i = 0; i < answer.n_addrs; i++) {
		const union netaddr *addr = &answer.addrs[i];
		assert_true(addr->sa.sa_family == AF_INET || addr->sa.sa_family == AF_INET6);
		assert_int_equal(addr->in4.sin_port, 0);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(addr, &answer.addrs[j], sizeof(*addr));
	}
	/* Numbers are names, too. */
	answer.n_calls = 0;
	assert_ok(loop_resolve(c->a, "192.0.2.7", AF_INET, on_answer, &answer, &query));
	wait_for(c, is_answered, &answer);
	assert_ok(answer.err);
	assert_int_equal(answer.n_addrs, 1);
	assert_int_equal(answer.addrs[0].in4.sin_addr.s_addr, htonl(0xc0000207));
}

void test_unknown_name_is_a_dns_error(void **state)
{
	struct conformance *c = *state;
	struct answer answer = {0};
	struct resolve *query;
	assert_ok(loop_resolve(c->a, c->bad_name, AF_UNSPEC, on_answer, &answer, &query));
	wait_for(c, is_answered, &answer);
	/* Without a server to ask the kernel's loop can only say that none answered. */
	assert_true(answer.err == ERR_DNS || answer.err == ERR_TIMEOUT);
	assert_int_equal(answer.n_addrs, 0);
}

void test_cancelled_query_is_not_answered(void **state)
{
	struct conformance *c = *state;
	struct answer answers[20] = {0}, last = {0};
	struct resolve *query;
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		assert_ok(loop_resolve(c->a, c->good_name, AF_UNSPEC, on_answer, &answers[i],
				       &query));
		loop_resolve_cancel(c->a, query);
	}
	assert_ok(loop_resolve(c->a, c->good_name, AF_UNSPEC, on_answer, &last, &query));
	wait_for(c, is_answered, &last);
	let_pass(c, 10 * NSEC_PER_MSEC);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		assert_int_equal(answers[i].n_calls, 0);
	/* One that is left for free() to wait for. */
	assert_ok(loop_resolve(c->a, c->good_name, AF_UNSPEC, on_answer, &last, &query));
	loop_resolve_cancel(c->a, query);
}
