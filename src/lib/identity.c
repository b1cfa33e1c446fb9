/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* identity.c - see identity.h */
#include "lib/identity.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "lib/err.h"
#include "lib/values.h"

/* Takes `key`, whatever comes of it; NULL where `e` says why there is none. */
static enum runnel_err wrap(enum err e, struct identity *key, struct runnel_identity **ret_identity)
{
	if (e != ERR_OK)
		return lib_err(e);
	struct runnel_identity *identity = calloc(1, sizeof(*identity));
	if (identity == NULL) {
		identity_free(key);
		return RUNNEL_ERR_NO_MEMORY;
	}
	identity->key = key;
	*ret_identity = identity;
	return RUNNEL_ERR_OK;
}

enum runnel_err runnel_identity_generate(struct runnel_identity **ret_identity)
{
	uint8_t seed[IDENTITY_SEED_LEN];
	ssize_t n;
	do {
		n = getrandom(seed, sizeof(seed), 0); /* so few bytes come at once or not at all */
	} while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(seed))
		return RUNNEL_ERR_CRYPTO;
	struct identity *key = NULL;
	enum err e = identity_from_seed(seed, &key);
	explicit_bzero(seed, sizeof(seed));
	return wrap(e, key, ret_identity);
}

enum runnel_err runnel_identity_load(const char *path, struct runnel_identity **ret_identity)
{
	struct identity *key = NULL;
	enum err e = identity_load(path, &key);
	return wrap(e, key, ret_identity);
}

enum runnel_err runnel_identity_save(const struct runnel_identity *identity, const char *path)
{
	return lib_err(identity_save(identity->key, path));
}

void runnel_identity_peer_id(const struct runnel_identity *identity, struct runnel_peer_id *ret_id)
{
	values_put_peer_id(identity_peer_id(identity->key), ret_id);
}

struct runnel_identity *runnel_identity_free(struct runnel_identity *identity)
{
	if (identity == NULL)
		return NULL;
	identity_free(identity->key);
	free(identity);
	return NULL;
}
