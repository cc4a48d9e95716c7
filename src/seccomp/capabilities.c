/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* PROFILE boot|run: prints the bounding set of a profile. Only the build runs this program. */

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
