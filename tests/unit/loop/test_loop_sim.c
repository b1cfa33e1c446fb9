/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "loop/loop_sim.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/util.h"
#include "unit/loop/conformance.h"

#define IP_A "192.0.2.1"
#define IP_B "192.0.2.2"

/* --- the conformance suite between two hosts ------------------------------------------------- */

struct env {
	struct conformance c;
	struct sim *sim;
	struct sim_host *a, *b;
};

static struct env *env_of(void **state)
{
	return CONTAINER_OF(*state, struct env, c);
}

static bool turn_until(struct conformance *c, bool (*done)(void *ctx), void *ctx)
{
	struct env *env = CONTAINER_OF(c, struct env, c);
	return sim_run_while_not(env->sim, done, ctx, sim_now(env->sim) + 10 * NSEC_PER_SEC);
}

static struct env *env_new(uint64_t seed)
{
	struct env *env = calloc(1, sizeof(*env));
	assert_non_null(env);
	assert_ok(sim_new(seed, &env->sim));
	assert_ok(sim_host_new(env->sim, "a", IP_A, &env->a));
	assert_ok(sim_host_new(env->sim, "b", IP_B, &env->b));
	assert_ok(sim_add_name(env->sim, "b.example", IP_B));
	assert_ok(sim_add_name(env->sim, "b.example", "2001:db8::2"));
	assert_ok(sim_add_name(env->sim, "b.example", IP_B));
	env->c = (struct conformance){
		.a = sim_host_loop(env->a),
		.b = sim_host_loop(env->b),
		.at = {.in4 = {.sin_family = AF_INET}},
		.good_name = "b.example",
		.bad_name = "c.example",
		.turn_until = turn_until,
	};
	assert_int_equal(inet_pton(AF_INET, IP_B, &env->c.at.in4.sin_addr), 1);
	return env;
}

static void env_free(struct env *env)
{
	assert_int_equal(sim_count_live(env->sim), 0);
	assert_null(loop_free(env->c.a));
	assert_null(sim_free(env->sim));
	free(env);
}

static int setup(void **state)
{
	*state = &env_new(1)->c;
	return 0;
}

static int teardown(void **state)
{
	env_free(env_of(state));
	return 0;
}

static void test_sock_moves_within_its_host_only(void **state)
{
	struct env *env = env_of(state);
	struct sock *tun;
	struct sock_baton baton;
	assert_ok(sim_tun_new(env->a, &tun));
	sock_detach(tun, &baton);
	assert_int_equal(sim_count_live(env->sim), 0);
	assert_err(sock_attach(env->c.b, &baton, &tun), ERR_UNSUPPORTED);
	assert_non_null(baton.ops); /* it is still ours */
	assert_ok(sock_attach(env->c.a, &baton, &tun));
	assert_int_equal(sim_count_live(env->sim), 1);
	sock_close(tun, false);
}

/* --- a client that writes and a server that counts -------------------------------------------- */

enum {
	PORT = 4001
};

struct peer {
	struct loop *loop;
	struct sock *sock;
	size_t to_write, n_read;
	enum err err;
	nsec_t err_at, read_at; /* when it broke; when bytes last came */
	size_t n_calls;
};

struct pair {
	struct env *env;
	struct peer a, b;
	struct sock *listener;
};

static uint8_t pattern[16 * 1024];

static void on_peer(void *ctx, unsigned ready)
{
	struct peer *p = ctx;
	uint8_t buf[8192];
	size_t n;
	enum err err = ERR_AGAIN;
	p->n_calls++;
	while ((ready & SOCK_READABLE) != 0 &&
	       (err = sock_read(p->sock, buf, sizeof(buf), &n)) == ERR_OK) {
		p->n_read += n;
		p->read_at = loop_now(p->loop);
	}
	while ((ready & SOCK_WRITABLE) != 0 && err == ERR_AGAIN && p->to_write > 0) {
		struct iovec iov = {pattern,
				    p->to_write < sizeof(pattern) ? p->to_write : sizeof(pattern)};
		err = sock_writev(p->sock, &iov, 1, &n);
		if (err != ERR_OK)
			break;
		p->to_write -= n;
		err = ERR_AGAIN;
	}
	if (err != ERR_AGAIN) {
		p->err = err;
		p->err_at = loop_now(p->loop);
		sock_watch(p->sock, 0, NULL, NULL);
	} else {
		sock_watch(p->sock, SOCK_READABLE | (p->to_write > 0 ? SOCK_WRITABLE : 0u), on_peer,
			   p);
	}
}

