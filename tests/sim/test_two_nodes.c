/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Two whole nodes with steady traffic, and what happens to networks: cuts, resets, restarts, new
 * addresses. The promise: packets flow again within 2 s of the path's return. Host 1 dials host 0.
 */
#include <stdio.h>
#include <stdlib.h>

#include "support/sim_kit.h"

enum {
	STEP_MS = 20, /* a packet each, each way */
};

#define PROMISE SEC(2)

struct flow {
	struct world *w;
	bool is_silent[2]; /* this host has nothing to say */
	size_t len;        /* of each packet */
	size_t burst;      /* packets a step */
	uint32_t next[2];  /* number of the next packet from host i */
	uint32_t seen[2];  /* the highest number that came from host i */
	uint64_t n_seen[2];
};

static void drain(struct flow *f)
{
	uint8_t buf[2048];
	size_t len;
	for (size_t to = 0; to < 2; to++) {
		while (f->w->nodes[to].node != NULL &&
		       world_receive(f->w, to, buf, sizeof(buf), &len)) {
			if (buf[9] != IPPROTO_UDP)
				continue; /* ICMP of our own node */
			uint32_t number = kit_packet_number(buf, len);
			f->n_seen[1 - to]++;
			if (number > f->seen[1 - to])
				f->seen[1 - to] = number;
		}
	}
}

static void step(struct flow *f)
{
	uint8_t packet[2048];
	for (size_t from = 0; from < 2; from++) {
		if (f->is_silent[from] || f->w->nodes[from].node == NULL)
			continue;
		for (size_t i = 0; i < f->burst; i++) {
			kit_packet(packet, from, 1 - from, ++f->next[from], f->len);
			enum err e = sim_tun_send(f->w->nodes[from].tun, span_of(packet, f->len));
			if (e != ERR_FULL) /* the kernel's queue drops as well */
				assert_ok(e);
		}
	}
	world_run(f->w, MSEC(STEP_MS));
	drain(f);
}

static void flow_for(struct flow *f, nsec_t duration)
{
	for (nsec_t t = 0; t < duration; t += MSEC(STEP_MS))
		step(f);
}

/* Until packets sent from now on have arrived from everyone that talks; the time it took. */
static nsec_t recover(struct flow *f, nsec_t within, const char *what)
{
	nsec_t from = sim_now(f->w->sim);
	uint32_t mark[2] = {f->next[0], f->next[1]};
	while (sim_now(f->w->sim) - from <= within) {
		step(f);
		if ((f->is_silent[0] || f->seen[0] > mark[0]) &&
		    (f->is_silent[1] || f->seen[1] > mark[1]))
			return sim_now(f->w->sim) - from;
	}
	print_error("seed %llu: no traffic %llu ms after %s\n", (unsigned long long)f->w->seed,
		    (unsigned long long)(within / NSEC_PER_MSEC), what);
	fail();
	return 0;
}

static struct flow begin_with(struct world *w, nsec_t delay)
{
	struct flow f = {.w = w, .len = 100, .burst = 1};
	world_path(f.w, 0, 1, (struct sim_path){.delay = delay, .jitter = delay / 4});
	world_mesh(f.w, 2);
	recover(&f, PROMISE, "the start");
	return f;
}

static struct flow begin(uint64_t seed, nsec_t delay)
{
	return begin_with(world_new(seed, 2), delay);
}

/* Only host 1 can dial. */
static struct flow begin_behind_nat(uint64_t seed, nsec_t delay)
{
	struct world *w = world_new(seed, 2);
	w->is_hidden[1] = true;
	return begin_with(w, delay);
}

static void end(struct flow *f)
{
	world_end(f->w);
}

/* A cut of about 10 s at a random moment. */
static nsec_t cut_and_return(struct flow *f, nsec_t delay, uint64_t rate)
{
	struct sim_path path = {.delay = delay, .jitter = delay / 4, .rate_bytes_per_sec = rate};
	flow_for(f, SEC(1) + MSEC(37 * (f->w->seed % 50)));
	path.cut = true;
	world_path(f->w, 0, 1, path);
	flow_for(f, SEC(10) + MSEC(71 * (f->w->seed % 40)));
	path.cut = false;
	world_path(f->w, 0, 1, path);
	return recover(f, SEC(20), "the path's return");
}

