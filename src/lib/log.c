/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log.c - see log.h
 *
 * base/log has one sink, which is set once: it stays forward(), and what a program sets is behind a
 * mutex, which is held while a line is handed over. Lines are rare, never of the packet path.
 */
#include "lib/log.h"

#include <assert.h>
#include <pthread.h>
#include <stddef.h>

#include <runnel/log.h>

#include "base/log.h"

static_assert(RUNNEL_LOG_ERROR == (int)LOG_ERROR && RUNNEL_LOG_WARN == (int)LOG_WARN &&
		      RUNNEL_LOG_INFO == (int)LOG_INFO && RUNNEL_LOG_DEBUG == (int)LOG_DEBUG,
	      "the same numbers");

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static runnel_log_fn *log_fn; /* guarded by mutex, as the next */
static void *log_ctx;

static void forward(enum log_level level, const char *line, void *ctx)
{
	(void)ctx;
	pthread_mutex_lock(&mutex);
	if (log_fn != NULL)
		log_fn(log_ctx, (enum runnel_log_level)level, line);
	pthread_mutex_unlock(&mutex);
}

static void take_over(void)
{
	log_set_level(LOG_ERROR);
	log_set_sink(forward, NULL);
}

void lib_log_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, take_over);
}

void runnel_log_set(enum runnel_log_level level, runnel_log_fn *fn, void *ctx)
{
	lib_log_init();
	pthread_mutex_lock(&mutex);
	log_set_level(fn != NULL ? (enum log_level)level : LOG_ERROR);
	log_fn = fn;
	log_ctx = ctx;
	pthread_mutex_unlock(&mutex);
}
