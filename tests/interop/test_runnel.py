#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""runnel against one foreign stack: test_runnel.py js|go. Needs root (namespaces, TUN) and RUNNEL_BIN.

runnel's TUN device is in one namespace, the foreign peer in another. A ping is thus asked by a kernel, carried by
runnel and answered by code that is not ours.
"""

import contextlib
import json
import os
import subprocess
import sys

import packet
from peers import AGENTS, PROTOCOLS, TIMEOUT, Peer, Unavailable, prepare
from tap import Tap, check, equal, skip_all

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.append(os.path.join(HERE, "..", "netns"))

import flow  # noqa: E402
import lab as labs  # noqa: E402
from lab import Lab, wait_until  # noqa: E402
from node import PORT, Node  # noqa: E402

SEED_PEER = 44
TCP_BYTES = 8 << 20
TRAFFIC = os.path.join(HERE, "traffic.py")
RUNNEL = ("10.7.0.1", "fd07::1")  # as Node gives them to its number 1
PEER = ("10.7.0.2", "fd07::2")  # the foreign peer answers for these itself
KERNEL = ("10.7.0.3", "fd07::3")  # the kernel behind the foreign peer's TUN device, where it has one
STRANGER = ("10.7.0.200", "fd07::200")  # nobody's
LOG_LINES = 30  # of runnel, when a claim failed


class World:
    """One runnel and one foreign peer that are to find each other, in a lab of their own."""

    def __init__(self, lab, name, program, dialer, family, protocol):
        self.name, self.program, self.dialer = name, program, dialer
        self.node = Node(lab.host("runnel"), 1)
        self.far = lab.host("foreign")
        self.near = self.node.host
        self.runnel_id = self.node.id
        self.dial_runnel = (self.node.dial4, self.node.dial6)[family] + f"/p2p/{self.runnel_id}"
        self.listen = f"/ip{6 if family else 4}/{self.far.addr6 if family else self.far.addr4}/tcp/{PORT}"
        with Peer("foreign", program, SEED_PEER) as p:
            self.peer_id = p.id
        entry = {"id": self.peer_id, "name": "foreign", "protocol": protocol,
                 "allowed_ips": [f"{a}/{128 if ':' in a else 32}" for a in (*PEER, *KERNEL)]}
        if dialer == "runnel":
            entry["addresses"] = [self.listen]
        self.node.config["peers"].append(entry)
        self.node.config["interface"]["mtu"] = packet.MTU
        self.more = self.make_tun() if name == "go" else []
        self.peer = None

    def make_tun(self):
        """A device whose kernel sends everything of the VPN through the foreign peer."""
        self.far.ip("tuntap", "add", "far0", "mode", "tun")
        self.far.ip("link", "set", "far0", "mtu", packet.MTU, "up")
        more = ["--tun", "far0"]
        for address, bits, net in zip(KERNEL, (24, 64), ("10.7.0.0/24", "fd07::/64")):
            self.far.ip("addr", "add", f"{address}/{bits}", "dev", "far0")
            more += ["--route", f"{net}={self.runnel_id}"]
        return more

    def start_peer(self):
        self.peer = Peer(self.name, self.program, SEED_PEER, PEER, [self.listen],
                         self.dial_runnel if self.dialer == "peer" else None, self.far.command([]), self.more)
        self.peer.wait("connected", peer=self.runnel_id)

    def __enter__(self):
        self.node.start()
        self.start_peer()
        return self

    def __exit__(self, *_):
        if self.peer:
            self.peer.close()

    def answers(self, address):
        return self.near.can_reach(address)

    def tunnel_works(self):
        for address in PEER:
            wait_until(lambda a=address: self.answers(a), TIMEOUT, f"{address} to answer through the tunnel")

    def ping(self, address, *options, count=5, interval=0.05):
        """From runnel's side through its TUN device; every one has to be answered.

        Without -w, ping gives the last answer no longer than the interval: too short for a busy machine."""
        got = self.near.run("ping", "-n", "-c", count, "-i", interval, "-w10", *options, address, check=False)
        if got.returncode != 0 or f" {count} received" not in got.stdout:
            raise AssertionError(f"ping {' '.join(map(str, options))} {address}:\n{got.stdout}{got.stderr}")

    def traffic(self, *argv):
        return self.near.run(sys.executable, TRAFFIC, *argv).stdout.split()

    def counters(self):
        """Every number in the status by its path, such as "drops.source_not_allowed"."""
        return dict(numbers(self.node.status()))

    def log(self):
        lines = self.node.process.output().splitlines() if self.node.process else []
        return "".join(f"# runnel: {line}\n" for line in lines[-LOG_LINES:])


def numbers(tree, path=""):
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from numbers(value, f"{path}.{key}" if path else key)
    elif isinstance(tree, list):
        for at, value in enumerate(tree):
            yield from numbers(value, f"{path}[{at}]")
    elif isinstance(tree, (int, float)) and not isinstance(tree, bool):
        yield path, tree


def claim_both_read_the_same_id_off_a_key_file(w):
    with Peer("reader", w.program, 0, more=["--key", w.node.key]) as p:
        equal(p.id, w.runnel_id, "peer id")


def claim_the_peer_identifies_runnel(w):
    said = w.peer.wait("identified", peer=w.runnel_id)
    check(said["agent"].startswith("runnel"), f"agent {said['agent']}")
    for protocol in PROTOCOLS:
        check(protocol in said["protocols"], f"runnel does not name {protocol}: {said['protocols']}")
    check(said.get("observed"), "runnel tells no observed address")
    check("/vpn/1.0.0" in w.peer.identify(w.runnel_id)["protocols"], "no /vpn/1.0.0 when asked again")


def claim_runnel_identifies_the_peer(w):
    w.node.peers = [w.peer]
    w.node.wait_connected()
    wait_until(lambda: AGENTS[w.name] in json.dumps(w.node.status()), TIMEOUT, "status to name the peer's agent")


def claim_ping_is_answered_both_ways(w):
    for rtt in w.peer.ping(w.runnel_id, 5):
        check(0 <= rtt < 5000, f"{rtt} ms")
    w.node.runnel("ping", w.peer_id, "-c", w.node.config_path)


def claim_a_kernel_pings_the_peer_through_tun(w):
    w.tunnel_works()
    before = w.peer.stats()
    for address in PEER:
        fits = packet.echo_payload_max(address)
        for size in (0, 56, 1000, fits):
            w.ping(address, "-s", size, "-M", "do")
    after = w.peer.stats()
    seen = after["echo_requests"] - before["echo_requests"]
    check(seen >= 2 * 4 * 5, f"the peer saw {seen} echo requests") # more, where an answer took long
    equal(after["bad_packets"], before["bad_packets"], "bad packets")


def claim_a_flood_of_pings_loses_none(w):
    for address in PEER:
        equal(flow.received(w.near, address, 1000, "-l", "20"), 1000, f"answers from {address}")


def claim_the_peer_pings_the_kernel_behind_runnel(w):
    for src, dst in zip(PEER, RUNNEL):
        for seq, size in enumerate((0, 1000, packet.echo_payload_max(src))):
            payload = bytes((i + seq) & 255 for i in range(size))
            w.peer.send(w.runnel_id, packet.frame(packet.echo(src, dst, payload, 0x77, seq)))
            expect_reply(w, src, dst, payload, 0x77, seq)


def expect_reply(w, src, dst, payload, ident, seq):
    """A kernel chooses TTL, flow label and the like; from the ICMP header on, each byte is known."""
    got, want = w.peer.reply(w.runnel_id), packet.echo(dst, src, payload, ident, seq, reply=True)
    head = 40 if ":" in src else 20
    equal(got[head:], want[head:], f"reply of {dst}")


def claim_runnel_takes_frames_split_at_every_byte_and_merged(w):
    for src, dst in zip(PEER, RUNNEL):
        w.peer.send(w.runnel_id, packet.frame(packet.echo(src, dst, b"split", 5, 5)) * 2, chunk=1)
        for _ in range(2):
            expect_reply(w, src, dst, b"split", 5, 5)
        w.peer.send(w.runnel_id, b"".join(packet.frame(packet.echo(src, dst, b"m" * n, 6, n)) for n in range(40)))
        for n in range(40):
            expect_reply(w, src, dst, b"m" * n, 6, n)


def claim_udp_arrives_whole_with_right_checksums(w):
    before = w.peer.stats()
    for address in PEER:
        w.traffic("udp", address, 0, 1, 999, packet.echo_payload_max(address))
    equal(w.peer.stats()["bad_packets"], before["bad_packets"], "bad packets")


def claim_a_super_packet_is_cut_up_for_a_peer_that_knows_none(w):
    before = w.peer.stats()
    for address in PEER:
        w.traffic("gso", address, 1000, 30)
    after = w.peer.stats()
    equal(after["udp_echoes"] - before["udp_echoes"], 60, "datagrams")
    equal(after["bad_packets"] + after["bad_frames"], before["bad_packets"] + before["bad_frames"], "bad ones")


def claim_tcp_runs_to_a_kernel_behind_the_peer(w):
    """Only the go peer has a TUN device."""
    for address in KERNEL:
        argv = w.far.command([sys.executable, TRAFFIC, "serve", address, 5001, TCP_BYTES])
        with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
            try:
                equal(server.stdout.readline().strip(), "ready", "server")
                here = w.traffic("fetch", address, 5001, TCP_BYTES)
                equal(server.stdout.read().split(), here, f"digests of both ways to {address}")
            finally:
                server.kill()
    equal(w.peer.stats()["bad_frames"], 0, "bad frames")


def claim_nothing_so_far_has_cost_the_connection(w):
    """js has pinged it many times by now, and would have dropped it over one ping without an answer."""
    check(not w.peer.has("disconnected"), "the connection was lost")


def claim_a_foreign_source_address_is_dropped_and_counted(w):
    before = w.counters()
    for src, dst in zip(STRANGER, RUNNEL):
        w.peer.send(w.runnel_id, packet.frame(packet.echo(src, dst, b"spoof")))
    wait_until(lambda: rose(before, w.counters(), "source_not_allowed") >= 2, TIMEOUT,
               "two drops to be counted for their source")
    w.tunnel_works()


def claim_hostile_frames_cost_at_most_the_connection_and_are_counted(w):
    src, dst = PEER[0], RUNNEL[0]
    good = packet.echo(src, dst, b"x")
    hostile = (("zero", bytes(4), "streams_broken"),
               ("4 GiB", b"\xff" * 4, "streams_broken"),
               ("2 GiB", b"\x80\0\0\0" + bytes(100), "streams_broken"),
               ("garbage", bytes(range(255, 127, -1)), "streams_broken"),
               ("after a good one", packet.frame(good) + b"\xff\0\0\0", "streams_broken"),
               ("no IP", packet.frame(b"\0" * 60), "malformed"),
               ("shorter than IP", packet.frame(b"\x45"), "malformed"),
               ("shorter than it says", packet.frame(good[:-1]), "malformed"),
               ("truncated", packet.frame(good)[:-1], None))  # its writer may just have died
    for tag, raw, counter in hostile:
        before = w.counters()
        w.peer.send(w.runnel_id, raw, tag=tag)
        w.peer.wait("sent", tag=tag)
        if counter:
            wait_until(lambda b=before, c=counter: rose(b, w.counters(), c) > 0, TIMEOUT, f"{counter} for: {tag}")
        w.tunnel_works()  # on this connection, or on the next one where it was closed


def rose(before, after, word):
    """By how much the counters whose path has this word have grown."""
    return sum(value - before.get(path, 0) for path, value in after.items() if word in path)


def claim_they_find_each_other_again_after_a_loss(w):
    w.peer.tell("disconnect", peer=w.runnel_id)
    w.tunnel_works()
    w.peer.close()
    w.start_peer()
    w.tunnel_works()


def claim_runnel_ends_well_and_the_peer_notices(w):
    w.node.stop()
    w.peer.wait("disconnected", peer=w.runnel_id, left=0)


# In this order: the connection is young at first, and lost only towards the end.
CLAIMS = (
    claim_both_read_the_same_id_off_a_key_file,
    claim_the_peer_identifies_runnel,
    claim_runnel_identifies_the_peer,
    claim_ping_is_answered_both_ways,
    claim_a_kernel_pings_the_peer_through_tun,
    claim_a_flood_of_pings_loses_none,
    claim_the_peer_pings_the_kernel_behind_runnel,
    claim_runnel_takes_frames_split_at_every_byte_and_merged,
    claim_udp_arrives_whole_with_right_checksums,
    claim_a_super_packet_is_cut_up_for_a_peer_that_knows_none,
    claim_tcp_runs_to_a_kernel_behind_the_peer,
    claim_nothing_so_far_has_cost_the_connection,
    claim_a_foreign_source_address_is_dropped_and_counted,
    claim_hostile_frames_cost_at_most_the_connection_and_are_counted,
    claim_they_find_each_other_again_after_a_loss,
    claim_runnel_ends_well_and_the_peer_notices,
)


def text(claim):
    return claim.__name__.removeprefix("claim_").replace("_", " ")


def run_world(tap, name, program, what, dialer, family, protocol):
    with Lab() as lab, contextlib.ExitStack() as stack:
        w = World(lab, name, program, dialer, family, protocol)
        before = tap.failed
        try:
            stack.enter_context(w)
            for claim in CLAIMS:
                if claim is claim_tcp_runs_to_a_kernel_behind_the_peer and name != "go":
                    continue
                if tap.failed > before and claim is CLAIMS[-1]:
                    print(w.log(), end="", flush=True)  # as long as there is one
                tap.run(f"{what}: {text(claim)}", claim, w)
        except Exception:
            print(w.log(), end="", flush=True)
            raise


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in AGENTS:
        sys.exit("usage: test_runnel.py js|go")
    name = sys.argv[1]
    if not os.access(os.environ.get("RUNNEL_BIN", ""), os.X_OK):
        skip_all("RUNNEL_BIN names no program")
    if why := labs.requirements():
        skip_all(why)
    try:
        program = prepare(name)[name]
    except Unavailable as why:
        skip_all(why)
    labs.install_handlers()
    tap = Tap()
    # Each of the two choices of protocol, and each family under the tunnel, in one of the directions.
    for dialer, family, protocol in (("runnel", 0, "auto"), ("peer", 1, "vpn")):
        who = f"runnel dials {name}" if dialer == "runnel" else f"{name} dials runnel"
        what = f"{who} over IPv{6 if family else 4}, protocol {protocol}"
        tap.run(f"{what}: they connect", run_world, tap, name, program, what, dialer, family, protocol)
    tap.done()


if __name__ == "__main__":
    main()
