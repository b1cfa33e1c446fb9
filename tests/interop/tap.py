# SPDX-License-Identifier: MIT OR Apache-2.0
"""As much of TAP as these tests need. A test is a function; its name is the claim that it makes."""

import sys
import traceback


class Skip(Exception):
    """Raised by a test that cannot run here; its text is the reason."""


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def run(self, name, test, *args):
        """Runs one test and reports it. A test may run others: they are reported before it."""
        try:
            test(*args)
        except Skip as why:
            self._line("ok", f"{name} # SKIP {why}")
        except Exception as err:  # whatever went wrong, the next test shall still be heard
            self.failed += 1
            self._line("not ok", name)
            text = "".join(traceback.format_exception(err))
            print("".join(f"# {line}\n" for line in text.splitlines()), end="", flush=True)
        else:
            self._line("ok", name)

    def _line(self, verdict, name):
        self.count += 1
        print(f"{verdict} {self.count} - {name}", flush=True)

    def done(self):
        print(f"1..{self.count}", flush=True)
        sys.exit(1 if self.failed else 0)


def skip_all(why):
    """Ends the program before its first test: meson shows it as skipped."""
    print(f"1..0 # SKIP {why}", flush=True)
    sys.exit(0)


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def check(fact, what):
    if not fact:
        raise AssertionError(what)
