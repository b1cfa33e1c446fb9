/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cli.h - the verbs of the command line: one file each
 *
 * Exit codes: 0 done; 1 it failed, one line on stderr says why; 2 the command line is wrong.
 */
#pragma once

#include <stdbool.h>

#define CLI_CONFIG_DEFAULT "/etc/runnel/runnel.yaml"
#define CLI_KEY_DEFAULT    "/etc/runnel/node.key"

enum {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
};

/* What stands on the command line behind the verb. */
struct cli_args {
	const char *config;  /* -c, --config */
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
/* Load the configuration; faults go to stderr, one a line. NULL: it has some. */
struct config *cli_load_config(const char *path);

/* Ask the daemon of this configuration; prints what is wrong. The answer without "error", or NULL.
 */
struct json_t *cli_ask(const struct config *config, struct json_t *request);
