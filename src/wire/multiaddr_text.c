/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * multiaddr_text.c - see multiaddr.h: the text form, /name[/value]...
 *
 * Read as go-multiaddr does: slashes at the end mean nothing, an empty name anywhere else is an
 * error, a path takes all that is left.
 */
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

#include "wire/multiaddr.h"
#include "wire/multiaddr_proto.h"
#include "wire/multibase.h"

/* The word up to the next slash, which goes too. */
static struct span take_word(struct span *text)
{
	const uint8_t *slash = memchr(text->p, '/', text->len);
	size_t len = slash != NULL ? (size_t)(slash - text->p) : text->len;
	struct span word = span_of(text->p, len);
	span_skip(text, slash != NULL ? len + 1 : len);
	return word;
}

static enum err parse_ip(struct span word, int family, size_t size, struct wbuf *value)
{
	char text[INET6_ADDRSTRLEN];
	/* inet_pton() wants a zero at the end, and must not see one before. */
	if (word.len >= sizeof(text) || memchr(word.p, '\0', word.len) != NULL)
		return ERR_MALFORMED;
	memcpy(text, word.p, word.len);
	text[word.len] = '\0';
	uint8_t *at = wbuf_reserve(value, size);
	assert(at != NULL);
	return inet_pton(family, text, at) == 1 ? ERR_OK : ERR_MALFORMED;
}

static enum err parse_port(struct span word, struct wbuf *value)
{
	unsigned port = 0;
	for (size_t i = 0; i < word.len; i++) {
		if (word.p[i] < '0' || word.p[i] > '9')
			return ERR_MALFORMED;
		if (port <= UINT16_MAX)
			port = port * 10 + word.p[i] - '0';
	}
	if (port > UINT16_MAX)
		return ERR_RANGE;
	wbuf_put_be16(value, (uint16_t)port);
	return ERR_OK;
}

static enum err parse_peer(struct span word, struct wbuf *value)
{
	struct peer_id id;
	enum err e = peer_id_parse(word, &id);
	if (e == ERR_OK)
		wbuf_put(value, peer_id_view(&id));
	return e;
}

/* One part's value; takes what belongs to it from *text. The gate in multiaddr_from_bytes() checks
 * the content of those that are text themselves. */
static enum err parse_value(enum multiaddr_value kind, struct span *text, struct wbuf *value)
{
	if (kind == MULTIADDR_VALUE_NONE)
		return ERR_OK;
	if (kind == MULTIADDR_VALUE_PATH) {
		wbuf_put_u8(value, '/');
		wbuf_put(value, *text);
		span_skip(text, text->len);
		return wbuf_check(value);
	}
	struct span word = take_word(text);
	if (word.len == 0)
		return ERR_MALFORMED;
	switch (kind) {
	case MULTIADDR_VALUE_IP4:
		return parse_ip(word, AF_INET, 4, value);
	case MULTIADDR_VALUE_IP6:
		return parse_ip(word, AF_INET6, 16, value);
	case MULTIADDR_VALUE_PORT:
		return parse_port(word, value);
	case MULTIADDR_VALUE_PEER:
		return parse_peer(word, value);
	case MULTIADDR_VALUE_HASH:
		return multibase_decode(word, value);
	case MULTIADDR_VALUE_NONE:
	case MULTIADDR_VALUE_PATH:
	case MULTIADDR_VALUE_NAME:
	case MULTIADDR_VALUE_TEXT:
		break;
	}
	wbuf_put(value, word);
	return wbuf_check(value);
}

static enum err parse_part(struct span *text, struct wbuf *w)
{
	struct span name = take_word(text);
	if (name.len == 0)
		return ERR_MALFORMED;
	const struct multiaddr_proto *proto = multiaddr_proto_by_name(name);
	if (proto == NULL)
		return ERR_UNSUPPORTED;
	uint8_t bytes[MULTIADDR_LEN_MAX];
	struct wbuf value = wbuf_of(bytes, sizeof(bytes));
	enum err e = parse_value(proto->value, text, &value);
	if (e != ERR_OK)
		return e == ERR_FULL ? ERR_TOO_LONG : e;
	multiaddr_proto_put(w, proto, wbuf_view(&value));
	return w->overflowed ? ERR_TOO_LONG : ERR_OK;
}

enum err multiaddr_parse(struct span text, struct multiaddr *ret_addr)
{
	if (text.len == 0 || text.p[0] != '/')
		return ERR_MALFORMED;
	while (text.len > 0 && text.p[text.len - 1] == '/')
		text.len--;
	if (text.len == 0)
		return ERR_MALFORMED;
	if (text.len >= MULTIADDR_TEXT_MAX)
		return ERR_TOO_LONG;
	span_skip(&text, 1);

	uint8_t bytes[MULTIADDR_LEN_MAX];
	struct wbuf w = wbuf_of(bytes, sizeof(bytes));
	while (text.len > 0) {
		enum err e = parse_part(&text, &w);
		if (e != ERR_OK)
			return e;
	}
	return multiaddr_from_bytes(wbuf_view(&w), ret_addr);
}

static void put_ip(struct wbuf *w, int family, struct span value)
{
	char text[INET6_ADDRSTRLEN];
	const char *ip = inet_ntop(family, value.p, text, sizeof(text));
	assert(ip != NULL);
	wbuf_put(w, span_str(ip));
}

static void put_port(struct wbuf *w, uint16_t port)
{
	char text[sizeof("65535")];
	int len = snprintf(text, sizeof(text), "%d", port);
	wbuf_put(w, span_of(text, (size_t)len));
}

static void put_value(struct wbuf *w, enum multiaddr_value kind, struct span value)
{
	if (kind != MULTIADDR_VALUE_NONE && kind != MULTIADDR_VALUE_PATH)
		wbuf_put_u8(w, '/');
	switch (kind) {
	case MULTIADDR_VALUE_NONE:
		break;
	case MULTIADDR_VALUE_IP4:
		put_ip(w, AF_INET, value);
		break;
	case MULTIADDR_VALUE_IP6:
		put_ip(w, AF_INET6, value);
		break;
	case MULTIADDR_VALUE_PORT:
		put_port(w, load_be16(value.p));
		break;
	case MULTIADDR_VALUE_NAME:
	case MULTIADDR_VALUE_TEXT:
	case MULTIADDR_VALUE_PATH:
		wbuf_put(w, value);
		break;
	case MULTIADDR_VALUE_PEER:
		multibase_put_base58(w, value);
		break;
	case MULTIADDR_VALUE_HASH:
		multibase_put(w, MULTIBASE_BASE64URL, value);
		break;
	}
}

const char *multiaddr_format(const struct multiaddr *addr, char buf[MULTIADDR_TEXT_MAX])
{
	struct wbuf w = wbuf_of(buf, MULTIADDR_TEXT_MAX);
	struct multiaddr_part part;
	for (struct span iter = multiaddr_view(addr); multiaddr_next(&iter, &part);) {
		const struct multiaddr_proto *proto = multiaddr_proto_by_code((uint64_t)part.code);
		wbuf_put_u8(&w, '/');
		wbuf_put(&w, span_str(proto->name));
		put_value(&w, proto->value, part.value);
	}
	wbuf_put_u8(&w, '\0');
	assert(!w.overflowed); /* MULTIADDR_PARTS_MAX sees to it */
	return buf;
}
