/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* log.h - lines go to the program that asked for them, and nowhere before: see runnel/log.h */
#pragma once

/* Before the first thread of a node starts; asking again does nothing. Any thread. */
void lib_log_init(void);
