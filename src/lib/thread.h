/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* thread.h - threads that the library makes in somebody else's program */
#pragma once

#include <pthread.h>

/* With all signals blocked: they are the program's, its own threads take them. 0, or an errno
 * value. */
int lib_thread_create(pthread_t *ret_thread, void *(*run)(void *arg), void *arg);
