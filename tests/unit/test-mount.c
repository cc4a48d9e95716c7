/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/mount.h>

#include "spec/mount.h"
#include "test.h"

/* Options of binds and of file systems in memory: what they set, and which are none. */

static void test_bind(void)
{
        static const struct {
                const char *options;
                unsigned attr, propagation;
                IdMap id_map;
                bool recursive;
        } good[] = {
                { "", 0, MS_SLAVE, ID_MAP_AUTO, true },
                { "ro", MOUNT_ATTR_RDONLY, MS_SLAVE, ID_MAP_AUTO, true },
                { "ro,rw", 0, MS_SLAVE, ID_MAP_AUTO, true },
                { "nosuid,nodev,noexec,suid", MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, MS_SLAVE, ID_MAP_AUTO,
                  true },
                { "noatime,strictatime", MOUNT_ATTR_STRICTATIME, MS_SLAVE, ID_MAP_AUTO, true },
                { "noatime,relatime", 0, MS_SLAVE, ID_MAP_AUTO, true },
                { "rprivate,norbind,noidmap", 0, MS_PRIVATE, ID_MAP_NONE, false },
                { "defaults,x-mine=a\\:b,nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, MS_SLAVE, ID_MAP_AUTO, true },
        };
        static const char *const bad[] = { "shared", "rshared", "size=1", "ROOT", "ro rw", "=" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_mount_entry_ MountEntry entry = {};
                char text[128];
                snprintf(text, sizeof(text), "/a:/b:%s", good[i].options);
                CHECK_INT(mount_entry_parse_bind(text, &entry), 0);
                CHECK_INT(entry.attr, good[i].attr);
                CHECK_INT(entry.propagation, good[i].propagation);
                CHECK_INT(entry.id_map, good[i].id_map);
                CHECK_INT(entry.recursive, good[i].recursive);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_mount_entry_ MountEntry entry = {};
                char text[128];
                snprintf(text, sizeof(text), "/a:/b:%s", bad[i]);
                CHECK_INT(mount_entry_parse_bind(text, &entry), -EINVAL);
        }
}

static void test_tmpfs(void)
{
        static const struct {
                const char *options, *rest;
                unsigned attr;
                uid_t uid, gid;
        } good[] = {
                { "", "", 0, 0, 0 },
                { "size=10%,mode=1777", "size=10%,mode=1777", 0, 0, 0 },
                { "rw,noexec,nosuid,size=65536k", "size=65536k", MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID, 0,
                  0 },
                { "uid=5,nr_inodes=7,gid=6,ro", "nr_inodes=7", MOUNT_ATTR_RDONLY, 5, 6 },
        };
        static const char *const bad[] = { "size=",          "size",        "uid=root", "uid=-1",
                                           "uid=4294967295", "upperdir=/x", "perhaps" };

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_mount_entry_ MountEntry entry = {};
                char text[128];
                snprintf(text, sizeof(text), "/a:%s", good[i].options);
                CHECK_INT(mount_entry_parse_tmpfs(text, &entry), 0);
                CHECK_TEXT(entry.options, good[i].rest);
                CHECK_INT(entry.attr, good[i].attr);
                CHECK_INT(entry.uid, good[i].uid);
                CHECK_INT(entry.gid, good[i].gid);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_mount_entry_ MountEntry entry = {};
                char text[128];
                snprintf(text, sizeof(text), "/a:%s", bad[i]);
                CHECK_INT(mount_entry_parse_tmpfs(text, &entry), -EINVAL);
        }
}

int main(void)
{
        test_bind();
        test_tmpfs();
        return test_end();
}
