/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * bench_dispatch.c - packets a second through dispatcher and channel on one core, I/O left out
 *
 * In the figures: a packet from the pool, its bytes, parsing, its key and worker, queue and CoDel,
 * all counters, the frame written into the record, the packet back to the pool; a clock, timers and
 * tasks once a turn. Not in them: TUN, encryption, sockets. A turn has as many packets as a node
 * reads from its TUN in one; keys are visited in a random order in which each comes once before any
 * comes twice, so that many keys mean that none of their memory is in a cache.
 *
 *     addressed   only addresses and ports are written into packets that hold the rest already
 *     copied in   the whole packet is, as the kernel does when a TUN is read
 *
 * A turn is pulled at its end, so that a batch waits at most; in the last rows only each 14th is,
 * as by a connection that is slower than the TUN: queues stand, and packets left the cache
 * meanwhile.
 *
 * Each figure is of the fastest of ROUNDS rounds: what it costs where nobody disturbs. Beside it
 * how often it allocated and locked. It enters the kernel for nothing. Prints, asserts nothing
 * about time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/util.h"
#include "support/call_count.h"
#include "support/dispatch_rig.h"

enum {
	BATCH = 64,              /* packets of a turn */
	VISITS = 1 << 17,        /* packets, or more, before keys come in the same order again */
	ROUND_LEN = 128 * BATCH, /* packets */
	ROUNDS = 400,
	LEN_MAX = 1400,
	TURNS_SLOW = 14, /* nearly as much as a stream lets wait */
};

static nsec_t clock_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (nsec_t)now.tv_sec * NSEC_PER_SEC + (nsec_t)now.tv_nsec;
}

static size_t random_below(struct rig *rig, size_t n)
{
	return (size_t)loop_random_below(&rig->loop, n);
}

/* Whole rounds over all keys, each in a new order, VISITS packets or more. */
static struct rig_key *make_visits(struct rig *rig, size_t n_keys, size_t *ret_n)
{
	size_t n = 0, cap = VISITS + n_keys;
	struct rig_key *visits = malloc(cap * sizeof(*visits));
	if (visits == NULL)
		abort();
	while (n < VISITS) {
		struct rig_key *lap = visits + n;
		for (size_t i = 0; i < n_keys; i++) {
			size_t j = random_below(rig, i + 1);
			lap[i] = lap[j];
			lap[j] = rig_key(rig, i);
		}
		n += n_keys;
	}
	*ret_n = n;
	return visits;
}

struct workload {
	size_t len; /* bytes of a packet */
	size_t peers, keys;
	size_t turns; /* until what waits is pulled */
};

struct run {
	struct rig rig;
	const struct workload *load;
	struct rig_key *visits;
	size_t n_visits, at; /* where in the visits the next packet is */
	size_t n_turns;
	uint8_t packet[LEN_MAX];
};

/* One batch, as a turn of a node has it. */
static void turn(struct run *run, const struct rig_key *visits, size_t copy_len)
{
	struct rig *rig = &run->rig;
	struct packet *batch[BATCH];
	rig->now = clock_now();
	for (size_t i = 0; i < BATCH; i++) {
		struct packet *p = packet_alloc(rig->packets, run->load->len);
		if (p == NULL)
			abort();
		memcpy(p->data, run->packet, copy_len);
		rig_address(p->data, &visits[i]);
		p->len = (uint32_t)run->load->len;
		batch[i] = p;
	}
	dispatcher_send_all(rig->dispatcher, batch, BATCH);
	rig->is_full = ++run->n_turns % run->load->turns != 0;
	rig_turn(rig);
}

/* -> nanoseconds a packet */
static double round_of(struct run *run, size_t copy_len)
{
	nsec_t start = clock_now();
	for (size_t done = 0; done < ROUND_LEN; done += BATCH) {
		if (run->at + BATCH > run->n_visits)
			run->at = 0;
		turn(run, run->visits + run->at, copy_len);
		run->at += BATCH;
	}
	return (double)(clock_now() - start) / ROUND_LEN;
}

struct figures {
	double addressed, copied;         /* nanoseconds a packet */
	double allocations, locks, pulls; /* a packet */
};

static struct figures measure(const struct workload *load)
{
	static struct run run;
	struct figures f = {.addressed = 1e9, .copied = 1e9};
	run = (struct run){.load = load};
	rig_init(&run.rig, load->peers);
	rig_put_packet(run.packet, load->len);
	run.visits = make_visits(&run.rig, load->keys, &run.n_visits);
	for (size_t i = 0; i < run.n_visits; i += ROUND_LEN)
		round_of(&run, load->len);

	struct call_count before = call_count_now();
	uint64_t pulls_before = run.rig.n_pulls;
	for (int i = 0; i < ROUNDS; i++) {
		f.copied = MIN(f.copied, round_of(&run, load->len));
		f.addressed = MIN(f.addressed, round_of(&run, 0));
	}
	struct call_count after = call_count_now();
	double sent = 2.0 * ROUNDS * ROUND_LEN;
	f.allocations = (double)(after.allocations - before.allocations) / sent;
	f.locks = (double)(after.locks - before.locks) / sent;
	f.pulls = (double)(run.rig.n_pulls - pulls_before) / sent;
	if (metrics_dropped(&run.rig.metrics) > 0)
		printf("LOST %lu PACKETS\n", (unsigned long)metrics_dropped(&run.rig.metrics));
	rig_deinit(&run.rig);
	free(run.visits);
	return f;
}

static void print_head(void)
{
	printf("%5s %5s %6s %7s | %11s %4s %8s | %11s %4s | %11s %5s %5s\n", "bytes", "peers",
	       "keys", "waiting", "packets/s", "ns", "/100keys", "addressed/s", "ns", "allocations",
	       "locks", "pulls");
}

static void print_row(const struct workload *load, const struct figures *f, double of_100_keys)
{
	printf("%5zu %5zu %6zu %7zu | %11.0f %4.0f %8.2f | %11.0f %4.0f | %11g %5g %5.2f\n",
	       load->len, load->peers, load->keys, load->turns * BATCH, 1e9 / f->copied, f->copied,
	       f->copied / of_100_keys, 1e9 / f->addressed, f->addressed, f->allocations, f->locks,
	       f->pulls);
}

static void bench(struct workload load)
{
	const size_t keys[] = {1, 100, 10000, 100000};
	struct figures f[ARRAY_LEN(keys)];
	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		load.keys = keys[k];
		f[k] = measure(&load);
	}
	for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
		load.keys = keys[k];
		print_row(&load, &f[k], f[1].copied);
	}
}

int main(int argc, char **argv)
{
	const size_t lens[] = {64, LEN_MAX}, peers[] = {1, 100, 1000};
	print_head();
	if (argc == 5) {
		const struct workload load = {
			.keys = strtoul(argv[1], NULL, 10),
			.peers = strtoul(argv[2], NULL, 10),
			.len = MIN(strtoul(argv[3], NULL, 10), (unsigned long)LEN_MAX),
			.turns = strtoul(argv[4], NULL, 10),
		};
		struct figures f = measure(&load);
		print_row(&load, &f, f.copied);
		return 0;
	}
	for (size_t l = 0; l < ARRAY_LEN(lens); l++) {
		for (size_t p = 0; p < ARRAY_LEN(peers); p++)
			bench((struct workload){.len = lens[l], .peers = peers[p], .turns = 1});
	}
	for (size_t l = 0; l < ARRAY_LEN(lens); l++)
		bench((struct workload){.len = lens[l], .peers = 1, .turns = TURNS_SLOW});
	return 0;
}
