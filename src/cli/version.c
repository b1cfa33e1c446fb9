/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* version.c - runnel version */
#include <stdio.h>

#include "cli/cli.h"

int cli_version(const struct cli_args *args)
{
	(void)args;
	printf("runnel %s\n", RUNNEL_VERSION);
	return CLI_OK;
}
