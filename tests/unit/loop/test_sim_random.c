/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Hosts that dial, write, read, close and abort at random over paths that are cut, slow and break,
 * while some hosts move. Whatever happens to a stream, what its reader gets is a prefix of what was
 * written, and all of it where it ends with EOF.
 */
#include "loop/loop_sim.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/util.h"
#include "loop/sim_internal.h"
#include "support/testkit.h"

enum {
	N_HOSTS = 6,
	N_PORTS = 4096,
	FIRST_PORT = 32768,
	PORT = 4001,
	N_STEPS = 3000
};

struct node {
	struct sim_host *host;
	struct loop *loop;
	struct sock *listener;
	struct stream *streams;
	size_t n_streams;
	unsigned ip; /* last byte */
};

/* What was written in each direction of the connection that a host dialled from a port. */
struct record {
	uint64_t written[2];
};

struct stream {
	struct node *node;
	struct stream *next;
	struct sock *sock;
	struct record *record;
	size_t side; /* 0 dialled */
	uint64_t n_read;
	bool is_connected;
};

struct world {
	struct sim *sim;
	struct node nodes[N_HOSTS];
	struct record records[N_HOSTS][N_PORTS];
	uint64_t rng;
	size_t n_eof, n_errors, n_bytes;
	unsigned next_ip;
};

static struct world *w;

static uint64_t draw(uint64_t below)
{
	/* xorshift64 */
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng % below;
}

static uint8_t byte_at(const struct stream *s, size_t side, uint64_t at)
{
	return (uint8_t)(at * 7 + at / 251 + side * 101 + (size_t)(s->record - w->records[0]));
}

static void end_stream(struct stream *s, bool abort)
{
	struct stream **at = &s->node->streams;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	s->node->n_streams--;
	sock_close(s->sock, abort);
	free(s);
}

static void on_stream(void *ctx, unsigned ready)
{
	struct stream *s = ctx;
	uint8_t buf[5000];
	size_t n;
	enum err err = ERR_AGAIN;
	if (!s->is_connected && (ready & SOCK_WRITABLE) != 0) {
		err = sock_error(s->sock);
		s->is_connected = err == ERR_OK;
		sock_watch(s->sock, SOCK_READABLE, on_stream, s);
	}
	for (unsigned i = 0; i < 10; i++) {
		err = sock_read(s->sock, buf, 1 + draw(sizeof(buf)), &n);
		if (err != ERR_OK)
			break;
		for (size_t k = 0; k < n; k++)
			assert_int_equal(buf[k], byte_at(s, 1 - s->side, s->n_read + k));
		s->n_read += n;
		w->n_bytes += n;
		assert_true(s->n_read <= s->record->written[1 - s->side]);
	}
	if (err == ERR_EOF) {
		assert_int_equal(s->n_read, s->record->written[1 - s->side]);
		w->n_eof++;
	} else if (err != ERR_OK && err != ERR_AGAIN) {
		assert_true(err == ERR_RESET || err == ERR_TIMEOUT || err == ERR_REFUSED);
		w->n_errors++;
	}
	if (err != ERR_OK && err != ERR_AGAIN)
		end_stream(s, draw(2) == 0);
}

static struct stream *stream_new(struct node *node, struct sock *sock, struct record *record,
				 size_t side)
{
	struct stream *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	*s = (struct stream){.node = node, .next = node->streams, .sock = sock};
	s->record = record;
	s->side = side;
	node->streams = s;
	node->n_streams++;
	return s;
}

static void on_accept(void *ctx, unsigned ready)
{
	(void)ready;
	struct node *node = ctx;
	struct sock *sock;
	union netaddr remote;
	while (sock_accept(node->listener, NULL, &sock, &remote) == ERR_OK) {
		/* Addresses are never used twice: the third byte names the host. */
		unsigned id = ntohl(remote.in4.sin_addr.s_addr) >> 8 & 0xff;
		unsigned port = ntohs(remote.in4.sin_port) - (unsigned)FIRST_PORT;
		assert_true(id < N_HOSTS && port < N_PORTS);
		struct stream *s = stream_new(node, sock, &w->records[id][port], 1);
		s->is_connected = true;
		sock_watch(sock, SOCK_READABLE, on_stream, s);
	}
}

static void dial_someone(struct node *node)
{
	struct node *to = &w->nodes[draw(N_HOSTS)];
	union netaddr at = {.in4 = {.sin_family = AF_INET, .sin_port = htons(PORT)}}, local;
	at.in4.sin_addr.s_addr = htonl(0x0a000000 | (unsigned)(to - w->nodes) << 8 | to->ip);
	struct tcp_opts opts = {
		.user_timeout_ms = draw(2) == 0 ? 0 : 3000,
		.notsent_lowat_bytes = draw(2) == 0 ? 0 : 16384,
	};
	struct sock *sock;
	assert_ok(loop_tcp_dial(node->loop, &at, &opts, &sock));
	assert_ok(sock_local(sock, &local));
	unsigned port = ntohs(local.in4.sin_port) - (unsigned)FIRST_PORT;
	assert_true(port < N_PORTS);
	struct stream *s = stream_new(node, sock, &w->records[node - w->nodes][port], 0);
	sock_watch(sock, SOCK_WRITABLE, on_stream, s);
}

