/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The files of a registry below /run/systemd/machines. The file NAME has assignments that
 * sd_machine_get_class(3), nss-mymachines, "systemctl -M" and other programs read. A machine with a unit of
 * its own also has a link "unit:UNIT" to its name. Readers watch the directory for renames. */

#include <sys/stat.h>

#include "basic/fd.h"
#include "basic/log.h"
#include "basic/os-release.h"
#include "basic/parse.h"
#include "manager/foreign.h"
#include "manager/state-file.h"

#define STATE_DIR      "/run/systemd/machines"
#define STATE_FILE_MAX 16384U
#define VALUE_MAX      2048U

static int open_dir(void)
{
        return RET_NERRNO(open(STATE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* Adds a line KEY="VALUE", if a value can be in one line. Names of units can have backslashes. */
static int append_line(Strv *lines, const char *key, const char *value)
{
        _cleanup_free_ char *escaped = value ? malloc(strlen(value) * 2 + 1) : NULL;
        char *p = escaped;

        if (isempty(value) || !str_is_clean(value))
                return 0;
        OOM_CHECK(escaped);
        for (const char *c = value; *c; c++) {
                if (strchr("\"\\$`", *c))
                        *p++ = '\\';
                *p++ = *c;
        }
        *p = 0;
        return strv_appendf(lines, "%s=\"%s\"", key, escaped);
}

static char *join_interfaces(const Machine *m)
{
        _cleanup_free_ char *text = strdup("");

        for (size_t i = 0; i < m->n_interfaces && text; i++) {
                char *longer = strf("%s%s%i", text, i > 0 ? " " : "", m->interfaces[i]);
                free(text);
                text = longer;
        }
        return TAKE_PTR(text);
}

static int state_file_write(const Machine *m)
{
        _cleanup_free_ char *interfaces = join_interfaces(m), *link = strf("unit:%s", m->unit), *text = NULL;
        _cleanup_strv_ Strv lines = NULL;
        int r;

        if (!interfaces || !link)
                return -ENOMEM;
        r = strv_appendf(
                &lines,
                "# This file belongs to mctl-registryd.\nNAME=%s\nUID=%u\nLEADER=%i\nLEADER_START=%" PRIu64
                "\nCLASS=%s\nREALTIME=%" PRIu64 "\nMONOTONIC=%" PRIu64,
                m->name, m->owner, m->record.leader, m->record.start_time, m->class, m->record.since,
                m->since_monotonic);
        if (r >= 0)
                r = append_line(&lines, "SCOPE", m->unit);
        if (r >= 0)
                r = append_line(&lines, "SERVICE", m->service);
        if (r >= 0)
                r = append_line(&lines, "ROOT", m->record.root);
        if (r >= 0)
                r = append_line(&lines, "ID", m->record.uuid);
        if (r >= 0)
                r = append_line(&lines, "NETIF", interfaces);
        if (r >= 0 && m->vsock_cid != UINT32_MAX)
                r = strv_appendf(&lines, "VSOCK_CID=%u", m->vsock_cid);
        if (r >= 0)
                r = append_line(&lines, "SSH_ADDRESS", m->ssh_address);
        if (r >= 0)
                r = append_line(&lines, "SSH_PRIVATE_KEY_PATH", m->ssh_key);
        if (r >= 0)
                r = append_line(&lines, "CONTROL_ADDRESS", m->control_address);
        if (r >= 0)
                r = strv_append(&lines, "");
        text = r < 0 ? NULL : strv_join(lines, "\n");
        OOM_CHECK(text);
        _cleanup_close_ int dir_fd = open_dir();
        if (dir_fd < 0)
                return dir_fd;
        r = file_write_atomic_at(dir_fd, m->name, 0644, text, strlen(text));
        if (r >= 0 && m->owns_unit) {
                (void) unlinkat(dir_fd, link, 0);
                r = RET_NERRNO(symlinkat(m->name, dir_fd, link));
        }
        return MIN(r, 0);
}

static void state_file_remove(const Machine *m)
{
        _cleanup_free_ char *link = strf("unit:%s", m->unit);

        _cleanup_close_ int dir_fd = open_dir();
        if (dir_fd < 0)
                return;
        if (link && m->owns_unit)
                (void) unlinkat(dir_fd, link, 0);
        (void) unlinkat(dir_fd, m->name, 0);
}

static int parse_interfaces(const char *text, Machine *m)
{
        _cleanup_free_ char *copy = strdup(text);
        uint64_t index;
        int r = 0;

        OOM_CHECK(copy);
        for (char *state, *word = strtok_r(copy, " ", &state); word && r >= 0;
             word = strtok_r(NULL, " ", &state))
                r = parse_u64(word, 1, INT32_MAX, &index) < 0 ? -EBADMSG : foreign_add_interface(m, index);
        return r;
}

static bool read_number(const char *text, const char *key, uint64_t max, uint64_t *ret)
{
        _cleanup_free_ char *value = env_file_field(text, key, VALUE_MAX);

        return value && parse_u64(value, 0, max, ret) >= 0;
}

/* Only root writes to the directory. A file that no registry has written is not a machine. */
static int load(int dir_fd, const char *name, Machine *m)
{
        _cleanup_free_ char *text = NULL, *own_name = NULL, *id = NULL, *interfaces = NULL;
        uint64_t owner, leader, cid;
        int r;

        r = file_read_at(dir_fd, name, STATE_FILE_MAX, &text, NULL);
        if (r < 0)
                return r;
        own_name = env_file_field(text, "NAME", VALUE_MAX);
        m->name = strdup(name);
        m->class = env_file_field(text, "CLASS", VALUE_MAX);
        m->unit = env_file_field(text, "SCOPE", VALUE_MAX);
        m->service = env_file_field(text, "SERVICE", VALUE_MAX) ?: strdup("");
        m->record.root = env_file_field(text, "ROOT", VALUE_MAX);
        if (!m->name || !m->service)
                return -ENOMEM;
        if (!machine_name_valid(name) || !streq_ptr(own_name, name) || !m->unit ||
            (!streq_ptr(m->class, "container") && !streq_ptr(m->class, "vm")) ||
            !read_number(text, "LEADER", INT32_MAX, &leader) || leader <= 1 ||
            !read_number(text, "LEADER_START", UINT64_MAX, &m->record.start_time) ||
            !read_number(text, "UID", UINT32_MAX - 1, &owner) ||
            !read_number(text, "REALTIME", UINT64_MAX, &m->record.since) ||
            !read_number(text, "MONOTONIC", UINT64_MAX, &m->since_monotonic))
                return -EBADMSG;
        if (read_number(text, "VSOCK_CID", UINT32_MAX, &cid))
                m->vsock_cid = cid;
        m->ssh_address = env_file_field(text, "SSH_ADDRESS", VALUE_MAX);
        m->ssh_key = env_file_field(text, "SSH_PRIVATE_KEY_PATH", VALUE_MAX);
        m->control_address = env_file_field(text, "CONTROL_ADDRESS", VALUE_MAX);
        m->owner = owner;
        m->record.leader = leader;
        m->record.handed_over = true;
        id = env_file_field(text, "ID", VALUE_MAX);
        snprintf(m->record.uuid, sizeof(m->record.uuid), "%s", id && strlen(id) == 32 ? id : "");
        interfaces = env_file_field(text, "NETIF", VALUE_MAX);
        return interfaces ? parse_interfaces(interfaces, m) : 0;
}

static int load_one(Manager *manager, int dir_fd, const char *name)
{
        _cleanup_(machine_free_cleanup) Machine *m = machine_new(manager);
        _cleanup_free_ char *link = NULL;
        int r;

        OOM_CHECK(m);
        r = load(dir_fd, name, m);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                log_warning("'%s/%s' is no file of this registry: removed.", STATE_DIR, name);
        /* Machines of mctl are known by their units, and their files are written again. */
        if (r < 0 || streq(m->service, "mctl") || !record_alive(&m->record) || manager_find(manager, name)) {
                (void) unlinkat(dir_fd, name, 0);
                return 0;
        }
        m->published = m->record.leader;
        link = strf("unit:%s", m->unit);
        OOM_CHECK(link);
        m->owns_unit = faccessat(dir_fd, link, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
        r = foreign_add(m);
        if (r >= 0)
                TAKE_PTR(m);
        else
                log_warning_errno(r, "Failed to take machine '%s' over", name);
        return 0;
}

/* A link without a target: its machine ended while no registry ran. */
static void drop_dangling(int dir_fd, const char *link)
{
        char name[MACHINE_NAME_MAX + 1] = "";

        if (readlinkat(dir_fd, link, name, sizeof(name) - 1) < 0 || !machine_name_valid(name) ||
            faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                (void) unlinkat(dir_fd, link, 0);
}

static int load_all(Manager *manager)
{
        _cleanup_(closedir_cleanup) DIR *dir = NULL;
        int r = 0, dir_fd = open_dir();

        if (dir_fd < 0)
                return dir_fd;
        dir = fdopendir(dir_fd);
        if (!dir) {
                fd_close(dir_fd);
                return -ENOMEM;
        }
        for (struct dirent *e; r >= 0 && (e = readdir(dir));)
                if (e->d_name[0] != '.' && !startswith(e->d_name, "unit:"))
                        r = load_one(manager, dir_fd, e->d_name);
        rewinddir(dir);
        for (struct dirent *e; r >= 0 && (e = readdir(dir));)
                if (startswith(e->d_name, "unit:"))
                        drop_dangling(dir_fd, e->d_name);
        return r;
}

static void on_published(void *userdata, Machine *m, bool there)
{
        const Manager *manager = userdata;
        int r = 0;

        if (manager->provider != PROVIDER_OURS)
                return;
        if (there)
                r = state_file_write(m);
        else
                state_file_remove(m);
        if (r < 0)
                log_warning_errno(r, "Failed to write '%s/%s'", STATE_DIR, m->name);
}

void state_files_observe(Manager *manager, Observer *observer)
{
        *observer = (Observer){ .machine_published = on_published, .userdata = manager };
        manager_observe(manager, observer);
}

int state_files_load(Manager *manager)
{
        int r = load_all(manager);

        return r < 0 ? log_error_errno(r, "Failed to read '%s'", STATE_DIR) : 0;
}
