/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/str.h"

/* Gives an overlay that is being made (fsopen(2)) its lower layers, topmost first. */
int overlay_add_lowers(int fs_fd, const Strv paths);
