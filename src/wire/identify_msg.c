/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* identify_msg.c - see identify_msg.h */
#include "wire/identify_msg.h"

#include "wire/pb.h"

enum {
	FIELD_PUBLIC_KEY = 1,
	FIELD_LISTEN_ADDRS = 2,
	FIELD_PROTOCOLS = 3,
	FIELD_OBSERVED_ADDR = 4,
	FIELD_PROTOCOL_VERSION = 5,
	FIELD_AGENT_VERSION = 6,
	FIELD_SIGNED_PEER_RECORD = 8,
};

/* What could be proposed on a stream; rust drops others too. */
static bool is_protocol(struct span name)
{
	return name.len > 0 && name.len < MSS_TOKEN_LEN_MAX && name.p[0] == '/' &&
	       memchr(name.p, '\n', name.len) == NULL;
}

static void add_protocol(struct identify_msg *msg, struct span name)
{
	if (is_protocol(name) && msg->protocols_len < IDENTIFY_PROTOCOLS_MAX)
		msg->protocols[msg->protocols_len++] = name;
	else
		msg->protocols_skipped++;
}

static enum err read_field(const struct pb_field *field, struct identify_msg *msg)
{
	struct span bytes;
	enum err e;
	switch (field->number) {
	case FIELD_PUBLIC_KEY:
		return pb_bytes(field, &msg->public_key);
	case FIELD_LISTEN_ADDRS:
		e = pb_bytes(field, &bytes);
		if (e == ERR_OK)
			multiaddr_list_add_bytes(&msg->listen_addrs, bytes);
		return e;
	case FIELD_PROTOCOLS:
		e = pb_bytes(field, &bytes);
		if (e == ERR_OK)
			add_protocol(msg, bytes);
		return e;
	case FIELD_OBSERVED_ADDR:
		e = pb_bytes(field, &bytes);
		if (e == ERR_OK && multiaddr_from_bytes(bytes, &msg->observed_addr) != ERR_OK)
			msg->observed_addr.len = 0;
		return e;
	case FIELD_PROTOCOL_VERSION:
		return pb_bytes(field, &msg->protocol_version);
	case FIELD_AGENT_VERSION:
		return pb_bytes(field, &msg->agent_version);
	case FIELD_SIGNED_PEER_RECORD:
		return pb_bytes(field, &msg->signed_peer_record);
	default:
		return ERR_OK;
	}
}

enum err identify_msg_decode(struct span bytes, struct identify_msg *ret_msg)
{
	if (bytes.len > IDENTIFY_READ_MAX)
		return ERR_TOO_LONG;
	struct identify_msg msg = {0};
	struct pb_field field;
	enum err e;
	while ((e = pb_next(&bytes, &field)) == ERR_OK) {
		e = read_field(&field, &msg);
		if (e != ERR_OK)
			return e;
	}
	if (e != ERR_DONE)
		return e;
	*ret_msg = msg;
	return ERR_OK;
}

static void put_nonempty(struct wbuf *w, uint32_t number, struct span bytes)
{
	if (bytes.len > 0)
		pb_put_bytes(w, number, bytes);
}

void identify_msg_put(struct wbuf *w, const struct identify_msg *msg)
{
	put_nonempty(w, FIELD_PUBLIC_KEY, msg->public_key);
	for (size_t i = 0; i < msg->listen_addrs.len; i++)
		pb_put_bytes(w, FIELD_LISTEN_ADDRS, multiaddr_view(&msg->listen_addrs.at[i]));
	for (size_t i = 0; i < msg->protocols_len; i++)
		pb_put_bytes(w, FIELD_PROTOCOLS, msg->protocols[i]);
	put_nonempty(w, FIELD_OBSERVED_ADDR, multiaddr_view(&msg->observed_addr));
	put_nonempty(w, FIELD_PROTOCOL_VERSION, msg->protocol_version);
	put_nonempty(w, FIELD_AGENT_VERSION, msg->agent_version);
	put_nonempty(w, FIELD_SIGNED_PEER_RECORD, msg->signed_peer_record);
}
