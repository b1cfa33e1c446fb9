/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* dispatch_shard.c - see dispatch_shard.h */
#include "lib/dispatch_shard.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "lib/dispatch_conf.h"
#include "lib/err.h"
#include "lib/values.h"
#include "loop/loop_uv.h"

enum {
	BATCH = 64,               /* packets that go to the dispatcher together */
	TAKEN_PER_TURN_MAX = 256, /* then others get their turn: about 0.1 ms */
	SMALL_TO_LARGE = 8,       /* small buffers for each of 64 KiB */
	HEAD_LEN = 64,            /* bytes: keeps the packet behind it aligned */
};

static_assert(sizeof(struct dispatch_head) <= HEAD_LEN, "there is room for it");

/* What a packet's receipt is here. */
struct ticket {
	struct receipt base;
	struct runnel_shard *shard;
	runnel_dispatched_fn *fn;
	void *ctx;
	struct ticket *next; /* while free */
};

/* --- packets, in --------------------------------------------------------------------- */

enum err dispatch_shard_put(struct runnel_shard *s, const struct dispatch_head *head,
			    struct span packet)
{
	static const struct inbox_meta nothing;
	uint8_t bytes[HEAD_LEN] = {0};
	bool must_wake;
	memcpy(bytes, head, sizeof(*head));
	enum err e = inbox_put_behind(s->inbox, span_of(bytes, sizeof(bytes)), packet, &nothing,
				      &must_wake);
	if (e == ERR_FULL)
		atomic_fetch_add_explicit(&s->n_refused, 1, memory_order_relaxed);
	else if (e == ERR_OK && must_wake)
		loop_post(s->loop, &s->bell);
	return e;
}

static void call_back(struct runnel_shard *s, runnel_dispatched_fn *fn, void *ctx,
		      enum drop outcome)
{
	s->n_inside++;
	fn(ctx, dispatch_outcome(outcome));
	s->n_inside--;
}

static void on_done(struct receipt *receipt, enum drop outcome)
{
	struct ticket *t = CONTAINER_OF(receipt, struct ticket, base);
	struct runnel_shard *s = t->shard;
	t->next = s->free_ticket;
	s->free_ticket = t;
	call_back(s, t->fn, t->ctx, outcome);
}

/* There is one: each packet of the pool has at most one. */
static struct receipt *take_ticket(struct runnel_shard *s, const struct dispatch_head *head)
{
	struct ticket *t = s->free_ticket;
	assert(t != NULL);
	s->free_ticket = t->next;
	t->fn = head->fn;
	t->ctx = head->ctx;
	return &t->base;
}

/* A packet of the pool with these bytes. NULL: there is none, it is dropped. */
static struct packet *adopt(struct runnel_shard *s, const struct dispatch_head *head,
			    struct span bytes)
{
	/* What comes in here is what a node reads from its TUN. */
	metrics_add(&s->metrics, COUNTER_TUN_RX_PACKETS, 1);
	metrics_add(&s->metrics, COUNTER_TUN_RX_BYTES, bytes.len);
	struct packet *packet = packet_alloc(s->packets, bytes.len);
	if (packet == NULL) {
		metrics_drop(&s->metrics, DROP_POOL_EMPTY, bytes.len);
		if (head->fn != NULL) {
			metrics_add(&s->metrics, COUNTER_CALLBACKS, 1);
			call_back(s, head->fn, head->ctx, DROP_POOL_EMPTY);
		}
		return NULL;
	}
	memcpy(packet->data, bytes.p, bytes.len);
	packet->len = (uint32_t)bytes.len;
	if (head->fn != NULL)
		packet->receipt = take_ticket(s, head);
	return packet;
}

/* Packets with their own keys go together, but none past another. */
struct batch {
	struct packet *packets[BATCH];
	size_t n;
};

static void flush(struct runnel_shard *s, struct batch *b)
{
	dispatcher_send_all(s->dispatcher, b->packets, b->n);
	b->n = 0;
}

