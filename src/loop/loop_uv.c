/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * loop_uv.c - the loop on libuv and the Linux kernel: turns, time, randomness
 *
 * One turn of ours is one of libuv's, cut at another place: libuv waits and calls the sockets in
 * its poll phase, and our check handle, right behind it, runs mail, timers and tasks. libuv's own
 * timers are not used: they count milliseconds of CLOCK_MONOTONIC, which stands still while the
 * machine sleeps, and may fire up to one early. A timerfd on CLOCK_BOOTTIME wakes us instead, to
 * the nanosecond, and at once after a sleep that passed the deadline. It costs a system call only
 * where the earliest deadline moves closer: a wake-up for a timer that was set later meanwhile is
 * cheaper than moving the alarm each time. Where work is left at the end of a turn (tasks, mail,
 * due timers), an idle handle keeps libuv from waiting. Mail from other threads, which may come
 * after that was looked at, ends the wait with an eventfd; mail of the loop's own thread cannot,
 * and costs no system call.
 *
 * The clock is read once a turn, at the first question after the wait. Outside of loop_run() each
 * question reads it: whoever sets up for a while must not set deadlines from an old clock.
 */
#include "loop/loop_uv.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "loop/uv_internal.h"

static struct loop_uv *uv_of(struct loop *loop)
{
	return CONTAINER_OF(loop, struct loop_uv, base);
}

/* --- time and randomness ------------------------------------------------------------- */

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;
	int rc = clock_gettime(id, &ts);
	assert(rc == 0);
	(void)rc;
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static nsec_t now(struct loop *loop)
{
	struct loop_uv *l = uv_of(loop);
	if (!l->now_is_known || !loop->is_turning) {
		l->now = read_clock(CLOCK_BOOTTIME);
		l->now_is_known = true;
	}
	return l->now;
}

static uint64_t wall_ns(struct loop *loop)
{
	(void)loop;
	return read_clock(CLOCK_REALTIME);
}

static void fill_random(struct loop *loop, void *buf, size_t len)
{
	(void)loop;
	uint8_t *at = buf;
	while (len > 0) {
		ssize_t n = getrandom(at, len, 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			abort(); /* keys from a guess are worse than no node */
		}
		at += n;
		len -= (size_t)n;
	}
}

/* --- turns --------------------------------------------------------------------------- */

/* before_wait() looks at the heap and the tasks itself, once a turn. */
static void arm(struct loop *loop, nsec_t at)
{
	(void)loop;
	(void)at;
}

static void have_task(struct loop *loop)
{
	(void)loop;
}

/* Whose address differs in each thread. */
static _Thread_local char thread_mark;

static const void *runner_of(struct loop_uv *l)
{
	return atomic_load_explicit(&l->runner, memory_order_relaxed);
}

static bool is_here(struct loop *loop)
{
	const void *runner = runner_of(uv_of(loop));
	return runner == NULL || runner == &thread_mark;
}

static void have_mail(struct loop *loop)
{
	struct loop_uv *l = uv_of(loop);
	if (runner_of(l) != &thread_mark) /* else before_wait() comes behind this */
		uv_async_send(&l->wake);
}

static void set_alarm(struct loop_uv *l, nsec_t at)
{
	if (at >= l->alarm_at)
		return;
	struct itimerspec spec = {
		.it_value = {.tv_sec = (time_t)(at / NSEC_PER_SEC),
			     .tv_nsec = (long)(at % NSEC_PER_SEC)},
	};
	int rc = timerfd_settime(l->alarm_fd, TFD_TIMER_ABSTIME, &spec, NULL);
	assert(rc == 0);
	(void)rc;
	l->alarm_at = at;
}

static void on_alarm(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	struct loop_uv *l = poll->data;
	uint64_t n_times;
	ssize_t n = read(l->alarm_fd, &n_times, sizeof(n_times));
	(void)n; /* EAGAIN: it was set anew meanwhile */
	l->alarm_at = NSEC_NEVER;
}

static void on_idle(uv_idle_t *idle)
{
	(void)idle;
}

static void on_wake(uv_async_t *wake)
{
	(void)wake;
}

static void before_wait(uv_prepare_t *prepare)
{
	struct loop_uv *l = prepare->data;
	nsec_t next = l->base.timers != NULL ? l->base.timers->at : NSEC_NEVER;
	if (loop_has_tasks(&l->base) || loop_has_mail(&l->base) || next <= now(&l->base) ||
	    atomic_load(&l->stop_asked)) {
		uv_idle_start(&l->idle, on_idle);
	} else {
		uv_idle_stop(&l->idle);
		set_alarm(l, next);
	}
	l->now_is_known = false;
}

