/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* thread.c - see thread.h */
#include "lib/thread.h"

#include <signal.h>
#include <stddef.h>

int lib_thread_create(pthread_t *ret_thread, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int errnum = pthread_create(ret_thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return errnum;
}
