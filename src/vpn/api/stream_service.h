/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stream_service.h - the interface: open a packet stream to a peer
 *
 * What dispatch knows of the world below it: ordered, reliable byte streams to a peer, each agreed
 * on one of the packet protocols. A *link* is such a stream as the service sees it. Sending is
 * pulled: the user says wake(), and is asked for bytes when the link can take them; what waits
 * stays the user's, to reorder or to drop.
 *
 *     a link is   May                                        Must not
 *     OPENING     finish(), reset()                          expect on_data, pull
 *     OPEN        everything                                 -
 *     ENDED       nothing: on_close() was the last call      be touched
 *
 * A service belongs to one shard, as the links do: all calls, both ways, are on its thread. No
 * function blocks, and none calls back from inside, so that a caller finds its own state as it left
 * it; what follows comes later in the turn, or in another.
 */
#pragma once

#include "base/span.h"
#include "base/time.h"
#include "wire/peer_id.h"

enum packet_framing {
	PACKET_FRAMING_RUNNEL, /* /runnel/packet/1.0.0 */
	PACKET_FRAMING_VPN,    /* /vpn/1.0.0 */
};

/* What the user of a link is called for; all must be given. */
struct link_user_ops {
	/* The protocol is agreed. */
	void (*on_open)(void *user, enum packet_framing framing);
	/* Bytes from the peer, lent for the call. */
	void (*on_data)(void *user, struct span data);
	/* Write 1..cap bytes to buf; 0: nothing now, until wake(). May not call the service. */
	size_t (*pull)(void *user, uint8_t *buf, size_t cap);
	/* Its connection will not last, but works for now: move what you can. */
	void (*on_retire)(void *user);
	/* The last call. ERR_OK: closed by both sides. */
	void (*on_close)(void *user, enum err why);
};

struct link_facts {
	uintptr_t conn;           /* of the connection that carries it: equal numbers, equal fate */
	bool is_suspect;          /* the peer does not answer on it */
	uint64_t in_flight_bytes; /* taken by the connection, not yet acknowledged by the peer */
	nsec_t rtt;               /* of the connection; 0: not known */
};

struct stream_service_ops {
	/* on_open() or on_close() follows. ERR_UNREACHABLE: not connected (demand() may change
	 * that); ERR_LIMIT, ERR_NO_MEMORY, and what else goes wrong at once. */
	enum err (*open)(void *ctx, const struct peer_id *peer, const struct link_user_ops *ops,
			 void *user, void **ret_link);
	/* The same on another connection than open() uses, so that one key can use both.
	 * ERR_UNREACHABLE: there is none now, and asking is asking for one. NULL: there never is.
	 */
	enum err (*open_spare)(void *ctx, const struct peer_id *peer,
			       const struct link_user_ops *ops, void *user, void **ret_link);
	/* There is something to pull. Cheap; many calls are one. */
	void (*wake)(void *link);
	/* No more from us behind what was pulled: FIN. on_close() follows when the peer ends too.
	 */
	void (*finish)(void *link);
	/* End it now, both ways; on_close(why) follows. Also after finish(), and again. */
	void (*reset)(void *link, enum err why);
	/* Not on the packet path: it may ask the kernel. */
	void (*facts)(void *link, struct link_facts *ret);
	/* Bytes that came from this peer, on the connection that open() would use; grows while it
	 * lives. 0: there is none. NULL: it cannot be told. Not on the packet path. */
	uint64_t (*heard_bytes)(void *ctx, const struct peer_id *peer);
	/* Packets wait for this peer: reach it if you can. Cheap: called per packet. */
	void (*demand)(void *ctx, const struct peer_id *peer);
};

struct stream_service {
	const struct stream_service_ops *ops;
	void *ctx;
};
