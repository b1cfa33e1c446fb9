/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What check-config says, to the letter, in a folder of its own with "DIR" in the place of the
 * folder's name. */
#include "support/testkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "crypto/key.h"

#define OTHER "12D3KooW9tHTtS3inCZiYykw4u5G4frbjVFqhkmJX12gSNCVeH3e"

#define HEAD "interface: {addresses: [10.7.0.1/24]}\n"
#define PEER "peers:\n  - id: " OTHER "\n    allowed_ips: [10.7.0.2/32]\n"

#define AVAILABLE "/proc/sys/net/ipv4/tcp_available_congestion_control"

struct place {
	char dir[64];
	char file[96];
	char key[96];
	char id[PEER_ID_TEXT_MAX];
};

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int make_place(void **state)
{
	static const uint8_t seed[IDENTITY_SEED_LEN] = {7};
	struct identity *identity = NULL;
	struct place *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	snprintf(p->dir, sizeof(p->dir), "/tmp/runnel-check-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->file, sizeof(p->file), "%s/f", p->dir);
	snprintf(p->key, sizeof(p->key), "%s/k", p->dir);
	assert_ok(identity_from_seed(seed, &identity));
	assert_ok(identity_save(identity, p->key));
	peer_id_format(identity_peer_id(identity), p->id);
	identity_free(identity);
	*state = p;
	return 0;
}

static int remove_place(void **state)
{
	struct place *p = *state;
	assert_int_equal(seteuid(getuid()), 0);
	unlink(p->file);
	unlink(p->key);
	rmdir(p->dir);
	free(p);
	return 0;
}

/* Turn `from` into `to` wherever it stands; free() the result. */
static char *replace(const char *text, const char *from, const char *to)
{
	char *result = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&result, &len);
	assert_non_null(out);
	for (const char *at; (at = strstr(text, from)) != NULL; text = at + strlen(from))
		fprintf(out, "%.*s%s", (int)(at - text), text, to);
	fputs(text, out);
	fclose(out);
	return result;
}

/* All that it prints on a file of this text, DIR for the folder. free() it. */
static char *check(struct place *p, const char *text, int expected)
{
	char key_line[128];
	char *said = NULL;
	size_t len = 0;
	snprintf(key_line, sizeof(key_line), "key: %s\n", p->key);
	char *whole = replace("KEY" HEAD, "KEY", key_line);
	FILE *f = fopen(p->file, "w");
	assert_non_null(f);
	fprintf(f, "%s%s", whole, text);
	fclose(f);
	free(whole);

	const struct cli_args args = {.config = "/nonexistent", .operand = p->file};
	FILE *all = open_memstream(&said, &len);
	assert_non_null(all);
	FILE *out = stdout;
	FILE *err = stderr;
	stdout = stderr = all;
	int code = cli_check_config(&args);
	stdout = out;
	stderr = err;
	fclose(all);
	char *result = replace(said, p->dir, "DIR");
	free(said);
	assert_int_equal(code, expected);
	return result;
}

static void assert_says(struct place *p, const char *text, int code, const char *expected)
{
	char *said = check(p, text, code);
	assert_string_equal(said, expected);
	free(said);
}

static void test_good_file_is_ok_and_nothing_else_is_said(void **state)
{
	assert_says(*state, "", CLI_OK, "DIR/f: ok (0 peers)\n");
	assert_says(*state, PEER, CLI_OK, "DIR/f: ok (1 peer)\n");
}

static void test_faults_of_the_file_stand_alone(void **state)
{
	struct place *p = *state;
	unlink(p->key);
	assert_says(p, "log_level: loud\n", CLI_FAILED,
		    "DIR/f:3:12: log_level: \"loud\" is not known: error, warn, info or debug\n");
}

static void test_missing_key_is_a_fault(void **state)
{
	struct place *p = *state;
	unlink(p->key);
	assert_says(p, PEER, CLI_FAILED,
		    "DIR/f: key: DIR/k does not exist; make it: runnel keygen DIR/k\n");
}

static void test_key_that_others_may_read_is_a_fault(void **state)
{
	struct place *p = *state;
	chmod(p->key, 0644);
	assert_says(p, PEER, CLI_FAILED,
		    "DIR/f: key: others may use DIR/k; if that is the key: chmod 600 DIR/k\n");
}

static void test_file_that_holds_no_key_is_a_fault_and_stays_as_it_is(void **state)
{
	struct place *p = *state;
	char text[16] = "";
	write_text(p->key, "hello\n");
	assert_says(p, PEER, CLI_FAILED,
		    "DIR/f: key: DIR/k does not hold a key such as runnel keygen makes\n");
	FILE *f = fopen(p->key, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, "hello\n");
	unlink(p->key);
	assert_int_equal(mkdir(p->key, 0700), 0);
	assert_says(p, PEER, CLI_FAILED,
		    "DIR/f: key: DIR/k does not hold a key such as runnel keygen makes\n");
	rmdir(p->key);
}

