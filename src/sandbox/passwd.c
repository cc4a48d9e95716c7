/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>

#include "basic/parse.h"
#include "basic/rootfs.h"
#include "basic/str.h"
#include "sandbox/passwd.h"

#define DATABASE_MAX (1024U * 1024U)
#define GROUPS_MAX   1024U

void person_clear(Person *person)
{
        free(person->groups);
        free(person->name);
        free(person->home);
        free(person->shell);
        *person = (Person){};
}

/* Splits a line at colons. Returns the number of fields, at most n. */
static size_t split_fields(char *line, char **fields, size_t n)
{
        size_t i = 0;

        for (char *p = line; p && i < n; i++) {
                fields[i] = p;
                p = strchr(p, ':');
                if (p)
                        *p++ = 0;
        }
        return i;
}

static int add_group(Person *person, gid_t gid)
{
        for (size_t i = 0; i < person->n_groups; i++)
                if (person->groups[i] == gid)
                        return 0;
        if (person->n_groups >= GROUPS_MAX)
                return -E2BIG;
        gid_t *p = reallocarray(person->groups, person->n_groups + 1, sizeof(gid_t));
        OOM_CHECK(p);
        person->groups = p;
        p[person->n_groups++] = gid;
        return 0;
}

/* name:password:uid:gid:comment:home:shell */
static int find_passwd(char *text, const char *user, bool numeric, Person *person)
{
        for (char *state, *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                char *f[7];
                uid_t uid, gid;

                if (split_fields(line, f, 7) < 7 || parse_uid(f[2], &uid) < 0 || parse_uid(f[3], &gid) < 0)
                        continue;
                if (numeric ? uid != person->uid : !streq(f[0], user))
                        continue;
                person->uid = uid;
                person->gid = gid;
                person->name = str_is_clean(f[0]) ? strdup(f[0]) : NULL;
                person->home = str_is_clean(f[5]) && f[5][0] == '/' ? strdup(f[5]) : NULL;
                person->shell = str_is_clean(f[6]) && f[6][0] == '/' ? strdup(f[6]) : NULL;
                return 1;
        }
        return 0;
}

/* name:password:gid:member,… */
static int find_groups(char *text, Person *person)
{
        for (char *state, *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                char *f[4], *members;
                gid_t gid;

                if (split_fields(line, f, 4) < 4 || parse_uid(f[2], &gid) < 0)
                        continue;
                for (char *member = strtok_r(f[3], ",", &members); member;
                     member = strtok_r(NULL, ",", &members))
                        if (streq(member, person->name)) {
                                int r = add_group(person, gid);
                                if (r < 0)
                                        return r;
                                break;
                        }
        }
        return 0;
}

static int read_database(int root_fd, const char *path, char **ret)
{
        int r = rootfs_read_file(root_fd, path, DATABASE_MAX, ret, NULL);

        if (r != -ENOENT)
                return r;
        *ret = strdup("");
        return *ret ? 0 : -ENOMEM;
}

int person_find(int root_fd, const char *user, Person *ret)
{
        _cleanup_free_ char *passwd = NULL, *group = NULL;
        _cleanup_person_ Person person = {};
        bool numeric = isdigit((unsigned char) user[0]);
        int r;

        if (numeric && parse_uid(user, &person.uid) < 0)
                return -EINVAL;
        r = read_database(root_fd, "/etc/passwd", &passwd);
        if (r >= 0)
                r = find_passwd(passwd, user, numeric, &person);
        if (r < 0)
                return r;
        if (r == 0 && !numeric && streq(user, "root"))
                person.name = strdup("root"); /* a tree without a database has a root, too */
        else if (r == 0 && !numeric)
                return -ESRCH;

        r = add_group(&person, person.gid);
        if (r >= 0 && person.name)
                r = read_database(root_fd, "/etc/group", &group);
        if (r >= 0 && group)
                r = find_groups(group, &person);
        if (r < 0)
                return r;
        *ret = person;
        person = (Person){};
        return 0;
}
