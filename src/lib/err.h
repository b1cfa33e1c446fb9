/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * err.h - from our errors to the public ones
 *
 * The words and texts of errors stand in base/err.h alone; runnel/types.h gives each a number that
 * stays. An error that is added to the one and not to the other does not compile.
 */
#pragma once

#include <runnel/types.h>

#include "base/err.h"

/* Any thread. */
enum runnel_err lib_err(enum err e);
/* Back, from what a program's function returned: a number that is none is ERR_SYSTEM. */
enum err lib_err_back(enum runnel_err err);
