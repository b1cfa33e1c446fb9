/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * daemon.h - runnel up: everything between exec and exit
 *
 * A ladder: configuration, key, control socket, device, node; each step that fails undoes those
 * before it and says in one line what to do. Then the loop turns until SIGTERM, SIGINT or `runnel
 * down`; then the ladder is climbed down.
 */
#pragma once

/* Returns the process's exit code: 0 after an orderly end. */
int daemon_run(const char *config_path);
