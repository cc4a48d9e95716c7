/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/str.h"

/* Reads os-release(5) of a tree, which is the container's word: bounded, and a field with control characters is
 * left out. ret_pretty_name (PRETTY_NAME, else NAME, else ID) and ret_id (ID) may be NULL; what is not there is set
 * to NULL. -ENOENT where there is no such file. The caller frees both. */
int os_release_read(int root_fd, char **ret_pretty_name, char **ret_id);

/* All fields, keys and values by turns. The same errors. */
int os_release_read_all(int root_fd, Strv *ret);

/* The same of machine-info(5). */
int machine_info_read_all(int root_fd, Strv *ret);

/* One value of a file in that format, of at most `max` bytes (4096), unquoted; NULL where it is missing or unclean. */
char *env_file_field(const char *text, const char *key, size_t max);

/* The same with at most 256 bytes. */
char *os_release_field(const char *text, const char *key);
