#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What starts and stops nodes, tried on a stand-in that keeps runnel's contract of verbs, or breaks
it in the way that its host's name says."""
import json
import os
import stat

import node
import runner
from lab import LabError

STAND_IN = r"""#!/usr/bin/env python3
import json, os, signal, subprocess, sys
verb, args = sys.argv[1], sys.argv[2:]
if verb in ("keygen", "id"):
    if verb == "keygen":
        open(args[0], "x").close()
    print("id-of-" + os.path.basename(os.path.dirname(args[0])))
    sys.exit()
config = json.load(open(args[args.index("-c") + 1]))
control, device = config["control"], config["interface"]["name"]
name = os.path.basename(os.path.dirname(config["key"]))
if verb == "up":
    if name == "early":
        sys.exit(5)
    subprocess.run(["ip", "tuntap", "add", device, "mode", "tun"], check=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    open(control, "x").close()
    signal.sigwait([signal.SIGTERM])
    os.unlink(control)
    if name != "leaves":
        subprocess.run(["ip", "tuntap", "del", device, "mode", "tun"], check=True)
    if name == "leaks":
        print("==1==ERROR: LeakSanitizer: detected memory leaks", file=sys.stderr)
    sys.exit(3 if name == "fails" else 0)
if verb == "status":
    if not os.path.exists(control):
        sys.exit("not running")
    print(json.dumps({"peer_id": "", "counters": {}, "drops": {}, "peers": [
        {"id": p["id"], "name": p["name"], "connected": p["name"] != "lonely", "address": ""}
        for p in config["peers"]]}))
"""


def use_stand_in(lab):
    path = os.path.join(lab.directory, "runnel")
    with open(path, "w", encoding="ascii") as file:
        file.write(STAND_IN)
    os.chmod(path, stat.S_IRWXU)
    os.environ["RUNNEL_BIN"] = path


def fault_of(function):
    try:
        function()
    except LabError as fault:
        return str(fault)
    return None


def stop_fault(lab, name):
    use_stand_in(lab)
    one = node.Node(lab.host(name), 1)
    one.start()
    return fault_of(one.stop)


def test_mesh_comes_up_connected_and_goes_down_clean(lab):
    use_stand_in(lab)
    with node.up(node.mesh(lab, 3)) as (a, b, c):
        assert a.is_connected() and a.is_connected(b, c)
        assert a.id == "id-of-a" != b.id
        pid = a.process.pid
    assert not os.path.exists(f"/proc/{pid}")


def test_configuration_names_peers_and_addresses(lab):
    use_stand_in(lab)
    a, b = node.mesh(lab, 2, dial="later")
    b.config["peers"][0]["protocol"] = "vpn"
    b.write_config()
    with open(b.config_path, encoding="ascii") as file:
        config = json.load(file)
    assert config["interface"]["addresses"] == ["10.7.0.2/24", "fd07::2/64"]
    assert config["peers"] == [{"id": a.id, "name": "a", "protocol": "vpn",
                                "allowed_ips": ["10.7.0.1/32", "fd07::1/128"]}]
    assert a.config["peers"][0]["addresses"] == [f"/ip4/{b.host.addr4}/tcp/4001"]


def test_node_that_ends_well_is_no_fault(lab):
    assert stop_fault(lab, "well") is None


def test_exit_status_other_than_0_is_a_fault(lab):
    assert stop_fault(lab, "fails") == "fails ended with 3"


def test_report_of_a_sanitizer_is_a_fault(lab):
    assert "LeakSanitizer" in stop_fault(lab, "leaks")


def test_device_that_is_left_is_a_fault(lab):
    assert stop_fault(lab, "leaves") == "leaves left its device runnel0"


def test_node_that_ends_by_itself_is_a_fault(lab):
    use_stand_in(lab)
    one = node.Node(lab.host("early"), 1)
    assert "ended with 5 while it came up" in fault_of(one.start)
    two = node.Node(lab.host("late"), 2)
    two.start()
    two.process.stop()
    assert "ended by itself" in fault_of(two.stop)


def test_peer_that_does_not_connect_is_a_fault(lab):
    use_stand_in(lab)
    a, lonely = node.Node(lab.host("a"), 1), node.Node(lab.host("lonely"), 2)
    a.add_peer(lonely)
    a.start()
    assert "waited 0.3 s in vain" in fault_of(lambda: a.wait_connected(timeout_s=0.3))
    a.wait_disconnected(lonely)
    a.kill()


def test_other_nodes_are_stopped_after_a_fault(lab):
    use_stand_in(lab)
    nodes = [node.Node(lab.host(name), i) for i, name in enumerate(("fails", "b"), 1)]
    for one in nodes:
        one.start()
    assert fault_of(lambda: node.down(nodes)) == "fails ended with 3"
    assert nodes[1].process is None


if __name__ == "__main__":
    runner.main(globals())
