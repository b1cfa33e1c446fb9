/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* arena.c - see arena.h. Small objects are cut from blocks, a large one gets a block of its own. */
#include "vpn/config/arena.h"

#include <stdalign.h>
#include <stdlib.h>

#include "base/util.h"

enum {
	BLOCK_LEN = 16 * 1024, /* bytes; a configuration of ten peers fits in one */
};

struct block {
	struct block *next;
	alignas(max_align_t) uint8_t bytes[];
};

struct arena {
	struct block *blocks;
	uint8_t *free; /* what is left of the newest shared block */
	size_t free_len;
};

static uint8_t *add_block(struct arena *arena, size_t len)
{
	if (len > SIZE_MAX - sizeof(struct block))
		return NULL;
	struct block *block = calloc(1, sizeof(*block) + len);
	if (block == NULL)
		return NULL;
	block->next = arena->blocks;
	arena->blocks = block;
	return block->bytes;
}

struct arena *arena_new(void)
{
	return calloc(1, sizeof(struct arena));
}

struct arena *arena_free(struct arena *arena)
{
	if (arena == NULL)
		return NULL;
	while (arena->blocks != NULL) {
		struct block *next = arena->blocks->next;
		free(arena->blocks);
		arena->blocks = next;
	}
	free(arena);
	return NULL;
}

void *arena_alloc(struct arena *arena, size_t n, size_t size)
{
	const size_t align = alignof(max_align_t);
	size_t len;
	if (__builtin_mul_overflow(n, size, &len) || len > SIZE_MAX / 2)
		return NULL;
	len = MAX((len + align - 1) / align * align, align);

	if (len > BLOCK_LEN / 4)
		return add_block(arena, len);
	if (len > arena->free_len) {
		uint8_t *fresh = add_block(arena, BLOCK_LEN);
		if (fresh == NULL)
			return NULL;
		arena->free = fresh;
		arena->free_len = BLOCK_LEN;
	}
	void *at = arena->free;
	arena->free += len;
	arena->free_len -= len;
	return at;
}

char *arena_text(struct arena *arena, struct span text)
{
	char *copy = arena_alloc(arena, text.len + 1, 1);
	if (copy != NULL && text.len > 0)
		memcpy(copy, text.p, text.len);
	return copy;
}