static void test_key_of_another_kind_is_a_fault(void **state)
{
	struct place *p = *state;
	write_text(p->key, "\x08\x02\x12\x01x"); /* PrivateKey: type secp256k1, data "x" */
	assert_says(p, PEER, CLI_FAILED,
		    "DIR/f: key: DIR/k holds a key of another kind than Ed25519\n");
}

static void test_key_of_another_user_is_a_note(void **state)
{
	struct place *p = *state;
	if (geteuid() == 0) {
		/* Root may read all but what is not there for it: as nobody, then. */
		chmod(p->dir, 0777);
		assert_int_equal(seteuid(65534), 0);
		char *said = check(p, PEER, CLI_OK);
		assert_int_equal(seteuid(0), 0);
		assert_string_equal(said, "DIR/f: note: key: DIR/k cannot be read by this user, so "
					  "it is not checked\nDIR/f: ok (1 peer)\n");
		free(said);
		return;
	}
	chmod(p->key, 0);
	assert_says(p, PEER, CLI_OK,
		    "DIR/f: note: key: DIR/k cannot be read by this user, so it is not "
		    "checked\nDIR/f: ok (1 peer)\n");
}

static void test_own_id_among_the_peers_is_a_fault(void **state)
{
	struct place *p = *state;
	char text[512];
	char expected[512];
	snprintf(text, sizeof(text), PEER "  - id: %s\n    allowed_ips: [10.7.0.3]\n", p->id);
	snprintf(expected, sizeof(expected),
		 "DIR/f: peers[1].id: %s is this node itself (DIR/k); list the others only\n",
		 p->id);
	assert_says(p, text, CLI_FAILED, expected);
}

static void test_peer_without_allowed_ips_is_a_note(void **state)
{
	assert_says(*state, "peers: [{id: " OTHER "}]\n", CLI_OK,
		    "DIR/f: note: peers[0].allowed_ips: none, so no packets are sent to " OTHER
		    " or taken from it\nDIR/f: ok (1 peer)\n");
	assert_says(*state, "peers: [{id: " OTHER ", name: bob, allowed_ips: []}]\n", CLI_OK,
		    "DIR/f: note: peers[0].allowed_ips: none, so no packets are sent to bob or "
		    "taken from it\nDIR/f: ok (1 peer)\n");
}

static void test_unknown_congestion_control_is_a_note_with_those_there_are(void **state)
{
	char names[1024] = "";
	char expected[2048];
	char text[128];
	FILE *f = fopen(AVAILABLE, "r");
	if (f == NULL)
		skip();
	assert_non_null(fgets(names, sizeof(names), f));
	fclose(f);
	names[strcspn(names, "\n")] = '\0';
	snprintf(expected, sizeof(expected),
		 "DIR/f: note: tcp.congestion: this kernel has no \"foo\" yet; unless a module "
		 "brings it, every connection fails; there are: %s\nDIR/f: ok (0 peers)\n",
		 names);
	assert_says(*state, "tcp: {congestion: foo}\n", CLI_OK, expected);

	/* A part of a name is no name; each of the names is. */
	char *rest = NULL;
	for (char *name = strtok_r(names, " ", &rest); name != NULL;
	     name = strtok_r(NULL, " ", &rest)) {
		snprintf(text, sizeof(text), "tcp: {congestion: %.15s}\n", name);
		assert_says(*state, text, CLI_OK, "DIR/f: ok (0 peers)\n");
	}
	char *said = check(*state, "tcp: {congestion: r}\n", CLI_OK);
	assert_non_null(strstr(said, "has no \"r\""));
	free(said);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_good_file_is_ok_and_nothing_else_is_said),
		TEST(test_faults_of_the_file_stand_alone),
		TEST(test_missing_key_is_a_fault),
		TEST(test_key_that_others_may_read_is_a_fault),
		TEST(test_file_that_holds_no_key_is_a_fault_and_stays_as_it_is),
		TEST(test_key_of_another_kind_is_a_fault),
		TEST(test_key_of_another_user_is_a_note),
		TEST(test_own_id_among_the_peers_is_a_fault),
		TEST(test_peer_without_allowed_ips_is_a_note),
		TEST(test_unknown_congestion_control_is_a_note_with_those_there_are),
	};
	return cmocka_run_group_tests_name("check_config", tests, NULL, NULL);
}
