/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tcp_info.c - the kernel's numbers of a TCP connection
 *
 * A file of its own because glibc's netinet/tcp.h, which uv.h includes, has an old struct tcp_info
 * and does not bear the kernel's header beside it.
 */
#include "loop/tcp_info.h"

#include <errno.h>
#include <linux/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

enum err tcp_info_read(int fd, bool dialled, struct tcp_stats *ret)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
		return err_from_errno(errno);
	if (len < offsetof(struct tcp_info, tcpi_notsent_bytes) + sizeof(info.tcpi_notsent_bytes))
		return ERR_UNSUPPORTED;
	/* The dialling side's count has its SYN in it. */
	uint64_t syn = dialled && info.tcpi_bytes_acked > 0 ? 1 : 0;
	*ret = (struct tcp_stats){
		.acked_bytes = info.tcpi_bytes_acked - syn,
		.unacked_segs = info.tcpi_unacked,
		.notsent_bytes = info.tcpi_notsent_bytes,
		.rtt = info.tcpi_rtt * NSEC_PER_USEC,
	};
	return ERR_OK;
}
