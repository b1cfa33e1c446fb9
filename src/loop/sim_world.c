/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sim_world.c - the simulator: clock, events, hosts and their turns
 *
 * One step is, in this order: all events that are due now; else the turn of one host that has
 * something to do; else the clock moves to the next event. Hosts have their turns in the order in
 * which they came to have something to do. Nothing depends on addresses in memory or on real time,
 * and each host draws from a generator of its own, so a run is a function of seed and program.
 *
 * A turn is what loop.h says: sockets that are ready now, each once; mail; timers; tasks. What is
 * ready again behind that makes the host runnable again at the same time. Who never comes to rest
 * would stop the clock for good: that ends the process with a message.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop/sim_internal.h"

#include "base/util.h"

void *sim_alloc(size_t size)
{
	void *p = calloc(1, size);
	if (p == NULL) {
		fprintf(stderr, "loop_sim: out of memory\n");
		abort();
	}
	return p;
}

/* --- randomness and trace ------------------------------------------------------------ */

/* splitmix64: its mixing step, and the generator. */
uint64_t sim_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

uint64_t sim_random(uint64_t *state)
{
	return sim_mix(*state += 0x9e3779b97f4a7c15);
}

static void hash_number(struct sim *sim, uint64_t number)
{
	sim->hash = sim_mix(sim->hash + 0x9e3779b97f4a7c15 + number);
}

void sim_hash_bytes(struct sim *sim, const void *p, size_t len)
{
	const uint8_t *at = p;
	uint64_t word;
	for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash_number(sim, word);
	}
	word = len;
	for (size_t i = 0; i < len; i++)
		word = word << 8 | at[i];
	hash_number(sim, word);
}

void sim_note(struct sim_host *host, const char *what, uint64_t a, uint64_t b)
{
	struct sim *sim = host->sim;
	hash_number(sim, sim->now);
	hash_number(sim, host->id);
	sim_hash_bytes(sim, what, strlen(what));
	hash_number(sim, a);
	hash_number(sim, b);
	if (sim->trace == NULL)
		return;
	char line[200];
	snprintf(line, sizeof(line), "%llu.%09llu %s %s %llu %llu",
		 (unsigned long long)(sim->now / NSEC_PER_SEC),
		 (unsigned long long)(sim->now % NSEC_PER_SEC), host->name, what,
		 (unsigned long long)a, (unsigned long long)b);
	sim->trace(sim->trace_ctx, line);
}

uint64_t sim_trace_hash(const struct sim *sim)
{
	return sim->hash;
}

void sim_set_trace(struct sim *sim, void (*fn)(void *ctx, const char *line), void *ctx)
{
	sim->trace = fn;
	sim->trace_ctx = ctx;
}

/* --- turns --------------------------------------------------------------------------- */

void sim_make_runnable(struct sim_host *host)
{
	struct sim *sim = host->sim;
	if (host->is_runnable)
		return;
	host->is_runnable = true;
	host->next_runnable = NULL;
	*sim->last_runnable = host;
	sim->last_runnable = &host->next_runnable;
}

static void check_livelock(struct sim_host *host)
{
	struct sim *sim = host->sim;
	if (host->turned_at != sim->now) {
		host->turned_at = sim->now;
		host->n_turns_now = 0;
	}
	if (++host->n_turns_now > SIM_TURNS_PER_INSTANT) {
		fprintf(stderr, "loop_sim: livelock: host %s had %d turns at %llu ns (%s)\n",
			host->name, SIM_TURNS_PER_INSTANT, (unsigned long long)sim->now,
			host->ready != NULL ? "a socket stays ready" : "mail, timers or tasks");
		abort();
	}
}

/* Each socket moves behind the others before it is called. Whoever was called, or becomes ready
 * meanwhile, is behind the first that was called: there the turn ends. */