struct worst {
	const char *what;
	nsec_t time;
	uint64_t seed;
};

static void note(struct worst *worst, uint64_t seed, nsec_t time)
{
	if (time > worst->time) {
		worst->time = time;
		worst->seed = seed;
	}
}

static void keep_promise(const struct worst *worst)
{
	print_message("# %s: at most %llu ms (seed %llu)\n", worst->what,
		      (unsigned long long)(worst->time / NSEC_PER_MSEC),
		      (unsigned long long)worst->seed);
	assert_true(worst->time <= PROMISE);
}

static void test_traffic_returns_after_a_cut(void **state)
{
	(void)state;
	struct worst worst = {.what = "cut, traffic both ways"};
	for (uint64_t seed = 1; seed <= kit_seeds(30); seed++) {
		struct flow f = begin(seed, MSEC(10));
		note(&worst, seed, cut_and_return(&f, MSEC(10), 0));
		end(&f);
	}
	keep_promise(&worst);
}

static void test_traffic_returns_after_a_cut_on_a_long_path(void **state)
{
	(void)state;
	struct worst worst = {.what = "cut, 80 ms one way"};
	for (uint64_t seed = 1; seed <= kit_seeds(20); seed++) {
		struct flow f = begin(seed, MSEC(80));
		note(&worst, seed, cut_and_return(&f, MSEC(80), 0));
		end(&f);
	}
	keep_promise(&worst);
}

static void test_traffic_returns_when_only_the_dialler_talks(void **state)
{
	(void)state;
	struct worst worst = {.what = "cut, only the dialler talks"};
	for (uint64_t seed = 1; seed <= kit_seeds(20); seed++) {
		struct flow f = begin_behind_nat(seed, MSEC(10));
		f.is_silent[0] = true;
		note(&worst, seed, cut_and_return(&f, MSEC(10), 0));
		end(&f);
	}
	keep_promise(&worst);
}

/* Behind a NAT: the one that must dial has nothing to send but answers. */
static void test_traffic_returns_when_only_the_dialled_talks(void **state)
{
	(void)state;
	struct worst worst = {.what = "cut, only the dialled talks"};
	for (uint64_t seed = 1; seed <= kit_seeds(20); seed++) {
		struct flow f = begin_behind_nat(seed, MSEC(10));
		f.is_silent[1] = true;
		note(&worst, seed, cut_and_return(&f, MSEC(10), 0));
		end(&f);
	}
	keep_promise(&worst);
}

/* More than the path carries: the socket is full when the path goes. */
static void test_traffic_returns_to_a_full_path(void **state)
{
	(void)state;
	struct worst worst = {.what = "cut, path full"};
	for (uint64_t seed = 1; seed <= kit_seeds(10); seed++) {
		struct flow f = begin(seed, MSEC(10));
		f.len = 1300;
		f.burst = 20; /* 1.3 MB/s each way on 1 MB/s */
		world_path(f.w, 0, 1,
			   (struct sim_path){.delay = MSEC(10), .rate_bytes_per_sec = 1000000});
		note(&worst, seed, cut_and_return(&f, MSEC(10), 1000000));
		end(&f);
	}
	keep_promise(&worst);
}

static void test_traffic_returns_after_resets(void **state)
{
	(void)state;
	struct worst worst = {.what = "resets"};
	for (uint64_t seed = 1; seed <= kit_seeds(20); seed++) {
		struct flow f = begin(seed, MSEC(10));
		world_path(f.w, 0, 1,
			   (struct sim_path){.delay = MSEC(10), .break_per_million = 20000});
		flow_for(&f, SEC(10));
		world_path(f.w, 0, 1, (struct sim_path){.delay = MSEC(10)});
		note(&worst, seed, recover(&f, SEC(20), "the last reset"));
		end(&f);
	}
	keep_promise(&worst);
}

