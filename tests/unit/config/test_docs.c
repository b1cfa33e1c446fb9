/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The manual says what the table of settings says, and the example works. After a change of the
 * table, RUNNEL_UPDATE_DOCS=1 in the environment writes the settings' part of the manual anew.
 */
#include "config_fixture.h"

#include "vpn/config/settings.h"

#define BEGIN "; settings: made from src/vpn/config/settings.c, see tests/unit/config/test_docs.c\n"
#define END   "; settings: end\n"

static const char *docs_path(const char *name, char buf[4096])
{
	const char *vectors = getenv("RUNNEL_TEST_VECTORS");
	snprintf(buf, 4096, "%s/../../docs/%s", vectors != NULL ? vectors : "tests/vectors", name);
	return buf;
}

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "r");
	if (f == NULL)
		fail_msg("%s: cannot be opened", path);
	char *text = calloc(1, 1 << 20);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static bool is_number(const struct setting *s)
{
	return s->type == SETTING_NUMBER || s->type == SETTING_DURATION || s->type == SETTING_SIZE;
}

static void put_setting(FILE *out, const struct setting *s)
{
	char allowed[SETTING_TEXT_LEN];
	fprintf(out, "*%s*", s->name);
	if (is_number(s) || s->type == SETTING_BOOL || s->type == SETTING_WORD)
		fprintf(out, ": %s", setting_allowed(s, allowed));
	else if (s->type == SETTING_LISTEN || s->type == SETTING_DIAL ||
		 s->type == SETTING_IP_OWN || s->type == SETTING_IP_ALLOWED)
		fprintf(out, ": a list");
	if (s->type == SETTING_SECTION || s->type == SETTING_PEERS)
		fprintf(out, " (see below)");
	else if (s->initial == NULL)
		fprintf(out, " (required)");
	else if (s->initial[0] != '\0')
		fprintf(out, " (default: %s)", s->initial);
	fprintf(out, "\n\t%s\n\n", s->help);
}

static char *make_settings_text(void)
{
	static const char *const titles[SECTION_COUNT] = {
		[SECTION_TOP] = "SETTINGS",
		[SECTION_INTERFACE] = "SETTINGS OF THE INTERFACE",
		[SECTION_QUEUE] = "SETTINGS OF QUEUES",
		[SECTION_TCP] = "SETTINGS OF TCP",
		[SECTION_DISPATCH] = "SETTINGS OF DISPATCH",
		[SECTION_HEALTH] = "SETTINGS OF HEALTH",
		[SECTION_BREAKER] = "SETTINGS OF THE BREAKER",
		[SECTION_RETRY] = "SETTINGS OF RETRY",
		[SECTION_PEER] = "SETTINGS OF A PEER",
	};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	assert_non_null(out);
	for (unsigned section = 0; section < SECTION_COUNT; section++) {
		assert_non_null(titles[section]);
		fprintf(out, "# %s\n\n", titles[section]);
		for (size_t i = 0; i < settings_len; i++) {
			if (settings[i].section == section)
				put_setting(out, &settings[i]);
		}
	}
	fclose(out);
	return text;
}

static void test_manual_says_what_the_table_says(void **state)
{
	(void)state;
	char path[4096];
	docs_path("man/runnel.yaml.5.scd", path);
	char *manual = read_text(path);
	char *expected = make_settings_text();
	char *begin = strstr(manual, BEGIN);
	char *end = strstr(manual, END);
	assert_non_null(begin);
	assert_non_null(end);
	begin += strlen(BEGIN);
	if (getenv("RUNNEL_UPDATE_DOCS") != NULL) {
		FILE *f = fopen(path, "w");
		assert_non_null(f);
		fprintf(f, "%.*s\n%s%s", (int)(begin - manual), manual, expected, end);
		fclose(f);
	} else {
		assert_int_equal(*begin, '\n');
		assert_span_equal(span_of(begin + 1, (size_t)(end - begin) - 1),
				  span_str(expected));
	}
	free(expected);
	free(manual);
}

static void test_example_loads(void **state)
{
	(void)state;
	char path[4096];
	struct config *config = NULL;
	enum err e = config_load(docs_path("example.yaml", path), &config, &errors);
	for (size_t i = 0; e != ERR_OK && i < errors.len; i++)
		print_error("%s\n", errors.items[i].text);
	assert_ok(e);
	assert_int_equal(config->peers.len, 2);
	config_free(config);
}

/* Drop the '#' of each line that it makes a setting. */
static void uncomment(char *text)
{
	char *to = text;
	for (const char *from = text; *from != '\0';) {
		const char *line_end = strchr(from, '\n');
		size_t indent = strspn(from, " ");
		memmove(to, from, indent);
		to += indent;
		from += indent;
		if (from[0] == '#' && from[1] != ' ')
			from++;
		else if (from[0] == '#' && from[1] == ' ' && from[2] == ' ')
			from++;
		size_t n = (size_t)(line_end - from) + 1;
		memmove(to, from, n);
		to += n;
		from += n;
	}
	*to = '\0';
}

static uint64_t value_of(const struct config *config, const struct setting *s)
{
	const void *member = (const uint8_t *)config + s->offset;
	switch (s->type) {
	case SETTING_BOOL:
		return *(const bool *)member;
	case SETTING_NUMBER:
		return *(const uint32_t *)member;
	default:
		return *(const uint64_t *)member;
	}
}

static void test_example_comments_show_the_defaults(void **state)
{
	(void)state;
	char path[4096];
	char *text = read_text(docs_path("example.yaml", path));
	struct config *plain = parse_ok(text);
	uncomment(text);
	/* Each setting is in the example, be it as a comment. */
	for (size_t i = 0; i < settings_len; i++) {
		char key[64];
		snprintf(key, sizeof(key), "%s:", settings[i].name);
		if (strstr(text, key) == NULL)
			fail_msg("%s is not in the example", key);
	}
	struct config *full = parse_ok(text);
	for (size_t i = 0; i < settings_len; i++) {
		const struct setting *s = &settings[i];
		bool has_value = is_number(s) || s->type == SETTING_BOOL;
		if (has_value && s->section != SECTION_PEER &&
		    value_of(full, s) != value_of(plain, s))
			fail_msg("%s is not the default in the example", s->name);
	}
	assert_string_equal(full->key, plain->key);
	assert_int_equal(full->listen.len, plain->listen.len);
	for (size_t i = 0; i < full->listen.len; i++)
		assert_true(multiaddr_equal(&full->listen.items[i], &plain->listen.items[i]));
	assert_string_equal(full->interface.name, plain->interface.name);
	assert_string_equal(full->control, plain->control);
	assert_int_equal(full->log_level, plain->log_level);
	assert_string_equal(full->tcp.congestion, plain->tcp.congestion);
	assert_int_equal(full->peers.items[1].protocol, plain->peers.items[1].protocol);
	config_free(plain);
	config_free(full);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manual_says_what_the_table_says),
		cmocka_unit_test(test_example_loads),
		cmocka_unit_test(test_example_comments_show_the_defaults),
	};
	return cmocka_run_group_tests_name("docs", tests, NULL, NULL);
}
