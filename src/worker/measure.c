/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Sizes of images on disk: all bytes, the bytes that no other image shares, and which images share the
 * rest. */

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <search.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "basic/fd.h"
#include "store/stack.h"
#include "store/store.h"
#include "worker/measure.h"

#define DEPTH_MAX    512U
#define EXTENTS_STEP 64U
#define BLOCK        512U
#define LINKS_MAX    1000000U

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

typedef struct Size {
        uint64_t all, exclusive; /* bytes */
} Size;

static void add(Size *sum, const Size *more)
{
        sum->all += more->all;
        sum->exclusive += more->exclusive;
}

/* --- trees --------------------------------------------------------------------------------------------- */

typedef struct Count {
        Size size;
        bool extents; /* the file system lets files share extents */
        /* `links` has the counted files with several hard links, at most LINKS_MAX. Beyond that, a file
         * counts once for each of its names. */
        void *links;
        size_t n_links;
} Count;

typedef struct Link {
        dev_t dev;
        ino_t ino;
} Link;

static int compare_links(const void *a, const void *b)
{
        const Link *x = a, *y = b;

        return x->dev != y->dev   ? (x->dev < y->dev ? -1 : 1)
               : x->ino != y->ino ? (x->ino < y->ino ? -1 : 1)
                                  : 0;
}

/* Whether a file was already counted by another hard link. */
static bool is_known(Count *c, const struct stat *st)
{
        if (st->st_nlink < 2 || c->n_links >= LINKS_MAX)
                return false;
        Link *link = malloc(sizeof(Link)), **found = NULL;
        if (link) {
                *link = (Link){ st->st_dev, st->st_ino };
                found = tsearch(link, &c->links, compare_links);
        }
        bool known = found && *found != link;
        c->n_links += !known;
        if (known || !found)
                free(link);
        return known;
}

/* Returns how many bytes of a file are shared with other files. */
static uint64_t shared_bytes(int fd)
{
        union {
                struct fiemap map;
                char room[sizeof(struct fiemap) + EXTENTS_STEP * sizeof(struct fiemap_extent)];
        } u = {};
        uint64_t shared = 0;
        bool last = false;

        for (uint64_t at = 0; !last;) {
                u.map.fm_start = at;
                u.map.fm_length = FIEMAP_MAX_OFFSET - at;
                u.map.fm_extent_count = EXTENTS_STEP;
                if (ioctl(fd, FS_IOC_FIEMAP, &u.map) < 0 || u.map.fm_mapped_extents == 0)
                        break;
                for (size_t i = 0; i < u.map.fm_mapped_extents; i++) {
                        const struct fiemap_extent *e = u.map.fm_extents + i;
                        if (e->fe_flags & FIEMAP_EXTENT_SHARED)
                                shared += e->fe_length;
                        last = e->fe_flags & FIEMAP_EXTENT_LAST;
                        at = e->fe_logical + e->fe_length;
                }
        }
        return shared;
}

/* `fd` has O_PATH. Reopening it opens the same file, even if its name stands for another file by now. */
static void count_file(Count *c, int fd, const struct stat *st)
{
        uint64_t bytes = (uint64_t) st->st_blocks * BLOCK, shared = 0;

        if (c->extents && S_ISREG(st->st_mode) && bytes > 0) {
                _cleanup_close_ int read_fd = fd_reopen(fd, O_RDONLY | O_NONBLOCK);
                shared = read_fd < 0 ? 0 : MIN(shared_bytes(read_fd), bytes);
        }
        add(&c->size, &(Size){ bytes, bytes - shared });
}

