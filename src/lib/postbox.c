/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * postbox.c - see postbox.h
 *
 * The mail is posted by who finds the list empty, under the lock. It is not with the loop then: the
 * mail itself empties the list, and so does only postbox_close(), after which nobody posts.
 */
#include "lib/postbox.h"

#include "base/util.h"

/* All there is. */
static struct post *take_all(struct postbox *p, bool is_open)
{
	pthread_mutex_lock(&p->mutex);
	struct post *first = p->first;
	p->first = NULL;
	p->last = &p->first;
	p->is_open = is_open;
	pthread_mutex_unlock(&p->mutex);
	return first;
}

static void end_all(struct post *post, bool must_run)
{
	while (post != NULL) {
		struct post *next = post->next;
		post->end(post, must_run); /* it is its sender's again */
		post = next;
	}
}

static void on_mail(struct loop_mail *mail)
{
	struct postbox *p = CONTAINER_OF(mail, struct postbox, mail);
	pthread_mutex_lock(&p->mutex);
	bool is_open = p->is_open; /* only this thread changes it */
	pthread_mutex_unlock(&p->mutex);
	if (is_open)
		end_all(take_all(p, true), true);
}

void postbox_init(struct postbox *p, struct loop *loop)
{
	*p = (struct postbox){.loop = loop, .mail.run = on_mail};
	p->last = &p->first;
	pthread_mutex_init(&p->mutex, NULL);
}

void postbox_deinit(struct postbox *p)
{
	assert(!p->is_open && p->first == NULL);
	pthread_mutex_destroy(&p->mutex);
}

void postbox_open(struct postbox *p)
{
	end_all(take_all(p, true), false); /* there is none */
}

void postbox_close(struct postbox *p, bool must_run)
{
	end_all(take_all(p, false), must_run);
}

enum err postbox_put(struct postbox *p, struct post *post)
{
	pthread_mutex_lock(&p->mutex);
	bool is_open = p->is_open;
	if (is_open) {
		bool is_first = p->first == NULL;
		post->next = NULL;
		*p->last = post;
		p->last = &post->next;
		if (is_first)
			loop_post(p->loop, &p->mail);
	}
	pthread_mutex_unlock(&p->mutex);
	return is_open ? ERR_OK : ERR_CLOSED;
}

struct question {
	struct post base;
	void (*fn)(void *ctx);
	void *ctx;
	pthread_mutex_t mutex; /* of the next two */
	bool is_answered, is_run;
	pthread_cond_t answered;
};

static void answer(struct post *post, bool must_run)
{
	struct question *q = CONTAINER_OF(post, struct question, base);
	if (must_run)
		q->fn(q->ctx);
	pthread_mutex_lock(&q->mutex);
	q->is_run = must_run;
	q->is_answered = true;
	pthread_cond_signal(&q->answered);
	pthread_mutex_unlock(&q->mutex);
}

enum err postbox_ask(struct postbox *p, void (*fn)(void *ctx), void *ctx)
{
	struct question q = {.base.end = answer, .fn = fn, .ctx = ctx};
	pthread_mutex_init(&q.mutex, NULL);
	pthread_cond_init(&q.answered, NULL);
	if (postbox_put(p, &q.base) == ERR_OK) {
		pthread_mutex_lock(&q.mutex);
		while (!q.is_answered)
			pthread_cond_wait(&q.answered, &q.mutex);
		pthread_mutex_unlock(&q.mutex);
	}
	pthread_cond_destroy(&q.answered);
	pthread_mutex_destroy(&q.mutex);
	return q.is_run ? ERR_OK : ERR_CLOSED;
}
