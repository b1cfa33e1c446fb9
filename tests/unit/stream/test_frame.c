/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "support/testkit.h"

#include <stdlib.h>

#include "vpn/stream/frame_reader.h"

static const struct frame_hello own = {
	.version = FRAME_VERSION,
	.mtu = 1420,
	.capabilities = FRAME_CAN_OFFLOAD | FRAME_CAN_PROBE,
	.payload_len_max = FRAME_PAYLOAD_LEN_MAX,
};

static struct frame_reader *reader_with(enum frame_role role, const struct frame_hello *hello)
{
	struct frame_reader *r;
	assert_ok(frame_reader_new(role, hello, &r));
	return r;
}

/* One that has read the peer's HELLO. */
static struct frame_reader *greeted(enum frame_role role)
{
	struct frame_reader *r = reader_with(role, &own);
	uint8_t hello[FRAME_HEADER_LEN + FRAME_HELLO_LEN];
	struct wbuf w = wbuf_of(hello, sizeof(hello));
	frame_put_hello(&w, &own);
	struct span in = wbuf_view(&w);
	struct frame_event event;
	assert_ok(frame_reader_read(r, &in, &event));
	assert_int_equal(event.type, FRAME_EV_HELLO);
	return r;
}

/* All of `bytes` in chunks of that size, each in an allocation of its own: the first event or
 * error, ERR_AGAIN if there was none. A packet is copied to *ret_packet (free it). */
static enum err feed(struct frame_reader *r, struct span bytes, size_t chunk,
		     struct frame_event *ret, uint8_t **ret_packet)
{
	*ret_packet = NULL;
	while (bytes.len > 0) {
		size_t n = bytes.len < chunk ? bytes.len : chunk;
		uint8_t *exact = testkit_copy(span_of(bytes.p, n));
		struct span in = span_of(exact, n);
		enum err e = frame_reader_read(r, &in, ret);
		if (e == ERR_OK && ret->type == FRAME_EV_PACKET)
			*ret_packet = testkit_copy(ret->packet);
		assert_true(e != ERR_AGAIN || in.len == 0);
		span_skip(&bytes, n - in.len);
		free(exact);
		if (e != ERR_AGAIN) {
			assert_true(e != ERR_OK || bytes.len == 0);
			return e;
		}
	}
	return ERR_AGAIN;
}

static json_int_t number(const json_t *object, const char *key)
{
	const json_t *v = json_object_get(object, key);
	assert_true(json_is_integer(v));
	return json_integer_value(v);
}

static struct frame_hello json_hello(const json_t *v)
{
	return (struct frame_hello){
		.version = (uint8_t)number(v, "version"),
		.mtu = (uint16_t)number(v, "mtu"),
		.capabilities = (uint32_t)number(v, "capabilities"),
		.payload_len_max = (uint32_t)number(v, "payload_len_max"),
	};
}

static struct offload json_offload(const json_t *v)
{
	if (v == NULL)
		return (struct offload){0};
	return (struct offload){
		.flags = (uint8_t)number(v, "flags"),
		.gso_type = (uint8_t)number(v, "gso_type"),
		.hdr_len = (uint16_t)number(v, "hdr_len"),
		.gso_size = (uint16_t)number(v, "gso_size"),
		.csum_start = (uint16_t)number(v, "csum_start"),
		.csum_offset = (uint16_t)number(v, "csum_offset"),
	};
}

static struct frame_probe json_probe(const json_t *v)
{
	return (struct frame_probe){
		.id = strtoull(testkit_string(v, "id"), NULL, 16),
		.sent_at = strtoull(testkit_string(v, "sent_at"), NULL, 16),
	};
}

