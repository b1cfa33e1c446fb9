/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "pair.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <runnel/log.h>

static char why[PAIR_ERRBUF];

static void assert_refused(const struct runnel_node_conf *conf, enum runnel_err expected,
			   const char *words)
{
	struct runnel_node *node = NULL;
	snprintf(why, sizeof(why), "not written");
	assert_public_err(runnel_node_new(conf, &node, why, sizeof(why)), expected);
	assert_null(node);
	if (strstr(why, words) == NULL)
		fail_msg("'%s' is not in: %s", words, why);
}

static void test_all_faults_of_a_configuration_are_told_a_line_each(void **state)
{
	(void)state;
	alice.conf.config_text = "interface: {addresses: [10.7.0.1/24], mtu: 99}\nspeed: 12\n";
	assert_refused(&alice.conf, RUNNEL_ERR_MALFORMED, "is too small");
	const char *second = strchr(why, '\n');
	assert_non_null(second);
	assert_non_null(strstr(second, "speed"));
	assert_int_not_equal(why[strlen(why) - 1], '\n');
}

static void test_one_of_text_and_path_is_needed(void **state)
{
	(void)state;
	alice.conf.config_path = "/nonexistent/runnel.yaml";
	assert_refused(&alice.conf, RUNNEL_ERR_MALFORMED, "not both");
	alice.conf.config_text = NULL;
	assert_refused(&alice.conf, RUNNEL_ERR_NOT_FOUND, "/nonexistent/runnel.yaml");
	alice.conf.config_path = NULL;
	assert_refused(&alice.conf, RUNNEL_ERR_MALFORMED, "is needed");
}

static void test_unknown_kind_of_device_is_refused(void **state)
{
	(void)state;
	alice.conf.tun = (enum runnel_tun)(RUNNEL_NO_TUN + 1);
	assert_refused(&alice.conf, RUNNEL_ERR_MALFORMED, "tun");
}

static void test_node_among_its_own_peers_is_refused(void **state)
{
	(void)state;
	alice.conf.identity = bob.identity;
	assert_refused(&alice.conf, RUNNEL_ERR_SELF, "own id");
}

static void test_unknown_congestion_control_is_refused(void **state)
{
	(void)state;
	strcat(alice.config, "tcp: {congestion: nosuch}\n");
	assert_refused(&alice.conf, RUNNEL_ERR_UNSUPPORTED, "nosuch");
}

/* From a buffer of exactly that size, so that ASan sees an overrun. */
static void test_text_of_errors_is_cut_to_any_buffer(void **state)
{
	(void)state;
	alice.conf.config_text = "a: 1\nb: 2\nc: 3\n";
	struct runnel_node *node;
	char whole[PAIR_ERRBUF];
	assert_public_err(runnel_node_new(&alice.conf, &node, whole, sizeof(whole)),
			  RUNNEL_ERR_MALFORMED);
	for (size_t cap = 1; cap <= strlen(whole) + 1; cap++) {
		char *buf = malloc(cap);
		assert_non_null(buf);
		memset(buf, 'x', cap);
		assert_public_err(runnel_node_new(&alice.conf, &node, buf, cap),
				  RUNNEL_ERR_MALFORMED);
		assert_non_null(memchr(buf, '\0', cap));
		assert_int_equal(strncmp(buf, whole, strlen(buf)), 0);
		free(buf);
	}
	assert_public_err(runnel_node_new(&alice.conf, &node, NULL, 0), RUNNEL_ERR_MALFORMED);
}

static void test_missing_key_is_told_with_what_to_do(void **state)
{
	(void)state;
	alice.conf.identity = NULL;
	strcat(alice.config, "key: /nonexistent/node.key\n");
	assert_refused(&alice.conf, RUNNEL_ERR_NOT_FOUND, "runnel keygen /nonexistent/node.key");
}

