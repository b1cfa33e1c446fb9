/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* conn_key.c - connection keys between ours and the public ones; see conn_key.h */
#include "lib/conn_key.h"

#include "lib/err.h"
#include "lib/values.h"

static_assert((int)RUNNEL_CONN_KEY_TEXT_MAX == (int)CONN_KEY_TEXT_MAX, "room for its text");

bool lib_conn_key_get(const struct runnel_conn_key *key, struct conn_key *ret_key)
{
	struct ip_addr addr;
	if (!values_get_ip(&key->destination, &addr))
		return false;
	*ret_key = (struct conn_key){
		.source_port = key->source_port,
		.destination_port = key->destination_port,
		.family = addr.family,
	};
	memcpy(ret_key->ip, addr.bytes, sizeof(ret_key->ip));
	return true;
}

static void put(const struct conn_key *key, struct runnel_conn_key *ret_key)
{
	*ret_key = (struct runnel_conn_key){
		.destination.family = key->family,
		.source_port = key->source_port,
		.destination_port = key->destination_port,
	};
	memcpy(ret_key->destination.bytes, key->ip, sizeof(key->ip));
}

const char *runnel_conn_key_format(const struct runnel_conn_key *key,
				   char buf[RUNNEL_CONN_KEY_TEXT_MAX])
{
	struct conn_key ours;
	if (lib_conn_key_get(key, &ours))
		return conn_key_format(&ours, buf);
	buf[0] = '\0';
	return buf;
}

enum runnel_err runnel_conn_key_parse(const char *text, struct runnel_conn_key *ret_key)
{
	struct conn_key key;
	enum err e = conn_key_parse(span_str(text), &key);
	if (e == ERR_OK)
		put(&key, ret_key);
	return lib_err(e);
}

enum runnel_err runnel_conn_key_of_packet(const void *packet, size_t len,
					  struct runnel_conn_key *ret_key)
{
	struct packet_info info;
	struct conn_key key;
	if (packet_parse(span_of(packet, len), &info) != ERR_OK)
		return RUNNEL_ERR_MALFORMED;
	conn_key_of(&info, &key);
	put(&key, ret_key);
	return RUNNEL_ERR_OK;
}

bool runnel_conn_key_equal(const struct runnel_conn_key *a, const struct runnel_conn_key *b)
{
	struct conn_key left = {0}, right = {0};
	bool has_left = lib_conn_key_get(a, &left), has_right = lib_conn_key_get(b, &right);
	return has_left == has_right && conn_key_equal(&left, &right);
}
