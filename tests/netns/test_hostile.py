#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Strangers and peers that mean harm, and faults that a node must outlive.

Strangers are sockets in the attacker's namespace. A peer that is known and hostile is attacker.c:
it holds the key of a peer of the configuration, shakes hands, and then does as it is told. A
bystander pings through the VPN meanwhile: what an attacker does costs the attacker.
"""
import contextlib
import ctypes
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

import node
import runner
from lab import LabError, run, wait_until

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
CLONE_NEWNET = 0x40000000
MSS = b"\x13/multistream/1.0.0\n\x07/noise\n"
RSS_BOUND = 8 << 20     # bytes that an attack may leave: buffers that are kept for the next one

# AddressSanitizer keeps freed memory for a while: not so much that it looks like a leak.
os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + \
    ":quarantine_size_mb=1:thread_local_quarantine_size_kb=64"


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


# --- strangers

_libc = ctypes.CDLL(None, use_errno=True)


def enter(path):
    with open(path, encoding="ascii") as file:
        if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def inside(host):
    """Sockets that are made here are that host's."""
    with open("/proc/self/ns/net", encoding="ascii") as home:
        enter(f"/run/netns/{host.ns}")
        try:
            yield
        finally:
            if _libc.setns(home.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")


def add_addresses(host, count):
    """More addresses for that host; they follow each other."""
    lines = [f"addr add 198.18.0.{100 + i}/24 dev eth0" for i in range(count)]
    run(["ip", "-n", host.ns, "-batch", "-"], stdin="\n".join(lines))
    return [f"198.18.0.{100 + i}" for i in range(count)]


def knock(one, source=None):
    """A connection, on its way; close() it."""
    sock = socket.socket()
    sock.setblocking(False)
    if source is not None:
        sock.bind((source, 0))
    sock.connect_ex((one.host.addr4, node.PORT))
    return sock


def is_closed(sock):
    """Reads what is there; has the other end closed?"""
    try:
        while True:
            if not sock.recv(65536):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True


@contextlib.contextmanager
def crowd(host, one, count, sources=(None,)):
    """That many connections from the host's addresses in turn, which say nothing by themselves."""
    with inside(host):
        socks = [knock(one, sources[i % len(sources)]) for i in range(count)]
    try:
        yield socks
    finally:
        for sock in socks:
            sock.close()


# --- a peer that is known

DATA, WINDOW, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8


def frame(kind, flags, stream, length, body=b""):
    return struct.pack(">BBHII", 0, kind, flags, stream, length) + body


def data(stream, body, flags=0):
    return frame(DATA, flags, stream, len(body), body)


def token(text):
    text = text.encode() + b"\n"
    assert len(text) < 128
    return bytes([len(text)]) + text


def packet_frame(kind, payload):
    return struct.pack(">I", kind << 24 | len(payload)) + payload


def vpn_frame(payload):
    return struct.pack(">I", len(payload)) + payload


HELLO = packet_frame(1, struct.pack(">BBHII", 1, 0, 1420, 0, 65553))


def ip4(source, to, payload=b"x" * 8):
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, 17, 0,
                         socket.inet_aton(source), socket.inet_aton(to))
    total = sum(struct.unpack(">10H", header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return header[:10] + struct.pack(">H", total ^ 0xffff) + header[12:] + payload


class Mallory:
    """Holds the key of a peer of `victim`, and a connection of which it sees the plaintext."""

    def __init__(self, host, key, victim, identify):
        self.identify = identify  # what it says of itself; None: nothing
        self.process = subprocess.Popen(
            host.command([os.environ["RUNNEL_ATTACKER"], key, victim.host.addr4, node.PORT,
                          "pipe"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.frames = []        # headers that came
        self.bytes_of = {}      # stream: what came on it
        self.is_reading = threading.Event()
        self.is_reading.set()
        self.answers_pings = True
        self.says_no = False    # to all protocols
        self.lock = threading.Lock()
        self.next_stream = 1
        threading.Thread(target=self._read, daemon=True).start()
        wait_until(lambda: self.frames or self.is_closed(), 10, "the other end to be open")

    def _take(self, count):
        got = b""
        while len(got) < count:
            self.is_reading.wait()
            more = os.read(self.process.stdout.fileno(), count - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def _read(self):
        with contextlib.suppress(EOFError, OSError, ValueError):
            while True:
                _, kind, flags, stream, length = struct.unpack(">BBHII", self._take(12))
                body = self._take(length) if kind == DATA else b""
                if len(self.frames) < 100000:
                    self.frames.append((kind, flags, stream, length))
                self._answer(kind, flags, stream, length, body)

    def _answer(self, kind, flags, stream, length, body):
        if kind == PING and flags & SYN and self.answers_pings:
            self.say(frame(PING, ACK, 0, length))
        if kind != DATA:
            return
        before = self.bytes_of.get(stream, b"")
        self.bytes_of[stream] = (before + body)[:4096]
        if self.says_no and stream % 2 == 0:
            self.say(data(stream, (b"" if before else token("/multistream/1.0.0")) + token("na")))
        elif stream % 2 == 0 and not before:  # what the victim opens
            for protocol, answer in (("/runnel/packet/1.0.0", HELLO),
                                     ("/ipfs/id/1.0.0", self.identify)):
                if token(protocol) in body and answer is not None:
                    self.say(data(stream, token("/multistream/1.0.0") + token(protocol) + answer,
                                  ACK) + frame(WINDOW, 0, stream, 1 << 30))

    def say(self, bytes_):
        """False: the connection is closed."""
        with self.lock:
            try:
                self.process.stdin.write(bytes_)
                self.process.stdin.flush()
            except (BrokenPipeError, ValueError):
                return False
        return True

    def open(self, protocol, first=b""):
        """A stream of ours, with the protocol proposed."""
        stream = self.next_stream
        self.next_stream += 2
        self.say(data(stream, token("/multistream/1.0.0") + token(protocol) + first, SYN))
        return stream

    def is_reset(self, stream):
        return any(f[1] & RST and f[2] == stream for f in self.frames)

    def is_closed(self):
        return self.process.poll() is not None

    def wait_closed(self, timeout_s=10):
        wait_until(self.is_closed, timeout_s, "the connection to be closed")
        assert self.process.returncode != 2, "was not let in"

    def close(self):
        self.is_reading.set()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()


@contextlib.contextmanager
def mallory(host, key, victim, identify):
    one = Mallory(host, key, victim, identify)
    try:
        yield one
    finally:
        one.close()


class Scene:
    """A victim, a bystander that pings through it all the time, and a peer that means harm."""

    def __init__(self, lab):
        self.victim, self.bystander = node.mesh(lab, 2, dial="later")
        self.host = lab.host("x")
        self.mallory = node.Node(self.host, 3)  # a key, and a place in the configuration
        self.victim.add_peer(self.mallory, dial=False)
        for one in (self.victim, self.bystander):
            one.config["log_level"] = "info"

    def __enter__(self):
        self.victim.start()
        self.bystander.start()
        self.victim.wait_connected(self.bystander)
        assert self.bystander.ping(self.victim)
        self.start = time.monotonic()
        self.fds, self.rss = fds(self.victim), rss(self.victim)
        self.pings = self.bystander.host.spawn("ping", "-n", "-q", "-i0.05", "-W5",
                                               self.victim.vpn4, name="ping")
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            return
        time.sleep(max(0, 2 - (time.monotonic() - self.start)))  # enough pings to judge by
        self.pings.send(signal.SIGINT)
        self.pings.wait()
        sent, got = map(int, re.search(r"(\d+) packets transmitted, (\d+) received",
                                       self.pings.output()).groups())
        assert sent > 10 and sent - got <= 1, (sent, got)  # one may be under way
        wait_until(lambda: fds(self.victim) <= self.fds, 15, "descriptors to be closed")
        assert rss(self.victim) - self.rss < RSS_BOUND, rss(self.victim) - self.rss
        node.down([self.victim, self.bystander])

    def attack(self, identify=None):
        return mallory(self.host, self.mallory.key, self.victim, identify)

    def is_attacker_connected(self):
        return self.victim.is_connected(self.mallory)

    def peer(self):
        """What the victim's status says of the attacker."""
        return next(p for p in self.victim.status()["peers"] if p["id"] == self.mallory.id)


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



# --- strangers: time

def test_strangers_that_do_not_finish_are_closed_by_the_deadline(lab):
    """Nothing, garbage, a header and no more, one byte a second: all are gone after 10 s."""
    a, x = node.Node(lab.host("a"), 1), lab.host("x")
    with node.up([a], connected=False):
        before = fds(a)
        with crowd(x, a, 4) as socks:
            wait_until(lambda: fds(a) == before + 4, 5, "them to be accepted")
            start = time.monotonic()
            garbage, _silent, header, slow = socks
            garbage.send(b"\xff" * 100) # random bytes may begin like a token of 100 bytes or more
            header.send(MSS[:20])
            wait_until(lambda: is_closed(garbage), 2, "garbage to be refused")
            sent = 0
            while fds(a) > before:
                assert time.monotonic() - start < 13, "the deadline is 10 s"
                if sent < len(MSS) - 1:
                    with contextlib.suppress(OSError):
                        slow.send(MSS[sent:sent + 1])
                    sent += 1
                time.sleep(0.5)
            assert time.monotonic() - start > 7
        counted = connections(a)
        assert counted["accepted"] == 4 and counted["failed_inbound"] == 4, counted


# --- strangers: numbers

def test_one_address_has_eight_places(lab):
    a, x = node.Node(lab.host("a"), 1), lab.host("x")
    with node.up([a], connected=False):
        before = fds(a)
        with crowd(x, a, 100) as socks:
            wait_until(lambda: connections(a)["accepted"] == 100, 10, "all to be accepted")
            assert fds(a) == before + 8
            assert connections(a)["refused_limit"] == 92
            wait_until(lambda: sum(map(is_closed, socks)) == 92, 5, "the others to be closed")
            # Thousands of refused ones leave no descriptors.
            for _ in range(30):
                with crowd(x, a, 100) as more:
                    wait_until(lambda: all(map(is_closed, more)), 5, "these to be closed")
            assert fds(a) == before + 8


def test_crowd_of_strangers_does_not_lock_a_peer_out(lab):
    """400 connections of 50 addresses hold all places that there are for them; a peer that has an
    address in the configuration, and one that has none but dials again, get in."""
    a, b, x = node.Node(lab.host("a"), 1), node.Node(lab.host("b"), 2), lab.host("x")
    a.add_peer(b)
    b.add_peer(a)
    sources = add_addresses(x, 50)
    a.start()
    before = fds(a)
    with crowd(x, a, 400, sources):
        wait_until(lambda: connections(a)["accepted"] == 400, 10, "all to be accepted")
        assert fds(a) == before + 48
        start = time.monotonic()
        b.start()
        b.wait_connected(timeout_s=5)
        assert a.ping(b)
        assert time.monotonic() - start < 8, "the crowd is gone by now: nothing was tried"
    node.down([a, b])


def test_silent_crowd_makes_room_for_a_peer_of_whom_no_address_is_known(lab):
    """Whoever has stood at the door for a second yields, long before the deadline."""
    a, b, x = node.Node(lab.host("a"), 1), node.Node(lab.host("b"), 2), lab.host("x")
    a.add_peer(b, dial=False)
    b.add_peer(a)
    sources = add_addresses(x, 50)
    a.start()
    before = fds(a)
    with crowd(x, a, 400, sources):
        wait_until(lambda: connections(a)["accepted"] == 400, 10, "all to be accepted")
        start = time.monotonic()
        b.start()
        b.wait_connected(timeout_s=5)
        assert fds(a) >= before + 40, "the crowd is gone by now: nothing was tried"
        assert time.monotonic() - start < 5
    node.down([a, b])


def test_flood_from_one_address_is_paced(lab):
    """No more than a burst and the rate of CONN_RATE_IP4_* are let in to shake hands."""
    a, x = node.Node(lab.host("a"), 1), lab.host("x")
    stranger = os.path.join(lab.directory, "stranger.key")
    run([node.binary(), "keygen", stranger])
    a.config["log_level"] = "info"
    with node.up([a], connected=False):
        start = time.monotonic()
        x.run(os.environ["RUNNEL_ATTACKER"], stranger, a.host.addr4, node.PORT, "churn", "noise",
              200, x.addr4, 1)
        took = time.monotonic() - start
        counted = connections(a)
        assert counted["refused_gated"] <= 128 + 16 * (took + 1), (took, counted)
        assert took > 3, took
        assert counted["refused_limit"] > 0


@runner.timeout(180)
def test_connections_that_are_dropped_at_each_stage_leave_nothing(lab):
    """1,000 each: TCP only; after /noise was agreed; after Noise, as nobody that is known; with the
    muxer agreed, as a peer."""
    a, x = node.Node(lab.host("a"), 1), lab.host("x")
    peer = node.Node(x, 2)
    a.add_peer(peer, dial=False)
    a.config["log_level"] = "info"
    stranger = os.path.join(lab.directory, "stranger.key")
    run([node.binary(), "keygen", stranger])
    add_addresses(x, 60)
    with node.up([a], connected=False):
        def churn(stage, key, count):
            x.run(os.environ["RUNNEL_ATTACKER"], key, a.host.addr4, node.PORT, "churn", stage,
                  count, "198.18.0.100", 60, timeout_s=60)
        for stage, key in (("select", stranger), ("open", peer.key)):
            churn(stage, key, 50)
        wait_until(lambda: not a.status()["peers"][0]["connected"], 10, "the peer to be gone")
        before = (fds(a), rss(a))
        for stage, key in (("tcp", stranger), ("select", stranger), ("noise", stranger),
                           ("open", peer.key)):
            churn(stage, key, 1000)
            wait_until(lambda: fds(a) <= before[0], 15, f"descriptors to be closed ({stage})")
            assert rss(a) - before[1] < RSS_BOUND, (stage, rss(a) - before[1])
        counted = connections(a)
        assert counted["accepted"] >= 4000 and counted["opened"] >= 1000, counted
        assert counted["opened"] == counted["closed"], counted


# --- descriptors

def test_no_descriptors_left_costs_no_cpu_and_passes(lab):
    """Neither of the listeners, for peers and for control, may spin while accept() fails."""
    a, b = node.mesh(lab, 2, dial="later")
    x = lab.host("x")
    sources = add_addresses(x, 10)
    b.start()
    resource.prlimit(runnel_pid(b), resource.RLIMIT_NOFILE, (64, 1024))
    with crowd(x, b, 80, sources), socket.socket(socket.AF_UNIX) as waits:
        wait_until(lambda: fds(b) == 64, 5, "all descriptors to be used")
        waits.connect(b.control)
        spent = cpu_s(b)
        time.sleep(4)
        assert fds(b) == 64
        assert cpu_s(b) - spent < 0.2, cpu_s(b) - spent
    a.start()
    a.wait_connected(timeout_s=15)
    assert a.ping(b)
    node.down([a, b])


# --- a known peer: the muxer

def fatal(*bytes_):
    """An attack that must cost the attacker its connection."""
    def attack(m):
        for part in bytes_:
            m.say(part)
        m.wait_closed()
    return attack


def attack_with_pings_unread(m):
    m.is_reading.clear()
    flood = frame(PING, SYN, 0, 7) * 4000
    for _ in range(2000):
        if not m.say(flood):
            break
    m.wait_closed(20)


def attack_with_streams(m):
    for i in range(20):
        if not m.say(b"".join(frame(WINDOW, SYN, 2 * (1000 * i + k) + 1, 0)
                              for k in range(1000))):
            break
    m.wait_closed()


def attack_with_churn(m):
    for i in range(20):
        if not m.say(b"".join(frame(WINDOW, SYN, s, 0) + frame(WINDOW, RST, s, 0)
                              for s in range(2000 * i + 1, 2000 * i + 2001, 2))):
            break
    m.wait_closed()


def test_sessions_that_break_the_rules_of_the_muxer_are_closed(lab):
    overflow = frame(WINDOW, 0, 1, 0xffffffff)
    with Scene(lab) as scene:
        for name, attack in {
                "length of 4 GiB": fatal(data(1, b"", SYN), frame(DATA, 0, 1, 0xffffffff)),
                "length of 4 GiB on an unknown stream": fatal(frame(DATA, 0, 7, 0xffffffff)),
                "more than the window at once": fatal(frame(DATA, SYN, 1, 262145)),
                "send window that overflows": fatal(data(1, b"", SYN), overflow, overflow),
                "version": fatal(b"\x01" + bytes(11)),
                "type": fatal(frame(9, 0, 0, 0)),
                "stream of ours": fatal(frame(WINDOW, SYN, 2, 0)),
                "pings and no reader": attack_with_pings_unread,
                "streams without end": attack_with_streams,
                "open and reset": attack_with_churn}.items():
            with scene.attack() as m:
                try:
                    attack(m)
                except LabError as fault:
                    raise LabError(f"{name}: {fault}") from None


def test_streams_that_never_agree_cost_their_places_only(lab):
    with Scene(lab) as scene, scene.attack() as m:
        for s in range(1, 2001, 2):
            m.say(data(s, token("/multistream/1.0.0")[:7], SYN))
        def resets():
            return sum(bool(f[1] & RST) and f[2] % 2 == 1 for f in m.frames)
        wait_until(lambda: resets() == 968, 10, "what is above 32 to be reset")
        wait_until(lambda: resets() == 1000, 15, "the others to be reset by the deadline")
        assert not m.is_closed()


def test_data_of_unknown_streams_goes_nowhere(lab):
    with Scene(lab) as scene, scene.attack() as m:
        for i in range(200):
            m.say(data(2 * i + 1001, os.urandom(60000)))
        m.say(frame(PING, SYN, 0, 4711))
        wait_until(lambda: (PING, ACK, 0, 4711) in m.frames, 10, "the answer behind it")
        assert scene.is_attacker_connected()


# --- a known peer: streams

def test_packet_streams_that_break_the_rules_are_reset_alone(lab):
    packet = ip4("10.7.0.3", "10.7.0.1")
    with Scene(lab) as scene, scene.attack() as m:
        bad = {
            "/runnel/packet/1.0.0": [
                os.urandom(2000), bytes(100), HELLO + HELLO, packet_frame(2, packet),
                HELLO + packet_frame(2, b""), HELLO + packet_frame(2, bytes(65535)),
                HELLO + packet_frame(3, bytes(100)), HELLO + packet_frame(4, b"short"),
                HELLO + packet_frame(5, bytes(16)), packet_frame(1, b""),
                packet_frame(1, bytes(2000)), HELLO + b"\x63\xff\xff\xff"],
            "/vpn/1.0.0": [bytes(4), b"\xff" * 8, struct.pack(">I", 65536) + bytes(70000)],
        }
        for protocol, attacks in bad.items():
            for attack in attacks:
                s = m.open(protocol, attack)
                wait_until(lambda: m.is_reset(s), 5, f"{attack[:30]} to be reset")
                assert not m.is_closed()
        assert scene.victim.status()["counters"]["streams_broken"] >= 12
        # Unknown types are passed over; the stream is of use afterwards.
        s = m.open("/runnel/packet/1.0.0", HELLO + packet_frame(99, bytes(60000))
                   + packet_frame(2, packet))
        wait_until(lambda: scene.peer()["rx_packets"] == 1, 5, "the packet behind it")
        assert not m.is_reset(s)


def test_packets_that_the_peer_may_not_send_do_not_arrive(lab):
    with Scene(lab) as scene, scene.attack() as m:
        good = ip4("10.7.0.3", "10.7.0.1")
        bad = [ip4("10.7.0.2", "10.7.0.1"), ip4("10.7.0.1", "10.7.0.1"),
               ip4("0.0.0.0", "10.7.0.1"), ip4("127.0.0.1", "10.7.0.1"),
               b"\x60" + bytes(39), b"\x60" + os.urandom(100), b"\x00", b"\x45", b"\x46" * 20,
               good[:19], os.urandom(1400), b"\x45" + b"\xff" * 30]
        for protocol, wrap in (("/runnel/packet/1.0.0", lambda p: packet_frame(2, p)),
                               ("/vpn/1.0.0", vpn_frame)):
            before = scene.peer()
            first = HELLO if protocol != "/vpn/1.0.0" else b""
            m.open(protocol, first + b"".join(map(wrap, bad)) * 50 + wrap(good))
            wait_until(lambda: scene.peer()["rx_packets"] == before["rx_packets"] + 1, 5,
                       "the good one")
            after = scene.peer()
            assert after["dropped_packets"] - before["dropped_packets"] == 50 * len(bad), after
        assert not m.is_closed()


def test_small_protocols_have_small_bounds(lab):
    """identify: 9 KB, 1,800 protocols, no end; ping: sent and not read, sent in one piece."""
    with Scene(lab) as scene, scene.attack() as m:
        s = m.open("/ipfs/id/push/1.0.0", b"\x00" * 9000)
        wait_until(lambda: m.is_reset(s), 5, "9 KB of identify to be refused")
        many = b"\x1a\x01a" * 1800
        s = m.open("/ipfs/id/push/1.0.0", b"\x98\x2a" + many)
        m.say(frame(DATA, FIN, s, 0))
        wait_until(lambda: any(f[1] & (FIN | RST) and f[2] == s for f in m.frames), 5,
                   "1,800 protocols to be read")
        for _ in range(100):
            m.open("/ipfs/id/push/1.0.0", b"\x7f")
        s = m.open("/ipfs/ping/1.0.0")
        for _ in range(1000):
            m.say(data(s, bytes(320)))  # no window for the answers beyond the first 256 KiB
        wait_until(lambda: m.is_reset(s), 5, "a ping that does not read to be reset")
        s = m.open("/ipfs/ping/1.0.0", bytes(200000))
        wait_until(lambda: m.is_reset(s), 5, "a ping of 200 KB to be reset")
        assert not m.is_closed() and scene.is_attacker_connected()


def test_identify_answers_without_end_cost_their_stream(lab):
    """9 KB; messages of no length, more than ten; a length that never comes."""
    with Scene(lab) as scene:
        for identify in (b"\xff\x7f" + bytes(9000), bytes(20) + os.urandom(8900), b"\xa8\x46" +
                         b"\x1a\x01a" * 3000):
            with scene.attack(identify) as m:
                wait_until(lambda: any(f[1] & RST for f in m.frames), 5, "it to be refused")
                time.sleep(0.2)
                assert not m.is_closed() and scene.is_attacker_connected()


def test_peer_that_speaks_nothing_does_not_fill_the_log(lab):
    with Scene(lab) as scene, scene.attack() as m:
        wait_until(lambda: scene.peer()["protocol"] is not None, 10, "the packet stream")
        m.says_no = True
        refused = m.frames.copy()
        for f in refused:
            if f[2] % 2 == 0 and f[2] > 0:
                m.say(frame(WINDOW, RST, f[2], 0))
        time.sleep(4)
        lines = scene.victim.process.output().count("speaks none of our packet protocols")
        assert lines == 1, lines
        m.says_no = False  # the victim asks again, and finds it can
        wait_until(lambda: scene.peer()["protocol"] is not None, 10, "the packet stream again")


def test_many_connections_of_one_peer_end_as_one(lab):
    """CONN_PER_PEER_MAX at a time; the newest is used; the older are closed."""
    with Scene(lab) as scene, contextlib.ExitStack() as stack:
        for _ in range(3):
            ms = []
            for _ in range(4):
                try:
                    ms.append(stack.enter_context(scene.attack()))
                except LabError:
                    break
            assert scene.peer()["connections"] <= 4
        wait_until(lambda: scene.peer()["connections"] == 1, 10, "the newest to be left")


# --- a known peer that does not read

def flood_towards(scene, seconds):
    """Packets of 1,200 bytes into the victim's TUN, for the attacker, as fast as Python can."""
    with inside(scene.victim.host), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    sock.sendto(bytes(1200), (scene.mallory.vpn4, 9))
                count += 1
            time.sleep(0.005)
    return count


def starve(scene, m, talks):
    """The victim sends all it can to one that stopped to read."""
    wait_until(lambda: scene.peer()["protocol"] == "/runnel/packet/1.0.0", 10,
               "the victim's packet stream")
    flood_towards(scene, 0.5)
    m.is_reading.clear()
    start = time.monotonic()
    queued = 0
    while scene.is_attacker_connected():
        assert time.monotonic() - start < 30, "is still connected"
        flood_towards(scene, 0.5)
        if talks:
            m.say(frame(PING, ACK, 0, 12345))  # a sign of life, to those who only listen
        queued = max(queued, scene.peer()["queued_packets"])
    peer = scene.peer()
    assert peer["dropped_packets"] > 0 and 0 < queued <= 4096, (queued, peer)


def test_peer_that_does_not_read_costs_its_own_queue_and_connection(lab):
    with Scene(lab) as scene, scene.attack() as m:
        starve(scene, m, talks=False)


def test_peer_that_talks_and_does_not_read_is_closed_as_well(lab):
    with Scene(lab) as scene, scene.attack() as m:
        starve(scene, m, talks=True)


if __name__ == "__main__":
    runner.main(globals())
