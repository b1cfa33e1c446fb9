/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* conn_key.h - connection keys between ours and the public ones */
#pragma once

#include <runnel/dispatch.h>

#include "vpn/packet/conn_key.h"

/* What a program handed in: false where it has no address. */
bool lib_conn_key_get(const struct runnel_conn_key *key, struct conn_key *ret_key);
