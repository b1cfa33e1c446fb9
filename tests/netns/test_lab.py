#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The lab itself, with ping and iperf3 instead of runnel."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import flow
import lab as labs
import runner
from lab import LabError, wait_until


def fails(function):
    try:
        function()
    except LabError:
        return True
    return False


def received(host, address, *args, count=200):
    return flow.received(host, address, count, *args, wait_s=1)


def test_hosts_reach_each_other_over_both_families(lab):
    a, b, c = lab.host("a"), lab.host("b"), lab.host("c")
    for x in (a, b, c):
        for y in (a, b, c):
            assert x.can_reach(y.addr4)
            assert x.can_reach(y.addr6)


def test_cut_unplugs_and_restore_plugs_in(lab):
    a, b = lab.host("a"), lab.host("b")
    b.cut()
    assert "NO-CARRIER" in b.ip("link", "show", "eth0").stdout
    assert not a.can_reach(b)
    b.restore()
    wait_until(lambda: a.can_reach(b), 10, "the link to be back")


def test_silent_cut_keeps_the_carrier(lab):
    a, b = lab.host("a"), lab.host("b")
    b.cut(silent=True)
    assert "NO-CARRIER" not in b.ip("link", "show", "eth0").stdout
    assert not a.can_reach(b)
    b.restore()
    wait_until(lambda: a.can_reach(b), 10, "the path to be back") # the first ARP request may be one of the cut's


def test_parted_hosts_still_reach_the_others(lab):
    a, b, c = lab.host("a"), lab.host("b"), lab.host("c")
    lab.part(a, b)
    assert not a.can_reach(b) and not b.can_reach(a)
    assert a.can_reach(c) and b.can_reach(c)
    lab.join(a, b)
    wait_until(lambda: a.can_reach(b), 10, "the two to reach each other again")


def test_loss_takes_its_share(lab):
    a, b = lab.host("a"), lab.host("b")
    assert a.can_reach(b)
    b.loss(30, "down")
    got = received(a, b.addr4, count=1000)
    assert 600 < got < 800, got  # six standard deviations are 87
    b.loss(100, "both")
    assert received(a, b.addr4, count=10) == 0
    b.restore()
    assert received(a, b.addr4) == 200


def test_black_hole_takes_the_long_ones_only(lab):
    a, b = lab.host("a"), lab.host("b")
    b.black_hole(1280)
    for address, header in ((b.addr4, 28), (b.addr6, 48)):
        assert received(a, address, "-Mdo", f"-s{1280 - header}", count=3) == 3
        assert received(a, address, "-Mdo", f"-s{1281 - header}", count=3) == 0


def test_mtu_is_that_of_the_device(lab):
    a, b = lab.host("a"), lab.host("b")
    a.set_mtu(1300)
    assert received(a, b.addr4, "-Mdo", "-s1272", count=1) == 1
    assert a.run("ping", "-n", "-c1", "-W1", "-Mdo", "-s1273", b.addr4, check=False).returncode != 0


def test_wire_of_two_is_a_path_besides_the_switch(lab):
    a, b = lab.host("a"), lab.host("b")
    _, to_b = lab.link(a, b)
    a.cut()
    assert a.can_reach(to_b)
    assert not a.can_reach(b)


def test_iperf3_gets_through(lab):
    if shutil.which("iperf3") is None:
        raise runner.Skip("needs iperf3")
    a, b = lab.host("a"), lab.host("b")
    server = b.spawn("iperf3", "-s", "-1", "-J")
    wait_until(lambda: b.run("ss", "-Hltn", "sport", "=", ":5201").stdout, 10, "the server")
    done = json.loads(a.run("iperf3", "-c", b.addr6, "-t1", "-J").stdout)
    assert done["end"]["sum_received"]["bytes"] > 1e6
    assert server.wait() == 0


def test_command_that_fails_or_hangs_is_an_error(lab):
    a = lab.host("a")
    assert fails(lambda: a.run("false"))
    assert a.run("false", check=False).returncode == 1
    assert fails(lambda: a.run("sleep", "60", timeout_s=0.2))
    assert fails(lambda: wait_until(lambda: False, 0.1, "nothing"))


