/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* assembler.c - see assembler.h */
#include "vpn/stream/assembler.h"

#include <assert.h>
#include <stdlib.h>

enum err assembler_init(struct assembler *a, size_t cap)
{
	*a = (struct assembler){.buf = malloc(cap), .cap = cap};
	return a->buf != NULL ? ERR_OK : ERR_NO_MEMORY;
}

void assembler_deinit(struct assembler *a)
{
	free(a->buf);
	*a = (struct assembler){0};
}

enum err assembler_take(struct assembler *a, size_t want, struct span *in, struct span *ret)
{
	assert(want > 0 && want <= a->cap && a->len < want);
	if (a->len == 0 && in->len >= want)
		return span_take(in, want, ret);

	size_t n = want - a->len;
	if (n > in->len)
		n = in->len;
	if (n > 0) {
		memcpy(a->buf + a->len, in->p, n);
		span_skip(in, n);
		a->len += n;
	}
	if (a->len < want)
		return ERR_AGAIN;
	*ret = span_of(a->buf, want);
	a->len = 0;
	return ERR_OK;
}
