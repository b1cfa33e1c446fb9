/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* frame.c - see frame.h */
#include "vpn/stream/frame.h"

#include <assert.h>

static_assert(FRAME_SEQ_PAYLOAD_LEN_MAX < 1 << 24, "a length has three bytes");
static_assert(FRAME_HELLO_LEN_MAX < FRAME_MTU_MIN, "a HELLO fits where a packet does");
static_assert(FRAME_HELLO_LEN_SENT_MAX == 162 &&
		      (int)FRAME_HELLO_LEN_SENT_MAX <= (int)FRAME_HELLO_LEN_MAX,
	      "every node takes our longest HELLO");

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

static void put_seq(uint8_t out[FRAME_SEQ_LEN], const struct frame_seq *at)
{
	store_be32(out, at->group);
	store_be32(out + 4, at->seq);
}

void frame_put_seq_header(uint8_t out[FRAME_SEQ_HEADER_LEN], const struct frame_seq *at,
			  size_t packet_len)
{
	assert(packet_len > 0 && packet_len <= PACKET_LEN_MAX);
	put_header(out, FRAME_SEQ, FRAME_SEQ_LEN + packet_len);
	put_seq(out + FRAME_HEADER_LEN, at);
}

void frame_put_seq_super_header(uint8_t out[FRAME_SEQ_SUPER_HEADER_LEN], const struct frame_seq *at,
				const struct offload *offload, size_t packet_len)
{
	assert(packet_len > 0 && packet_len <= PACKET_LEN_MAX);
	put_header(out, FRAME_SEQ_SUPER, FRAME_SEQ_LEN + OFFLOAD_LEN + packet_len);
	put_seq(out + FRAME_HEADER_LEN, at);
	offload_put(out + FRAME_SEQ_HEADER_LEN, offload);
}

static void put_be64(struct wbuf *out, uint64_t v)
{
	wbuf_put_be32(out, (uint32_t)(v >> 32));
	wbuf_put_be32(out, (uint32_t)v);
}

void frame_put_replaces(struct wbuf *out, const uint64_t *ids, size_t n)
{
	uint8_t header[FRAME_HEADER_LEN];
	assert(n > 0 && n <= FRAME_REPLACES_MAX);
	put_header(header, FRAME_REPLACES, 8 * n);
	wbuf_put(out, span_of(header, sizeof(header)));
	for (size_t i = 0; i < n; i++)
		put_be64(out, ids[i]);
}

void frame_put_dial_lane(struct wbuf *out, uint16_t lane)
{
	uint8_t frame[FRAME_HEADER_LEN + FRAME_DIAL_LANE_LEN];
	put_header(frame, FRAME_DIAL_LANE, FRAME_DIAL_LANE_LEN);
	store_be16(frame + FRAME_HEADER_LEN, lane);
	wbuf_put(out, span_of(frame, sizeof(frame)));
}

void frame_put_seq_end(struct wbuf *out, const struct frame_seq *end)
{
	uint8_t frame[FRAME_SEQ_HEADER_LEN];
	put_header(frame, FRAME_SEQ_END, FRAME_SEQ_LEN);
	put_seq(frame + FRAME_HEADER_LEN, end);
	wbuf_put(out, span_of(frame, sizeof(frame)));
}

struct frame_seq frame_parse_seq(const uint8_t in[FRAME_SEQ_LEN])
{
	return (struct frame_seq){.group = load_be32(in), .seq = load_be32(in + 4)};
}

static void put_extension_header(struct wbuf *out, enum frame_extension tag, size_t len)
{
	wbuf_put_be16(out, (uint16_t)tag);
	wbuf_put_be16(out, (uint16_t)len);
}

static void put_extensions(struct wbuf *out, const struct frame_hello *hello)
{
	if (hello->stream_id != 0) {
		put_extension_header(out, FRAME_EXT_STREAM, 8);
		put_be64(out, hello->stream_id);
	}
	if (hello->n_replaces > 0) {
		put_extension_header(out, FRAME_EXT_REPLACES, 8 * hello->n_replaces);
		for (size_t i = 0; i < hello->n_replaces; i++) {
			assert(hello->replaces[i] != 0);
			put_be64(out, hello->replaces[i]);
		}
	}
	if (hello->lanes > 1) {
		put_extension_header(out, FRAME_EXT_LANES, 2);
		wbuf_put_be16(out, hello->lanes);
	}
}

