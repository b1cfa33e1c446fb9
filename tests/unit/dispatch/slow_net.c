/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* slow_net.c - see slow_net.h */
#include "slow_net.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/util.h"
#include "vpn/stream/dead_streams.h"
#include "vpn/stream/frame_reader.h"

enum {
	CONNS = 3,             /* of a peer */
	IN_FLIGHT_MAX = 64000, /* bytes of a connection */
	PULL_MAX = 6000,       /* bytes at once */
	STEP = NSEC_PER_MSEC,  /* how often a connection looks */
};

/* The far end of a stream lives longer than ours. */
struct far {
	struct far *next;
	size_t peer;
	uint64_t id, number;
	bool is_dead;
	struct frame_reader *reader;
	struct link *link; /* NULL: ours is gone */
};

struct chunk {
	struct chunk *prev, *next;
	nsec_t due;
	struct far *far;
	bool is_back, is_end; /* towards us; FIN or RST */
	enum err why;
	size_t len;
	uint8_t bytes[];
};

struct conn {
	struct slow_net *net;
	size_t peer;
	nsec_t delay, stalled_until;
	bool is_suspect;
	struct chunk *chunks; /* by `due` */
	size_t in_flight;
	struct loop_timer timer;
};

struct link {
	struct link *prev, *next;
	struct slow_net *net;
	struct conn *conn;
	struct far *far;
	const struct link_user_ops *ops;
	void *user;
	bool is_open, is_awake, is_finished, is_dead;
	enum err why;
};

struct slow_net {
	struct kit *kit;
	struct conn conns[KIT_PEERS_MAX][CONNS];
	size_t best[KIT_PEERS_MAX];
	bool is_silent[KIT_PEERS_MAX];
	struct link *links;
	struct far *fars;
	uint64_t n_opened;
	unsigned n_superseded;
	struct dead_streams dead[KIT_PEERS_MAX];
	struct loop_task reap;
};

static struct frame_hello far_hello(const struct slow_net *n)
{
	return n->kit->conf.settings.hello;
}

/* --- bytes under way ----------------------------------------------------------------- */

static void put(struct conn *c, struct far *far, bool is_back, struct span bytes, bool is_end,
		enum err why)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk) + bytes.len);
	nsec_t now = loop_now(c->net->kit->loop);
	*chunk = (struct chunk){.due = nsec_add(MAX(now, c->stalled_until), c->delay),
				.far = far,
				.is_back = is_back,
				.is_end = is_end,
				.why = why,
				.len = bytes.len};
	if (bytes.len > 0)
		memcpy(chunk->bytes, bytes.p, bytes.len);
	DL_APPEND(c->chunks, chunk);
	if (!is_back)
		c->in_flight += bytes.len;
	if (!loop_timer_is_set(&c->timer))
		loop_timer_set(&c->timer, now + STEP);
}

static void die(struct link *l, enum err why)
{
	if (l->is_dead)
		return;
	l->is_dead = true;
	l->why = why;
	loop_defer(l->net->kit->loop, &l->net->reap);
}

/* What a peer called dead stays dead, also if its own HELLO comes later, on a slower connection. */
static void take_hello(struct slow_net *n, struct far *f, const struct frame_hello *hello)
{
	f->id = hello->stream_id;
	for (size_t i = 0; i < hello->n_replaces; i++) {
		for (struct far *o = n->fars; o != NULL; o = o->next) {
			if (o->peer == f->peer && o->id == hello->replaces[i] && !o->is_dead) {
				o->is_dead = true;
				n->n_superseded++;
			}
		}
		dead_streams_add(&n->dead[f->peer], hello->replaces[i]);
	}
	f->is_dead |= dead_streams_has(&n->dead[f->peer], f->id);
}

static void read_far(struct conn *c, struct far *f, struct span in)
{
	struct slow_net *n = c->net;
	struct frame_event ev;
	while (!f->is_dead && frame_reader_read(f->reader, &in, &ev) == ERR_OK) {
		if (ev.type == FRAME_EV_HELLO) {
			take_hello(n, f, &ev.hello);
		} else if (ev.type == FRAME_EV_PACKET) {
			kit_arrive(n->kit, f->peer, f->number, ev.packet);
		} else if (ev.type == FRAME_EV_PROBE && !n->is_silent[f->peer]) {
			uint8_t frame[FRAME_HEADER_LEN + FRAME_PROBE_LEN];
			struct wbuf out = wbuf_of(frame, sizeof(frame));
			frame_put_probe(&out, FRAME_PROBE_ANSWER, &ev.probe);
			put(c, f, true, wbuf_view(&out), false, ERR_OK);
		}
	}
}

