/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * identify.c - see identify.h
 *
 * Messages are a uvarint length and a protobuf each; several may follow each other on one stream
 * (go splits large ones), and together they are the answer. They are collected up to
 * IDENTIFY_READ_MAX, and read at the end of the stream.
 */
#include "p2p/protocol/identify.h"

#include <stdlib.h>

#include "base/util.h"
#include "p2p/host/netaddr.h"
#include "wire/varint.h"

/* --- what we say --------------------------------------------------------------------- */

static void list_addresses(struct conn *c, struct multiaddr_list *list)
{
	size_t n = swarm_listen_addrs(conn_swarm(c), list->at, IDENTIFY_ADDRS_MAX);
	union netaddr local;
	bool has_local = conn_local(c, &local) == ERR_OK;
	for (size_t i = 0; i < n; i++) {
		union netaddr at;
		if (netaddr_from_multiaddr(&list->at[i], &at) != ERR_OK)
			continue;
		if (netaddr_scope(&at) == NETADDR_NONE) {
			if (!has_local || local.sa.sa_family != at.sa.sa_family)
				continue;
			uint16_t port = netaddr_port(&at);
			at = local;
			netaddr_set_port(&at, port);
		}
		netaddr_to_multiaddr(&at, &list->at[list->len++]);
	}
}

static enum err put_message(const struct identify *id, struct conn *c, struct wbuf *out)
{
	struct identify_msg msg;
	memset(&msg, 0, sizeof(msg));
	msg.public_key = identity_public_key(swarm_identity(conn_swarm(c)));
	msg.protocol_version = span_str("ipfs/0.1.0");
	msg.agent_version = span_str(id->conf.agent);
	netaddr_to_multiaddr(conn_remote(c), &msg.observed_addr);
	list_addresses(c, &msg.listen_addrs);
	for (size_t i = 0; i < id->conf.n_protocols && i < IDENTIFY_PROTOCOLS_MAX; i++)
		msg.protocols[msg.protocols_len++] = span_str(id->conf.protocols[i].name);
	identify_msg_put(out, &msg);
	return wbuf_check(out);
}

static void say(struct identify *id, struct stream *s)
{
	uint8_t bytes[IDENTIFY_LEN_MAX], head[UVARINT_LEN_MAX];
	struct wbuf msg = wbuf_of(bytes, sizeof(bytes));
	struct wbuf prefix = wbuf_of(head, sizeof(head));
	enum err e = put_message(id, stream_conn(s), &msg);
	if (e == ERR_OK) {
		wbuf_put_uvarint(&prefix, msg.len);
		e = stream_write(s, wbuf_view(&prefix));
	}
	if (e == ERR_OK)
		e = stream_write(s, wbuf_view(&msg));
	if (e != ERR_OK)
		stream_reset(s, e);
	else
		stream_close_write(s);
}

static void answer(struct stream *s)
{
	struct identify *id = stream_user(s);
	id->answered++;
	say(id, s);
}

const struct stream_ops identify_responder_ops = {
	.on_open = answer,
};

/* --- what they say ------------------------------------------------------------------- */

/* An answer, or a push, while it comes in. */
struct hearing {
	struct identify *id;
	struct stream *stream;
	struct loop_timer deadline; /* of all of it, until the stream is closed */
	bool is_push_out;           /* we only speak */
	size_t len;
	uint8_t bytes[IDENTIFY_READ_MAX];
};

static void on_deadline(struct loop_timer *timer, nsec_t now)
{
	(void)now;
	stream_reset(CONTAINER_OF(timer, struct hearing, deadline)->stream, ERR_TIMEOUT);
}

static struct hearing *hearing_new(struct identify *id, struct conn *c)
{
	struct hearing *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return NULL;
	h->id = id;
	loop_timer_init(&h->deadline, conn_loop(c), on_deadline);
	return h;
}

static void begin(struct hearing *h, struct stream *s)
{
	h->stream = s;
	loop_timer_set(&h->deadline, nsec_add(loop_now(h->deadline.loop), IDENTIFY_TIMEOUT));
}

/* Fields that `more` has, it has. */
static void merge(struct identify_msg *all, const struct identify_msg *more)
{
	if (more->public_key.p != NULL)
		all->public_key = more->public_key;
	if (more->agent_version.p != NULL)
		all->agent_version = more->agent_version;
	if (more->protocol_version.p != NULL)
		all->protocol_version = more->protocol_version;
	if (more->signed_peer_record.p != NULL)
		all->signed_peer_record = more->signed_peer_record;
	if (more->observed_addr.len > 0)
		all->observed_addr = more->observed_addr;
	for (size_t i = 0; i < more->listen_addrs.len && all->listen_addrs.len < IDENTIFY_ADDRS_MAX;
	     i++)
		all->listen_addrs.at[all->listen_addrs.len++] = more->listen_addrs.at[i];
	for (size_t i = 0; i < more->protocols_len && all->protocols_len < IDENTIFY_PROTOCOLS_MAX;
	     i++)
		all->protocols[all->protocols_len++] = more->protocols[i];
}

