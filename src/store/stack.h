/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "basic/fd.h"
#include "basic/str.h"
#include "basic/tree.h"
#include "mount/overlay.h"

/* Images that are made of layers, NAME.stack. The first layer has the changes, and all other layers can be
 * shared with other images. A copy therefore takes no time, whatever the size and the file system.
 *
 * NAME.stack is a directory that holds a manifest and nothing else. Layers are in LAYERS_DIR of the store. A
 * layer is a directory with a random name that holds "upper", a tree as overlayfs keeps it
 * (Documentation/filesystems/overlayfs.rst), and "work". The first layer of a stack is writable, and belongs
 * to this stack alone. All other layers never change again, and may be in many stacks and snapshots. Below
 * the layers there can be a base: an image of the store that is a directory. A base is not written to as
 * long as a stack is over it.
 *
 * When a directory is copied, the directory becomes a stack as well, and its tree the lowest layer of both.
 * A read-only directory stays a directory, and becomes a base.
 *
 * Each change of a stack is one atomic write of its manifest. stack_sweep() removes layers that no manifest
 * names. */

#define LAYERS_DIR ".#mctl.layers"
#define LAYERS_MAX OVERLAY_LAYERS_MAX

/* The parts of a tree. */
typedef struct Layers {
        Strv ids;            /* of layers, the topmost first; may be NULL if there is a base */
        char *base;          /* the name of an image, or NULL */
        uint64_t base_inode; /* of the base's directory, to recognise a replaced base */
} Layers;

void layers_clear(Layers *layers);
#define _cleanup_layers_ _cleanup_(layers_clear)

/* Copies `from` without its first `skip` layers to `to`, which must be empty. */
int layers_copy(Layers *to, const Layers *from, size_t skip);

typedef struct Snapshot {
        char *name;
        uint64_t time; /* µs since 1970 */
        Layers layers;
} Snapshot;

void snapshots_free(Snapshot *snapshots, size_t n);

typedef struct Stack {
        Layers layers;
        /* The name that this stack is to get, while stack_convert() makes the directory of that name a layer
         * of the stack. Otherwise NULL. */
        char *becomes;
        Snapshot *snapshots; /* the oldest first */
        size_t n_snapshots;
} Stack;

void stack_clear(Stack *stack);
#define _cleanup_stack_ _cleanup_(stack_clear)

/* Reads the manifest in the directory of a stack. -EBADMSG if the manifest is malformed. */
int stack_read(int stack_fd, Stack *ret);

/* Writes the manifest atomically, and returns when it is on disk. -E2BIG if there are too many snapshots. */
int stack_write(int stack_fd, const Stack *stack);

/* Waits for the lock of layers, and returns a descriptor that holds it. Callers of the functions below hold
 * this lock when layers or manifests change, unless a comment says otherwise. */
int stack_lock(int store_fd);

/* Adds a new layer on top of `layers`, whose root has the owner, mode and times of the root below. The
 * caller writes the manifest. Unless `own` is NULL, the new layer is counted by the project of the first
 * layer of `own` (quota.h). */
int layers_push(int store_fd, Layers *layers, const Layers *own);

/* Opens the directory of the first layer. */
int layers_open_first(int store_fd, const Layers *layers);

/* Moves a directory of the store into a new layer, with a second, empty layer on top. The stack with these
 * layers is made before the directory loses its name, so that stack_recover() can complete an interrupted
 * conversion. Returns the hidden name of the stack, which the caller renames to NAME.stack and frees. */
int stack_convert(int store_fd, const char *name, Stack *ret, char **ret_hidden);

/* Clears `becomes` in the manifest, after the stack has got its name. */
int stack_has_become(int store_fd, const char *file, Stack *stack);

/* Completes conversions that were interrupted after stack_convert() moved the directory: renames the hidden
 * stack to the name that it is to get. */
int stack_recover(int store_fd);

/* Removes the mark of a stack that is to be destroyed. Under a hidden name, the directory then is no stack.
 */
int stack_unmark(int stack_fd);

/* Prepares a copy of the first layer while somebody writes to it. Makes a layer for the copy, and returns in
 * `ret` the layers of a snapshot that has the copy on top. A hidden stack names the same layers, so that
 * stack_sweep() keeps them while layers_fill() copies. The caller frees both results, and destroys the
 * hidden stack. */
int layers_reserve(int store_fd, const Layers *layers, Layers *ret, char **ret_hidden);

/* Copies the first layer of `layers` to the layer `id` of layers_reserve(). Called without the lock, since a
 * copy takes its time. After an error, copy->failed names the file. */
int layers_fill(int store_fd, const Layers *layers, const char *id, TreeCopy *copy);

/* Whether the first layer has no changes, and another layer or a base is below. Such a first layer need not
 * be shared. */
bool layers_are_clean(int store_fd, const Layers *layers);

/* Makes the directory of a new stack under a hidden name, which the caller frees, and writes its manifest.
 * Nothing is synced: the caller syncs before the stack gets its name. */
int stack_make(int store_fd, const Stack *stack, char **ret_hidden);

/* Opens the parts of a tree with O_PATH: the directory of each layer, and then the base. The caller frees
 * the array and closes its descriptors with layers_close(). -ESTALE if the base is missing or was replaced.
 */
int layers_open(int store_fd, const Layers *layers, int **ret, size_t *ret_n);
void layers_close(int *layers, size_t n);

/* Mounts a tree, attached nowhere, without a mapping of owners. If `writable`, the first layer is writable,
 * otherwise the mount is read-only. Returns the descriptor of the mount. */
int layers_mount(int store_fd, const Layers *layers, bool writable);

/* Calls `call` for each stack of the store with its name, and for each hidden stack with its hidden name. A
 * result other than 0 ends the loop, and is returned. */
int stack_each(int store_fd, int (*call)(void *userdata, const char *name, const Stack *stack),
               void *userdata);

/* Whether a directory is the base of a stack or of a snapshot of a stack. Returns 1 and the name of the
 * stack, which the caller frees, or 0. ret_name may be NULL. */
int stack_find_user(int store_fd, uint64_t inode, char **ret_name);

/* Moves layers that no manifest names to hidden names in the store, under the lock, which it takes itself.
 * Appends the hidden names to ret_hidden, and the caller destroys them. If a manifest cannot be read, no
 * layer is moved. */
int stack_sweep(int store_fd, Strv *ret_hidden);