/* Does not count entries that are more than `depth` levels below the directory. */
static int count_children(Count *c, int dir_fd, unsigned depth)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int fd = depth == 0 ? -EBADF : fd_reopen(dir_fd, O_RDONLY | O_DIRECTORY);

        dir = fd < 0 ? NULL : fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return depth == 0 ? 0 : fd < 0 ? fd : -ENOMEM;
        }
        for (struct dirent *e; (e = readdir(dir));) {
                struct stat st;
                if (streq(e->d_name, ".") || streq(e->d_name, ".."))
                        continue;
                if (is_cancelled())
                        return -ECANCELED;
                _cleanup_close_ int own_fd = openat(fd, e->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
                if (own_fd < 0 || fstat(own_fd, &st) < 0 || (!S_ISDIR(st.st_mode) && is_known(c, &st)))
                        continue;
                count_file(c, own_fd, &st);
                int r = S_ISDIR(st.st_mode) ? count_children(c, own_fd, depth - 1) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Measures a tree or a file. */
static int measure_file(int parent_fd, const char *name, Size *ret)
{
        Count c = {};
        struct statfs fs;
        struct stat st;
        int r = 0;

        _cleanup_close_ int fd = openat(parent_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
                return -errno;
        c.extents = fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC;
        count_file(&c, fd, &st);
        if (S_ISDIR(st.st_mode))
                r = count_children(&c, fd, DEPTH_MAX);
        tdestroy(c.links, free);
        *ret = c.size;
        return r;
}

/* --- stacks -------------------------------------------------------------------------------------------- */

typedef struct Measure {
        int store_fd, layers_fd;
        /* A part is a layer, with its ID as key, or a base, with "/NAME" as key. `users` has the names of
         * images for each part, and `sizes` the bytes of parts that were measured. */
        json_t *users;
        json_t *sizes;
} Measure;

static void add_user(Measure *m, const char *part, const char *name)
{
        json_t *list = json_object_get(m->users, part);

        if (!list) {
                list = json_array();
                json_object_set_new(m->users, part, list);
        }
        const char *last = json_string_value(json_array_get(list, json_array_size(list) - 1));
        if (!last || !streq(last, name))
                json_array_append_new(list, json_string(name));
}

static int add_users(Measure *m, const Layers *layers, const char *name)
{
        STRV_FOREACH (id, layers->ids)
                add_user(m, *id, name);
        if (!layers->base)
                return 0;
        _cleanup_free_ char *part = strf("/%s", layers->base);
        OOM_CHECK(part);
        add_user(m, part, name);
        return 0;
}

static int see_stack(void *userdata, const char *name, const Stack *stack)
{
        if (name[0] == '.')
                return 0; /* a hidden stack: unfinished, or being removed */
        int r = add_users(userdata, &stack->layers, name);

        for (size_t i = 0; i < stack->n_snapshots && r >= 0; i++)
                r = add_users(userdata, &stack->snapshots[i].layers, name);
        return r;
}

/* Measures each part only once, even if several images have it. */
static int measure_part(Measure *m, const char *part, uint64_t *ret)
{
        const json_t *known = json_object_get(m->sizes, part);
        Size size;
        int r;

        if (known) {
                *ret = (uint64_t) json_integer_value(known);
                return 0;
        }
        r = part[0] == '/' ? measure_file(m->store_fd, part + 1, &size)
                           : measure_file(m->layers_fd, part, &size);
        if (r < 0)
                return r;
        *ret = size.all;
        json_object_set_new(m->sizes, part, json_integer((json_int_t) size.all));
        return 0;
}

/* Adds up the parts of a stack and its snapshots. `shares` gets the other images that have one of these
 * parts. */
static int measure_stack(Measure *m, const char *name, Size *ret, json_t *shares)
{
        const char *part;
        json_t *users, *user;
        size_t i;

        json_object_foreach (m->users, part, users) {
                bool own = false;
                uint64_t bytes;
                json_array_foreach (users, i, user)
                        own = own || streq(json_string_value(user), name);
                if (!own)
                        continue;
                int r = measure_part(m, part, &bytes);
                if (r < 0)
                        return r;
                add(ret, &(Size){ bytes, json_array_size(users) == 1 && part[0] != '/' ? bytes : 0 });
                json_array_foreach (users, i, user)
                        if (!streq(json_string_value(user), name))
                                json_object_set_new(shares, json_string_value(user), json_true());
                if (part[0] == '/')
                        json_object_set_new(shares, part + 1, json_true());
        }
        return 0;
}

/* An image that is the base of stacks shares all of its bytes with them: none are exclusive. */
static int measure_plain(Measure *m, const char *name, const char *file, Size *ret, json_t *shares)
{
        _cleanup_free_ char *part = strf("/%s", name);
        json_t *user;
        size_t i;

        OOM_CHECK(part);
        int r = measure_file(m->store_fd, file, ret);
        json_array_foreach (json_object_get(m->users, part), i, user) {
                json_object_set_new(shares, json_string_value(user), json_true());
                ret->exclusive = 0;
        }
        return r;
}

static int measure(Measure *m, const char *name, Size *ret, json_t *shares)
{
        _cleanup_free_ char *file = NULL;
        ImageType type;

        _cleanup_close_ int fd = image_open_in(m->store_fd, name, 0, &type, &file);
        return fd < 0                ? fd
               : type == IMAGE_STACK ? measure_stack(m, name, ret, shares)
               : type == IMAGE_BLOCK ? -EOPNOTSUPP
                                     : measure_plain(m, name, file, ret, shares);
}

static int measure_begin(Measure *m, int store_fd)
{
        *m = (Measure){ store_fd, -EBADF, json_object(), json_object() };
        m->layers_fd = dir_open_at(store_fd, LAYERS_DIR);
        return m->layers_fd < 0 ? 0 : MIN(stack_each(store_fd, see_stack, m), 0);
}

static void measure_end(Measure *m)
{
        fd_close(m->layers_fd);
        json_decref(m->users);
        json_decref(m->sizes);
}

static int measure_image(int store_fd, const char *name, Size *ret)
{
        json_t *shares = json_object();
        Measure m;
        int r = measure_begin(&m, store_fd);

        *ret = (Size){};
        if (r >= 0)
                r = measure(&m, name, ret, shares);
        json_decref(shares);
        measure_end(&m);
        return r;
}

uint64_t image_exclusive_size(int store_fd, const char *name)
{
        Size size;

        return measure_image(store_fd, name, &size) < 0 ? UINT64_MAX : size.exclusive;
}

uint64_t image_size(int store_fd, const char *name)
{
        Size size;

        return measure_image(store_fd, name, &size) < 0 ? 0 : size.all;
}

static int add_image(Measure *m, const char *name, MeasureAnswer *answer)
{
        json_t *shares = json_object(), *value;
        const char *other;
        Size size = {};
        int r = 0;

        /* An image that was removed meanwhile is left out. */
        if (measure(m, name, &size, shares) >= 0) {
                ImageSize *image = answer->images + answer->n_images++;
                *image = (ImageSize){ strdup(name), size.all, size.exclusive,
                                      store_get_limit(m->store_fd, name) };
                r = image->name ? 0 : -ENOMEM;
                json_object_foreach (shares, other, value)
                        if (r >= 0)
                                r = strv_append(&image->shares, other);
        }
        json_decref(shares);
        return r;
}

int work_measure(const Job *job, char **ret_error)
{
        const MeasureRequest *request = job->request;
        MeasureAnswer *answer = job->answer;
        Measure m;
        int r;

        answer->images = calloc(strv_length(request->names) + 1, sizeof(ImageSize));
        OOM_CHECK(answer->images);
        _cleanup_close_ int store_fd = open(job->scope->store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (store_fd < 0)
                return -errno;
        r = measure_begin(&m, store_fd);
        if (r == -EBADMSG)
                r = set_failure(ret_error, r, "The manifest of a stack is invalid.");
        STRV_FOREACH (name, request->names)
                if (r >= 0)
                        r = add_image(&m, *name, answer);
        measure_end(&m);
        return r;
}
