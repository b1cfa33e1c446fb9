/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* failing_memory.c - see failing_memory.h */
#include "support/failing_memory.h"

/* The linker's names. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__real_sim_alloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_sim_alloc(size_t size);

static struct {
	bool is_armed, is_lasting;
	size_t at, count; /* the allocation that fails, from 1; so far */
} memory;

void failing_memory_arm(size_t at, bool is_lasting)
{
	memory.at = at;
	memory.is_lasting = is_lasting;
	memory.count = 0;
	memory.is_armed = true;
}

bool failing_memory_has_failed(void)
{
	return memory.count >= memory.at;
}

void failing_memory_disarm(void)
{
	memory.is_armed = false;
}

static bool fails(void)
{
	if (!memory.is_armed)
		return false;
	memory.count++;
	return memory.is_lasting ? memory.count >= memory.at : memory.count == memory.at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

void *__wrap_sim_alloc(size_t size)
{
	bool was_armed = memory.is_armed;
	memory.is_armed = false;
	void *p = __real_sim_alloc(size);
	memory.is_armed = was_armed;
	return p;
}
