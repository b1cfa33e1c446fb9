/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* proxy.c - see proxy.h */
#include "proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/testkit.h"

enum {
	PAIRS = 64,
	BUF = 65536,
};

/* Of one direction: what was read from `from` and not yet written to the other. */
struct half {
	uint8_t bytes[BUF];
	size_t at, len;
	bool is_at_end; /* nothing more to read */
	bool is_shut;   /* ... and the other side was told */
};

struct pair {
	int fds[2]; /* -1: free */
	struct half halves[2];
};

struct proxy {
	pthread_t thread;
	int listener, wake;
	_Atomic uint16_t leads_to;
	atomic_bool is_ending;
	_Atomic uint64_t to_break; /* 0: nothing; else a random number */
	atomic_uint n_broken;
	struct pair *pairs[PAIRS];
};

static struct sockaddr_in local(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void close_pair(struct proxy *p, size_t i, bool reset)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	for (size_t k = 0; k < 2; k++) {
		int fd = p->pairs[i]->fds[k];
		if (reset)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(fd);
	}
	free(p->pairs[i]);
	p->pairs[i] = NULL;
}

static void accept_one(struct proxy *p)
{
	int from = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (from < 0)
		return;
	size_t i = 0;
	while (i < PAIRS && p->pairs[i] != NULL)
		i++;
	int to = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = local(p->leads_to);
	if (i == PAIRS || to < 0 ||
	    (connect(to, (struct sockaddr *)&at, sizeof(at)) != 0 && errno != EINPROGRESS)) {
		close(from);
		if (to >= 0)
			close(to);
		return;
	}
	int one = 1;
	setsockopt(from, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(to, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	p->pairs[i] = calloc(1, sizeof(*p->pairs[i]));
	if (p->pairs[i] == NULL)
		abort();
	p->pairs[i]->fds[0] = from;
	p->pairs[i]->fds[1] = to;
}

static bool must_wait(void)
{
	return errno == EAGAIN || errno == EINTR;
}

/* Carry what can be. false: the connection broke. */
static bool carry(struct half *h, int from, int to)
{
	if (h->len == 0 && !h->is_at_end) {
		ssize_t n = recv(from, h->bytes, sizeof(h->bytes), 0);
		if (n < 0 && !must_wait())
			return false;
		h->is_at_end = n == 0;
		h->at = 0;
		h->len = n > 0 ? (size_t)n : 0;
	}
	if (h->len > 0) {
		ssize_t n = send(to, h->bytes + h->at, h->len, MSG_NOSIGNAL);
		if (n < 0 && !must_wait())
			return false;
		h->at += n > 0 ? (size_t)n : 0;
		h->len -= n > 0 ? (size_t)n : 0;
	}
	if (h->is_at_end && h->len == 0 && !h->is_shut) {
		shutdown(to, SHUT_WR);
		h->is_shut = true;
	}
	return true;
}

static void break_one(struct proxy *p)
{
	uint64_t random = atomic_exchange(&p->to_break, 0);
	for (size_t k = 0; random != 0 && k < PAIRS; k++) {
		size_t i = (random + k) % 8 + (random + k) / 8 % 8 * 8;
		if (p->pairs[i] == NULL)
			continue;
		close_pair(p, i, true);
		atomic_fetch_add(&p->n_broken, 1);
		return;
	}
}

static short wanted(const struct pair *pair, size_t k)
{
	const struct half *in = &pair->halves[k], *out = &pair->halves[1 - k];
	return (short)((in->len == 0 && !in->is_at_end ? POLLIN : 0) |
		       (out->len > 0 ? POLLOUT : 0));
}

static void turn(struct proxy *p)
{
	struct pollfd fds[2 + 2 * PAIRS];
	size_t of[2 + 2 * PAIRS], n = 2;
	fds[0] = (struct pollfd){.fd = p->listener, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = p->wake, .events = POLLIN};
	for (size_t i = 0; i < PAIRS; i++) {
		for (size_t k = 0; p->pairs[i] != NULL && k < 2; k++) {
			short events = wanted(p->pairs[i], k);
			of[n] = i;
			fds[n++] = (struct pollfd){.fd = events != 0 ? p->pairs[i]->fds[k] : -1,
						   .events = events};
		}
	}
	poll(fds, (nfds_t)n, -1);
	uint64_t count;
	ssize_t got = read(p->wake, &count, sizeof(count));
	(void)got;
	for (size_t i = 2; i < n; i += 2) {
		struct pair *pair = p->pairs[of[i]];
		if ((fds[i].revents | fds[i + 1].revents) == 0)
			continue;
		if (!carry(&pair->halves[0], pair->fds[0], pair->fds[1]) ||
		    !carry(&pair->halves[1], pair->fds[1], pair->fds[0]))
			close_pair(p, of[i], true);
		else if (pair->halves[0].is_shut && pair->halves[1].is_shut)
			close_pair(p, of[i], false);
	}
	if (fds[0].revents != 0)
		accept_one(p);
	break_one(p);
}

static void *run(void *arg)
{
	struct proxy *p = arg;
	while (!atomic_load(&p->is_ending))
		turn(p);
	return NULL;
}

struct proxy *proxy_new(uint16_t *ret_port)
{
	struct proxy *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	struct sockaddr_in at = local(0);
	socklen_t len = sizeof(at);
	p->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(p->wake >= 0 && p->listener >= 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(p->listener, 64), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	assert_int_equal(pthread_create(&p->thread, NULL, run, p), 0);
	return p;
}

static void wake(struct proxy *p)
{
	uint64_t one = 1;
	if (write(p->wake, &one, sizeof(one)) != sizeof(one))
		abort();
}

void proxy_lead(struct proxy *p, uint16_t port)
{
	p->leads_to = port;
}

void proxy_break(struct proxy *p, uint64_t random)
{
	atomic_store(&p->to_break, random | 1);
	wake(p);
}

unsigned proxy_broken(struct proxy *p)
{
	return atomic_load(&p->n_broken);
}

struct proxy *proxy_free(struct proxy *p)
{
	if (p == NULL)
		return NULL;
	atomic_store(&p->is_ending, true);
	wake(p);
	pthread_join(p->thread, NULL);
	for (size_t i = 0; i < PAIRS; i++) {
		if (p->pairs[i] != NULL)
			close_pair(p, i, true);
	}
	close(p->listener);
	close(p->wake);
	free(p);
	return NULL;
}
