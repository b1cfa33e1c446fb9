/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_reorder.c - what one peer can do to its groups
 *
 * Steps of six bytes: what (1), group (1), number (2), length (1), time (1). Each packet says its
 * group and number; those of a group come out in order, each at most once, whole, and in time.
 * A group that had to make room may begin again anywhere: its order starts anew then.
 */
#include <stdlib.h>

#include "vpn/stream/reorder_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum {
	STEP_LEN = 6,
	GROUPS = 32, /* more than the table holds */
	HEAD_LEN = 4 + FRAME_SEQ_LEN,
};

struct state {
	struct reorder_table table;
	struct {
		bool is_begun;
		uint32_t due; /* behind the number that came out last, in this life of the group */
	} groups[GROUPS];
	uint64_t delivered;
	nsec_t now;
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static uint32_t sum(const uint8_t *p, size_t len)
{
	uint32_t digest = 0x811c9dc5;
	for (size_t i = 0; i < len; i++)
		digest = (digest ^ p[i]) * 0x01000193;
	return digest;
}

static void deliver(void *ctx, struct span packet, const struct offload *offload)
{
	struct state *s = ctx;
	require(packet.len > HEAD_LEN && load_be32(packet.p) == sum(packet.p + 4, packet.len - 4));
	struct frame_seq at = frame_parse_seq(packet.p + 4);
	require(at.group < GROUPS && offload->gso_size == (uint16_t)at.seq);
	/* Up to 2^31 - 1 ahead of the number that was due. */
	require(!s->groups[at.group].is_begun || (int32_t)(at.seq - s->groups[at.group].due) >= 0);
	s->groups[at.group].is_begun = true;
	s->groups[at.group].due = at.seq + 1;
	s->delivered++;
}

/* Lives that ended: nothing is known of their next one. */
static void forget_dead(struct state *s)
{
	for (uint32_t id = 0; id < GROUPS; id++) {
		bool is_live = false;
		for (size_t i = 0; i < REORDER_GROUPS_MAX; i++) {
			const struct reorder_group *g = &s->table.groups[i];
			is_live = is_live || (g->reorder != NULL && g->id == id);
		}
		if (!is_live)
			s->groups[id].is_begun = false;
	}
}

static void take(struct state *s, struct frame_seq at, size_t packet_len)
{
	uint8_t *packet = malloc(packet_len);
	require(packet != NULL);
	memset(packet, (uint8_t)(at.seq * 7 + at.group), packet_len);
	store_be32(packet + 4, at.group);
	store_be32(packet + 8, at.seq);
	store_be32(packet, sum(packet + 4, packet_len - 4));
	const struct offload offload = {.gso_size = (uint16_t)at.seq};
	const struct reorder_sink sink = {.deliver = deliver, .ctx = s};
	enum reorder_outcome outcome;
	require(reorder_table_take(&s->table, &at, span_of(packet, packet_len), &offload, s->now,
				   &sink, &outcome) == ERR_OK);
	free(packet);
}

static void step(struct state *s, const uint8_t in[STEP_LEN])
{
	struct frame_seq at = {.group = in[1] % GROUPS, .seq = load_be16(in + 2)};
	/* Near the begin, around the wrap, or anywhere. */
	if ((in[0] & 0x0c) == 0x04)
		at.seq += UINT32_MAX - 0x8000;
	else if ((in[0] & 0x0c) == 0x08)
		at.seq <<= 16;
	s->now += in[5] * ((in[0] & 0x10) != 0 ? NSEC_PER_SEC : 100 * NSEC_PER_USEC);
	const struct reorder_sink sink = {.deliver = deliver, .ctx = s};
	if ((in[0] & 3) == 3)
		reorder_table_end(&s->table, &at, s->now);
	else
		take(s, at, HEAD_LEN + 1 + in[4] * ((in[0] & 0x20) != 0 ? 250u : 1u));
	if (reorder_table_deadline(&s->table) <= s->now)
		reorder_table_expire(&s->table, s->now, &sink);
	require(reorder_table_deadline(&s->table) > s->now);
	require(reorder_table_groups(&s->table) <= REORDER_GROUPS_MAX);
	require(s->delivered == s->table.counts.delivered);
	forget_dead(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct state s = {.now = 0};
	reorder_table_init(&s.table);
	for (; len >= STEP_LEN; data += STEP_LEN, len -= STEP_LEN)
		step(&s, data);
	const struct reorder_sink sink = {.deliver = deliver, .ctx = &s};
	reorder_table_expire(&s.table, nsec_add(s.now, REORDER_WAIT), &sink);
	require(reorder_table_kept(&s.table) == 0);
	reorder_table_deinit(&s.table);
	return 0;
}
