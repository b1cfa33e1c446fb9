/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * conformance.h - what every loop must do, whatever it stands on
 *
 * Each implementation's test sets up a struct conformance as its cmocka state and runs
 * CONFORMANCE_TESTS.
 */
#pragma once

#include "loop/loop.h"
#include "support/testkit.h"

struct conformance {
	struct loop *a, *b; /* a dials, b listens; may be one loop */
	union netaddr at;   /* where b may listen; port 0 */
	const char *good_name, *bad_name;
	/* Turn both loops until done(ctx): false if 10 s did not suffice. */
	bool (*turn_until)(struct conformance *c, bool (*done)(void *ctx), void *ctx);
	void *impl;
};

void test_bytes_come_back_from_an_echo(void **state);
void test_dial_without_listener_is_refused(void **state);
void test_bytes_before_eof_are_read_before_eof(void **state);
void test_abort_is_a_reset_for_the_peer(void **state);
void test_full_pipe_says_again_then_becomes_writable(void **state);
void test_sock_may_close_itself_in_its_callback(void **state);
void test_sock_closed_by_another_ready_one_is_not_called(void **state);
void test_unwatched_sock_is_not_called(void **state);
void test_readiness_is_called_again_while_it_holds(void **state);
void test_two_hundred_socks_at_once(void **state);
void test_acked_bytes_are_what_was_written(void **state);
void test_taken_address_is_not_listened_on_twice(void **state);
void test_moved_sock_loses_and_doubles_nothing(void **state);
void test_moved_sock_may_move_itself_in_its_callback(void **state);
void test_sock_moved_by_another_ready_one_is_not_called(void **state);
void test_closed_baton_delivers_what_was_written(void **state);
void test_aborted_baton_is_a_reset_for_the_peer(void **state);
void test_timers_fire_by_deadline_then_by_order_of_setting(void **state);
void test_timers_never_fire_early(void **state);
void test_timer_set_for_now_waits_for_the_next_turn(void **state);
void test_timer_may_stop_set_and_free_others(void **state);
void test_task_runs_once_after_sockets_and_timers(void **state);
void test_now_stands_still_within_a_turn(void **state);
void test_mail_runs_after_sockets_and_before_timers(void **state);
void test_mail_runs_in_the_order_of_posting_and_may_free_itself(void **state);
void test_drain_runs_mail_and_all_that_comes_of_it(void **state);
void test_name_resolves_to_distinct_addresses(void **state);
void test_unknown_name_is_a_dns_error(void **state);
void test_cancelled_query_is_not_answered(void **state);

#define CONFORMANCE_TEST(name, setup, teardown) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)
#define CONFORMANCE_TESTS(s, t)                                                                 \
	CONFORMANCE_TEST(test_bytes_come_back_from_an_echo, s, t),                              \
		CONFORMANCE_TEST(test_dial_without_listener_is_refused, s, t),                  \
		CONFORMANCE_TEST(test_bytes_before_eof_are_read_before_eof, s, t),              \
		CONFORMANCE_TEST(test_abort_is_a_reset_for_the_peer, s, t),                     \
		CONFORMANCE_TEST(test_full_pipe_says_again_then_becomes_writable, s, t),        \
		CONFORMANCE_TEST(test_sock_may_close_itself_in_its_callback, s, t),             \
		CONFORMANCE_TEST(test_sock_closed_by_another_ready_one_is_not_called, s, t),    \
		CONFORMANCE_TEST(test_unwatched_sock_is_not_called, s, t),                      \
		CONFORMANCE_TEST(test_readiness_is_called_again_while_it_holds, s, t),          \
		CONFORMANCE_TEST(test_two_hundred_socks_at_once, s, t),                         \
		CONFORMANCE_TEST(test_acked_bytes_are_what_was_written, s, t),                  \
		CONFORMANCE_TEST(test_taken_address_is_not_listened_on_twice, s, t),            \
		CONFORMANCE_TEST(test_moved_sock_loses_and_doubles_nothing, s, t),              \
		CONFORMANCE_TEST(test_moved_sock_may_move_itself_in_its_callback, s, t),        \
		CONFORMANCE_TEST(test_sock_moved_by_another_ready_one_is_not_called, s, t),     \
		CONFORMANCE_TEST(test_closed_baton_delivers_what_was_written, s, t),            \
		CONFORMANCE_TEST(test_aborted_baton_is_a_reset_for_the_peer, s, t),             \
		CONFORMANCE_TEST(test_timers_fire_by_deadline_then_by_order_of_setting, s, t),  \
		CONFORMANCE_TEST(test_timers_never_fire_early, s, t),                           \
		CONFORMANCE_TEST(test_timer_set_for_now_waits_for_the_next_turn, s, t),         \
		CONFORMANCE_TEST(test_timer_may_stop_set_and_free_others, s, t),                \
		CONFORMANCE_TEST(test_task_runs_once_after_sockets_and_timers, s, t),           \
		CONFORMANCE_TEST(test_now_stands_still_within_a_turn, s, t),                    \
		CONFORMANCE_TEST(test_mail_runs_after_sockets_and_before_timers, s, t),         \
		CONFORMANCE_TEST(test_mail_runs_in_the_order_of_posting_and_may_free_itself, s, \
				 t),                                                            \
		CONFORMANCE_TEST(test_drain_runs_mail_and_all_that_comes_of_it, s, t),          \
		CONFORMANCE_TEST(test_name_resolves_to_distinct_addresses, s, t),               \
		CONFORMANCE_TEST(test_unknown_name_is_a_dns_error, s, t),                       \
		CONFORMANCE_TEST(test_cancelled_query_is_not_answered, s, t)
