#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""js-libp2p and go-libp2p peers against each other: they agree on /vpn/1.0.0 before runnel comes in between.

Needs no privilege: everything is on loopback, and packets are made and read here, not by a kernel.
"""

import sys

import packet
from peers import AGENTS, PROTOCOLS, Peer, Unavailable, prepare
from tap import Tap, check, equal, skip_all

A_IPS = ("10.77.0.1", "fd77::1")
B_IPS = ("10.77.0.2", "fd77::2")
SEED_A, SEED_B = 11, 22


def claim_same_seed_gives_same_peer_id_in_both_stacks(programs):
    ids = []
    for name in ("js", "go"):
        with Peer(name, programs[name], SEED_A) as p:
            ids.append(p.id)
    equal(ids[0], ids[1], "peer id")


def claim_a_peer_goes_when_its_stdin_closes(programs):
    for name in ("js", "go"):
        p = Peer(name, programs[name], SEED_A, listen=["/ip4/127.0.0.1/tcp/0"])
        equal(p.close(), 0, f"exit status of {name}")


def claim_both_sides_identify_the_other(a, b):
    for me, other in ((a, b), (b, a)):
        said = me.wait("identified", peer=other.id)
        equal(said["agent"], AGENTS[other.name], "agent")
        for protocol in PROTOCOLS:
            check(protocol in said["protocols"], f"{other.name} does not name {protocol}: {said['protocols']}")
        check(said.get("observed"), f"{other.name} tells no observed address")


def claim_identify_can_be_asked_again(a, b):
    for me, other in ((a, b), (b, a)):
        said = me.identify(other.id)
        equal(said["agent"], AGENTS[other.name], "agent")
        check("/vpn/1.0.0" in said["protocols"], "no /vpn/1.0.0 in the second answer")


def claim_ping_is_answered_both_ways(a, b):
    for me, other in ((a, b), (b, a)):
        for rtt in me.ping(other.id, 5):
            check(0 <= rtt < 5000, f"{rtt} ms")


def pairs(a, b):
    for me, other in ((a, b), (b, a)):
        for src, dst in zip(me.ips, other.ips):
            yield me, other, src, dst


def claim_icmp_echo_comes_back_to_the_byte(a, b):
    for me, other, src, dst in pairs(a, b):
        for seq, size in enumerate((0, 1, 56, 1000, packet.echo_payload_max(src))):
            payload = bytes((i * 7 + seq) & 255 for i in range(size))
            me.send(other.id, packet.frame(packet.echo(src, dst, payload, 0x1234, seq, ttl=9)))
            equal(me.reply(other.id), packet.echo(dst, src, payload, 0x1234, seq, reply=True), f"{size} bytes to {dst}")


def claim_frames_may_be_split_at_every_byte(a, b):
    for me, other, src, dst in pairs(a, b):
        me.send(other.id, packet.frame(packet.echo(src, dst, b"split", 7, 7)) * 2, chunk=1)
        for _ in range(2):
            equal(me.reply(other.id), packet.echo(dst, src, b"split", 7, 7, reply=True), "reply")


def claim_merged_frames_are_answered_in_order(a, b):
    for me, other, src, dst in pairs(a, b):
        me.send(other.id, b"".join(packet.frame(packet.echo(src, dst, b"m" * n, 8, n)) for n in range(60)))
        for n in range(60):
            equal(me.reply(other.id), packet.echo(dst, src, b"m" * n, 8, n, reply=True), f"reply {n}")


def claim_replies_share_one_outbound_stream(a, b):
    for me in (a, b):
        equal(me.stats()["streams_out"] - sent_raw(me), 1, f"streams of {me.name} beside those of the send command")


def sent_raw(me):
    with me.changed:
        return sum(e["event"] == "sent" for e in me.events)


def claim_udp_echo_comes_back_with_a_right_checksum(a, b):
    for me, other, src, dst in pairs(a, b):
        before = me.stats()
        me.send(other.id, packet.frame(packet.udp(src, dst, 4000, 7, b"odd")))
        after = me.wait_stats(lambda s, n=before["other_packets"]: s["other_packets"] > n)
        equal(after["bad_packets"], before["bad_packets"], "bad packets")


def claim_packets_for_others_and_broken_ones_get_no_answer(a, b):
    for me, other, src, dst in pairs(a, b):
        good = packet.echo(src, dst, b"payload!", 9, 9)
        before, mine = other.stats(), me.stats()
        bad = [good[:-1], good[:-1] + bytes([good[-1] ^ 1]), b"\0" + good[1:], b"\x4f" + good[1:], b"E"]
        stranger = packet.echo(src, "10.77.0.99" if "." in src else "fd77::99", b"", 9, 9)
        me.send(other.id, b"".join(map(packet.frame, [*bad, stranger])))
        after = other.wait_stats(lambda s: s["packets_in"] >= before["packets_in"] + len(bad) + 1)
        equal(after["bad_packets"] - before["bad_packets"], len(bad), "bad packets")
        equal(after["other_packets"] - before["other_packets"], 1, "packets for others")
        equal(me.stats()["packets_in"], mine["packets_in"], "answers")


def claim_hostile_frames_cost_only_their_stream(a, b):
    for me, other in ((a, b), (b, a)):
        src, dst = me.ips[0], other.ips[0]
        good = packet.frame(packet.echo(src, dst, b"x", 1, 1))
        hostile = {"zero": bytes(4), "4 GiB": b"\xff" * 4, "above MTU": packet.frame(bytes(packet.MTU + 1)),
                   "garbage": bytes(range(255, 127, -1)), "after a good one": good + b"\x80\0\0\0"}
        before = other.stats()["bad_frames"]
        for tag, raw in hostile.items():
            me.send(other.id, raw, tag=tag, close="keep")
            equal(me.wait("stream-closed", tag=tag)["how"], "reset", tag)
        equal(me.reply(other.id), packet.echo(dst, src, b"x", 1, 1, reply=True), "answer to the good one")
        me.send(other.id, good[:-1], tag="truncated")
        equal(other.wait_stats(lambda s: s["bad_frames"] > before + len(hostile))["bad_frames"],
              before + len(hostile) + 1, "bad frames")
        me.ping(other.id)
    check(not a.has("disconnected") and not b.has("disconnected"), "the connection was lost")


def claim_the_dialer_comes_back_and_streams_are_opened_anew(a, b):
    """A listens; B was told to keep a connection to it."""
    before = b.stats()["streams_out"]
    a.tell("disconnect", peer=b.id)
    b.wait("disconnected", peer=a.id)
    a.wait("connected", peer=b.id)
    for src, dst in zip(a.ips, b.ips):
        a.send(b.id, packet.frame(packet.echo(src, dst, b"again", 3, 3)))
        equal(a.reply(b.id), packet.echo(dst, src, b"again", 3, 3, reply=True), "reply")
    equal(b.stats()["streams_out"] - before, 1, "new streams")


# In this order: the first connection is looked at while it is young, and lost only at the end.
CLAIMS = (
    claim_both_sides_identify_the_other,
    claim_identify_can_be_asked_again,
    claim_ping_is_answered_both_ways,
    claim_icmp_echo_comes_back_to_the_byte,
    claim_frames_may_be_split_at_every_byte,
    claim_merged_frames_are_answered_in_order,
    claim_replies_share_one_outbound_stream,
    claim_udp_echo_comes_back_with_a_right_checksum,
    claim_packets_for_others_and_broken_ones_get_no_answer,
    claim_hostile_frames_cost_only_their_stream,
    claim_the_dialer_comes_back_and_streams_are_opened_anew,
)


def text(claim):
    return claim.__name__.removeprefix("claim_").replace("_", " ")


def run_pair(tap, programs, listener, dialer, listen):
    with Peer(listener, programs[listener], SEED_A, A_IPS, [listen]) as a:
        with Peer(dialer, programs[dialer], SEED_B, B_IPS, dial=a.addrs[0]) as b:
            a.wait("connected", peer=b.id)
            b.wait("connected", peer=a.id)
            for claim in CLAIMS:
                tap.run(f"{dialer} dials {listener} {listen}: {text(claim)}", claim, a, b)


def main():
    try:
        programs = prepare("js", "go")
    except Unavailable as why:
        skip_all(why)
    tap = Tap()
    for claim in (claim_same_seed_gives_same_peer_id_in_both_stacks, claim_a_peer_goes_when_its_stdin_closes):
        tap.run(text(claim), claim, programs)
    for listener, dialer in (("js", "go"), ("go", "js")):
        for listen in ("/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0"):
            tap.run(f"{dialer} and {listener} over {listen}", run_pair, tap, programs, listener, dialer, listen)
    tap.done()


if __name__ == "__main__":
    sys.exit(main())
