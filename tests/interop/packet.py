# SPDX-License-Identifier: MIT OR Apache-2.0
"""Frames and IP packets as a test wants to write and to see them: to the byte, with checksums of its own."""

import ipaddress
import struct

ICMP, UDP, ICMP6 = 1, 17, 58
MTU = 1400


def frame(packet):
    return struct.pack(">I", len(packet)) + packet


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(src, dst, proto, body, ttl=64):
    """Body's checksum field, if it has one, is the caller's."""
    src, dst = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if src.version == 6:
        return struct.pack(">IHBB", 6 << 28, len(body), proto, ttl) + src.packed + dst.packed + body
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, ttl, proto, 0) + src.packed + dst.packed
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + body


def pseudo(src, dst, proto, length):
    src, dst = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    if src.version == 6:
        return src.packed + dst.packed + struct.pack(">II", length, proto)
    return src.packed + dst.packed + struct.pack(">BBH", 0, proto, length)


def echo(src, dst, payload=b"", ident=1, seq=1, reply=False, ttl=64):
    """An ICMP echo request or reply, IPv4 or IPv6."""
    v6 = ipaddress.ip_address(src).version == 6
    kind = (129 if reply else 128) if v6 else (0 if reply else 8)
    body = struct.pack(">BBHHH", kind, 0, 0, ident, seq) + payload
    above = pseudo(src, dst, ICMP6, len(body)) if v6 else b""
    body = body[:2] + struct.pack(">H", checksum(above + body)) + body[4:]
    return ip(src, dst, ICMP6 if v6 else ICMP, body, ttl)


def udp(src, dst, sport, dport, payload):
    length = 8 + len(payload)
    body = struct.pack(">HHHH", sport, dport, length, 0) + payload
    total = checksum(pseudo(src, dst, UDP, length) + body) or 0xFFFF
    return ip(src, dst, UDP, body[:6] + struct.pack(">H", total) + body[8:])


def echo_payload_max(address, mtu=MTU):
    return mtu - (48 if ipaddress.ip_address(address).version == 6 else 28)
