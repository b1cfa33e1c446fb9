/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fuzz_identify.c - identify messages, envelopes and peer records: what was understood, written
 * again, is not longer than it was and reads the same */
#include <stdlib.h>

#include "wire/envelope.h"
#include "wire/identify_msg.h"
#include "wire/peer_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_same_addrs(const struct multiaddr_list *a, const struct multiaddr_list *b)
{
	require(a->len == b->len && b->skipped == 0);
	for (size_t i = 0; i < a->len; i++)
		require(multiaddr_equal(&a->at[i], &b->at[i]));
}

static void check_record(struct span bytes)
{
	struct peer_record record;
	if (peer_record_decode(bytes, &record) != ERR_OK)
		return;
	uint8_t *out = malloc(bytes.len);
	require(out != NULL);
	struct wbuf w = wbuf_of(out, bytes.len);
	peer_record_put(&w, &record);
	require(wbuf_check(&w) == ERR_OK);
	struct peer_record again;
	require(peer_record_decode(wbuf_view(&w), &again) == ERR_OK);
	require(again.seq == record.seq && peer_id_equal(&again.peer, &record.peer));
	require_same_addrs(&record.addrs, &again.addrs);
	free(out);
}

static void check_envelope(struct span bytes)
{
	struct envelope envelope;
	if (envelope_decode(bytes, &envelope) != ERR_OK)
		return;
	uint8_t *out = malloc(bytes.len);
	require(out != NULL);
	struct wbuf w = wbuf_of(out, bytes.len);
	envelope_put(&w, &envelope);
	require(wbuf_check(&w) == ERR_OK);
	struct envelope again;
	require(envelope_decode(wbuf_view(&w), &again) == ERR_OK);
	require(span_equal(again.public_key, envelope.public_key));
	require(span_equal(again.payload_type, envelope.payload_type));
	require(span_equal(again.payload, envelope.payload));
	require(span_equal(again.signature, envelope.signature));
	free(out);
	check_record(envelope.payload);
}

static void check_identify(struct span bytes)
{
	struct identify_msg msg;
	if (identify_msg_decode(bytes, &msg) != ERR_OK)
		return;
	uint8_t *out = malloc(bytes.len > 0 ? bytes.len : 1);
	require(out != NULL);
	struct wbuf w = wbuf_of(out, bytes.len);
	identify_msg_put(&w, &msg);
	require(wbuf_check(&w) == ERR_OK);
	struct identify_msg again;
	require(identify_msg_decode(wbuf_view(&w), &again) == ERR_OK);
	require_same_addrs(&msg.listen_addrs, &again.listen_addrs);
	require(again.protocols_skipped == 0 && again.protocols_len == msg.protocols_len);
	for (size_t i = 0; i < msg.protocols_len; i++)
		require(span_equal(msg.protocols[i], again.protocols[i]));
	require(multiaddr_equal(&msg.observed_addr, &again.observed_addr));
	require(span_equal(msg.public_key, again.public_key));
	require(span_equal(msg.protocol_version, again.protocol_version));
	require(span_equal(msg.agent_version, again.agent_version));
	require(span_equal(msg.signed_peer_record, again.signed_peer_record));
	free(out);
	check_envelope(msg.signed_peer_record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_identify(span_of(data, len));
	check_envelope(span_of(data, len));
	check_record(span_of(data, len));
	return 0;
}
