/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * settings.h - the table of all settings
 *
 * One row says everything about a setting: where it stands in the file and in struct config, its
 * type, bounds, default and help. The loader, its messages and runnel.yaml(5) are all made from the
 * rows.
 */
#pragma once

#include "vpn/config/arena.h"
#include "vpn/config/config.h"

/* The maps of the file. */
enum setting_section {
	SECTION_TOP,
	SECTION_INTERFACE,
	SECTION_QUEUE,
	SECTION_TCP,
	SECTION_DISPATCH,
	SECTION_HEALTH,
	SECTION_BREAKER,
	SECTION_RETRY,
	SECTION_PEER, /* one item of peers */
	SECTION_COUNT
};

/* What is written in the file -> the type of the member. min and max bound a number's value and a
 * text's length in bytes. */
enum setting_type {
	SETTING_BOOL,       /* true, false -> bool */
	SETTING_NUMBER,     /* 1400 -> uint32_t */
	SETTING_DURATION,   /* 200ms, 15s, 1m, 2h -> nsec_t */
	SETTING_SIZE,       /* 4096B, 128KiB, 1MiB, 1GiB -> uint64_t */
	SETTING_WORD,       /* one of `words` -> an enum, by place */
	SETTING_PATH,       /* absolute -> const char * */
	SETTING_NAME,       /* letters, digits, '.', '_', '-' -> const char * */
	SETTING_PEER_ID,    /* -> struct peer_id */
	SETTING_LISTEN,     /* list of multiaddrs to listen on -> struct config_addrs */
	SETTING_DIAL,       /* list of multiaddrs to dial -> struct config_addrs */
	SETTING_IP_OWN,     /* list of addresses with a prefix length -> struct config_prefixes */
	SETTING_IP_ALLOWED, /* list of prefixes -> struct config_prefixes */
	SETTING_SECTION,    /* a map, `inner` -> its members lie in the struct of the outer one */
	SETTING_PEERS,      /* list of maps, `inner` -> struct config_peers */
};

struct setting {
	enum setting_section section;
	const char *name;
	enum setting_type type;
	const char *initial; /* the default, as it would be written; NULL: must be given */
	uint64_t min;
	uint64_t max;
	const char *unit;         /* of a SETTING_NUMBER, in messages */
	const char *const *words; /* of a SETTING_WORD, NULL at the end */
	enum setting_section inner;
	size_t offset; /* bytes from the start of struct config or, in SECTION_PEER, config_peer */
	const char *help; /* one line, as in "NAME: help" */
};

extern const struct setting settings[];
extern const size_t settings_len;

/* In the default of `control`, what stands for the interface's name. */
#define SETTING_INTERFACE_NAME "<interface.name>"

enum {
	SETTING_TEXT_LEN = 128, /* bytes of a short text about a setting, with its zero */
};

/* The setting of that name; NULL if there is none. */
const struct setting *setting_find(enum setting_section section, struct span name);

/* What may be written, for people: "576 to 65535 bytes", "true or false". Returns buf. */
const char *setting_allowed(const struct setting *setting, char buf[SETTING_TEXT_LEN]);

/* A value as it would be written, with the largest unit that leaves no rest: 15s, 128KiB. Returns
 * buf. */
const char *setting_number_format(const struct setting *setting, uint64_t value,
				  char buf[SETTING_TEXT_LEN]);

/*
 * Read a scalar of type BOOL to PEER_ID into *member (whose type goes with the setting's). Texts
 * are copied to the arena. On failure *ret_why says what is wrong, a fragment that follows the
 * quoted value: "is too small", "has no unit"; static memory. ERR_RANGE, ERR_MALFORMED,
 * ERR_NO_MEMORY.
 */
MUST_USE enum err setting_parse(const struct setting *setting, struct span text,
				struct arena *arena, void *member, const char **ret_why);
