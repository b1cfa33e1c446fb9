/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lane.c - see lane.h */
#include "vpn/node/lane.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/util.h"
#include "vpn/dispatch/receipt.h"
#include "vpn/node/spare.h"

/* What stands in the inbox beside a packet. */
struct tag {
	uint16_t from; /* shard */
	uint16_t is_flush;
	uint32_t peer;
	struct conn_key key;
};
static_assert(sizeof(struct tag) <= INBOX_TAG_LEN, "it fits");

/* --- mail ---------------------------------------------------------------------------- */

struct call {
	struct loop_mail mail;
	struct shard *shard;
	void (*run)(struct shard *s);
};

static void on_call(struct loop_mail *mail)
{
	struct call *call = CONTAINER_OF(mail, struct call, mail);
	call->run(call->shard);
	free(call);
}

bool lane_call(struct shard *s, void (*run)(struct shard *s))
{
	struct call *call = calloc(1, sizeof(*call));
	if (call == NULL)
		return false;
	*call = (struct call){.mail = {.run = on_call}, .shard = s, .run = run};
	loop_post(s->loop, &call->mail);
	return true;
}

/* --- connections that peers dial ----------------------------------------------------- */

struct delivery {
	struct loop_mail mail;
	struct shard *shard;
	struct conn_baton *baton;
};

static void on_delivery(struct loop_mail *mail)
{
	struct delivery *d = CONTAINER_OF(mail, struct delivery, mail);
	bool is_spare = conn_baton_lane(d->baton) >= LANES_PRIMARY;
	enum err e = swarm_adopt(is_spare ? d->shard->spare : d->shard->swarm, d->baton);
	if (e != ERR_OK)
		log_debug("lane not taken", "err=%s", err_name(e));
	free(d);
}

bool lane_takes(void *ctx, const struct peer_id *id, uint32_t lane)
{
	(void)id;
	const struct shard *s = ctx;
	uint32_t lanes = s->spare != NULL ? 2 * LANES_PRIMARY : LANES_PRIMARY;
	return lane < lanes && lane % LANES_PRIMARY < s->node->n_shards && !s->node->is_closing;
}

void lane_on_baton(void *ctx, struct conn_baton *baton)
{
	struct shard *s = ctx;
	struct delivery *d = calloc(1, sizeof(*d));
	if (d == NULL) {
		conn_baton_free(baton);
		return;
	}
	struct shard *to = &s->node->shards[conn_baton_lane(baton) % LANES_PRIMARY];
	*d = (struct delivery){.mail = {.run = on_delivery}, .shard = to, .baton = baton};
	loop_post(to->loop, &d->mail);
}

/* --- packets: shard k hands over ----------------------------------------------------- */

/* As inbox_put(). */
static enum err put(struct shard *s, struct span packet, const struct tag *tag, void *ticket)
{
	struct shard *home = &s->node->shards[0];
	struct inbox_meta meta = {.ticket = ticket};
	bool must_wake;
	memcpy(meta.tag, tag, sizeof(*tag));
	enum err e = inbox_put(home->inbox, packet, &meta, &must_wake);
	if (e == ERR_OK && must_wake)
		loop_post(home->loop, &home->doorbell);
	return e;
}

void lane_hand_over(void *ctx, const struct peer_id *peer, struct packet *packet,
		    const struct conn_key *key)
{
	struct shard *s = ctx;
	struct tag tag = {
		.from = (uint16_t)s->index,
		.peer = static_table_find_id(s->node->table, peer),
		.key = *key,
	};
	enum err e = put(s, packet_view(packet), &tag, NULL);
	if (e != ERR_OK) {
		packet_end(packet, &s->metrics,
			   e == ERR_TOO_LONG ? DROP_TOO_BIG : DROP_HANDOFF_FULL);
		return;
	}
	s->uses[tag.peer].handed_packets++;
	metrics_add(&s->metrics, COUNTER_HANDOFFS, 1);
	packet_free(packet);
}

