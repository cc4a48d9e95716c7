/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"

/* Container Device Interface (github.com/cncf-tags/container-device-interface, SPEC.md 0.8): devices by the names that
 * their vendors give them in JSON files, "vendor.com/class=name". */

/* Whether a device is called in the way of CDI: VENDOR/CLASS=NAME. */
bool cdi_name_valid(const char *name) _pure_;

/* Replaces the CDI names among the devices of a spec by what they stand for: device nodes, binds, environment. The
 * files are the administrator's (/etc/cdi, /var/run/cdi). -EINVAL and a text for a name that no file knows, and for
 * edits that cannot be made. */
int cdi_expand(Spec *spec, char **ret_error);
