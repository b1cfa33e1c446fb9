/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * yamux.h - many streams over one connection
 *
 * Spec: libp2p yamux, hashicorp/yamux. Pure: plaintext and the time in, events and frames out.
 *
 * Input is a pull parser: yamux_read() takes bytes and returns one event at a time, data as views
 * into the input, however large the peer's frames are; nothing is buffered but a 12-byte header.
 * There are no callbacks, so any function may be called between two events.
 *
 * Output comes in two kinds. Control frames (open, acknowledge, window, close, reset, ping, go
 * away) collect inside and are taken with yamux_take(). Data is never stored here: when the
 * connection has room it asks a stream for yamux_send_room(), lets the stream's owner write that
 * many bytes behind a gap of YAMUX_HEADER_LEN, and has the gap filled with yamux_put_data(). So a
 * packet goes from its queue into the record that is sealed next, and what waits, waits where it
 * can still be dropped.
 *
 *     state of a stream      May                                   Must not
 *     OPEN                   send, receive                         -
 *     LOCAL_CLOSED           receive; send window updates          send data
 *     REMOTE_CLOSED          send                                  see DATA or FIN
 *     CLOSED, RESET          be released                           anything else
 *
 * A stream belongs to the session and stays valid until yamux_release(), also after it closed.
 * Owned by the shard of its connection.
 */
#pragma once

#include "base/limits.h"
#include "base/span.h"
#include "base/time.h"

enum {
	YAMUX_HEADER_LEN = 12,
};

enum yamux_role {
	YAMUX_CLIENT, /* the dialler: odd stream ids */
	YAMUX_SERVER, /* even ones */
};

enum yamux_go_away {
	YAMUX_GO_AWAY_NORMAL = 0,
	YAMUX_GO_AWAY_PROTOCOL = 1,
	YAMUX_GO_AWAY_INTERNAL = 2,
};

struct yamux;
struct yamux_stream;

enum yamux_event_type {
	YAMUX_EV_OPENED, /* the peer opened `stream`; yamux_set_user() it, or yamux_release() it to
			    refuse */
	YAMUX_EV_ACKED,  /* the peer accepted our `stream` */
	YAMUX_EV_DATA,   /* `data` of `stream`; say yamux_consumed() when it is used up */
	YAMUX_EV_FIN,    /* the peer will send no more on `stream` */
	YAMUX_EV_RESET,  /* `stream` is dead, both ways */
	YAMUX_EV_WRITABLE, /* the send window of `stream` opened again after having been 0 */
	YAMUX_EV_RTT,      /* our ping was answered after `rtt` */
	YAMUX_EV_GO_AWAY,  /* the peer ended the session with `code`: close the connection */
};

struct yamux_event {
	enum yamux_event_type type;
	struct yamux_stream *stream;
	struct span data; /* view into the input of the call */
	nsec_t rtt;
	uint32_t code;
};

/* ERR_NO_MEMORY. */
MUST_USE enum err yamux_new(enum yamux_role role, struct yamux **ret_yamux);
/* With all its streams; their owners must not use them any more. Takes NULL; returns NULL. */
struct yamux *yamux_free(struct yamux *y);

/*
 * Consume from the front of *in up to the next event. ERR_OK: *ret is an event, call again.
 * ERR_AGAIN: all of *in is consumed. ERR_PROTOCOL, ERR_FLOW_CONTROL, ERR_LIMIT, ERR_VERSION: the
 * session is over, a go-away waits in yamux_take(); send it and close. Every later call returns the
 * same error. A stream for which there is no memory is refused like one too many.
 */
MUST_USE enum err yamux_read(struct yamux *y, struct span *in, nsec_t now, struct yamux_event *ret);

/* Is there something for yamux_take()? */
bool yamux_has_control(const struct yamux *y);
/* Append as many whole control frames as fit into out; never overflows it. `now` starts the clock
 * of a ping. */
void yamux_take(struct yamux *y, struct wbuf *out, nsec_t now);

/* Open a stream; its SYN goes with the next yamux_take(), data may follow at once. ERR_LIMIT (too
 * many open, or too many not acknowledged), ERR_GO_AWAY, ERR_NO_MEMORY. */
MUST_USE enum err yamux_open(struct yamux *y, void *user, struct yamux_stream **ret_stream);

/* Bytes of data that may go into one frame of this stream now: 0..YAMUX_BODY_LEN_SEND; 0 when
 * closed or the window is full. */
size_t yamux_send_room(const struct yamux_stream *s);
/* Write the header of a data frame of body_len bytes (1..yamux_send_room()) and account for it. */
void yamux_put_data(struct yamux_stream *s, uint8_t header[YAMUX_HEADER_LEN], size_t body_len);

/* The owner has used up n bytes of what came in DATA events: the window may grow again. */
void yamux_consumed(struct yamux_stream *s, size_t n, nsec_t now);
/* No more data from us; FIN goes as a frame of its own, behind all data that was put. Once; later
 * calls do nothing. */
void yamux_close_write(struct yamux_stream *s);
/* Both ways dead: RST goes out. No events of it come any more. */
void yamux_reset(struct yamux_stream *s);
/* The owner lets go. Resets it if it is not closed both ways. Its pointer is dead afterwards. */
void yamux_release(struct yamux_stream *s);

void yamux_set_user(struct yamux_stream *s, void *user);
void *yamux_user(const struct yamux_stream *s);
uint32_t yamux_stream_id(const struct yamux_stream *s);

/* Send a ping with the next yamux_take(); does nothing while one is on its way. Do so at the start:
 * receive windows grow only once the round trip is known. */
void yamux_ping(struct yamux *y);
/* Is our ping unanswered, or not yet taken? */
bool yamux_is_ping_pending(const struct yamux *y);
/* Say good-bye with the next yamux_take(); no streams can be opened any more. */
void yamux_go_away(struct yamux *y, enum yamux_go_away code);

/* Last measured round-trip time; 0: none yet. */
nsec_t yamux_rtt(const struct yamux *y);
size_t yamux_stream_count(const struct yamux *y);
