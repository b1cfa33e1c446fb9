/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* loop_uv.h - the loop on libuv and the Linux kernel */
#pragma once

#include "loop/loop.h"

/* A loop for the calling thread. ERR_NO_MEMORY, ERR_FDS. */
MUST_USE enum err loop_uv_new(struct loop **ret_loop);