/* A request that shard 0 works on, and its way back. */
struct lane_flush {
	struct flush flush;
	struct loop_mail back;
	struct shard *from;
	bool is_used;  /* shard k's */
	uint32_t peer; /* whose key */
};

static void on_flushed_here(struct loop_mail *mail)
{
	struct lane_flush *f = CONTAINER_OF(mail, struct lane_flush, back);
	f->is_used = false;
	dispatcher_flushed(f->from->dispatcher, &f->flush.key);
}

static void on_flush_done(struct flush *flush)
{
	struct lane_flush *f = CONTAINER_OF(flush, struct lane_flush, flush);
	loop_post(f->from->loop, &f->back);
}

/* A record that is free; NULL: none is, or the peer has its part of them. One that does not answer
 * must not hold up the keys of others. */
static struct lane_flush *free_flush(struct shard *s, uint32_t peer)
{
	struct lane_flush *found = NULL;
	size_t n_of_peer = 0;
	for (size_t i = 0; i < LANE_FLUSHES; i++) {
		struct lane_flush *f = &s->flushes[i];
		if (!f->is_used)
			found = f;
		else
			n_of_peer += f->peer == peer;
	}
	return n_of_peer < LANE_FLUSHES_PER_PEER ? found : NULL;
}

bool lane_flush(void *ctx, const struct peer_id *id, const struct conn_key *key)
{
	struct shard *s = ctx;
	loop_assert_here(s->loop);
	static const uint8_t nothing[1];
	uint32_t peer = static_table_find_id(s->node->table, id);
	struct lane_flush *f = free_flush(s, peer);
	if (f == NULL)
		return false;
	f->peer = peer;
	f->flush.key = *key;
	struct tag tag = {.from = (uint16_t)s->index, .is_flush = true, .key = *key};
	/* Behind all that was handed over: the inbox keeps the order. */
	f->is_used = put(s, span_of(nothing, sizeof(nothing)), &tag, f) == ERR_OK;
	return f->is_used;
}

/* --- packets: shard 0 takes over ----------------------------------------------------- */

static void count_handed(struct shard *home, const struct tag *tag, size_t len)
{
	struct lane_demand *demand =
		&home->demands[(size_t)tag->peer * home->node->n_shards + tag->from];
	demand->bytes += len;
}

static struct packet *take_packet(struct shard *home, const struct inbox_item *item)
{
	struct packet *packet = packet_alloc(home->pool, item->len);
	if (packet == NULL) {
		metrics_drop(&home->metrics, DROP_POOL_EMPTY, item->len);
		return NULL;
	}
	memcpy(packet->data, item->data, item->len);
	packet->len = (uint32_t)item->len;
	return packet;
}

/* Up to LANE_BATCH, those that are dropped for lack of room included: what would free some has to
 * have its turn. false: nothing was there. */
static bool take_batch(struct shard *home)
{
	struct packet *packets[LANE_BATCH];
	size_t n = 0;
	struct inbox_item item;
	bool any = false;
	for (size_t i = 0; i < LANE_BATCH && inbox_peek(home->inbox, &item); i++) {
		struct tag tag;
		memcpy(&tag, item.meta.tag, sizeof(tag));
		any = true;
		if (tag.is_flush) {
			dispatcher_send_all(home->dispatcher, packets, n);
			n = 0;
			struct lane_flush *f = item.meta.ticket;
			flush_begin(home->dispatcher, &f->flush);
		} else {
			struct packet *packet = take_packet(home, &item);
			count_handed(home, &tag, item.len);
			if (packet != NULL)
				packets[n++] = packet;
		}
		inbox_pop(home->inbox);
	}
	dispatcher_send_all(home->dispatcher, packets, n);
	return any;
}

static void on_doorbell(struct loop_mail *mail)
{
	struct shard *home = CONTAINER_OF(mail, struct shard, doorbell);
	inbox_wake(home->inbox);
	while (!take_batch(home)) {
		if (inbox_sleep(home->inbox))
			return;
	}
	/* Others have their turn, then we look again. */
	loop_post(home->loop, mail);
}

