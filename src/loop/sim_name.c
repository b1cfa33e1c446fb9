/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* sim_name.c - names of the simulated network, answered after SIM_RESOLVE_DELAY */
#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "loop/sim_internal.h"

struct sim_name {
	struct sim_name *next;
	union netaddr ip;
	char name[];
};

struct resolve {
	struct loop_timer answer; /* of the world */
	struct sim_host *host;
	resolve_fn *fn;
	void *ctx;
	int family;
	char name[];
};

enum err sim_add_name(struct sim *sim, const char *name, const char *ip)
{
	union netaddr addr;
	if (!sim_addr_parse(ip, &addr))
		return ERR_MALFORMED;
	struct sim_name **at = &sim->names;
	while (*at != NULL)
		at = &(*at)->next;
	size_t len = strlen(name);
	*at = sim_alloc(sizeof(**at) + len + 1);
	(*at)->ip = addr;
	memcpy((*at)->name, name, len);
	return ERR_OK;
}

void sim_names_free(struct sim *sim)
{
	while (sim->names != NULL) {
		struct sim_name *next = sim->names->next;
		free(sim->names);
		sim->names = next;
	}
}

static size_t add(union netaddr *addrs, size_t n, const union netaddr *addr, int family)
{
	if (n == SIM_RESOLVED_MAX || (family != AF_UNSPEC && family != addr->sa.sa_family))
		return n;
	for (size_t i = 0; i < n; i++)
		if (sim_addr_equal(&addrs[i], addr))
			return n;
	addrs[n] = *addr;
	return n + 1;
}

static void on_answer(struct loop_timer *timer, nsec_t at)
{
	(void)at;
	struct resolve *query = CONTAINER_OF(timer, struct resolve, answer);
	struct sim_host *host = query->host;
	union netaddr addrs[SIM_RESOLVED_MAX], number;
	size_t n = 0;
	if (sim_addr_parse(query->name, &number))
		n = add(addrs, n, &number, query->family);
	for (const struct sim_name *name = host->sim->names; name != NULL; name = name->next)
		if (strcmp(name->name, query->name) == 0)
			n = add(addrs, n, &name->ip, query->family);
	resolve_fn *fn = query->fn;
	void *ctx = query->ctx;
	host->n_queries--;
	free(query);
	sim_note(host, "resolved", n, 0);
	fn(ctx, n > 0 ? ERR_OK : ERR_DNS, n > 0 ? addrs : NULL, n);
}

enum err sim_resolve(struct loop *loop, const char *name, int family, resolve_fn *fn, void *ctx,
		     struct resolve **ret_query)
{
	struct sim_host *host = sim_host_of(loop);
	assert(fn != NULL);
	size_t len = strlen(name);
	struct resolve *query = sim_alloc(sizeof(*query) + len + 1);
	query->host = host;
	query->fn = fn;
	query->ctx = ctx;
	query->family = family;
	memcpy(query->name, name, len);
	loop_timer_init(&query->answer, &host->sim->events, on_answer);
	loop_timer_set(&query->answer, host->sim->now + SIM_RESOLVE_DELAY);
	host->n_queries++;
	*ret_query = query;
	return ERR_OK;
}

void sim_resolve_cancel(struct resolve *query)
{
	loop_timer_stop(&query->answer);
	query->host->n_queries--;
	free(query);
}
