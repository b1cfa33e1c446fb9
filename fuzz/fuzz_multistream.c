/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_multistream.c - both sides of a negotiation against any bytes, in any pieces
 *
 * Byte 0: 1 = initiator, 2 = take before the first input; the rest of it is the length of pieces.
 * What is fed in one piece must come to the same end as in many.
 */
#include <stdint.h>
#include <stdlib.h>

#include "p2p/select/mss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int match(void *ctx, struct span name)
{
	(void)ctx;
	return name.len % 4 == 3 ? (int)name.len : -1;
}

static enum err run(uint8_t how, struct span all, size_t piece, size_t *ret_used)
{
	static const char *const names[] = {"/a", "/noise", "/tls/1.0.0"};
	struct mss m;
	if (how & 1)
		mss_init_initiator(&m, names, 3);
	else
		mss_init_responder(&m, match, NULL);

	enum err e = ERR_AGAIN;
	size_t from = 0;
	for (size_t to = 0; e == ERR_AGAIN; to = to + piece < all.len ? to + piece : all.len) {
		uint8_t buf[MSS_OUT_LEN_MAX];
		struct wbuf out = wbuf_of(buf, sizeof(buf));
		if (((how & 2) != 0 || to > 0) && mss_take(&m, &out) != ERR_OK)
			abort();
		struct span in = span_of(all.p + from, to - from);
		e = mss_feed(&m, &in);
		from = to - in.len;
		if (to == all.len)
			break;
	}
	*ret_used = from;
	if (e == ERR_OK && mss_chosen(&m) < 0)
		abort();
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	struct span all = span_of(data + 1, len - 1);
	size_t used, used_again;
	enum err e = run(data[0], all, (size_t)1 + (data[0] >> 2), &used);
	/* A responder does not care about pieces. An initiator does: it answers between them. */
	if ((data[0] & 1) == 0 &&
	    (run(data[0], all, all.len + 1, &used_again) != e || used != used_again))
		abort();
	return 0;
}
