/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* values.h - peer ids and IP addresses between ours and the public ones */
#pragma once

#include <runnel/types.h>

#include "vpn/packet/ip_addr.h"
#include "wire/peer_id.h"

void values_put_peer_id(const struct peer_id *id, struct runnel_peer_id *ret_id);

/* What a program handed in: false where it is no peer id, or no address. */
bool values_get_peer_id(const struct runnel_peer_id *id, struct peer_id *ret_id);
bool values_get_ip(const struct runnel_ip *ip, struct ip_addr *ret_addr);
void values_put_ip(const struct ip_addr *addr, struct runnel_ip *ret_ip);
