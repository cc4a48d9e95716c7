/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Images of a store and what changes them, as far as that needs neither root nor btrfs nor a mount. */

#include "basic/names.h"
#include "state/scope.h"
#include "store/image.h"
#include "store/stack.h"
#include "store/store.h"
#include "test-dir.h"

static int dir_fd; /* in which each test has a store of its own */

/* --- the store ----------------------------------------------------------------------------------------- */

/* What has a hidden name is swept away by who is alone. */
static void test_open(void)
{
        _cleanup_free_ char *path = strf("%s/open", test_dir_path);
        _cleanup_close_ int first_fd = store_open(path);

        if (!CHECK(first_fd >= 0))
                return;
        test_put(first_fd, TREE_HIDDEN "1", "");
        test_put(first_fd, ".hidden", "");
        /* The first is still at work. */
        _cleanup_close_ int second_fd = store_open(path);
        CHECK(test_exists(second_fd, TREE_HIDDEN "1"));
        CHECK(test_exists(second_fd, ".hidden"));

        _cleanup_free_ char *other = strf("%s/open2", test_dir_path);
        static const char *const paths[] = { TREE_HIDDEN "2", TREE_HIDDEN "2/etc", "tree", NULL };
        _cleanup_close_ int fd = test_put_dir(dir_fd, "open2");
        test_put_dirs(fd, paths);
        test_put(fd, TREE_HIDDEN "1", "");
        test_put(fd, ".hidden", "");
        _cleanup_close_ int third_fd = store_open(other);
        CHECK(third_fd >= 0);
        CHECK(!test_exists(fd, TREE_HIDDEN "1") && !test_exists(fd, TREE_HIDDEN "2"));
        CHECK(test_exists(fd, ".hidden") && test_exists(fd, "tree"));
        CHECK_INT(store_open("/dev/null/x"), -ENOTDIR);
}

static void test_locks(void)
{
        _cleanup_close_ int store_fd = test_put_dir(dir_fd, "locks");
        StoreLock one = { .fd = -EBADF }, two = { .fd = -EBADF };

        test_put(store_fd, "x.raw", "");
        CHECK_INT(store_lock_image(store_fd, "x", true, &one), 0);
        CHECK(test_exists(store_fd, ".#x.raw.lck"));
        CHECK_INT(store_lock_image(store_fd, "x", true, &two), -EBUSY);
        CHECK_INT(store_lock_image(store_fd, "x", false, &two), -EBUSY);
        CHECK_INT(store_lock_image(store_fd, "y", true, &two), 0);
        CHECK(test_exists(store_fd, ".#y.lck"));
        store_unlock_image(&two);
        store_unlock_image(&one);
        CHECK_INT(one.fd, -EBADF);
        store_unlock_image(&one);
        CHECK_INT(test_count(store_fd, "."), 1);

        CHECK_INT(store_lock_image(store_fd, "x", false, &one), 0);
        CHECK_INT(store_lock_image(store_fd, "x", false, &two), 0);
        store_unlock_image(&one);
        /* The other one has it still. */
        CHECK(test_exists(store_fd, ".#x.raw.lck"));
        CHECK_INT(store_lock_image(store_fd, "x", true, &one), -EBUSY);
        store_unlock_image(&two);
        CHECK_INT(test_count(store_fd, "."), 1);
}

static void put_new(int store_fd, ImageType type, const char *name, bool replacing, int expected)
{
        _cleanup_free_ char *hidden = NULL;

        CHECK_INT(store_begin(store_fd, type, &hidden), 0);
        CHECK(startswith(hidden, TREE_HIDDEN) && test_exists(store_fd, hidden));
        if (!CHECK_INT(store_commit(store_fd, type, hidden, name, replacing), expected))
                fprintf(stderr, "\tthat is: %s\n", name);
        CHECK_INT(store_destroy(store_fd, hidden, NULL), 0);
        CHECK(!test_exists(store_fd, hidden));
}

static void check_list(int store_fd, bool all, const char *expected)
{
        _cleanup_strv_ Strv names = NULL;

        CHECK_INT(store_list(store_fd, all, &names), 0);
        _cleanup_free_ char *joined = test_join_sorted(names);
        CHECK_TEXT(joined, expected);
}

