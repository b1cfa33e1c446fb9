/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* call_count.c - see call_count.h */
#include "support/call_count.h"

#include <pthread.h>
#include <stdlib.h>

static _Thread_local struct call_count count;

struct call_count call_count_now(void)
{
	return count;
}

/* The linker's names: a call of f() comes to __wrap_f(), and __real_f() is f(). */
#define WRAP(type, name, params, args, counter) \
	type __real_##name params;              \
	type __wrap_##name params;              \
	type __wrap_##name params               \
	{                                       \
		count.counter++;                \
		return __real_##name args;      \
	}

WRAP(void *, malloc, (size_t size), (size), allocations)
WRAP(void *, calloc, (size_t n, size_t size), (n, size), allocations)
WRAP(void *, realloc, (void *p, size_t size), (p, size), allocations)
WRAP(void *, aligned_alloc, (size_t alignment, size_t size), (alignment, size), allocations)
WRAP(int, pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex), locks)
WRAP(int, pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex), locks)
WRAP(int, pthread_rwlock_rdlock, (pthread_rwlock_t * lock), (lock), locks)
WRAP(int, pthread_rwlock_wrlock, (pthread_rwlock_t * lock), (lock), locks)

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
	count.frees += p != NULL;
	__real_free(p);
}
