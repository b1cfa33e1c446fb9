/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* checksum.c - see checksum.h; sums 32-bit words into 64 bits, which 16 GiB could not overflow */
#include "vpn/packet/checksum.h"

#include <endian.h>

uint64_t checksum_add(uint64_t sum, struct span bytes)
{
	const uint8_t *p = bytes.p;
	size_t len = bytes.len;
	/* The sum does not depend on the byte order (RFC 1071 2 B): add as the machine has it, swap
	 * once. */
	uint64_t own = 0;
	for (; len >= 8; p += 8, len -= 8) {
		uint32_t word[2];
		memcpy(word, p, sizeof(word));
		own += (uint64_t)word[0] + word[1];
	}
	for (; len >= 2; p += 2, len -= 2) {
		uint16_t half;
		memcpy(&half, p, sizeof(half));
		own += half;
	}
	if (len == 1) {
		/* As if a zero followed. */
		uint8_t last[2] = {p[0], 0};
		uint16_t half;
		memcpy(&half, last, sizeof(half));
		own += half;
	}
	return sum + be16toh(checksum_fold(own));
}

uint64_t checksum_add_pseudo(uint64_t sum, const struct ip_addr *source,
			     const struct ip_addr *destination, uint8_t protocol, uint32_t len)
{
	sum = checksum_add(sum, ip_addr_view(source));
	sum = checksum_add(sum, ip_addr_view(destination));
	return sum + protocol + len;
}

uint16_t checksum_fold(uint64_t sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t checksum_finish(uint64_t sum)
{
	return (uint16_t)~checksum_fold(sum);
}
