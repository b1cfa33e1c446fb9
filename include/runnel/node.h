/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * runnel/node.h - a whole VPN node inside of a program
 *
 * What `runnel up` does, on threads that the library makes: listen, dial the configured peers, and
 * carry IP packets between them and a TUN device, or the program itself. The control socket and
 * signals are the daemon's and have no part in it. There may be any number of nodes in a process.
 *
 *     runnel_node_new()     the configuration is read and checked; nothing is open yet
 *     runnel_node_start()   its threads run, and the node listens
 *     runnel_node_stop()    connections are closed, its threads have ended
 *     runnel_node_free()    memory
 *
 * A node that stopped cannot start again; one whose start failed can.
 *
 * Threads: one thread at a time calls new, start and free of a node. The other functions may be
 * called by any thread between new and free, at the same time. A node has as many threads as the
 * configuration has `shards`; with RUNNEL_TUN_FD and RUNNEL_NO_TUN one. Callbacks run on the first
 * of them, whose packets wait for them: they should return soon. In a callback,
 * runnel_node_send(), _status_json(), _listen_addrs() and _peer_id() of the same node are allowed;
 * runnel_node_start(), _stop() and _free() are not.
 */
#ifndef RUNNEL_NODE_H
#define RUNNEL_NODE_H

#include <runnel/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- identity ------------------------------------------------------------------------ */

/* A node's private key. Never changes; threads may share it. */
struct runnel_identity;

/* A new Ed25519 key from the kernel's randomness, to be freed by runnel_identity_free().
 * RUNNEL_ERR_CRYPTO, RUNNEL_ERR_NO_MEMORY. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_identity_generate(struct runnel_identity **ret_identity);

/* Read a key file as `runnel keygen` and other libp2p programs write it; to be freed by
 * runnel_identity_free(). RUNNEL_ERR_EXPOSED if group or others may read or write it;
 * RUNNEL_ERR_NOT_FOUND, RUNNEL_ERR_PERMISSION, RUNNEL_ERR_MALFORMED, RUNNEL_ERR_UNSUPPORTED (not
 * Ed25519), RUNNEL_ERR_NO_MEMORY. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_identity_load(const char *path, struct runnel_identity **ret_identity);

/* Write such a file, with mode 0600, whole or not at all. RUNNEL_ERR_DUPLICATE: the file exists,
 * and stays as it is; RUNNEL_ERR_NOT_FOUND: its directory does not; RUNNEL_ERR_PERMISSION,
 * RUNNEL_ERR_SYSTEM. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err
runnel_identity_save(const struct runnel_identity *identity, const char *path);

/* The name that others know this identity by. Cannot fail. */
RUNNEL_API void runnel_identity_peer_id(const struct runnel_identity *identity,
					struct runnel_peer_id *ret_id);

/* Wipe the key and free it; not while a node uses it. Takes NULL; returns NULL. */
RUNNEL_API struct runnel_identity *runnel_identity_free(struct runnel_identity *identity);

/* --- what a node is made from -------------------------------------------------------- */

/* Where a node's packets come from and go to. */
enum runnel_tun {
	/* The device that the configuration describes: it is made at start and goes at stop. Needs
	 * CAP_NET_ADMIN. */
	RUNNEL_TUN = 0,
	/* A TUN that the program has opened and set up (IFF_TUN and IFF_NO_PI, without
	 * IFF_VNET_HDR), or any descriptor that reads and writes one packet a call. */
	RUNNEL_TUN_FD = 1,
	/* No device: runnel_node_send() and on_packet(). Needs no privilege. */
	RUNNEL_NO_TUN = 2,
};

/* All zero but for one of the two configurations is a valid start: the node then is as the daemon
 * would be with it. Lent for runnel_node_new(), except for what says otherwise. */
struct runnel_node_conf {
	/* The configuration, as runnel.yaml(5) describes it: the path of a file, or its text. One
	 * of the two, the other is NULL. `key` in it is not read where an identity is given;
	 * `control` and `log_level` are not used. */
	const char *config_path;
	const char *config_text;

	/* Lent until runnel_node_free(); NULL: loaded from the configuration's `key`. */
	const struct runnel_identity *identity;

	enum runnel_tun tun;
	/* Of RUNNEL_TUN_FD. The node works on a duplicate, which it closes when it stops; the
	 * descriptor stays the caller's and must be open until runnel_node_start() returned. Both
	 * share one file description, which the node makes non-blocking. */
	int tun_fd;

	/* The callbacks, each may be NULL; see the top of this file for what they may do. */
	void *ctx; /* handed to each */
	/* RUNNEL_NO_TUN: a packet came for us, from a peer that owns its source address, or an ICMP
	 * error of the node's own about a packet that was sent. `len` bytes, lent for the call. */
	void (*on_packet)(void *ctx, const void *packet, size_t len);
	/* A peer of the configuration is connected, or is no longer; packets to it are taken from
	 * that moment on. `id` is lent for the call. */
	void (*on_peer)(void *ctx, const struct runnel_peer_id *id, bool is_connected);
};

/* --- a node's life ------------------------------------------------------------------- */

/* A node. */
struct runnel_node;

enum {
	RUNNEL_ERROR_TEXT_MAX = 8192, /* bytes that hold most of what can be said of one failure */
};

