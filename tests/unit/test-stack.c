/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Manifests and layers of stacks, as far as that needs neither root nor btrfs nor a mount. What marks a
 * stack that has not got its name yet only root can write: without, that is left out. */

#include <sys/file.h>
#include <sys/xattr.h>

#include "basic/names.h"
#include "store/stack.h"
#include "store/store.h"
#include "test-dir.h"

#define A "00000000000000aa"
#define B "00000000000000bb"
#define C "00000000000000cc"
#define D "00000000000000dd"

static int dir_fd; /* in which each test has a store of its own */

static void put_stack(int store_fd, const char *file, const char *manifest)
{
        _cleanup_free_ char *path = strf("%s/manifest.json", file);

        fd_close(test_put_dir(store_fd, file));
        test_put(store_fd, path, manifest);
}

static bool can_mark(void)
{
        return fsetxattr(dir_fd, "trusted.mctl.test", "", 0, 0) >= 0;
}

/* --- manifests ----------------------------------------------------------------------------------------- */

#define LIST(...) ((char *[]){ __VA_ARGS__, NULL })

static void test_manifest(void)
{
        Snapshot snapshots[] = {
                { (char *) "first", 1, { LIST((char *) C), NULL, 0 } },
                { (char *) "second one", 1700000000000000, { NULL, (char *) "debian", UINT64_MAX } },
        };
        const Stack written = { { LIST((char *) A, (char *) B), (char *) "base", 4711 },
                                (char *) "web",
                                snapshots,
                                ELEMENTSOF(snapshots) };
        _cleanup_close_ int fd = test_put_dir(dir_fd, "manifest");
        _cleanup_stack_ Stack s = {};
        struct stat st;

        CHECK_INT(stack_read(fd, &s), -ENOENT);
        test_put(fd, "manifest.json.new", "left by who was killed");
        CHECK_INT(stack_write(fd, &written), 0);
        CHECK_INT(test_count(fd, "."), 1);
        CHECK(fstatat(fd, "manifest.json", &st, 0) >= 0 && (st.st_mode & 07777) == 0600);
        CHECK_INT(stack_read(fd, &s), 0);
        CHECK_INT(strv_length(s.layers.ids), 2);
        CHECK_TEXT(s.layers.ids[0], A);
        CHECK_TEXT(s.layers.ids[1], B);
        CHECK_TEXT(s.layers.base, "base");
        CHECK_INT(s.layers.base_inode, 4711);
        CHECK_TEXT(s.becomes, "web");
        if (CHECK_INT(s.n_snapshots, 2)) {
                CHECK_TEXT(s.snapshots[0].name, "first");
                CHECK_INT(s.snapshots[0].time, 1);
                CHECK_TEXT(s.snapshots[0].layers.ids[0], C);
                CHECK(!s.snapshots[0].layers.base);
                CHECK_TEXT(s.snapshots[1].name, "second one");
                CHECK_INT(s.snapshots[1].time, 1700000000000000);
                CHECK(!s.snapshots[1].layers.ids);
                CHECK_TEXT(s.snapshots[1].layers.base, "debian");
                CHECK(s.snapshots[1].layers.base_inode == UINT64_MAX);
        }

        /* What could not be read again is not written. */
        Snapshot *many = calloc(1001, sizeof(Snapshot));
        for (size_t i = 0; many && i < 1001; i++)
                many[i] = snapshots[0];
        CHECK_INT(stack_write(fd,
                              &(Stack){ .layers = written.layers, .snapshots = many, .n_snapshots = 1001 }),
                  -E2BIG);
        CHECK_INT(test_count(fd, "."), 1);
        CHECK_INT(stack_write(fd,
                              &(Stack){ .layers = written.layers, .snapshots = many, .n_snapshots = 1000 }),
                  0);
        free(many);
        _cleanup_stack_ Stack full = {};
        CHECK_INT(stack_read(fd, &full), 0);
        CHECK_INT(full.n_snapshots, 1000);
        CHECK(!full.becomes);
}

