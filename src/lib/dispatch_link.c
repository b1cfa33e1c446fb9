/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * dispatch_link.c - between vpn/api/stream_service.h and runnel/dispatch_service.h
 *
 * What the public interface says must not be, is looked at here: calls on another thread, calls up
 * from inside of operations, calls on a stream that may not have them any more.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/util.h"
#include "lib/dispatch_shard.h"
#include "lib/err.h"
#include "lib/values.h"

enum link_state {
	LINK_OPENING,
	LINK_OPEN,
	LINK_ENDING,
};

struct runnel_link {
	struct runnel_shard *shard;
	const struct link_user_ops *ops;
	void *user;
	void *stream; /* the service's */
	enum link_state state;
	bool is_opened; /* runnel_link_opened() was called */
	bool is_reset;  /* the service's reset() was */
};

static const struct runnel_stream_ops *ops_of(const struct runnel_shard *s)
{
	return s->streams.ops;
}

/* --- down: what the dispatcher asks -------------------------------------------------- */

static enum err open_link(void *ctx, const struct peer_id *peer, const struct link_user_ops *ops,
			  void *user, void **ret_link)
{
	struct runnel_shard *s = ctx;
	struct runnel_peer_id id;
	struct runnel_link *link = calloc(1, sizeof(*link));
	if (link == NULL)
		return ERR_NO_MEMORY;
	*link = (struct runnel_link){.shard = s, .ops = ops, .user = user};
	values_put_peer_id(peer, &id);
	s->n_inside++;
	enum err e = lib_err_back(ops_of(s)->open(s->here, &id, link, &link->stream));
	s->n_inside--;
	if (e == ERR_OK) {
		*ret_link = link;
		return ERR_OK;
	}
	free(link);
	/* Where nobody will tell that it is connected, it is a failure like others. */
	return e == ERR_UNREACHABLE && ops_of(s)->demand == NULL ? ERR_REFUSED : e;
}

static void wake(void *ctx)
{
	struct runnel_link *link = ctx;
	struct runnel_shard *s = link->shard;
	s->n_inside++;
	ops_of(s)->wake(link->stream);
	s->n_inside--;
}

static void finish(void *ctx)
{
	struct runnel_link *link = ctx;
	struct runnel_shard *s = link->shard;
	link->state = LINK_ENDING;
	s->n_inside++;
	ops_of(s)->finish(link->stream);
	s->n_inside--;
}

static void reset(void *ctx, enum err why)
{
	struct runnel_link *link = ctx;
	struct runnel_shard *s = link->shard;
	link->state = LINK_ENDING;
	if (link->is_reset)
		return;
	link->is_reset = true;
	s->n_inside++;
	ops_of(s)->reset(link->stream, lib_err(why));
	s->n_inside--;
}

static void facts(void *ctx, struct link_facts *ret)
{
	struct runnel_link *link = ctx;
	struct runnel_shard *s = link->shard;
	struct runnel_link_facts f = {.connection = 0};
	s->n_inside++;
	ops_of(s)->facts(link->stream, &f);
	s->n_inside--;
	*ret = (struct link_facts){
		.conn = (uintptr_t)f.connection,
		.is_suspect = f.is_suspect,
		.in_flight_bytes = f.in_flight_bytes,
		.rtt = f.rtt,
	};
}

/* Without connections each peer is up, from its first packet on. */
static void want(struct runnel_shard *s, const struct peer_id *peer)
{
	for (size_t i = 0; i < s->n_wanted; i++) {
		if (peer_id_equal(&s->wanted[i], peer))
			return;
	}
	if (s->n_wanted < PEERS_WANTED_MAX)
		s->wanted[s->n_wanted++] = *peer;
	loop_defer(s->loop, &s->want);
}

static void on_want(struct loop_task *task)
{
	struct runnel_shard *s = CONTAINER_OF(task, struct runnel_shard, want);
	for (size_t i = 0; i < s->n_wanted && !s->is_over; i++) {
		/* Without memory for it: its next packet asks again. */
		enum err e = dispatcher_peer_up(s->dispatcher, &s->wanted[i]);
		(void)e;
	}
	s->n_wanted = 0;
}

static void demand(void *ctx, const struct peer_id *peer)
{
	struct runnel_shard *s = ctx;
	if (ops_of(s)->demand == NULL) {
		want(s, peer);
		return;
	}
	struct runnel_peer_id id;
	values_put_peer_id(peer, &id);
	s->n_inside++;
	ops_of(s)->demand(s->here, &id);
	s->n_inside--;
}

