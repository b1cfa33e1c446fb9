/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* up.c - runnel up: the daemon, in the foreground */
#include "cli/cli.h"
#include "daemon/daemon.h"

int cli_up(const struct cli_args *args)
{
	return daemon_run(args->config);
}
