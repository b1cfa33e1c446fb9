/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * runnel/types.h - what all of librunnel's headers share: errors, peer ids, IP addresses, durations
 *
 * Rules that hold for the whole library, where a function does not say otherwise:
 *
 *   - Functions that can fail return enum runnel_err. Results go through parameters named ret_...,
 *     which are written only on success.
 *   - Pointers that are handed in are lent for the call. What a function hands out belongs to the
 *     caller, who frees it with the function that is named there.
 *   - x_free() takes NULL, and returns NULL: `node = runnel_node_free(node);`
 *   - Durations are nanoseconds, sizes are bytes.
 *   - Functions on values (errors, ids, addresses) may be called in any thread at any time.
 *   - The library writes to no standard stream, installs no signal handler and does not end the
 *     process, except by abort() after a mistake in its own or its caller's code.
 *
 * The headers are C11, and can be included by C++.
 */
#ifndef RUNNEL_TYPES_H
#define RUNNEL_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define RUNNEL_API      __attribute__((visibility("default")))
#define RUNNEL_MUST_USE __attribute__((warn_unused_result))
#else
#define RUNNEL_API
#define RUNNEL_MUST_USE
#endif

/* The library's version, "0.1.0": of what is loaded, not of what was compiled against. Static
 * memory. */
RUNNEL_API const char *runnel_version(void);

/* --- durations ----------------------------------------------------------------------- */

/* A duration in nanoseconds. */
typedef uint64_t runnel_nsec;

#define RUNNEL_NSEC_PER_MSEC ((runnel_nsec)1000000)
#define RUNNEL_NSEC_PER_SEC  ((runnel_nsec)1000000000)
/* Longer than anything: wait without a bound. */
#define RUNNEL_FOREVER UINT64_MAX

/* --- errors -------------------------------------------------------------------------- */

/* What went wrong. The numbers never change; later versions may add some. */
enum runnel_err {
	RUNNEL_ERR_OK = 0,               /* no error */
	RUNNEL_ERR_AGAIN = 1,            /* nothing to do until the other side acts */
	RUNNEL_ERR_EOF = 2,              /* the other side closed */
	RUNNEL_ERR_DONE = 3,             /* already finished */
	RUNNEL_ERR_FULL = 4,             /* a bounded queue or buffer is full */
	RUNNEL_ERR_EMPTY = 5,            /* nothing there */
	RUNNEL_ERR_TRUNCATED = 6,        /* ends before its announced length */
	RUNNEL_ERR_TOO_LONG = 7,         /* longer than allowed */
	RUNNEL_ERR_MALFORMED = 8,        /* not in the format that the protocol asks for */
	RUNNEL_ERR_RANGE = 9,            /* a number is outside of its allowed range */
	RUNNEL_ERR_UNSUPPORTED = 10,     /* valid, but not supported here */
	RUNNEL_ERR_VERSION = 11,         /* a version that is not spoken here */
	RUNNEL_ERR_PROTOCOL = 12,        /* the peer broke the rules of the protocol */
	RUNNEL_ERR_FLOW_CONTROL = 13,    /* the peer sent more than its window */
	RUNNEL_ERR_NEGOTIATION = 14,     /* no protocol in common */
	RUNNEL_ERR_GO_AWAY = 15,         /* the peer ended the session */
	RUNNEL_ERR_RESET = 16,           /* reset by the other side */
	RUNNEL_ERR_DECRYPT = 17,         /* a message failed authentication */
	RUNNEL_ERR_NONCE_EXHAUSTED = 18, /* a key has no nonces left */
	RUNNEL_ERR_BAD_KEY = 19,         /* not a usable key */
	RUNNEL_ERR_BAD_SIGNATURE = 20,   /* a signature does not verify */
	RUNNEL_ERR_WRONG_PEER = 21,     /* the peer that answered is not the one that was dialled */
	RUNNEL_ERR_SELF = 22,           /* the peer is this node itself */
	RUNNEL_ERR_CRYPTO = 23,         /* the cryptographic library failed */
	RUNNEL_ERR_EXPOSED = 24,        /* others may read a file that must be private */
	RUNNEL_ERR_LIMIT = 25,          /* a limit is reached */
	RUNNEL_ERR_GATED = 26,          /* not among the peers that may connect */
	RUNNEL_ERR_DUPLICATE = 27,      /* exists already */
	RUNNEL_ERR_SUPERSEDED = 28,     /* replaced by a newer connection */
	RUNNEL_ERR_BAD_STATE = 29,      /* not possible in this state */
	RUNNEL_ERR_CLOSED = 30,         /* closed here */
	RUNNEL_ERR_NOT_FOUND = 31,      /* no such thing */
	RUNNEL_ERR_TIMEOUT = 32,        /* took longer than allowed */
	RUNNEL_ERR_NO_MEMORY = 33,      /* out of memory */
	RUNNEL_ERR_PERMISSION = 34,     /* not permitted */
	RUNNEL_ERR_REFUSED = 35,        /* connection refused */
	RUNNEL_ERR_UNREACHABLE = 36,    /* no route to the address */
	RUNNEL_ERR_ADDRESS_IN_USE = 37, /* the address is in use */
	RUNNEL_ERR_NO_ADDRESS = 38,     /* no usable address */
	RUNNEL_ERR_DNS = 39,            /* the name does not resolve */
	RUNNEL_ERR_BUSY = 40,           /* in use by another process */
	RUNNEL_ERR_FDS = 41,            /* out of file descriptors */
	RUNNEL_ERR_SYSTEM = 42,         /* the operating system refused */
};

