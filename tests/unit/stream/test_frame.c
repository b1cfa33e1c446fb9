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

/* One that has read the peer's HELLO; its own promises these capabilities. */
static struct frame_reader *greeted_with(enum frame_role role, uint32_t capabilities)
{
	struct frame_hello promise = own;
	promise.capabilities = capabilities;
	struct frame_reader *r = reader_with(role, &promise);
	uint8_t hello[FRAME_HEADER_LEN + FRAME_HELLO_LEN];
	struct wbuf w = wbuf_of(hello, sizeof(hello));
	frame_put_hello(&w, &own);
	struct span in = wbuf_view(&w);
	struct frame_event event;
	assert_ok(frame_reader_read(r, &in, &event));
	assert_int_equal(event.type, FRAME_EV_HELLO);
	return r;
}

static struct frame_reader *greeted(enum frame_role role)
{
	return greeted_with(role, own.capabilities);
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

/* A number of this many bits as hex text. */
static uint64_t json_hex(const json_t *v, unsigned bits)
{
	assert_true(json_is_string(v));
	assert_int_equal(json_string_length(v), bits / 4);
	return strtoull(json_string_value(v), NULL, 16);
}

/* How many there are. */
static size_t json_replaces(const json_t *v, uint64_t ret_ids[FRAME_REPLACES_MAX])
{
	const json_t *id;
	size_t n;
	json_array_foreach(json_object_get(v, "replaces"), n, id) ret_ids[n] = json_hex(id, 64);
	return n;
}

static struct frame_hello json_hello(const json_t *v)
{
	struct frame_hello hello = {
		.version = (uint8_t)number(v, "version"),
		.mtu = (uint16_t)number(v, "mtu"),
		.capabilities = (uint32_t)number(v, "capabilities"),
		.payload_len_max = (uint32_t)number(v, "payload_len_max"),
		.lanes = 1,
	};
	const json_t *id = json_object_get(v, "stream_id");
	if (id != NULL)
		hello.stream_id = json_hex(id, 64);
	if (json_object_get(v, "lanes") != NULL)
		hello.lanes = (uint16_t)number(v, "lanes");
	hello.n_replaces = json_replaces(v, hello.replaces);
	return hello;
}

static struct frame_seq json_seq(const json_t *v)
{
	return (struct frame_seq){
		.group = (uint32_t)json_hex(json_object_get(v, "group"), 32),
		.seq = (uint32_t)json_hex(json_object_get(v, "seq"), 32),
	};
}

/* What the HELLO of the reader of this vector promises. */
static uint32_t reader_capabilities(const json_t *v)
{
	return json_object_get(v, "capabilities") != NULL ? (uint32_t)number(v, "capabilities")
							  : own.capabilities;
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

static void check_seq(const json_t *v, const struct frame_seq *seq)
{
	struct frame_seq expected = json_seq(v);
	assert_int_equal(seq->group, expected.group);
	assert_int_equal(seq->seq, expected.seq);
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
		assert_int_equal(event->hello.stream_id, h.stream_id);
		assert_int_equal(event->hello.n_replaces, h.n_replaces);
		assert_memory_equal(event->hello.replaces, h.replaces, sizeof(h.replaces));
		assert_int_equal(event->hello.lanes, h.lanes);
	} else if (strcmp(name, "packet") == 0) {
		assert_int_equal(event->type, FRAME_EV_PACKET);
		size_t len;
		uint8_t *expected = testkit_unhex(testkit_string(v, "packet"), &len);
		assert_span_equal(span_of(packet, event->packet.len), span_of(expected, len));
		free(expected);
		struct offload o = json_offload(json_object_get(v, "offload"));
		assert_memory_equal(&event->offload, &o, sizeof(o));
		const json_t *seq = json_object_get(v, "seq");
		assert_int_equal(event->is_seq, seq != NULL);
		if (seq != NULL)
			check_seq(seq, &event->seq);
	} else if (strcmp(name, "seq_end") == 0) {
		assert_int_equal(event->type, FRAME_EV_SEQ_END);
		check_seq(json_object_get(v, "seq"), &event->seq);
	} else if (strcmp(name, "replaces") == 0) {
		assert_int_equal(event->type, FRAME_EV_REPLACES);
		uint64_t ids[FRAME_REPLACES_MAX];
		size_t n = json_replaces(v, ids);
		assert_int_equal(event->hello.n_replaces, n);
		assert_memory_equal(event->hello.replaces, ids, n * sizeof(ids[0]));
	} else if (strcmp(name, "dial_lane") == 0) {
		assert_int_equal(event->type, FRAME_EV_DIAL_LANE);
		assert_int_equal(event->lane, number(v, "lane"));
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
				struct frame_reader *r =
					is_hello ? reader_with(role, &own)
						 : greeted_with(role, reader_capabilities(v));
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

static void put_packet(struct wbuf *w, const json_t *v)
{
	size_t len;
	uint8_t *packet = testkit_unhex(testkit_string(v, "packet"), &len);
	const json_t *seq = json_object_get(v, "seq");
	struct frame_seq at = seq != NULL ? json_seq(seq) : (struct frame_seq){0};
	struct offload o = json_offload(json_object_get(v, "offload"));
	if (offload_is_plain(&o) && seq == NULL)
		frame_put_packet_header(wbuf_reserve(w, FRAME_HEADER_LEN), len);
	else if (offload_is_plain(&o))
		frame_put_seq_header(wbuf_reserve(w, FRAME_SEQ_HEADER_LEN), &at, len);
	else if (seq == NULL)
		frame_put_super_header(wbuf_reserve(w, FRAME_SUPER_HEADER_LEN), &o, len);
	else
		frame_put_seq_super_header(wbuf_reserve(w, FRAME_SEQ_SUPER_HEADER_LEN), &at, &o,
					   len);
	wbuf_put(w, span_of(packet, len));
	free(packet);
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
		size_t len;
		uint8_t *expected = testkit_unhex(testkit_string(v, "hex"), &len);
		uint8_t out[2048];
		struct wbuf w = wbuf_of(out, sizeof(out));
		const char *name = testkit_string(v, "event");
		if (strcmp(name, "hello") == 0) {
			struct frame_hello h = json_hello(json_object_get(v, "hello"));
			frame_put_hello(&w, &h);
		} else if (strcmp(name, "packet") == 0) {
			put_packet(&w, v);
		} else if (strcmp(name, "seq_end") == 0) {
			struct frame_seq end = json_seq(json_object_get(v, "seq"));
			frame_put_seq_end(&w, &end);
		} else if (strcmp(name, "replaces") == 0) {
			uint64_t ids[FRAME_REPLACES_MAX];
			size_t n = json_replaces(v, ids);
			frame_put_replaces(&w, ids, n);
		} else if (strcmp(name, "dial_lane") == 0) {
			frame_put_dial_lane(&w, (uint16_t)number(v, "lane"));
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
				struct frame_reader *r =
					json_is_true(json_object_get(v, "first"))
						? reader_with(role, &own)
						: greeted_with(role, reader_capabilities(v));
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

/* A super-packet of the largest size: 65,535 bytes with TCP over IPv4, one after the other, in the
 * longest frame that there is. */
static void test_longest_supers_pass_at_any_cut(void **state)
{
	(void)state;
	enum {
		LEN = FRAME_SEQ_SUPER_HEADER_LEN + PACKET_LEN_MAX
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
	frame_put_seq_super_header(in, &(struct frame_seq){.group = 1, .seq = 2}, &o,
				   PACKET_LEN_MAX);
	struct frame_reader *r = greeted_with(FRAME_ACCEPTOR, own.capabilities | FRAME_CAN_SEQ);
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		struct frame_event event;
		uint8_t *packet;
		assert_ok(feed(r, span_of(in, LEN), chunks[i], &event, &packet));
		assert_int_equal(event.packet.len, PACKET_LEN_MAX);
		assert_memory_equal(packet, in + FRAME_SEQ_SUPER_HEADER_LEN, PACKET_LEN_MAX);
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
	for (unsigned type = 9; type < 256; type += 50, expected++) {
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
	static const uint8_t types[] = {FRAME_SUPER,     FRAME_PROBE,   FRAME_SEQ,
					FRAME_SEQ_SUPER, FRAME_SEQ_END, FRAME_REPLACES,
					FRAME_DIAL_LANE};
	for (size_t i = 0; i < sizeof(types); i++) {
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
	/* A smaller payload limit of ours holds for super-packets too, group and number not
	 * counted. */
	struct frame_hello small = own;
	small.payload_len_max = 5000;
	small.capabilities |= FRAME_CAN_SEQ;
	static const struct {
		enum frame_type type;
		uint32_t len;
		enum err expected;
	} lens[] = {
		{FRAME_SUPER, 5001, ERR_TOO_LONG},
		{FRAME_SUPER, 5000, ERR_AGAIN},
		{FRAME_SEQ_SUPER, 5009, ERR_TOO_LONG},
		{FRAME_SEQ_SUPER, 5008, ERR_AGAIN},
	};
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct frame_reader *r = reader_with(FRAME_ACCEPTOR, &small);
		uint8_t in[FRAME_HEADER_LEN + FRAME_HELLO_LEN + 4];
		struct wbuf w = wbuf_of(in, sizeof(in));
		frame_put_hello(&w, &own);
		wbuf_put_be32(&w, (uint32_t)lens[i].type << 24 | lens[i].len);
		struct span rest = wbuf_view(&w);
		struct frame_event event;
		assert_ok(frame_reader_read(r, &rest, &event));
		assert_err(frame_reader_read(r, &rest, &event), lens[i].expected);
		frame_reader_free(r);
	}
}

/* Cut at every byte, and every byte of it changed: no HELLO that is read says what may not be. */
static void test_hostile_extensions_stay_in_their_bounds(void **state)
{
	(void)state;
	struct frame_hello full = own;
	full.stream_id = UINT64_MAX;
	full.n_replaces = FRAME_REPLACES_MAX;
	for (size_t i = 0; i < FRAME_REPLACES_MAX; i++)
		full.replaces[i] = i + 1;
	full.lanes = FRAME_LANES_MAX;
	uint8_t frame[FRAME_HEADER_LEN + FRAME_HELLO_LEN_SENT_MAX];
	struct wbuf w = wbuf_of(frame, sizeof(frame));
	frame_put_hello(&w, &full);
	assert_ok(wbuf_check(&w));
	assert_int_equal(w.len, sizeof(frame));
	struct span payload = span_of(frame + FRAME_HEADER_LEN, FRAME_HELLO_LEN_SENT_MAX);
	size_t whole = 0;
	for (size_t len = 0; len <= payload.len; len++) {
		uint8_t *exact = testkit_copy(span_of(payload.p, len));
		struct frame_hello hello;
		whole += frame_parse_hello(span_of(exact, len), &hello) == ERR_OK;
		free(exact);
	}
	/* Without any, after each of the three. */
	assert_int_equal(whole, 4);
	for (size_t at = FRAME_HELLO_LEN; at < payload.len; at++) {
		for (unsigned value = 0; value < 256; value++) {
			uint8_t *exact = testkit_copy(payload);
			exact[at] = (uint8_t)value;
			struct frame_hello hello;
			if (frame_parse_hello(span_of(exact, payload.len), &hello) == ERR_OK) {
				assert_true(hello.n_replaces <= FRAME_REPLACES_MAX);
				assert_true(hello.lanes >= 1 && hello.lanes <= FRAME_LANES_MAX);
				for (size_t i = 0; i < hello.n_replaces; i++)
					assert_true(hello.replaces[i] != 0 &&
						    hello.replaces[i] != hello.stream_id);
			}
			free(exact);
		}
	}
}

static void test_random_bytes_never_lend_too_much(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		struct frame_reader *r =
			greeted_with(testkit_random() % 2 ? FRAME_ACCEPTOR : FRAME_OPENER,
				     own.capabilities | FRAME_CAN_SEQ);
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
		cmocka_unit_test(test_hostile_extensions_stay_in_their_bounds),
		cmocka_unit_test(test_random_bytes_never_lend_too_much),
	};
	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