static void restart(struct flow *f, size_t host, nsec_t pause)
{
	world_node_end(f->w, host);
	flow_for(f, pause);
	struct kit_peer peer = {.host = 1 - host, .is_dialled = host == 1};
	world_node(f->w, host, &peer, 1, NULL);
}

static void test_traffic_returns_after_a_restart(void **state)
{
	(void)state;
	struct worst worst = {.what = "restart of the dialled"};
	for (uint64_t seed = 1; seed <= kit_seeds(20); seed++) {
		struct flow f = begin(seed, MSEC(10));
		flow_for(&f, SEC(1));
		restart(&f, 0, MSEC(97 * (seed % 50)));
		note(&worst, seed, recover(&f, SEC(20), "the restart"));
		end(&f);
	}
	keep_promise(&worst);
	worst = (struct worst){.what = "restart of the dialler"};
	for (uint64_t seed = 1; seed <= kit_seeds(20); seed++) {
		struct flow f = begin(seed, MSEC(10));
		flow_for(&f, SEC(1));
		restart(&f, 1, MSEC(97 * (seed % 50)));
		note(&worst, seed, recover(&f, SEC(20), "the restart"));
		end(&f);
	}
	keep_promise(&worst);
}

static void test_a_peer_that_starts_last_is_found(void **state)
{
	(void)state;
	struct worst worst = {.what = "peer started last"};
	for (uint64_t seed = 1; seed <= kit_seeds(20); seed++) {
		struct flow f = {.w = world_new(seed, 2), .len = 100, .burst = 1};
		struct kit_peer peer = {.host = 0, .is_dialled = true};
		world_node(f.w, 1, &peer, 1, NULL);
		flow_for(&f, SEC(1 + seed % 60));
		peer = (struct kit_peer){.host = 1};
		world_node(f.w, 0, &peer, 1, NULL);
		note(&worst, seed, recover(&f, SEC(20), "the start"));
		end(&f);
	}
	keep_promise(&worst);
}

static void test_the_dialler_may_move(void **state)
{
	(void)state;
	struct worst worst = {.what = "dialler moved, told"};
	for (uint64_t seed = 1; seed <= kit_seeds(20); seed++) {
		struct flow f = begin_behind_nat(seed, MSEC(10));
		flow_for(&f, SEC(1) + MSEC(37 * (seed % 50)));
		world_move(f.w, 1, "198.51.100.7");
		node_network_changed(f.w->nodes[1].node);
		note(&worst, seed, recover(&f, SEC(20), "the move"));
		end(&f);
	}
	keep_promise(&worst);
}

static uint64_t hash_of_run(uint64_t seed)
{
	struct flow f = begin(seed, MSEC(10));
	cut_and_return(&f, MSEC(10), 0);
	uint64_t hash = sim_trace_hash(f.w->sim);
	end(&f);
	return hash;
}

static void test_a_run_is_a_function_of_its_seed(void **state)
{
	(void)state;
	uint64_t hash = hash_of_run(7);
	assert_true(hash == hash_of_run(7));
	assert_true(hash != hash_of_run(8));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_traffic_returns_after_a_cut),
		cmocka_unit_test(test_traffic_returns_after_a_cut_on_a_long_path),
		cmocka_unit_test(test_traffic_returns_when_only_the_dialler_talks),
		cmocka_unit_test(test_traffic_returns_when_only_the_dialled_talks),
		cmocka_unit_test(test_traffic_returns_to_a_full_path),
		cmocka_unit_test(test_traffic_returns_after_resets),
		cmocka_unit_test(test_traffic_returns_after_a_restart),
		cmocka_unit_test(test_a_peer_that_starts_last_is_found),
		cmocka_unit_test(test_the_dialler_may_move),
		cmocka_unit_test(test_a_run_is_a_function_of_its_seed),
	};
	return cmocka_run_group_tests_name("two_nodes", tests, NULL, NULL);
}
