/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Prints the bounding set of a profile for the build: PROFILE boot|run. */

#include <inttypes.h>

#include "sandbox/privileges.h"
#include "spec/types.h"

int main(int argc, char *argv[])
{
        Spec spec = { .private_network = true };

        if (argc != 3 || setting_type_profile.parse(&setting_type_profile, &spec.profile, argv[1]) < 0)
                return EXIT_FAILURE;
        spec.boot = streq(argv[2], "boot");
        printf("%" PRIx64 "\n", capability_bounding_set(&spec));
        return EXIT_SUCCESS;
}