static const struct stream_service_ops service_ops = {
	.open = open_link,
	.wake = wake,
	.finish = finish,
	.reset = reset,
	.facts = facts,
	.demand = demand,
};

struct stream_service dispatch_link_service(struct runnel_shard *s)
{
	return (struct stream_service){.ops = &service_ops, .ctx = s};
}

void dispatch_link_init(struct runnel_shard *s)
{
	s->want.run = on_want;
	s->n_wanted = 0;
}

void dispatch_link_deinit(struct runnel_shard *s)
{
	loop_task_cancel(&s->want);
}

/* --- up: what the service tells ------------------------------------------------------ */

static void check_up(const struct runnel_shard *s)
{
	loop_assert_here(s->loop);
	assert(s->n_inside == 0 && "no operation or callback may call the dispatcher back");
}

void runnel_link_opened(struct runnel_link *link, enum runnel_framing framing)
{
	check_up(link->shard);
	assert(!link->is_opened && (unsigned)framing <= RUNNEL_FRAMING_VPN);
	link->is_opened = true;
	if (link->state != LINK_OPENING)
		return;
	link->state = LINK_OPEN;
	link->ops->on_open(link->user, framing == RUNNEL_FRAMING_RUNNEL ? PACKET_FRAMING_RUNNEL
									: PACKET_FRAMING_VPN);
}

void runnel_link_data(struct runnel_link *link, const void *bytes, size_t len)
{
	check_up(link->shard);
	assert(link->state != LINK_OPENING);
	if (link->state == LINK_OPEN && len > 0)
		link->ops->on_data(link->user, span_of(bytes, len));
}

size_t runnel_link_pull(struct runnel_link *link, void *buf, size_t cap)
{
	check_up(link->shard);
	assert(link->state != LINK_OPENING);
	return link->state == LINK_OPEN ? link->ops->pull(link->user, buf, cap) : 0;
}

void runnel_link_retire(struct runnel_link *link)
{
	check_up(link->shard);
	assert(link->state != LINK_OPENING);
	if (link->state != LINK_ENDING)
		link->ops->on_retire(link->user);
}

void runnel_link_closed(struct runnel_link *link, enum runnel_err why)
{
	check_up(link->shard);
	link->ops->on_close(link->user, lib_err_back(why));
	free(link);
}

/* --- shards -------------------------------------------------------------------------- */

unsigned runnel_shard_index(const struct runnel_shard *shard)
{
	return shard->index;
}

struct program_post {
	struct post base;
	void (*fn)(void *ctx);
	void *ctx;
};

static void end_post(struct post *base, bool must_run)
{
	struct program_post *post = CONTAINER_OF(base, struct program_post, base);
	if (must_run)
		post->fn(post->ctx);
	free(post);
}

enum runnel_err runnel_shard_post(struct runnel_shard *shard, void (*fn)(void *ctx), void *ctx)
{
	struct program_post *post = calloc(1, sizeof(*post));
	if (post == NULL)
		return RUNNEL_ERR_NO_MEMORY;
	*post = (struct program_post){.base.end = end_post, .fn = fn, .ctx = ctx};
	enum err e = postbox_put(&shard->posts, &post->base);
	if (e != ERR_OK)
		free(post);
	return lib_err(e);
}

/* NULL id: none that could be a peer's. */
static bool may_tell(const struct runnel_shard *s, const struct runnel_peer_id *peer,
		     struct peer_id *ret_id)
{
	check_up(s);
	return !s->is_over && values_get_peer_id(peer, ret_id);
}

enum runnel_err runnel_shard_peer_up(struct runnel_shard *shard, const struct runnel_peer_id *peer)
{
	struct peer_id id;
	return may_tell(shard, peer, &id) ? lib_err(dispatcher_peer_up(shard->dispatcher, &id))
					  : RUNNEL_ERR_OK;
}

void runnel_shard_peer_down(struct runnel_shard *shard, const struct runnel_peer_id *peer)
{
	struct peer_id id;
	if (may_tell(shard, peer, &id))
		dispatcher_peer_down(shard->dispatcher, &id);
}

void runnel_shard_peer_unreachable(struct runnel_shard *shard, const struct runnel_peer_id *peer)
{
	struct peer_id id;
	if (may_tell(shard, peer, &id))
		dispatcher_peer_unreachable(shard->dispatcher, &id);
}
