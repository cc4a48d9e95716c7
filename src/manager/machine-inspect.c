/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager/machine-inspect.h"

#include "basic/fd.h"
#include "manager/answer.h"
#include "manager/manager.h"
#include "manager/worker.h"
#include "state/leader.h"

static DEFINE_SCHEMA(process_arguments, ProcessArguments, FIELD(ProcessArguments, FIELD_UINT, "pid", pid));
static DEFINE_SCHEMA(id_arguments, IdArguments, FIELD(IdArguments, FIELD_UINT, "id", id));
static DEFINE_SCHEMA(id_answer, IdAnswer, FIELD(IdAnswer, FIELD_UINT, "id", id));
static DEFINE_SCHEMA(owner_answer, OwnerAnswer, FIELD(OwnerAnswer, FIELD_STRING, "name", name),
                     FIELD(OwnerAnswer, FIELD_MACHINE, "machine", machine),
                     FIELD(OwnerAnswer, FIELD_UINT, "id", id));
static DEFINE_SCHEMA(file_answer, FileAnswer, FIELD(FileAnswer, FIELD_FD, "fd", fd));
DEFINE_SCHEMA(terminal_answer_schema, TerminalAnswer, FIELD(TerminalAnswer, FIELD_FD, "fd", fd),
              FIELD(TerminalAnswer, FIELD_STRING, "path", path));
static DEFINE_SCHEMA(ssh_answer, SshAnswer, FIELD(SshAnswer, FIELD_STRING, "address", address),
                     FIELD(SshAnswer, FIELD_STRING, "key", key));

static int list_machines(Call *call, Machine *m, const void *arguments)
{
        (void) m;
        (void) arguments;
        call_answer(call, NULL);
        return 0;
}

static int get_machine_of_process(Call *call, Machine *unused, const void *arguments)
{
        const ProcessArguments *a = arguments;
        pid_t pid = a->pid == 0 ? call->caller.pid : (pid_t) a->pid;
        const Machine *m = a->pid > INT32_MAX ? NULL : machine_of_process(call->manager, pid);

        (void) unused;
        if (m)
                call_answer(call, &(MachineAnswer){ m->name });
        else
                call_fail(call, ERROR_NO_MACHINE_OF_PROCESS, "Process %u belongs to no machine.", a->pid);
        return 0;
}

static int get_addresses(Call *call, Machine *m, const void *arguments)
{
        AddressesAnswer answer = {};
        int r;

        (void) arguments;
        _cleanup_close_ int proc_fd = machine_open(m);
        if (proc_fd < 0)
                return proc_fd;
        r = inspect_addresses(proc_fd, &answer.addresses, &answer.n_addresses);
        if (r == -ENONET) {
                call_fail(call, ERROR_NO_PRIVATE_NETWORK, "Machine '%s' uses the network of the host.",
                          m->name);
                return 0;
        }
        if (r < 0)
                return r;
        call_answer(call, &answer);
        free(answer.addresses);
        return 0;
}

static int get_os_release(Call *call, Machine *m, const void *arguments)
{
        const OsReleaseRequest request = { { m->record.leader, m->record.start_time },
                                           m->foreign ? m->owner : 0 };

        (void) arguments;
        /* Facts that would be those of the host are left out. */
        _cleanup_close_ int proc_fd = machine_open(m);
        if (proc_fd < 0)
                return proc_fd;
        return worker_answer(call,
                             &(WorkerCall){ .work = WORK_OS_RELEASE, .request = &request, .name = m->name });
}

static int get_uid_shift(Call *call, Machine *m, const void *arguments)
{
        uint32_t size;
        uid_t base;
        int r;

        (void) arguments;
        _cleanup_close_ int proc_fd = machine_open(m);
        if (proc_fd < 0)
                return proc_fd;
        r = leader_users(proc_fd, &base, &size);
        if (r == -EOPNOTSUPP || (r >= 0 && size < MACHINE_HOST_IDS - 2)) {
                call_fail(call, ERROR_NOT_SUPPORTED, "Machine '%s' does not map its users as one range.",
                          m->name);
                return 0;
        }
        if (r < 0)
                return r;
        call_answer(call, &(IdAnswer){ base });
        return 0;
}

static int open_root(Call *call, Machine *m, const void *arguments)
{
        (void) arguments;
        _cleanup_close_ int proc_fd = machine_open(m);
        _cleanup_close_ int root_fd = proc_fd < 0 ? proc_fd : leader_open_root(proc_fd);
        if (root_fd < 0)
                return root_fd;
        call_answer(call, &(FileAnswer){ root_fd });
        return 0;
}

