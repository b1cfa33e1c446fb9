/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tcp_info.h - the kernel's numbers of a TCP connection */
#pragma once

#include "loop/loop.h"

/* `dialled`: this end sent the first SYN. ERR_UNSUPPORTED before Linux 4.6. */
MUST_USE enum err tcp_info_read(int fd, bool dialled, struct tcp_stats *ret);
