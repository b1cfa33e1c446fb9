/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* conn_key.c - see conn_key.h; only people read and write keys as text, packets never do */
#include "vpn/packet/conn_key.h"

#include <stdio.h>

const char *conn_key_format(const struct conn_key *key, char buf[CONN_KEY_TEXT_MAX])
{
	assert(key->family == 4 || key->family == 6);
	struct ip_addr addr = {.family = key->family};
	memcpy(addr.bytes, key->ip, sizeof(addr.bytes));
	char text[IP_ADDR_TEXT_MAX];
	snprintf(buf, CONN_KEY_TEXT_MAX, "%u:%s:%u", key->source_port, ip_addr_format(&addr, text),
		 key->destination_port);
	return buf;
}

static enum err parse_port(struct span text, uint16_t *ret_port)
{
	if (text.len == 0 || (text.len > 1 && text.p[0] == '0'))
		return ERR_MALFORMED;
	unsigned port = 0;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] < '0' || text.p[i] > '9')
			return ERR_MALFORMED;
		if (port <= UINT16_MAX) /* past it, only the form of what follows matters */
			port = port * 10 + (unsigned)(text.p[i] - '0');
	}
	if (port > UINT16_MAX)
		return ERR_RANGE;
	*ret_port = (uint16_t)port;
	return ERR_OK;
}

static enum err parse_ip(struct span text, struct conn_key *key)
{
	struct ip_addr addr;
	enum err e = ip_addr_parse(text, &addr);
	if (e != ERR_OK)
		return e;
	/* An IPv6 address has many texts, a key has one. */
	char canonical[IP_ADDR_TEXT_MAX];
	if (!span_equal(text, span_str(ip_addr_format(&addr, canonical))))
		return ERR_MALFORMED;
	key->family = addr.family;
	memcpy(key->ip, addr.bytes, sizeof(key->ip));
	return ERR_OK;
}

enum err conn_key_parse(struct span text, struct conn_key *ret_key)
{
	const uint8_t *first = text.len > 0 ? memchr(text.p, ':', text.len) : NULL;
	const uint8_t *last = text.len > 0 ? memrchr(text.p, ':', text.len) : NULL;
	if (first == last)
		return ERR_MALFORMED;
	struct conn_key key = {0};
	enum err e = parse_port(span_of(text.p, (size_t)(first - text.p)), &key.source_port);
	if (e == ERR_OK)
		e = parse_ip(span_of(first + 1, (size_t)(last - first - 1)), &key);
	if (e == ERR_OK)
		e = parse_port(span_of(last + 1, (size_t)(text.p + text.len - last - 1)),
			       &key.destination_port);
	if (e == ERR_OK)
		*ret_key = key;
	return e;
}
