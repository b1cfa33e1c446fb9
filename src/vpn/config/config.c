/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* config.c - see config.h. Bytes -> tree (node.c) -> values (config_read.c) -> relations
 * (config_check.c). */
#include "vpn/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "vpn/config/arena.h"
#include "vpn/config/config_read.h"

/* The tree is dropped as soon as the configuration stands. */
static void fill(struct config *config, struct span text, struct faults *faults)
{
	struct arena *arena = arena_new();
	struct node *root = NULL;
	if (arena == NULL) {
		fault_add(faults, ERR_NO_MEMORY, (struct mark){0}, "%s", err_text(ERR_NO_MEMORY));
		return;
	}
	if (node_parse(text, arena, faults, &root) == ERR_OK) {
		config_read(config, root, faults);
		config_check(config, root, faults);
	}
	arena_free(arena);
}

enum err config_parse(struct span text, const char *name, struct config **ret_config,
		      struct config_errors *errors)
{
	struct faults faults = faults_of(name, errors);
	if (text.len > CONFIG_LEN_MAX) {
		fault_add(&faults, ERR_TOO_LONG, (struct mark){0},
			  "longer than %d MiB, which is no configuration",
			  CONFIG_LEN_MAX / (1024 * 1024));
		return faults.err;
	}
	struct config *config = calloc(1, sizeof(*config));
	if (config != NULL)
		config->arena = arena_new();
	if (config == NULL || config->arena == NULL)
		fault_add(&faults, ERR_NO_MEMORY, (struct mark){0}, "%s", err_text(ERR_NO_MEMORY));
	else
		fill(config, text, &faults);

	if (faults.err != ERR_OK) {
		faults_sort(&faults);
		config_free(config);
		return faults.err;
	}
	*ret_config = config;
	return ERR_OK;
}

/* Up to `cap` bytes; short only at the end of the file. */
static enum err read_all(int fd, uint8_t *buf, size_t cap, size_t *ret_len)
{
	size_t len = 0;
	while (len < cap) {
		ssize_t n = read(fd, buf + len, cap - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_from_errno(errno);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return ERR_OK;
}

enum err config_load(const char *path, struct config **ret_config, struct config_errors *errors)
{
	enum {
		CAP = CONFIG_LEN_MAX + 1, /* one more byte tells that a file is too long */
	};
	struct faults faults = faults_of(path, errors);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		fault_add(&faults, err_from_errno(errno), (struct mark){0}, "cannot be opened: %s",
			  strerror(errno));
		return faults.err;
	}
	uint8_t *buf = malloc(CAP);
	size_t len = 0;
	enum err e = buf == NULL ? ERR_NO_MEMORY : read_all(fd, buf, CAP, &len);
	if (e != ERR_OK)
		fault_add(&faults, e, (struct mark){0}, "cannot be read: %s", strerror(errno));
	else
		e = config_parse(span_of(buf, len), path, ret_config, errors);
	close(fd);
	free(buf);
	return e;
}

struct config *config_free(struct config *config)
{
	if (config == NULL)
		return NULL;
	arena_free(config->arena);
	free(config);
	return NULL;
}
