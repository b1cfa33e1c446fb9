/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* check_config.c - runnel check-config [FILE]: say all that is wrong with it */
#include <stdio.h>

#include "cli/cli.h"
#include "vpn/config/config.h"

int cli_check_config(const struct cli_args *args)
{
	const char *path = args->operand != NULL ? args->operand : args->config;
	struct config *config = cli_load_config(path);
	if (config == NULL)
		return CLI_FAILED;
	printf("%s: ok (%zu peers)\n", path, config->peers.len);
	config_free(config);
	return CLI_OK;
}
