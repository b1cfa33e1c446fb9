/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cli.h - the verbs of the command line: one file each
 *
 * Exit codes: 0 done; 1 it failed, one line on stderr says why; 2 the command line is wrong.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

#define CLI_CONFIG_DEFAULT "/etc/runnel/runnel.yaml"
#define CLI_SOCKET_DEFAULT "/run/runnel/runnel0.sock"
#define CLI_KEY_DEFAULT    "/etc/runnel/node.key"

enum {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
};

/* What stands on the command line behind the verb. */
struct cli_args {
	const char *config;  /* -c, --config */
	const char *socket;  /* -s, --socket; NULL: the configuration's */
	const char *operand; /* the one that is no option; NULL: none */
	unsigned count;      /* -n, --count; 0: not given */
	bool json;           /* --json */
};

int cli_check_config(const struct cli_args *args);
int cli_down(const struct cli_args *args);
int cli_id(const struct cli_args *args);
int cli_keygen(const struct cli_args *args);
int cli_ping(const struct cli_args *args);
int cli_status(const struct cli_args *args);
int cli_up(const struct cli_args *args);
int cli_version(const struct cli_args *args);

/* One line on stderr: "runnel: ...". Returns CLI_FAILED. */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

struct config;
struct json_t;
/* Load the configuration; faults go to stderr, one a line. NULL: it has some. */
struct config *cli_load_config(const char *path);

/* The node that a verb is about. With -s no configuration is read. */
struct cli_target {
	struct config *config; /* NULL: with -s */
	const char *socket;
};
/* Prints what is wrong. */
bool cli_target_open(const struct cli_args *args, struct cli_target *ret_target);
void cli_target_close(struct cli_target *target);

/* Put into a request whom it is for, as far as the configuration and its key tell. */
void cli_address(const struct cli_target *target, struct json_t *request);

/* Ask the daemon; prints what is wrong. The answer without "error", or NULL: then *ret_why, if not
 * NULL, is ERR_TIMEOUT where asking again may help. */
struct json_t *cli_ask(const struct cli_target *target, struct json_t *request, enum err *ret_why);
