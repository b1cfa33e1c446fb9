/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* iobuf.c - see iobuf.h */
#include "p2p/host/iobuf.h"

#include <assert.h>
#include <stdlib.h>

struct iobuf *iobuf_take(struct iobuf_pool *pool)
{
	struct iobuf *buf = pool->free;
	if (buf != NULL) {
		pool->free = buf->next;
		pool->n_free--;
	} else {
		buf = malloc(sizeof(*buf));
		if (buf == NULL)
			return NULL;
	}
	buf->start = 0;
	buf->end = 0;
	pool->n_lent++;
	return buf;
}

struct iobuf *iobuf_give(struct iobuf_pool *pool, struct iobuf *buf)
{
	if (buf == NULL)
		return NULL;
	assert(pool->n_lent > 0);
	pool->n_lent--;
	if (pool->n_free == IOBUF_KEEP_MAX) {
		free(buf);
		return NULL;
	}
	buf->next = pool->free;
	pool->free = buf;
	pool->n_free++;
	return NULL;
}

void iobuf_pool_deinit(struct iobuf_pool *pool)
{
	assert(pool->n_lent == 0);
	while (pool->free != NULL) {
		struct iobuf *buf = pool->free;
		pool->free = buf->next;
		free(buf);
	}
	pool->n_free = 0;
}
