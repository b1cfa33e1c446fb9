/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* narrow.c - see narrow.h */
#include "narrow.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/util.h"

struct narrow_link {
	struct narrow_link *prev, *next;
	struct narrow *narrow;
	const struct link_user_ops *ops;
	void *user;
	void *link;
	nsec_t msec; /* in which `left` is what it may still take */
	size_t left;
	bool is_starved;
};

struct narrow {
	struct kit *kit;
	struct stream_service inner;
	struct stream_service_ops ops;
	struct narrow_link *links;
	struct loop_timer timer;
	size_t bytes_per_msec;
};

static void on_open(void *user, enum packet_framing framing)
{
	struct narrow_link *l = user;
	l->ops->on_open(l->user, framing);
}

static void on_data(void *user, struct span data)
{
	struct narrow_link *l = user;
	l->ops->on_data(l->user, data);
}

static void on_retire(void *user)
{
	struct narrow_link *l = user;
	l->ops->on_retire(l->user);
}

static void on_close(void *user, enum err why)
{
	struct narrow_link *l = user;
	DL_DELETE(l->narrow->links, l);
	l->ops->on_close(l->user, why);
	free(l);
}

static size_t pull(void *user, uint8_t *buf, size_t cap)
{
	struct narrow_link *l = user;
	struct narrow *n = l->narrow;
	nsec_t msec = loop_now(n->kit->loop) / NSEC_PER_MSEC;
	if (n->bytes_per_msec == 0)
		return l->ops->pull(l->user, buf, cap);
	if (l->msec != msec) {
		l->msec = msec;
		l->left = n->bytes_per_msec;
	}
	if (l->left == 0) {
		l->is_starved = true;
		loop_timer_set(&n->timer, (msec + 1) * NSEC_PER_MSEC);
		return 0;
	}
	size_t len = l->ops->pull(l->user, buf, MIN(cap, l->left));
	l->left -= len;
	return len;
}

static const struct link_user_ops user_ops = {
	.on_open = on_open,
	.on_data = on_data,
	.pull = pull,
	.on_retire = on_retire,
	.on_close = on_close,
};

static void on_timer(struct loop_timer *timer, nsec_t now)
{
	struct narrow *n = CONTAINER_OF(timer, struct narrow, timer);
	struct narrow_link *l;
	(void)now;
	DL_FOREACH (n->links, l) {
		if (l->is_starved)
			n->inner.ops->wake(l->link);
		l->is_starved = false;
	}
}

static enum err open_link(void *ctx, const struct peer_id *peer, const struct link_user_ops *ops,
			  void *user, void **ret_link)
{
	struct narrow *n = ctx;
	struct narrow_link *l = calloc(1, sizeof(*l));
	*l = (struct narrow_link){.narrow = n, .ops = ops, .user = user};
	enum err e = n->inner.ops->open(n->inner.ctx, peer, &user_ops, l, &l->link);
	if (e != ERR_OK) {
		free(l);
		return e;
	}
	DL_APPEND(n->links, l);
	*ret_link = l->link;
	return ERR_OK;
}

static void demand(void *ctx, const struct peer_id *peer)
{
	struct narrow *n = ctx;
	n->inner.ops->demand(n->inner.ctx, peer);
}

struct narrow *narrow_new(struct kit *k, size_t bytes_per_msec)
{
	struct narrow *n = calloc(1, sizeof(*n));
	*n = (struct narrow){.kit = k, .inner = k->inner, .bytes_per_msec = bytes_per_msec};
	n->ops = *k->inner.ops;
	n->ops.open = open_link;
	n->ops.demand = demand;
	loop_timer_init(&n->timer, k->loop, on_timer);
	k->inner = (struct stream_service){.ops = &n->ops, .ctx = n};
	return n;
}

void narrow_set(struct narrow *n, size_t bytes_per_msec)
{
	n->bytes_per_msec = bytes_per_msec;
}

struct narrow *narrow_free(struct narrow *n)
{
	assert_null(n->links);
	loop_timer_stop(&n->timer);
	free(n);
	return NULL;
}
