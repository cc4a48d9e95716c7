/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/str.h"

/* Reads os-release(5) of a tree. A container controls the file, so its size is limited and fields with
 * control characters are left out. ret_pretty_name is PRETTY_NAME, or else NAME, or else ID; ret_id is ID.
 * Either may be NULL; a missing field is returned as NULL. -ENOENT if the tree has no such file. The caller
 * frees both. */
int os_release_read(int root_fd, char **ret_pretty_name, char **ret_id);

/* Reads all fields of os-release(5): key, value, key, value, and so on. Same limits and errors as
 * os_release_read(). */
int os_release_read_all(int root_fd, Strv *ret);

/* Reads all fields of machine-info(5), in the form of os_release_read_all(). */
int machine_info_read_all(int root_fd, Strv *ret);

/* Returns the unquoted value of a field in a text of this format, cut off after `max` bytes (at most 4096).
 * NULL if the field is missing, is empty or has control characters. The caller frees the value. */
char *env_file_field(const char *text, const char *key, size_t max);

/* env_file_field() with at most 256 bytes. */
char *os_release_field(const char *text, const char *key);
