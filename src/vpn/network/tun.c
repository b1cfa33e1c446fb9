/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * tun.c - see tun.h
 *
 * First an exclusive TUNSETIFF: it makes the device or fails with EBUSY when the name is taken,
 * with no gap in which another process could make it. Only then we look at what has the name, and
 * attach to it if it is a TUN that nobody holds. For a single-queue device the kernel refuses
 * a second holder by itself; to a multi-queue one it would add us, so there we ask for the
 * number of queues first. (Two daemons that take over one leftover multi-queue device in the same
 * instant could both succeed; the count after the attachment tells, and the later one yields.)
 */
#include "vpn/network/tun.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static_assert(NETLINK_NAME_LEN == IFNAMSIZ, "the kernel's length of a name");

#define TUN_PATH "/dev/net/tun"

static bool is_name_char(char c)
{
	return c > ' ' && c < 0x7f && strchr("/:%", c) == NULL;
}

enum err tun_name_check(const char *name, struct iface_error *why)
{
	size_t len = strnlen(name, NETLINK_NAME_LEN);
	if (len == 0)
		return iface_error_set(why, ERR_RANGE, "the device has no name");
	if (len >= NETLINK_NAME_LEN)
		return iface_error_set(why, ERR_RANGE, "a device's name has at most %d characters",
				       NETLINK_NAME_LEN - 1);
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return iface_error_set(why, ERR_RANGE, "'%s' cannot name a device", name);
	for (size_t i = 0; i < len; i++)
		if (!is_name_char(name[i]))
			return iface_error_set(why, ERR_RANGE,
					       "a device's name is of printable characters without "
					       "space, '/', ':' and '%%' (character %zu is not)",
					       i + 1);
	return ERR_OK;
}

static enum err open_node(int *ret_fd, struct iface_error *why)
{
	int fd = open(TUN_PATH, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0) {
		*ret_fd = fd;
		return ERR_OK;
	}
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return iface_error_set(why, ERR_NOT_FOUND,
				       "no " TUN_PATH ": load the kernel module 'tun', or give the "
				       "container this device");
	case EPERM: /* the device policy of a container or a service */
	case EACCES:
		return iface_error_set(why, ERR_PERMISSION, "may not open " TUN_PATH);
	default:
		return iface_error_errno(why, errno, "open " TUN_PATH);
	}
}

static int set_iff(int fd, const struct tun_conf *conf, unsigned more_flags)
{
	struct ifreq req = {0};
	unsigned flags = IFF_TUN | IFF_NO_PI | more_flags;
	if (conf->multi_queue)
		flags |= IFF_MULTI_QUEUE;
	if (conf->vnet_hdr)
		flags |= IFF_VNET_HDR;
	memcpy(req.ifr_name, conf->name, strlen(conf->name));
	req.ifr_flags = (short)flags;
	return ioctl(fd, TUNSETIFF, &req) == 0 ? 0 : errno;
}

static enum err refuse(struct iface_error *why, int errnum, const char *name)
{
	switch (errnum) {
	case EPERM:
	case EACCES:
		return iface_error_set(why, ERR_PERMISSION,
				       "may not make the TUN device %s: needs CAP_NET_ADMIN", name);
	case EBUSY:
		return iface_error_set(why, ERR_BUSY, "another process holds the TUN device %s",
				       name);
	case EINVAL:
		return iface_error_set(why, ERR_DUPLICATE, "%s is a device of another shape", name);
	default:
		return iface_error_errno(why, errnum, "make the TUN device %s", name);
	}
}

static enum err check_leftover(const struct netlink_link *link, const struct tun_conf *conf,
			       struct iface_error *why)
{
	if (strcmp(link->kind, "tun") != 0 || link->tun_is_tap)
		return iface_error_set(why, ERR_DUPLICATE, "a device %s exists that is no TUN (%s)",
				       conf->name,
				       link->tun_is_tap        ? "tap"
				       : link->kind[0] != '\0' ? link->kind
							       : "hardware");
	if (link->tun_queues > 0)
		return refuse(why, EBUSY, conf->name);
	if (link->tun_multi_queue != conf->multi_queue)
		return iface_error_set(why, ERR_DUPLICATE, "a TUN %s exists %s multi-queue",
				       conf->name, link->tun_multi_queue ? "with" : "without");
	return ERR_OK;
}

/* The name is taken: attach to a TUN that nobody holds. */
static enum err take_over(struct netlink *nl, int fd, const struct tun_conf *conf,
			  struct iface_error *why)
{
	struct netlink_link link;
	enum err e = netlink_link_get(nl, conf->name, &link, why);
	if (e == ERR_NOT_FOUND) /* its holder closed it just now: whoever comes first has it */
		return refuse(why, EBUSY, conf->name);
	if (e == ERR_OK)
		e = check_leftover(&link, conf, why);
	if (e != ERR_OK)
		return e;
	int errnum = set_iff(fd, conf, 0);
	if (errnum != 0)
		return refuse(why, errnum, conf->name);
	if (!conf->multi_queue)
		return ERR_OK;
	e = netlink_link_get(nl, conf->name, &link, why);
	return e == ERR_OK && link.tun_queues > 1 ? refuse(why, EBUSY, conf->name) : e;
}

enum err tun_open(struct netlink *nl, const struct tun_conf *conf, int *ret_fd,
		  struct iface_error *why)
{
	int fd = -1;
	enum err e = tun_name_check(conf->name, why);
	if (e == ERR_OK)
		e = open_node(&fd, why);
	if (e != ERR_OK)
		return e;
	int errnum = set_iff(fd, conf, IFF_TUN_EXCL);
	if (errnum == EBUSY)
		e = take_over(nl, fd, conf, why);
	else if (errnum != 0)
		e = refuse(why, errnum, conf->name);
	if (e != ERR_OK) {
		close(fd);
		return e;
	}
	*ret_fd = fd;
	return ERR_OK;
}

enum err tun_open_queue(const struct tun_conf *conf, int *ret_fd, struct iface_error *why)
{
	int fd = -1;
	if (!conf->multi_queue)
		return iface_error_set(why, ERR_BAD_STATE, "%s was not made with multi-queue",
				       conf->name);
	enum err e = tun_name_check(conf->name, why);
	if (e == ERR_OK)
		e = open_node(&fd, why);
	if (e != ERR_OK)
		return e;
	int errnum = set_iff(fd, conf, 0);
	if (errnum != 0) {
		close(fd);
		return refuse(why, errnum, conf->name);
	}
	*ret_fd = fd;
	return ERR_OK;
}
