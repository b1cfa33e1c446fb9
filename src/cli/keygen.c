/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* keygen.c - runnel keygen [FILE]: make an identity, print its Peer ID */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "cli/cli.h"
#include "crypto/key.h"

static void fail_without_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	cli_fail("cannot write %s: its directory does not exist; make it: install -d %.*s", path,
		 slash != NULL ? (int)(slash - path) : 0, path);
}

int cli_keygen(const struct cli_args *args)
{
	const char *path = args->operand != NULL ? args->operand : CLI_KEY_DEFAULT;
	uint8_t seed[IDENTITY_SEED_LEN];
	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return cli_fail("the kernel gives no random bytes");
	struct identity *identity;
	enum err e = identity_from_seed(seed, &identity);
	explicit_bzero(seed, sizeof(seed));
	if (e != ERR_OK)
		return cli_fail("cannot make a key: %s", err_text(e));

	e = identity_save(identity, path);
	char id[PEER_ID_TEXT_MAX];
	if (e == ERR_OK)
		printf("%s\n", peer_id_format(identity_peer_id(identity), id));
	else if (e == ERR_DUPLICATE)
		cli_fail("%s exists; a key is never overwritten: move it away first", path);
	else if (e == ERR_NOT_FOUND)
		fail_without_directory(path);
	else if (e == ERR_PERMISSION)
		cli_fail("cannot write %s: %s; run as root, or name another file", path,
			 err_text(e));
	else
		cli_fail("cannot write %s: %s", path, err_text(e));
	identity_free(identity);
	return e == ERR_OK ? CLI_OK : CLI_FAILED;
}