static void arrive(struct conn *c, struct chunk *chunk)
{
	struct far *f = chunk->far;
	struct link *l = f->link;
	struct span bytes = span_of(chunk->bytes, chunk->len);
	if (!chunk->is_back) {
		c->in_flight -= chunk->len;
		if (chunk->is_end && chunk->why != ERR_OK)
			f->is_dead = true;
		else if (chunk->is_end && !c->net->is_silent[f->peer])
			put(c, f, true, span_of(NULL, 0), true, ERR_OK);
		read_far(c, f, bytes);
	} else if (l != NULL && !l->is_dead) {
		if (chunk->is_end)
			die(l, chunk->why);
		else if (!l->is_open) {
			l->is_open = true;
			l->ops->on_open(l->user, PACKET_FRAMING_RUNNEL);
		} else
			l->ops->on_data(l->user, bytes);
	}
}

static void pull(struct conn *c)
{
	static uint8_t buf[PULL_MAX];
	struct link *l;
	DL_FOREACH (c->net->links, l) {
		if (l->conn != c || l->is_dead || !l->is_open || !l->is_awake || l->is_finished)
			continue;
		if (c->in_flight >= IN_FLIGHT_MAX)
			return;
		size_t cap = 1 + testkit_random() % PULL_MAX;
		size_t len = l->ops->pull(l->user, buf, cap);
		l->is_awake = len > 0;
		if (len > 0)
			put(c, l->far, false, span_of(buf, len), false, ERR_OK);
	}
}

static bool has_awake(const struct conn *c)
{
	const struct link *l;
	DL_FOREACH (c->net->links, l) {
		if (l->conn == c && !l->is_dead && l->is_open && l->is_awake && !l->is_finished)
			return true;
	}
	return false;
}

static void on_timer(struct loop_timer *timer, nsec_t now)
{
	struct conn *c = CONTAINER_OF(timer, struct conn, timer);
	struct chunk *chunk;
	while (now >= c->stalled_until && (chunk = c->chunks) != NULL && chunk->due <= now) {
		DL_DELETE(c->chunks, chunk);
		arrive(c, chunk);
		free(chunk);
	}
	pull(c);
	if (c->chunks != NULL || has_awake(c))
		loop_timer_set(&c->timer, now + STEP);
}

static void on_reap(struct loop_task *task)
{
	struct slow_net *n = CONTAINER_OF(task, struct slow_net, reap);
	struct link *l, *tmp;
	DL_FOREACH_SAFE (n->links, l, tmp) {
		if (!l->is_dead)
			continue;
		DL_DELETE(n->links, l);
		l->far->link = NULL;
		l->ops->on_close(l->user, l->why);
		free(l);
		tmp = n->links;
	}
}

/* --- the service --------------------------------------------------------------------- */

static size_t peer_of(const struct slow_net *n, const struct peer_id *id)
{
	size_t i = 0;
	while (!peer_id_equal(&n->kit->peers[i], id))
		i++;
	return i;
}

static enum err open_link(void *ctx, const struct peer_id *id, const struct link_user_ops *ops,
			  void *user, void **ret_link)
{
	struct slow_net *n = ctx;
	size_t peer = peer_of(n, id);
	struct far *f = calloc(1, sizeof(*f));
	struct link *l = calloc(1, sizeof(*l));
	*f = (struct far){.next = n->fars, .peer = peer, .number = ++n->n_opened, .link = l};
	struct frame_hello hello = far_hello(n);
	assert_ok(frame_reader_new(FRAME_ACCEPTOR, &hello, &f->reader));
	n->fars = f;
	*l = (struct link){.net = n,
			   .conn = &n->conns[peer][n->best[peer]],
			   .far = f,
			   .ops = ops,
			   .user = user};
	DL_APPEND(n->links, l);
	uint8_t frame[FRAME_HEADER_LEN + FRAME_HELLO_LEN_SENT_MAX];
	struct wbuf out = wbuf_of(frame, sizeof(frame));
	frame_put_hello(&out, &hello);
	put(l->conn, f, true, span_of(NULL, 0), false, ERR_OK); /* opens it */
	put(l->conn, f, true, wbuf_view(&out), false, ERR_OK);
	*ret_link = l;
	return ERR_OK;
}

static void wake(void *link)
{
	struct link *l = link;
	assert_true(l->is_open);
	l->is_awake = true;
	if (!loop_timer_is_set(&l->conn->timer))
		loop_timer_set(&l->conn->timer, loop_now(l->net->kit->loop) + STEP);
}

static void finish(void *link)
{
	struct link *l = link;
	assert_false(l->is_finished);
	l->is_finished = true;
	put(l->conn, l->far, false, span_of(NULL, 0), true, ERR_OK);
}