static void test_changes(void)
{
        static const char *const paths[] = { "lost+found", "old.stack", ".kept", "both", LAYERS_DIR, NULL };
        _cleanup_close_ int store_fd = test_put_dir(dir_fd, "changes");
        _cleanup_free_ char *hidden = NULL;
        ImageType type;

        put_new(store_fd, IMAGE_DIRECTORY, "tree", false, 0);
        put_new(store_fd, IMAGE_RAW, "disk", false, 0);
        CHECK(test_exists(store_fd, "tree") && test_exists(store_fd, "disk.raw"));
        /* A name is taken, whatever type has it. */
        put_new(store_fd, IMAGE_DIRECTORY, "disk", false, -EEXIST);
        put_new(store_fd, IMAGE_RAW, "tree", false, -EEXIST);
        test_put(store_fd, "file", "");
        put_new(store_fd, IMAGE_DIRECTORY, "file", false, -EEXIST);
        put_new(store_fd, IMAGE_DIRECTORY, "file", true, -ENOTDIR);
        put_new(store_fd, IMAGE_RAW, "tree", true, 0);
        CHECK(!test_exists(store_fd, "tree") && test_exists(store_fd, "tree.raw"));
        test_put(store_fd, "tree.raw", "old");
        put_new(store_fd, IMAGE_RAW, "tree", true, 0);
        struct stat st;
        CHECK(fstatat(store_fd, "tree.raw", &st, 0) >= 0 && st.st_size == 0);

        test_put_dirs(store_fd, paths);
        test_put(store_fd, "disk.nspawn", "[Exec]\n");
        test_put(store_fd, ".gone.raw", "");
        test_put(store_fd, "both.raw", ""); /* nobody gets at that */
        check_list(store_fd, true, ".gone .kept both disk old tree");
        check_list(store_fd, false, ".gone .kept");
        CHECK(store_has(store_fd, "disk") && store_has(store_fd, "file") && store_has(store_fd, "old"));
        CHECK(!store_has(store_fd, "new"));

        /* What stands beside an image goes where it goes. */
        test_put(store_fd, "disk.roothash", "00\n");
        CHECK_INT(store_rename(store_fd, "disk", "tree"), -EEXIST);
        CHECK_INT(store_rename(store_fd, "nothing", "x"), -ENOENT);
        CHECK_INT(store_rename(store_fd, "disk", "new"), 0);
        CHECK(test_exists(store_fd, "new.raw") && test_exists(store_fd, "new.nspawn") &&
              test_exists(store_fd, "new.roothash"));
        CHECK(!test_exists(store_fd, "disk.raw") && !test_exists(store_fd, "disk.nspawn") &&
              !test_exists(store_fd, "disk.roothash"));

        CHECK_INT(store_open_versioned(store_fd, "new", true, &type), -EOPNOTSUPP);
        CHECK_INT(store_open_tree(store_fd, "new"), -ENOTDIR);
        _cleanup_close_ int tree_fd = store_open_tree(store_fd, ".kept");
        CHECK(tree_fd >= 0);
        CHECK_INT(store_open_versioned(store_fd, ".kept", false, &type), -EOPNOTSUPP);
        CHECK_INT(type, IMAGE_DIRECTORY);
        CHECK_INT(store_set_limit(store_fd, "new", 7), -ENOTDIR);
        CHECK(store_get_limit(store_fd, "new") == UINT64_MAX);
        CHECK_INT(store_enable_quotas(store_fd, ".kept"), -EOPNOTSUPP);

        CHECK_INT(store_hide(store_fd, "nothing", &hidden), -ENOENT);
        CHECK_INT(store_set_read_only(store_fd, "new", true), 0);
        CHECK_INT(store_hide(store_fd, "new", &hidden), 0);
        CHECK(!store_has(store_fd, "new") && test_exists(store_fd, hidden) &&
              !test_exists(store_fd, "new.nspawn") && !test_exists(store_fd, "new.roothash"));
        CHECK_INT(store_destroy_image(store_fd, hidden, NULL), 0);
        CHECK(!test_exists(store_fd, hidden));
}

