/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* wipe.h - zero secrets in a way that the compiler may not leave out */
#pragma once

#include <string.h>

static inline void wipe(void *p, size_t len)
{
	explicit_bzero(p, len);
}
