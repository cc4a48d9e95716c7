/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "store/stack.h"

#include <inttypes.h>
#include <jansson.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "basic/names.h"
#include "basic/random.h"
#include "basic/time.h"
#include "basic/tree.h"
#include "mount/overlay.h"
#include "store/quota.h"

#define MANIFEST      "manifest.json"
#define MANIFEST_NEW  "manifest.json.new"
#define MANIFEST_MAX  (1024U * 1024U)
#define VERSION       1
#define MARK          "trusted.mctl.stack"
#define ID_LENGTH     16U
#define SNAPSHOTS_MAX 1000U

void layers_clear(Layers *layers)
{
        strv_free(layers->ids);
        free(layers->base);
        *layers = (Layers){};
}

int layers_copy(Layers *to, const Layers *from, size_t skip)
{
        int r = strv_extend(&to->ids, from->ids ? from->ids + skip : NULL);

        if (r >= 0 && from->base)
                r = free_and_strdup(&to->base, from->base);
        to->base_inode = from->base_inode;
        return r;
}

void snapshots_free(Snapshot *snapshots, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                free(snapshots[i].name);
                layers_clear(&snapshots[i].layers);
        }
        free(snapshots);
}

void stack_clear(Stack *stack)
{
        layers_clear(&stack->layers);
        free(stack->becomes);
        snapshots_free(stack->snapshots, stack->n_snapshots);
        *stack = (Stack){};
}

/* --- manifests ----------------------------------------------------------------------------------------- */

static bool is_id(const char *s)
{
        return s && strlen(s) == ID_LENGTH && strspn(s, "0123456789abcdef") == ID_LENGTH;
}

/* Stacks and snapshots have the same fields for layers. */
static int read_layers(const json_t *o, Layers *ret)
{
        const json_t *list = json_object_get(o, "Layers"), *base = json_object_get(o, "Base"),
                     *inode = json_object_get(o, "BaseInode"), *value;
        size_t i;
        int r = 0;

        if (!json_is_array(list) || json_array_size(list) > LAYERS_MAX)
                return -EBADMSG;
        json_array_foreach (list, i, value)
                if (r >= 0)
                        r = is_id(json_string_value(value))
                                    ? strv_append(&ret->ids, json_string_value(value))
                                    : -EBADMSG;
        if (r < 0 || !base)
                return r < 0 ? r : json_array_size(list) > 0 ? 0 : -EBADMSG;
        if (!json_is_string(base) || !image_name_valid(json_string_value(base)) || !json_is_integer(inode))
                return -EBADMSG;
        ret->base_inode = (uint64_t) json_integer_value(inode);
        return free_and_strdup(&ret->base, json_string_value(base));
}