static void after_sockets(uv_check_t *check)
{
	struct loop_uv *l = check->data;
	loop_run_mail(&l->base);
	loop_run_timers(&l->base, now(&l->base));
	loop_run_tasks(&l->base);
	if (atomic_exchange(&l->stop_asked, false))
		uv_stop(&l->uv);
}

static void stop(struct loop *loop)
{
	struct loop_uv *l = uv_of(loop);
	atomic_store(&l->stop_asked, true);
	uv_async_send(&l->wake);
}

static enum err run(struct loop *loop)
{
	struct loop_uv *l = uv_of(loop);
	assert(!loop->is_turning);
	atomic_store_explicit(&l->runner, &thread_mark, memory_order_relaxed);
	loop->is_turning = true;
	l->now_is_known = false;
	uv_run(&l->uv, UV_RUN_DEFAULT);
	loop->is_turning = false;
	atomic_store_explicit(&l->runner, NULL, memory_order_relaxed);
	return ERR_OK;
}

/* --- life ---------------------------------------------------------------------------- */

static void close_handle(uv_handle_t *handle, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* Close what of ours is open and turn until libuv has let go of everything, also of what the
 * sockets' owners closed and of cancelled queries, whose threads may take their time. */
static struct loop_uv *tear_down(struct loop_uv *l)
{
	uv_walk(&l->uv, close_handle, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	int rc = uv_loop_close(&l->uv);
	assert(rc == 0);
	(void)rc;
	if (l->alarm_fd >= 0)
		close(l->alarm_fd);
	free(l);
	return NULL;
}

static struct loop *free_loop(struct loop *loop)
{
	struct loop_uv *l = uv_of(loop);
	assert(!loop->is_turning);
	assert(l->n_socks == 0 && l->n_queries == 0);
	assert(loop->timers == NULL && loop->tasks == NULL && !loop_has_mail(loop));
	tear_down(l);
	return NULL;
}

static const struct loop_ops uv_ops = {
	.now = now,
	.wall_ns = wall_ns,
	.random = fill_random,
	.arm = arm,
	.have_task = have_task,
	.have_mail = have_mail,
	.is_here = is_here,
	.tcp_dial = uv_tcp_dial,
	.tcp_listen = uv_tcp_listen,
	.tcp_accept = uv_tcp_accept,
	.adopt_fd = uv_adopt_fd,
	.sock_watch = uv_sock_watch,
	.sock_read = uv_sock_read,
	.sock_writev = uv_sock_writev,
	.sock_error = uv_sock_error,
	.sock_local = uv_sock_local,
	.sock_tcp_stats = uv_sock_tcp_stats,
	.sock_close = uv_sock_close,
	.sock_detach = uv_sock_detach,
	.sock_attach = uv_sock_attach,
	.sock_baton_close = uv_sock_baton_close,
	.resolve = uv_resolve,
	.resolve_cancel = uv_resolve_cancel,
	.stop = stop,
	.run = run,
	.free = free_loop,
};

static int open_handles(struct loop_uv *l)
{
	l->alarm_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->alarm_fd < 0)
		return -errno;
	int rc = uv_poll_init(&l->uv, &l->alarm, l->alarm_fd);
	if (rc == 0)
		rc = uv_poll_start(&l->alarm, UV_READABLE, on_alarm);
	if (rc == 0)
		rc = uv_async_init(&l->uv, &l->wake, on_wake);
	if (rc != 0)
		return rc;
	/* These cannot fail. */
	uv_idle_init(&l->uv, &l->idle);
	uv_prepare_init(&l->uv, &l->prepare);
	uv_check_init(&l->uv, &l->check);
	uv_prepare_start(&l->prepare, before_wait);
	uv_check_start(&l->check, after_sockets);
	return 0;
}

enum err loop_uv_new(struct loop **ret_loop)
{
	struct loop_uv *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return ERR_NO_MEMORY;
	loop_init(&l->base, &uv_ops);
	l->alarm_fd = -1;
	l->alarm_at = NSEC_NEVER;
	l->alarm.data = l->prepare.data = l->check.data = l;
	int rc = uv_loop_init(&l->uv);
	if (rc != 0) {
		free(l);
		return err_from_uv(rc);
	}
	rc = open_handles(l);
	if (rc != 0) {
		tear_down(l);
		return err_from_uv(rc);
	}
	*ret_loop = &l->base;
	return ERR_OK;
}
