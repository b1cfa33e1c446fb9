/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * failing_memory.h - the n-th allocation fails, once or from then on
 *
 * For programs that are linked with failing_memory_dep: there the linker sends the allocations of
 * our own code through this; those of libraries stay theirs. The simulator's own memory
 * (sim_alloc()) never fails: it stands for the kernel. One thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The at-th allocation from now on fails, from 1; `is_lasting`: all that follow do, too. */
void failing_memory_arm(size_t at, bool is_lasting);

/* Since it was armed, were there so many? */
bool failing_memory_has_failed(void);

/* None fails any more. */
void failing_memory_disarm(void);