static int read_snapshots(const json_t *list, Stack *stack)
{
        const json_t *value;
        size_t i;
        int r = 0;

        if (!list)
                return 0;
        if (!json_is_array(list) || json_array_size(list) > SNAPSHOTS_MAX)
                return -EBADMSG;
        stack->snapshots = calloc(MAX(json_array_size(list), 1U), sizeof(Snapshot));
        OOM_CHECK(stack->snapshots);
        json_array_foreach (list, i, value) {
                Snapshot *s = stack->snapshots + i;
                const char *name = json_string_value(json_object_get(value, "Name"));
                const json_t *time = json_object_get(value, "Time");
                if (!name || !image_name_valid(name) || !json_is_integer(time))
                        return -EBADMSG;
                s->name = strdup(name);
                s->time = (uint64_t) json_integer_value(time);
                stack->n_snapshots++;
                OOM_CHECK(s->name);
                r = read_layers(value, &s->layers);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_manifest(const json_t *o, Stack *stack)
{
        int r;

        if (!json_is_object(o) || json_integer_value(json_object_get(o, "Version")) != VERSION)
                return -EBADMSG;
        r = read_layers(o, &stack->layers);
        if (r < 0)
                return r;
        if (!stack->layers.ids)
                return -EBADMSG;
        const char *becomes = json_string_value(json_object_get(o, "Becomes"));
        if (becomes) {
                stack->becomes = image_name_valid(becomes) ? strdup(becomes) : NULL;
                if (!stack->becomes)
                        return -EBADMSG;
        }
        return read_snapshots(json_object_get(o, "Snapshots"), stack);
}

int stack_read(int stack_fd, Stack *ret)
{
        _cleanup_stack_ Stack stack = {};
        _cleanup_free_ char *text = NULL;
        int r = file_read_at(stack_fd, MANIFEST, MANIFEST_MAX, &text, NULL);

        if (r < 0)
                return r;
        json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        r = read_manifest(o, &stack);
        json_decref(o);
        if (r < 0)
                return r;
        *ret = stack;
        stack = (Stack){};
        return 0;
}

static void add_layers_to(json_t *o, const Layers *layers)
{
        json_t *list = json_array();

        STRV_FOREACH (s, layers->ids)
                json_array_append_new(list, json_string(*s));
        json_object_set_new(o, "Layers", list);
        if (!layers->base)
                return;
        json_object_set_new(o, "Base", json_string(layers->base));
        json_object_set_new(o, "BaseInode", json_integer((json_int_t) layers->base_inode));
}

/* Layers must be on disk before the manifest that names them gets its name. On file systems with a journal,
 * fsync() of the manifest commits earlier changes of directories as well. On btrfs, only syncfs() does. */
static int sync_before(int fd)
{
        struct statfs fs;

        return fstatfs(fd, &fs) >= 0 && fs.f_type == BTRFS_SUPER_MAGIC ? syncfs(fd) : fsync(fd);
}

static int write_manifest(int stack_fd, const Stack *stack, bool sync)
{
        json_t *o = json_pack("{si ss*}", "Version", VERSION, "Becomes", stack->becomes),
               *snapshots = json_array();
        _cleanup_free_ char *text = NULL;

        add_layers_to(o, &stack->layers);
        for (size_t i = 0; i < stack->n_snapshots; i++) {
                const Snapshot *s = stack->snapshots + i;
                json_t *one = json_pack("{ss sI}", "Name", s->name, "Time", (json_int_t) s->time);
                add_layers_to(one, &s->layers);
                json_array_append_new(snapshots, one);
        }
        json_object_set_new(o, "Snapshots", snapshots);
        text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
        json_decref(o);
        OOM_CHECK(text);
        /* Write nothing that stack_read() refuses. */
        if (strlen(text) >= MANIFEST_MAX || stack->n_snapshots > SNAPSHOTS_MAX)
                return -E2BIG;
        (void) unlinkat(stack_fd, MANIFEST_NEW, 0);
        _cleanup_close_ int fd = openat(stack_fd, MANIFEST_NEW,
                                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        int r = fd_write_all(fd, text, strlen(text));
        if (r >= 0 &&
            ((sync && sync_before(fd) < 0) || renameat(stack_fd, MANIFEST_NEW, stack_fd, MANIFEST) < 0 ||
             (sync && fsync(stack_fd) < 0)))
                r = -errno;
        return r;
}

/* The new manifest is synced before it is renamed: a power cut leaves the old manifest or the new one. */
int stack_write(int stack_fd, const Stack *stack)
{
        return write_manifest(stack_fd, stack, true);
}

/* --- layers -------------------------------------------------------------------------------------------- */

static int open_layers_dir(int store_fd, bool make)
{
        return make ? dir_open_or_make_at(store_fd, LAYERS_DIR, 0700) : dir_open_at(store_fd, LAYERS_DIR);
}

int stack_lock(int store_fd)
{
        int r;

        _cleanup_close_ int fd = open_layers_dir(store_fd, true);
        if (fd < 0)
                return fd;
        while ((r = RET_NERRNO(flock(fd, LOCK_EX))) == -EINTR)
                ;
        return r < 0 ? r : TAKE_FD(fd);
}

static int open_layer(int layers_fd, const char *id, const char *part)
{
        _cleanup_close_ int fd = openat(layers_fd, id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0 || !part)
                return fd < 0 ? -errno : TAKE_FD(fd);
        return RET_NERRNO(openat(fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

static int open_base(int store_fd, const Layers *layers)
{
        struct stat st;

        _cleanup_close_ int fd = openat(store_fd, layers->base,
                                        O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != layers->base_inode)
                return -ESTALE;
        return TAKE_FD(fd);
}

/* The root of the topmost layer hides the roots below it. A new layer therefore gets their owner, mode and
 * times. */
static int copy_root(int from_fd, int to_fd)
{
        struct stat st;

        if (fstat(from_fd, &st) < 0)
                return -errno;
        _cleanup_close_ int fd = fd_reopen(to_fd, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return fd;
        const struct timespec times[] = { st.st_atim, st.st_mtim };
        return fchown(fd, st.st_uid, st.st_gid) < 0 || fchmod(fd, st.st_mode & 07777) < 0 ||
                               futimens(fd, times) < 0
                       ? -errno
                       : 0;
}

/* The new layer joins the project of `counted_fd` (quota.h), unless that is negative. */
static int make_layer(int layers_fd, int below_fd, int counted_fd, char **ret_id)
{
        _cleanup_free_ char *id = strf("%016" PRIx64, random_u64());
        int r;

        OOM_CHECK(id);
        if (mkdirat(layers_fd, id, 0700) < 0)
                return -errno;
        _cleanup_close_ int fd = dir_open_at(layers_fd, id);
        if (fd < 0)
                return fd;
        r = counted_fd < 0 ? 0 : quota_inherit(counted_fd, fd);
        if (r < 0)
                return r;
        if (mkdirat(fd, "work", 0700) < 0 || mkdirat(fd, "upper", 0755) < 0)
                return -errno;
        _cleanup_close_ int upper_fd = openat(fd, "upper", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        r = upper_fd < 0 ? -errno : copy_root(below_fd, upper_fd);
        if (r >= 0)
                *ret_id = TAKE_PTR(id);
        return r;
}

/* Opens the topmost tree without the first `skip` layers: a layer, or the base. */
static int open_top(int store_fd, int layers_fd, const Layers *layers, size_t skip)
{
        const char *id = layers->ids ? layers->ids[skip] : NULL;

        return id             ? open_layer(layers_fd, id, "upper")
               : layers->base ? open_base(store_fd, layers)
                              : -EBADMSG;
}

int layers_open_first(int store_fd, const Layers *layers)
{
        _cleanup_close_ int layers_fd = open_layers_dir(store_fd, false);

        return layers_fd < 0 ? layers_fd : dir_open_at(layers_fd, layers->ids[0]);
}

int layers_push(int store_fd, Layers *layers, const Layers *own)
{
        _cleanup_strv_ Strv all = NULL;
        _cleanup_free_ char *id = NULL;
        int r;

        if (strv_length(layers->ids) >= overlay_layers_max())
                return -EMLINK;
        _cleanup_close_ int layers_fd = open_layers_dir(store_fd, true);
        if (layers_fd < 0)
                return layers_fd;
        _cleanup_close_ int below_fd = open_top(store_fd, layers_fd, layers, 0);
        if (below_fd < 0)
                return below_fd;
        _cleanup_close_ int own_fd = own ? dir_open_at(layers_fd, own->ids[0]) : -EBADF;
        if (own && own_fd < 0)
                return own_fd;
        r = make_layer(layers_fd, below_fd, own_fd, &id);
        if (r >= 0)
                r = strv_append(&all, id);
        if (r >= 0)
                r = strv_extend(&all, layers->ids);
        if (r < 0)
                return r;
        strv_free(layers->ids);
        layers->ids = TAKE_PTR(all);
        return 0;
}

int layers_reserve(int store_fd, const Layers *layers, Layers *ret, char **ret_hidden)
{
        _cleanup_free_ char *id = strf("%016" PRIx64, random_u64());
        int r;

        OOM_CHECK(id);
        _cleanup_close_ int layers_fd = open_layers_dir(store_fd, false);
        if (layers_fd < 0 || mkdirat(layers_fd, id, 0700) < 0)
                return layers_fd < 0 ? layers_fd : -errno;
        _cleanup_close_ int fd = dir_open_at(layers_fd, id);
        _cleanup_close_ int own_fd = dir_open_at(layers_fd, layers->ids[0]);
        r = MIN(fd, own_fd) < 0 ? MIN(fd, own_fd) : quota_inherit(own_fd, fd);
        if (r < 0)
                return r;
        if (mkdirat(fd, "work", 0700) < 0)
                return -errno;
        r = strv_append(&ret->ids, id);
        if (r >= 0)
                r = layers_copy(ret, layers, 1);
        return r < 0 ? r : stack_make(store_fd, &(Stack){ .layers = *ret }, ret_hidden);
}

int layers_fill(int store_fd, const Layers *layers, const char *id, TreeCopy *copy)
{
        _cleanup_close_ int layers_fd = open_layers_dir(store_fd, false);
        _cleanup_close_ int upper_fd = layers_fd < 0 ? layers_fd
                                                     : open_layer(layers_fd, layers->ids[0], "upper");
        _cleanup_close_ int fd = upper_fd < 0 ? upper_fd : open_layer(layers_fd, id, NULL);

        return fd < 0 ? fd : tree_copy(copy, upper_fd, fd, "upper");
}

bool layers_are_clean(int store_fd, const Layers *layers)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        _cleanup_close_ int layers_fd = open_layers_dir(store_fd, false);
        _cleanup_close_ int upper_fd = layers_fd < 0 ? layers_fd
                                                     : open_layer(layers_fd, layers->ids[0], "upper");
        int fd = upper_fd < 0 ? upper_fd : fd_reopen(upper_fd, O_RDONLY | O_DIRECTORY);
        bool clean = true;

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return false;
        }
        for (struct dirent *e; clean && (e = readdir(dir));)
                clean = streq(e->d_name, ".") || streq(e->d_name, "..");
        /* The root may have changed as well: compare it with the root below. */
        _cleanup_close_ int below_fd = clean ? open_top(store_fd, layers_fd, layers, 1) : -EBADF;
        struct stat own, below;
        return below_fd >= 0 && fstat(upper_fd, &own) >= 0 && fstat(below_fd, &below) >= 0 &&
               own.st_mode == below.st_mode && own.st_uid == below.st_uid && own.st_gid == below.st_gid;
}

/* MARK tells a hidden stack from a tree with the same files: neither unpacking nor copying sets attributes
 * in "trusted.mctl". */
int stack_make(int store_fd, const Stack *stack, char **ret_hidden)
{
        _cleanup_free_ char *hidden = strf(TREE_HIDDEN "%016" PRIx64, random_u64());

        OOM_CHECK(hidden);
        if (mkdirat(store_fd, hidden, 0755) < 0)
                return -errno;
        _cleanup_close_ int fd = dir_open_at(store_fd, hidden);
        int r = fd < 0 || fsetxattr(fd, MARK, "", 0, 0) < 0 ? -errno : write_manifest(fd, stack, false);
        if (r < 0)
                (void) tree_remove(store_fd, hidden);
        else
                *ret_hidden = TAKE_PTR(hidden);
        return r;
}

int stack_convert(int store_fd, const char *name, Stack *ret, char **ret_hidden)
{
        _cleanup_free_ char *id = strf("%016" PRIx64, random_u64()), *top = NULL, *hidden = NULL;
        _cleanup_stack_ Stack stack = {};
        int r;

        OOM_CHECK(id);
        _cleanup_close_ int tree_fd = dir_open_at(store_fd, name);
        _cleanup_close_ int layers_fd = open_layers_dir(store_fd, true);
        if (tree_fd < 0 || layers_fd < 0)
                return MIN(tree_fd, layers_fd);
        if (mkdirat(layers_fd, id, 0700) < 0)
                return -errno;
        _cleanup_close_ int fd = open_layer(layers_fd, id, NULL);
        if (fd < 0 || mkdirat(fd, "work", 0700) < 0)
                return -errno;
        r = make_layer(layers_fd, tree_fd, tree_fd, &top);
        if (r >= 0)
                r = strv_append(&stack.layers.ids, top);
        if (r >= 0)
                r = strv_append(&stack.layers.ids, id);
        if (r >= 0)
                r = free_and_strdup(&stack.becomes, name);
        if (r >= 0)
                r = stack_make(store_fd, &stack, &hidden);
        if (r >= 0)
                r = RET_NERRNO(syncfs(store_fd));
        if (r >= 0)
                r = RET_NERRNO(renameat2(store_fd, name, fd, "upper", RENAME_NOREPLACE));
        if (r < 0 && hidden)
                (void) tree_remove(store_fd, hidden);
        if (r < 0)
                return r;
        *ret = stack;
        stack = (Stack){};
        *ret_hidden = TAKE_PTR(hidden);
        return 0;
}

int stack_has_become(int store_fd, const char *file, Stack *stack)
{
        _cleanup_close_ int fd = dir_open_at(store_fd, file);

        free(stack->becomes);
        stack->becomes = NULL;
        return fd < 0 ? -errno : stack_write(fd, stack);
}

int stack_unmark(int stack_fd)
{
        return fremovexattr(stack_fd, MARK) < 0 && errno != ENODATA ? -errno : 0;
}

void layers_close(int *fds, size_t n)
{
        for (size_t i = 0; i < n; i++)
                fd_close(fds[i]);
        free(fds);
}

int layers_open(int store_fd, const Layers *layers, int **ret, size_t *ret_n)
{
        int *fds = calloc(strv_length(layers->ids) + 1, sizeof(int)), r = 0;
        size_t n = 0;

        OOM_CHECK(fds);
        _cleanup_close_ int layers_fd = open_layers_dir(store_fd, false);
        STRV_FOREACH (id, layers->ids)
                if (r >= 0) {
                        r = layers_fd < 0 ? layers_fd : open_layer(layers_fd, *id, NULL);
                        if (r >= 0)
                                fds[n++] = r;
                }
        if (r >= 0 && layers->base) {
                r = open_base(store_fd, layers);
                if (r >= 0)
                        fds[n++] = r;
        }
        if (r < 0) {
                layers_close(fds, n);
                return r;
        }
        *ret = fds;
        *ret_n = n;
        return 0;
}

/* --- mounts -------------------------------------------------------------------------------------------- */

/* Names the directories of the overlay. The first layer has its own path, so that mounted.c finds it in the
 * table of mounts. Mount options have no room for the paths of all layers. */
static int name_parts(const int *fds, size_t n, size_t n_layers, bool writable, Strv *lowers, char **upper,
                      char **work)
{
        _cleanup_free_ char *first = fd_name(fds[0]);
        char path[FD_PATH_MAX];

        OOM_CHECK(first);
        for (size_t i = writable; i < n; i++) {
                int r = strv_appendf(lowers, "%s%s", i == 0 ? first : fd_path(fds[i], path),
                                     i < n_layers ? "/upper" : "");
                if (r < 0)
                        return r;
        }
        *upper = strf("%s/upper", first);
        *work = strf("%s/work", first);
        if (!*upper || !*work)
                return -ENOMEM;
        /* An overlay for reading needs two layers: "work" is an empty second one. */
        return strv_length(*lowers) < (writable ? 1U : 2U)
                       ? strv_appendf(lowers, "%s/work", fd_path(fds[0], path))
                       : 0;
}

int layers_mount(int store_fd, const Layers *layers, bool writable)
{
        _cleanup_free_ char *upper = NULL, *work = NULL;
        _cleanup_strv_ Strv lowers = NULL;
        size_t n, n_layers = strv_length(layers->ids);
        int *fds, r;

        r = layers_open(store_fd, layers, &fds, &n);
        if (r < 0)
                return r;
        if (n_layers == 0) /* a base alone needs no overlay */
                r = n == 1 ? RET_NERRNO(fcntl(fds[0], F_DUPFD_CLOEXEC, 3)) : -EINVAL;
        else {
                r = name_parts(fds, n, n_layers, writable, &lowers, &upper, &work);
                if (r >= 0)
                        r = overlay_make(
                                &(Overlay){ .lower = lowers,
                                            .upper = writable ? upper : NULL,
                                            .work = work,
                                            .attr = MOUNT_ATTR_NODEV | (writable ? 0 : MOUNT_ATTR_RDONLY) });
        }
        layers_close(fds, n);
        return r;
}

/* --- whose is what ------------------------------------------------------------------------------------- */

/* Reads a stack under a hidden name. -ENOENT if the hidden directory is no stack, as most are. */
static int read_hidden(int store_fd, const char *hidden, Stack *ret)
{
        _cleanup_close_ int fd = dir_open_at(store_fd, hidden);

        return fd >= 0 && fgetxattr(fd, MARK, NULL, 0) >= 0 ? stack_read(fd, ret) : -ENOENT;
}

int stack_each(int store_fd, int (*call)(void *userdata, const char *name, const Stack *stack),
               void *userdata)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int r = 0, fd = openat(store_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        for (struct dirent *e; r == 0 && (e = readdir(dir));) {
                _cleanup_stack_ Stack stack = {};
                const char *end = endswith(e->d_name, STACK_SUFFIX);
                if (startswith(e->d_name, TREE_HIDDEN) && read_hidden(fd, e->d_name, &stack) >= 0)
                        r = call(userdata, e->d_name, &stack);
                if (!end || e->d_name[0] == '.')
                        continue;
                _cleanup_free_ char *name = strndup(e->d_name, end - e->d_name);
                OOM_CHECK(name);
                _cleanup_close_ int stack_fd = dir_open_at(fd, e->d_name);
                r = stack_fd < 0 ? stack_fd : stack_read(stack_fd, &stack);
                if (r == -ENOTDIR || r == -ELOOP || (r == -ENOENT && fgetxattr(stack_fd, MARK, NULL, 0) < 0))
                        r = 0; /* not a stack, despite its suffix */
                else if (r >= 0)
                        r = call(userdata, name, &stack);
        }
        return r;
}

typedef struct BaseSearch {
        uint64_t inode;
        char *found;
} BaseSearch;

static bool is_over(const Layers *layers, uint64_t inode)
{
        return layers->base && layers->base_inode == inode;
}

static int match_base(void *userdata, const char *name, const Stack *stack)
{
        BaseSearch *search = userdata;
        bool found = is_over(&stack->layers, search->inode);

        for (size_t i = 0; i < stack->n_snapshots && !found; i++)
                found = is_over(&stack->snapshots[i].layers, search->inode);
        if (!found)
                return 0;
        search->found = strdup(name);
        return search->found ? 1 : -ENOMEM;
}

int stack_find_user(int store_fd, uint64_t inode, char **ret_name)
{
        BaseSearch search = { inode, NULL };
        int r;

        /* Most stores have no stacks: do not list the store for them. */
        if (faccessat(store_fd, LAYERS_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        r = stack_each(store_fd, match_base, &search);
        if (r > 0 && ret_name)
                *ret_name = search.found;
        else
                free(search.found);
        return r;
}

static int add_layers(Strv *known, const Layers *layers)
{
        int r = 0;

        STRV_FOREACH (s, layers->ids)
                if (r >= 0 && !strv_contains(*known, *s))
                        r = strv_append(known, *s);
        return r;
}

static int collect(void *userdata, const char *name, const Stack *stack)
{
        int r = add_layers(userdata, &stack->layers);

        (void) name;
        for (size_t i = 0; i < stack->n_snapshots && r >= 0; i++)
                r = add_layers(userdata, &stack->snapshots[i].layers);
        return MIN(r, 0);
}

/* Whether all layers exist, the moved directory among them. */
static bool is_complete(int store_fd, const Stack *stack)
{
        _cleanup_close_ int layers_fd = open_layers_dir(store_fd, false);

        STRV_FOREACH (id, stack->layers.ids) {
                _cleanup_close_ int fd = layers_fd < 0 ? layers_fd : open_layer(layers_fd, *id, "upper");
                if (fd < 0)
                        return false;
        }
        return true;
}

static int recover(void *userdata, const char *name, const Stack *stack)
{
        const int *store_fd = userdata;
        _cleanup_free_ char *file = NULL;

        if (!startswith(name, TREE_HIDDEN) || !stack->becomes ||
            faccessat(*store_fd, stack->becomes, F_OK, AT_SYMLINK_NOFOLLOW) >= 0 ||
            !is_complete(*store_fd, stack))
                return 0;
        file = strf("%s" STACK_SUFFIX, stack->becomes);
        OOM_CHECK(file);
        int r = RET_NERRNO(renameat2(*store_fd, name, *store_fd, file, RENAME_NOREPLACE));
        if (r < 0)
                return r == -EEXIST ? 0 : r;
        _cleanup_stack_ Stack own = {};
        _cleanup_close_ int fd = dir_open_at(*store_fd, file);
        r = fd < 0 ? fd : stack_read(fd, &own);
        return r < 0 ? r : MIN(stack_has_become(*store_fd, file, &own), 0);
}

int stack_recover(int store_fd)
{
        if (faccessat(store_fd, LAYERS_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        return MIN(stack_each(store_fd, recover, &store_fd), 0);
}

int stack_sweep(int store_fd, Strv *ret_hidden)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        _cleanup_strv_ Strv known = NULL;
        int r;

        if (faccessat(store_fd, LAYERS_DIR, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        _cleanup_close_ int lock_fd = stack_lock(store_fd);
        if (lock_fd < 0)
                return lock_fd;
        r = stack_recover(store_fd);
        if (r >= 0)
                r = stack_each(store_fd, collect, &known);
        if (r < 0)
                return r;
        int fd = fcntl(lock_fd, F_DUPFD_CLOEXEC, 3);
        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return -errno;
        }
        for (struct dirent *e; r >= 0 && (e = readdir(dir));) {
                _cleanup_free_ char *hidden = strf(TREE_HIDDEN "%016" PRIx64, random_u64());
                OOM_CHECK(hidden);
                if (!is_id(e->d_name) || strv_contains(known, e->d_name))
                        continue;
                r = RET_NERRNO(renameat2(fd, e->d_name, store_fd, hidden, RENAME_NOREPLACE));
                if (r >= 0)
                        r = strv_append(ret_hidden, hidden);
        }
        return MIN(r, 0);
}
