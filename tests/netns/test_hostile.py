#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Strangers and peers that mean harm, and faults that a node must outlive.

Strangers are sockets in the attacker's namespace. A peer that is known and hostile is attacker.c:
it holds the key of a peer of the configuration, shakes hands, and then does as it is told. A
bystander pings through the VPN meanwhile: what an attacker does costs the attacker.
"""
import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import node
import runner
from lab import LabError, run, wait_until

TICKS = os.sysconf("SC_CLK_TCK")
MSS = b"\x13/multistream/1.0.0\n\x07/noise\n"
PAGE = os.sysconf("SC_PAGE_SIZE")


# --- looking at a process

def runnel_pid(one):
    """The node itself: `ip netns exec` and setpriv became it."""
    return one.process.pid


def fds(one):
    return len(os.listdir(f"/proc/{runnel_pid(one)}/fd"))


def rss(one):
    with open(f"/proc/{runnel_pid(one)}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE


def cpu_s(one):
    with open(f"/proc/{runnel_pid(one)}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def connections(one):
    return one.status()["connections"]


# --- nodes that are not started well

def test_address_in_use_ends_the_start_and_not_with_a_crash(lab):
    a = node.Node(lab.host("a"), 1)
    busy = a.host.spawn("python3", "-c", "import socket, time; s = socket.socket(); "
                        f"s.bind(('0.0.0.0', {node.PORT})); s.listen(); "
                        "print('busy', flush=True); time.sleep(100)")
    wait_until(lambda: "busy" in busy.output(), 10, "the port to be taken")
    a.write_config()
    process = a.host.spawn(node.binary(), "up", "-c", a.config_path)
    assert process.wait() == 1, process.output()
    assert "address is in use" in process.output()
    assert process.sanitizer_report() == ""
    assert a.host.run("ip", "link", "show", "runnel0", check=False).returncode != 0


# --- nodes that do not agree

def test_peer_that_refuses_us_is_not_dialled_without_pause(lab):
    """b does not know a: the handshake succeeds, then b closes. a must not try again at once."""
    a, b = node.Node(lab.host("a"), 1), node.Node(lab.host("b"), 2)
    a.add_peer(b)
    with node.up([a, b], connected=False):
        wait_until(lambda: connections(b)["refused_gated"] > 0, 10, "the first refusal")
        before, spent = connections(b)["accepted"], cpu_s(a)
        time.sleep(5)
        assert connections(b)["accepted"] - before <= 10, connections(b)
        assert cpu_s(a) - spent < 1


if __name__ == "__main__":
    runner.main(globals())
