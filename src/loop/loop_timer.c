/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * loop_timer.c - timers and tasks, the part that all loops share
 *
 * Timers are nodes of a pairing heap inside their owners' structs: setting and stopping need no
 * memory and cannot fail. Setting is O(1), stopping and firing O(log n) amortized. A node's `child`
 * is the first of its children, which are chained by `sibling`; `prev` is the sibling before it, or
 * its parent where it is the first; the root has none. Deadlines are equal often (a whole turn has
 * one `now`), so `seq` orders them.
 *
 * Firing first moves all due timers to a list, chained by `sibling` and `prev` as children are, so
 * that unlink() works on both and a callback may stop or set any timer. What a callback sets goes
 * to the heap, and so waits for the next turn.
 *
 * Tasks are a ring: head->prev is the last. A marker that loop_run_tasks() appends divides those of
 * this turn from those of the next.
 */
#include "loop/loop.h"

#include <assert.h>

void loop_init(struct loop *loop, const struct loop_ops *ops)
{
	*loop = (struct loop){.ops = ops};
}

/* --- timers -------------------------------------------------------------------------- */

static bool is_before(const struct loop_timer *a, const struct loop_timer *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

/* Two heaps become one; either may be NULL. */
static struct loop_timer *merge(struct loop_timer *a, struct loop_timer *b)
{
	if (a == NULL)
		return b;
	if (b == NULL)
		return a;
	if (is_before(b, a)) {
		struct loop_timer *swap = a;
		a = b;
		b = swap;
	}
	b->sibling = a->child;
	if (b->sibling != NULL)
		b->sibling->prev = b;
	b->prev = a;
	a->child = b;
	return a;
}

/* The children of a removed node become one heap: pairs from left to right, then the pairs from
 * right to left, which is what bounds the cost. */
static struct loop_timer *merge_children(struct loop_timer *child)
{
	struct loop_timer *pairs = NULL, *heap = NULL;
	while (child != NULL) {
		struct loop_timer *a = child, *b = a->sibling;
		child = b != NULL ? b->sibling : NULL;
		a->sibling = a->prev = NULL;
		if (b != NULL)
			b->sibling = b->prev = NULL;
		a = merge(a, b);
		a->sibling = pairs;
		pairs = a;
	}
	while (pairs != NULL) {
		struct loop_timer *next = pairs->sibling;
		pairs->sibling = NULL;
		heap = merge(heap, pairs);
		pairs = next;
	}
	return heap;
}

/* Take a timer out of the heap, or out of the list of due ones. */
static void unlink_timer(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer *children = merge_children(timer->child);
	if (timer == loop->timers) {
		loop->timers = children;
	} else {
		if (timer->prev->child == timer)
			timer->prev->child = timer->sibling;
		else
			timer->prev->sibling = timer->sibling;
		if (timer->sibling != NULL)
			timer->sibling->prev = timer->prev;
		loop->timers = merge(loop->timers, children);
	}
	timer->child = timer->sibling = timer->prev = NULL;
}

static nsec_t earliest(const struct loop *loop)
{
	return loop->timers != NULL ? loop->timers->at : NSEC_NEVER;
}

static void tell_earliest(struct loop *loop, nsec_t told)
{
	if (earliest(loop) != told)
		loop->ops->arm(loop, earliest(loop));
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop,
		     void (*fire)(struct loop_timer *timer, nsec_t now))
{
	*timer = (struct loop_timer){.fire = fire, .at = NSEC_NEVER, .loop = loop};
}

void loop_timer_set(struct loop_timer *timer, nsec_t at)
{
	struct loop *loop = timer->loop;
	if (at == NSEC_NEVER) {
		loop_timer_stop(timer);
		return;
	}
	nsec_t told = earliest(loop);
	if (loop_timer_is_set(timer))
		unlink_timer(loop, timer);
	timer->at = at;
	timer->seq = loop->timer_seq++;
	loop->timers = merge(loop->timers, timer);
	tell_earliest(loop, told);
}

void loop_timer_stop(struct loop_timer *timer)
{
	if (!loop_timer_is_set(timer))
		return;
	nsec_t told = earliest(timer->loop);
	unlink_timer(timer->loop, timer);
	timer->at = NSEC_NEVER;
	tell_earliest(timer->loop, told);
}

void loop_run_timers(struct loop *loop, nsec_t now)
{
	struct loop_timer due = {.at = NSEC_NEVER}, *last = &due, *timer;
	nsec_t told = earliest(loop);
	while ((timer = loop->timers) != NULL && timer->at <= now) {
		unlink_timer(loop, timer);
		timer->prev = last;
		last->sibling = timer;
		last = timer;
	}
	tell_earliest(loop, told);
	while ((timer = due.sibling) != NULL) {
		unlink_timer(loop, timer);
		timer->at = NSEC_NEVER;
		timer->fire(timer, now); /* may free it */
	}
}

/* --- tasks --------------------------------------------------------------------------- */

static void append(struct loop *loop, struct loop_task *task)
{
	struct loop_task *head = loop->tasks;
	if (head == NULL) {
		task->next = task->prev = task;
		loop->tasks = task;
	} else {
		task->next = head;
		task->prev = head->prev;
		head->prev->next = task;
		head->prev = task;
	}
	task->loop = loop;
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
	if (task->loop != NULL) {
		assert(task->loop == loop);
		return;
	}
	append(loop, task);
	loop->ops->have_task(loop);
}

void loop_task_cancel(struct loop_task *task)
{
	struct loop *loop = task->loop;
	if (loop == NULL)
		return;
	if (task->next == task) {
		loop->tasks = NULL;
	} else {
		task->prev->next = task->next;
		task->next->prev = task->prev;
		if (loop->tasks == task)
			loop->tasks = task->next;
	}
	task->next = task->prev = NULL;
	task->loop = NULL;
}

void loop_run_tasks(struct loop *loop)
{
	if (!loop_has_tasks(loop))
		return;
	struct loop_task marker = {0}, *task;
	append(loop, &marker);
	while ((task = loop->tasks) != &marker) {
		loop_task_cancel(task);
		task->run(task); /* may free it */
	}
	loop_task_cancel(&marker);
}
