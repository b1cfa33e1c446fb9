/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "loop/loop_uv.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/util.h"
#include "unit/loop/conformance.h"

/* --- the conformance suite on the kernel: one loop that dials itself ----------------------- */

struct env {
	struct conformance c;
	size_t n_fds; /* before the loop was made */
};

struct watch {
	struct loop_timer timer;
	bool (*done)(void *ctx);
	void *ctx;
	nsec_t deadline;
	bool is_done;
};

static size_t count_fds(void)
{
	size_t n = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

static void look(struct loop_timer *timer, nsec_t now)
{
	struct watch *watch = CONTAINER_OF(timer, struct watch, timer);
	watch->is_done = watch->done(watch->ctx);
	if (watch->is_done || now >= watch->deadline)
		loop_stop(timer->loop);
	else
		loop_timer_set(timer, now + NSEC_PER_MSEC / 5);
}

static bool turn_until(struct conformance *c, bool (*done)(void *ctx), void *ctx)
{
	if (done(ctx))
		return true;
	struct watch watch = {.done = done, .ctx = ctx};
	watch.deadline = loop_now(c->a) + 10 * NSEC_PER_SEC;
	loop_timer_init(&watch.timer, c->a, look);
	loop_timer_set(&watch.timer, loop_now(c->a));
	assert_ok(loop_run(c->a));
	return watch.is_done;
}

static int setup_at(void **state, union netaddr at)
{
	struct env *env = calloc(1, sizeof(*env));
	assert_non_null(env);
	env->n_fds = count_fds();
	env->c = (struct conformance){
		.at = at,
		.good_name = "localhost",
		.bad_name = "no-such-name.invalid",
		.turn_until = turn_until,
	};
	assert_ok(loop_uv_new(&env->c.a));
	env->c.b = env->c.a;
	*state = &env->c;
	return 0;
}

static int setup(void **state)
{
	union netaddr at = {.in4 = {.sin_family = AF_INET}};
	at.in4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return setup_at(state, at);
}

static int setup_ip6(void **state)
{
	union netaddr at = {.in6 = {.sin6_family = AF_INET6}};
	at.in6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
	return setup_at(state, at);
}

static int teardown(void **state)
{
	struct env *env = CONTAINER_OF(*state, struct env, c);
	assert_null(loop_free(env->c.a));
	assert_int_equal(count_fds(), env->n_fds);
	free(env);
	return 0;
}

/* libuv opens a few descriptors for the process with the first loop. */
static int warm_up(void **state)
{
	(void)state;
	struct loop *loop;
	assert_ok(loop_uv_new(&loop));
	loop_free(loop);
	return 0;
}

/* --- what only the kernel has ---------------------------------------------------------------- */

static void test_free_takes_null(void **state)
{
	(void)state;
	assert_null(loop_free(NULL));
	assert_null(sock_close(NULL, false));
}

static void test_unknown_congestion_control_is_unsupported(void **state)
{
	struct conformance *c = *state;
	struct sock *sock;
	struct tcp_opts opts = {.congestion = "no_such_thing123"}; /* no zero at its end */
	union netaddr at = c->at;
	at.in4.sin_port = htons(9);
	assert_err(loop_tcp_dial(c->a, &at, &opts, &sock), ERR_UNSUPPORTED);
	at.sa.sa_family = AF_UNIX;
	assert_err(loop_tcp_dial(c->a, &at, NULL, &sock), ERR_UNSUPPORTED);
}

static void test_known_options_are_taken(void **state)
{
	struct conformance *c = *state;
	struct sock *listener, *sock;
	union netaddr at;
	struct tcp_opts opts = {
		.notsent_lowat_bytes = 16384,
		.user_timeout_ms = 20000,
		.send_buffer_bytes = 65536,
		.congestion = "reno",
	};
	assert_ok(loop_tcp_listen(c->a, &c->at, &listener));
	assert_ok(sock_local(listener, &at));
	assert_ok(loop_tcp_dial(c->a, &at, &opts, &sock));
	sock_close(sock, true);
	sock_close(listener, false);
}

static void test_foreign_address_is_not_listened_on(void **state)
{
	struct conformance *c = *state;
	struct sock *sock;
	union netaddr at = {.in4 = {.sin_family = AF_INET}};
	at.in4.sin_addr.s_addr = htonl(0xc0000201);
	assert_err(loop_tcp_listen(c->a, &at, &sock), ERR_NO_ADDRESS);
}

static void test_no_descriptor_left_is_an_error_that_leaves_nothing(void **state)
{
	struct conformance *c = *state;
	struct rlimit old, low;
	struct sock *sock, *listener;
	union netaddr at;
	struct loop *loop;
	assert_ok(loop_tcp_listen(c->a, &c->at, &listener));
	assert_ok(sock_local(listener, &at));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	/* With none left; and with the four that libuv's loop takes, but none for ours. (Between
	 * the two libuv 1.44 itself leaks.) */
	int next = dup(0);
	assert_true(next >= 0);
	close(next);
	for (rlim_t extra = 0; extra <= 4; extra += 4) {
		low = (struct rlimit){.rlim_cur = (rlim_t)next + extra, .rlim_max = old.rlim_max};
		setrlimit(RLIMIT_NOFILE, &low);
		enum err made = loop_uv_new(&loop), dialled = ERR_FDS;
		if (extra == 0)
			dialled = loop_tcp_dial(c->a, &at, NULL, &sock);
		setrlimit(RLIMIT_NOFILE, &old);
		assert_err(made, ERR_FDS);
		assert_err(dialled, ERR_FDS);
	}
	sock_close(listener, false);
}

static void on_message(void *ctx, unsigned ready)
{
	assert_int_equal(ready, SOCK_READABLE);
	struct sock **sock = ctx;
	char buf[10];
	size_t n;
	assert_ok(sock_read(*sock, buf, sizeof(buf), &n));
	assert_int_equal(n, 3);
	assert_memory_equal(buf, "abc", 3);
	assert_err(sock_read(*sock, buf, sizeof(buf), &n), ERR_AGAIN);
	*sock = sock_close(*sock, false);
}

static bool is_null(void *ctx)
{
	return *(struct sock **)ctx == NULL;
}

static void test_other_descriptors_are_adopted(void **state)
{
	struct conformance *c = *state;
	for (int round = 0; round < 2; round++) {
		int fds[2], rc;
		if (round == 0)
			rc = pipe2(fds, O_NONBLOCK | O_CLOEXEC);
		else
			rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds);
		assert_int_equal(rc, 0);
		struct sock *in, *out;
		assert_ok(loop_adopt_fd(c->a, fds[0], &in));
		assert_ok(loop_adopt_fd(c->a, fds[1], &out));
		sock_watch(in, SOCK_READABLE, on_message, &in);
		struct iovec iov[2] = {{(char[]){'a'}, 1}, {(char[]){'b', 'c'}, 2}};
		size_t n;
		assert_ok(sock_writev(out, iov, 2, &n));
		assert_int_equal(n, 3);
		assert_true(c->turn_until(c, is_null, &in));
		/* No SIGPIPE from a socket. */
		if (round == 1)
			assert_err(sock_writev(out, iov, 2, &n), ERR_RESET);
		sock_close(out, false);
	}
	/* What cannot be polled stays its owner's. */
	int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	struct sock *sock;
	assert_int_not_equal(loop_adopt_fd(c->a, file, &sock), ERR_OK);
	assert_int_equal(close(file), 0);
}