static void send_bytes(struct peer *p, size_t n)
{
	p->to_write += n;
	sock_watch(p->sock, SOCK_READABLE | SOCK_WRITABLE, on_peer, p);
}

static void on_accept(void *ctx, unsigned ready)
{
	(void)ready;
	struct pair *pair = ctx;
	union netaddr remote;
	assert_ok(sock_accept(pair->listener, NULL, &pair->b.sock, &remote));
	sock_watch(pair->b.sock, SOCK_READABLE, on_peer, &pair->b);
}

static struct sock *dial(struct env *env, const struct tcp_opts *opts)
{
	union netaddr at = env->c.at;
	struct sock *sock;
	at.in4.sin_port = htons(PORT);
	assert_ok(loop_tcp_dial(env->c.a, &at, opts, &sock));
	return sock;
}

static void run_for(struct env *env, nsec_t span)
{
	sim_run_until(env->sim, sim_now(env->sim) + span);
}

static void pair_open(struct pair *pair, struct env *env, const struct tcp_opts *opts)
{
	union netaddr at = env->c.at;
	*pair = (struct pair){.env = env};
	pair->a.loop = env->c.a;
	pair->b.loop = env->c.b;
	at.in4.sin_port = htons(PORT);
	assert_ok(loop_tcp_listen(env->c.b, &at, &pair->listener));
	sock_watch(pair->listener, SOCK_READABLE, on_accept, pair);
	pair->a.sock = dial(env, opts);
	sock_watch(pair->a.sock, SOCK_READABLE, on_peer, &pair->a);
	run_for(env, NSEC_PER_SEC);
	assert_non_null(pair->b.sock);
}

static void pair_close(struct pair *pair)
{
	sock_close(pair->a.sock, false);
	sock_close(pair->b.sock, false);
	sock_close(pair->listener, false);
}

static void set_cut(struct env *env, bool cut)
{
	sim_set_path(env->sim, env->a, env->b,
		     (struct sim_path){.delay = NSEC_PER_MSEC, .cut = cut});
}

/* --- the same run twice ------------------------------------------------------------------------
 */

static uint64_t run_with_seed(uint64_t seed, uint64_t *ret_random)
{
	struct env *env = env_new(seed);
	struct pair pair;
	sim_set_path(env->sim, env->a, env->b,
		     (struct sim_path){.delay = 5 * NSEC_PER_MSEC,
				       .jitter = 3 * NSEC_PER_MSEC,
				       .rate_bytes_per_sec = 1000000});
	pair_open(&pair, env, NULL);
	loop_random(env->c.a, pattern, sizeof(pattern));
	memcpy(ret_random, pattern, sizeof(*ret_random));
	send_bytes(&pair.a, 1000000);
	run_for(env, 5 * NSEC_PER_SEC);
	assert_int_equal(pair.b.n_read, 1000000);
	pair_close(&pair);
	uint64_t hash = sim_trace_hash(env->sim);
	env_free(env);
	return hash;
}

static void test_equal_seeds_are_equal_runs(void **state)
{
	(void)state;
	uint64_t random[3];
	uint64_t hash = run_with_seed(7, &random[0]);
	assert_true(hash == run_with_seed(7, &random[1]));
	assert_true(random[0] == random[1]);
	assert_true(hash != run_with_seed(8, &random[2]));
	assert_true(random[0] != random[2]);
}

static void test_hosts_draw_different_random_bytes(void **state)
{
	struct env *env = env_of(state);
	uint64_t a[2], b[2];
	loop_random(env->c.a, a, sizeof(a));
	loop_random(env->c.b, b, sizeof(b));
	assert_true(a[0] != a[1] && a[0] != b[0] && a[1] != b[1]);
}

/* --- paths --------------------------------------------------------------------------------- */