/*
 * Read and check the configuration. Opens nothing that outlives the call but memory and, with
 * RUNNEL_NO_TUN, a pair of sockets. To be freed by runnel_node_free().
 *
 * On failure errbuf holds what is wrong, for people: all faults of the configuration, each on a
 * line of its own with its place; cut to errbuf_len bytes with the zero. NULL and 0: not wanted.
 * RUNNEL_ERR_MALFORMED (the configuration has faults, or conf has), RUNNEL_ERR_NOT_FOUND,
 * RUNNEL_ERR_PERMISSION, RUNNEL_ERR_TOO_LONG (above 4 MiB), RUNNEL_ERR_SELF (it lists the node
 * itself as a peer), what runnel_identity_load() says, RUNNEL_ERR_UNSUPPORTED (tcp.congestion is
 * one that the kernel does not have), RUNNEL_ERR_FDS, RUNNEL_ERR_NO_MEMORY.
 */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_node_new(const struct runnel_node_conf *conf,
							   struct runnel_node **ret_node,
							   char *errbuf, size_t errbuf_len);

/*
 * Make the first thread and, on it, the other threads, the device, the sockets and the first dials;
 * returns when the node listens, or could not. Blocks for as long as that takes, some milliseconds.
 * The threads have all signals blocked and live in the network namespace of the caller.
 *
 * On failure nothing stays open, errbuf says what is wrong as in runnel_node_new(), and the node
 * may be started again. RUNNEL_ERR_ADDRESS_IN_USE, RUNNEL_ERR_NO_ADDRESS, RUNNEL_ERR_PERMISSION,
 * RUNNEL_ERR_BUSY (the device is another process's), RUNNEL_ERR_BAD_STATE (it runs already, or has
 * run), RUNNEL_ERR_NOT_FOUND (no /dev/net/tun), RUNNEL_ERR_DUPLICATE (the device is of another
 * kind), RUNNEL_ERR_AGAIN (no thread can be made now), RUNNEL_ERR_FDS, RUNNEL_ERR_NO_MEMORY,
 * RUNNEL_ERR_SYSTEM.
 */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_node_start(struct runnel_node *node, char *errbuf,
							     size_t errbuf_len);

/*
 * Close all connections and end the thread; returns when that is done. Connections get up to
 * `timeout` to close in an orderly way, then they are cut: RUNNEL_ERR_TIMEOUT, and the node has
 * stopped all the same. RUNNEL_FOREVER: no bound. A callback that does not return holds this up,
 * and so does a DNS query that the system does not answer, until it gives up. Stopping a node that
 * does not run is no error; two threads may stop the same node. RUNNEL_ERR_BAD_STATE: called in a
 * callback of the node.
 */
RUNNEL_API enum runnel_err runnel_node_stop(struct runnel_node *node, runnel_nsec timeout);

/* Free a node, which is stopped first, with a timeout of one second, where it runs. No other thread
 * may be inside of a function of this node, and not in its callbacks. Takes NULL; returns NULL. */
RUNNEL_API struct runnel_node *runnel_node_free(struct runnel_node *node);

/* --- a node at work ------------------------------------------------------------------ */

/*
 * Send an IP packet of `len` bytes, as if a program had sent it through the TUN. The bytes are
 * copied. Any thread, also in callbacks; never blocks. RUNNEL_ERR_OK means that the node will look
 * at it: one that no peer owns, or whose peer is not connected, is dropped there, counted in the
 * status, and answered with an ICMP error by on_packet().
 *
 * RUNNEL_ERR_FULL: the node has some hundred packets waiting; try again later, or drop it.
 * RUNNEL_ERR_TOO_LONG: above the configuration's interface.mtu. RUNNEL_ERR_MALFORMED: no bytes.
 * RUNNEL_ERR_UNSUPPORTED: the node was not made with RUNNEL_NO_TUN. RUNNEL_ERR_CLOSED: it does not
 * run.
 */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_node_send(struct runnel_node *node,
							    const void *packet, size_t len);

/* The node's own name; from runnel_node_new() on. Cannot fail. */
RUNNEL_API void runnel_node_peer_id(const struct runnel_node *node, struct runnel_peer_id *ret_id);

/* What `runnel status --json` prints, a JSON object that runnel(8) describes, as text with a zero;
 * free() it. Waits for the node's thread. RUNNEL_ERR_CLOSED: it does not run;
 * RUNNEL_ERR_NO_MEMORY. */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_node_status_json(struct runnel_node *node,
								   char **ret_text);

/* An address to listen on or to dial, as text. */
struct runnel_addr {
	char multiaddr[120]; /* "/ip4/127.0.0.1/tcp/4001", with its zero */
};

/*
 * The addresses that the node listens on, with the ports that it got where the configuration says
 * 0; without the node's own /p2p/ID. Writes up to `cap` of them to the array `ret_addrs`, and to
 * *ret_n how many; a configuration has at most 64. Waits for the node's thread. RUNNEL_ERR_CLOSED:
 * it does not run; RUNNEL_ERR_NO_MEMORY.
 */
RUNNEL_MUST_USE RUNNEL_API enum runnel_err runnel_node_listen_addrs(struct runnel_node *node,
								    struct runnel_addr *ret_addrs,
								    size_t cap, size_t *ret_n);

#ifdef __cplusplus
}
#endif

#endif
