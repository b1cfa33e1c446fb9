/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* tun_steering.c - see tun_steering.h */
#include "vpn/network/tun_steering.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/util.h"

/* Instructions by the name that the kernel's documents have for them. A load past the end of the
 * packet ends the program with 0. */
#define OP(op, dst, src, off_, imm_)                                                           \
	{                                                                                      \
		.code = (op), .dst_reg = (dst), .src_reg = (src), .off = (off_), .imm = (imm_) \
	}
#define LOAD(size, at)         OP(BPF_LD | BPF_ABS | (size), 0, 0, 0, at)
#define LOAD_AT(size, reg)     OP(BPF_LD | BPF_IND | (size), 0, reg, 0, 0)
#define MOVE(dst, src)         OP(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define SET(dst, value)        OP(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value)
#define WITH(op, dst, value)   OP(BPF_ALU64 | (op) | BPF_K, dst, 0, 0, value)
#define WITH_REG(op, dst, src) OP(BPF_ALU64 | (op) | BPF_X, dst, src, 0, 0)
#define IF(op, reg, value, n)  OP(BPF_JMP | (op) | BPF_K, reg, 0, n, value) /* skip n */
#define SKIP(n)                OP(BPF_JMP | BPF_JA, 0, 0, n, 0)
#define END                    OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

enum {
	R0 = BPF_REG_0, /* what was loaded, and the result */
	R1 = BPF_REG_1, /* the packet, at first */
	R6 = BPF_REG_6, /* the packet, where loads look for it */
	HASH = BPF_REG_7,
	PORTS = BPF_REG_8,
	AT = BPF_REG_9,          /* of the transport header */
	MIX = 0x1e3779b1,        /* odd, its bits well spread */
	MORE_OR_OFFSET = 0x3fff, /* of IPv4's flags and fragment offset */
};

static const struct bpf_insn program[] = {
	MOVE(R6, R1),
	SET(HASH, 0),
	SET(PORTS, 0),
	LOAD(BPF_B, 0),
	MOVE(AT, R0),
	WITH(BPF_RSH, R0, 4),
	IF(BPF_JEQ, R0, 6, 10),
	/* IPv4 */
	LOAD(BPF_W, 16),
	MOVE(HASH, R0),
	LOAD(BPF_H, 6),
	IF(BPF_JSET, R0, MORE_OR_OFFSET, 23),
	WITH(BPF_AND, AT, 15),
	WITH(BPF_LSH, AT, 2),
	LOAD(BPF_B, 9),
	IF(BPF_JEQ, R0, IPPROTO_TCP, 17),
	IF(BPF_JEQ, R0, IPPROTO_UDP, 16),
	SKIP(17),
	/* IPv6; of what has more headers, the address alone */
	LOAD(BPF_W, 24),
	MOVE(HASH, R0),
	WITH(BPF_MUL, HASH, MIX),
	LOAD(BPF_W, 28),
	WITH_REG(BPF_XOR, HASH, R0),
	WITH(BPF_MUL, HASH, MIX),
	LOAD(BPF_W, 32),
	WITH_REG(BPF_XOR, HASH, R0),
	WITH(BPF_MUL, HASH, MIX),
	LOAD(BPF_W, 36),
	WITH_REG(BPF_XOR, HASH, R0),
	SET(AT, 40),
	LOAD(BPF_B, 6),
	IF(BPF_JEQ, R0, IPPROTO_TCP, 1),
	IF(BPF_JNE, R0, IPPROTO_UDP, 2),
	/* ports */
	LOAD_AT(BPF_W, AT),
	MOVE(PORTS, R0),
	/* mix */
	WITH(BPF_MUL, HASH, MIX),
	WITH_REG(BPF_ADD, HASH, PORTS),
	WITH(BPF_MUL, HASH, MIX),
	MOVE(R0, HASH),
	WITH(BPF_RSH, R0, 29),
	WITH_REG(BPF_XOR, HASH, R0),
	WITH(BPF_MUL, HASH, MIX),
	MOVE(R0, HASH),
	WITH(BPF_RSH, R0, 33),
	END,
};

enum err tun_steer(int fd)
{
	union bpf_attr attr;
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
	attr.insns = (uint64_t)(uintptr_t)program;
	attr.insn_cnt = ARRAY_LEN(program);
	attr.license = (uint64_t)(uintptr_t) "Dual MIT/GPL";
	int prog = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (prog < 0)
		return err_from_errno(errno);
	enum err e = ioctl(fd, TUNSETSTEERINGEBPF, &prog) == 0 ? ERR_OK : err_from_errno(errno);
	close(prog); /* the device holds it */
	return e;
}
