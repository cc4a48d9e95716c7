/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/usage.h"

extern const Verb verbs[];
extern const Option options[];
