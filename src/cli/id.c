/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* id.c - runnel id [FILE]: the Peer ID of a key */
#include <stdio.h>

#include "cli/cli.h"
#include "crypto/key.h"
#include "daemon/key_hint.h"

int cli_id(const struct cli_args *args)
{
	const char *path = args->operand != NULL ? args->operand : CLI_KEY_DEFAULT;
	struct identity *identity;
	enum err e = identity_load(path, &identity);
	char hint[KEY_HINT_MAX];
	if (e != ERR_OK)
		return cli_fail("%s: %s; %s", path, err_text(e), key_hint(e, path, hint));
	char id[PEER_ID_TEXT_MAX];
	printf("%s\n", peer_id_format(identity_peer_id(identity), id));
	identity_free(identity);
	return CLI_OK;
}