static void take(struct runnel_shard *s, const struct inbox_item *item, struct batch *b)
{
	struct dispatch_head head;
	memcpy(&head, item->data, sizeof(head));
	struct packet *packet =
		adopt(s, &head, span_of(item->data + HEAD_LEN, item->len - HEAD_LEN));
	if (packet == NULL)
		return;
	if (b->n == BATCH || !head.is_own)
		flush(s, b);
	if (head.is_own)
		b->packets[b->n++] = packet;
	else
		dispatcher_send_as(s->dispatcher, packet, &head.key, &head.destination);
}

/* --- the end ------------------------------------------------------------------------- */

/* Closing: what is the next step, now? */
static void step_down(struct runnel_shard *s)
{
	bool is_drained = !s->must_drain || inbox_is_drained(s->inbox);
	if (!s->is_told && (is_drained || loop_now(s->loop) >= s->deadline)) {
		s->is_told = true;
		dispatcher_close(s->dispatcher, s->deadline);
	}
	if (s->is_closed && is_drained)
		loop_stop(s->loop);
}

static void on_closed(void *ctx, uint64_t dropped)
{
	(void)dropped; /* what the stop cost is counted from its beginning, for all reasons */
	struct runnel_shard *s = ctx;
	s->is_closed = true;
	step_down(s);
}

/* From the doorbell, the inbox is awake. */
static void take_over(struct runnel_shard *s)
{
	struct batch batch = {.n = 0};
	struct inbox_item item;
	bool is_asleep = false;
	for (size_t n = 0; n < TAKEN_PER_TURN_MAX && !is_asleep;) {
		if (inbox_peek(s->inbox, &item)) {
			take(s, &item, &batch);
			inbox_pop(s->inbox);
			n++;
		} else {
			is_asleep = inbox_sleep(s->inbox);
		}
	}
	flush(s, &batch);
	if (!is_asleep)
		loop_post(s->loop, &s->bell); /* awake: it is ours */
	if (s->is_closing)
		step_down(s);
}

static void on_bell(struct loop_mail *mail)
{
	struct runnel_shard *s = CONTAINER_OF(mail, struct runnel_shard, bell);
	inbox_wake(s->inbox);
	if (!s->is_over)
		take_over(s);
}

struct stop {
	struct runnel_shard *shard;
	nsec_t timeout;
	bool must_drain;
};

static void run_stop(void *ctx)
{
	const struct stop *stop = ctx;
	struct runnel_shard *s = stop->shard;
	s->is_closing = true;
	s->must_drain = stop->must_drain;
	s->deadline = nsec_add(loop_now(s->loop), stop->timeout);
	s->dropped_before = metrics_dropped(&s->metrics);
	step_down(s);
}

void dispatch_shard_stop(struct runnel_shard *s, nsec_t timeout, bool must_drain)
{
	struct stop stop = {.shard = s, .timeout = timeout, .must_drain = must_drain};
	enum err e = postbox_ask(&s->posts, run_stop, &stop);
	assert(e == ERR_OK); /* nobody else ends it */
	(void)e;
}

/* --- the thread ---------------------------------------------------------------------- */

static void on_breaker(void *ctx, const struct peer_id *peer, enum breaker_state state)
{
	static const enum runnel_breaker_state public_of[] = {
		[BREAKER_CLOSED] = RUNNEL_BREAKER_CLOSED,
		[BREAKER_OPEN] = RUNNEL_BREAKER_OPEN,
		[BREAKER_HALF_OPEN] = RUNNEL_BREAKER_HALF_OPEN,
	};
	struct runnel_shard *s = ctx;
	struct runnel_peer_id id;
	if (s->resilience.on_breaker == NULL)
		return;
	values_put_peer_id(peer, &id);
	s->n_inside++;
	s->resilience.on_breaker(s->resilience.ctx, s->index, &id, public_of[state]);
	s->n_inside--;
}

static enum err climb(struct runnel_shard *s)
{
	s->is_closing = s->must_drain = s->is_told = s->is_closed = s->is_over = false;
	enum err e = dispatcher_new(&s->conf, &s->dispatcher);
	if (e != ERR_OK)
		return e;
	dispatch_link_init(s);
	postbox_open(&s->posts);
	s->n_inside++;
	e = lib_err_back(s->streams.ops->open_shard(s->streams.ctx, s, &s->here));
	s->n_inside--;
	return e;
}

