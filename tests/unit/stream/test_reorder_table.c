/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include "base/util.h"
#include "vpn/stream/reorder_table.h"

static const struct offload plain;

/* What was delivered: two numbers in each packet. */
static struct frame_seq delivered[100000];
static size_t n_delivered;

static void note(void *ctx, struct span packet, const struct offload *offload)
{
	(void)ctx;
	(void)offload;
	assert_true(packet.len == FRAME_SEQ_LEN && n_delivered < ARRAY_LEN(delivered));
	delivered[n_delivered++] = frame_parse_seq(packet.p);
}

static const struct reorder_sink sink = {.deliver = note};

static enum reorder_outcome take(struct reorder_table *t, uint32_t group, uint32_t seq, nsec_t now)
{
	struct frame_seq at = {.group = group, .seq = seq};
	uint8_t bytes[FRAME_SEQ_LEN];
	store_be32(bytes, group);
	store_be32(bytes + 4, seq);
	enum reorder_outcome outcome;
	assert_ok(reorder_table_take(t, &at, span_of(bytes, sizeof(bytes)), &plain, now, &sink,
				     &outcome));
	return outcome;
}

static void end(struct reorder_table *t, uint32_t group, uint32_t seq, nsec_t now)
{
	reorder_table_end(t, &(struct frame_seq){.group = group, .seq = seq}, now);
}

static void assert_delivered(size_t i, uint32_t group, uint32_t seq)
{
	assert_true(i < n_delivered);
	assert_int_equal(delivered[i].group, group);
	assert_int_equal(delivered[i].seq, seq);
}

static struct reorder_table table;

static int set_up(void **state)
{
	reorder_table_init(&table);
	n_delivered = 0;
	*state = &table;
	return 0;
}

static int tear_down(void **state)
{
	reorder_table_deinit(*state);
	return 0;
}

static void test_groups_do_not_wait_for_each_other(void **state)
{
	struct reorder_table *t = *state;
	assert_int_equal(reorder_table_deadline(t), NSEC_NEVER);
	assert_int_equal(take(t, 7, 1, 0), REORDER_KEPT);
	assert_int_equal(take(t, UINT32_MAX, 0, 1), REORDER_DELIVERED);
	assert_int_equal(take(t, UINT32_MAX, 1, 2), REORDER_DELIVERED);
	assert_int_equal(reorder_table_groups(t), 2);
	assert_int_equal(reorder_table_kept(t), 1);
	assert_int_equal(n_delivered, 2);
	assert_int_equal(take(t, 7, 0, 3), REORDER_DELIVERED);
	assert_delivered(2, 7, 0);
	assert_delivered(3, 7, 1);
	assert_int_equal(t->counts.delivered, 4);
}

static void test_the_nearest_deadline_is_the_tables(void **state)
{
	struct reorder_table *t = *state;
	take(t, 1, 0, 5);
	assert_int_equal(reorder_table_deadline(t), 5 + REORDER_IDLE);
	take(t, 2, 9, 20);
	take(t, 3, 9, 10);
	assert_int_equal(reorder_table_deadline(t), 10 + REORDER_WAIT);
	reorder_table_expire(t, 10 + REORDER_WAIT, &sink);
	assert_int_equal(n_delivered, 2);
	assert_delivered(1, 3, 9);
	assert_int_equal(reorder_table_deadline(t), 20 + REORDER_WAIT);
	reorder_table_expire(t, 20 + REORDER_WAIT, &sink);
	assert_delivered(2, 2, 9);
	assert_int_equal(t->counts.missing, 18);
}

static void test_one_group_more_ends_the_one_unused_the_longest(void **state)
{
	struct reorder_table *t = *state;
	for (uint32_t g = 0; g < REORDER_GROUPS_MAX; g++)
		assert_int_equal(take(t, g, 1, g), REORDER_KEPT);
	assert_int_equal(take(t, 0, 2, 100), REORDER_KEPT);
	assert_int_equal(n_delivered, 0);
	/* 0 was used since; 1 makes room, and what it kept is not lost. */
	assert_int_equal(take(t, 99, 0, 101), REORDER_DELIVERED);
	assert_int_equal(reorder_table_groups(t), REORDER_GROUPS_MAX);
	assert_int_equal(t->evicted, 1);
	assert_delivered(0, 1, 1);
	assert_delivered(1, 99, 0);
	/* It goes on: as a group that begins there. */
	assert_int_equal(take(t, 1, 5000, 102), REORDER_KEPT);
	assert_delivered(2, 2, 1);
	assert_int_equal(take(t, 0, 0, 103), REORDER_DELIVERED);
	assert_delivered(5, 0, 2);
}

