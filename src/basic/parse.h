/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "macro.h"

/* Strict parsers: the whole string or -EINVAL (-ERANGE where the number does not fit). None of them takes white
 * space or a sign. */

/* yes/no, true/false, on/off, 1/0, y/n, t/f in any case, as systemd.syntax(7). Returns 1 or 0. */
int parse_boolean(const char *s);

/* A decimal number from min to max. */
int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/* A number with an optional suffix K, M, G, T, P, E, each `base` times the one before (1024 for bytes, 1000 for rates),
 * and an optional fraction. */
int parse_size(const char *s, unsigned base, uint64_t *ret);

/* A time span as systemd.time(7): "5min 20s", "1.5h", "300ms"; a bare number counts `unit` microseconds.
 * "infinity" is USEC_INFINITY. */
int parse_timespan(const char *s, uint64_t unit, uint64_t *ret_usec);

/* Numbers and ranges, "0-3,7", parted by commas or blanks. Sets the bits of those in `mask`, which has `size` bytes and
 * is cleared first; ret_used (may be NULL) is how many of them are needed. */
int parse_number_set(const char *s, uint8_t *mask, size_t size, size_t *ret_used);

/* A process number: more than 0. */
int parse_pid(const char *s, pid_t *ret);

/* A user or group number: neither -1 nor the 16-bit one. */
int parse_uid(const char *s, uid_t *ret);

/* 16 bytes in hexadecimal, in the form of machine-id(5) or of a UUID. */
int parse_id128(const char *s, uint8_t ret[16]);

/* A signal by name, with or without "SIG", RTMIN+n and RTMAX-n, or by number. Returns it. */
int signal_from_string(const char *s);

/* The name with "SIG"; buf must hold SIGNAL_NAME_MAX bytes for those that have none. */
#define SIGNAL_NAME_MAX 16
const char *signal_to_string(int sig, char buf[SIGNAL_NAME_MAX]);
