/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

#include "manager/policy.h"

/* Asks polkit (org.freedesktop.PolicyKit1) for the manager. The number of open questions is limited, in all
 * and for each user. */

typedef struct Polkit {
        sd_bus *bus;
        struct PolkitQuestion *questions;
        unsigned n_questions;
} Polkit;

/* Asks a question. A negative errno if the question was not asked, so that `told` is not called: -EUSERS
 * above the limit of questions, -EACCES if the caller has ended. */
int polkit_ask(Polkit *polkit, const PolicyQuestion *question);
