/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* log.c - see log.h. A line is built on the stack and written with one call, so lines of
 * different threads do not mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
	LINE_LEN = 1024, /* bytes of a line; the rest is cut: a log line is read by people */
};

static const char *const level_words[] = {
	[LOG_ERROR] = "error",
	[LOG_WARN] = "warn",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

/* Process-wide. The level may change at any time, the sink is set once, before threads start. */
static _Atomic enum log_level level_max = LOG_INFO;
static void (*sink_fn)(enum log_level, const char *, void *);
static void *sink_ctx;

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&level_max, level, memory_order_relaxed);
}

enum err log_level_parse(const char *word, enum log_level *ret_level)
{
	for (size_t i = 0; i < sizeof(level_words) / sizeof(level_words[0]); i++) {
		if (strcmp(word, level_words[i]) == 0) {
			*ret_level = (enum log_level)i;
			return ERR_OK;
		}
	}
	return ERR_RANGE;
}

void log_set_sink(void (*sink)(enum log_level level, const char *line, void *ctx), void *ctx)
{
	sink_fn = sink;
	sink_ctx = ctx;
}

bool log_enabled(enum log_level level)
{
	return level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

/* Append at *at, never past the end; *at stays within the buffer. */
static void append(char *buf, size_t cap, size_t *at, const char *fmt, va_list ap)
	__attribute__((format(printf, 4, 0)));

static void append(char *buf, size_t cap, size_t *at, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf + *at, cap - *at, fmt, ap);
	if (n > 0)
		*at = (size_t)n < cap - *at ? *at + (size_t)n : cap - 1;
}

static void put(char *buf, size_t cap, size_t *at, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void put(char *buf, size_t cap, size_t *at, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	append(buf, cap, at, fmt, ap);
	va_end(ap);
}

void log_line(enum log_level level, const char *what, const char *fmt, ...)
{
	if (!log_enabled(level))
		return;

	char line[LINE_LEN];
	size_t at = 0;
	const size_t cap = sizeof(line) - 1; /* one byte is kept for the newline */

	if (sink_fn == NULL) {
		struct timespec ts;
		struct tm tm;
		clock_gettime(CLOCK_REALTIME, &ts);
		gmtime_r(&ts.tv_sec, &tm);
		char date[32];
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
		put(line, cap, &at, "%s.%03ldZ %s ", date, ts.tv_nsec / 1000000,
		    level_words[level]);
	}
	put(line, cap, &at, "%s", what);
	if (fmt != NULL) {
		va_list ap;
		put(line, cap, &at, " ");
		va_start(ap, fmt);
		append(line, cap, &at, fmt, ap);
		va_end(ap);
	}

	if (sink_fn != NULL) {
		sink_fn(level, line, sink_ctx);
		return;
	}
	line[at++] = '\n';
	/* A log that cannot be written has nowhere to complain to. */
	if (write(STDERR_FILENO, line, at) < 0)
		return;
}

const char *log_str(struct span foreign, char buf[LOG_STR_LEN])
{
	static const char hex[] = "0123456789abcdef";
	size_t at = 0;
	buf[at++] = '"';
	for (size_t i = 0; i < foreign.len; i++) {
		uint8_t c = foreign.p[i];
		/* room for \xNN, the dots, the quote and the zero */
		if (at + 4 + 3 + 2 > LOG_STR_LEN) {
			memcpy(buf + at, "...", 3);
			at += 3;
			break;
		}
		if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
			buf[at++] = (char)c;
		} else {
			buf[at++] = '\\';
			buf[at++] = 'x';
			buf[at++] = hex[c >> 4];
			buf[at++] = hex[c & 15];
		}
	}
	buf[at++] = '"';
	buf[at] = '\0';
	return buf;
}