#define ONE "\"Version\":1,\"Layers\":[\"" A "\"]"

static const char *const damaged[] = {
        "",
        "{",
        "[]",
        "{}",
        "null",
        "{\"Version\":1}",
        "{\"Layers\":[\"" A "\"]}",
        "{\"Version\":2,\"Layers\":[\"" A "\"]}",
        "{\"Version\":\"1\",\"Layers\":[\"" A "\"]}",
        "{" ONE "} x",
        "{" ONE ",\"Version\":1}",
        "{\"Version\":1,\"Layers\":[]}",
        "{\"Version\":1,\"Layers\":\"" A "\"}",
        "{\"Version\":1,\"Layers\":[\"" A "\",7]}",
        "{\"Version\":1,\"Layers\":[\"00000000000000AA\"]}",
        "{\"Version\":1,\"Layers\":[\"" A "0\"]}",
        "{\"Version\":1,\"Layers\":[\"" A "/x\"]}",
        "{\"Version\":1,\"Layers\":[\"00\"]}",
        "{\"Version\":1,\"Layers\":[\"\"]}",
        "{\"Version\":1,\"Layers\":[\"../0000000000000\"]}",
        "{\"Version\":1,\"Layers\":[],\"Base\":\"debian\",\"BaseInode\":7}",
        "{" ONE ",\"Base\":\"debian\"}",
        "{" ONE ",\"Base\":\"debian\",\"BaseInode\":\"7\"}",
        "{" ONE ",\"Base\":\"../debian\",\"BaseInode\":7}",
        "{" ONE ",\"Base\":\".debian\",\"BaseInode\":7}",
        "{" ONE ",\"Base\":null,\"BaseInode\":7}",
        "{" ONE ",\"Becomes\":\"a/b\"}",
        "{" ONE ",\"Becomes\":\"\"}",
        "{" ONE ",\"Snapshots\":{}}",
        "{" ONE ",\"Snapshots\":[\"x\"]}",
        "{" ONE ",\"Snapshots\":[{\"Time\":1,\"Layers\":[\"" B "\"]}]}",
        "{" ONE ",\"Snapshots\":[{\"Name\":\"x\",\"Layers\":[\"" B "\"]}]}",
        "{" ONE ",\"Snapshots\":[{\"Name\":\"x\",\"Time\":\"1\",\"Layers\":[\"" B "\"]}]}",
        "{" ONE ",\"Snapshots\":[{\"Name\":\"../x\",\"Time\":1,\"Layers\":[\"" B "\"]}]}",
        "{" ONE ",\"Snapshots\":[{\"Name\":\"x\",\"Time\":1}]}",
        "{" ONE ",\"Snapshots\":[{\"Name\":\"x\",\"Time\":1,\"Layers\":[]}]}",
        "{" ONE ",\"Snapshots\":[{\"Name\":\"x\",\"Time\":1,\"Layers\":[\"x\"]}]}",
};

static void test_damaged(void)
{
        _cleanup_close_ int fd = test_put_dir(dir_fd, "damaged");
        Stack untouched = { .becomes = (char *) "?" };

        for (size_t i = 0; i < ELEMENTSOF(damaged); i++) {
                test_put(fd, "manifest.json", damaged[i]);
                if (!CHECK_INT(stack_read(fd, &untouched), -EBADMSG))
                        fprintf(stderr, "\tthat is: %s\n", damaged[i]);
                CHECK_TEXT(untouched.becomes, "?");
                CHECK(!untouched.layers.ids && untouched.n_snapshots == 0);
        }
        /* One layer more than an overlay can have. */
        _cleanup_strv_ Strv ids = NULL;
        for (size_t i = 0; i < LAYERS_MAX + 1; i++)
                CHECK_INT(strv_append(&ids, A), 0);
        CHECK_INT(stack_write(fd, &(Stack){ .layers.ids = ids }), 0);
        CHECK_INT(stack_read(fd, &untouched), -EBADMSG);

        CHECK(unlinkat(fd, "manifest.json", 0) >= 0 && symlinkat("elsewhere", fd, "manifest.json") >= 0);
        test_put(fd, "elsewhere", "{" ONE "}");
        CHECK_INT(stack_read(fd, &untouched), -ELOOP);
}

