/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fuzz_multiaddr.c - what is read as an address, from bytes or text, prints and reads back the same
 */
#include <stdlib.h>

#include "wire/multiaddr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct multiaddr *addr)
{
	struct multiaddr again;
	require(multiaddr_from_bytes(multiaddr_view(addr), &again) == ERR_OK);
	require(multiaddr_equal(addr, &again));

	char *text = malloc(MULTIADDR_TEXT_MAX);
	require(text != NULL);
	multiaddr_format(addr, text);
	require(multiaddr_parse(span_str(text), &again) == ERR_OK);
	require(multiaddr_equal(addr, &again));
	free(text);

	size_t values = 0;
	unsigned parts = 0;
	struct multiaddr_part part;
	struct span iter = multiaddr_view(addr);
	for (; multiaddr_next(&iter, &part); parts++)
		values += part.value.len;
	require(iter.len == 0);
	require(parts > 0 && parts <= MULTIADDR_PARTS_MAX && values < addr->len);

	struct multiaddr_tcp tcp;
	if (multiaddr_as_tcp(addr, &tcp) == ERR_OK)
		require(tcp.host.len > 0 && tcp.host.len <= 253);
	(void)multiaddr_is_portable(addr);

	struct peer_id id;
	again = *addr;
	multiaddr_split_p2p(&again, &id);
	if (id.len > 0) {
		require(multiaddr_append_p2p(&again, &id) == ERR_OK);
		require(multiaddr_equal(addr, &again));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct multiaddr addr;
	if (multiaddr_from_bytes(span_of(data, len), &addr) == ERR_OK)
		check(&addr);
	if (multiaddr_parse(span_of(data, len), &addr) == ERR_OK)
		check(&addr);
	struct peer_id id;
	if (peer_id_parse(span_of(data, len), &id) == ERR_OK) {
		struct peer_id again;
		char text[PEER_ID_TEXT_MAX];
		require(peer_id_parse(span_str(peer_id_format(&id, text)), &again) == ERR_OK);
		require(peer_id_equal(&id, &again));
	}
	return 0;
}