/* From any height. */
static void descend(struct runnel_shard *s, bool is_open)
{
	s->is_over = true;
	postbox_close(&s->posts, is_open);
	if (is_open) {
		s->n_inside++;
		s->streams.ops->close_shard(s->here);
		s->n_inside--;
	}
	dispatch_link_deinit(s);
	s->dispatcher = dispatcher_free(s->dispatcher);
}

void *dispatch_shard_run(void *arg)
{
	struct runnel_shard *s = arg;
	enum err e = climb(s);
	if (e == ERR_OK) {
		dispatch_started(s, e);
		enum err run_err = loop_run(s->loop);
		if (run_err != ERR_OK)
			log_error("the event loop failed", "why=\"%s\"", err_text(run_err));
	}
	descend(s, e == ERR_OK);
	if (e != ERR_OK) {
		loop_drain(s->loop); /* it may start again */
		dispatch_started(s, e);
	}
	return NULL;
}

/* --- life ---------------------------------------------------------------------------- */

static enum err find(void *ctx, const struct ip_addr *ip, struct peer_id *ret_peer)
{
	const struct runnel_peer_discovery *d = ctx;
	struct runnel_ip public_ip;
	struct runnel_peer_id id = {.len = 0};
	values_put_ip(ip, &public_ip);
	enum err e = lib_err_back(d->ops->find(d->ctx, &public_ip, &id));
	return e == ERR_OK && !values_get_peer_id(&id, ret_peer) ? ERR_MALFORMED : e;
}

static uint32_t generation(void *ctx)
{
	const struct runnel_peer_discovery *d = ctx;
	return d->ops->generation == NULL ? 0 : d->ops->generation(d->ctx);
}

static const struct peer_discovery_ops discovery_ops = {.find = find, .generation = generation};

static enum err make_memory(struct runnel_shard *s, const struct runnel_dispatch_conf *conf)
{
	size_t small = conf->shard_packets;
	size_t large = conf->mtu > PACKET_SMALL_CAP ? small / SMALL_TO_LARGE : 0;
	size_t slots = (size_t)1 << (32 - __builtin_clz(conf->inbox_size - 1));
	enum err e = packet_pool_new(small, large, &s->packets);
	if (e == ERR_OK)
		e = inbox_new(slots, HEAD_LEN + conf->mtu, &s->inbox);
	s->tickets = calloc(small + large, sizeof(*s->tickets));
	if (s->tickets == NULL || e != ERR_OK)
		return ERR_NO_MEMORY;
	for (size_t i = small + large; i > 0; i--) {
		struct ticket *t = &s->tickets[i - 1];
		*t = (struct ticket){.base.done = on_done, .shard = s, .next = s->free_ticket};
		s->free_ticket = t;
	}
	return ERR_OK;
}

static void free_memory(struct runnel_shard *s)
{
	s->inbox = inbox_free(s->inbox);
	s->packets = packet_pool_free(s->packets);
	free(s->tickets);
	s->loop = loop_free(s->loop);
}

enum err dispatch_shard_init(struct runnel_shard *s, const struct dispatch_shard_conf *conf)
{
	memset(s, 0, sizeof(*s));
	s->owner = conf->owner;
	s->index = conf->index;
	s->mtu = conf->conf->mtu;
	s->streams = *conf->streams;
	s->discovery = *conf->discovery;
	s->resilience = *conf->resilience;
	s->bell.run = on_bell;
	enum err e = loop_uv_new(&s->loop);
	if (e == ERR_OK)
		e = make_memory(s, conf->conf);
	if (e != ERR_OK) {
		free_memory(s);
		return e;
	}
	postbox_init(&s->posts, s->loop);
	s->conf = (struct dispatcher_conf){
		.loop = s->loop,
		.discovery = {.ops = &discovery_ops, .ctx = &s->discovery},
		.streams = dispatch_link_service(s),
		.packets = s->packets,
		.metrics = &s->metrics,
		.on_breaker = on_breaker,
		.on_closed = on_closed,
		.ctx = s,
	};
	dispatch_conf_settings(conf->conf, conf->resilience, &s->conf.settings);
	return ERR_OK;
}

void dispatch_shard_deinit(struct runnel_shard *s)
{
	loop_drain(s->loop); /* a bell or a mail that came late */
	postbox_deinit(&s->posts);
	free_memory(s);
}
