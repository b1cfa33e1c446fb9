#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""/vpn/1.0.0 between our own nodes: what each opens is what its configuration says of the peer."""
import flow
import node
import runner

OURS, VPN = "/runnel/packet/1.0.0", "/vpn/1.0.0"


def carries(lab, protocol_of_b_at_a, protocol_of_a_at_b, opened_by_a, opened_by_b):
    a, b = nodes = node.mesh(lab, 2)
    a.config["peers"][0]["protocol"] = protocol_of_b_at_a
    b.config["peers"][0]["protocol"] = protocol_of_a_at_b
    with node.up(nodes):
        for one, other in ((a, b), (b, a)):
            for address, header in ((other.vpn4, 28), (other.vpn6, 48)):
                assert flow.received(one.host, address, 100) == 100, address
                for size in (header, 1280, 1281, 1400):
                    assert flow.received(one.host, address, 2, "-Mdo", f"-s{size - header}") == 2
        assert flow.peer(a, b)["protocol"] == opened_by_a
        assert flow.peer(b, a)["protocol"] == opened_by_b
        flow.needs("iperf3", a.host)
        for way in ((), ("-R",)):
            end = flow.iperf3(a.host, b.host, b.vpn4, *way, "-n", "20M")
            flow.say(f"{'b to a' if way else 'a to b'}: "
                     f"{end['sum_received']['bits_per_second'] / 1e6:.0f} Mbit/s")
            flow.udp_loses_nothing(nodes, a.host, b.host, b.vpn6, *way)
        for status in flow.settled(nodes):
            assert status["counters"]["streams_broken"] == 0
            assert status["drops"]["malformed"] == 0


def test_vpn_on_both_sides_carries_traffic(lab):
    carries(lab, "vpn", "vpn", VPN, VPN)


def test_vpn_and_auto_carry_traffic(lab):
    carries(lab, "auto", "vpn", OURS, VPN)


def test_vpn_and_runnel_carry_traffic(lab):
    carries(lab, "vpn", "runnel", VPN, OURS)


if __name__ == "__main__":
    runner.main(globals())