static int open_pty(Call *call, Machine *m, const void *arguments)
{
        _cleanup_free_ char *path = NULL;

        (void) arguments;
        _cleanup_close_ int proc_fd = machine_open_or_host(m);
        _cleanup_close_ int master_fd = proc_fd < 0 ? proc_fd : inspect_open_terminal(proc_fd, &path);
        if (master_fd < 0)
                return master_fd;
        call_answer(call, &(TerminalAnswer){ master_fd, path });
        return 0;
}

static int get_ssh(Call *call, Machine *m, const void *arguments)
{
        (void) arguments;
        if (m->ssh_address)
                call_answer(call, &(SshAnswer){ m->ssh_address, m->ssh_key });
        else
                call_fail(call, ERROR_NOT_SUPPORTED, "Machine '%s' has told no address for ssh.", m->name);
        return 0;
}

static int map_to_host(Call *call, const Machine *m, uint32_t inner, bool group)
{
        uint32_t outer;

        _cleanup_close_ int proc_fd = machine_open(m);
        if (proc_fd < 0)
                return proc_fd;
        if (leader_id_to_host(proc_fd, group, inner, &outer) < 0)
                call_fail(call, group ? ERROR_NO_SUCH_GROUP : ERROR_NO_SUCH_USER,
                          "Machine '%s' has no mapping for %u.", m->name, inner);
        else
                call_answer(call, &(IdAnswer){ outer });
        return 0;
}

static int map_user_to_host(Call *call, Machine *m, const void *arguments)
{
        const IdArguments *a = arguments;

        return map_to_host(call, m, a->id, false);
}

static int map_group_to_host(Call *call, Machine *m, const void *arguments)
{
        const IdArguments *a = arguments;

        return map_to_host(call, m, a->id, true);
}

static int map_of_host(Call *call, uint32_t outer, bool group)
{
        uint32_t inner;
        const Machine *m;

        if (outer < MACHINE_HOST_IDS) {
                call_fail(call, ERROR_USER_OF_HOST, "%u is an ID of the host.", outer);
                return 0;
        }
        m = machine_of_user(call->manager, group, outer, &inner);
        if (m)
                call_answer(call, &(OwnerAnswer){ m->name, m->name, inner });
        else
                call_fail(call, group ? ERROR_NO_SUCH_GROUP : ERROR_NO_SUCH_USER, "No machine has %u.",
                          outer);
        return 0;
}

static int map_user_of_host(Call *call, Machine *m, const void *arguments)
{
        const IdArguments *a = arguments;

        (void) m;
        return map_of_host(call, a->id, false);
}

static int map_group_of_host(Call *call, Machine *m, const void *arguments)
{
        const IdArguments *a = arguments;

        (void) m;
        return map_of_host(call, a->id, true);
}

const Operation operation_list_machines = { "list", .refresh = true, .run = list_machines };
const Operation operation_get_machine_of_process = { "get", .refresh = true, .arguments = &process_arguments,
                                                     .answer = &machine_answer_schema,
                                                     .run = get_machine_of_process };
const Operation operation_get_addresses = { "get-addresses", TARGET_MACHINE, .run = get_addresses };
const Operation operation_get_os_release = { "get-os-release", TARGET_MACHINE, .answer = &os_release_schema,
                                             .run = get_os_release };
const Operation operation_get_uid_shift = { "get-uid-shift", TARGET_MACHINE, .answer = &id_answer,
                                            .run = get_uid_shift };
const Operation operation_get_ssh = { "get-ssh", TARGET_MACHINE, .answer = &ssh_answer, .run = get_ssh };
const Operation operation_open_root = { "open_root_directory", TARGET_MACHINE, .answer = &file_answer,
                                        .policy = POLICY_OPEN_ROOT, .run = open_root };
const Operation operation_open_pty = { "open_pty", TARGET_MACHINE, .answer = &terminal_answer_schema,
                                       .policy = POLICY_OPEN_PTY, .run = open_pty };
const Operation operation_map_user_to_host = { "map", TARGET_MACHINE, .arguments = &id_arguments,
                                               .answer = &id_answer, .run = map_user_to_host };
const Operation operation_map_group_to_host = { "map", TARGET_MACHINE, .arguments = &id_arguments,
                                                .answer = &id_answer, .run = map_group_to_host };
const Operation operation_map_user_of_host = { "map", .refresh = true, .arguments = &id_arguments,
                                               .answer = &owner_answer, .run = map_user_of_host };
const Operation operation_map_group_of_host = { "map", .refresh = true, .arguments = &id_arguments,
                                                .answer = &owner_answer, .run = map_group_of_host };
