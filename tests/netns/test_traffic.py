#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Packets between nodes: all of them, of every size, both families, every pair."""
import itertools

import flow
import node
import runner
from lab import wait_until

MTU = 1400
ICMP4, ICMP6 = 28, 48   # bytes of headers around a ping's own
HELLO_MTU = 1280        # longer packets wait for the peer to say what it takes


def pairs(nodes):
    """Each direction of each pair, for both families: (from, to, address of to, header)."""
    for one, other in itertools.permutations(nodes, 2):
        yield one, other, other.vpn4, ICMP4
        yield one, other, other.vpn6, ICMP6


def test_every_pair_of_three_reaches_each_other(lab):
    with node.up(node.mesh(lab, 3)) as nodes:
        for one, other, address, _ in pairs(nodes):
            got = flow.received(one.host, address, 20)
            assert got == 20, f"{one.name} to {other.name} ({address}): {got} of 20"
        for status in flow.settled(nodes):
            assert sum(status["drops"].values()) == 0, status["drops"]


def test_clean_link_loses_none_of_1000_pings(lab):
    with node.up(node.mesh(lab, 2)) as nodes:
        for one, _, address, _ in pairs(nodes):
            got = flow.received(one.host, address, 1000)
            assert got == 1000, f"{one.name} to {address}: {got} of 1000"


def test_packets_of_every_size_to_the_mtu_arrive(lab):
    with node.up(node.mesh(lab, 2)) as nodes:
        for one, _, address, header in pairs(nodes):
            edges = (header, header + 1, 127, 128, 576, HELLO_MTU - 1, HELLO_MTU, HELLO_MTU + 1,
                     MTU - 1, MTU)
            for size in edges:
                got = flow.received(one.host, address, 2, "-Mdo", f"-s{size - header}")
                assert got == 2, f"{size} bytes to {address}: {got} of 2"


def test_first_packet_of_a_stream_may_be_as_long_as_the_mtu(lab):
    """It waits for the peer's HELLO, a round trip, and is not lost."""
    a, b = nodes = node.mesh(lab, 2)
    with node.up(nodes):
        assert flow.received(a.host, b.vpn4, 1, "-Mdo", f"-s{MTU - ICMP4}") == 1


def test_longer_than_the_mtu_is_refused_or_fragmented(lab):
    with node.up(node.mesh(lab, 2)) as nodes:
        for one, _, address, header in pairs(nodes):
            done = flow.ping(one.host, address, 1, "-Mdo", f"-s{MTU + 1 - header}")
            assert done.returncode != 0 and "message too long" in done.stderr.lower(), done
            assert str(MTU) in done.stderr, done
            for size in (MTU + 1, 2 * MTU, 9000, 60000):
                got = flow.received(one.host, address, 3, "-Mdont", f"-s{size - header}")
                assert got == 3, f"{size} bytes to {address}: {got} of 3"


def test_peer_with_a_smaller_mtu_is_told_of(lab):
    """An end that takes less than our device: the sender gets "fragmentation needed", and TCP
    finds its way."""
    a, b = nodes = node.mesh(lab, 2)
    b.config["interface"]["mtu"] = 1300
    with node.up(nodes):
        for address, header in ((b.vpn4, ICMP4), (b.vpn6, ICMP6)):
            assert flow.received(a.host, address, 1, "-Mdo", f"-s{1300 - header}") == 1
            done = flow.ping(a.host, address, 1, "-Mdo", f"-s{1301 - header}")
            said = (done.stdout + done.stderr).lower()
            assert done.returncode != 0, done
            assert "frag needed" in said or "too big" in said, done
            assert "1300" in said, done
            end = flow.iperf3(a.host, b.host, address, "-n", "1M")
            assert end["sum_sent"]["bytes"] >= 1 << 20, end


def test_sent_is_delivered_plus_dropped_over_both_ends(lab):
    a, b = nodes = node.mesh(lab, 2)
    with node.up(nodes):
        # Delivered, nobody's, not the sender's.
        b.host.ip("addr", "add", "10.7.0.99/32", "dev", "runnel0")
        for one, _, address, _ in pairs(nodes):
            assert flow.received(one.host, address, 50) == 50
        flow.ping(a.host, "10.7.0.77", 5, wait_s=1)
        flow.ping(b.host, a.vpn4, 5, "-I", "10.7.0.99", wait_s=1)
        statuses = flow.settled(nodes)
        for status in statuses:
            flow.say(f"counters {status['counters']}")
            assert all(peer["queued_packets"] == 0 for peer in status["peers"])

        def total(name):
            return sum(status["counters"][name] for status in statuses)
        dropped = sum(sum(status["drops"].values()) for status in statuses)
        assert dropped >= 10
        assert total("peer_tx_packets") == total("peer_rx_packets")
        assert total("peer_tx_bytes") == total("peer_rx_bytes")
        assert (total("tun_rx_packets") + total("icmp_sent")
                == total("tun_tx_packets") + dropped), (statuses, dropped)
        # And the kernel says the same of what it gave and got.
        for one, status in zip(nodes, statuses):
            device = one.host.run("cat", "/sys/class/net/runnel0/statistics/tx_packets",
                                  "/sys/class/net/runnel0/statistics/rx_packets").stdout.split()
            assert int(device[0]) == status["counters"]["tun_rx_packets"]
            assert int(device[1]) == status["counters"]["tun_tx_packets"]


def speed(end):
    return end["sum_received"]["bits_per_second"] / 1e6


@runner.timeout(120)
def test_iperf3_moves_tcp_and_udp_between_every_pair(lab):
    with node.up(node.mesh(lab, 3)) as nodes:
        flow.needs("iperf3", nodes[0].host)
        for one, other in itertools.combinations(nodes, 2):
            for address in (other.vpn4, other.vpn6):
                for way in ((), ("-R",)):
                    end = flow.iperf3(one.host, other.host, address, *way, "-n", "20M")
                    assert end["sum_sent"]["bytes"] >= 20 << 20, end
                    assert end["sum_received"]["bytes"] >= 10 << 20, end  # until the sender left
                    flow.say(f"{one.name}{'<-' if way else '->'}{other.name} {address} TCP: "
                             f"{speed(end):.0f} Mbit/s")
                    flow.udp_loses_nothing(nodes, one.host, other.host, address, *way)
        for status in flow.settled(nodes):
            assert status["drops"]["source_not_allowed"] == 0
            assert status["counters"]["streams_broken"] == 0


def test_both_directions_at_once_get_through(lab):
    a, b = nodes = node.mesh(lab, 2)
    with node.up(nodes):
        flow.needs("iperf3", a.host)
        end = flow.iperf3(a.host, b.host, b.vpn4, "--bidir", "-t2")
        for way in ("sum_received", "sum_received_bidir_reverse"):
            assert end[way]["bytes"] > 1 << 20, end
            flow.say(f"{way}: {end[way]['bits_per_second'] / 1e6:.0f} Mbit/s")
        wait_until(lambda: flow.received(a.host, b.vpn4, 5) == 5, 5, "pings after the load")


if __name__ == "__main__":
    runner.main(globals())