static void test_bytes_take_delay_and_rate(void **state)
{
	struct env *env = env_of(state);
	struct pair pair;
	struct tcp_stats stats;
	sim_set_path(env->sim, env->a, env->b,
		     (struct sim_path){.delay = 50 * NSEC_PER_MSEC, .rate_bytes_per_sec = 100000});
	pair_open(&pair, env, NULL);
	nsec_t begin = sim_now(env->sim);
	send_bytes(&pair.a, 200000);
	run_for(env, NSEC_PER_SEC);
	/* A second of the rate, less the delay. */
	assert_in_range(pair.b.n_read, 90000, 97000);
	assert_ok(sock_tcp_stats(pair.a.sock, &stats));
	assert_in_range(stats.notsent_bytes, 90000, 100000);
	assert_true(stats.unacked_segs > 0);
	run_for(env, 9 * NSEC_PER_SEC);
	assert_int_equal(pair.b.n_read, 200000);
	assert_int_equal(pair.b.read_at - begin, 2050 * NSEC_PER_MSEC);
	assert_ok(sock_tcp_stats(pair.a.sock, &stats));
	assert_in_range(stats.rtt, 100 * NSEC_PER_MSEC, 120 * NSEC_PER_MSEC);
	assert_int_equal(stats.acked_bytes, 200000);
	pair_close(&pair);
}

static void test_low_water_mark_bounds_what_is_not_sent(void **state)
{
	struct env *env = env_of(state);
	struct pair pair;
	struct tcp_stats stats;
	sim_set_path(env->sim, env->a, env->b,
		     (struct sim_path){.delay = NSEC_PER_MSEC, .rate_bytes_per_sec = 1000000});
	pair_open(&pair, env, &(struct tcp_opts){.notsent_lowat_bytes = 16384});
	send_bytes(&pair.a, 1000000);
	for (int i = 0; i < 50; i++) {
		run_for(env, 10 * NSEC_PER_MSEC);
		assert_ok(sock_tcp_stats(pair.a.sock, &stats));
		assert_true(stats.notsent_bytes <= 16384);
	}
	run_for(env, 600 * NSEC_PER_MSEC); /* and yet the path was never idle */
	assert_int_equal(pair.b.n_read, 1000000);
	pair_close(&pair);
}

static void test_cut_path_delivers_after_its_return(void **state)
{
	struct env *env = env_of(state);
	struct pair pair;
	pair_open(&pair, env, NULL);
	set_cut(env, true);
	nsec_t begin = sim_now(env->sim);
	send_bytes(&pair.a, 1000);
	send_bytes(&pair.b, 500);
	run_for(env, 10 * NSEC_PER_SEC);
	assert_int_equal(pair.b.n_read + pair.a.n_read, 0);
	set_cut(env, false);
	run_for(env, 10 * NSEC_PER_SEC);
	assert_int_equal(pair.b.n_read, 1000);
	assert_int_equal(pair.a.n_read, 500);
	/* Tries after 0.2, 0.6, 1.4, 3, 6.2, 12.6 s, and six times the rtt. */
	assert_in_range(pair.b.read_at - begin, 12600 * NSEC_PER_MSEC, 12800 * NSEC_PER_MSEC);
	/* It is as before again. */
	begin = sim_now(env->sim);
	send_bytes(&pair.a, 1000000);
	run_for(env, NSEC_PER_SEC);
	assert_int_equal(pair.b.n_read, 1001000);
	pair_close(&pair);
}

static void test_short_cuts_lose_nothing(void **state)
{
	struct env *env = env_of(state);
	struct pair pair;
	pair_open(&pair, env, NULL);
	send_bytes(&pair.a, 5000000);
	send_bytes(&pair.b, 3000000);
	for (int i = 0; i < 200; i++) {
		sim_set_path(env->sim, env->a, env->b,
			     (struct sim_path){.delay = 3 * NSEC_PER_MSEC,
					       .jitter = NSEC_PER_MSEC,
					       .rate_bytes_per_sec = 2000000,
					       .cut = testkit_random() % 3 == 0});
		run_for(env, testkit_random() % 100 * NSEC_PER_MSEC);
	}
	set_cut(env, false);
	run_for(env, 200 * NSEC_PER_SEC);
	assert_int_equal(pair.b.n_read, 5000000);
	assert_int_equal(pair.a.n_read, 3000000);
	pair_close(&pair);
}

static void test_user_timeout_breaks_a_cut_connection(void **state)
{
	struct env *env = env_of(state);
	struct pair pair;
	pair_open(&pair, env, &(struct tcp_opts){.user_timeout_ms = 5000});
	run_for(env, 60 * NSEC_PER_SEC); /* an idle one is not touched */
	set_cut(env, true);
	nsec_t begin = sim_now(env->sim);
	send_bytes(&pair.a, 1000);
	run_for(env, 60 * NSEC_PER_SEC);
	assert_err(pair.a.err, ERR_TIMEOUT);
	assert_in_range(pair.a.err_at - begin, 5 * NSEC_PER_SEC, 5001 * NSEC_PER_MSEC);
	/* The other end learns of it when it writes over the path again. */
	set_cut(env, false);
	assert_ok(pair.b.err);
	send_bytes(&pair.b, 1);
	run_for(env, NSEC_PER_SEC);
	assert_err(pair.b.err, ERR_RESET);
	pair_close(&pair);
}