static void test_configuration_and_key_of_files_make_the_node(void **state)
{
	(void)state;
	char dir[] = "/tmp/runnel-lib-XXXXXX", key[64], config[64];
	assert_non_null(mkdtemp(dir));
	snprintf(key, sizeof(key), "%s/node.key", dir);
	snprintf(config, sizeof(config), "%s/runnel.yaml", dir);
	FILE *file = fopen(config, "w");
	assert_non_null(file);
	fprintf(file, "%skey: %s\n", alice.config, key);
	assert_int_equal(fclose(file), 0);
	assert_public_ok(runnel_identity_save(alice.identity, key));
	assert_public_err(runnel_identity_save(alice.identity, key), RUNNEL_ERR_DUPLICATE);

	alice.conf.identity = NULL;
	alice.conf.config_text = NULL;
	alice.conf.config_path = config;
	struct runnel_node *node;
	assert_public_ok(runnel_node_new(&alice.conf, &node, why, sizeof(why)));
	assert_string_equal(why, "");
	struct runnel_peer_id id;
	char text[RUNNEL_PEER_ID_TEXT_MAX];
	runnel_node_peer_id(node, &id);
	assert_string_equal(runnel_peer_id_format(&id, text), alice.id);
	assert_null(runnel_node_free(node));

	assert_int_equal(chmod(key, 0644), 0);
	assert_refused(&alice.conf, RUNNEL_ERR_EXPOSED, key);
	struct runnel_identity *identity = NULL;
	assert_public_err(runnel_identity_load(key, &identity), RUNNEL_ERR_EXPOSED);
	assert_null(identity);
	unlink(key);
	unlink(config);
	rmdir(dir);
}

static void test_nothing_is_written_to_standard_error_unasked(void **state)
{
	(void)state;
	int ends[2], before = dup(STDERR_FILENO);
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], STDERR_FILENO);
	pair_connect(); /* "peer connected" */
	bob.node = runnel_node_free(bob.node);
	pair_wait_peer(&alice, false);
	alice.node = runnel_node_free(alice.node);
	dup2(before, STDERR_FILENO);
	close(before);
	close(ends[1]);
	char byte;
	assert_int_equal(read(ends[0], &byte, 1), 0);
	close(ends[0]);
}

struct heard {
	unsigned n_lines;
	bool has_connected, has_debug;
};

static void on_line(void *ctx, enum runnel_log_level level, const char *line)
{
	struct heard *heard = ctx;
	heard->n_lines++;
	heard->has_connected |= strncmp(line, "peer connected peer=", 20) == 0;
	heard->has_debug |= level == RUNNEL_LOG_DEBUG;
}

static void test_lines_go_to_whom_they_were_asked_for_until_it_is_set_anew(void **state)
{
	(void)state;
	struct heard heard = {0};
	runnel_log_set(RUNNEL_LOG_INFO, on_line, &heard);
	pair_connect();
	runnel_log_set(RUNNEL_LOG_INFO, NULL, NULL);
	assert_true(heard.has_connected);
	assert_false(heard.has_debug);
	unsigned n_lines = heard.n_lines;
	bob.node = runnel_node_free(bob.node);
	pair_wait_peer(&alice, false);
	assert_int_equal(heard.n_lines, n_lines);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all_faults_of_a_configuration_are_told_a_line_each),
		TEST(test_one_of_text_and_path_is_needed),
		TEST(test_unknown_kind_of_device_is_refused),
		TEST(test_node_among_its_own_peers_is_refused),
		TEST(test_unknown_congestion_control_is_refused),
		TEST(test_text_of_errors_is_cut_to_any_buffer),
		TEST(test_missing_key_is_told_with_what_to_do),
		TEST(test_configuration_and_key_of_files_make_the_node),
		TEST(test_nothing_is_written_to_standard_error_unasked),
		TEST(test_lines_go_to_whom_they_were_asked_for_until_it_is_set_anew),
	};
	return cmocka_run_group_tests_name("embed_conf", tests, NULL, NULL);
}
