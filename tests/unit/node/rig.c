/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* rig.c - see rig.h */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"
#include "loop/loop_uv.h"

enum {
	WAIT_MS = 5,       /* between two looks */
	FIRST_PORT = 1000, /* a flow is its source port */
};

/* Asserts of the test library are for its own thread. */
static void must(bool is_true, const char *what)
{
	if (is_true)
		return;
	fprintf(stderr, "# %s: %s\n", what, strerror(errno));
	abort();
}

/* The longest wait of WAIT_MS, for who reads of a failure: what a node keeps in order by a time-out
 * only (docs/roadmap.md, lanes that break) fails where its threads are held up for longer. */
static uint64_t longest_wait_ms;

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void rig_wait(unsigned waited, const char *what, const char *file, int line)
{
	if (waited >= RIG_PATIENCE_SEC * 1000 / WAIT_MS)
		fail_msg("%s:%d: waited in vain for %s", file, line, what);
	uint64_t before = now_ms();
	usleep(WAIT_MS * 1000);
	uint64_t took = now_ms() - before;
	longest_wait_ms = took > longest_wait_ms ? took : longest_wait_ms;
}

static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* --- packets ------------------------------------------------------------------------- */

/* Into the queue that its flow belongs to. false: it took none now. */
static bool write_packet(struct rig_side *side, size_t flow, size_t len)
{
	uint8_t packet[KIT_MTU];
	uint32_t number = side->numbers[flow] + 1;
	if (number >= RIG_NUMBERS || side->sent >= side->budget)
		return false;
	kit_packet(packet, side->index, 1 - side->index, number, len);
	store_be16(packet + 20, (uint16_t)(FIRST_PORT + flow));
	int fd = side->queues[flow % side->n_shards];
	if (send(fd, packet, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len) {
		must(errno == EAGAIN || errno == ENOBUFS || errno == EPIPE || errno == ECONNRESET ||
			     errno == ENOTCONN,
		     "write");
		return false;
	}
	side->numbers[flow] = number;
	atomic_fetch_add(&side->sent, 1);
	return true;
}

/* Bursts and pauses, as applications send. */
static void *write_all(void *arg)
{
	struct rig_side *side = arg;
	while (atomic_load(&side->is_writing)) {
		uint64_t r = next(&side->seed);
		size_t flow = r % RIG_FLOWS;
		for (size_t n = r >> 8 & 15; n > 0; n--) {
			size_t len = 64 + next(&side->seed) % (KIT_MTU - 64);
			if (!write_packet(side, flow, len))
				break;
		}
		if ((r >> 16 & 3) == 0 || side->sent >= side->budget)
			usleep((useconds_t)(r >> 20 & 1023));
	}
	return NULL;
}

static uint64_t taken_at(struct msghdr *msg)
{
	struct cmsghdr *c;
	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		struct timespec at;
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS)
			continue;
		memcpy(&at, CMSG_DATA(c), sizeof(at));
		return (uint64_t)at.tv_sec * NSEC_PER_SEC + (uint64_t)at.tv_nsec;
	}
	must(false, "the kernel tells no time of a packet");
	return 0;
}

/* false: nothing there. */
static bool read_packet(struct rig_side *side, int fd)
{
	uint8_t packet[2 * KIT_MTU], control[128];
	struct iovec iov = {packet, sizeof(packet)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &msg, MSG_DONTWAIT);
	if (n <= 0)
		return false;
	atomic_fetch_add(&side->received, 1);
	if (packet[9] != IPPROTO_UDP)
		return true; /* an ICMP error */
	size_t flow = load_be16(packet + 20) - (size_t)FIRST_PORT;
	uint32_t number = load_be32(packet + 28);
	must(n >= 64 && flow < RIG_FLOWS && number < RIG_NUMBERS, "a packet of nobody");
	uint64_t *at = &side->arrivals[flow][number];
	must(*at == 0, "a packet came twice");
	*at = taken_at(&msg);
	return true;
}

