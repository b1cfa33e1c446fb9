/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* shards.c - see shards.h */
#include "daemon/shards.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/util.h"
#include "loop/loop_uv.h"

size_t shards_wanted(const struct config *config)
{
	cpu_set_t cpus;
	if (config->shards > 0)
		return config->shards;
	int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
	return (size_t)MAX(1, MIN(n, (int)SHARDS_AUTO_MAX));
}

static enum err open_one(struct node_shard *shard, struct iface *iface, struct iface_error *why)
{
	int fd;
	enum err e = loop_uv_new(&shard->loop);
	if (e != ERR_OK)
		return iface_error_set(why, e, "no event loop: %s", err_text(e));
	e = iface_open_queue(iface, &fd, why);
	if (e == ERR_OK) {
		e = loop_adopt_fd(shard->loop, fd, &shard->tun);
		if (e != ERR_OK) {
			close(fd);
			iface_error_set(why, e, "cannot watch a queue: %s", err_text(e));
		}
	}
	if (e != ERR_OK)
		shard->loop = loop_free(shard->loop);
	return e;
}

enum err shards_open(struct shards *s, size_t count, struct iface *iface, struct iface_error *why)
{
	while (s->n + 1 < count) {
		enum err e = open_one(&s->further[s->n], iface, why);
		if (e != ERR_OK)
			return e;
		s->n++;
	}
	return ERR_OK;
}

static void *run(void *arg)
{
	struct loop *loop = arg;
	enum err e = loop_run(loop);
	if (e != ERR_OK)
		log_error("the event loop of a shard failed", "why=\"%s\"", err_text(e));
	return NULL;
}

enum err shards_run(struct shards *s)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = 0;
	while (rc == 0 && s->n_running < s->n) {
		size_t i = s->n_running;
		rc = pthread_create(&s->threads[i], NULL, run, s->further[i].loop);
		if (rc != 0)
			break;
		char name[16];
		snprintf(name, sizeof(name), "runnel-%u", (unsigned)(i + 1) % 100);
		pthread_setname_np(s->threads[i], name);
		s->n_running++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0)
		return ERR_OK;
	for (size_t i = 0; i < s->n_running; i++) {
		loop_stop(s->further[i].loop);
		pthread_join(s->threads[i], NULL);
	}
	s->n_running = 0;
	return err_from_errno(rc);
}

void shards_join(struct shards *s, struct loop *first)
{
	for (size_t i = 0; i < s->n_running; i++)
		loop_stop(s->further[i].loop);
	for (size_t i = 0; i < s->n_running; i++)
		pthread_join(s->threads[i], NULL);
	s->n_running = 0;
	/* What they still had to tell each other: twice, as an answer may follow. */
	for (int round = 0; round < 2; round++) {
		if (first != NULL)
			loop_drain(first);
		for (size_t i = 0; i < s->n; i++)
			loop_drain(s->further[i].loop);
	}
}

void shards_close(struct shards *s)
{
	for (size_t i = 0; i < s->n; i++) {
		s->further[i].tun = sock_close(s->further[i].tun, false);
		s->further[i].loop = loop_free(s->further[i].loop);
	}
	s->n = 0;
}
