/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * err.h - the one error type, a reason for each
 *
 * Functions that can fail return enum err and write results through ret_ parameters only on
 * success. err_text() is a sentence fragment for people, err_name() a word for logs and metrics.
 */
#pragma once

#define MUST_USE __attribute__((warn_unused_result))

/* X(symbol, word, text) */
#define ERR_MAP(X)                                                                                \
	X(ERR_OK, "ok", "no error")                                                               \
	/* Flow of work, not faults. */                                                           \
	X(ERR_AGAIN, "again", "nothing to do until the other side acts")                          \
	X(ERR_EOF, "eof", "the other side closed")                                                \
	X(ERR_DONE, "done", "already finished")                                                   \
	X(ERR_FULL, "full", "a bounded queue or buffer is full")                                  \
	X(ERR_EMPTY, "empty", "nothing there")                                                    \
	/* What others sent. */                                                                   \
	X(ERR_TRUNCATED, "truncated", "ends before its announced length")                         \
	X(ERR_TOO_LONG, "too_long", "longer than allowed")                                        \
	X(ERR_MALFORMED, "malformed", "not in the format that the protocol asks for")             \
	X(ERR_RANGE, "out_of_range", "a number is outside of its allowed range")                  \
	X(ERR_UNSUPPORTED, "unsupported", "valid, but not supported here")                        \
	X(ERR_VERSION, "version", "a version that is not spoken here")                            \
	X(ERR_PROTOCOL, "protocol", "the peer broke the rules of the protocol")                   \
	X(ERR_FLOW_CONTROL, "flow_control", "the peer sent more than its window")                 \
	X(ERR_NEGOTIATION, "negotiation", "no protocol in common")                                \
	X(ERR_GO_AWAY, "go_away", "the peer ended the session")                                   \
	X(ERR_RESET, "reset", "reset by the other side")                                          \
	/* Identity and cryptography. */                                                          \
	X(ERR_DECRYPT, "decrypt", "a message failed authentication")                              \
	X(ERR_NONCE_EXHAUSTED, "nonce_exhausted", "a key has no nonces left")                     \
	X(ERR_BAD_KEY, "bad_key", "not a usable key")                                             \
	X(ERR_BAD_SIGNATURE, "bad_signature", "a signature does not verify")                      \
	X(ERR_WRONG_PEER, "wrong_peer", "the peer that answered is not the one that was dialled") \
	X(ERR_SELF, "self", "the peer is this node itself")                                       \
	X(ERR_CRYPTO, "crypto", "the cryptographic library failed")                               \
	X(ERR_EXPOSED, "exposed", "others may read a file that must be private")                  \
	/* Limits and policy. */                                                                  \
	X(ERR_LIMIT, "limit", "a limit is reached")                                               \
	X(ERR_GATED, "gated", "not among the peers that may connect")                             \
	X(ERR_DUPLICATE, "duplicate", "exists already")                                           \
	X(ERR_SUPERSEDED, "superseded", "replaced by a newer connection")                         \
	X(ERR_BAD_STATE, "bad_state", "not possible in this state")                               \
	X(ERR_CLOSED, "closed", "closed here")                                                    \
	X(ERR_NOT_FOUND, "not_found", "no such thing")                                            \
	/* The system. */                                                                         \
	X(ERR_TIMEOUT, "timeout", "took longer than allowed")                                     \
	X(ERR_NO_MEMORY, "no_memory", "out of memory")                                            \
	X(ERR_PERMISSION, "permission", "not permitted")                                          \
	X(ERR_REFUSED, "refused", "connection refused")                                           \
	X(ERR_UNREACHABLE, "unreachable", "no route to the address")                              \
	X(ERR_ADDRESS_IN_USE, "address_in_use", "the address is in use")                          \
	X(ERR_NO_ADDRESS, "no_address", "no usable address")                                      \
	X(ERR_DNS, "dns", "the name does not resolve")                                            \
	X(ERR_BUSY, "busy", "in use by another process")                                          \
	X(ERR_FDS, "fds", "out of file descriptors")                                              \
	X(ERR_SYSTEM, "system", "the operating system refused")

enum err {
#define X(symbol, word, text) symbol,
	ERR_MAP(X)
#undef X
	ERR_COUNT
};

/* A word for logs and metrics: "wrong_peer". Static memory, any thread. */
const char *err_name(enum err e);

/* A fragment for people: "the peer that answered is not the one ...". Static memory, any thread. */
const char *err_text(enum err e);

/* The nearest enum err for an errno value; ERR_SYSTEM where none fits. Any thread. */
enum err err_from_errno(int errnum);