static void *read_all(void *arg)
{
	struct rig_side *side = arg;
	while (atomic_load(&side->is_reading)) {
		struct pollfd fds[RIG_SHARDS_MAX];
		for (size_t i = 0; i < side->n_shards; i++)
			fds[i] = (struct pollfd){.fd = side->queues[i], .events = POLLIN};
		poll(fds, (nfds_t)side->n_shards, 20);
		bool is_over = true;
		for (size_t i = 0; i < side->n_shards; i++) {
			is_over = is_over && (fds[i].revents & POLLHUP) != 0;
			while (read_packet(side, side->queues[i]))
				;
		}
		if (is_over)
			usleep(1000);
	}
	for (size_t i = 0; i < side->n_shards; i++) {
		while (read_packet(side, side->queues[i]))
			;
	}
	return NULL;
}

static void check_order(const struct rig_side *side)
{
	for (size_t flow = 0; flow < RIG_FLOWS; flow++) {
		const uint64_t *at = side->arrivals[flow];
		uint64_t latest = 0;
		uint32_t of = 0;
		for (uint32_t number = 1; number < RIG_NUMBERS; number++) {
			if (at[number] == 0)
				continue;
			if (at[number] < latest)
				fail_msg("to %s, flow %zu: %u came %llu ns before %u; this thread "
					 "was held up for %llu ms at most",
					 side->name, flow, number,
					 (unsigned long long)(latest - at[number]), of,
					 (unsigned long long)longest_wait_ms);
			latest = at[number];
			of = number;
		}
	}
}

/* --- nodes --------------------------------------------------------------------------- */

static struct config *make_config(const struct rig_side *side, const struct rig_side *peer,
				  uint16_t port)
{
	char text[1024], id[PEER_ID_TEXT_MAX], addresses[64] = "";
	if (side->index == 1)
		snprintf(addresses, sizeof(addresses), "    addresses: [/ip4/127.0.0.1/tcp/%u]\n",
			 port);
	snprintf(text, sizeof(text),
		 "listen: [%s]\ninterface:\n  addresses: [10.7.0.%zu/24]\n  mtu: %d\npeers:\n"
		 "  - id: %s\n    name: %s\n    allowed_ips: [10.7.0.%zu/32]\n%s",
		 side->index == 0 ? "/ip4/127.0.0.1/tcp/0" : "", side->index + 1, KIT_MTU,
		 peer_id_format(identity_peer_id(peer->identity), id), peer->name, peer->index + 1,
		 addresses);
	struct config *config;
	struct config_errors *errors = calloc(1, sizeof(*errors));
	assert_non_null(errors);
	if (config_parse(span_str(text), "test.yaml", &config, errors) != ERR_OK)
		fail_msg("%s\n%s", text, errors->items[0].text);
	free(errors);
	return config;
}

/* A queue: our end, and theirs, on their loop. */
static struct sock *make_queue(struct rig_side *side, size_t i, struct loop *loop)
{
	int fds[2], one = 1, bytes = 1 << 20;
	struct sock *tun;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			 0);
	side->queues[i] = fds[0];
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	assert_int_equal(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	assert_ok(loop_adopt_fd(loop, fds[1], &tun));
	return tun;
}

static void on_closed(void *ctx)
{
	loop_stop(((struct rig_side *)ctx)->loop);
}

static void *run(void *arg)
{
	must(loop_run(((struct rig_side *)arg)->loop) == ERR_OK, "loop");
	return NULL;
}