static void check_event(const json_t *v, const struct frame_event *event, const uint8_t *packet)
{
	const char *name = testkit_string(v, "event");
	if (strcmp(name, "hello") == 0) {
		assert_int_equal(event->type, FRAME_EV_HELLO);
		struct frame_hello h = json_hello(json_object_get(v, "hello"));
		assert_int_equal(event->hello.version, h.version);
		assert_int_equal(event->hello.mtu, h.mtu);
		assert_int_equal(event->hello.capabilities, h.capabilities);
		assert_int_equal(event->hello.payload_len_max, h.payload_len_max);
	} else if (strcmp(name, "packet") == 0) {
		assert_int_equal(event->type, FRAME_EV_PACKET);
		size_t len;
		uint8_t *expected = testkit_unhex(testkit_string(v, "packet"), &len);
		assert_span_equal(span_of(packet, event->packet.len), span_of(expected, len));
		free(expected);
		struct offload o = json_offload(json_object_get(v, "offload"));
		assert_memory_equal(&event->offload, &o, sizeof(o));
	} else {
		assert_int_equal(event->type, strcmp(name, "probe") == 0 ? FRAME_EV_PROBE
									 : FRAME_EV_PROBE_ANSWER);
		struct frame_probe p = json_probe(json_object_get(v, "probe"));
		assert_int_equal(event->probe.id, p.id);
		assert_int_equal(event->probe.sent_at, p.sent_at);
	}
}

/* The roles that read what `by` sends. */
static bool reads(enum frame_role role, const char *by)
{
	return strcmp(by, role == FRAME_ACCEPTOR ? "acceptor" : "opener") != 0;
}

static void test_vectors_are_read_at_every_cut(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("runnel_frames.json"), *v;
	size_t i, n = 0;
	json_array_foreach(json_object_get(root, "frames"), i, v)
	{
		size_t len;
		uint8_t *bytes = testkit_unhex(testkit_string(v, "hex"), &len);
		const char *event_name = testkit_string(v, "event");
		for (enum frame_role role = 0; role <= FRAME_ACCEPTOR; role++) {
			if (!reads(role, testkit_string(v, "by")))
				continue;
			for (size_t chunk = 1; chunk <= len; chunk++, n++) {
				bool is_hello = strcmp(event_name, "hello") == 0;
				struct frame_reader *r = is_hello ? reader_with(role, &own)
								  : greeted(role);
				struct frame_event event;
				uint8_t *packet;
				enum err e = feed(r, span_of(bytes, len), chunk, &event, &packet);
				if (strcmp(event_name, "skipped") == 0) {
					assert_err(e, ERR_AGAIN);
					assert_int_equal(frame_reader_skipped(r), 1);
				} else {
					assert_ok(e);
					check_event(v, &event, packet);
				}
				assert_true(frame_reader_is_between(r));
				free(packet);
				frame_reader_free(r);
			}
		}
		free(bytes);
	}
	assert_true(n > 500);
	json_decref(root);
}

static void test_vectors_are_written(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("runnel_frames.json"), *v;
	size_t i;
	json_array_foreach(json_object_get(root, "frames"), i, v)
	{
		if (!json_is_true(json_object_get(v, "canonical")))
			continue;
		size_t len, packet_len;
		uint8_t *expected = testkit_unhex(testkit_string(v, "hex"), &len);
		uint8_t out[2048];
		struct wbuf w = wbuf_of(out, sizeof(out));
		const char *name = testkit_string(v, "event");
		if (strcmp(name, "hello") == 0) {
			struct frame_hello h = json_hello(json_object_get(v, "hello"));
			frame_put_hello(&w, &h);
		} else if (strcmp(name, "packet") == 0) {
			uint8_t *packet = testkit_unhex(testkit_string(v, "packet"), &packet_len);
			struct offload o = json_offload(json_object_get(v, "offload"));
			if (offload_is_plain(&o))
				frame_put_packet_header(wbuf_reserve(&w, FRAME_HEADER_LEN),
							packet_len);
			else
				frame_put_super_header(wbuf_reserve(&w, FRAME_SUPER_HEADER_LEN), &o,
						       packet_len);
			wbuf_put(&w, span_of(packet, packet_len));
			free(packet);
		} else {
			struct frame_probe p = json_probe(json_object_get(v, "probe"));
			frame_put_probe(
				&w, strcmp(name, "probe") == 0 ? FRAME_PROBE : FRAME_PROBE_ANSWER,
				&p);
		}
		assert_span_equal(wbuf_view(&w), span_of(expected, len));
		free(expected);
	}
	json_decref(root);
}

