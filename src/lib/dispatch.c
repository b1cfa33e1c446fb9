/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatch.c - the calls of runnel/dispatch.h on a dispatcher; its threads are dispatch_shard.c */
#include "lib/dispatch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/util.h"
#include "lib/conn_key.h"
#include "lib/dispatch_conf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/thread.h"
#include "lib/values.h"

/* The dispatcher whose thread this is; NULL on others. */
static _Thread_local const struct runnel_dispatcher *here;

bool dispatch_is_here(const struct runnel_dispatcher *d)
{
	return here == d;
}

/* --- packets ------------------------------------------------------------------------- */

static struct runnel_shard *shard_of(const struct runnel_dispatcher *d, const struct conn_key *key)
{
	uint64_t hash = conn_key_hash(key, d->seed) >> 32;
	return &d->shards[hash * d->n_shards >> 32];
}

enum runnel_err runnel_dispatch_with_callback(struct runnel_dispatcher *d,
					      const struct runnel_conn_key *key,
					      const struct runnel_ip *destination,
					      const void *packet, size_t len,
					      runnel_dispatched_fn *fn, void *ctx)
{
	struct dispatch_head head = {
		.fn = fn,
		.ctx = ctx,
		.is_own = key == NULL && destination == NULL,
	};
	struct packet_info info;
	if (atomic_load_explicit(&d->state, memory_order_acquire) != DISPATCH_RUNNING)
		return RUNNEL_ERR_CLOSED;
	if (len > d->mtu)
		return RUNNEL_ERR_TOO_LONG;
	if (packet_parse(span_of(packet, len), &info) != ERR_OK)
		return RUNNEL_ERR_MALFORMED;
	if (key == NULL)
		conn_key_of(&info, &head.key);
	else if (!lib_conn_key_get(key, &head.key))
		return RUNNEL_ERR_MALFORMED;
	if (destination == NULL)
		head.destination = info.destination;
	else if (!values_get_ip(destination, &head.destination))
		return RUNNEL_ERR_MALFORMED;
	return lib_err(dispatch_shard_put(shard_of(d, &head.key), &head, span_of(packet, len)));
}

enum runnel_err runnel_dispatch(struct runnel_dispatcher *dispatcher,
				const struct runnel_conn_key *key,
				const struct runnel_ip *destination, const void *packet, size_t len)
{
	return runnel_dispatch_with_callback(dispatcher, key, destination, packet, len, NULL, NULL);
}

unsigned runnel_dispatcher_shards(const struct runnel_dispatcher *dispatcher)
{
	return dispatcher->n_shards;
}

/* --- new ----------------------------------------------------------------------------- */

static enum err refuse(char *errbuf, size_t errbuf_len, const char *why, enum err e)
{
	if (errbuf_len > 0)
		snprintf(errbuf, errbuf_len, "%s", why);
	return e;
}

static enum err check_ops(const struct runnel_peer_discovery *discovery,
			  const struct runnel_stream_service *streams, char *errbuf,
			  size_t errbuf_len)
{
	if (discovery == NULL || discovery->ops == NULL || discovery->ops->find == NULL)
		return refuse(errbuf, errbuf_len, "discovery: has no find()", ERR_MALFORMED);
	const struct runnel_stream_ops *ops = streams != NULL ? streams->ops : NULL;
	if (ops == NULL || ops->open_shard == NULL || ops->close_shard == NULL ||
	    ops->open == NULL || ops->wake == NULL || ops->finish == NULL || ops->reset == NULL ||
	    ops->facts == NULL)
		return refuse(errbuf, errbuf_len,
			      "streams: one of its functions is missing; only demand() may be",
			      ERR_MALFORMED);
	return ERR_OK;
}

static struct runnel_dispatcher *free_all(struct runnel_dispatcher *d)
{
	while (d->n_shards > 0)
		dispatch_shard_deinit(&d->shards[--d->n_shards]);
	free(d->shards);
	pthread_cond_destroy(&d->changed);
	pthread_mutex_destroy(&d->mutex);
	free(d);
	return NULL;
}

