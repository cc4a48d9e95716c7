/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "basic/os-release.h"
#include "test-dir.h"

static void test_fields(void)
{
        static const struct {
                const char *text, *key, *value;
        } table[] = {
                { "ID=debian\n", "ID", "debian" },
                { "ID=debian", "ID", "debian" },
                { "NAME=x\nID=debian\n", "ID", "debian" },
                { "VERSION_ID=12\nID=debian\n", "ID", "debian" },
                { "ID_LIKE=a\nID=b\n", "ID", "b" },
                { "NAME=\"Debian GNU/Linux\"\n", "NAME", "Debian GNU/Linux" },
                { "NAME='Debian \"x\"'\n", "NAME", "Debian \"x\"" },
                { "NAME=\"a\\\"b\\$c\\\\d\"\n", "NAME", "a\"b$c\\d" },
                { "NAME='a\\b'\n", "NAME", "a\\b" },
                { "NAME=\"ä €\"\n", "NAME", "ä €" },
                { "#NAME=x\n", "NAME", NULL },
                { "NAME=\n", "NAME", NULL },
                { "NAME=\"\"\n", "NAME", NULL },
                { "", "NAME", NULL },
                { "NAME", "NAME", NULL },
                { "NAME=\"a\x1b[31mb\"\n", "NAME", NULL },
                { "NAME=a\x01"
                  "b\n",
                  "NAME", NULL },
                { "NAME=a\xff\n", "NAME", NULL },
                { "NAME=\"a\xc2\x9b\"\n", "NAME", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *value = os_release_field(table[i].text, table[i].key);
                CHECK_TEXT(value, table[i].value);
        }
}

/* Whatever a file says, a field has an end. */
static void test_long_field(void)
{
        _cleanup_free_ char *text = malloc(100001);

        memcpy(text, "NAME=", 5);
        memset(text + 5, 'x', 99995);
        text[100000] = 0;
        _cleanup_free_ char *value = os_release_field(text, "NAME");
        CHECK(!value || strlen(value) <= 256);
}

static void test_files(void)
{
        _cleanup_close_ int fd = test_dir_open();
        _cleanup_free_ char *big = NULL;
        char *name = NULL, *id = NULL;

        CHECK_INT(os_release_read(fd, &name, &id), -ENOENT);

        mkdirat(fd, "etc", 0755);
        mkdirat(fd, "usr", 0755);
        mkdirat(fd, "usr/lib", 0755);
        test_put(fd, "usr/lib/os-release", "ID=there\nNAME=There\n");
        CHECK_INT(os_release_read(fd, &name, &id), 0);
        CHECK_TEXT(name, "There");
        CHECK_TEXT(id, "there");
        free(name), free(id);

        /* An absolute link stays in the tree. */
        symlinkat("/usr/lib/os-release", fd, "etc/os-release");
        CHECK_INT(os_release_read(fd, &name, NULL), 0);
        CHECK_TEXT(name, "There");
        free(name);

        unlinkat(fd, "etc/os-release", 0);
        test_put(fd, "etc/os-release", "ID=here\nPRETTY_NAME=\"Here 1\"\n");
        CHECK_INT(os_release_read(fd, &name, &id), 0);
        CHECK_TEXT(name, "Here 1");
        CHECK_TEXT(id, "here");
        free(name), free(id);

        test_put(fd, "etc/os-release", "PRETTY_NAME=\"bad\x1b[0m\"\nNAME=good\n");
        CHECK_INT(os_release_read(fd, &name, &id), 0);
        CHECK_TEXT(name, "good");
        CHECK_TEXT(id, NULL);
        free(name);

        /* A FIFO does not block, and a megabyte is refused. */
        unlinkat(fd, "etc/os-release", 0);
        CHECK_INT(mkfifoat(fd, "etc/os-release", 0644), 0);
        CHECK(os_release_read(fd, &name, &id) < 0);
        unlinkat(fd, "etc/os-release", 0);

        big = malloc(1 << 20);
        memset(big, 'x', 1 << 20);
        big[(1 << 20) - 1] = 0;
        test_put(fd, "etc/os-release", big);
        CHECK_INT(os_release_read(fd, &name, &id), -EFBIG);
}

int main(void)
{
        test_fields();
        test_long_field();
        test_files();
        return test_end();
}
