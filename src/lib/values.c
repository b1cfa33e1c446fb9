/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * values.c - see values.h and runnel/types.h
 *
 * A caller may hand in any bytes: a length that no peer id has and a family that no address has are
 * answered, not believed.
 */
#include "lib/values.h"

#include <assert.h>

#include "lib/err.h"

static_assert(sizeof(((struct runnel_peer_id *)NULL)->bytes) == PEER_ID_LEN_MAX, "room for each");
static_assert((int)RUNNEL_PEER_ID_TEXT_MAX == (int)PEER_ID_TEXT_MAX, "room for its text");
static_assert((int)RUNNEL_IP_TEXT_MAX == (int)IP_ADDR_TEXT_MAX, "room for its text");

const char *runnel_version(void)
{
	return RUNNEL_VERSION;
}

/* --- peer ids ------------------------------------------------------------------------ */

/* Never past the end, whatever the caller wrote. */
static uint8_t length_of(const struct runnel_peer_id *id)
{
	return id->len <= PEER_ID_LEN_MAX ? id->len : PEER_ID_LEN_MAX;
}

void values_put_peer_id(const struct peer_id *id, struct runnel_peer_id *ret_id)
{
	*ret_id = (struct runnel_peer_id){.len = id->len};
	memcpy(ret_id->bytes, id->bytes, id->len);
}

bool values_get_peer_id(const struct runnel_peer_id *id, struct peer_id *ret_id)
{
	if (id->len == 0 || id->len > PEER_ID_LEN_MAX)
		return false;
	*ret_id = (struct peer_id){.len = id->len};
	memcpy(ret_id->bytes, id->bytes, id->len);
	return true;
}

enum runnel_err runnel_peer_id_parse(const char *text, struct runnel_peer_id *ret_id)
{
	struct peer_id id;
	enum err e = peer_id_parse(span_str(text), &id);
	if (e == ERR_OK)
		values_put_peer_id(&id, ret_id);
	return lib_err(e);
}

const char *runnel_peer_id_format(const struct runnel_peer_id *id,
				  char buf[RUNNEL_PEER_ID_TEXT_MAX])
{
	struct peer_id ours = {.len = length_of(id)};
	memcpy(ours.bytes, id->bytes, ours.len);
	return peer_id_format(&ours, buf);
}

bool runnel_peer_id_equal(const struct runnel_peer_id *a, const struct runnel_peer_id *b)
{
	return a->len == b->len && memcmp(a->bytes, b->bytes, length_of(a)) == 0;
}

/* --- IP addresses -------------------------------------------------------------------- */

static struct ip_addr ip_of(const struct runnel_ip *ip)
{
	return ip->family == 4   ? ip_addr_v4(ip->bytes)
	       : ip->family == 6 ? ip_addr_v6(ip->bytes)
				 : (struct ip_addr){0};
}

bool values_get_ip(const struct runnel_ip *ip, struct ip_addr *ret_addr)
{
	struct ip_addr addr = ip_of(ip);
	if (addr.family == 0)
		return false;
	*ret_addr = addr;
	return true;
}

void values_put_ip(const struct ip_addr *addr, struct runnel_ip *ret_ip)
{
	ret_ip->family = addr->family;
	memcpy(ret_ip->bytes, addr->bytes, sizeof(ret_ip->bytes));
}

enum runnel_err runnel_ip_parse(const char *text, struct runnel_ip *ret_ip)
{
	struct ip_addr addr;
	enum err e = ip_addr_parse(span_str(text), &addr);
	if (e == ERR_OK)
		values_put_ip(&addr, ret_ip);
	return lib_err(e);
}

const char *runnel_ip_format(const struct runnel_ip *ip, char buf[RUNNEL_IP_TEXT_MAX])
{
	struct ip_addr addr = ip_of(ip);
	return ip_addr_format(&addr, buf);
}

bool runnel_ip_equal(const struct runnel_ip *a, const struct runnel_ip *b)
{
	struct ip_addr left = ip_of(a), right = ip_of(b);
	return ip_addr_equal(&left, &right);
}