static enum err make_shards(struct runnel_dispatcher *d, struct dispatch_shard_conf *conf)
{
	unsigned n = dispatch_conf_shards(conf->conf);
	d->shards = aligned_alloc(_Alignof(struct runnel_shard), n * sizeof(*d->shards));
	if (d->shards == NULL)
		return ERR_NO_MEMORY;
	for (unsigned i = 0; i < n; i++) {
		conf->index = i;
		enum err e = dispatch_shard_init(&d->shards[i], conf);
		if (e != ERR_OK)
			return e;
		d->n_shards++;
	}
	return ERR_OK;
}

static enum err make(struct dispatch_shard_conf *conf, struct runnel_dispatcher **ret_dispatcher)
{
	struct runnel_dispatcher *d = calloc(1, sizeof(*d));
	if (d == NULL)
		return ERR_NO_MEMORY;
	pthread_mutex_init(&d->mutex, NULL);
	pthread_cond_init(&d->changed, NULL);
	d->mtu = conf->conf->mtu;
	conf->owner = d;
	/* So few bytes come at once or not at all. */
	enum err e = getrandom(&d->seed, sizeof(d->seed), 0) == (ssize_t)sizeof(d->seed)
			     ? make_shards(d, conf)
			     : ERR_CRYPTO;
	if (e != ERR_OK)
		free_all(d);
	else
		*ret_dispatcher = d;
	return e;
}

enum runnel_err runnel_dispatcher_new(const struct runnel_peer_discovery *discovery,
				      const struct runnel_stream_service *streams,
				      const struct runnel_dispatch_conf *conf,
				      const struct runnel_resilience *resilience,
				      struct runnel_dispatcher **ret_dispatcher, char *errbuf,
				      size_t errbuf_len)
{
	struct runnel_dispatch_conf usual_conf;
	struct runnel_resilience usual_resilience;
	runnel_dispatch_conf_init(&usual_conf);
	runnel_resilience_init(&usual_resilience);
	struct dispatch_shard_conf shard = {
		.conf = conf != NULL ? conf : &usual_conf,
		.resilience = resilience != NULL ? resilience : &usual_resilience,
		.discovery = discovery,
		.streams = streams,
	};
	lib_log_init();
	if (errbuf_len > 0)
		errbuf[0] = '\0';
	enum err e = check_ops(discovery, streams, errbuf, errbuf_len);
	if (e == ERR_OK)
		e = dispatch_conf_check(shard.conf, shard.resilience, errbuf, errbuf_len);
	if (e != ERR_OK)
		return lib_err(e);
	e = make(&shard, ret_dispatcher);
	if (e != ERR_OK)
		refuse(errbuf, errbuf_len, err_text(e), e);
	return lib_err(e);
}

/* --- start --------------------------------------------------------------------------- */

static void become(struct runnel_dispatcher *d, enum dispatch_state state)
{
	pthread_mutex_lock(&d->mutex);
	atomic_store_explicit(&d->state, state, memory_order_release);
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->mutex);
}

static void *run_shard(void *arg)
{
	struct runnel_shard *s = arg;
	here = s->owner;
	return dispatch_shard_run(s);
}

void dispatch_started(struct runnel_shard *s, enum err result)
{
	struct runnel_dispatcher *d = s->owner;
	pthread_mutex_lock(&d->mutex);
	s->start_err = result;
	s->has_started = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->mutex);
}

/* How its start went, when that is known. */
static enum err wait_started(struct runnel_shard *s)
{
	struct runnel_dispatcher *d = s->owner;
	pthread_mutex_lock(&d->mutex);
	while (!s->has_started)
		pthread_cond_wait(&d->changed, &d->mutex);
	enum err e = s->start_err;
	pthread_mutex_unlock(&d->mutex);
	return e;
}