static void start(struct rig_side *side)
{
	assert_ok(loop_uv_new(&side->loop));
	struct sock *tun = make_queue(side, 0, side->loop);
	for (; side->shards.n + 1 < side->n_shards; side->shards.n++) {
		struct node_shard *s = &side->shards.further[side->shards.n];
		assert_ok(loop_uv_new(&s->loop));
		s->tun = make_queue(side, side->shards.n + 1, s->loop);
	}
	struct node_conf conf = {
		.loop = side->loop,
		.further = side->shards.further,
		.n_further = side->shards.n,
		.config = side->config,
		.identity = side->identity,
		.tun = tun,
		.agent = "runnel/test",
		.on_closed = on_closed,
		.ctx = side,
	};
	size_t bad;
	assert_ok(node_new(&conf, &side->node));
	for (size_t i = 0; i < side->shards.n; i++)
		side->shards.further[i].tun = NULL;
	assert_ok(shards_run(&side->shards));
	assert_ok(node_start(side->node, &bad));
	assert_int_equal(pthread_create(&side->thread, NULL, run, side), 0);
	atomic_store(&side->is_reading, true);
	assert_int_equal(pthread_create(&side->reader, NULL, read_all, side), 0);
}

static void close_node(struct rig_side *side, void *ctx)
{
	(void)ctx;
	node_close(side->node);
}

void rig_stop(struct rig_side *side)
{
	if (side->node == NULL)
		return;
	rig_call(side, close_node, NULL);
	pthread_join(side->thread, NULL);
	shards_join(&side->shards, side->loop);
	side->metrics = node_metrics(side->node);
	side->node = node_free(side->node);
	shards_close(&side->shards);
	side->loop = loop_free(side->loop);
}

/* The kernel keeps ten packets of a socket pair, unless told otherwise: where that is allowed, in a
 * namespace of our own, more; elsewhere more are dropped. */
static void make_room(void)
{
	static bool is_done;
	if (is_done || unshare(CLONE_NEWNET) != 0)
		return;
	is_done = true;
	int fd = open("/proc/sys/net/unix/max_dgram_qlen", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0 && write(fd, "1000", 4) == 4);
	close(fd);
	assert_int_equal(system("ip link set lo up"), 0);
}

static uint16_t listen_port(const struct rig_side *side)
{
	struct multiaddr at;
	char text[MULTIADDR_TEXT_MAX];
	assert_int_equal(node_listen_addrs(side->node, &at, 1), 1);
	return (uint16_t)atoi(strrchr(multiaddr_format(&at, text), '/') + 1);
}

struct rig *rig_new(size_t n_alice, size_t n_bob)
{
	make_room();
	longest_wait_ms = 0;
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	uint16_t port;
	rig->proxy = proxy_new(&port);
	for (size_t i = 0; i < 2; i++) {
		struct rig_side *side = &rig->sides[i];
		side->name = i == 0 ? "alice" : "bob";
		side->index = i;
		side->identity = kit_identity(i);
		side->n_shards = i == 0 ? n_alice : n_bob;
		side->seed = testkit_random();
		side->budget = UINT64_MAX;
		for (size_t k = 0; k < RIG_FLOWS; k++) {
			side->arrivals[k] = calloc(RIG_NUMBERS, sizeof(*side->arrivals[k]));
			assert_non_null(side->arrivals[k]);
		}
	}
	for (size_t i = 0; i < 2; i++)
		rig->sides[i].config = make_config(&rig->sides[i], &rig->sides[1 - i], port);
	start(&rig->sides[0]);
	proxy_lead(rig->proxy, listen_port(&rig->sides[0]));
	start(&rig->sides[1]);
	rig_until(rig_is_connected(&rig->sides[0]) && rig_is_connected(&rig->sides[1]));
	return rig;
}

void rig_free(struct rig *rig)
{
	rig_pause(rig);
	for (size_t i = 0; i < 2; i++) {
		struct rig_side *side = &rig->sides[i];
		rig_stop(side);
		atomic_store(&side->is_reading, false);
		pthread_join(side->reader, NULL);
		for (size_t k = 0; k < side->n_shards; k++)
			close(side->queues[k]);
		check_order(side);
		for (size_t k = 0; k < RIG_FLOWS; k++)
			free(side->arrivals[k]);
		config_free(side->config);
		identity_free(side->identity);
	}
	proxy_free(rig->proxy);
	free(rig);
}

