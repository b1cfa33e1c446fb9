#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Install into a folder of our own, and use what is there as a program elsewhere would: test_install.py SOURCE BUILD"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE, BUILD = (os.path.abspath(path) for path in sys.argv[1:3])
sys.path.insert(0, f"{SOURCE}/tests/interop")
from tap import Skip, Tap, check, equal, skip_all  # noqa: E402  pylint: disable=wrong-import-position

EXAMPLE = f"{SOURCE}/examples/node.c"
DISPATCH = f"{SOURCE}/examples/dispatch.c"
C = ["cc", "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror"]
CXX = ["c++", "-std=c++17", "-pedantic", "-Wall", "-Wextra", "-Werror"]
NOBODY = 65534

# A comment, where there is one right above, and a declaration that starts its line.
DECLARATION = re.compile(r"(/\*(?:(?!\*/).)*\*/\n)?"
                         r"^(?:RUNNEL_MUST_USE )?RUNNEL_API\b[^;{}]*?\b(runnel_\w+)\([^;{}]*\);", re.M | re.S)


def run(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    check(done.returncode == 0, f"{' '.join(command)}: status {done.returncode}\n{done.stdout}")
    return done.stdout


class Prefix:
    """What `meson install` put there, below a folder that stands for /."""

    def __init__(self, root):
        self.root = root
        run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root])
        pc = glob.glob(f"{root}/**/runnel.pc", recursive=True)
        check(len(pc) == 1, f"one runnel.pc, got {pc}")
        self.pc_dir = os.path.dirname(pc[0])
        self.libdir = os.path.dirname(self.pc_dir)
        with open(pc[0], encoding="utf-8") as file:
            self.prefix = root + re.search(r"^prefix=(.*)$", file.read(), re.M)[1]
        self.include = f"{self.prefix}/include"

    def pkg_config(self, *args):
        # Nothing is moved on a machine where it is installed for good: there the .pc file is right as it is.
        env = {**os.environ, "PKG_CONFIG_PATH": self.pc_dir}
        return run(["pkg-config", f"--define-variable=prefix={self.prefix}", *args, "runnel"], env=env).split()

    def headers(self):
        return sorted(glob.glob(f"{self.include}/runnel/*.h"))


def declared(path):
    """name -> does a comment stand right above it? of one header"""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return {name: comment != "" for comment, name in DECLARATION.findall(text)}


def exported(command):
    """Names of symbols that others can link against, but for those of the version script's nodes."""
    lines = [line.split() for line in run(command).splitlines()]
    return {line[2].split("@")[0] for line in lines if len(line) == 3 and line[1] != "A"}


def test_only_public_headers_are_installed(installed):
    sources = sorted(os.path.basename(path) for path in glob.glob(f"{SOURCE}/include/runnel/*.h"))
    everything = sorted(os.path.relpath(path, installed.include)
                        for path in glob.glob(f"{installed.include}/**/*", recursive=True) if os.path.isfile(path))
    equal(everything, [f"runnel/{name}" for name in sources], "headers")


def test_headers_include_none_but_public_and_standard_ones(installed):
    allowed = {"stdbool.h", "stddef.h", "stdint.h"} | {f"runnel/{os.path.basename(path)}" for path in installed.headers()}
    for path in installed.headers():
        with open(path, encoding="utf-8") as file:
            names = re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)', file.read(), re.M)
        equal(sorted(set(names) - allowed), [], path)


def compile_alone(installed, compiler, suffix):
    for path in installed.headers():
        source = f"{installed.root}/alone{suffix}"
        with open(source, "w", encoding="utf-8") as file:
            file.write(f"#include <runnel/{os.path.basename(path)}>\n"
                       f"#include <runnel/{os.path.basename(path)}>\nint main(void) {{ return 0; }}\n")
        run([*compiler, "-fsyntax-only", f"-I{installed.include}", source])


def test_each_header_compiles_alone_as_c11(installed):
    compile_alone(installed, C, ".c")


def test_each_header_compiles_alone_as_cpp17(installed):
    if shutil.which("c++") is None:
        raise Skip("no C++ compiler")
    compile_alone(installed, CXX, ".cpp")


def test_cpp_program_links_the_c_functions(installed):
    if shutil.which("c++") is None:
        raise Skip("no C++ compiler")
    source, program = f"{installed.root}/main.cpp", f"{installed.root}/main-cpp"
    with open(source, "w", encoding="utf-8") as file:
        file.write("#include <runnel/node.h>\nint main() { return runnel_node_free(nullptr) != nullptr; }\n")
    run([*CXX, source, "-o", program, *installed.pkg_config("--cflags", "--libs")])
    run([program], env={"LD_LIBRARY_PATH": installed.libdir})


def test_each_public_function_has_a_comment_above_it(installed):
    for path in installed.headers():
        functions = declared(path)
        bare = sorted(name for name, has_comment in functions.items() if not has_comment)
        equal(bare, [], os.path.basename(path))
        with open(path, encoding="utf-8") as file:
            equal(len(functions), len(re.findall(r"^(?!#).*\bRUNNEL_API\b", file.read(), re.M)),
                  f"functions that this test found in {path}")


def all_declared(installed):
    return {name for path in installed.headers() for name in declared(path)}


def test_shared_library_exports_what_the_headers_declare(installed):
    names = exported(["nm", "-D", "--defined-only", f"{installed.libdir}/librunnel.so"])
    equal(sorted(names), sorted(all_declared(installed)), "symbols")


