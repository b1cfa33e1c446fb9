/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* values.h - peer ids and IP addresses between ours and the public ones */
#pragma once

#include <runnel/types.h>

#include "vpn/packet/ip_addr.h"
#include "wire/peer_id.h"

void values_put_peer_id(const struct peer_id *id, struct runnel_peer_id *ret_id);
