/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * log.h - one line, key=value
 *
 * Folders below daemon/ and cli/ log at debug level only: they return their errors, and the
 * daemon tells people. Text that came from the network goes through log_str(), which escapes it.
 * Never called on the packet path.
 *
 *     log_info("peer connected", "peer=%s addr=%s", name, addr);
 *     2026-01-02T03:04:05.678Z info peer connected peer=bob addr=/ip4/192.0.2.1/tcp/4001
 */
#pragma once

#include "base/span.h"

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG,
};

/* Lines above this level are dropped. Default LOG_INFO. Any thread, at any time. */
void log_set_level(enum log_level level);

/* "error" | "warn" | "info" | "debug"; ERR_RANGE for other words. */
MUST_USE enum err log_level_parse(const char *word, enum log_level *ret_level);

/* Where lines go; NULL means stderr. `line` has no newline. Call before threads start. */
void log_set_sink(void (*sink)(enum log_level level, const char *line, void *ctx), void *ctx);

bool log_enabled(enum log_level level);

/* One line: `what` is a constant sentence, `fmt` the key=value pairs (NULL for none). Any thread.
 */
void log_line(enum log_level level, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(what, ...) log_line(LOG_ERROR, what, __VA_ARGS__)
#define log_warn(what, ...)  log_line(LOG_WARN, what, __VA_ARGS__)
#define log_info(what, ...)  log_line(LOG_INFO, what, __VA_ARGS__)
#define log_debug(what, ...)                                    \
	do {                                                    \
		if (log_enabled(LOG_DEBUG))                     \
			log_line(LOG_DEBUG, what, __VA_ARGS__); \
	} while (0)

enum {
	LOG_STR_LEN = 128, /* bytes of an escaped text, its zero included; longer ends in '...' */
};

/*
 * Foreign bytes as a quoted text that is safe in a line: printable ASCII stays, the rest becomes
 * \xNN. Returns buf.
 */
const char *log_str(struct span foreign, char buf[LOG_STR_LEN]);
