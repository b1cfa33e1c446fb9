/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* control_client.c - see control_client.h */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/control_client.h"

enum {
	ANSWER_LEN_MAX = 64 * 1024 * 1024, /* bytes; 10,000 peers are 6 MB */
	ANSWER_STEP = 64 * 1024,           /* bytes read at once */
	ASK_TIMEOUT_SEC = 20,              /* above the server's own CONTROL_TIMEOUT */
};

static enum err connect_to(const char *path, int *ret_fd)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	if (strlen(path) >= sizeof(at.sun_path))
		return ERR_TOO_LONG;
	memcpy(at.sun_path, path, strlen(path));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_from_errno(errno);
	struct timeval timeout = {.tv_sec = ASK_TIMEOUT_SEC};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
		enum err e = err_from_errno(errno);
		close(fd);
		return e;
	}
	*ret_fd = fd;
	return ERR_OK;
}

static enum err send_line(int fd, const char *text)
{
	struct iovec iov[] = {
		{.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)},
		{.iov_base = (void *)(uintptr_t) "\n", .iov_len = 1},
	};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	if (n < 0)
		return err_from_errno(errno);
	return n == (ssize_t)(iov[0].iov_len + 1) ? ERR_OK : ERR_SYSTEM;
}

/* All that comes until the server closes. */
static enum err read_answer(int fd, char **ret_answer)
{
	char *all = NULL;
	size_t len = 0;
	for (;;) {
		char *more = len < ANSWER_LEN_MAX ? realloc(all, len + ANSWER_STEP + 1) : NULL;
		if (more == NULL) {
			free(all);
			return ERR_NO_MEMORY;
		}
		all = more;
		ssize_t n = recv(fd, all + len, ANSWER_STEP, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			enum err e = n == 0            ? ERR_EOF
				     : errno == EAGAIN ? ERR_TIMEOUT
						       : err_from_errno(errno);
			if (n == 0 && len > 0)
				break;
			free(all);
			return e;
		}
		len += (size_t)n;
	}
	all[len] = '\0';
	*ret_answer = all;
	return ERR_OK;
}

enum err control_ask(const char *path, const char *request, char **ret_answer)
{
	int fd;
	enum err e = connect_to(path, &fd);
	if (e != ERR_OK)
		return e;
	e = send_line(fd, request);
	if (e == ERR_OK)
		e = read_answer(fd, ret_answer);
	close(fd);
	return e;
}
