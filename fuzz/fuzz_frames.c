/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_frames.c - a stream, read whole and read in pieces: the same events must come out
 *
 * First byte: bit 0 the protocol, bit 1 the role, the rest the size of the pieces.
 */
#include <stdlib.h>

#include "vpn/stream/frame_reader.h"
#include "vpn/stream/vpn_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static uint64_t mix(uint64_t digest, const void *p, size_t len)
{
	const uint8_t *bytes = p;
	for (size_t i = 0; i < len; i++)
		digest = (digest ^ bytes[i]) * 0x100000001b3;
	return digest;
}

/* What was read is what can be said again, and means the same then. */
static void check_hello(const struct frame_hello *hello)
{
	require(hello->lanes >= 1 && hello->lanes <= FRAME_LANES_MAX);
	require(hello->n_replaces <= FRAME_REPLACES_MAX);
	uint8_t frame[FRAME_HEADER_LEN + FRAME_HELLO_LEN_SENT_MAX];
	struct wbuf w = wbuf_of(frame, sizeof(frame));
	frame_put_hello(&w, hello);
	require(!w.overflowed);
	struct span payload = wbuf_view(&w);
	span_skip(&payload, FRAME_HEADER_LEN);
	struct frame_hello again;
	require(frame_parse_hello(payload, &again) == ERR_OK);
	require(again.version == hello->version && again.mtu == hello->mtu &&
		again.capabilities == hello->capabilities &&
		again.payload_len_max == hello->payload_len_max);
	require(again.stream_id == hello->stream_id && again.lanes == hello->lanes &&
		again.n_replaces == hello->n_replaces &&
		memcmp(again.replaces, hello->replaces, sizeof(again.replaces)) == 0);
}

static uint64_t mix_hello(uint64_t digest, const struct frame_hello *hello)
{
	check_hello(hello);
	digest = mix(digest, &hello->version, sizeof(hello->version));
	digest = mix(digest, &hello->mtu, sizeof(hello->mtu));
	digest = mix(digest, &hello->capabilities, sizeof(hello->capabilities));
	digest = mix(digest, &hello->payload_len_max, sizeof(hello->payload_len_max));
	digest = mix(digest, &hello->stream_id, sizeof(hello->stream_id));
	digest = mix(digest, hello->replaces, sizeof(hello->replaces));
	return mix(digest, &hello->lanes, sizeof(hello->lanes));
}

static uint64_t mix_event(uint64_t digest, const struct frame_event *event)
{
	digest = mix(digest, &event->type, sizeof(event->type));
	switch (event->type) {
	case FRAME_EV_HELLO:
		return mix_hello(digest, &event->hello);
	case FRAME_EV_PACKET:
		digest = mix(digest, event->packet.p, event->packet.len);
		digest = mix(digest, &event->offload, sizeof(event->offload));
		digest = mix(digest, &event->is_seq, sizeof(event->is_seq));
		return event->is_seq ? mix(digest, &event->seq, sizeof(event->seq)) : digest;
	case FRAME_EV_REPLACES:
		return mix(digest, event->hello.replaces, 8 * event->hello.n_replaces);
	case FRAME_EV_DIAL_LANE:
		return mix(digest, &event->lane, sizeof(event->lane));
	case FRAME_EV_SEQ_END:
		return mix(digest, &event->seq, sizeof(event->seq));
	default:
		return mix(digest, &event->probe, sizeof(event->probe));
	}
}

/* One event of either protocol into the digest; its error. */
static enum err read_one(struct frame_reader *r, struct vpn_frame_reader *v, struct span *in,
			 uint64_t *digest)
{
	enum err e;
	if (v != NULL) {
		struct span packet;
		e = vpn_frame_reader_read(v, in, &packet);
		if (e == ERR_OK)
			*digest = mix(*digest, packet.p, packet.len);
	} else {
		struct frame_event event;
		e = frame_reader_read(r, in, &event);
		if (e == ERR_OK)
			*digest = mix_event(*digest, &event);
	}
	return e;
}

/* The digest of all events and of the error at the end. */
static uint64_t read_all(uint8_t mode, const uint8_t *data, size_t len, size_t piece)
{
	static const struct frame_hello own = {
		.version = FRAME_VERSION,
		.mtu = 1420,
		.capabilities = FRAME_CAN_OFFLOAD | FRAME_CAN_PROBE | FRAME_CAN_SEQ |
				FRAME_CAN_MOVE,
		.payload_len_max = FRAME_PAYLOAD_LEN_MAX,
	};
	struct frame_reader *r = NULL;
	struct vpn_frame_reader *v = NULL;
	if ((mode & 1) != 0)
		require(vpn_frame_reader_new(1420, &v) == ERR_OK);
	else
		require(frame_reader_new((mode & 2) != 0 ? FRAME_OPENER : FRAME_ACCEPTOR, &own,
					 &r) == ERR_OK);

	uint64_t digest = 0xcbf29ce484222325;
	enum err e = ERR_AGAIN;
	for (size_t at = 0; at < len && e == ERR_AGAIN; at += piece) {
		size_t n = len - at < piece ? len - at : piece;
		uint8_t *exact = malloc(n);
		require(exact != NULL);
		memcpy(exact, data + at, n);
		struct span in = span_of(exact, n);
		do {
			e = read_one(r, v, &in, &digest);
		} while (e == ERR_OK);
		require(e != ERR_AGAIN || in.len == 0);
		free(exact);
	}
	digest = mix(digest, &e, sizeof(e));
	if (r != NULL) {
		bool between = frame_reader_is_between(r);
		uint64_t skipped = frame_reader_skipped(r);
		digest = mix(mix(digest, &between, 1), &skipped, sizeof(skipped));
	}
	frame_reader_free(r);
	vpn_frame_reader_free(v);
	return digest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2)
		return 0;
	size_t piece = (size_t)(data[0] >> 2) + 1;
	require(read_all(data[0], data + 1, len - 1, len) ==
		read_all(data[0], data + 1, len - 1, piece));
	return 0;
}
