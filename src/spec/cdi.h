/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "spec/spec.h"

/* Container Device Interface (github.com/cncf-tags/container-device-interface, SPEC.md 0.8). Vendors name
 * devices in JSON files, "vendor.com/class=name". */

/* Replaces the CDI names among the devices of a spec by the device nodes, binds and environment variables
 * that they stand for. The files are the administrator's (/etc/cdi, /var/run/cdi). -EINVAL and a text if no
 * file has a name, or if an edit is not supported. */
int cdi_expand(Spec *spec, char **ret_error);
