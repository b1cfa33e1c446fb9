/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* runnel_dispatch() allocates nothing and takes no lock in its caller's thread: counted. */
#include "desk.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "support/call_count.h"

enum {
	CALLS = 100000,
	WARM_UP = 1000,
	PORTS = 200,
};

static _Atomic uint64_t n_ended;
static uint64_t n_with_callback;

static void on_end(void *ctx, enum runnel_drop outcome)
{
	(void)ctx, (void)outcome;
	atomic_fetch_add(&n_ended, 1);
}

static void on_arrival(const uint8_t *packet)
{
	(void)packet;
}

/* What is full for now is asked again: that counts as well. */
static void dispatch(uint32_t i)
{
	static const struct runnel_conn_key key = {
		.destination = {.family = 4, .bytes = {10, 7, 0, 9}},
		.source_port = 5,
		.destination_port = 7};
	static const struct runnel_ip ip = {.family = 4, .bytes = {10, 7, 1, 1}};
	static uint8_t packets[PORTS][DESK_PACKET_MAX];
	static size_t len;
	if (len == 0) {
		for (uint16_t j = 0; j < PORTS; j++)
			len = desk_packet("10.7.0.1", (uint16_t)(1000 + j), j, packets[j]);
	}
	const uint8_t *packet = packets[i % PORTS];
	enum runnel_err e;
	for (;;) {
		if (i % 3 == 0)
			e = runnel_dispatch(desk.dispatcher, NULL, NULL, packet, len);
		else if (i % 3 == 1)
			e = runnel_dispatch(desk.dispatcher, &key, &ip, packet, len);
		else
			e = runnel_dispatch_with_callback(desk.dispatcher, NULL, NULL, packet, len,
							  on_end, NULL);
		if (e != RUNNEL_ERR_FULL)
			break;
		sched_yield();
	}
	assert_public_ok(e);
	n_with_callback += i % 3 == 2;
}

static void test_calls_of_dispatch_do_not_allocate_or_lock(void **state)
{
	(void)state;
	desk.on_arrival = on_arrival;
	desk_start();
	for (uint32_t i = 0; i < WARM_UP; i++)
		dispatch(i);
	struct call_count before = call_count_now();
	for (uint32_t i = 0; i < CALLS; i++)
		dispatch(i);
	struct call_count after = call_count_now();
	assert_int_equal(after.allocations - before.allocations, 0);
	assert_int_equal(after.frees - before.frees, 0);
	assert_int_equal(after.locks - before.locks, 0);
	assert_public_ok(runnel_dispatcher_stop(desk.dispatcher, RUNNEL_FOREVER, NULL));
	assert_int_equal(desk_metric(RUNNEL_METRIC_GIVEN_PACKETS), WARM_UP + CALLS);
	assert_int_equal(atomic_load(&n_ended), n_with_callback);
}

/* Nor what refuses a packet. */
static void test_refusals_do_not_allocate_or_lock(void **state)
{
	(void)state;
	uint8_t packet[DESK_PACKET_MAX];
	size_t len = desk_packet("10.7.0.1", 1, 1, packet);
	desk.on_arrival = on_arrival;
	desk.conf.shards = 1;
	desk_start();
	desk_hold();
	assert_public_ok(desk_send("10.7.0.1", 1, 1));
	desk_lock();
	while (!desk.is_inside)
		desk_wait();
	desk_unlock();
	while (runnel_dispatch(desk.dispatcher, NULL, NULL, packet, len) == RUNNEL_ERR_OK)
		;
	struct call_count before = call_count_now();
	for (unsigned i = 0; i < 1000; i++) {
		if (runnel_dispatch(desk.dispatcher, NULL, NULL, packet, len) != RUNNEL_ERR_FULL ||
		    runnel_dispatch(desk.dispatcher, NULL, NULL, packet, 3) !=
			    RUNNEL_ERR_MALFORMED ||
		    runnel_dispatch(desk.dispatcher, NULL, NULL, packet, SIZE_MAX) !=
			    RUNNEL_ERR_TOO_LONG)
			fail();
	}
	struct call_count after = call_count_now();
	desk_release();
	assert_int_equal(after.allocations - before.allocations, 0);
	assert_int_equal(after.frees - before.frees, 0);
	assert_int_equal(after.locks - before.locks, 0);
}

/* Else the zeros above would say nothing. */
static void test_calls_of_the_library_are_counted(void **state)
{
	(void)state;
	struct call_count before = call_count_now();
	desk_start();
	struct call_count after = call_count_now();
	assert_true(after.allocations > before.allocations);
	assert_true(after.locks > before.locks);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, desk_setup, desk_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_calls_of_dispatch_do_not_allocate_or_lock),
		TEST(test_refusals_do_not_allocate_or_lock),
		TEST(test_calls_of_the_library_are_counted),
	};
	return cmocka_run_group_tests_name("dispatch_calls", tests, NULL, NULL);
}
