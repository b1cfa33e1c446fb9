# SPDX-License-Identifier: MIT OR Apache-2.0
# A thin front: meson builds, the programs in tools/ and bench/ do the rest.

PREFIX  ?= /usr/local
DESTDIR ?=

.PHONY: help build demo test bench lint fuzz install clean

help:
	@echo 'make demo     two nodes in two network namespaces: ping and iperf3 through the tunnel'
	@echo 'make test     every test, the sanitizer builds, a while of fuzzing, lint'
	@echo 'make build    a release build in build/release'
	@echo 'make bench    measure, and write docs/benchmarks.md (BENCH_QUICK=1: a short run)'
	@echo 'make lint     formatting, layers and house rules'
	@echo 'make fuzz     run each fuzz target for FUZZ_SECONDS (60)'
	@echo 'make install  install program and library to PREFIX (/usr/local), below DESTDIR'
	@echo 'make clean    remove build/'
	@echo
	@echo 'What is missing is installed by apt first, on Debian 12 or newer: see tools/install-deps.'

build:
	@tools/install-deps build docs
	@tools/build release

demo:
	@tools/install-deps build demo
	@tools/build release src/runnel
	@tools/demo

test:
	@tools/install-deps build demo test lint docs
	@tools/test

bench:
	@tools/install-deps build demo bench
	@tools/build release src/runnel meson-benchmark-prereq
	@bench/run

lint:
	@tools/install-deps lint
	@tools/lint

fuzz:
	@tools/install-deps build fuzz
	@tools/build fuzz
	@tools/fuzz

install: build
	@meson configure build/release --prefix $(abspath $(PREFIX))
	@DESTDIR='$(DESTDIR)' meson install -C build/release

clean:
	rm -rf build
