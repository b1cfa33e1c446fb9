/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * sim_stream.c - the bytes of simulated TCP: buffers, chunks, acknowledgements, retransmission
 *
 * An end sends what the other end has room for, in chunks. On a path with a rate it has one chunk
 * at a time on its way out (`pace` tells when that is done), and connections take their turns by
 * the time at which the path is free; what waits is "not sent". Without a rate all goes out at
 * once. There is no congestion window: the path's rate is what holds a sender back.
 *
 * Chunks are lost only where a path is cut or a host moved. The timer `retry` runs while anything
 * is not acknowledged: 0.2 s + rtt, then doubled each time, up to 120 s. It sends the oldest chunk
 * again, or a probe where the other end has no room; nothing else is sent until an answer comes.
 * Where nothing was acknowledged for user_timeout_ms the connection breaks, also if the other end
 * lives but does not read: Linux does so since 5.11. Without one it breaks after 924 s, as with
 * Linux's 15 retries.
 */
#include <stdlib.h>

#include "base/util.h"
#include "loop/sim_tcp.h"

#define RETRY_MIN     (NSEC_PER_SEC / 5)
#define RETRY_MAX     (120 * NSEC_PER_SEC)
#define GIVE_UP_AFTER (924 * NSEC_PER_SEC)

static nsec_t now_of(const struct sim_end *end)
{
	return end->conn->sim->now;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void sim_stream_changed(struct sim_end *end)
{
	if (end->sock != NULL)
		sim_sock_update(&end->sock->base);
}

/* --- the buffer ---------------------------------------------------------------------- */

static void reserve(struct sim_bytes *b, size_t n)
{
	if (b->cap - b->start - b->len >= n)
		return;
	if (b->start > 0 && b->len > 0)
		memmove(b->p, b->p + b->start, b->len);
	b->start = 0;
	if (b->cap - b->len >= n)
		return;
	size_t cap = b->cap * 2 > b->len + n ? b->cap * 2 : b->len + n;
	uint8_t *p = sim_alloc(cap);
	if (b->len > 0)
		memcpy(p, b->p, b->len);
	free(b->p);
	b->p = p;
	b->cap = cap;
}

static void append(struct sim_bytes *b, const void *p, size_t n)
{
	reserve(b, n);
	memcpy(b->p + b->start + b->len, p, n);
	b->len += n;
}

static void take(struct sim_bytes *b, void *p, size_t n)
{
	memcpy(p, b->p + b->start, n);
	b->start += n;
	b->len -= n;
	if (b->len == 0) { /* hundreds of idle connections need no memory */
		free(b->p);
		*b = (struct sim_bytes){0};
	}
}

/* --- sending ------------------------------------------------------------------------- */

static nsec_t user_timeout(const struct sim_end *end)
{
	return end->opts.user_timeout_ms != 0 ? end->opts.user_timeout_ms * NSEC_PER_MSEC
					      : GIVE_UP_AFTER;
}

static void arm_retry(struct sim_end *end)
{
	if (end->acked == sim_end_total(end)) {
		loop_timer_stop(&end->retry);
		return;
	}
	nsec_t wait = RETRY_MIN + end->rtt;
	for (unsigned i = 0; i < end->n_retries && wait < RETRY_MAX; i++)
		wait *= 2;
	nsec_t from = end->last_departure > now_of(end) ? end->last_departure : now_of(end);
	nsec_t at = from + nsec_min(wait, RETRY_MAX);
	/* Not later than the moment at which it breaks. */
	nsec_t deadline = end->progress_at + user_timeout(end);
	if (deadline > now_of(end))
		at = nsec_min(at, deadline);
	loop_timer_set(&end->retry, at);
}

/* When the path has taken `len` bytes more. */
static nsec_t occupy_path(struct sim_end *end, uint64_t len)
{
	struct sim_host *to;
	struct sim_link *link = sim_end_link(end, &to);
	if (link == NULL || link->path.rate_bytes_per_sec == 0)
		return now_of(end);
	nsec_t *free_at = &link->free_at[end->host->id < to->id ? 0 : 1];
	nsec_t from = *free_at > now_of(end) ? *free_at : now_of(end);
	*free_at = from + len * NSEC_PER_SEC / link->path.rate_bytes_per_sec;
	return *free_at;
}

/* About a millisecond of a path's rate: fine enough for timing, coarse enough for speed. */
static uint64_t chunk_len(struct sim_end *end)
{
	struct sim_host *to;
	struct sim_link *link = sim_end_link(end, &to);
	uint64_t rate = link != NULL ? link->path.rate_bytes_per_sec : 0;
	if (rate == 0 || rate / 1000 > SIM_CHUNK_MAX)
		return SIM_CHUNK_MAX;
	return rate / 1000 < SIM_MSS ? SIM_MSS : rate / 1000;
}

/* false: nothing to send, or no room for it at the other end. */
static bool send_chunk(struct sim_end *end)
{
	uint64_t room = end->edge > end->sent ? end->edge - end->sent : 0;
	uint64_t left = end->written > end->sent ? end->written - end->sent : 0;
	uint64_t len = min_u64(min_u64(left, room), chunk_len(end));
	struct sim_segment chunk = {.kind = SIM_DATA, .begin = end->sent, .end = end->sent + len};
	if (end->fin && chunk.end == end->written)
		chunk.end++;
	if (chunk.begin == chunk.end)
		return false;
	end->last_departure = occupy_path(end, len);
	end->sent = chunk.end;
	sim_segment_send(end, chunk, end->last_departure);
	if (end->last_departure > now_of(end))
		loop_timer_set(&end->pace, end->last_departure);
	return true;
}

void sim_stream_transmit(struct sim_end *end)
{
	if (end->state != SIM_OPEN)
		return;
	while (end->n_retries == 0 && !loop_timer_is_set(&end->pace) &&
	       end->sent < sim_end_total(end) && send_chunk(end))
		;
	if (!loop_timer_is_set(&end->retry))
		arm_retry(end);
	sim_stream_changed(end); /* less is "not sent" */
}

/* From now on it waits for an answer, if it did not already. */
static void begin_wait(struct sim_end *end)
{
	if (end->acked == sim_end_total(end))
		end->progress_at = now_of(end);
}

void sim_stream_end(struct sim_end *end)
{
	begin_wait(end);
	end->fin = true;
	sim_stream_transmit(end);
}

void sim_stream_retry(struct sim_end *end)
{
	if (now_of(end) >= end->progress_at + user_timeout(end)) {
		sim_end_finish(end, ERR_TIMEOUT);
		return;
	}
	if (!loop_timer_is_set(&end->pace)) { /* else its last chunk has not even left */
		end->n_retries++;
		end->sent = end->acked;
		if (!send_chunk(end))
			sim_segment_send(end,
					 (struct sim_segment){.kind = SIM_DATA, .is_probe = true},
					 now_of(end));
	}
	arm_retry(end);
}

static void measure_rtt(struct sim_end *end, nsec_t echo)
{
	if (echo == 0)
		return;
	nsec_t sample = now_of(end) - echo;
	end->rtt = end->rtt == 0 ? sample : (7 * end->rtt + sample) / 8;
}

void sim_stream_on_ack(struct sim_end *end, const struct sim_segment *segment)
{
	bool moved = false;
	if (segment->ack > end->acked) {
		end->acked = segment->ack;
		if (end->sent < end->acked)
			end->sent = end->acked;
		moved = true;
	}
	if (segment->edge > end->edge) {
		end->edge = segment->edge;
		moved = true;
	}
	measure_rtt(end, segment->echo);
	if (!moved)
		return;
	end->progress_at = now_of(end);
	end->n_retries = 0;
	loop_timer_stop(&end->retry);
	sim_stream_transmit(end);
}

/* --- receiving ----------------------------------------------------------------------- */

static size_t readable(const struct sim_end *end)
{
	return (size_t)(end->arrived - (end->eof ? 1 : 0) - end->read);
}

void sim_stream_on_data(struct sim_end *end, const struct sim_segment *segment)
{
	if (segment->begin == segment->end && !segment->is_probe)
		return; /* a bare ACK, which is not acknowledged */
	if (segment->begin <= segment->end && segment->begin <= end->arrived &&
	    segment->end > end->arrived) {
		bool has_fin = segment->end > end->peer->written;
		bool has_bytes = segment->end - end->arrived > (has_fin ? 1u : 0u);
		if (has_bytes && end->sock == NULL && !end->waits) {
			/* Its owner has closed: no one will ever read that. */
			sim_end_answer(end, SIM_RST, 0);
			sim_end_finish(end, ERR_CLOSED);
			return;
		}
		end->arrived = segment->end;
		end->eof = has_fin;
	}
	sim_end_answer(end, SIM_DATA, segment->sent_at);
	sim_stream_changed(end);
}

/* --- the socket ---------------------------------------------------------------------- */

static struct sim_end *end_of(struct sim_sock *sock)
{
	return CONTAINER_OF(sock, struct sim_stream, base)->end;
}

static uint64_t send_buffer(const struct sim_end *end)
{
	return end->opts.send_buffer_bytes != 0 ? end->opts.send_buffer_bytes : SIM_SEND_BUFFER;
}

static uint64_t used(const struct sim_end *end)
{
	return end->written - min_u64(end->acked, end->written);
}

static uint64_t notsent(const struct sim_end *end)
{
	return end->written - min_u64(end->sent, end->written);
}

/* As the kernel: writable again once a third is free, so that owners do not write crumbs. */
static bool is_writable(const struct sim_end *end)
{
	uint32_t lowat = end->opts.notsent_lowat_bytes;
	return end->state == SIM_OPEN && used(end) <= send_buffer(end) / 3 * 2 &&
	       (lowat == 0 || notsent(end) < lowat);
}

static unsigned ready(struct sim_sock *sock)
{
	const struct sim_end *end = end_of(sock);
	unsigned set = 0;
	if (end->state == SIM_CLOSED)
		return SOCK_READABLE | SOCK_WRITABLE;
	if (readable(end) > 0 || end->eof)
		set |= SOCK_READABLE;
	if (is_writable(end))
		set |= SOCK_WRITABLE;
	return set;
}

/* A reader that made much room tells the sender, who may wait for it. */
static void tell_room(struct sim_end *end)
{
	if (end->state == SIM_OPEN &&
	    end->read + SIM_RECEIVE_BUFFER - end->edge_told >= SIM_RECEIVE_BUFFER / 2)
		sim_end_answer(end, SIM_DATA, 0);
}

static enum err read_stream(struct sim_sock *sock, void *buf, size_t cap, size_t *ret_n)
{
	struct sim_end *end = end_of(sock);
	size_t n = readable(end);
	if (n == 0 && end->eof)
		return ERR_EOF;
	if (n == 0)
		return end->state == SIM_CLOSED ? end->error : ERR_AGAIN;
	if (n > cap)
		n = cap;
	take(&end->peer->bytes, buf, n);
	end->read += n;
	sim_note(sock->host, "read", end->conn->id, n);
	tell_room(end);
	*ret_n = n;
	return ERR_OK;
}

/* Room in the send buffer, and not more unsent than the low water mark allows. */
static uint64_t write_room(const struct sim_end *end)
{
	uint64_t room = send_buffer(end) - min_u64(used(end), send_buffer(end));
	uint32_t lowat = end->opts.notsent_lowat_bytes;
	return lowat == 0 ? room : min_u64(room, lowat - min_u64(notsent(end), lowat));
}

static size_t write_some(struct sim_end *end, const void *p, size_t len)
{
	size_t total = 0, n;
	while (len > 0 && (n = (size_t)min_u64(len, write_room(end))) > 0) {
		begin_wait(end);
		append(&end->bytes, p, n);
		sim_hash_bytes(end->conn->sim, p, n);
		end->written += n;
		sim_stream_transmit(end); /* which may make room below the low water mark */
		p = (const uint8_t *)p + n;
		len -= n;
		total += n;
	}
	return total;
}

static enum err write_stream(struct sim_sock *sock, const struct iovec *iov, int n_iov,
			     size_t *ret_n)
{
	struct sim_end *end = end_of(sock);
	size_t total = 0, wanted = 0;
	if (end->state == SIM_CLOSED)
		return end->error;
	if (end->state != SIM_OPEN)
		return ERR_AGAIN;
	for (int i = 0; i < n_iov && total == wanted; i++) {
		wanted += iov[i].iov_len;
		total += write_some(end, iov[i].iov_base, iov[i].iov_len);
	}
	if (total == 0 && wanted > 0)
		return ERR_AGAIN;
	sim_note(sock->host, "write", end->conn->id, total);
	*ret_n = total;
	return ERR_OK;
}

static enum err stream_error(struct sim_sock *sock)
{
	struct sim_end *end = end_of(sock);
	return end->state == SIM_CLOSED ? end->error : ERR_OK;
}

static enum err stream_local(struct sim_sock *sock, union netaddr *ret)
{
	*ret = end_of(sock)->local;
	return ERR_OK;
}

static enum err stream_stats(struct sim_sock *sock, struct tcp_stats *ret)
{
	struct sim_end *end = end_of(sock);
	*ret = (struct tcp_stats){
		.acked_bytes = min_u64(end->acked, end->written),
		.unacked_segs = (uint32_t)((end->sent - end->acked + SIM_MSS - 1) / SIM_MSS),
		.notsent_bytes = (uint32_t)notsent(end),
		.rtt = end->rtt,
	};
	return ERR_OK;
}

static void close_stream(struct sim_sock *sock, bool abort)
{
	struct sim_end *end = end_of(sock);
	sim_sock_deinit(sock);
	free(CONTAINER_OF(sock, struct sim_stream, base));
	sim_end_abandon(end, abort);
}

static const struct sim_sock_ops stream_ops = {
	.ready = ready,
	.read = read_stream,
	.writev = write_stream,
	.error = stream_error,
	.local = stream_local,
	.tcp_stats = stream_stats,
	.close = close_stream,
};

struct sim_stream *sim_stream_new(struct sim_end *end)
{
	struct sim_stream *stream = sim_alloc(sizeof(*stream));
	sim_sock_init(&stream->base, end->host, &stream_ops);
	stream->end = end;
	end->sock = stream;
	return stream;
}
