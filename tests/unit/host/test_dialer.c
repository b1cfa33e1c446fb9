/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include "base/util.h"
#include "loop/loop_sim.h"
#include "p2p/host/dialer.h"
#include "p2p/host/netaddr.h"

enum {
	MOST = 16
};

/* A peer whose addresses are known and never answer, and the attempts that were made. */
struct scene {
	struct sim *sim;
	struct loop *loop;
	struct dialer dialer;
	const char *const *addrs;
	size_t n_addrs;
	union netaddr tried[MOST];
	nsec_t tried_at[MOST];
	size_t n_tried;
};

static size_t addresses(void *ctx, struct multiaddr ret_addrs[DIAL_ADDRS_MAX])
{
	struct scene *s = ctx;
	for (size_t i = 0; i < s->n_addrs; i++)
		assert_ok(multiaddr_parse(span_str(s->addrs[i]), &ret_addrs[i]));
	return s->n_addrs;
}

static enum err connect_to(void *ctx, const union netaddr *to)
{
	struct scene *s = ctx;
	assert_true(s->n_tried < MOST);
	s->tried[s->n_tried] = *to;
	s->tried_at[s->n_tried++] = sim_now(s->sim);
	return ERR_OK;
}

static void cannot(void *ctx, const union netaddr *to, enum err why)
{
	(void)ctx;
	(void)to;
	(void)why;
}

static void on_round_failed(void *ctx)
{
	(void)ctx;
}

static const struct dialer_ops ops = {
	.addresses = addresses,
	.connect = connect_to,
	.cannot = cannot,
	.on_round_failed = on_round_failed,
};

static void begin(struct scene *s, const char *const *addrs, size_t n)
{
	struct sim_host *host;
	*s = (struct scene){.addrs = addrs, .n_addrs = n};
	assert_ok(sim_new(1, &s->sim));
	assert_ok(sim_host_new(s->sim, "a", "192.0.2.1", &host));
	s->loop = sim_host_loop(host);
	dialer_init(&s->dialer, s->loop, &ops, s);
	dialer_start(&s->dialer);
}

static void end(struct scene *s)
{
	dialer_deinit(&s->dialer);
	assert_null(sim_free(s->sim));
}

static void test_families_take_turns_a_stagger_apart(void **state)
{
	(void)state;
	static const char *const addrs[] = {"/ip6/2001:db8::1/tcp/1", "/ip6/2001:db8::2/tcp/1",
					    "/ip6/2001:db8::3/tcp/1", "/ip4/192.0.2.9/tcp/1"};
	static const sa_family_t families[] = {AF_INET6, AF_INET, AF_INET6, AF_INET6};
	struct scene s;
	begin(&s, addrs, ARRAY_LEN(addrs));
	sim_run_until(s.sim, sim_now(s.sim) + 2 * NSEC_PER_SEC);
	assert_int_equal(s.n_tried, ARRAY_LEN(addrs));
	for (size_t i = 0; i < s.n_tried; i++) {
		assert_int_equal(s.tried[i].sa.sa_family, families[i]);
		assert_int_equal(s.tried_at[i] - s.tried_at[0], i * DIAL_STAGGER);
	}
	end(&s);
}

static void test_a_failure_brings_the_next_at_once(void **state)
{
	(void)state;
	static const char *const addrs[] = {"/ip4/192.0.2.8/tcp/1", "/ip4/192.0.2.9/tcp/1"};
	struct scene s;
	begin(&s, addrs, ARRAY_LEN(addrs));
	assert_int_equal(s.n_tried, 1);
	dialer_failed(&s.dialer);
	assert_int_equal(s.n_tried, 2);
	end(&s);
}

static void test_an_address_is_tried_once_a_round(void **state)
{
	(void)state;
	static const char *const addrs[] = {"/ip4/192.0.2.9/tcp/1", "/ip4/192.0.2.9/tcp/1"};
	struct scene s;
	begin(&s, addrs, ARRAY_LEN(addrs));
	sim_run_until(s.sim, sim_now(s.sim) + NSEC_PER_SEC);
	assert_int_equal(s.n_tried, 1);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families_take_turns_a_stagger_apart),
		cmocka_unit_test(test_a_failure_brings_the_next_at_once),
		cmocka_unit_test(test_an_address_is_tried_once_a_round),
	};
	return cmocka_run_group_tests_name("dialer", tests, NULL, NULL);
}