static void test_broken_vectors_break_the_stream_for_good(void **state)
{
	(void)state;
	json_t *root = testkit_vectors("runnel_frames.json"), *v;
	size_t i, n = 0;
	json_array_foreach(json_object_get(root, "errors"), i, v)
	{
		size_t len;
		uint8_t *bytes = testkit_unhex(testkit_string(v, "hex"), &len);
		for (enum frame_role role = 0; role <= FRAME_ACCEPTOR; role++) {
			if (!reads(role, testkit_string(v, "by")))
				continue;
			for (size_t chunk = 1; chunk <= len; chunk += chunk < 24 ? 1 : 97, n++) {
				struct frame_reader *r = json_is_true(json_object_get(v, "first"))
								 ? reader_with(role, &own)
								 : greeted(role);
				struct frame_event event = {.type = 99};
				uint8_t *packet;
				enum err e = feed(r, span_of(bytes, len), chunk, &event, &packet);
				if (strcmp(err_name(e), testkit_string(v, "error")) != 0)
					fail_msg("%s: %s", testkit_string(v, "name"), err_name(e));
				assert_int_equal(event.type, 99);
				struct span more = span_of("\4\0\0\20", 4);
				assert_err(frame_reader_read(r, &more, &event), e);
				assert_int_equal(more.len, 4);
				assert_false(frame_reader_is_between(r));
				frame_reader_free(r);
			}
		}
		free(bytes);
	}
	assert_true(n > 500);
	json_decref(root);
}

static void test_whole_packets_are_lent_and_cut_ones_gathered(void **state)
{
	(void)state;
	uint8_t in[8] = {2, 0, 0, 4, 'a', 'b', 'c', 'd'};
	struct frame_reader *r = greeted(FRAME_ACCEPTOR);
	struct frame_event event;
	struct span rest = span_of(in, 8);
	assert_ok(frame_reader_read(r, &rest, &event));
	assert_ptr_equal(event.packet.p, in + 4);
	assert_true(offload_is_plain(&event.offload));
	/* A cut between header and packet costs no copy either. */
	rest = span_of(in, 4);
	assert_err(frame_reader_read(r, &rest, &event), ERR_AGAIN);
	assert_false(frame_reader_is_between(r));
	rest = span_of(in + 4, 4);
	assert_ok(frame_reader_read(r, &rest, &event));
	assert_ptr_equal(event.packet.p, in + 4);
	rest = span_of(in, 6);
	assert_err(frame_reader_read(r, &rest, &event), ERR_AGAIN);
	rest = span_of(in + 6, 2);
	assert_ok(frame_reader_read(r, &rest, &event));
	assert_true(event.packet.p < in || event.packet.p >= in + 8);
	assert_span_equal(event.packet, span_str("abcd"));
	frame_reader_free(r);
}

/* A super-packet of the largest size: 65,535 bytes with TCP over IPv4, one after the other. */
static void test_longest_supers_pass_at_any_cut(void **state)
{
	(void)state;
	enum {
		LEN = FRAME_SUPER_HEADER_LEN + PACKET_LEN_MAX
	};
	static const size_t chunks[] = {1, 1000, 1448, 16384, 65519, LEN - 1, LEN};
	const struct offload o = {.flags = OFFLOAD_NEEDS_CSUM,
				  .gso_type = OFFLOAD_GSO_TCP4,
				  .hdr_len = 40,
				  .gso_size = 1380,
				  .csum_start = 20,
				  .csum_offset = 16};
	uint8_t *in = malloc(LEN);
	for (size_t i = 0; i < LEN; i++)
		in[i] = (uint8_t)(i * 7);
	frame_put_super_header(in, &o, PACKET_LEN_MAX);
	struct frame_reader *r = greeted(FRAME_ACCEPTOR);
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		struct frame_event event;
		uint8_t *packet;
		assert_ok(feed(r, span_of(in, LEN), chunks[i], &event, &packet));
		assert_int_equal(event.packet.len, PACKET_LEN_MAX);
		assert_memory_equal(packet, in + FRAME_SUPER_HEADER_LEN, PACKET_LEN_MAX);
		assert_memory_equal(&event.offload, &o, sizeof(o));
		free(packet);
	}
	frame_reader_free(r);
	free(in);
}

