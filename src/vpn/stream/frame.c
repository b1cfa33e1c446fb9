/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* frame.c - see frame.h */
#include "vpn/stream/frame.h"

#include <assert.h>

static_assert(FRAME_PAYLOAD_LEN_MAX < 1 << 24, "a length has three bytes");
static_assert(FRAME_HELLO_LEN_MAX < FRAME_MTU_MIN, "a HELLO fits where a packet does");

static void put_header(uint8_t out[FRAME_HEADER_LEN], enum frame_type type, size_t payload_len)
{
	store_be32(out, (uint32_t)type << 24 | (uint32_t)payload_len);
}

void frame_put_packet_header(uint8_t out[FRAME_HEADER_LEN], size_t packet_len)
{
	assert(packet_len > 0 && packet_len <= PACKET_LEN_MAX);
	put_header(out, FRAME_PACKET, packet_len);
}

void frame_put_super_header(uint8_t out[FRAME_SUPER_HEADER_LEN], const struct offload *offload,
			    size_t packet_len)
{
	assert(packet_len > 0 && packet_len <= PACKET_LEN_MAX);
	put_header(out, FRAME_SUPER, OFFLOAD_LEN + packet_len);
	offload_put(out + FRAME_HEADER_LEN, offload);
}

void frame_put_hello(struct wbuf *out, const struct frame_hello *hello)
{
	uint8_t frame[FRAME_HEADER_LEN + FRAME_HELLO_LEN];
	uint8_t *payload = frame + FRAME_HEADER_LEN;
	put_header(frame, FRAME_HELLO, FRAME_HELLO_LEN);
	payload[0] = hello->version;
	payload[1] = 0;
	store_be16(payload + 2, hello->mtu);
	store_be32(payload + 4, hello->capabilities);
	store_be32(payload + 8, hello->payload_len_max);
	wbuf_put(out, span_of(frame, sizeof(frame)));
}

void frame_put_probe(struct wbuf *out, enum frame_type type, const struct frame_probe *probe)
{
	assert(type == FRAME_PROBE || type == FRAME_PROBE_ANSWER);
	uint8_t frame[FRAME_HEADER_LEN + FRAME_PROBE_LEN];
	put_header(frame, type, FRAME_PROBE_LEN);
	store_be64(frame + FRAME_HEADER_LEN, probe->id);
	store_be64(frame + FRAME_HEADER_LEN + 8, probe->sent_at);
	wbuf_put(out, span_of(frame, sizeof(frame)));
}

/* The extensions after the fixed fields: tag, length, value. None is known yet, so all that is
 * asked of them is that they end where the payload does. */
static enum err skip_extensions(struct span rest)
{
	while (rest.len > 0) {
		struct span head, value;
		if (span_take(&rest, 4, &head) != ERR_OK ||
		    span_take(&rest, load_be16(head.p + 2), &value) != ERR_OK)
			return ERR_TRUNCATED;
	}
	return ERR_OK;
}

enum err frame_parse_hello(struct span payload, struct frame_hello *ret)
{
	struct span fixed;
	enum err e = span_take(&payload, FRAME_HELLO_LEN, &fixed);
	if (e != ERR_OK)
		return e;
	struct frame_hello hello = {
		.version = fixed.p[0],
		.mtu = load_be16(fixed.p + 2),
		.capabilities = load_be32(fixed.p + 4),
		.payload_len_max = load_be32(fixed.p + 8),
	};
	if (hello.version == 0)
		return ERR_VERSION;
	if (hello.mtu < FRAME_MTU_MIN || hello.payload_len_max < hello.mtu)
		return ERR_RANGE;
	e = skip_extensions(payload);
	if (e == ERR_OK)
		*ret = hello;
	return e;
}

enum err frame_parse_probe(struct span payload, struct frame_probe *ret)
{
	if (payload.len != FRAME_PROBE_LEN)
		return payload.len < FRAME_PROBE_LEN ? ERR_TRUNCATED : ERR_MALFORMED;
	*ret = (struct frame_probe){.id = load_be64(payload.p),
				    .sent_at = load_be64(payload.p + 8)};
	return ERR_OK;
}
