/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"
#include "state/scope.h"

/* The files of a machine, in the order of mctl.machine(5). */

/* Lists the paths of all files of a machine, in order of rising priority. */
int spec_list_files(const Scope *scope, const char *name, Strv *ret);

/* Lists the names of all machines that have a file. */
int spec_list_names(const Scope *scope, Strv *ret);

/* Finds the main file of a machine. The caller frees the path. -ENOENT if the machine has none. */
int spec_find_file(const Scope *scope, const char *name, char **ret_path);

/* Reads a file with spec_read_file(). The suffix ".nspawn" tells a file of systemd-nspawn. Returns 1, or 0
 * if the file is missing. */
int spec_read_path(Spec *spec, SpecSource source, const char *path, Strv *warnings, char **ret_error);

/* Reads all files of a machine. Returns 1 if the machine has a main file, else 0. `image_file` is the file
 * that came with the image, or NULL. */
int spec_load(const Scope *scope, Spec *spec, const char *image_file, Strv *warnings, char **ret_error);

/* Makes the final spec of a machine: reads the file that came with the image, then the machine's files, then
 * the JSON text of the command line (or NULL). Without a name, the machine gets a name from its image.
 * Without an image, the machine runs from the image of its own name. The result is validated. Returns as
 * spec_load(). */
int spec_merge(const Scope *scope, const char *name, const char *json, Spec **ret, Strv *warnings,
               char **ret_error);