/* --- lanes that we dial -------------------------------------------------------------- */

struct wish {
	struct loop_mail mail;
	struct shard *shard;
	uint32_t peer;
	struct multiaddr addr;
};

/* On shard k. */
static void on_wish(struct loop_mail *mail)
{
	struct wish *wish = CONTAINER_OF(mail, struct wish, mail);
	struct shard *s = wish->shard;
	const struct config_peer *peer = s->node->peers[wish->peer].conf;
	struct lane_use *use = &s->uses[wish->peer];
	if (use->is_ours) { /* still dialled, perhaps where the peer is no more */
		swarm_learn_addrs(s->swarm, &peer->id, &wish->addr, 1);
		swarm_demand(s->swarm, &peer->id);
	} else if (!s->is_closing &&
		   swarm_add_peer(s->swarm, &peer->id, &wish->addr, 1) == ERR_OK) {
		*use = (struct lane_use){.is_ours = true, .used_at = loop_now(s->loop)};
		log_debug("lane wanted", "peer=%s lane=%u", peer->name, s->index);
	}
	free(wish);
}

/* Where lane 0 leads, the others will too. */
static void dial(struct shard *home, uint32_t peer, uint32_t lane, const struct multiaddr *addr)
{
	struct wish *wish = calloc(1, sizeof(*wish));
	if (wish == NULL)
		return;
	*wish = (struct wish){
		.mail = {.run = on_wish}, .shard = &home->node->shards[lane], .peer = peer};
	wish->addr = *addr;
	loop_post(wish->shard->loop, &wish->mail);
}

static void wish_for(struct shard *home, uint32_t peer, uint32_t lane)
{
	const struct peer_id *id = &home->node->peers[peer].conf->id;
	struct swarm_peer_info info;
	if (swarm_peer_info(home->swarm, id, &info) != ERR_OK || !info.is_connected)
		return;
	if (info.is_outbound) {
		dial(home, peer, lane, &info.remote);
		return;
	}
	uint8_t frame[FRAME_HEADER_LEN + FRAME_DIAL_LANE_LEN];
	struct wbuf out = wbuf_of(frame, sizeof(frame));
	frame_put_dial_lane(&out, (uint16_t)lane);
	dispatcher_tell(home->dispatcher, id, wbuf_view(&out));
}

void lane_dial(struct shard *s, uint32_t peer, uint32_t lane)
{
	loop_assert_here(s->loop);
	const struct peer_id *id = &s->node->peers[peer].conf->id;
	nsec_t now = loop_now(s->loop);
	struct swarm_peer_info info;
	if (lane == LANES_PRIMARY + s->index)
		spare_asked(s, peer);
	if (s->index != 0 || lane == 0 || lane >= MIN(s->node->n_shards, (size_t)LANES_PRIMARY))
		return;
	/* It may ask as often as it likes: it is heard as often as we ask ourselves. */
	struct lane_demand *demand = &s->demands[(size_t)peer * s->node->n_shards + lane];
	if (now < demand->asked_at)
		return;
	demand->asked_at = nsec_add(now, LANE_LOOK);
	if (swarm_peer_info(s->swarm, id, &info) == ERR_OK && info.is_connected && info.is_outbound)
		dial(s, peer, lane, &info.remote);
}

void lane_on_up(struct node *n, uint32_t peer)
{
	n->peers[peer].lanes = 0; /* until it says */
	for (size_t i = 1; i < n->n_shards; i++) {
		struct lane_demand *demand = &n->shards[0].demands[peer * n->n_shards + i];
		demand->again_at = demand->asked_at = 0;
	}
}