static void write_some(struct stream *s)
{
	static uint8_t buf[60000];
	size_t len = 1 + draw(sizeof(buf)), cut = draw(len), n;
	uint64_t *written = &s->record->written[s->side];
	for (size_t i = 0; i < len; i++)
		buf[i] = byte_at(s, s->side, *written + i);
	struct iovec iov[2] = {{buf, cut}, {buf + cut, len - cut}};
	if (sock_writev(s->sock, iov, 2, &n) == ERR_OK)
		*written += n;
}

static struct stream *any_stream(struct node *node)
{
	if (node->n_streams == 0)
		return NULL;
	struct stream *s = node->streams;
	for (uint64_t i = draw(node->n_streams); i > 0; i--)
		s = s->next;
	return s;
}

static void set_any_path(struct node *node)
{
	struct sim_path path = {
		.delay = draw(50) * NSEC_PER_MSEC,
		.jitter = draw(2) * draw(20) * NSEC_PER_MSEC,
		.rate_bytes_per_sec = draw(3) * 1000000,
		.break_per_million = draw(10) == 0 ? 20000 : 0,
		.cut = draw(4) == 0,
	};
	sim_set_path(w->sim, node->host, w->nodes[draw(N_HOSTS)].host, path);
}

static void move(struct node *node)
{
	char ip[32];
	node->ip = w->next_ip++;
	snprintf(ip, sizeof(ip), "10.0.%u.%u", (unsigned)(node - w->nodes), node->ip % 250 + 1);
	node->ip = node->ip % 250 + 1;
	assert_ok(sim_host_move(node->host, ip));
}

static void act(void)
{
	struct node *node = &w->nodes[draw(N_HOSTS)];
	struct stream *s = any_stream(node);
	uint64_t what = draw(100);
	if (what < 12 || s == NULL)
		dial_someone(node);
	else if (what < 75)
		write_some(s);
	else if (what < 85)
		end_stream(s, draw(3) == 0);
	else if (what < 99)
		set_any_path(node);
	else if (draw(4) == 0)
		move(node);
}

static uint64_t run(uint64_t seed)
{
	w = calloc(1, sizeof(*w));
	assert_non_null(w);
	w->rng = seed | 1;
	w->next_ip = 1;
	assert_ok(sim_new(seed, &w->sim));
	union netaddr at = {.in4 = {.sin_family = AF_INET, .sin_port = htons(PORT)}};
	for (size_t i = 0; i < N_HOSTS; i++) {
		struct node *node = &w->nodes[i];
		char ip[32];
		snprintf(ip, sizeof(ip), "10.0.%zu.251", i);
		assert_ok(sim_host_new(w->sim, "x", ip, &node->host));
		node->ip = 251;
		node->loop = sim_host_loop(node->host);
		assert_ok(loop_tcp_listen(node->loop, &at, &node->listener));
		sock_watch(node->listener, SOCK_READABLE, on_accept, node);
	}
	for (size_t i = 0; i < N_STEPS; i++) {
		act();
		sim_run_until(w->sim, sim_now(w->sim) + draw(40) * NSEC_PER_MSEC);
	}
	for (size_t i = 0; i < N_HOSTS; i++) {
		while (w->nodes[i].streams != NULL)
			end_stream(w->nodes[i].streams, draw(2) == 0);
		sock_close(w->nodes[i].listener, false);
	}
	assert_int_equal(sim_count_live(w->sim), 0);
	/* Half of the runs free what is still under way. */
	if (seed % 2 == 0) {
		sim_run_until(w->sim, sim_now(w->sim) + 2000 * NSEC_PER_SEC);
		assert_null(w->sim->conns);
	}
	assert_true(w->n_eof > 10 && w->n_errors > 10 && w->n_bytes > 100000);
	uint64_t hash = sim_trace_hash(w->sim);
	sim_free(w->sim);
	free(w);
	return hash;
}

static void test_streams_stay_intact_whatever_happens(void **state)
{
	(void)state;
	uint64_t seed = testkit_random() % 1000000;
	for (uint64_t i = 0; i < 4; i++) {
		uint64_t hash = run(seed + i);
		if (i == 0)
			assert_true(hash == run(seed));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams_stay_intact_whatever_happens),
	};
	return cmocka_run_group_tests_name("sim_random", tests, NULL, NULL);
}