static void test_packets_of_an_ended_group_are_late(void **state)
{
	struct reorder_table *t = *state;
	assert_int_equal(take(t, 5, 0, 0), REORDER_DELIVERED);
	end(t, 6, 0, 0);
	end(t, 5, 2, 0);
	assert_int_equal(reorder_table_groups(t), 1);
	assert_int_equal(take(t, 5, 1, 1), REORDER_DELIVERED);
	assert_int_equal(reorder_table_groups(t), 0);
	assert_int_equal(reorder_table_deadline(t), NSEC_NEVER);
	assert_int_equal(take(t, 5, 1, 2), REORDER_LATE);
	assert_int_equal(t->counts.late, 1);
	/* ... up to so many further ones. */
	for (uint32_t g = 100; g < 100 + REORDER_ENDED_MAX - 1; g++) {
		take(t, g, 0, 3);
		end(t, g, 1, 3);
	}
	assert_int_equal(reorder_table_groups(t), 0);
	assert_int_equal(take(t, 5, 1, 4), REORDER_LATE);
	take(t, 200, 0, 5);
	end(t, 200, 1, 5);
	assert_int_equal(take(t, 5, 0, 6), REORDER_DELIVERED);
}

static void test_what_is_missing_before_an_end_is_waited_for(void **state)
{
	struct reorder_table *t = *state;
	take(t, 5, 0, 0);
	end(t, 5, 3, 10);
	take(t, 5, 2, 20);
	reorder_table_expire(t, 9 + REORDER_WAIT, &sink);
	assert_int_equal(reorder_table_groups(t), 1);
	assert_int_equal(reorder_table_deadline(t), 10 + REORDER_WAIT);
	reorder_table_expire(t, 10 + REORDER_WAIT, &sink);
	assert_int_equal(reorder_table_groups(t), 0);
	assert_delivered(1, 5, 2);
	assert_int_equal(take(t, 5, 1, 21), REORDER_LATE);
}

static void test_groups_without_packets_are_forgotten(void **state)
{
	struct reorder_table *t = *state;
	take(t, 1, 0, 0);
	take(t, 2, 0, 50);
	take(t, 3, 1, 0);
	reorder_table_expire(t, REORDER_IDLE - 1, &sink);
	assert_int_equal(reorder_table_groups(t), 3);
	/* Far too late: what was kept came out first. */
	take(t, 4, 5, 50);
	reorder_table_expire(t, REORDER_IDLE, &sink);
	assert_int_equal(reorder_table_groups(t), 2);
	assert_int_equal(reorder_table_deadline(t), 50 + REORDER_IDLE);
	assert_int_equal(t->counts.delivered, 4);
	/* It begins again where it is. */
	assert_int_equal(take(t, 1, 1, REORDER_IDLE), REORDER_KEPT);
	assert_int_equal(take(t, 1, 0, REORDER_IDLE), REORDER_DELIVERED);
}

/* Groups and numbers at random: so many groups, so many packets, and every packet that is counted
 * as delivered was. */
static void test_a_hostile_peer_costs_no_more_than_the_limits(void **state)
{
	struct reorder_table *t = *state;
	uint64_t taken = 0, refused = 0;
	nsec_t now = 0;
	for (unsigned i = 0; i < 60000; i++) {
		uint64_t r = testkit_random();
		uint32_t group = r % 3 == 0 ? (uint32_t)testkit_random() : (uint32_t)(r >> 8) % 20;
		uint32_t seq = (r >> 16) % 8 == 0 ? (uint32_t)testkit_random()
						  : (uint32_t)(r >> 24) % 3000;
		now += (r >> 40) % NSEC_PER_MSEC;
		if ((r >> 60) == 0) {
			end(t, group, seq, now);
			continue;
		}
		enum reorder_outcome outcome = take(t, group, seq, now);
		refused += outcome == REORDER_LATE || outcome == REORDER_DUPLICATE;
		taken++;
		assert_true(reorder_table_groups(t) <= REORDER_GROUPS_MAX);
		assert_true(reorder_table_kept(t) < REORDER_GROUPS_MAX * REORDER_PACKETS_MAX);
		if (reorder_table_deadline(t) <= now)
			reorder_table_expire(t, now, &sink);
		assert_true(reorder_table_deadline(t) > now);
	}
	now += REORDER_WAIT;
	reorder_table_expire(t, now, &sink);
	assert_int_equal(reorder_table_kept(t), 0);
	assert_int_equal(t->counts.delivered, n_delivered);
	assert_int_equal(t->counts.late + t->counts.duplicate, refused);
	assert_int_equal(n_delivered + refused, taken);
	assert_true(t->evicted > 1000 && t->counts.kept > 1000 && refused > 100);
	reorder_table_expire(t, now + REORDER_IDLE, &sink);
	assert_int_equal(reorder_table_groups(t), 0);
}

#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_TABLE(test_groups_do_not_wait_for_each_other),
		WITH_TABLE(test_the_nearest_deadline_is_the_tables),
		WITH_TABLE(test_one_group_more_ends_the_one_unused_the_longest),
		WITH_TABLE(test_packets_of_an_ended_group_are_late),
		WITH_TABLE(test_what_is_missing_before_an_end_is_waited_for),
		WITH_TABLE(test_groups_without_packets_are_forgotten),
		WITH_TABLE(test_a_hostile_peer_costs_no_more_than_the_limits),
	};
	return cmocka_run_group_tests_name("reorder_table", tests, NULL, NULL);
}
