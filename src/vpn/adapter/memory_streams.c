/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * memory_streams.c - see memory_streams.h
 *
 * One task does all the work of a turn: it walks the streams, and for each one that has something
 * due opens it, moves bytes both ways, or ends it. Work that comes up meanwhile waits for the next
 * turn.
 */
#include "vpn/adapter/memory_streams.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/util.h"
#include "vpn/stream/dead_streams.h"
#include "vpn/stream/frame_reader.h"
#include "vpn/stream/vpn_frame.h"

enum {
	BACK_CAP = 1024,    /* bytes of HELLO and answers that wait for the opener */
	RECORD_LEN = 65507, /* bytes: what a record of Noise leaves to a stream */
};

struct far_peer {
	struct far_peer *next;
	struct memory_peer conf;
	struct memory_faults faults;
	uint64_t heard_bytes;
	struct dead_streams dead;
};

struct memory_link {
	struct memory_link *prev, *next;
	struct memory_streams *service;
	struct far_peer *peer;
	const struct link_user_ops *ops;
	void *user;
	uint64_t number;
	uint64_t id; /* what its HELLO says */
	bool is_open, is_awake, is_finished, is_dead;
	enum err why;
	struct frame_reader *runnel; /* the far end's */
	struct vpn_frame_reader *vpn;
	uint8_t back[BACK_CAP];
	size_t back_len;
};

struct memory_streams {
	struct loop *loop;
	struct loop_task work;
	struct far_peer *peers;
	struct memory_link *links;
	uint64_t n_opened;
	uint8_t record[RECORD_LEN];
};

static struct far_peer *find_peer(const struct memory_streams *m, const struct peer_id *id)
{
	struct far_peer *p = m->peers;
	while (p != NULL && !peer_id_equal(&p->conf.id, id))
		p = p->next;
	return p;
}

static void work_later(struct memory_streams *m)
{
	loop_defer(m->loop, &m->work);
}

static void die(struct memory_link *l, enum err why)
{
	if (l->is_dead)
		return;
	l->is_dead = true;
	l->why = why;
	work_later(l->service);
}

/* --- the far end --------------------------------------------------------------------- */

static void send_back(struct memory_link *l, struct span frame)
{
	if (l->peer->faults.is_silent || frame.len > sizeof(l->back) - l->back_len)
		return;
	memcpy(l->back + l->back_len, frame.p, frame.len);
	l->back_len += frame.len;
	work_later(l->service);
}

static void end_replaced(struct memory_link *l, const struct frame_hello *hello)
{
	for (size_t i = 0; i < hello->n_replaces; i++) {
		dead_streams_add(&l->peer->dead, hello->replaces[i]);
		struct memory_link *other;
		DL_FOREACH (l->service->links, other) {
			if (other->peer == l->peer && other != l && other->id == hello->replaces[i])
				die(other, ERR_SUPERSEDED);
		}
	}
	if (dead_streams_has(&l->peer->dead, l->id))
		die(l, ERR_SUPERSEDED);
}

static void on_far_hello(struct memory_link *l, const struct frame_hello *hello)
{
	l->id = hello->stream_id;
	end_replaced(l, hello);
}

static void deliver(struct memory_link *l, struct span packet)
{
	const struct memory_peer *conf = &l->peer->conf;
	if (conf->on_packet != NULL && !l->is_dead)
		conf->on_packet(conf->ctx, &conf->id, l->number, packet);
}

static enum err read_runnel(struct memory_link *l, struct span in)
{
	for (;;) {
		struct frame_event ev;
		enum err e = frame_reader_read(l->runnel, &in, &ev);
		if (e != ERR_OK)
			return e == ERR_AGAIN ? ERR_OK : e;
		if (ev.type == FRAME_EV_HELLO)
			on_far_hello(l, &ev.hello);
		else if (ev.type == FRAME_EV_REPLACES)
			end_replaced(l, &ev.hello);
		else if (ev.type == FRAME_EV_PACKET)
			deliver(l, ev.packet);
		if (ev.type != FRAME_EV_PROBE)
			continue;
		uint8_t frame[FRAME_HEADER_LEN + FRAME_PROBE_LEN];
		struct wbuf out = wbuf_of(frame, sizeof(frame));
		frame_put_probe(&out, FRAME_PROBE_ANSWER, &ev.probe);
		send_back(l, wbuf_view(&out));
	}
}

