/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* id.c - runnel id [FILE]: the Peer ID of a key */
#include <stdio.h>

#include "cli/cli.h"
#include "crypto/key.h"

int cli_id(const struct cli_args *args)
{
	const char *path = args->operand != NULL ? args->operand : CLI_KEY_DEFAULT;
	struct identity *identity;
	enum err e = identity_load(path, &identity);
	if (e == ERR_NOT_FOUND)
		return cli_fail("%s does not exist; make it: runnel keygen %s", path, path);
	if (e == ERR_EXPOSED)
		return cli_fail("%s can be read by others; mend it: chmod 600 %s", path, path);
	if (e != ERR_OK)
		return cli_fail("%s: %s", path, err_text(e));
	char id[PEER_ID_TEXT_MAX];
	printf("%s\n", peer_id_format(identity_peer_id(identity), id));
	identity_free(identity);
	return CLI_OK;
}