/* --- what tests do ------------------------------------------------------------------- */

void rig_write(struct rig *rig)
{
	for (size_t i = 0; i < 2; i++) {
		struct rig_side *side = &rig->sides[i];
		if (!atomic_exchange(&side->is_writing, true))
			assert_int_equal(pthread_create(&side->writer, NULL, write_all, side), 0);
	}
}

void rig_pause(struct rig *rig)
{
	for (size_t i = 0; i < 2; i++) {
		struct rig_side *side = &rig->sides[i];
		if (atomic_exchange(&side->is_writing, false))
			pthread_join(side->writer, NULL);
	}
}

static uint64_t moved(const struct rig_side *side)
{
	struct metrics m = rig_metrics(side);
	return m.counters[COUNTER_TUN_RX_PACKETS] + m.counters[COUNTER_PEER_TX_PACKETS] +
	       m.counters[COUNTER_PEER_RX_PACKETS] + m.counters[COUNTER_TUN_TX_PACKETS] +
	       metrics_dropped(&m);
}

/* Nothing waits anywhere in it. */
static bool is_even(const struct rig_side *side)
{
	struct metrics m = rig_metrics(side);
	const uint64_t *c = m.counters;
	return side->sent == c[COUNTER_TUN_RX_PACKETS] &&
	       c[COUNTER_TUN_RX_PACKETS] + c[COUNTER_PEER_RX_PACKETS] + c[COUNTER_ICMP_SENT] ==
		       c[COUNTER_PEER_TX_PACKETS] + c[COUNTER_TUN_TX_PACKETS] + metrics_dropped(&m);
}

void rig_settle(struct rig *rig)
{
	uint64_t before = 0;
	rig_pause(rig);
	for (unsigned waited = 0, still = 0; still < 40; waited++) {
		uint64_t now = moved(&rig->sides[0]) + moved(&rig->sides[1]);
		bool even = is_even(&rig->sides[0]) && is_even(&rig->sides[1]);
		still = now == before && even ? still + 1 : 0;
		before = now;
		rig_wait(waited, "all packets to be counted", __FILE__, __LINE__);
	}
}

struct call {
	struct loop_mail mail;
	struct rig_side *side;
	void (*run)(struct rig_side *side, void *ctx);
	void *ctx;
	sem_t done;
};

static void on_call(struct loop_mail *mail)
{
	struct call *call = CONTAINER_OF(mail, struct call, mail);
	call->run(call->side, call->ctx);
	sem_post(&call->done);
}

void rig_call(struct rig_side *side, void (*run_it)(struct rig_side *side, void *ctx), void *ctx)
{
	struct call call = {.mail = {.run = on_call}, .side = side, .run = run_it, .ctx = ctx};
	sem_init(&call.done, 0, 0);
	loop_post(side->loop, &call.mail);
	while (sem_wait(&call.done) != 0)
		assert_int_equal(errno, EINTR);
	sem_destroy(&call.done);
}

static void get_info(struct rig_side *side, void *ctx)
{
	node_peer_info(side->node, 0, ctx);
}

size_t rig_lanes(struct rig_side *side)
{
	struct node_peer_info *info = calloc(1, sizeof(*info));
	assert_non_null(info);
	rig_call(side, get_info, info);
	size_t n = info->n_lanes;
	free(info);
	return n;
}

bool rig_is_connected(struct rig_side *side)
{
	struct node_peer_info *info = calloc(1, sizeof(*info));
	assert_non_null(info);
	rig_call(side, get_info, info);
	bool is_up = info->protocol != NULL;
	free(info);
	return is_up;
}

struct metrics rig_metrics(const struct rig_side *side)
{
	return side->node != NULL ? node_metrics(side->node) : side->metrics;
}
