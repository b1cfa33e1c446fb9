/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * mailbox.h - have something done on a node's thread, and wait for it
 *
 * A request lies on the stack of the thread that asks. It is put into a list, a doorbell that the
 * loop watches is rung, and the thread sleeps until the loop has run the request. The control plane
 * only: it takes a lock.
 *
 * What always holds: a request that was taken into the list is either run or, when the mailbox
 * closes, given back unrun. Nobody waits for a loop that does not turn.
 *
 * mailbox_open() and mailbox_close() are for the loop's thread, mailbox_ask() for any other; init
 * and deinit for whoever owns both.
 */
#pragma once

#include <pthread.h>

#include "loop/loop.h"

struct mailbox_request {
	void (*run)(struct mailbox_request *request); /* on the loop's thread */
	/* the mailbox's */
	struct mailbox_request *prev, *next;
	bool is_run, is_back;
};

struct mailbox {
	pthread_mutex_t mutex; /* of all below, but for `sock` */
	pthread_cond_t answered;
	struct mailbox_request *requests;
	bool is_open;
	int bell; /* an eventfd, while open */
	struct sock *sock;
};

void mailbox_init(struct mailbox *m);
/* It is closed. */
void mailbox_deinit(struct mailbox *m);

/* ERR_FDS, ERR_NO_MEMORY. */
MUST_USE enum err mailbox_open(struct mailbox *m, struct loop *loop);
/* Also when it is not open. */
void mailbox_close(struct mailbox *m);

/* ERR_CLOSED: it was not run, and will not be. */
MUST_USE enum err mailbox_ask(struct mailbox *m, struct mailbox_request *request);
