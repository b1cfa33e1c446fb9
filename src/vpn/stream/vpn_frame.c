/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* vpn_frame.c - see vpn_frame.h */
#include "vpn/stream/vpn_frame.h"

#include <assert.h>
#include <stdlib.h>

#include "base/limits.h"

struct vpn_frame_reader {
	struct assembler assembler;
	size_t packet_len_max;
	size_t packet_len; /* 0: the next bytes are a length */
	enum err broken;   /* ERR_OK while the stream is good */
};

enum err vpn_frame_reader_new(uint32_t packet_len_max, struct vpn_frame_reader **ret_reader)
{
	assert(packet_len_max > 0 && packet_len_max <= PACKET_LEN_MAX);
	struct vpn_frame_reader *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return ERR_NO_MEMORY;
	r->packet_len_max = packet_len_max;
	size_t cap = packet_len_max > VPN_FRAME_HEADER_LEN ? packet_len_max : VPN_FRAME_HEADER_LEN;
	enum err e = assembler_init(&r->assembler, cap);
	if (e != ERR_OK) {
		vpn_frame_reader_free(r);
		return e;
	}
	*ret_reader = r;
	return ERR_OK;
}

struct vpn_frame_reader *vpn_frame_reader_free(struct vpn_frame_reader *r)
{
	if (r == NULL)
		return NULL;
	assembler_deinit(&r->assembler);
	free(r);
	return NULL;
}

static enum err read_header(struct vpn_frame_reader *r, struct span *in)
{
	struct span header;
	enum err e = assembler_take(&r->assembler, VPN_FRAME_HEADER_LEN, in, &header);
	if (e != ERR_OK)
		return e;
	uint32_t len = load_be32(header.p);
	if (len == 0 || len > r->packet_len_max)
		return r->broken = len == 0 ? ERR_RANGE : ERR_TOO_LONG;
	r->packet_len = len;
	return ERR_OK;
}

enum err vpn_frame_reader_read(struct vpn_frame_reader *r, struct span *in, struct span *ret_packet)
{
	if (r->broken != ERR_OK)
		return r->broken;
	if (r->packet_len == 0) {
		enum err e = read_header(r, in);
		if (e != ERR_OK)
			return e;
	}
	enum err e = assembler_take(&r->assembler, r->packet_len, in, ret_packet);
	if (e == ERR_OK)
		r->packet_len = 0;
	return e;
}

bool vpn_frame_reader_is_between(const struct vpn_frame_reader *r)
{
	return r->broken == ERR_OK && r->packet_len == 0 && r->assembler.len == 0;
}

void vpn_frame_put_header(uint8_t out[VPN_FRAME_HEADER_LEN], size_t packet_len)
{
	assert(packet_len > 0 && packet_len <= PACKET_LEN_MAX);
	store_be32(out, (uint32_t)packet_len);
}