static enum err make_threads(struct runnel_dispatcher *d)
{
	for (unsigned i = 0; i < d->n_shards; i++) {
		struct runnel_shard *s = &d->shards[i];
		s->has_started = false;
		int errnum = lib_thread_create(&s->thread, run_shard, s);
		if (errnum != 0)
			return err_from_errno(errnum);
		s->has_thread = true;
	}
	return ERR_OK;
}

static void join(struct runnel_dispatcher *d)
{
	for (unsigned i = 0; i < d->n_shards; i++) {
		struct runnel_shard *s = &d->shards[i];
		if (s->has_thread)
			pthread_join(s->thread, NULL);
		s->has_thread = false;
	}
}

static void undo_start(struct runnel_dispatcher *d)
{
	for (unsigned i = 0; i < d->n_shards; i++) {
		struct runnel_shard *s = &d->shards[i];
		if (s->has_thread && wait_started(s) == ERR_OK)
			dispatch_shard_stop(s, 0, false);
	}
	join(d);
	for (unsigned i = 0; i < d->n_shards; i++)
		loop_drain(d->shards[i].loop);
}

enum runnel_err runnel_dispatcher_start(struct runnel_dispatcher *d)
{
	if (dispatch_is_here(d) || d->state != DISPATCH_NEW)
		return RUNNEL_ERR_BAD_STATE;
	become(d, DISPATCH_STARTING);
	enum err e = make_threads(d);
	for (unsigned i = 0; i < d->n_shards; i++) {
		enum err shard_err = d->shards[i].has_thread ? wait_started(&d->shards[i]) : e;
		e = e == ERR_OK ? shard_err : e;
	}
	if (e != ERR_OK)
		undo_start(d);
	become(d, e == ERR_OK ? DISPATCH_RUNNING : DISPATCH_NEW);
	return lib_err(e);
}

/* --- stop, free ---------------------------------------------------------------------- */

/* Is it for this call to stop it? Else it does not run, or another has stopped it. */
static bool claim_stop(struct runnel_dispatcher *d)
{
	pthread_mutex_lock(&d->mutex);
	while (d->state == DISPATCH_STARTING)
		pthread_cond_wait(&d->changed, &d->mutex);
	bool is_mine = d->state == DISPATCH_RUNNING;
	if (is_mine)
		atomic_store_explicit(&d->state, DISPATCH_STOPPING, memory_order_release);
	while (!is_mine && d->state == DISPATCH_STOPPING)
		pthread_cond_wait(&d->changed, &d->mutex);
	pthread_mutex_unlock(&d->mutex);
	return is_mine;
}

enum runnel_err runnel_dispatcher_stop(struct runnel_dispatcher *d, runnel_nsec timeout,
				       uint64_t *ret_dropped)
{
	if (dispatch_is_here(d))
		return RUNNEL_ERR_BAD_STATE;
	if (claim_stop(d)) {
		/* All at first, so that the shards close at the same time. */
		for (unsigned i = 0; i < d->n_shards; i++)
			inbox_close(d->shards[i].inbox);
		for (unsigned i = 0; i < d->n_shards; i++)
			dispatch_shard_stop(&d->shards[i], timeout, true);
		join(d);
		for (unsigned i = 0; i < d->n_shards; i++)
			d->dropped += metrics_dropped(&d->shards[i].metrics) -
				      d->shards[i].dropped_before;
		become(d, DISPATCH_STOPPED);
	}
	if (ret_dropped != NULL)
		*ret_dropped = d->dropped;
	return RUNNEL_ERR_OK;
}

struct runnel_dispatcher *runnel_dispatcher_free(struct runnel_dispatcher *d)
{
	if (d == NULL)
		return NULL;
	assert(!dispatch_is_here(d));
	runnel_dispatcher_stop(d, 0, NULL);
	return free_all(d);
}