static void call_ready(struct sim_host *host)
{
	struct sim_sock *sock;
	while ((sock = host->ready) != NULL && sock->called_in != host->turn) {
		sock->called_in = host->turn;
		host->ready = sock->next;
		unsigned ready = sock->want & sock->ops->ready(sock);
		sock->fn(sock->ctx, ready); /* may close it, or any other */
	}
}

static void turn(struct sim_host *host)
{
	struct sim *sim = host->sim;
	sim->runnable = host->next_runnable;
	if (sim->runnable == NULL)
		sim->last_runnable = &sim->runnable;
	host->is_runnable = false;
	check_livelock(host);
	host->turn++;
	sim_note(host, "turn", host->n_socks, 0);
	host->base.is_turning = true;
	call_ready(host);
	loop_run_mail(&host->base);
	loop_run_timers(&host->base, sim->now);
	loop_run_tasks(&host->base);
	host->base.is_turning = false;
	if (host->ready != NULL || loop_has_tasks(&host->base))
		sim_make_runnable(host);
}

/* false: nothing will ever happen again before `until`; the clock shows `until`. */
static bool step(struct sim *sim, nsec_t until)
{
	nsec_t next = sim->events.timers != NULL ? sim->events.timers->at : NSEC_NEVER;
	if (next <= sim->now) {
		loop_run_timers(&sim->events, sim->now);
		return true;
	}
	if (sim->runnable != NULL) {
		turn(sim->runnable);
		return true;
	}
	if (next > until) {
		if (sim->now < until)
			sim->now = until;
		return false;
	}
	sim->now = next;
	return true;
}

void sim_run_until(struct sim *sim, nsec_t until)
{
	while (step(sim, until))
		;
}

bool sim_run_while_not(struct sim *sim, bool (*done)(void *ctx), void *ctx, nsec_t until)
{
	do {
		if (done(ctx))
			return true;
	} while (step(sim, until));
	return done(ctx);
}

nsec_t sim_now(const struct sim *sim)
{
	return sim->now;
}

/* --- life ---------------------------------------------------------------------------- */

/* step() looks at the heap itself. */
static void arm_world(struct loop *loop, nsec_t at)
{
	(void)loop;
	(void)at;
}

static const struct loop_ops world_ops = {.arm = arm_world};

enum err sim_new(uint64_t seed, struct sim **ret_sim)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	if (sim == NULL)
		return ERR_NO_MEMORY;
	loop_init(&sim->events, &world_ops);
	sim->now = SIM_START;
	sim->seed = seed;
	sim->rng = sim_mix(seed);
	sim->last_host = &sim->hosts;
	sim->last_runnable = &sim->runnable;
	*ret_sim = sim;
	return ERR_OK;
}

static size_t count_timers(const struct loop_timer *timer)
{
	size_t n = 0;
	while (timer != NULL) {
		n++;
		if (timer->child != NULL) {
			timer = timer->child;
			continue;
		}
		/* Back up to the first that has a sibling left; `prev` of a first child is its
		 * parent. */
		while (timer != NULL && timer->sibling == NULL) {
			while (timer->prev != NULL && timer->prev->child != timer)
				timer = timer->prev;
			timer = timer->prev;
		}
		if (timer != NULL)
			timer = timer->sibling;
	}
	return n;
}

size_t sim_count_live(const struct sim *sim)
{
	size_t n = 0;
	for (const struct sim_host *host = sim->hosts; host != NULL; host = host->next)
		n += host->n_socks + host->n_queries + count_timers(host->base.timers);
	return n;
}

struct sim *sim_free(struct sim *sim)
{
	if (sim == NULL)
		return NULL;
	assert(sim_count_live(sim) == 0);
	sim_conn_free_all(sim);
	sim_names_free(sim);
	while (sim->hosts != NULL) {
		struct sim_host *next = sim->hosts->next;
		sim_host_free(sim->hosts);
		sim->hosts = next;
	}
	free(sim);
	return NULL;
}
