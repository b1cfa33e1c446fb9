/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* reorder_table.c - see reorder_table.h */
#include "vpn/stream/reorder_table.h"

void reorder_table_init(struct reorder_table *t)
{
	*t = (struct reorder_table){0};
}

static void release(struct reorder_group *g)
{
	g->reorder = reorder_free(g->reorder);
}

void reorder_table_deinit(struct reorder_table *t)
{
	for (size_t i = 0; i < REORDER_GROUPS_MAX; i++)
		release(&t->groups[i]);
}

static struct reorder_group *find(struct reorder_table *t, uint32_t id)
{
	for (size_t i = 0; i < REORDER_GROUPS_MAX; i++) {
		struct reorder_group *g = &t->groups[i];
		if (g->reorder != NULL && g->id == id)
			return g;
	}
	return NULL;
}

static bool has_ended(const struct reorder_table *t, uint32_t id)
{
	size_t n = t->n_ended < REORDER_ENDED_MAX ? t->n_ended : REORDER_ENDED_MAX;
	for (size_t i = 0; i < n; i++)
		if (t->ended[i] == id)
			return true;
	return false;
}

static void release_if_done(struct reorder_table *t, struct reorder_group *g)
{
	if (!reorder_is_done(g->reorder))
		return;
	t->ended[t->n_ended++ % REORDER_ENDED_MAX] = g->id;
	release(g);
}

/* A free place, or that of the group that was unused the longest. */
static struct reorder_group *find_place(struct reorder_table *t)
{
	struct reorder_group *oldest = &t->groups[0];
	for (size_t i = 0; i < REORDER_GROUPS_MAX; i++) {
		struct reorder_group *g = &t->groups[i];
		if (g->reorder == NULL)
			return g;
		if (g->used_at < oldest->used_at)
			oldest = g;
	}
	return oldest;
}

static enum err begin(struct reorder_table *t, const struct frame_seq *at,
		      const struct reorder_sink *sink, struct reorder_group **ret)
{
	struct reorder_group *g = find_place(t);
	if (g->reorder != NULL) {
		reorder_flush(g->reorder, sink);
		reorder_restart(g->reorder, at->seq);
		t->evicted++;
	} else {
		enum err e = reorder_new(at->seq, &t->counts, &g->reorder);
		if (e != ERR_OK)
			return e;
	}
	g->id = at->group;
	t->begun++;
	*ret = g;
	return ERR_OK;
}

enum err reorder_table_take(struct reorder_table *t, const struct frame_seq *at, struct span packet,
			    const struct offload *offload, nsec_t now,
			    const struct reorder_sink *sink, enum reorder_outcome *ret_outcome)
{
	struct reorder_group *g = find(t, at->group);
	if (g == NULL) {
		if (has_ended(t, at->group)) {
			t->counts.late++;
			*ret_outcome = REORDER_LATE;
			return ERR_OK;
		}
		enum err e = begin(t, at, sink, &g);
		if (e != ERR_OK)
			return e;
	}
	*ret_outcome = reorder_take(g->reorder, at->seq, packet, offload, now, sink);
	if (*ret_outcome != REORDER_LATE) /* a peer that began anew with old numbers is not stuck */
		g->used_at = now;
	release_if_done(t, g);
	return ERR_OK;
}

void reorder_table_end(struct reorder_table *t, const struct frame_seq *end, nsec_t now)
{
	struct reorder_group *g = find(t, end->group);
	if (g == NULL)
		return;
	reorder_end(g->reorder, end->seq, now);
	release_if_done(t, g);
}

nsec_t reorder_table_deadline(const struct reorder_table *t)
{
	nsec_t deadline = NSEC_NEVER;
	for (size_t i = 0; i < REORDER_GROUPS_MAX; i++) {
		const struct reorder_group *g = &t->groups[i];
		if (g->reorder == NULL)
			continue;
		deadline = nsec_min(deadline, reorder_deadline(g->reorder));
		deadline = nsec_min(deadline, nsec_add(g->used_at, REORDER_IDLE));
	}
	return deadline;
}

void reorder_table_expire(struct reorder_table *t, nsec_t now, const struct reorder_sink *sink)
{
	for (size_t i = 0; i < REORDER_GROUPS_MAX; i++) {
		struct reorder_group *g = &t->groups[i];
		if (g->reorder == NULL)
			continue;
		reorder_expire(g->reorder, now, sink);
		release_if_done(t, g);
		if (g->reorder != NULL && nsec_add(g->used_at, REORDER_IDLE) <= now)
			release(g);
	}
}

size_t reorder_table_groups(const struct reorder_table *t)
{
	size_t n = 0;
	for (size_t i = 0; i < REORDER_GROUPS_MAX; i++)
		n += t->groups[i].reorder != NULL;
	return n;
}

size_t reorder_table_kept(const struct reorder_table *t)
{
	size_t n = 0;
	for (size_t i = 0; i < REORDER_GROUPS_MAX; i++)
		if (t->groups[i].reorder != NULL)
			n += reorder_kept(t->groups[i].reorder);
	return n;
}
