/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* config_fixture.h - parsing from exact-size memory, and peer ids to write into texts */
#pragma once

#include "support/testkit.h"

#include <stdio.h>
#include <stdlib.h>

#include "vpn/config/config.h"

#define ID1 "12D3KooW9tHTtS3inCZiYykw4u5G4frbjVFqhkmJX12gSNCVeH3e"
#define ID2 "12D3KooW9xCm2jWjNVrwh51SWCQBMYdMyeU3NpT85QhLVkF6PcNM"
#define ID3 "12D3KooWA284B2yjxoAAqAFwwVj6eRQ8DogF3t8wdpMzZ8Hh8wh4"

/* The shortest file without a fault. */
#define INTERFACE "interface: {addresses: [10.7.0.1/24]}\n"

static struct config_errors errors;

static inline enum err parse(const char *text, struct config **ret_config)
{
	struct span s = span_str(text);
	uint8_t *copy = testkit_copy(s);
	enum err e = config_parse(span_of(copy, s.len), "f", ret_config, &errors);
	free(copy);
	return e;
}

static inline struct config *parse_ok(const char *text)
{
	struct config *config = NULL;
	enum err e = parse(text, &config);
	for (size_t i = 0; e != ERR_OK && i < errors.len; i++)
		print_error("%s\n", errors.items[i].text);
	assert_ok(e);
	return config;
}

/* The n-th of many peer ids, as text. */
static inline void make_id(unsigned n, char buf[PEER_ID_TEXT_MAX])
{
	uint8_t bytes[38] = {0x00, 0x24, 0x08, 0x01, 0x12, 0x20};
	struct peer_id id;
	store_be32(bytes + 10, n);
	assert_ok(peer_id_from_bytes(span_of(bytes, sizeof(bytes)), &id));
	peer_id_format(&id, buf);
}
