/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/names.h"
#include "test.h"

#define A16 "aaaaaaaaaaaaaaaa"
#define A64 A16 A16 A16 A16

static const char *const valid[] = {
        "a",  "Z",    "0",     "web",     "web-1", "web.example.org",   "a_b",
        "_a", "a--b", "1.2.3", "x-y.z-w", A64,     A16 "." A16 "-" A16,
};

static const char *const invalid[] = {
        "",    ".",      "..",  "-",   "-a",  "a-", "a.",  ".a",      "a..b", "a.-b", "a-.b",  "a b",
        "a/b", "../etc", "a\n", "a@b", "a:b", "ä",  "a%i", "a\\x2db", "a*",   "a+b",  A64 "a",
};

static void test_validity(void)
{
        for (size_t i = 0; i < ELEMENTSOF(valid); i++)
                if (!CHECK(machine_name_valid(valid[i])))
                        fprintf(stderr, "\tthat is: '%s'\n", valid[i]);
        for (size_t i = 0; i < ELEMENTSOF(invalid); i++)
                if (!CHECK(!machine_name_valid(invalid[i])))
                        fprintf(stderr, "\tthat is: '%s'\n", invalid[i]);
}

static void test_units(void)
{
        for (size_t i = 0; i < ELEMENTSOF(valid); i++)
                for (MachineUnitKind kind = 0; kind < _MACHINE_UNIT_KIND_MAX; kind++) {
                        _cleanup_free_ char *unit = machine_unit_name(kind, valid[i]), *name = NULL;
                        MachineUnitKind kind_back = _MACHINE_UNIT_KIND_MAX;

                        CHECK(unit && strlen(unit) <= UNIT_NAME_MAX);
                        CHECK_INT(machine_name_from_unit(unit, &name, &kind_back), 0);
                        CHECK_TEXT(name, valid[i]);
                        CHECK_INT(kind_back, kind);
                }

        _cleanup_free_ char *a = machine_unit_name(MACHINE_UNIT_TRANSIENT, "web-1");
        _cleanup_free_ char *b = machine_unit_name(MACHINE_UNIT_TEMPLATE, "web-1");
        CHECK_TEXT(a, "machine-web\\x2d1.service");
        CHECK_TEXT(b, "container@web-1.service");
}

static void test_alien_units(void)
{
        static const char *const units[] = {
                "",
                ".service",
                "machine-.service",
                "container@.service",
                "machine.slice",
                "machine-web.scope",
                "machine-web.slice",
                "ssh.service",
                "machine-web",
                "machine-a..b.service",
                "machine-a\\x20b.service",
                "container@a/b.service",
                "machine-" A64 "a.service",
                "xmachine-a.service",
                "machine-qemu\\x2d.service",
                "container@a@b.service",
        };

        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                char *name = NULL;
                MachineUnitKind kind;
                if (!CHECK_INT(machine_name_from_unit(units[i], &name, &kind), -EINVAL))
                        fprintf(stderr, "\tthat is: '%s'\n", units[i]);
        }
        for (size_t i = 0; machine_unit_patterns[i]; i++)
                CHECK(strchr(machine_unit_patterns[i], '*'));
}

static void test_from(void)
{
        static const struct {
                const char *in, *out;
        } table[] = {
                { "debian", "debian" },
                { "Debian 12", "Debian-12" },
                { "debian.raw", "debian.raw" },
                { ".hidden", "hidden" },
                { "--a--", "a" },
                { "a///b", "a-b" },
                { "ubuntu:24.04", "ubuntu-24.04" },
                { "a.-b", "a.b" },
                { A64 "bbbb", A64 },
                { "", NULL },
                { "...", NULL },
                { "-/-", NULL },
                { "€", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *name = NULL;
                CHECK_INT(machine_name_from(table[i].in, &name), table[i].out ? 0 : -EINVAL);
                CHECK_TEXT(name, table[i].out);
                CHECK(!name || machine_name_valid(name));
        }
}

static void test_images(void)
{
        char longest[257];

        CHECK(image_name_valid("debian"));
        CHECK(image_name_valid("Debian 12 (ä)"));
        CHECK(!image_name_valid(""));
        CHECK(!image_name_valid("."));
        CHECK(!image_name_valid(".."));
        CHECK(!image_name_valid(".hidden"));
        CHECK(!image_name_valid("a/b"));
        CHECK(!image_name_valid("a\nb"));
        CHECK(!image_name_valid("a\xff"));
        memset(longest, 'a', 256);
        longest[256] = 0;
        CHECK(!image_name_valid(longest));
        longest[255] = 0;
        CHECK(image_name_valid(longest));
}

int main(void)
{
        test_validity();
        test_units();
        test_alien_units();
        test_from();
        test_images();
        return test_end();
}
