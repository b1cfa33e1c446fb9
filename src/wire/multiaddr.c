/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * multiaddr.c - see multiaddr.h: the binary form
 *
 * A sequence of parts: uvarint code, uvarint length where the code's value has no fixed size,
 * value. multiaddr_from_bytes() is the one gate: what passed it walks, prints, and reads back from
 * its text as the same bytes. Texts (multiaddr_text.c) are built and then pass the same gate.
 */
#include "wire/multiaddr.h"

#include <assert.h>

#include "wire/multiaddr_proto.h"
#include "wire/varint.h"

/* The next part, its shape checked but not its value. ERR_DONE at the end. */
static enum err take_part(struct span *s, const struct multiaddr_proto **ret_proto,
			  struct span *ret_value)
{
	if (s->len == 0)
		return ERR_DONE;
	uint64_t code;
	enum err e = uvarint_take(s, &code);
	if (e != ERR_OK)
		return e;
	const struct multiaddr_proto *proto = multiaddr_proto_by_code(code);
	if (proto == NULL)
		return ERR_UNSUPPORTED;

	int size = multiaddr_proto_size(proto);
	uint64_t len = (uint64_t)size;
	if (size < 0) {
		e = uvarint_take(s, &len);
		if (e != ERR_OK)
			return e;
	}
	if (len > s->len)
		return ERR_TRUNCATED;
	*ret_proto = proto;
	return span_take(s, (size_t)len, ret_value);
}

enum err multiaddr_from_bytes(struct span bytes, struct multiaddr *ret_addr)
{
	if (bytes.len == 0)
		return ERR_MALFORMED;
	if (bytes.len > MULTIADDR_LEN_MAX)
		return ERR_TOO_LONG;

	struct span rest = bytes;
	const struct multiaddr_proto *proto;
	struct span value;
	enum err e;
	unsigned parts = 0;
	while ((e = take_part(&rest, &proto, &value)) == ERR_OK) {
		e = multiaddr_proto_check(proto, value);
		/* The value is there in full: a length inside of it that says otherwise is wrong.
		 */
		if (e == ERR_TRUNCATED)
			e = ERR_MALFORMED;
		if (e == ERR_OK && proto->value == MULTIADDR_VALUE_PATH && rest.len > 0)
			e = ERR_MALFORMED;
		if (e == ERR_OK && ++parts > MULTIADDR_PARTS_MAX)
			e = ERR_TOO_LONG;
		if (e != ERR_OK)
			return e;
	}
	if (e != ERR_DONE)
		return e;
	ret_addr->len = (uint16_t)bytes.len;
	memcpy(ret_addr->bytes, bytes.p, bytes.len);
	return ERR_OK;
}

bool multiaddr_next(struct span *iter, struct multiaddr_part *ret_part)
{
	const struct multiaddr_proto *proto;
	struct span value;
	if (take_part(iter, &proto, &value) != ERR_OK)
		return false;
	*ret_part = (struct multiaddr_part){.code = proto->code, .value = value};
	return true;
}

static void put(struct wbuf *w, enum multiaddr_code code, struct span value)
{
	multiaddr_proto_put(w, multiaddr_proto_by_code((uint64_t)code), value);
}

void multiaddr_from_ip_tcp(const uint8_t *ip, size_t ip_len, uint16_t port,
			   struct multiaddr *ret_addr)
{
	assert(ip_len == 4 || ip_len == 16);
	uint8_t port_be[2];
	store_be16(port_be, port);
	struct wbuf w = wbuf_of(ret_addr->bytes, sizeof(ret_addr->bytes));
	put(&w, ip_len == 4 ? MULTIADDR_IP4 : MULTIADDR_IP6, span_of(ip, ip_len));
	put(&w, MULTIADDR_TCP, span_of(port_be, sizeof(port_be)));
	ret_addr->len = (uint16_t)w.len;
}

static unsigned count_parts(const struct multiaddr *addr)
{
	unsigned n = 0;
	struct multiaddr_part part;
	for (struct span iter = multiaddr_view(addr); multiaddr_next(&iter, &part);)
		n++;
	return n;
}

enum err multiaddr_append_p2p(struct multiaddr *addr, const struct peer_id *id)
{
	assert(id->len > 0);
	if (count_parts(addr) >= MULTIADDR_PARTS_MAX)
		return ERR_FULL;
	struct wbuf w = wbuf_of(addr->bytes, sizeof(addr->bytes));
	w.len = addr->len;
	put(&w, MULTIADDR_P2P, peer_id_view(id));
	enum err e = wbuf_check(&w);
	if (e == ERR_OK)
		addr->len = (uint16_t)w.len;
	return e;
}

void multiaddr_split_p2p(struct multiaddr *addr, struct peer_id *ret_id)
{
	*ret_id = (struct peer_id){0};
	struct multiaddr_part part = {0};
	uint16_t last_at = 0;
	struct span iter = multiaddr_view(addr);
	for (uint16_t at = 0; multiaddr_next(&iter, &part); at = (uint16_t)(addr->len - iter.len))
		last_at = at;
	if (addr->len > 0 && part.code == MULTIADDR_P2P &&
	    peer_id_from_bytes(part.value, ret_id) == ERR_OK)
		addr->len = last_at;
}

static bool is_tcp_host(enum multiaddr_code code)
{
	return code == MULTIADDR_IP4 || code == MULTIADDR_IP6 || code == MULTIADDR_DNS ||
	       code == MULTIADDR_DNS4 || code == MULTIADDR_DNS6;
}

enum err multiaddr_as_tcp(const struct multiaddr *addr, struct multiaddr_tcp *ret_tcp)
{
	struct multiaddr_tcp tcp = {0};
	struct multiaddr_part part;
	struct span iter = multiaddr_view(addr);

	if (!multiaddr_next(&iter, &part))
		return ERR_UNSUPPORTED;
	if (part.code == MULTIADDR_IP6ZONE) {
		tcp.zone = part.value;
		if (!multiaddr_next(&iter, &part) || part.code != MULTIADDR_IP6)
			return ERR_UNSUPPORTED;
	}
	if (!is_tcp_host(part.code))
		return ERR_UNSUPPORTED;
	tcp.host_code = part.code;
	tcp.host = part.value;

	if (!multiaddr_next(&iter, &part) || part.code != MULTIADDR_TCP)
		return ERR_UNSUPPORTED;
	tcp.port = load_be16(part.value.p);

	if (multiaddr_next(&iter, &part)) {
		if (part.code != MULTIADDR_P2P || iter.len > 0 ||
		    peer_id_from_bytes(part.value, &tcp.peer) != ERR_OK)
			return ERR_UNSUPPORTED;
	}
	*ret_tcp = tcp;
	return ERR_OK;
}

bool multiaddr_is_portable(const struct multiaddr *addr)
{
	const struct multiaddr_proto *proto;
	struct span value;
	struct span iter = multiaddr_view(addr);
	while (take_part(&iter, &proto, &value) == ERR_OK) {
		if (!proto->portable)
			return false;
	}
	return addr->len > 0;
}
