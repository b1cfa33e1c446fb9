# SPDX-License-Identifier: MIT OR Apache-2.0
"""Run the functions test_* of a file in their order, each in a lab of its own, and speak TAP.

    def test_ping_answers(lab): ...

    if __name__ == "__main__":
        runner.main(globals())

A name is a claim, and what the test prints to say so: "ok 1 - ping answers". A test that takes
longer than TEST_TIMEOUT_S (or its own: @runner.timeout(120)) fails, with the output of its
processes. Names on the command line select tests. Without root, /dev/net/tun or the programs that
the lab needs, the file is skipped: as TAP says it, an empty plan with the reason, because any other
status than 0 would be an error there.
"""
import inspect
import signal
import sys
import time
import traceback

import lab as labs

TEST_TIMEOUT_S = 60
LOG_LINES = 40  # of each process, when a test failed


class Skip(Exception):
    """raise Skip(reason) in a test that can not run here."""


class TestTimeout(BaseException):
    """Not an Exception: no test's handler is meant to take it."""


def timeout(seconds):
    def mark(function):
        function.timeout_s = seconds
        return function
    return mark


def _on_alarm(_signum, _frame):
    raise TestTimeout()


def _say(text):
    for line in text.rstrip().splitlines():
        print(f"# {line}")


def _report(lab):
    for name, output in lab.logs():
        lines = output.rstrip().splitlines()
        _say(f"--- {name}: last {min(len(lines), LOG_LINES)} of {len(lines)} lines")
        _say("\n".join(lines[-LOG_LINES:]))


def _call(function):
    """None, or what went wrong."""
    limit = getattr(function, "timeout_s", TEST_TIMEOUT_S)
    lab = None
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.alarm(limit)
    try:
        lab = labs.Lab()
        function(lab)
        fault = None
    except Skip:
        raise
    except TestTimeout:
        fault = f"took longer than {limit} s"
    except (Exception, AssertionError):
        fault = traceback.format_exc()
    finally:
        signal.alarm(0)
        if lab is not None:
            if sys.exc_info()[0] is None and fault is not None:
                _report(lab)
            lab.close()
    return fault


def _run(number, function):
    claim = function.__name__.removeprefix("test_").replace("_", " ")
    start = time.monotonic()
    try:
        fault = _call(function)
    except Skip as skip:
        print(f"ok {number} - {claim} # SKIP {skip}", flush=True)
        return True
    if fault is not None:
        _say(fault)
    print(f"{'ok' if fault is None else 'not ok'} {number} - {claim}", flush=True)
    print(f"# {time.monotonic() - start:.1f} s", flush=True)
    return fault is None


def main(namespace):
    reason = labs.requirements()
    if reason is not None:
        print(f"1..0 # SKIP {reason}")
        sys.exit(0)
    tests = [function for name, function in namespace.items()
             if name.startswith("test_") and inspect.isfunction(function)]
    if len(sys.argv) > 1:
        tests = [function for function in tests if function.__name__ in sys.argv[1:]]
    labs.install_handlers()
    print(f"1..{len(tests)}", flush=True)
    passed = [_run(number, function) for number, function in enumerate(tests, 1)]
    sys.exit(0 if all(passed) and tests else 1)
