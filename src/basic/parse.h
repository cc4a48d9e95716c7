/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "macro.h"

/* Strict parsers: -EINVAL unless the whole string matches, -ERANGE if a number is out of range. No parser
 * takes a sign. White space is allowed only where noted. */

/* yes/no, true/false, on/off, 1/0, y/n, t/f in any case, see systemd.syntax(7). Returns 1 or 0. */
int parse_boolean(const char *s);

/* A decimal number from `min` to `max`. */
int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/* A number with an optional fraction and an optional suffix B, K, M, G, T, P or E. From K on, each suffix is
 * `base` times the one before (1024 for bytes, 1000 for rates). */
int parse_size(const char *s, unsigned base, uint64_t *ret);

/* A time span, see systemd.time(7): "5min 20s", "1.5h", "300ms". A number without a unit counts `unit`
 * microseconds. "infinity" is USEC_INFINITY. Blanks are allowed after numbers and units. */
int parse_timespan(const char *s, uint64_t unit, uint64_t *ret_usec);

/* Numbers and ranges such as "0-3,7", separated by commas or blanks. Clears the `size` bytes of `mask`, and
 * sets the bits of these numbers. ret_used (may be NULL) is the number of bytes up to the highest bit. */
int parse_number_set(const char *s, uint8_t *mask, size_t size, size_t *ret_used);

/* A process ID: more than 0. */
int parse_pid(const char *s, pid_t *ret);

/* A user or group ID. -ERANGE for 4294967295 and 65535, which are -1 in 32 and in 16 bits. */
int parse_uid(const char *s, uid_t *ret);

/* 16 bytes in hexadecimal, in the form of machine-id(5) or of a UUID. */
int parse_id128(const char *s, uint8_t ret[16]);

/* A signal by its name, with or without "SIG", as RTMIN+n or RTMAX-n, or by its number. Returns the
 * number. */
int signal_from_string(const char *s);

/* Writes the name of a signal to buf, and returns buf: "SIGTERM", "SIGRTMIN+3", or the number if the signal
 * has no name. */
#define SIGNAL_NAME_MAX 16
const char *signal_to_string(int sig, char buf[SIGNAL_NAME_MAX]);