static void test_sock_moves_to_a_loop_of_another(void **state)
{
	struct conformance *c = *state;
	struct loop *other;
	assert_ok(loop_uv_new(&other));
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	struct sock *in, *out;
	assert_ok(loop_adopt_fd(c->a, fds[0], &in));
	assert_ok(loop_adopt_fd(c->a, fds[1], &out));
	sock_watch(in, SOCK_READABLE, on_message, &in);
	struct sock_baton baton;
	sock_detach(in, &baton);
	in = NULL;
	struct iovec iov = {(char[]){'a', 'b', 'c'}, 3};
	size_t n;
	assert_ok(sock_writev(out, &iov, 1, &n));
	assert_ok(sock_attach(other, &baton, &in));
	sock_watch(in, SOCK_READABLE, on_message, &in);
	struct conformance there = {.a = other, .b = other};
	assert_true(turn_until(&there, is_null, &in));
	sock_close(out, false);
	assert_null(loop_free(other));
}

static void *stop_from_thread(void *loop)
{
	loop_stop(loop);
	return NULL;
}

static void test_stop_from_another_thread_ends_the_run(void **state)
{
	struct conformance *c = *state;
	for (int i = 0; i < 20; i++) {
		pthread_t thread;
		assert_int_equal(pthread_create(&thread, NULL, stop_from_thread, c->a), 0);
		assert_ok(loop_run(c->a));
		pthread_join(thread, NULL);
	}
}

static void test_random_bytes_differ(void **state)
{
	struct conformance *c = *state;
	uint8_t a[1000] = {0}, b[1000] = {0};
	loop_random(c->a, a, sizeof(a));
	loop_random(c->a, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_true(loop_random_below(c->a, 10) < 10);
	assert_true(loop_wall_ns(c->a) > 1700000000 * NSEC_PER_SEC);
}

static void on_no_answer(void *ctx, enum err result, const union netaddr *addrs, size_t n_addrs)
{
	(void)ctx;
	(void)result;
	(void)addrs;
	(void)n_addrs;
	fail();
}

static void test_overlong_name_is_a_dns_error(void **state)
{
	struct conformance *c = *state;
	char name[5000];
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	struct resolve *query;
	assert_err(loop_resolve(c->a, name, AF_UNSPEC, on_no_answer, NULL, &query), ERR_DNS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONFORMANCE_TESTS(setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes_come_back_from_an_echo, setup_ip6,
						teardown),
		cmocka_unit_test(test_free_takes_null),
		cmocka_unit_test_setup_teardown(test_unknown_congestion_control_is_unsupported,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_known_options_are_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_address_is_not_listened_on, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_no_descriptor_left_is_an_error_that_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_descriptors_are_adopted, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_sock_moves_to_a_loop_of_another, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_stop_from_another_thread_ends_the_run, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_random_bytes_differ, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overlong_name_is_a_dns_error, setup, teardown),
	};
	return cmocka_run_group_tests_name("loop_uv", tests, warm_up, NULL);
}