static void reset(void *link, enum err why)
{
	struct link *l = link;
	if (!l->is_dead)
		put(l->conn, l->far, false, span_of(NULL, 0), true, ERR_RESET);
	die(l, why);
}

static void facts(void *link, struct link_facts *ret)
{
	const struct link *l = link;
	*ret = (struct link_facts){.conn = (uintptr_t)l->conn,
				   .is_suspect = l->conn->is_suspect,
				   .in_flight_bytes = l->conn->in_flight};
}

static void demand(void *ctx, const struct peer_id *peer)
{
	(void)ctx;
	(void)peer;
}

static const struct stream_service_ops ops = {
	.open = open_link,
	.wake = wake,
	.finish = finish,
	.reset = reset,
	.facts = facts,
	.demand = demand,
};

struct stream_service slow_net_service(struct kit *k, void *ret_net)
{
	struct slow_net *n = calloc(1, sizeof(*n));
	n->kit = k;
	n->reap.run = on_reap;
	for (size_t p = 0; p < KIT_PEERS_MAX; p++) {
		for (size_t i = 0; i < CONNS; i++) {
			struct conn *c = &n->conns[p][i];
			c->net = n;
			c->peer = p;
			c->delay = MSEC(1) + testkit_random() % MSEC(80);
			loop_timer_init(&c->timer, k->loop, on_timer);
		}
	}
	*(struct slow_net **)ret_net = n;
	return (struct stream_service){.ops = &ops, .ctx = n};
}

void slow_net_free(struct slow_net *n)
{
	assert_null(n->links);
	loop_task_cancel(&n->reap);
	for (size_t p = 0; p < KIT_PEERS_MAX; p++) {
		for (size_t i = 0; i < CONNS; i++) {
			struct chunk *chunk, *tmp;
			loop_timer_stop(&n->conns[p][i].timer);
			DL_FOREACH_SAFE (n->conns[p][i].chunks, chunk, tmp)
				free(chunk);
		}
	}
	while (n->fars != NULL) {
		struct far *f = n->fars;
		n->fars = f->next;
		frame_reader_free(f->reader);
		free(f);
	}
	free(n);
}

/* --- what goes wrong ----------------------------------------------------------------- */

static void make_best(struct slow_net *n, size_t peer, size_t number)
{
	n->best[peer] = number;
	const struct conn *best = &n->conns[peer][number];
	struct link *l, *tmp;
	DL_FOREACH_SAFE (n->links, l, tmp) {
		if (l->conn->peer == peer && l->conn != best && !l->is_dead)
			l->ops->on_retire(l->user);
	}
}

void slow_net_switch(struct slow_net *n, size_t peer)
{
	make_best(n, peer, testkit_random() % CONNS);
}

void slow_net_leave(struct slow_net *n, size_t peer, nsec_t stall)
{
	n->conns[peer][n->best[peer]].stalled_until = loop_now(n->kit->loop) + stall;
	make_best(n, peer, (n->best[peer] + 1) % CONNS);
}

static struct conn *any(struct slow_net *n, size_t peer)
{
	return &n->conns[peer][testkit_random() % CONNS];
}

void slow_net_stall(struct slow_net *n, size_t peer, nsec_t duration, bool is_suspect)
{
	struct conn *c = any(n, peer);
	c->stalled_until = loop_now(n->kit->loop) + duration;
	c->is_suspect = is_suspect;
}

void slow_net_kill(struct slow_net *n, size_t peer, bool is_lost)
{
	struct conn *c = any(n, peer);
	struct link *l;
	struct chunk *chunk, *tmp;
	DL_FOREACH_SAFE (c->chunks, chunk, tmp) {
		if (chunk->is_back || !is_lost)
			continue;
		chunk->far->is_dead = true;
		c->in_flight -= chunk->len;
		DL_DELETE(c->chunks, chunk);
		free(chunk);
	}
	DL_FOREACH (n->links, l) {
		if (l->conn == c)
			die(l, ERR_TIMEOUT);
	}
}

void slow_net_reset_one(struct slow_net *n, size_t peer)
{
	struct link *l;
	DL_FOREACH (n->links, l) {
		if (l->conn->peer != peer || l->is_dead || testkit_random() % 2 == 0)
			continue;
		l->far->is_dead = true;
		die(l, ERR_RESET);
		return;
	}
}

void slow_net_silence(struct slow_net *n, size_t peer, bool is_silent)
{
	n->is_silent[peer] = is_silent;
}

unsigned slow_net_superseded(const struct slow_net *n)
{
	return n->n_superseded;
}
