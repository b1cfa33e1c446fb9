/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* main.c - runnel VERB [OPTIONS] [OPERAND]: the table of verbs, and the options that they share */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"
#include "cli/cli.h"

enum {
	TAKES_CONFIG = 1,
	TAKES_OPERAND = 2,
	TAKES_JSON = 4,
	TAKES_COUNT = 8,
	TAKES_SOCKET = 16,
};

static const struct verb {
	const char *name;
	int (*run)(const struct cli_args *args);
	unsigned takes;
	const char *synopsis;
	const char *help;
} verbs[] = {
	{"keygen", cli_keygen, TAKES_OPERAND, "[FILE]", "make an identity key, print its Peer ID"},
	{"id", cli_id, TAKES_OPERAND, "[FILE]", "print the Peer ID of a key"},
	{"up", cli_up, TAKES_CONFIG, "[-c FILE]", "run a node in the foreground"},
	{"down", cli_down, TAKES_CONFIG | TAKES_SOCKET, "[-c FILE | -s SOCKET]",
	 "end a running node, or clean up after one that was killed"},
	{"status", cli_status, TAKES_CONFIG | TAKES_SOCKET | TAKES_JSON,
	 "[-c FILE | -s SOCKET] [--json]", "show a running node and its peers"},
	{"ping", cli_ping, TAKES_CONFIG | TAKES_SOCKET | TAKES_OPERAND | TAKES_COUNT,
	 "[-c FILE | -s SOCKET] [-n COUNT] PEER",
	 "measure the round-trip time to a connected peer"},
	{"check-config", cli_check_config, TAKES_CONFIG | TAKES_OPERAND, "[FILE]",
	 "say all that is wrong with a configuration"},
	{"version", cli_version, 0, "", "print the version"},
};

static void print_usage(FILE *to)
{
	fputs("usage: runnel VERB [OPTIONS]\n\n", to);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		char call[80];
		snprintf(call, sizeof(call), "%s %s", verbs[i].name, verbs[i].synopsis);
		fprintf(to, "  %s\n        %s\n", call, verbs[i].help);
	}
	fputs("\nFILE defaults to " CLI_CONFIG_DEFAULT ", for keys to " CLI_KEY_DEFAULT ".\n"
	      "runnel VERB --help shows one verb.\n"
	      "See runnel(8) and runnel.yaml(5).\n",
	      to);
}

static int usage_error(const struct verb *v)
{
	fprintf(stderr, "usage: runnel %s %s\n", v->name, v->synopsis);
	return CLI_USAGE;
}

static int print_help(const struct verb *v)
{
	printf("usage: runnel %s %s\n\n%s; see runnel(8)\n", v->name, v->synopsis, v->help);
	return CLI_OK;
}

/* false: not a number of 1..10000. */
static bool parse_count(const char *text, unsigned *ret_count)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	if (*end != '\0' || n < 1 || n > 10000) {
		cli_fail("-n %s: a count is a number from 1 to 10000", text);
		return false;
	}
	*ret_count = (unsigned)n;
	return true;
}

static int run(const struct verb *v, int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},         {"socket", required_argument, NULL, 's'},
		{"config", required_argument, NULL, 'c'}, {"count", required_argument, NULL, 'n'},
		{"json", no_argument, NULL, 'j'},         {NULL, 0, NULL, 0},
	};
	struct cli_args args = {.config = CLI_CONFIG_DEFAULT};
	for (int opt; (opt = getopt_long(argc, argv, "c:hn:s:", options, NULL)) != -1;) {
		if (opt == 'c' && (v->takes & TAKES_CONFIG))
			args.config = optarg;
		else if (opt == 's' && (v->takes & TAKES_SOCKET))
			args.socket = optarg;
		else if (opt == 'h')
			return print_help(v);
		else if (opt == 'j' && (v->takes & TAKES_JSON))
			args.json = true;
		else if (opt != 'n' || !(v->takes & TAKES_COUNT))
			return usage_error(v);
		else if (!parse_count(optarg, &args.count))
			return CLI_USAGE;
	}
	if (optind < argc && (v->takes & TAKES_OPERAND))
		args.operand = argv[optind++];
	if (optind < argc && v->takes & TAKES_CONFIG && !(v->takes & TAKES_OPERAND))
		cli_fail("a configuration is named with -c: runnel %s -c %s", v->name,
			 argv[optind]);
	if (optind < argc)
		return usage_error(v);
	return v->run(&args);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return CLI_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return CLI_OK;
	}
	if (strcmp(argv[1], "--version") == 0)
		return cli_version(NULL);
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
		if (strcmp(argv[1], verbs[i].name) == 0)
			return run(&verbs[i], argc - 1, argv + 1);
	}
	fprintf(stderr, "runnel: no such verb: %s\n\n", argv[1]);
	print_usage(stderr);
	return CLI_USAGE;
}
