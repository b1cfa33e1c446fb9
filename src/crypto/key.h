/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * key.h - identity keys: ours, which is Ed25519, and the others', of any of the four types
 *
 * Spec: libp2p peer-ids. Signatures are over the message; hashing is inside. Keys of others are
 * checked for type and size before they are parsed further: nothing costs more than one
 * verification.
 */
#pragma once

#include "wire/peer_id.h"

/* Our identity. Immutable once made; shared by threads for reading. */
struct identity;

enum {
	IDENTITY_SEED_LEN = 32,      /* bytes */
	IDENTITY_SIGNATURE_LEN = 64, /* bytes of an Ed25519 signature */
	IDENTITY_KEY_FILE_LEN = 68,  /* bytes of PrivateKey in protobuf */
};

/* From a seed of 32 random bytes. ERR_CRYPTO, ERR_NO_MEMORY. */
MUST_USE enum err identity_from_seed(const uint8_t seed[IDENTITY_SEED_LEN],
				     struct identity **ret_identity);

/*
 * Load from a file with libp2p's PrivateKey message (what go-libp2p and rust-libp2p write). Refused
 * with ERR_EXPOSED if group or others may read, write or execute it; ERR_NOT_FOUND, ERR_PERMISSION,
 * ERR_MALFORMED, ERR_UNSUPPORTED (not Ed25519).
 */
MUST_USE enum err identity_load(const char *path, struct identity **ret_identity);

/* Write such a file, mode 0600, in one step (a temporary file, fsync, link): never over an existing
 * one (ERR_DUPLICATE). */
MUST_USE enum err identity_save(const struct identity *identity, const char *path);

/* Takes NULL; returns NULL; wipes the secret. */
struct identity *identity_free(struct identity *identity);

const struct peer_id *identity_peer_id(const struct identity *identity);
/* Protobuf-encoded PublicKey; lives as long as the identity. */
struct span identity_public_key(const struct identity *identity);
MUST_USE enum err identity_sign(const struct identity *identity, struct span message,
				uint8_t ret_signature[IDENTITY_SIGNATURE_LEN]);

/*
 * Verify a signature by the holder of a protobuf-encoded PublicKey. ERR_BAD_SIGNATURE, ERR_BAD_KEY
 * (malformed, RSA outside of RSA_BITS_MIN..RSA_BITS_MAX), ERR_UNSUPPORTED (unknown type).
 */
MUST_USE enum err public_key_verify(struct span public_key_pb, struct span message,
				    struct span signature);