/* --- layers -------------------------------------------------------------------------------------------- */

static void test_copies(void)
{
        const Layers from = { LIST((char *) A, (char *) B), (char *) "base", 7 };
        _cleanup_layers_ Layers all = {}, rest = {}, base = {};

        CHECK_INT(layers_copy(&all, &from, 0), 0);
        CHECK_INT(strv_length(all.ids), 2);
        CHECK(all.ids[0] != from.ids[0] && all.base != from.base);
        CHECK_INT(layers_copy(&rest, &from, 1), 0);
        CHECK_INT(strv_length(rest.ids), 1);
        CHECK_TEXT(rest.ids[0], B);
        CHECK_TEXT(rest.base, "base");
        CHECK_INT(rest.base_inode, 7);
        CHECK_INT(layers_copy(&base, &(Layers){ NULL, (char *) "base", 7 }, 0), 0);
        CHECK(!base.ids);
}

static void test_push(void)
{
        static const char *const paths[] = { "base", "base/etc", NULL };
        _cleanup_close_ int store_fd = test_put_dir(dir_fd, "push");
        _cleanup_layers_ Layers layers = {};
        char path[128];
        struct stat st, own;

        test_put_dirs(store_fd, paths);
        const struct timespec times[] = { { 1000000000, 1 }, { 1000000000, 2 } };
        CHECK(fchmodat(store_fd, "base", 0750, 0) >= 0 && utimensat(store_fd, "base", times, 0) >= 0 &&
              fstatat(store_fd, "base", &st, 0) >= 0);
        CHECK_INT(layers_push(store_fd, &layers, NULL), -EBADMSG);
        CHECK(!layers.ids);
        layers.base = strdup("base");
        layers.base_inode = st.st_ino + 1;
        CHECK_INT(layers_push(store_fd, &layers, NULL), -ESTALE);
        layers.base_inode = st.st_ino;
        CHECK_INT(layers_push(store_fd, &layers, NULL), 0);
        if (!CHECK_INT(strv_length(layers.ids), 1))
                return;

        /* Its root is like that of what is below it, and there is nothing in it. */
        snprintf(path, sizeof(path), LAYERS_DIR "/%s/upper", layers.ids[0]);
        CHECK(fstatat(store_fd, path, &own, 0) >= 0);
        CHECK_INT(own.st_mode, st.st_mode);
        CHECK_INT(own.st_mtim.tv_sec, st.st_mtim.tv_sec);
        CHECK_INT(own.st_mtim.tv_nsec, st.st_mtim.tv_nsec);
        CHECK_INT(test_count(store_fd, path), 0);
        CHECK(layers_are_clean(store_fd, &layers));
        CHECK(fchmodat(store_fd, path, 0700, 0) >= 0);
        CHECK(!layers_are_clean(store_fd, &layers));
        CHECK(fchmodat(store_fd, path, 0750, 0) >= 0);
        CHECK(layers_are_clean(store_fd, &layers));
        snprintf(path, sizeof(path), LAYERS_DIR "/%s/upper/.new", layers.ids[0]);
        test_put(store_fd, path, "");
        CHECK(!layers_are_clean(store_fd, &layers));
        snprintf(path, sizeof(path), LAYERS_DIR "/%s/work", layers.ids[0]);
        CHECK_INT(test_count(store_fd, path), 0);

        /* A second one comes on top. */
        _cleanup_free_ char *first = strdup(layers.ids[0]);
        CHECK_INT(layers_push(store_fd, &layers, &layers), 0);
        CHECK_INT(strv_length(layers.ids), 2);
        CHECK_TEXT(layers.ids[1], first);
        CHECK(!streq(layers.ids[0], first));
        CHECK(layers_are_clean(store_fd, &layers));

        /* The layers, and behind them the base. */
        int *fds = NULL;
        size_t n = 0;
        if (CHECK_INT(layers_open(store_fd, &layers, &fds, &n), 0) && CHECK_INT(n, 3))
                CHECK(fstat(fds[2], &own) >= 0 && own.st_ino == st.st_ino);
        layers_close(fds, n);
        _cleanup_close_ int first_fd = layers_open_first(store_fd, &layers);
        snprintf(path, sizeof(path), LAYERS_DIR "/%s", layers.ids[0]);
        CHECK(fstatat(store_fd, path, &st, 0) >= 0 && fstat(first_fd, &own) >= 0 && st.st_ino == own.st_ino);
        /* What came in the place of the base is not it. */
        CHECK(renameat(store_fd, "base", store_fd, "old") >= 0);
        fd_close(test_put_dir(store_fd, "base"));
        CHECK_INT(layers_open(store_fd, &layers, &fds, &n), -ESTALE);
        CHECK_INT(layers_open(store_fd, &(Layers){ .ids = LIST((char *) D) }, &fds, &n), -ENOENT);
        CHECK_INT(layers_mount(store_fd, &(Layers){}, false), -EINVAL);

        _cleanup_layers_ Layers many = {};
        for (size_t i = 0; i < LAYERS_MAX; i++)
                CHECK_INT(strv_append(&many.ids, layers.ids[0]), 0);
        CHECK_INT(layers_push(store_fd, &many, NULL), -EMLINK);
        CHECK_INT(strv_length(many.ids), LAYERS_MAX);
}