static void test_clone(void)
{
        _cleanup_close_ int store_fd = test_put_dir(dir_fd, "clone");
        TreeCopy copy = TREE_COPY_ALL;
        _cleanup_free_ char *text = NULL;
        struct stat st;

        test_put(store_fd, "disk.raw", "data");
        test_put(store_fd, "disk.nspawn", "[Exec]\n");
        CHECK_INT(store_clone(store_fd, "nothing", "x", 0, &copy), -ENOENT);
        CHECK_INT(store_clone(store_fd, "disk", "disk", 0, &copy), -EEXIST);
        CHECK_INT(store_clone(store_fd, "disk", "other", STORE_READ_ONLY, &copy), 0);
        CHECK_INT(file_read_at(store_fd, "other.raw", 16, &text, NULL), 0);
        CHECK_TEXT(text, "data");
        CHECK(fstatat(store_fd, "other.raw", &st, 0) >= 0 && !(st.st_mode & 0222));
        CHECK(fstatat(store_fd, "disk.raw", &st, 0) >= 0 && (st.st_mode & 0200));
        CHECK(test_exists(store_fd, "other.nspawn"));
        /* A copy of what is read-only is not. */
        CHECK_INT(store_clone(store_fd, "other", "third", 0, &copy), 0);
        CHECK(fstatat(store_fd, "third.raw", &st, 0) >= 0 && (st.st_mode & 0200));
        CHECK_INT(test_count(store_fd, "."), 6);
}

/* --- images -------------------------------------------------------------------------------------------- */

static void check_image(int store_fd, const char *name, ImageType expected, const char *expected_file)
{
        _cleanup_free_ char *file = NULL;
        ImageType type = _IMAGE_TYPE_MAX;
        _cleanup_close_ int fd = image_open_in(store_fd, name, O_NOFOLLOW, &type, &file);

        if (type == IMAGE_SUBVOLUME)
                type = IMAGE_DIRECTORY;
        if (!expected_file)
                CHECK_INT(fd, -ENOENT);
        else
                CHECK_INT(type, expected);
        CHECK_TEXT(file, expected_file);
}

static void test_types(void)
{
        static const char *const paths[] = { "tree", "both", "stack.stack", "wrong.raw", NULL };
        _cleanup_close_ int store_fd = test_put_dir(dir_fd, "types");
        char name[300];

        test_put_dirs(store_fd, paths);
        test_put(store_fd, "disk.raw", "");
        test_put(store_fd, "both.raw", "");
        test_put(store_fd, "file", "");
        test_put(store_fd, "mixed", "");
        test_put(store_fd, "mixed.raw", "");
        test_put(store_fd, "wrong.stack", "");
        CHECK(symlinkat("tree", store_fd, "link") >= 0 && symlinkat("disk.raw", store_fd, "link2.raw") >= 0);
        check_image(store_fd, "tree", IMAGE_DIRECTORY, "tree");
        check_image(store_fd, "disk", IMAGE_RAW, "disk.raw");
        check_image(store_fd, "stack", IMAGE_STACK, "stack.stack");
        check_image(store_fd, "both", IMAGE_DIRECTORY, "both");
        check_image(store_fd, "mixed", IMAGE_RAW, "mixed.raw");
        check_image(store_fd, "file", 0, NULL);
        check_image(store_fd, "wrong", 0, NULL);
        check_image(store_fd, "nothing", 0, NULL);
        check_image(store_fd, "link", 0, NULL);
        check_image(store_fd, "link2", 0, NULL);
        memset(name, 'x', sizeof(name));
        name[sizeof(name) - 1] = 0;
        check_image(store_fd, name, 0, NULL);
        name[254] = 0;
        check_image(store_fd, name, 0, NULL);
        /* Who follows links has what they point to. */
        ImageType type = _IMAGE_TYPE_MAX;
        _cleanup_close_ int fd = image_open_in(store_fd, "link2", 0, &type, NULL);
        CHECK(fd >= 0);
        CHECK_INT(type, IMAGE_RAW);
        for (ImageType t = 0; t < _IMAGE_TYPE_MAX; t++)
                CHECK(!isempty(image_type_to_string(t)));
}

