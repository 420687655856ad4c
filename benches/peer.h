/*
 * What the peers of the latency bench share. Each is a process that keeps one warm connection and is asked, line by
 * line on stdin, to send events, so that the driver can interleave rounds of all peers.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>

#define PATH "/v1/metrics/words-written/event"
#define API_KEY "app_bench.0123456789abcdef0123456789abcdef"

/* A peer's own part. `ca` is a PEM file to trust, or NULL. */
void peer_begin(const char *base_url, const char *ca);
/* Sends an event and reads its reply, as a string. */
void peer_event(unsigned number);

/* For a peer that finds something wrong: says so and exits. */
void fail(const char *what, const char *more);

#endif
