/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * span.h - borrowed bytes, read and written with their bounds
 *
 * struct span lends bytes to read: whoever holds one may look, not keep. The span_take_* readers
 * move its start forward and fail, changing nothing, where the bytes do not suffice.
 *
 * struct wbuf is a bounded place to write to. The wbuf_put_* writers append; once something did
 * not fit, the buffer is `overflowed` and stays as it was: a series of puts needs one check.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct span {
	const uint8_t *p;
	size_t len; /* bytes */
};

static inline struct span span_of(const void *p, size_t len)
{
	return (struct span){.p = p, .len = len};
}

/* The bytes of a C string, without its zero. */
static inline struct span span_str(const char *text)
{
	return span_of(text, strlen(text));
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool span_starts_with(struct span s, struct span prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.p, prefix.p, prefix.len) == 0);
}

/* Drop the first n bytes; n is at most s->len. */
static inline void span_skip(struct span *s, size_t n)
{
	s->p += n;
	s->len -= n;
}

/* ERR_TRUNCATED if fewer than n bytes are left. */
static inline MUST_USE enum err span_take(struct span *s, size_t n, struct span *ret)
{
	if (s->len < n)
		return ERR_TRUNCATED;
	*ret = span_of(s->p, n);
	span_skip(s, n);
	return ERR_OK;
}

static inline uint16_t load_be16(const uint8_t *p)
{
	return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t load_be64(const uint8_t *p)
{
	return (uint64_t)load_be32(p) << 32 | load_be32(p + 4);
}

static inline void store_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void store_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static inline void store_be64(uint8_t *p, uint64_t v)
{
	store_be32(p, (uint32_t)(v >> 32));
	store_be32(p + 4, (uint32_t)v);
}

struct wbuf {
	uint8_t *p;
	size_t len; /* bytes written */
	size_t cap; /* bytes of room in all */
	bool overflowed;
};

static inline struct wbuf wbuf_of(void *p, size_t cap)
{
	return (struct wbuf){.p = p, .cap = cap};
}

static inline struct span wbuf_view(const struct wbuf *w)
{
	return span_of(w->p, w->len);
}

static inline size_t wbuf_room(const struct wbuf *w)
{
	return w->overflowed ? 0 : w->cap - w->len;
}

/* A place for n bytes that the caller fills; NULL, and overflowed, where they do not fit. */
static inline uint8_t *wbuf_reserve(struct wbuf *w, size_t n)
{
	if (w->overflowed || w->cap - w->len < n) {
		w->overflowed = true;
		return NULL;
	}
	uint8_t *at = w->p + w->len;
	w->len += n;
	return at;
}

static inline void wbuf_put(struct wbuf *w, struct span s)
{
	uint8_t *at = wbuf_reserve(w, s.len);
	if (at != NULL && s.len > 0)
		memcpy(at, s.p, s.len);
}

static inline void wbuf_put_u8(struct wbuf *w, uint8_t v)
{
	uint8_t *at = wbuf_reserve(w, 1);
	if (at != NULL)
		*at = v;
}

static inline void wbuf_put_be16(struct wbuf *w, uint16_t v)
{
	uint8_t *at = wbuf_reserve(w, 2);
	if (at != NULL)
		store_be16(at, v);
}

static inline void wbuf_put_be32(struct wbuf *w, uint32_t v)
{
	uint8_t *at = wbuf_reserve(w, 4);
	if (at != NULL)
		store_be32(at, v);
}

/* The end of a series of puts: ERR_FULL if any of them did not fit. */
static inline MUST_USE enum err wbuf_check(const struct wbuf *w)
{
	return w->overflowed ? ERR_FULL : ERR_OK;
}