/* On shard 0: who hands over much? */
static void look_for_demand(struct shard *home, nsec_t now)
{
	struct node *n = home->node;
	for (size_t i = 0; i < n->n_peers * n->n_shards; i++) {
		struct lane_demand *demand = &home->demands[i];
		uint32_t peer = (uint32_t)(i / n->n_shards), lane = (uint32_t)(i % n->n_shards);
		bool is_much = demand->bytes >= LANE_WORTH;
		demand->bytes = 0;
		if (!is_much || lane >= n->peers[peer].lanes || now < demand->again_at)
			continue;
		demand->again_at = nsec_add(now, LANE_AGAIN);
		wish_for(home, peer, lane);
	}
}

/* On shard k: which of our lanes does nobody use? */
static void look_for_idle(struct shard *s, nsec_t now)
{
	for (uint32_t i = 0; i < s->node->n_peers; i++) {
		struct lane_use *use = &s->uses[i];
		const struct peer_id *id = &s->node->peers[i].conf->id;
		struct dispatch_peer_info info;
		dispatcher_peer_info(s->dispatcher, id, &info);
		shard_publish(s, i, &info);
		bool is_missed = use->handed_packets > 0;
		use->handed_packets = 0;
		if (!use->is_ours)
			continue;
		if (is_missed) {
			swarm_demand(s->swarm, id);
			use->used_at = now;
		}
		uint64_t bytes = info.sent_bytes + s->peers[i].rx_bytes;
		if (bytes != use->bytes)
			use->used_at = now;
		use->bytes = bytes;
		if (nsec_since(now, use->used_at) < LANE_IDLE)
			continue;
		use->is_ours = false;
		swarm_remove_peer(s->swarm, id);
	}
}

static void on_look(struct loop_timer *timer, nsec_t now)
{
	struct shard *s = CONTAINER_OF(timer, struct shard, look);
	if (s->index > 0) {
		look_for_idle(s, now);
		shard_tell(s);
	} else if (s->node->n_shards > 1) {
		look_for_demand(s, now);
	}
	if (s->spare != NULL)
		spare_look(s, now);
	loop_timer_set(timer, nsec_add(now, LANE_LOOK));
}

/* --- life ---------------------------------------------------------------------------- */

static enum err init_home(struct shard *home)
{
	struct node *n = home->node;
	size_t mtu = n->conf.config->interface.mtu;
	home->doorbell.run = on_doorbell;
	home->demands = calloc(n->n_peers * n->n_shards + 1, sizeof(*home->demands));
	if (home->demands == NULL)
		return ERR_NO_MEMORY;
	return inbox_new(LANE_INBOX, mtu, &home->inbox);
}

static enum err init_other(struct shard *s)
{
	s->uses = calloc(s->node->n_peers + 1, sizeof(*s->uses));
	s->flushes = calloc(LANE_FLUSHES, sizeof(*s->flushes));
	if (s->uses == NULL || s->flushes == NULL)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < LANE_FLUSHES; i++) {
		struct lane_flush *f = &s->flushes[i];
		f->flush.done = on_flush_done;
		f->back.run = on_flushed_here;
		f->from = s;
	}
	return ERR_OK;
}

enum err lane_init(struct node *n)
{
	enum err e = ERR_OK;
	for (size_t i = 0; i < n->n_shards && n->n_shards > 1 && e == ERR_OK; i++) {
		struct shard *s = &n->shards[i];
		e = i == 0 ? init_home(s) : init_other(s);
	}
	return e;
}

void lane_deinit(struct node *n)
{
	for (size_t i = 0; i < n->n_shards; i++) {
		struct shard *s = &n->shards[i];
		struct inbox_item item;
		while (s->inbox != NULL && inbox_peek(s->inbox, &item))
			inbox_pop(s->inbox);
		s->inbox = inbox_free(s->inbox);
		free(s->demands);
		free(s->uses);
		free(s->flushes);
	}
}

void lane_start(struct shard *s)
{
	loop_timer_init(&s->look, s->loop, on_look);
	if (s->node->n_shards > 1 || s->spare != NULL)
		loop_timer_set(&s->look, nsec_add(loop_now(s->loop), LANE_LOOK));
}

void lane_stop(struct shard *s)
{
	if (s->look.fire != NULL)
		loop_timer_stop(&s->look);
}