static enum err read_vpn(struct memory_link *l, struct span in)
{
	for (;;) {
		struct span packet;
		enum err e = vpn_frame_reader_read(l->vpn, &in, &packet);
		if (e != ERR_OK)
			return e == ERR_AGAIN ? ERR_OK : e;
		deliver(l, packet);
	}
}

static enum err make_far_end(struct memory_link *l)
{
	const struct memory_peer *conf = &l->peer->conf;
	if (conf->framing == PACKET_FRAMING_VPN)
		return vpn_frame_reader_new(PACKET_LEN_MAX, &l->vpn);
	enum err e = frame_reader_new(FRAME_ACCEPTOR, &conf->hello, &l->runnel);
	if (e != ERR_OK)
		return e;
	uint8_t frame[FRAME_HEADER_LEN + FRAME_HELLO_LEN_SENT_MAX];
	struct wbuf out = wbuf_of(frame, sizeof(frame));
	frame_put_hello(&out, &conf->hello);
	send_back(l, wbuf_view(&out));
	return ERR_OK;
}

/* --- the work of a turn -------------------------------------------------------------- */

static void open_now(struct memory_link *l)
{
	if (l->peer->faults.refuses) {
		die(l, ERR_NEGOTIATION);
		return;
	}
	enum err e = make_far_end(l);
	if (e != ERR_OK) {
		die(l, e);
		return;
	}
	l->is_open = true;
	l->ops->on_open(l->user, l->peer->conf.framing);
}

/* One record's worth. */
static void move_bytes(struct memory_link *l)
{
	struct memory_streams *m = l->service;
	size_t cap = l->peer->conf.pull_max != 0 ? l->peer->conf.pull_max : sizeof(m->record);
	size_t n = l->ops->pull(l->user, m->record, MIN(cap, sizeof(m->record)));
	if (n == 0) {
		l->is_awake = false;
		return;
	}
	struct span in = span_of(m->record, n);
	enum err e = l->runnel != NULL ? read_runnel(l, in) : read_vpn(l, in);
	if (e != ERR_OK)
		die(l, e);
}

static void step(struct memory_link *l)
{
	if (!l->is_open) {
		open_now(l);
		return;
	}
	if (l->back_len > 0) {
		uint8_t back[BACK_CAP];
		size_t n = l->back_len;
		memcpy(back, l->back, n);
		l->back_len = 0;
		l->peer->heard_bytes += n;
		l->ops->on_data(l->user, span_of(back, n));
	}
	if (l->is_dead)
		return;
	if (l->is_finished && !l->peer->faults.keeps_open)
		die(l, ERR_OK);
	else if (l->is_awake && !l->is_finished && !l->peer->faults.is_full)
		move_bytes(l);
}

static void free_link(struct memory_link *l)
{
	frame_reader_free(l->runnel);
	vpn_frame_reader_free(l->vpn);
	free(l);
}

static bool has_work(const struct memory_link *l)
{
	const struct memory_faults *faults = &l->peer->faults;
	return l->is_dead || !l->is_open || l->back_len > 0 ||
	       (l->is_finished ? !faults->keeps_open : l->is_awake && !faults->is_full);
}

static void on_work(struct loop_task *task)
{
	struct memory_streams *m = CONTAINER_OF(task, struct memory_streams, work);
	struct memory_link *l, *tmp;
	DL_FOREACH (m->links, l) {
		if (!l->is_dead)
			step(l);
	}
	DL_FOREACH_SAFE (m->links, l, tmp) {
		if (!l->is_dead)
			continue;
		DL_DELETE(m->links, l);
		l->ops->on_close(l->user, l->why);
		free_link(l);
		tmp = m->links; /* on_close may have opened others */
	}
	DL_FOREACH (m->links, l) {
		if (has_work(l)) {
			work_later(m);
			return;
		}
	}
}

/* --- what users ask ------------------------------------------------------------------ */

static enum err open_link(void *ctx, const struct peer_id *id, const struct link_user_ops *ops,
			  void *user, void **ret_link)
{
	struct memory_streams *m = ctx;
	struct far_peer *peer = find_peer(m, id);
	if (peer == NULL || peer->faults.is_down)
		return ERR_UNREACHABLE;
	struct memory_link *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return ERR_NO_MEMORY;
	l->service = m;
	l->peer = peer;
	l->ops = ops;
	l->user = user;
	l->number = ++m->n_opened;
	DL_APPEND(m->links, l);
	work_later(m);
	*ret_link = l;
	return ERR_OK;
}

