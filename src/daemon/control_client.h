/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* control_client.h - ask a running daemon: blocking, without a loop, for the command line. See
 * control.h */
#pragma once

#include "base/err.h"

/*
 * One request, one answer, in *ret_answer (free() it). ERR_NOT_FOUND or ERR_REFUSED: no daemon
 * there. ERR_PERMISSION, ERR_TIMEOUT, ERR_EOF: it closed without an answer.
 */
MUST_USE enum err control_ask(const char *path, const char *request, char **ret_answer);
