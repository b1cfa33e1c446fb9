/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* key_hint.c - see key_hint.h */
#include "daemon/key_hint.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A file's mode is checked before its content. Nobody should be told to change the mode of a file
 * that is no key at all. */
static bool is_key(const char *path)
{
	static const unsigned char start[] = {0x08, 0x01, 0x12, 0x40}; /* PrivateKey, Ed25519 */
	unsigned char found[sizeof(start)];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return true; /* then it was its mode that was seen */
	ssize_t n = read(fd, found, sizeof(found));
	close(fd);
	return n == (ssize_t)sizeof(found) && memcmp(found, start, sizeof(start)) == 0;
}

const char *key_hint(enum err e, const char *path, char buf[KEY_HINT_MAX])
{
	if (e == ERR_NOT_FOUND)
		snprintf(buf, KEY_HINT_MAX, "make one: runnel keygen %s", path);
	else if (e == ERR_EXPOSED && is_key(path))
		snprintf(buf, KEY_HINT_MAX, "chmod 600 %s", path);
	else if (e == ERR_PERMISSION)
		snprintf(buf, KEY_HINT_MAX, "run as root");
	else
		snprintf(buf, KEY_HINT_MAX,
			 "%s is no key of runnel keygen: name the right file, or make one", path);
	return buf;
}