static void wake(void *link)
{
	struct memory_link *l = link;
	l->is_awake = true;
	work_later(l->service);
}

static void finish(void *link)
{
	struct memory_link *l = link;
	l->is_finished = true;
	work_later(l->service);
}

static void reset(void *link, enum err why)
{
	die(link, why);
}

static void facts(void *link, struct link_facts *ret)
{
	const struct memory_link *l = link;
	*ret = (struct link_facts){
		.conn = (uintptr_t)l->peer,
		.is_suspect = l->peer->faults.is_suspect,
	};
}

static uint64_t heard_bytes(void *ctx, const struct peer_id *id)
{
	const struct far_peer *peer = find_peer(ctx, id);
	return peer != NULL ? peer->heard_bytes : 0;
}

static void demand(void *ctx, const struct peer_id *id)
{
	(void)ctx; /* whether a peer is up is the program's to say */
	(void)id;
}

static const struct stream_service_ops ops = {
	.open = open_link,
	.wake = wake,
	.finish = finish,
	.reset = reset,
	.facts = facts,
	.heard_bytes = heard_bytes,
	.demand = demand,
};

/* --- life ---------------------------------------------------------------------------- */

enum err memory_streams_new(struct loop *loop, struct memory_streams **ret_streams)
{
	struct memory_streams *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return ERR_NO_MEMORY;
	m->loop = loop;
	m->work.run = on_work;
	*ret_streams = m;
	return ERR_OK;
}

struct memory_streams *memory_streams_free(struct memory_streams *m)
{
	if (m == NULL)
		return NULL;
	assert(m->links == NULL);
	loop_task_cancel(&m->work);
	while (m->peers != NULL) {
		struct far_peer *p = m->peers;
		m->peers = p->next;
		free(p);
	}
	free(m);
	return NULL;
}

struct stream_service memory_streams_get(struct memory_streams *m)
{
	return (struct stream_service){.ops = &ops, .ctx = m};
}

enum err memory_streams_add(struct memory_streams *m, const struct memory_peer *conf)
{
	if (find_peer(m, &conf->id) != NULL)
		return ERR_DUPLICATE;
	struct far_peer *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return ERR_NO_MEMORY;
	p->conf = *conf;
	p->next = m->peers;
	m->peers = p;
	return ERR_OK;
}

/* --- what goes wrong ----------------------------------------------------------------- */

enum err memory_streams_set(struct memory_streams *m, const struct peer_id *id,
			    struct memory_faults faults)
{
	struct far_peer *peer = find_peer(m, id);
	if (peer == NULL)
		return ERR_NOT_FOUND;
	peer->faults = faults;
	work_later(m);
	return ERR_OK;
}

void memory_streams_break(struct memory_streams *m, const struct peer_id *id, enum err why)
{
	struct memory_link *l;
	DL_FOREACH (m->links, l) {
		if (peer_id_equal(&l->peer->conf.id, id))
			die(l, why);
	}
}

void memory_streams_break_one(struct memory_streams *m, uint64_t number, enum err why)
{
	struct memory_link *l;
	DL_FOREACH (m->links, l) {
		if (l->number == number)
			die(l, why);
	}
}

void memory_streams_retire(struct memory_streams *m, const struct peer_id *id)
{
	struct memory_link *l, *tmp;
	DL_FOREACH_SAFE (m->links, l, tmp) {
		if (!l->is_dead && peer_id_equal(&l->peer->conf.id, id))
			l->ops->on_retire(l->user);
	}
}

void memory_streams_hear(struct memory_streams *m, const struct peer_id *id)
{
	struct far_peer *peer = find_peer(m, id);
	if (peer != NULL)
		peer->heard_bytes++;
}

size_t memory_streams_count(const struct memory_streams *m, const struct peer_id *id)
{
	size_t n = 0;
	const struct memory_link *l;
	DL_FOREACH (m->links, l)
		n += l->is_open && !l->is_dead && peer_id_equal(&l->peer->conf.id, id);
	return n;
}