static void test_names(void)
{
        static const struct {
                const char *file, *name;
        } files[] = {
                { "x", "x" },
                { "x.raw", "x" },
                { "x.stack", "x" },
                { "x.RAW", "x.RAW" },
                { "x.raw.", "x.raw." },
                { "x.raw.stack", "x.raw" },
                { "x.stack.raw", "x.stack" },
                { "xraw", "xraw" },
                { ".raw", NULL },
                { ".stack", NULL },
                { "", NULL },
                { ".x", NULL },
                { "a/b", NULL },
                { "a\nb.raw", NULL },
                { "a b.raw", "a b" },
        };
        static const char *const bad[] = { "x.raw",    "x.stack",       ".x",         "",
                                           "a b",      "a/b",           "x.nspawn",   "x.roothash",
                                           "x.verity", "x.usrhash.p7s", "lost+found", "..",
                                           "a\tb" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *name = NULL;
                CHECK_INT(image_name_from_file(files[i].file, &name), files[i].name ? 0 : -EINVAL);
                CHECK_TEXT(name, files[i].name);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (!CHECK(!image_new_name_valid(bad[i])))
                        fprintf(stderr, "\tthat is: '%s'\n", bad[i]);
        CHECK(image_new_name_valid("debian") && image_new_name_valid("a.b") && image_new_name_valid("raw"));
}

/* The message of image_find(), which begins and ends with these, around the store or the directory. */
static void check_missing(const Scope *scope, const char *image, int expected, const char *said)
{
        _cleanup_free_ char *path = NULL, *error = NULL;

        CHECK_INT(image_find(scope, image, &path, &error), expected);
        CHECK_TEXT(error, said);
        CHECK(!path);
}

static void check_found(const Scope *scope, const char *image, const char *expected)
{
        _cleanup_free_ char *path = NULL, *error = NULL;

        CHECK_INT(image_find(scope, image, &path, &error), 0);
        CHECK_TEXT(path, expected);
        CHECK(!error);
}

static void test_find(void)
{
        static const char *const paths[] = { "machines", "machines/tree", "machines/stack.stack", NULL };
        _cleanup_close_ int scope_fd = test_put_dir(dir_fd, "scope");
        _cleanup_free_ char *dir = strf("%s/scope", test_dir_path), *store = strf("%s/machines", dir),
                            *tree = strf("%s/tree", store), *disk = strf("%s/disk.raw", store),
                            *stack = strf("%s/stack.stack", store), *fifo = strf("%s/fifo", dir),
                            *gone = strf("%s/gone", dir), *link = strf("%s/link", dir);
        _cleanup_scope_ Scope *scope = NULL;

        if (setenv("MCTL_SCOPE", dir, true) < 0 || setenv("XDG_RUNTIME_DIR", dir, true) < 0 ||
            scope_new(&scope) < 0)
                abort();
        CHECK_TEXT(scope->store, store);
        _cleanup_free_ char *missing = strf("No image 'tree' in %s.", store);
        check_missing(scope, "tree", -ENOENT, missing);
        test_put_dirs(scope_fd, paths);
        test_put(scope_fd, "machines/disk.raw", "");
        test_put(scope_fd, "machines/file", "");
        CHECK(mkfifoat(scope_fd, "fifo", 0600) >= 0 && symlinkat("/", scope_fd, "link") >= 0);

        check_found(scope, "tree", tree);
        check_found(scope, "disk", disk);
        check_found(scope, "stack", stack);
        check_found(scope, tree, tree);
        check_found(scope, disk, disk);

        _cleanup_free_ char *none = strf("No image 'disk.rw' in %s.", store),
                            *wrong = strf("'file' in %s is not an image. An image is a directory, or a disk "
                                          "NAME.raw.",
                                          store),
                            *neither = strf("Image '%s' is neither a directory nor a disk.", fifo),
                            *cannot = strf("Cannot open image '%s': No such file or directory.", gone);
        check_missing(scope, "disk.rw", -ENOENT, none);
        check_missing(scope, "file", -ENOENT, wrong);
        check_missing(scope, fifo, -ENOTDIR, neither);
        check_missing(scope, gone, -ENOENT, cannot);
        check_missing(scope, "/", -EBUSY, "The root directory of the host cannot be used as an image.");
        check_missing(scope, link, -EBUSY, "The root directory of the host cannot be used as an image.");
        check_missing(scope, "", -EINVAL, "Invalid name of an image: ''.");
        check_missing(scope, "../tree", -EINVAL, "Invalid name of an image: '../tree'.");
        check_missing(scope, "./tree", -EINVAL, "Invalid name of an image: './tree'.");
        check_missing(scope, ".host", -EINVAL, "Invalid name of an image: '.host'.");
        check_missing(scope, "a\033[1mb", -EINVAL, "Invalid name of an image: 'a\\x1b[1mb'.");
        check_missing(scope, "docker.io/library/alpine", -ENOENT,
                      "'docker.io/library/alpine' is an OCI image, and there is none of that name here.");
}

static void test_read_only(void)
{
        _cleanup_close_ int store_fd = test_put_dir(dir_fd, "read-only");

        test_put(store_fd, "disk.raw", "");
        fd_close(test_put_dir(store_fd, "tree"));
        _cleanup_close_ int disk_fd = openat(store_fd, "disk.raw", O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int tree_fd = openat(store_fd, "tree", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(!image_is_read_only(disk_fd) && !image_is_read_only(tree_fd));
        CHECK_INT(store_set_read_only(store_fd, "disk", true), 0);
        CHECK(image_is_read_only(disk_fd));
        CHECK(fchmod(disk_fd, 0664) >= 0);
        CHECK_INT(store_set_read_only(store_fd, "disk", true), 0);
        CHECK(image_is_read_only(disk_fd));
        /* The group's right to write counts as well. */
        CHECK(fchmod(disk_fd, 0460) >= 0);
        CHECK(!image_is_read_only(disk_fd));
        CHECK_INT(store_set_read_only(store_fd, "disk", false), 0);
        CHECK(!image_is_read_only(disk_fd));
        /* The mode of a directory is for who is in it. */
        CHECK(fchmod(tree_fd, 0555) >= 0);
        CHECK(!image_is_read_only(tree_fd));
        CHECK_INT(store_set_read_only(store_fd, "nothing", true), -ENOENT);
}

static void test_inspect(void)
{
        static const char *const paths[] = { "etc", "sbin", "usr", "usr/lib", "usr/lib/systemd", NULL };
        _cleanup_close_ int root_fd = test_put_dir(dir_fd, "inspect");
        ImageInfo info = {};

        CHECK_INT(image_inspect(root_fd, &info), 0);
        CHECK(!info.init && !info.uuid[0] && !info.has_localtime);
        test_put_dirs(root_fd, paths);
        test_put(root_fd, "usr/lib/systemd/systemd", "");
        test_put(root_fd, "etc/machine-id", "uninitialized\n");
        CHECK(symlinkat("../usr/lib/systemd/systemd", root_fd, "sbin/init") >= 0);
        CHECK(symlinkat("/nowhere", root_fd, "etc/localtime") >= 0);
        /* What nobody may execute is no init. */
        CHECK_INT(image_inspect(root_fd, &info), 0);
        CHECK(!info.init && !info.uuid[0]);
        CHECK(fchmodat(root_fd, "usr/lib/systemd/systemd", 0755, 0) >= 0);
        test_put(root_fd, "etc/machine-id", "0123456789abcdef0123456789abcdef\n");
        CHECK_INT(image_inspect(root_fd, &info), 0);
        CHECK_TEXT(info.init, "/usr/lib/systemd/systemd");
        CHECK_TEXT(info.uuid, "0123456789abcdef0123456789abcdef");
        image_info_clear(&info);
        CHECK(unlinkat(root_fd, "sbin/init", 0) >= 0);
        CHECK(renameat(root_fd, "usr/lib/systemd/systemd", root_fd, "sbin/init") >= 0);
        test_put(root_fd, "etc/machine-id", "00000000000000000000000000000000\n");
        CHECK_INT(image_inspect(root_fd, &info), 0);
        CHECK_TEXT(info.init, "/sbin/init");
        CHECK_TEXT(info.uuid, "");
        image_info_clear(&info);
}

int main(void)
{
        dir_fd = test_dir_open();
        (void) umask(022);
        test_open();
        test_locks();
        test_changes();
        test_clone();
        test_types();
        test_names();
        test_find();
        test_read_only();
        test_inspect();
        fd_close(dir_fd);
        return test_end();
}