/* A word for logs and metrics: "wrong_peer"; "unknown" for a number that is none. Static memory. */
RUNNEL_API const char *runnel_err_name(enum runnel_err err);

/* A fragment for people: "out of memory"; "unknown error" for a number that is none. Static memory.
 */
RUNNEL_API const char *runnel_err_text(enum runnel_err err);

/* --- peer ids ------------------------------------------------------------------------ */

/* A node's name: the multihash of its public key, as libp2p has it. A value: copy it, and compare
 * it by runnel_peer_id_equal(). All zero: no peer. */
struct runnel_peer_id {
	uint8_t bytes[44]; /* those behind `len` are zero */
	uint8_t len;       /* bytes in use; 0: no peer */
};

enum {
	RUNNEL_PEER_ID_TEXT_MAX = 64, /* bytes of a peer id as text, its zero included */
};

/* Text to peer id: base58 (12D3KooW...) or a CID with codec libp2p-key. RUNNEL_ERR_MALFORMED,
 * RUNNEL_ERR_TOO_LONG, RUNNEL_ERR_UNSUPPORTED (another codec, base or hash). */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_peer_id_parse(const char *text,
								struct runnel_peer_id *ret_id);

/* Peer id to text in base58. Writes at most RUNNEL_PEER_ID_TEXT_MAX bytes to buf, and returns buf.
 * No peer reads "". */
RUNNEL_API const char *runnel_peer_id_format(const struct runnel_peer_id *id,
					     char buf[RUNNEL_PEER_ID_TEXT_MAX]);

/* Are they the same peer? */
RUNNEL_API bool runnel_peer_id_equal(const struct runnel_peer_id *a,
				     const struct runnel_peer_id *b);

/* --- IP addresses -------------------------------------------------------------------- */

/* An IPv4 or IPv6 address. A value. */
struct runnel_ip {
	uint8_t family;    /* 4 or 6; 0: no address */
	uint8_t bytes[16]; /* network order; of IPv4 the first 4, the others are zero */
};

enum {
	RUNNEL_IP_TEXT_MAX = 46, /* bytes of an address as text, its zero included */
};

/* "10.0.0.1" or "fd00::1" to address; nothing around it, no zone. RUNNEL_ERR_MALFORMED. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_ip_parse(const char *text,
							   struct runnel_ip *ret_ip);

/* Address to text. Writes at most RUNNEL_IP_TEXT_MAX bytes to buf, and returns buf. No address
 * reads "none". */
RUNNEL_API const char *runnel_ip_format(const struct runnel_ip *ip, char buf[RUNNEL_IP_TEXT_MAX]);

/* Are they the same address? */
RUNNEL_API bool runnel_ip_equal(const struct runnel_ip *a, const struct runnel_ip *b);

#ifdef __cplusplus
}
#endif

#endif
