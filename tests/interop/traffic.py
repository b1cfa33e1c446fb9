#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Traffic of a real kernel, run inside a namespace: traffic.py udp|gso|serve|fetch ADDRESS ..."""

import hashlib
import socket
import sys

TIMEOUT = 10  # seconds
UDP_SEGMENT = 103  # linux/udp.h
CHUNK = bytes(range(256)) * 256


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def udp(address, *sizes):
    """Datagrams to the echo port, one after the other."""
    with socket.socket(family(address), socket.SOCK_DGRAM) as s:
        s.settimeout(TIMEOUT)
        s.connect((address, 7))
        for size in map(int, sizes):
            sent = bytes(i & 255 for i in range(size))
            s.send(sent)
            if s.recv(65536) != sent:
                sys.exit(f"{size} bytes came back changed")


def gso(address, size, count):
    """One send of many datagrams, which the kernel hands to the device in one piece."""
    size, count = int(size), int(count)
    with socket.socket(family(address), socket.SOCK_DGRAM) as s:
        s.settimeout(TIMEOUT)
        s.connect((address, 7))
        s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        sent = [bytes([n]) * size for n in range(count)]
        s.send(b"".join(sent))
        got = [s.recv(65536) for _ in range(count)]
        if sorted(got) != sent:
            sys.exit("other datagrams came back than were sent")


def serve(address, port, total):
    """Takes one connection, reads TOTAL bytes, sends TOTAL bytes; prints what it read."""
    with socket.create_server((address, int(port)), family=family(address)) as server:
        print("ready", flush=True)
        server.settimeout(TIMEOUT)
        s, _ = server.accept()
        with s:
            both(s, int(total))


def fetch(address, port, total):
    with socket.create_connection((address, int(port)), TIMEOUT) as s:
        both(s, int(total), first=True)


def both(s, total, first=False):
    s.settimeout(TIMEOUT)
    for writes in (first, not first):
        digest, left = hashlib.sha256(), total
        while left > 0:
            if writes:
                part = CHUNK[:left]
                s.sendall(part)
            elif not (part := s.recv(min(left, 1 << 20))):
                sys.exit(f"the connection ended {left} bytes early")
            digest.update(part)
            left -= len(part)
        print(digest.hexdigest(), flush=True)


if __name__ == "__main__":
    {"udp": udp, "gso": gso, "serve": serve, "fetch": fetch}[sys.argv[1]](*sys.argv[2:])