static enum err read_all(const struct hearing *h, struct identify_msg *all)
{
	struct span in = span_of(h->bytes, h->len);
	memset(all, 0, sizeof(*all));
	for (int i = 0; in.len > 0; i++) {
		uint64_t len;
		struct span bytes;
		struct identify_msg msg;
		if (i == IDENTIFY_MESSAGES_MAX)
			return ERR_LIMIT;
		enum err e = uvarint_take(&in, &len);
		if (e == ERR_OK)
			e = len <= in.len ? span_take(&in, (size_t)len, &bytes) : ERR_TRUNCATED;
		if (e == ERR_OK)
			e = identify_msg_decode(bytes, &msg);
		if (e != ERR_OK)
			return e;
		merge(all, &msg);
	}
	return h->len > 0 ? ERR_OK : ERR_EMPTY;
}

/* The addresses among those told that are worth dialling. */
static void learn(struct conn *c, const struct identify_msg *msg)
{
	struct multiaddr good[IDENTIFY_ADDRS_MAX];
	size_t n = 0;
	enum netaddr_scope reach = netaddr_scope(conn_remote(c));
	for (size_t i = 0; i < msg->listen_addrs.len; i++) {
		struct multiaddr addr = msg->listen_addrs.at[i];
		struct peer_id ignored;
		union netaddr at;
		multiaddr_split_p2p(&addr, &ignored);
		if (netaddr_from_multiaddr(&addr, &at) != ERR_OK)
			continue;
		/* A peer that we reach at a wide scope does not send us into our own narrower ones.
		 */
		enum netaddr_scope scope = netaddr_scope(&at);
		if (scope == NETADDR_NONE || scope < reach || netaddr_port(&at) == 0)
			continue;
		good[n++] = addr;
	}
	swarm_learn_addrs(conn_swarm(c), conn_peer(c), good, n);
}

static enum err conclude(struct hearing *h, struct conn *c)
{
	struct identify_msg all;
	enum err e = read_all(h, &all);
	if (e != ERR_OK)
		return e;
	if (all.public_key.p != NULL && !span_equal(all.public_key, conn_peer_key(c)))
		return ERR_WRONG_PEER;
	learn(c, &all);
	if (h->id->conf.on_identified != NULL)
		h->id->conf.on_identified(h->id->conf.ctx, c, &all);
	return ERR_OK;
}

static void on_data(struct stream *s, struct span data)
{
	struct hearing *h = stream_user(s);
	if (h == NULL || h->is_push_out)
		return;
	if (data.len > sizeof(h->bytes) - h->len) {
		h->id->refused++;
		stream_reset(s, ERR_TOO_LONG);
		return;
	}
	memcpy(h->bytes + h->len, data.p, data.len);
	h->len += data.len;
}

static void on_eof(struct stream *s)
{
	struct hearing *h = stream_user(s);
	if (h == NULL || h->is_push_out)
		return;
	enum err e = conclude(h, stream_conn(s));
	if (e == ERR_OK) {
		h->id->received++;
		stream_close_write(s);
	} else {
		h->id->refused++;
		stream_reset(s, e);
	}
}

static void on_close(struct stream *s, enum err why)
{
	(void)why;
	struct hearing *h = stream_user(s);
	if (h != NULL)
		loop_timer_stop(&h->deadline);
	free(h);
}

/* They tell without being asked. */
static void on_push(struct stream *s)
{
	struct hearing *h = hearing_new(stream_user(s), stream_conn(s));
	stream_set_user(s, h);
	if (h == NULL)
		stream_reset(s, ERR_NO_MEMORY);
	else
		begin(h, s);
}

const struct stream_ops identify_push_ops = {
	.on_open = on_push,
	.on_data = on_data,
	.on_eof = on_eof,
	.on_close = on_close,
};

static void on_agreed(struct stream *s)
{
	struct hearing *h = stream_user(s);
	if (h->is_push_out)
		say(h->id, s);
	else
		stream_close_write(s); /* the opener of a request sends nothing */
}

static const struct stream_ops asker_ops = {
	.on_open = on_agreed,
	.on_data = on_data,
	.on_eof = on_eof,
	.on_close = on_close,
};

static enum err open_stream(struct identify *id, struct conn *c, const char *const *protocol,
			    bool is_push_out)
{
	struct hearing *h = hearing_new(id, c);
	if (h == NULL)
		return ERR_NO_MEMORY;
	h->is_push_out = is_push_out;
	struct stream *s;
	enum err e = conn_open_stream(c, protocol, 1, &asker_ops, h, &s);
	if (e == ERR_OK)
		begin(h, s);
	else
		free(h);
	return e;
}

enum err identify_request(struct identify *id, struct conn *c)
{
	static const char *const protocol[] = {IDENTIFY_PROTOCOL};
	return open_stream(id, c, protocol, false);
}

enum err identify_push(struct identify *id, struct conn *c)
{
	static const char *const protocol[] = {IDENTIFY_PUSH_PROTOCOL};
	return open_stream(id, c, protocol, true);
}
