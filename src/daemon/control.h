/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * control.h - the control socket: how the command line talks to a running node
 *
 * AF_UNIX, mode 0600, and the peer's credentials are checked: root and the daemon's own user may
 * speak. One request per connection: a line of JSON, {"cmd": "status"}; one answer: a line of JSON,
 * after which the server closes.
 *
 *     status          the node, its peers, counters and drops
 *     ping   peer     {"rtt_us": N}, by libp2p ping
 *     stop            the node ends; the connection closes when it has
 *
 * An answer with a member "error" says in "message" what was wrong. Owned by the daemon's loop.
 */
#pragma once

#include "loop/loop.h"
#include "vpn/node/node.h"

enum {
	CONTROL_CLIENTS_MAX = 16,       /* connections at once: people and a few scripts */
	CONTROL_REQUEST_LEN_MAX = 4096, /* bytes of a request with its newline */
};

#define CONTROL_TIMEOUT \
	(15 * NSEC_PER_SEC) /* from connect to the answer; a ping may take PING_TIMEOUT */

struct control;

/*
 * Listen at `path`; its directory is made (0700) if missing, a socket that nobody listens on is
 * replaced. ERR_BUSY: another daemon listens there. ERR_PERMISSION, ERR_TOO_LONG (107 bytes is what
 * the kernel takes), ERR_NO_MEMORY, ...
 */
MUST_USE enum err control_new(struct loop *loop, const char *path, struct node *node,
			      void (*stop)(void *ctx), void *ctx, struct control **ret_control);
/* Closes all and removes the socket's file. Takes NULL; returns NULL. */
struct control *control_free(struct control *c);