static void test_unknown_frames_hide_nothing(void **state)
{
	(void)state;
	uint8_t *in = calloc(1, 3 * (4 + FRAME_PAYLOAD_LEN_MAX) + 100);
	size_t len = 0, expected = 0;
	for (unsigned type = 6; type < 256; type += 50, expected++) {
		size_t n = type % 3 == 0 ? 0 : type;
		store_be32(in + len, type << 24 | (uint32_t)n);
		memset(in + len + 4, 2, n);
		len += 4 + n;
	}
	store_be32(in + len, 0xfeu << 24 | FRAME_PAYLOAD_LEN_MAX);
	len += 4 + FRAME_PAYLOAD_LEN_MAX;
	store_be32(in + len, 2u << 24 | 1);
	in[len + 4] = 'x';
	len += 5;
	for (size_t chunk = 1; chunk <= len; chunk = chunk * 3 + 1) {
		struct frame_reader *r = greeted(FRAME_ACCEPTOR);
		struct frame_event event;
		uint8_t *packet;
		assert_ok(feed(r, span_of(in, len), chunk, &event, &packet));
		assert_int_equal(event.packet.len, 1);
		assert_int_equal(packet[0], 'x');
		assert_int_equal(frame_reader_skipped(r), expected + 1);
		free(packet);
		frame_reader_free(r);
	}
	free(in);
}

static void test_what_was_not_promised_is_refused(void **state)
{
	(void)state;
	const struct frame_hello bare = {.version = 1, .mtu = 1280, .payload_len_max = 1280};
	static const uint8_t types[] = {FRAME_SUPER, FRAME_PROBE};
	for (size_t i = 0; i < 2; i++) {
		struct frame_reader *r = reader_with(FRAME_ACCEPTOR, &bare);
		uint8_t in[FRAME_HEADER_LEN + FRAME_HELLO_LEN + 4];
		struct wbuf w = wbuf_of(in, sizeof(in));
		frame_put_hello(&w, &own);
		wbuf_put_be32(&w, (uint32_t)types[i] << 24 | 16);
		struct span rest = wbuf_view(&w);
		struct frame_event event;
		assert_ok(frame_reader_read(r, &rest, &event));
		assert_err(frame_reader_read(r, &rest, &event), ERR_PROTOCOL);
		frame_reader_free(r);
	}
	/* A smaller payload limit of ours holds for super-packets too. */
	struct frame_hello small = own;
	small.payload_len_max = 5000;
	struct frame_reader *r = reader_with(FRAME_ACCEPTOR, &small);
	uint8_t in[FRAME_HEADER_LEN + FRAME_HELLO_LEN + 4];
	struct wbuf w = wbuf_of(in, sizeof(in));
	frame_put_hello(&w, &own);
	wbuf_put_be32(&w, (uint32_t)FRAME_SUPER << 24 | 5001);
	struct span rest = wbuf_view(&w);
	struct frame_event event;
	assert_ok(frame_reader_read(r, &rest, &event));
	assert_err(frame_reader_read(r, &rest, &event), ERR_TOO_LONG);
	frame_reader_free(r);
}

static void test_random_bytes_never_lend_too_much(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct frame_reader *r =
			greeted(testkit_random() % 2 ? FRAME_ACCEPTOR : FRAME_OPENER);
		uint8_t bytes[96];
		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = (uint8_t)(testkit_random() % 3 ? testkit_random() % 18
								  : testkit_random());
		bytes[1] = bytes[2] = 0;
		size_t len = testkit_random() % sizeof(bytes);
		uint8_t *exact = testkit_copy(span_of(bytes, len));
		struct span in = span_of(exact, len);
		struct frame_event event;
		while (frame_reader_read(r, &in, &event) == ERR_OK) {
			if (event.type == FRAME_EV_PACKET) {
				assert_true(event.packet.len > 0 && event.packet.p >= exact &&
					    event.packet.p + event.packet.len <= exact + len);
				assert_true(offload_segment_len(&event.offload, event.packet.len) <=
					    own.mtu);
			}
		}
		free(exact);
		frame_reader_free(r);
	}
	assert_null(frame_reader_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_are_read_at_every_cut),
		cmocka_unit_test(test_vectors_are_written),
		cmocka_unit_test(test_broken_vectors_break_the_stream_for_good),
		cmocka_unit_test(test_whole_packets_are_lent_and_cut_ones_gathered),
		cmocka_unit_test(test_longest_supers_pass_at_any_cut),
		cmocka_unit_test(test_unknown_frames_hide_nothing),
		cmocka_unit_test(test_what_was_not_promised_is_refused),
		cmocka_unit_test(test_random_bytes_never_lend_too_much),
	};
	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
