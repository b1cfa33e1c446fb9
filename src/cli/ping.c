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
	struct cli_target target;
	if (!cli_target_open(args, &target))
		return CLI_FAILED;
	unsigned count = args->count > 0 ? args->count : COUNT_DEFAULT;
	unsigned lost = 0;
	for (unsigned i = 0; i < count; i++) {
		if (i > 0)
			nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
		enum err why;
		json_t *answer = cli_ask(
			&target, json_pack("{s:s, s:s}", "cmd", "ping", "peer", args->operand),
			&why);
		if (answer == NULL) {
			lost++;
			if (why != ERR_TIMEOUT)
				break; /* it would be the same the next time */
			continue;
		}
		json_int_t us = json_integer_value(json_object_get(answer, "rtt_us"));
		printf("%s: time=%.3f ms\n", args->operand, (double)us / 1000);
		fflush(stdout);
		json_decref(answer);
	}
	cli_target_close(&target);
	return lost == 0 ? CLI_OK : CLI_FAILED;
}
