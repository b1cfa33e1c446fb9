/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * runnel/log.h - what the library has to say while it works
 *
 * Nothing is logged unless a program asks for it here. The setting is the process's, not one
 * node's; log_level in a node's configuration is for the daemon, and not used by the library.
 */
#ifndef RUNNEL_LOG_H
#define RUNNEL_LOG_H

#include <runnel/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How much a line matters; the first matters most. */
enum runnel_log_level {
	RUNNEL_LOG_ERROR = 0,
	RUNNEL_LOG_WARN = 1,
	RUNNEL_LOG_INFO = 2,
	RUNNEL_LOG_DEBUG = 3,
};

/*
 * Takes one line: a sentence, then pairs, "peer connected peer=bob addr=/ip4/192.0.2.1/tcp/4001".
 * Printable ASCII without a newline, lent for the call. Called in any thread of the library, for
 * one line at a time; it should return soon, for the node waits meanwhile. It must not call
 * runnel_log_set(), nor what may log or waits for a node or a dispatcher: of those only
 * runnel_node_send() and runnel_dispatch().
 */
typedef void runnel_log_fn(void *ctx, enum runnel_log_level level, const char *line);

/* Hand lines up to `level` to `fn`; NULL: to nobody, as at the start. Any thread, at any time; when
 * this returns, the function that was set before is not running and will not be called again. */
RUNNEL_API void runnel_log_set(enum runnel_log_level level, runnel_log_fn *fn, void *ctx);

#ifdef __cplusplus
}
#endif

#endif
