/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* peer_record.c - see peer_record.h */
#include "wire/peer_record.h"

#include "wire/pb.h"

enum {
	FIELD_PEER_ID = 1,
	FIELD_SEQ = 2,
	FIELD_ADDRESSES = 3,
	ADDRESS_FIELD_MULTIADDR = 1,
};

/* The code of libp2p-peer-record in the multicodec table, as go writes it. */
static const uint8_t payload_type_multicodec[] = {0x03, 0x01};

struct span peer_record_own_payload_type(void)
{
	return span_of(payload_type_multicodec, sizeof(payload_type_multicodec));
}

enum err peer_record_domain(struct span payload_type, struct span *ret_domain)
{
	if (span_equal(payload_type, peer_record_own_payload_type()))
		*ret_domain = span_str("libp2p-peer-record");
	else if (span_equal(payload_type, span_str("/libp2p/routing-state-record")))
		*ret_domain = span_str("libp2p-routing-state");
	else
		return ERR_UNSUPPORTED;
	return ERR_OK;
}

static enum err read_address(struct span info, struct multiaddr_list *addrs)
{
	struct span bytes = {0};
	struct pb_field field;
	enum err e;
	while ((e = pb_next(&info, &field)) == ERR_OK) {
		if (field.number == ADDRESS_FIELD_MULTIADDR)
			e = pb_bytes(&field, &bytes);
		if (e != ERR_OK)
			return e;
	}
	if (e != ERR_DONE)
		return e;
	multiaddr_list_add_bytes(addrs, bytes);
	return ERR_OK;
}

enum err peer_record_decode(struct span payload, struct peer_record *ret_record)
{
	struct peer_record record = {0};
	struct span peer = {0};
	struct pb_field field;
	enum err e;
	while ((e = pb_next(&payload, &field)) == ERR_OK) {
		struct span info;
		switch (field.number) {
		case FIELD_PEER_ID:
			e = pb_bytes(&field, &peer);
			break;
		case FIELD_SEQ:
			e = pb_uint(&field, &record.seq);
			break;
		case FIELD_ADDRESSES:
			e = pb_bytes(&field, &info);
			if (e == ERR_OK)
				e = read_address(info, &record.addrs);
			break;
		default:
			break;
		}
		if (e != ERR_OK)
			return e;
	}
	if (e != ERR_DONE)
		return e;
	e = peer_id_from_bytes(peer, &record.peer);
	if (e != ERR_OK)
		return e == ERR_TRUNCATED ? ERR_MALFORMED : e;
	*ret_record = record;
	return ERR_OK;
}

void peer_record_put(struct wbuf *w, const struct peer_record *record)
{
	pb_put_bytes(w, FIELD_PEER_ID, peer_id_view(&record->peer));
	if (record->seq != 0)
		pb_put_uint(w, FIELD_SEQ, record->seq);
	for (size_t i = 0; i < record->addrs.len; i++) {
		size_t mark = pb_begin(w, FIELD_ADDRESSES);
		pb_put_bytes(w, ADDRESS_FIELD_MULTIADDR, multiaddr_view(&record->addrs.at[i]));
		pb_end(w, mark);
	}
}
