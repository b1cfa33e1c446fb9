/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* mailbox.c - see mailbox.h */
#include "lib/mailbox.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <utlist.h>

void mailbox_init(struct mailbox *m)
{
	*m = (struct mailbox){.bell = -1};
	pthread_mutex_init(&m->mutex, NULL);
	pthread_cond_init(&m->answered, NULL);
}

void mailbox_deinit(struct mailbox *m)
{
	assert(!m->is_open && m->requests == NULL);
	pthread_cond_destroy(&m->answered);
	pthread_mutex_destroy(&m->mutex);
}

/* --- on the loop's thread ------------------------------------------------------------ */

static struct mailbox_request *take(struct mailbox *m)
{
	pthread_mutex_lock(&m->mutex);
	struct mailbox_request *request = m->requests;
	if (request != NULL)
		DL_DELETE(m->requests, request);
	pthread_mutex_unlock(&m->mutex);
	return request;
}

/* The request is its asker's again as soon as the mutex is free. */
static void give_back(struct mailbox *m, struct mailbox_request *request, bool is_run)
{
	pthread_mutex_lock(&m->mutex);
	request->is_run = is_run;
	request->is_back = true;
	pthread_cond_broadcast(&m->answered);
	pthread_mutex_unlock(&m->mutex);
}

static void on_bell(void *ctx, unsigned ready)
{
	(void)ready;
	struct mailbox *m = ctx;
	uint64_t n_rings;
	size_t n;
	/* One read takes all rings; ERR_AGAIN: none. */
	if (sock_read(m->sock, &n_rings, sizeof(n_rings), &n) != ERR_OK)
		return;
	struct mailbox_request *request;
	while ((request = take(m)) != NULL) {
		request->run(request);
		give_back(m, request, true);
	}
}

enum err mailbox_open(struct mailbox *m, struct loop *loop)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return err_from_errno(errno);
	enum err e = loop_adopt_fd(loop, fd, &m->sock);
	if (e != ERR_OK) {
		close(fd);
		return e;
	}
	sock_watch(m->sock, SOCK_READABLE, on_bell, m);
	pthread_mutex_lock(&m->mutex);
	m->bell = fd;
	m->is_open = true;
	pthread_mutex_unlock(&m->mutex);
	return ERR_OK;
}

void mailbox_close(struct mailbox *m)
{
	pthread_mutex_lock(&m->mutex);
	m->is_open = false;
	m->bell = -1;
	pthread_mutex_unlock(&m->mutex);
	struct mailbox_request *request;
	while ((request = take(m)) != NULL)
		give_back(m, request, false);
	m->sock = sock_close(m->sock, false);
}

/* --- on another ---------------------------------------------------------------------- */

enum err mailbox_ask(struct mailbox *m, struct mailbox_request *request)
{
	request->is_run = request->is_back = false;
	pthread_mutex_lock(&m->mutex);
	if (m->is_open) {
		DL_APPEND(m->requests, request);
		/* It can fail only where 2^64 rings were not heard. */
		eventfd_write(m->bell, 1);
		while (!request->is_back)
			pthread_cond_wait(&m->answered, &m->mutex);
	}
	pthread_mutex_unlock(&m->mutex);
	return request->is_run ? ERR_OK : ERR_CLOSED;
}