static void test_reader_that_stops_holds_the_writer_until_it_reads(void **state)
{
	struct env *env = env_of(state);
	struct pair pair;
	pair_open(&pair, env, NULL);
	sock_watch(pair.b.sock, 0, NULL, NULL);
	send_bytes(&pair.a, 2000000);
	run_for(env, 100 * NSEC_PER_SEC);
	assert_in_range(pair.a.to_write, 1400000, 1600000); /* both buffers are full */
	assert_ok(pair.a.err);
	sock_watch(pair.b.sock, SOCK_READABLE, on_peer, &pair.b);
	run_for(env, NSEC_PER_SEC);
	assert_int_equal(pair.b.n_read, 2000000);
	pair_close(&pair);
}

static void test_dial_over_a_cut_path_times_out_after_127_seconds(void **state)
{
	struct env *env = env_of(state);
	struct peer p = {.loop = env->c.a};
	set_cut(env, true);
	nsec_t begin = sim_now(env->sim);
	p.sock = dial(env, NULL);
	sock_watch(p.sock, SOCK_WRITABLE, on_peer, &p);
	p.to_write = 1;
	run_for(env, 200 * NSEC_PER_SEC);
	assert_err(p.err, ERR_TIMEOUT);
	assert_err(sock_error(p.sock), ERR_TIMEOUT);
	assert_int_equal(p.err_at - begin, 127 * NSEC_PER_SEC);
	sock_close(p.sock, false);
	/* Nobody's address is as silent. */
	union netaddr at = env->c.at;
	at.in4.sin_addr.s_addr = htonl(0xc0000263);
	assert_ok(loop_tcp_dial(env->c.a, &at, NULL, &p.sock));
	run_for(env, 120 * NSEC_PER_SEC);
	assert_ok(sock_error(p.sock));
	sock_close(p.sock, false);
	at = (union netaddr){.in6 = {.sin6_family = AF_INET6, .sin6_addr = {{{0x20}}}}};
	assert_err(loop_tcp_dial(env->c.a, &at, NULL, &p.sock), ERR_UNREACHABLE);
}

static void test_dial_gets_through_when_the_path_returns(void **state)
{
	struct env *env = env_of(state);
	struct pair pair;
	set_cut(env, true);
	pair = (struct pair){.env = env, .a = {.loop = env->c.a}, .b = {.loop = env->c.b}};
	union netaddr at = env->c.at;
	at.in4.sin_port = htons(PORT);
	assert_ok(loop_tcp_listen(env->c.b, &at, &pair.listener));
	sock_watch(pair.listener, SOCK_READABLE, on_accept, &pair);
	pair.a.sock = dial(env, NULL);
	run_for(env, 2 * NSEC_PER_SEC);
	set_cut(env, false);
	run_for(env, 900 * NSEC_PER_MSEC);
	assert_null(pair.b.sock);
	run_for(env, 200 * NSEC_PER_MSEC);
	assert_non_null(pair.b.sock);
	pair_close(&pair);
}

static void test_breaking_path_resets_both_ends(void **state)
{
	struct env *env = env_of(state);
	struct pair pair;
	pair_open(&pair, env, NULL);
	sim_set_path(env->sim, env->a, env->b,
		     (struct sim_path){.delay = NSEC_PER_MSEC, .break_per_million = 1000000});
	send_bytes(&pair.a, 1000);
	run_for(env, NSEC_PER_SEC);
	assert_err(pair.a.err, ERR_RESET);
	assert_err(pair.b.err, ERR_RESET);
	assert_int_equal(pair.b.n_read, 0);
	pair_close(&pair);
}

