/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "basic/macro.h"

/* Whether the name of a device is a CDI name (cdi.h): VENDOR/CLASS=NAME. */
bool cdi_name_valid(const char *name) _pure_;