def test_process_that_ignores_sigterm_is_killed(lab):
    a = lab.host("a")
    process = a.spawn("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    wait_until(lambda: "ready" in process.output(), 10, "the process")
    assert fails(lambda: process.stop(timeout_s=0.3))
    assert not process.alive()


def test_sanitizer_report_is_found_in_the_output(lab):
    a = lab.host("a")
    clean = a.spawn("echo", "all is well")
    dirty = a.spawn("sh", "-c", "echo before; echo '==7==ERROR: AddressSanitizer: heap' >&2")
    assert clean.wait() == 0 and dirty.wait() == 0
    assert clean.sanitizer_report() == ""
    assert dirty.sanitizer_report().startswith("ERROR: AddressSanitizer")


def child(how):
    """A process with a lab of its own that ends as told: its namespaces are gone afterwards."""
    code = ("import sys, time, os, signal; sys.path.insert(0, sys.argv[1]); import lab\n"
            "lab.install_handlers(); l = lab.Lab(); h = l.host('a'); h.spawn('sleep', '1000')\n"
            "print(h.ns, flush=True)\n" + how)
    return subprocess.Popen([sys.executable, "-c", code, os.path.dirname(labs.__file__)],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def namespaces_of(pid):
    return [ns for ns in os.listdir(labs.NETNS_DIR) if ns.startswith(f"rnl{pid}-")]


def directories_of(pid):
    return [name for name in os.listdir(tempfile.gettempdir())
            if name.startswith(f"runnel-lab-{pid}-")]


def test_lab_ends_with_its_process_in_every_way(lab):
    for how, signum in (("time.sleep(1000)", signal.SIGTERM), ("raise ValueError", None),
                        ("sys.exit(3)", None)):
        with child(how) as process:
            ns = process.stdout.readline().strip()
            assert ns.startswith(f"rnl{process.pid}-"), ns
            if signum is not None:
                process.send_signal(signum)
            process.wait(30)
            assert namespaces_of(process.pid) == [], how
            assert directories_of(process.pid) == [], how


def test_killed_lab_is_swept_by_the_next(lab):
    with child("time.sleep(1000)") as process:
        process.stdout.readline()
        process.kill()
        process.wait(30)
        assert len(namespaces_of(process.pid)) == 2
        assert len(directories_of(process.pid)) == 1
        labs.sweep()
        assert namespaces_of(process.pid) == []
        assert directories_of(process.pid) == []


def run_file(text, directory):
    path = os.path.join(directory, "test_inner.py")
    with open(path, "w", encoding="ascii") as file:
        file.write("import time, runner\n" + text + "\nrunner.main(globals())\n")
    return labs.run([sys.executable, path], check=False,
                    env=os.environ | {"PYTHONPATH": os.path.dirname(labs.__file__)})


def test_runner_speaks_tap(lab):
    done = run_file("def test_good_one(lab): pass\n"
                    "def test_bad_one(lab):\n"
                    "    lab.host('a').spawn('echo', 'last words').wait(); assert 1 == 2\n"
                    "def test_skipped_one(lab): raise runner.Skip('no time')\n"
                    "@runner.timeout(1)\n"
                    "def test_slow_one(lab): time.sleep(20)\n", lab.directory)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    for line in ("1..4", "ok 1 - good one", "not ok 2 - bad one", "# last words",
                 "ok 3 - skipped one # SKIP no time", "not ok 4 - slow one",
                 "# took longer than 1 s"):
        assert line in lines, (line, done.stdout)


def test_runner_passes_where_all_pass(lab):
    done = run_file("def test_good_one(lab): pass\n", lab.directory)
    assert done.returncode == 0, done


def test_two_hundred_pings_are_quick(lab):
    """The lab adds no delay of its own: a lost packet would cost a second."""
    a, b = lab.host("a"), lab.host("b")
    a.can_reach(b)
    start = time.monotonic()
    assert received(a, b.addr4) == 200
    assert time.monotonic() - start < 20


if __name__ == "__main__":
    runner.main(globals())
