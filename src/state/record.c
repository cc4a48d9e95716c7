/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/file.h>

#include "basic/fd.h"
#include "basic/parse.h"
#include "basic/process.h"
#include "state/record.h"

#define RECORD_MAX 8192U

static const char *const kind_dirs[_MACHINE_UNIT_KIND_MAX] = {
        [MACHINE_UNIT_TRANSIENT] = "machines",
        [MACHINE_UNIT_TEMPLATE] = "containers",
};

void record_clear(Record *record)
{
        free(record->root);
        free(record->os);
        *record = (Record){};
}

int run_dir_open(const Scope *scope)
{
        return dir_open_or_make_at(AT_FDCWD, scope->run_dir, 0755);
}

int run_dir_lock(int run_fd, bool wait)
{
        /* A user who could open the file could also lock it. */
        _cleanup_close_ int fd = openat(run_fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0)
                return -errno;
        while (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0)
                if (errno != EINTR)
                        return -errno;
        return TAKE_FD(fd);
}

char *machine_dir_path(MachineUnitKind kind, const char *name)
{
        return strf("%s/%s", kind_dirs[kind], name);
}

char *machine_notify_path(const Scope *scope, MachineUnitKind kind, const char *name)
{
        return strf("%s/%s/%s/" NOTIFY_FILE, scope->run_dir, kind_dirs[kind], name);
}

int machine_dir_open(int run_fd, MachineUnitKind kind, const char *name, bool make)
{
        _cleanup_free_ char *path = machine_dir_path(kind, name);

        OOM_CHECK(path);
        if (make)
                return dir_open_or_make_at(run_fd, path, 0700);
        return dir_open_at(run_fd, path);
}

int machine_dir_remove(int run_fd, MachineUnitKind kind, const char *name)
{
        static const char *const files[] = { "spec.json", NOTIFY_FILE };
        _cleanup_free_ char *path = machine_dir_path(kind, name);

        OOM_CHECK(path);
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_free_ char *file = strf("%s/%s", path, files[i]);
                OOM_CHECK(file);
                (void) unlinkat(run_fd, file, 0);
        }
        return RET_NERRNO(unlinkat(run_fd, path, AT_REMOVEDIR));
}

int record_write(int machine_fd, const Record *record)
{
        json_t *json = json_pack("{sI sI sI sI ss* sb ss ss* ss* ss* sI sI sb}", "Leader",
                                 (json_int_t) record->leader, "StartTime", (json_int_t) record->start_time,
                                 "Since", (json_int_t) record->since, "UIDBase", (json_int_t) record->base,
                                 "ImageClaim", record->image_claim[0] ? record->image_claim : NULL,
                                 "HandedOver", record->handed_over, "UUID", record->uuid, "Root",
                                 record->root, "Tree", record->tree[0] ? record->tree : NULL, "OS",
                                 record->os, "Notify", (json_int_t) record->notify, "Console",
                                 (json_int_t) record->console, "InitNotifies", record->init_notifies);
        OOM_CHECK(json);
        _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
        json_decref(json);
        OOM_CHECK(text);
        return file_write_atomic_at(machine_fd, "leader", 0644, text, strlen(text));
}

int record_read(int machine_fd, Record *ret)
{
        _cleanup_free_ char *text = NULL;
        json_int_t leader, start, since, base, notify = 0, console = 0;
        const char *uuid, *claim = "", *root = NULL, *tree = "", *os = NULL;
        int handed_over, init_notifies = 0, r;

        r = file_read_at(machine_fd, "leader", RECORD_MAX, &text, NULL);
        if (r < 0)
                return r;
        json_t *json = json_loads(text, 0, NULL);
        r = json_unpack(json, "{sI sI sI sI s?s sb ss s?s s?s s?s s?I s?I s?b}", "Leader", &leader,
                        "StartTime", &start, "Since", &since, "UIDBase", &base, "ImageClaim", &claim,
                        "HandedOver", &handed_over, "UUID", &uuid, "Root", &root, "Tree", &tree, "OS", &os,
                        "Notify", &notify, "Console", &console, "InitNotifies", &init_notifies);
        if (r < 0 || leader <= 0 || leader > INT32_MAX || strlen(uuid) >= sizeof(ret->uuid) ||
            strlen(claim) >= sizeof(ret->image_claim) || strlen(tree) >= sizeof(ret->tree)) {
                json_decref(json);
                return -EBADMSG;
        }

        *ret = (Record){
                .leader = leader,
                .start_time = start,
                .since = since,
                .base = base,
                .handed_over = handed_over,
                .init_notifies = init_notifies,
                .notify = (ino_t) notify,
                .console = (dev_t) console,
                .root = root ? strdup(root) : NULL,
                .os = os ? strdup(os) : NULL,
        };
        snprintf(ret->uuid, sizeof(ret->uuid), "%s", uuid);
        snprintf(ret->tree, sizeof(ret->tree), "%s", tree);
        snprintf(ret->image_claim, sizeof(ret->image_claim), "%s", claim);
        json_decref(json);
        return 0;
}

bool record_alive(const Record *record)
{
        return process_lives(record->leader, record->start_time);
}

int machine_is_running(int run_fd, MachineUnitKind kind, const char *name, char **ret_unit)
{
        _cleanup_record_ Record record = {};

        _cleanup_close_ int fd = machine_dir_open(run_fd, kind, name, false);
        if (fd < 0 || record_read(fd, &record) < 0 || !record_alive(&record))
                return 0;
        *ret_unit = machine_unit_name(kind, name);
        return *ret_unit ? 1 : -ENOMEM;
}

int machine_spec_write(int machine_fd, const Spec *spec)
{
        _cleanup_free_ char *text = spec_to_json_text(spec, true, JSON_INDENT(2));

        OOM_CHECK(text);
        return file_write_atomic_at(machine_fd, "spec.json", 0600, text, strlen(text));
}

int machine_spec_read(int machine_fd, const char *name, Spec **ret, char **ret_error)
{
        _cleanup_spec_ Spec *spec = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        r = file_read_at(machine_fd, "spec.json", SPEC_FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        spec = spec_new(name);
        OOM_CHECK(spec);
        r = spec_from_json_text(spec, SPEC_SOURCE_COMMAND, text, ret_error);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(spec);
        return 0;
}
