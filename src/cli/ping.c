/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* ping.c - runnel ping PEER: round-trip time over libp2p, without the tunnel */
#include <stdio.h>
#include <time.h>

#include <jansson.h>

#include "cli/cli.h"
#include "vpn/config/config.h"

enum {
	COUNT_DEFAULT = 4,
};

int cli_ping(const struct cli_args *args)
{
	if (args->operand == NULL) {
		cli_fail("ping whom? runnel ping PEER, a name or Peer ID of the configuration");
		return CLI_USAGE;
	}
	struct config *config = cli_load_config(args->config);
	if (config == NULL)
		return CLI_FAILED;
	unsigned count = args->count > 0 ? args->count : COUNT_DEFAULT;
	unsigned lost = 0;
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
		json_t *answer = cli_ask(
			config, json_pack("{s:s, s:s}", "cmd", "ping", "peer", args->operand));
		if (answer == NULL) {
			lost++;
			continue;
		}
		json_int_t us = json_integer_value(json_object_get(answer, "rtt_us"));
		printf("%s: time=%.3f ms\n", args->operand, (double)us / 1000);
		fflush(stdout);
		json_decref(answer);
	}
	config_free(config);
	return lost == 0 ? CLI_OK : CLI_FAILED;
}
