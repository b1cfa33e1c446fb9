/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* peer_hash.h - uthash as this folder uses it: pools by Peer ID */
#pragma once

/* Without memory for its buckets, uthash leaves out the element and sets its hh.tbl to NULL. */
#define HASH_NONFATAL_OOM 1
/* Peers come from peer discovery: strangers cannot choose ids that collide. */
#define HASH_FUNCTION(key, len, hash) HASH_OAT(key, len, hash)
#include <uthash.h>
