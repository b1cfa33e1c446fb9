/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* multiaddr_proto.c - see multiaddr_proto.h; the codes are those of the multicodec table */
#include "wire/multiaddr_proto.h"

#include "base/util.h"
#include "wire/multihash.h"
#include "wire/varint.h"

enum {
	DNS_NAME_LEN_MAX = 253, /* bytes; RFC 1035 */
};

static const struct multiaddr_proto protos[] = {
	{MULTIADDR_IP4, MULTIADDR_VALUE_IP4, true, "ip4"},
	{MULTIADDR_TCP, MULTIADDR_VALUE_PORT, true, "tcp"},
	{MULTIADDR_IP6, MULTIADDR_VALUE_IP6, true, "ip6"},
	{MULTIADDR_IP6ZONE, MULTIADDR_VALUE_TEXT, false, "ip6zone"},
	{MULTIADDR_DNS, MULTIADDR_VALUE_NAME, true, "dns"},
	{MULTIADDR_DNS4, MULTIADDR_VALUE_NAME, true, "dns4"},
	{MULTIADDR_DNS6, MULTIADDR_VALUE_NAME, true, "dns6"},
	{MULTIADDR_DNSADDR, MULTIADDR_VALUE_NAME, true, "dnsaddr"},
	{MULTIADDR_UDP, MULTIADDR_VALUE_PORT, true, "udp"},
	{MULTIADDR_WEBRTC_DIRECT, MULTIADDR_VALUE_NONE, false, "webrtc-direct"},
	{MULTIADDR_WEBRTC, MULTIADDR_VALUE_NONE, false, "webrtc"},
	{MULTIADDR_P2P_CIRCUIT, MULTIADDR_VALUE_NONE, true, "p2p-circuit"},
	{MULTIADDR_UNIX, MULTIADDR_VALUE_PATH, false, "unix"},
	{MULTIADDR_P2P, MULTIADDR_VALUE_PEER, true, "p2p"},
	{MULTIADDR_P2P, MULTIADDR_VALUE_PEER, true, "ipfs"}, /* its old name: read, not written */
	{MULTIADDR_TLS, MULTIADDR_VALUE_NONE, false, "tls"},
	{MULTIADDR_SNI, MULTIADDR_VALUE_NAME, false, "sni"},
	{MULTIADDR_NOISE, MULTIADDR_VALUE_NONE, false, "noise"},
	{MULTIADDR_QUIC, MULTIADDR_VALUE_NONE, false, "quic"},
	{MULTIADDR_QUIC_V1, MULTIADDR_VALUE_NONE, true, "quic-v1"},
	{MULTIADDR_WEBTRANSPORT, MULTIADDR_VALUE_NONE, false, "webtransport"},
	{MULTIADDR_CERTHASH, MULTIADDR_VALUE_HASH, false, "certhash"},
	{MULTIADDR_WS, MULTIADDR_VALUE_NONE, false, "ws"},
	{MULTIADDR_WSS, MULTIADDR_VALUE_NONE, false, "wss"},
	{MULTIADDR_MEMORY, MULTIADDR_VALUE_TEXT, false, "memory"},
};

const struct multiaddr_proto *multiaddr_proto_by_code(uint64_t code)
{
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		if ((uint64_t)protos[i].code == code)
			return &protos[i];
	}
	return NULL;
}

const struct multiaddr_proto *multiaddr_proto_by_name(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(protos); i++) {
		if (span_equal(span_str(protos[i].name), name))
			return &protos[i];
	}
	return NULL;
}

int multiaddr_proto_size(const struct multiaddr_proto *proto)
{
	switch (proto->value) {
	case MULTIADDR_VALUE_NONE:
		return 0;
	case MULTIADDR_VALUE_IP4:
		return 4;
	case MULTIADDR_VALUE_IP6:
		return 16;
	case MULTIADDR_VALUE_PORT:
		return 2;
	case MULTIADDR_VALUE_NAME:
	case MULTIADDR_VALUE_TEXT:
	case MULTIADDR_VALUE_PATH:
	case MULTIADDR_VALUE_PEER:
	case MULTIADDR_VALUE_HASH:
		break;
	}
	return -1;
}

/* Not empty, and no character that would read as something else in a text: no controls, no blanks;
 * slashes only in paths. */
static enum err check_text(struct span text, bool slashes)
{
	if (text.len == 0)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] <= ' ' || text.p[i] == 0x7f || (text.p[i] == '/' && !slashes))
			return ERR_MALFORMED;
	}
	return ERR_OK;
}

/* Only what survives the way through text, which trims slashes at the end. */
static enum err check_path(struct span path)
{
	enum err e = check_text(path, true);
	if (e == ERR_OK && (path.p[0] != '/' || path.p[path.len - 1] == '/'))
		return ERR_MALFORMED;
	return e;
}

enum err multiaddr_proto_check(const struct multiaddr_proto *proto, struct span value)
{
	struct peer_id id;
	struct multihash hash;
	switch (proto->value) {
	case MULTIADDR_VALUE_NONE:
	case MULTIADDR_VALUE_IP4:
	case MULTIADDR_VALUE_IP6:
	case MULTIADDR_VALUE_PORT:
		break;
	case MULTIADDR_VALUE_NAME:
		return value.len > DNS_NAME_LEN_MAX ? ERR_TOO_LONG : check_text(value, false);
	case MULTIADDR_VALUE_TEXT:
		return check_text(value, false);
	case MULTIADDR_VALUE_PATH:
		return check_path(value);
	case MULTIADDR_VALUE_PEER:
		return peer_id_from_bytes(value, &id);
	case MULTIADDR_VALUE_HASH:
		return multihash_parse(value, &hash);
	}
	return ERR_OK;
}

void multiaddr_proto_put(struct wbuf *w, const struct multiaddr_proto *proto, struct span value)
{
	wbuf_put_uvarint(w, (uint64_t)proto->code);
	if (multiaddr_proto_size(proto) < 0)
		wbuf_put_uvarint(w, value.len);
	wbuf_put(w, value);
}
