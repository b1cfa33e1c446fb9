/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * postbox.h - have something run on a loop's thread, exactly once or not at all
 *
 * What loop_post() cannot say is whether the loop will still get to it. Here a lock decides: a post
 * that was taken is run, at the latest by postbox_close(); one that came later is refused. For the
 * control plane; packets have the inbox.
 *
 *     state     a post is   leaves when
 *     CLOSED    refused     postbox_open()
 *     OPEN      taken       postbox_close(): what is there is ended first
 *
 * postbox_put() and postbox_ask() are for any thread, but the second not for the loop's own; the
 * others for the loop's.
 */
#pragma once

#include <pthread.h>

#include "loop/loop.h"

/* A member of its sender's struct, the postbox's until end() is called. */
struct post {
	/* must_run: do it. Else only let go of it: the postbox closed on it. */
	void (*end)(struct post *post, bool must_run);
	struct post *next;
};

struct postbox {
	pthread_mutex_t mutex; /* of the next three, and the mail's posting */
	struct post *first, **last;
	bool is_open;
	struct loop *loop;
	struct loop_mail mail;
};

/* Closed. The loop outlives it. */
void postbox_init(struct postbox *p, struct loop *loop);
/* It is closed. Its mail may still be with the loop: drain that first. */
void postbox_deinit(struct postbox *p);

void postbox_open(struct postbox *p);
/* Take no more; end what is there, with this. */
void postbox_close(struct postbox *p, bool must_run);

/* ERR_CLOSED: it is not taken. */
MUST_USE enum err postbox_put(struct postbox *p, struct post *post);

/* Run fn(ctx) there, and wait until it was. ERR_CLOSED: it was not run. */
MUST_USE enum err postbox_ask(struct postbox *p, void (*fn)(void *ctx), void *ctx);