static void test_lock(void)
{
        _cleanup_close_ int store_fd = test_put_dir(dir_fd, "lock");
        int lock_fd = stack_lock(store_fd);
        _cleanup_close_ int other_fd = openat(store_fd, LAYERS_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        CHECK(lock_fd >= 0 && other_fd >= 0);
        CHECK(flock(other_fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK);
        fd_close(lock_fd);
        CHECK(flock(other_fd, LOCK_EX | LOCK_NB) >= 0);
}

/* --- whose is what ------------------------------------------------------------------------------------- */

static int note(void *userdata, const char *name, const Stack *stack)
{
        (void) stack;
        return streq(name, "stop") ? 42 : strv_append(userdata, name);
}

static void check_each(int store_fd, int expected, const char *names)
{
        _cleanup_strv_ Strv found = NULL;

        CHECK_INT(stack_each(store_fd, note, &found), expected);
        if (!names)
                return;
        _cleanup_free_ char *joined = test_join_sorted(found);
        CHECK_TEXT(joined, names);
}

static void test_each(void)
{
        static const char *const paths[] = { "plain", "empty.stack", NULL };
        _cleanup_close_ int store_fd = test_put_dir(dir_fd, "each");
        _cleanup_free_ char *name = NULL;

        CHECK_INT(stack_find_user(store_fd, 7, NULL), 0);
        fd_close(stack_lock(store_fd)); /* it makes the directory of layers */
        test_put_dirs(store_fd, paths);
        put_stack(store_fd, "a.stack", "{" ONE "}");
        put_stack(store_fd, "b.stack", "{" ONE ",\"Base\":\"x\",\"BaseInode\":7}");
        put_stack(store_fd, "c.stack",
                  "{" ONE ",\"Snapshots\":[{\"Name\":\"x\",\"Time\":1,\"Layers\":[],\"Base\":\"y\","
                  "\"BaseInode\":8}]}");
        put_stack(store_fd, ".hidden.stack", "{" ONE ",\"Base\":\"x\",\"BaseInode\":9}");
        /* Nobody but root can have made this one a stack. */
        put_stack(store_fd, TREE_HIDDEN "1", "{" ONE ",\"Base\":\"x\",\"BaseInode\":9}");
        test_put(store_fd, "file.stack", "");
        CHECK(symlinkat("a.stack", store_fd, "link.stack") >= 0);
        check_each(store_fd, 0, "a b c");

        CHECK_INT(stack_find_user(store_fd, 7, &name), 1);
        CHECK_TEXT(name, "b");
        free(TAKE_PTR(name));
        CHECK_INT(stack_find_user(store_fd, 8, &name), 1);
        CHECK_TEXT(name, "c");
        CHECK_INT(stack_find_user(store_fd, 9, NULL), 0);
        CHECK_INT(stack_find_user(store_fd, 0, NULL), 0);

        put_stack(store_fd, "stop.stack", "{" ONE "}");
        check_each(store_fd, 42, NULL);
        CHECK(renameat(store_fd, "stop.stack", store_fd, "wrong.stack") >= 0);
        test_put(store_fd, "wrong.stack/manifest.json", "{");
        check_each(store_fd, -EBADMSG, NULL);
        CHECK_INT(stack_find_user(store_fd, 9, NULL), -EBADMSG);
}

static void test_sweep(void)
{
        static const char *const paths[] = {
                LAYERS_DIR,
                LAYERS_DIR "/" A,
                LAYERS_DIR "/" B,
                LAYERS_DIR "/" C,
                LAYERS_DIR "/" C "/upper",
                LAYERS_DIR "/" D,
                LAYERS_DIR "/other",
                NULL,
        };
        _cleanup_close_ int store_fd = test_put_dir(dir_fd, "sweep");
        _cleanup_strv_ Strv hidden = NULL;

        CHECK_INT(stack_sweep(store_fd, &hidden), 0);
        CHECK_INT(stack_recover(store_fd), 0);
        CHECK_INT(test_count(store_fd, "."), 0);

        /* As long as one manifest cannot be read, each layer can be somebody's. */
        test_put_dirs(store_fd, paths);
        put_stack(store_fd, "a.stack", "{");
        CHECK_INT(stack_sweep(store_fd, &hidden), -EBADMSG);
        CHECK_INT(test_count(store_fd, LAYERS_DIR), 5);
        test_put(store_fd, "a.stack/manifest.json",
                 "{" ONE ",\"Snapshots\":[{\"Name\":\"x\",\"Time\":1,\"Layers\":[\"" B "\"]}]}");
        CHECK_INT(stack_sweep(store_fd, &hidden), 0);
        CHECK_INT(strv_length(hidden), 2);
        STRV_FOREACH (name, hidden)
                CHECK(startswith(*name, TREE_HIDDEN) && test_exists(store_fd, *name));
        CHECK(test_exists(store_fd, LAYERS_DIR "/" A) && test_exists(store_fd, LAYERS_DIR "/" B) &&
              test_exists(store_fd, LAYERS_DIR "/other"));
        CHECK(!test_exists(store_fd, LAYERS_DIR "/" C) && !test_exists(store_fd, LAYERS_DIR "/" D));
        CHECK(unlinkat(store_fd, "a.stack/manifest.json", 0) >= 0);
        /* An image that was removed leaves its layers to nobody. */
        store_sweep_layers(store_fd);
        CHECK_INT(test_count(store_fd, LAYERS_DIR), 1);
        CHECK_INT(test_count(store_fd, "."), 4);
}

/* A directory becomes a stack, and who does that is killed over it. */
static void test_recover(void)
{
        static const char *const paths[] = { "tree", "tree/etc", "other", NULL };
        _cleanup_close_ int store_fd = test_put_dir(dir_fd, "recover");
        _cleanup_free_ char *hidden = NULL, *second = NULL;
        _cleanup_stack_ Stack stack = {}, other = {}, read = {};
        char path[128];

        test_put_dirs(store_fd, paths);
        CHECK_INT(stack_convert(store_fd, "nothing", &stack, &hidden), -ENOENT);
        if (!CHECK_INT(stack_convert(store_fd, "tree", &stack, &hidden), 0))
                return;
        CHECK(!test_exists(store_fd, "tree") && !test_exists(store_fd, "tree.stack"));
        CHECK_TEXT(stack.becomes, "tree");
        CHECK_INT(strv_length(stack.layers.ids), 2);
        snprintf(path, sizeof(path), LAYERS_DIR "/%s/upper/etc", stack.layers.ids[1]);
        CHECK(test_exists(store_fd, path));
        check_each(store_fd, 0, hidden);

        /* Its layers are not swept meanwhile, and it gets its name. */
        store_sweep_layers(store_fd);
        CHECK(!test_exists(store_fd, hidden) && test_exists(store_fd, path));
        _cleanup_close_ int fd = openat(store_fd, "tree.stack", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK_INT(stack_read(fd, &read), 0);
        CHECK(!read.becomes);
        CHECK_TEXT(read.layers.ids ? read.layers.ids[1] : NULL, stack.layers.ids[1]);

        /* One that was made before its directory was moved is nothing: all is as it was. */
        other.becomes = strdup("other");
        CHECK_INT(layers_copy(&other.layers, &stack.layers, 0), 0);
        CHECK_INT(stack_make(store_fd, &other, &second), 0);
        CHECK_INT(stack_recover(store_fd), 0);
        CHECK(test_exists(store_fd, second) && test_exists(store_fd, "other") &&
              !test_exists(store_fd, "other.stack"));
        /* Nor is one of which a layer is not there. */
        CHECK(renameat(store_fd, "other", store_fd, "moved") >= 0);
        CHECK(renameat(store_fd, path, store_fd, "etc") >= 0);
        *strrchr(path, '/') = 0;
        CHECK(unlinkat(store_fd, path, AT_REMOVEDIR) >= 0);
        CHECK_INT(stack_recover(store_fd), 0);
        CHECK(test_exists(store_fd, second) && !test_exists(store_fd, "other.stack"));
        /* Nor is one that is to be destroyed. */
        CHECK(mkdirat(store_fd, path, 0755) >= 0);
        _cleanup_close_ int second_fd = openat(store_fd, second, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK_INT(stack_unmark(second_fd), 0);
        CHECK_INT(stack_unmark(second_fd), 0);
        CHECK_INT(stack_recover(store_fd), 0);
        CHECK(test_exists(store_fd, second) && !test_exists(store_fd, "other.stack"));
}

/* A manifest that cannot be understood keeps what is half done: its hidden stack is the only one that knows
 * its layers. */
static void test_recover_beside_damage(void)
{
        static const char *const paths[] = { "tree", "tree/etc", NULL };
        _cleanup_close_ int store_fd = test_put_dir(dir_fd, "damage");
        _cleanup_free_ char *hidden = NULL, *path = strf("%s/damage", test_dir_path);
        _cleanup_stack_ Stack stack = {};

        test_put_dirs(store_fd, paths);
        put_stack(store_fd, "f.stack", "{");
        if (!path || !CHECK_INT(stack_convert(store_fd, "tree", &stack, &hidden), 0))
                return;
        _cleanup_close_ int opened_fd = store_open(path);
        CHECK(opened_fd >= 0);
        /* The order of the directory says which of the two comes first: then it has its name already. */
        CHECK(test_exists(store_fd, hidden) != test_exists(store_fd, "tree.stack"));
}

int main(void)
{
        dir_fd = test_dir_open();
        (void) umask(022);
        test_manifest();
        test_damaged();
        test_copies();
        test_push();
        test_lock();
        test_each();
        test_sweep();
        if (can_mark()) {
                test_recover();
                test_recover_beside_damage();
        } else
                printf("Recovery is not tested: attributes in \"trusted.\" cannot be written here.\n");
        fd_close(dir_fd);
        return test_end();
}
