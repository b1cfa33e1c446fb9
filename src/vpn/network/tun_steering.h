/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tun_steering.h - which queue of a TUN device a packet comes out of
 *
 * Left to itself, the kernel sends a flow out of the queue that its answers were written to last:
 * where the first shard has the only connection to a peer, all answers are the first queue's, and
 * soon all flows. So a program in the kernel chooses: by a hash of destination and ports, of what
 * a connection key is made of (vpn/packet/conn_key.h), so that a key's packets, and those of its
 * fragments, are in one queue. Not so where only some packets of an IPv6 flow have extension
 * headers: these are steered by their destination alone.
 */
#pragma once

#include "base/err.h"

/* For all queues of this device, those that are opened later too. ERR_PERMISSION, ERR_UNSUPPORTED,
 * ...: the kernel goes on choosing. It stays with a device that stays. */
MUST_USE enum err tun_steer(int fd);
