/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * uv_resolve.c - names to addresses, by getaddrinfo() on a thread of libuv
 *
 * A query that is running in a thread cannot be called back, only ignored: its struct lives until
 * the thread is done, and `fn` is NULL once it is cancelled.
 */
#include <assert.h>
#include <netdb.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/util.h"
#include "loop/uv_internal.h"

struct resolve {
	uv_getaddrinfo_t req;
	struct loop_uv *loop;
	resolve_fn *fn;
	void *ctx;
};

static bool is_same(const union netaddr *a, const union netaddr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->in4.sin_addr.s_addr == b->in4.sin_addr.s_addr;
	return memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, sizeof(a->in6.sin6_addr)) == 0 &&
	       a->in6.sin6_scope_id == b->in6.sin6_scope_id;
}

/* Distinct IP addresses in the order of the answer, which getaddrinfo() sorted by preference. */
static size_t collect(const struct addrinfo *list, union netaddr addrs[RESOLVE_ADDRS_MAX])
{
	size_t n = 0;
	for (const struct addrinfo *ai = list; ai != NULL && n < RESOLVE_ADDRS_MAX;
	     ai = ai->ai_next) {
		union netaddr addr = {0};
		if ((ai->ai_family != AF_INET && ai->ai_family != AF_INET6) ||
		    ai->ai_addrlen > sizeof(addr))
			continue;
		memcpy(&addr, ai->ai_addr, ai->ai_addrlen);
		size_t i = 0;
		while (i < n && !is_same(&addrs[i], &addr))
			i++;
		if (i == n)
			addrs[n++] = addr;
	}
	return n;
}

static void on_answer(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
	struct resolve *query = CONTAINER_OF(req, struct resolve, req);
	resolve_fn *fn = query->fn;
	void *ctx = query->ctx;
	union netaddr addrs[RESOLVE_ADDRS_MAX];
	size_t n = status == 0 ? collect(list, addrs) : 0;
	if (fn != NULL)
		query->loop->n_queries--;
	uv_freeaddrinfo(list);
	free(query);
	if (fn == NULL)
		return;
	if (n > 0)
		fn(ctx, ERR_OK, addrs, n);
	else
		fn(ctx, status == UV_EAI_AGAIN ? ERR_TIMEOUT : ERR_DNS, NULL, 0);
}

enum err uv_resolve(struct loop *loop, const char *name, int family, resolve_fn *fn, void *ctx,
		    struct resolve **ret_query)
{
	assert(fn != NULL);
	struct resolve *query = calloc(1, sizeof(*query));
	if (query == NULL)
		return ERR_NO_MEMORY;
	query->loop = CONTAINER_OF(loop, struct loop_uv, base);
	query->fn = fn;
	query->ctx = ctx;
	struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM};
	int rc = uv_getaddrinfo(&query->loop->uv, &query->req, on_answer, name, NULL, &hints);
	if (rc != 0) {
		free(query);
		return rc == UV_ENOMEM ? ERR_NO_MEMORY
				       : ERR_DNS; /* not a name: too long, bad IDN */
	}
	query->loop->n_queries++;
	*ret_query = query;
	return ERR_OK;
}

void uv_resolve_cancel(struct resolve *query)
{
	assert(query->fn != NULL);
	query->fn = NULL;
	query->loop->n_queries--;
	uv_cancel((uv_req_t *)&query->req); /* UV_EBUSY: it runs; on_answer() frees it */
}