void frame_put_hello(struct wbuf *out, const struct frame_hello *hello)
{
	assert(hello->n_replaces <= FRAME_REPLACES_MAX && hello->lanes <= FRAME_LANES_MAX);
	uint8_t frame[FRAME_HEADER_LEN + FRAME_HELLO_LEN_SENT_MAX];
	struct wbuf w = wbuf_of(frame, sizeof(frame));
	wbuf_reserve(&w, FRAME_HEADER_LEN);
	wbuf_put_u8(&w, hello->version);
	wbuf_put_u8(&w, 0);
	wbuf_put_be16(&w, hello->mtu);
	wbuf_put_be32(&w, hello->capabilities);
	wbuf_put_be32(&w, hello->payload_len_max);
	put_extensions(&w, hello);
	assert(!w.overflowed);
	put_header(frame, FRAME_HELLO, w.len - FRAME_HEADER_LEN);
	wbuf_put(out, wbuf_view(&w));
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

static enum err parse_stream(struct span value, struct frame_hello *hello)
{
	if (value.len != 8)
		return ERR_MALFORMED;
	hello->stream_id = load_be64(value.p);
	return hello->stream_id != 0 ? ERR_OK : ERR_RANGE;
}

enum err frame_parse_replaces(struct span payload, uint64_t ret_ids[FRAME_REPLACES_MAX],
			      size_t *ret_n)
{
	if (payload.len == 0 || payload.len % 8 != 0 || payload.len > 8 * FRAME_REPLACES_MAX)
		return ERR_MALFORMED;
	for (size_t i = 0; i < payload.len / 8; i++) {
		ret_ids[i] = load_be64(payload.p + 8 * i);
		if (ret_ids[i] == 0)
			return ERR_RANGE;
	}
	*ret_n = payload.len / 8;
	return ERR_OK;
}

static enum err parse_lanes(struct span value, struct frame_hello *hello)
{
	if (value.len != 2)
		return ERR_MALFORMED;
	uint16_t lanes = load_be16(value.p);
	if (lanes > FRAME_LANES_MAX)
		lanes = FRAME_LANES_MAX;
	hello->lanes = lanes == 0 ? 1 : lanes;
	return ERR_OK;
}

/* One extension. `seen`: bits of the tags that had their turn. Unknown ones may say anything. */
static enum err parse_extension(unsigned tag, struct span value, unsigned *seen,
				struct frame_hello *hello)
{
	if (tag < FRAME_EXT_STREAM || tag > FRAME_EXT_LANES)
		return ERR_OK;
	if ((*seen & 1u << tag) != 0)
		return ERR_MALFORMED;
	*seen |= 1u << tag;
	if (tag == FRAME_EXT_STREAM)
		return parse_stream(value, hello);
	if (tag == FRAME_EXT_REPLACES)
		return frame_parse_replaces(value, hello->replaces, &hello->n_replaces);
	return parse_lanes(value, hello);
}

static bool replaces_itself(const struct frame_hello *hello)
{
	for (size_t i = 0; i < hello->n_replaces; i++)
		if (hello->replaces[i] == hello->stream_id)
			return true;
	return false;
}

/* What follows the fixed fields, up to the end of the payload: tag, length, value. */
static enum err parse_extensions(struct span rest, struct frame_hello *hello)
{
	unsigned seen = 0;
	while (rest.len > 0) {
		struct span head, value;
		if (span_take(&rest, FRAME_EXTENSION_HEADER_LEN, &head) != ERR_OK ||
		    span_take(&rest, load_be16(head.p + 2), &value) != ERR_OK)
			return ERR_TRUNCATED;
		enum err e = parse_extension(load_be16(head.p), value, &seen, hello);
		if (e != ERR_OK)
			return e;
	}
	return replaces_itself(hello) ? ERR_MALFORMED : ERR_OK;
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
		.lanes = 1,
	};
	if (hello.version == 0)
		return ERR_VERSION;
	if (hello.mtu < FRAME_MTU_MIN || hello.payload_len_max < hello.mtu)
		return ERR_RANGE;
	e = parse_extensions(payload, &hello);
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
