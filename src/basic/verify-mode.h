/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/macro.h"

/* How a download is verified. */
typedef enum VerifyMode {
        VERIFY_DEFAULT, /* the mode of the source, else by signature */
        VERIFY_NO,
        VERIFY_CHECKSUM,
        VERIFY_SIGNATURE,
        _VERIFY_MODE_MAX,
} VerifyMode;

/* Parses "", "no", "checksum" or "signature". -EINVAL for another text. */
int verify_mode_from_string(const char *s);
