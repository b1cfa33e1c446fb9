/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * proxy.h - a TCP proxy on 127.0.0.1 that breaks connections when it is told to
 *
 * A thread of its own carries bytes between who connects and the port that it leads to, and an end
 * on one side is an end on the other. proxy_break() resets one of the connections on both sides:
 * what is under way in it is lost, as when a path breaks.
 */
#pragma once

#include <stdint.h>

struct proxy;

/* Listens on a free port: *ret_port. Connects to proxy_lead(). Fails the test. */
struct proxy *proxy_new(uint16_t *ret_port);
/* Before anyone connects. */
void proxy_lead(struct proxy *p, uint16_t port);
/* Any thread: reset the connection that `random` chooses, if there is one. */
void proxy_break(struct proxy *p, uint64_t random);
/* How many it did reset. Any thread. */
unsigned proxy_broken(struct proxy *p);
/* Ends the thread, and all connections. Takes NULL; returns NULL. */
struct proxy *proxy_free(struct proxy *p);