static void test_moved_host_loses_its_connections_and_can_be_dialled_anew(void **state)
{
	struct env *env = env_of(state);
	struct pair pair;
	pair_open(&pair, env, &(struct tcp_opts){.user_timeout_ms = 20000});
	assert_err(sim_host_move(env->b, IP_A), ERR_ADDRESS_IN_USE);
	assert_ok(sim_host_move(env->b, "192.0.2.3"));
	nsec_t begin = sim_now(env->sim);
	send_bytes(&pair.a, 1000);
	send_bytes(&pair.b, 1000);
	run_for(env, 60 * NSEC_PER_SEC);
	assert_int_equal(pair.a.n_read + pair.b.n_read, 0);
	assert_err(pair.a.err, ERR_TIMEOUT);
	assert_in_range(pair.a.err_at - begin, 20 * NSEC_PER_SEC, 20001 * NSEC_PER_MSEC);
	assert_ok(pair.b.err);
	pair_close(&pair);
	assert_int_equal(inet_pton(AF_INET, "192.0.2.3", &env->c.at.in4.sin_addr), 1);
	pair_open(&pair, env, NULL);
	pair_close(&pair);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void test_host_dials_itself(void **state)
{
	struct env *env = env_of(state);
	env->c.b = env->c.a;
	env->c.at.in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	test_bytes_come_back_from_an_echo(state);
	assert_int_equal(inet_pton(AF_INET, IP_A, &env->c.at.in4.sin_addr), 1);
	test_bytes_come_back_from_an_echo(state);
}

static void test_unaccepted_connection_is_reset_with_its_listener(void **state)
{
	struct env *env = env_of(state);
	union netaddr at = env->c.at;
	at.in4.sin_addr.s_addr = 0;
	at.in4.sin_port = htons(PORT);
	struct sock *listener;
	assert_ok(loop_tcp_listen(env->c.b, &at, &listener));
	struct peer p = {.loop = env->c.a, .sock = dial(env, NULL)};
	sock_watch(p.sock, SOCK_READABLE, on_peer, &p);
	run_for(env, NSEC_PER_SEC);
	assert_ok(p.err);
	sock_close(listener, false);
	run_for(env, NSEC_PER_SEC);
	assert_err(p.err, ERR_RESET);
	sock_close(p.sock, false);
}

static void on_tun(void *ctx, unsigned ready)
{
	assert_int_equal(ready, SOCK_READABLE);
	struct sock *tun = ctx;
	uint8_t packet[100];
	size_t n, written;
	while (sock_read(tun, packet, sizeof(packet), &n) == ERR_OK) {
		struct iovec iov[2] = {{packet, 1}, {packet + 1, n - 1}};
		assert_ok(sock_writev(tun, iov, 2, &written));
		assert_int_equal(written, n);
	}
}

static void test_tun_carries_packets_whole_and_in_order(void **state)
{
	struct env *env = env_of(state);
	struct sock *tun;
	uint8_t buf[200];
	size_t len;
	assert_ok(sim_tun_new(env->a, &tun));
	for (unsigned i = 0; i < 1000; i++)
		assert_ok(
			sim_tun_send(tun, span_of((uint8_t[2]){(uint8_t)(i >> 8), (uint8_t)i}, 2)));
	assert_err(sim_tun_send(tun, span_of("x", 1)), ERR_FULL);
	sock_watch(tun, SOCK_READABLE, on_tun, tun);
	assert_err(sim_tun_receive(tun, buf, sizeof(buf), &len), ERR_EMPTY);
	run_for(env, 1);
	for (unsigned i = 0; i < 1000; i++) {
		assert_err(sim_tun_receive(tun, buf, 1, &len), ERR_TOO_LONG);
		assert_ok(sim_tun_receive(tun, buf, sizeof(buf), &len));
		assert_int_equal(len, 2);
		assert_int_equal(buf[0] << 8 | buf[1], i);
	}
	assert_err(sim_tun_receive(tun, buf, sizeof(buf), &len), ERR_EMPTY);
	/* Too long for the node's buffer: cut, as the kernel does. */
	memset(buf, 7, sizeof(buf));
	assert_ok(sim_tun_send(tun, span_of(buf, 150)));
	run_for(env, 1);
	assert_ok(sim_tun_receive(tun, buf, sizeof(buf), &len));
	assert_int_equal(len, 100);
	assert_ok(sim_tun_send(tun, span_of("left", 4)));
	assert_int_equal(sim_count_live(env->sim), 1);
	sock_close(tun, false);
}

static void on_timer(struct loop_timer *timer, nsec_t now)
{
	(void)timer;
	(void)now;
}

static void test_everything_alive_is_counted(void **state)
{
	struct env *env = env_of(state);
	struct loop_timer timers[100];
	for (size_t i = 0; i < ARRAY_LEN(timers); i++) {
		loop_timer_init(&timers[i], env->c.a, on_timer);
		loop_timer_set(&timers[i], sim_now(env->sim) + testkit_random() % NSEC_PER_SEC);
	}
	/* Half of them fire: the heap is not a list then. */
	run_for(env, NSEC_PER_SEC / 2);
	size_t n_set = 0;
	for (size_t i = 0; i < ARRAY_LEN(timers); i++)
		n_set += loop_timer_is_set(&timers[i]) ? 1 : 0;
	assert_int_equal(sim_count_live(env->sim), n_set);
	for (size_t i = 0; i < ARRAY_LEN(timers); i++)
		loop_timer_stop(&timers[i]);
}

static void on_never_read(void *ctx, unsigned ready)
{
	(void)ctx;
	(void)ready;
}

static void test_livelock_ends_the_process(void **state)
{
	struct env *env = env_of(state);
	struct sock *tun;
	assert_ok(sim_tun_new(env->a, &tun));
	sock_watch(tun, SOCK_WRITABLE, on_never_read, NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct rlimit none = {0};
		setrlimit(RLIMIT_CORE, &none);
		fclose(stderr);
		signal(SIGABRT, SIG_DFL);
		run_for(env, 1);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	sock_close(tun, false);
}

static void on_line(void *ctx, const char *line)
{
	assert_true(strlen(line) > 10);
	(*(size_t *)ctx)++;
}

static void do_nothing(struct loop_mail *mail)
{
	(void)mail;
}

static void test_mail_posted_twice_ends_the_process(void **state)
{
	struct loop *loop = env_of(state)->c.a;
	struct loop_mail mail = {.run = do_nothing};
	loop_post(loop, &mail);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct rlimit none = {0};
		setrlimit(RLIMIT_CORE, &none);
		fclose(stderr);
		signal(SIGABRT, SIG_DFL);
		loop_post(loop, &mail);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	loop_drain(loop);
	loop_post(loop, &mail);
	loop_drain(loop);
}

struct again {
	struct loop_mail mail;
	struct loop *loop;
	unsigned n_runs;
};

static void on_again(struct loop_mail *mail)
{
	struct again *again = CONTAINER_OF(mail, struct again, mail);
	if (++again->n_runs < 3)
		loop_post(again->loop, mail);
}

static void test_mail_takes_no_time(void **state)
{
	struct env *env = env_of(state);
	struct again again = {.mail = {.run = on_again}, .loop = env->c.b};
	loop_post(env->c.b, &again.mail);
	sim_run_until(env->sim, sim_now(env->sim));
	assert_int_equal(again.n_runs, 3);
}

static void test_trace_tells_lines(void **state)
{
	struct env *env = env_of(state);
	struct pair pair;
	size_t n = 0;
	sim_set_trace(env->sim, on_line, &n);
	pair_open(&pair, env, NULL);
	pair_close(&pair);
	assert_true(n > 5);
	sim_set_trace(env->sim, NULL, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONFORMANCE_TESTS(setup, teardown),
		cmocka_unit_test(test_equal_seeds_are_equal_runs),
		TEST(test_sock_moves_within_its_host_only),
		TEST(test_hosts_draw_different_random_bytes),
		TEST(test_bytes_take_delay_and_rate),
		TEST(test_low_water_mark_bounds_what_is_not_sent),
		TEST(test_cut_path_delivers_after_its_return),
		TEST(test_short_cuts_lose_nothing),
		TEST(test_user_timeout_breaks_a_cut_connection),
		TEST(test_reader_that_stops_holds_the_writer_until_it_reads),
		TEST(test_dial_over_a_cut_path_times_out_after_127_seconds),
		TEST(test_dial_gets_through_when_the_path_returns),
		TEST(test_breaking_path_resets_both_ends),
		TEST(test_moved_host_loses_its_connections_and_can_be_dialled_anew),
		TEST(test_host_dials_itself),
		TEST(test_unaccepted_connection_is_reset_with_its_listener),
		TEST(test_tun_carries_packets_whole_and_in_order),
		TEST(test_everything_alive_is_counted),
		TEST(test_livelock_ends_the_process),
		TEST(test_mail_posted_twice_ends_the_process),
		TEST(test_mail_takes_no_time),
		TEST(test_trace_tells_lines),
	};
	return cmocka_run_group_tests_name("loop_sim", tests, NULL, NULL);
}