def test_archive_exports_what_the_headers_declare(installed):
    names = exported(["nm", "-g", "--defined-only", f"{installed.libdir}/librunnel.a"])
    equal(sorted(names), sorted(all_declared(installed)), "symbols")


def test_shared_library_has_a_soname_and_its_links(installed):
    dynamic = run(["readelf", "-d", f"{installed.libdir}/librunnel.so"])
    equal(re.findall(r"SONAME.*\[(.*)\]", dynamic), ["librunnel.so.0"], "soname")
    equal(re.findall(r"R(?:UN)?PATH.*", dynamic), [], "path of the build")
    equal(re.findall(r"TEXTREL.*", dynamic), [], "text relocations")
    version = installed.pkg_config("--modversion")[0]
    equal(os.path.basename(os.path.realpath(f"{installed.libdir}/librunnel.so.0")), f"librunnel.so.{version}", "link")


def say_hello(program, **more):
    """Runs the example, as nobody where that can be chosen. -> its output"""
    if os.geteuid() == 0:
        more.update(user=NOBODY, group=NOBODY, extra_groups=[])
    out = run([program], timeout=60, **more)
    check("alice: 40 bytes from 10.7.0.2: hello, alice" in out, out)
    check("bob: 38 bytes from 10.7.0.1: hello, bob" in out, out)
    return out


def test_example_runs_as_anybody_with_the_shared_library(installed):
    program = f"{installed.root}/node-shared"
    run([*C, "-D_POSIX_C_SOURCE=200809L", EXAMPLE, "-o", program, *installed.pkg_config("--cflags", "--libs")])
    out = say_hello(program, env={"LD_LIBRARY_PATH": installed.libdir})
    check(f"librunnel {installed.pkg_config('--modversion')[0]}\n" in out, out)
    check("librunnel.so.0" in run(["readelf", "-d", program]), "the shared library is used")


def test_dispatch_example_runs_as_anybody(installed):
    program = f"{installed.root}/dispatch"
    run([*C, "-D_POSIX_C_SOURCE=200809L", DISPATCH, "-o", program, *installed.pkg_config("--cflags", "--libs")])
    more = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    out = run([program], timeout=60, env={"LD_LIBRARY_PATH": installed.libdir}, **more)
    check("key 51000:10.7.0.2:443\n" in out, out)
    check("bob: 100 packets, in order\n" in out, out)


def test_dispatch_header_serves_a_cpp_program(installed):
    if shutil.which("c++") is None:
        raise Skip("no C++ compiler")
    source, program = f"{installed.root}/dispatch.cpp", f"{installed.root}/dispatch-cpp"
    with open(source, "w", encoding="utf-8") as file:
        file.write("#include <runnel/dispatch_memory.h>\n#include <runnel/dispatch.h>\n"
                   "int main() { runnel_memory_streams *s = nullptr; runnel_dispatch_conf c;\n"
                   "  runnel_dispatch_conf_init(&c);\n"
                   "  bool ok = runnel_memory_streams_new(&s) == RUNNEL_ERR_OK && c.max_streams_per_peer == 10;\n"
                   "  runnel_memory_streams_free(s); return ok ? 0 : 1; }\n")
    run([*CXX, source, "-o", program, *installed.pkg_config("--cflags", "--libs")])
    run([program], env={"LD_LIBRARY_PATH": installed.libdir})


def test_example_runs_with_the_archive_alone(installed):
    """Only the archive is there: the linker has no choice."""
    aside = f"{installed.root}/aside"
    os.mkdir(aside)
    for path in glob.glob(f"{installed.libdir}/librunnel.so*"):
        shutil.move(path, aside)
    try:
        program = f"{installed.root}/node-static"
        run([*C, "-D_POSIX_C_SOURCE=200809L", EXAMPLE, "-o", program,
             *installed.pkg_config("--static", "--cflags", "--libs")])
        say_hello(program)
        check("librunnel" not in run(["readelf", "-d", program]), "no shared library is used")
    finally:
        for path in glob.glob(f"{aside}/*"):
            shutil.move(path, installed.libdir)
        os.rmdir(aside)


def test_names_of_the_program_do_not_clash_with_those_of_the_archive(installed):
    """The library has functions of these names inside."""
    source, program = f"{installed.root}/clash.c", f"{installed.root}/clash"
    with open(source, "w", encoding="utf-8") as file:
        file.write("#include <runnel/node.h>\n"
                   "int node_new(void); int node_new(void) { return 1; }\n"
                   "int log_line(void); int log_line(void) { return 2; }\n"
                   "int err_text; int main(void) { return runnel_node_free(0) != 0 || node_new() + log_line() != 3; }\n")
    run([*C, source, "-o", program, *installed.pkg_config("--cflags"), f"{installed.libdir}/librunnel.a",
         *installed.pkg_config("--static", "--libs")])
    run([program], env={"LD_LIBRARY_PATH": installed.libdir})


def main():
    for tool in ("meson", "pkg-config", "cc", "nm", "readelf"):
        if shutil.which(tool) is None:
            skip_all(f"no {tool}")
    os.environ.pop("LD_LIBRARY_PATH", None)      # meson's, to the library in the build folder
    with tempfile.TemporaryDirectory(prefix="runnel-install-") as root:
        os.chmod(root, 0o755)      # for nobody, too
        installed = Prefix(root)
        tap = Tap()
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                tap.run(name, test, installed)
        tap.done()


main()
