/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launch/enter.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "basic/capability.h"
#include "basic/failure.h"
#include "basic/fd.h"
#include "basic/syscalls.h"
#include "launch/program.h"
#include "sandbox/cgroup.h"
#include "sandbox/filter.h"
#include "sandbox/limits.h"
#include "sandbox/plan.h"
#include "sandbox/privileges.h"
#include "state/leader.h"

/* A running machine, and the limits of its processes. */
typedef struct Target {
        Record record;
        Spec *spec;
        int leader_fd;   /* pidfd */
        int cgroup_fd;   /* a new cgroup, beside that of the payload */
        int unit_fd;     /* the cgroup of the unit, the parent of cgroup_fd */
        char cgroup[32]; /* the name of the new cgroup */
        uint64_t namespaces, capabilities;
        void *filter;
        size_t filter_size;
} Target;

/* --- the machine --------------------------------------------------------------------------------------- */

/* Finds a machine of a unit of any kind. Returns the directory of its record. */
static int find_machine(const Scope *scope, const char *name, Record *ret, char **ret_error)
{
        _cleanup_close_ int run_fd = run_dir_open(scope);
        if (run_fd < 0)
                return set_failure_errno(ret_error, run_fd, "Failed to open '%s'", scope->run_dir);
        for (MachineUnitKind kind = 0; kind < _MACHINE_UNIT_KIND_MAX; kind++) {
                _cleanup_record_ Record record = {};
                _cleanup_close_ int fd = machine_dir_open(run_fd, kind, name, false);
                if (fd < 0 || record_read(fd, &record) < 0 || !record.handed_over || !record_alive(&record))
                        continue;
                *ret = record;
                record = (Record){};
                return TAKE_FD(fd);
        }
        return set_failure(ret_error, -ESRCH, "No machine '%s' of mctl is running.", name);
}

/* All namespaces of the leader. The kernel refuses to enter the user namespace that a process is already in,
 * so that of the host is left out. */
static int find_namespaces(const Record *record, uint64_t *ret)
{
        _cleanup_close_ int proc_fd = leader_open(record);
        if (proc_fd < 0)
                return proc_fd;
        *ret = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP |
               (leader_shares(proc_fd, "user") ? 0 : CLONE_NEWUSER);
        return 0;
}

static int open_machine(const Scope *scope, const EnterRequest *q, Target *t, char **ret_error)
{
        _cleanup_free_ char *filter = NULL;
        int r;

        _cleanup_close_ int machine_fd = find_machine(scope, q->machine, &t->record, ret_error);
        if (machine_fd < 0)
                return machine_fd;
        r = machine_spec_read(machine_fd, q->machine, &t->spec, ret_error);
        if (r < 0)
                return *ret_error ? r
                                  : set_failure_errno(ret_error, r,
                                                      "Failed to read the spec of machine '%s'", q->machine);
        t->leader_fd = pidfd_open(t->record.leader, 0);
        /* The pidfd is that of the leader if the leader still has the PID after pidfd_open(). */
        r = t->leader_fd < 0 ? -errno : find_namespaces(&t->record, &t->namespaces);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to open machine '%s'", q->machine);

        t->capabilities = (q->flags & ENTER_PRIVILEGED) ? CAPABILITY_ALL : capability_bounding_set(t->spec);
        r = (q->flags & ENTER_PRIVILEGED) ? 0 : filter_name(t->spec, t->capabilities, &filter);
        if (r >= 0 && filter)
                r = filter_read(scope, t->spec, t->capabilities, filter, &t->filter, &t->filter_size,
                                ret_error);
        if (r < 0 && !*ret_error)
                return set_failure_errno(ret_error, r, "Failed to read the system call filter");
        return r;
}

/* The new cgroup is in the cgroup of the unit: its processes end with the unit. */
static int make_cgroup(Target *t, char **ret_error)
{
        t->unit_fd = cgroup_open_unit_of(t->record.leader);
        if (t->unit_fd < 0)
                return set_failure_errno(ret_error, t->unit_fd, "Failed to open the cgroup of the unit");
        snprintf(t->cgroup, sizeof(t->cgroup), CGROUP_GUEST "%i", getpid());
        t->cgroup_fd = cgroup_make_guest(t->unit_fd, t->cgroup);
        return t->cgroup_fd < 0 ? set_failure_errno(ret_error, t->cgroup_fd, "Failed to make a cgroup") : 0;
}

static void target_clear(Target *t)
{
        /* Processes that the program has left keep the cgroup until the unit ends. */
        if (t->cgroup_fd >= 0)
                (void) unlinkat(t->unit_fd, t->cgroup, AT_REMOVEDIR);
        record_clear(&t->record);
        if (t->spec)
                spec_free(t->spec);
        fd_close(t->leader_fd);
        fd_close(t->cgroup_fd);
        fd_close(t->unit_fd);
        free(t->filter);
}

/* --- the program --------------------------------------------------------------------------------------- */

static int make_environment(const EnterRequest *q, const Target *t, Strv *ret)
{
        _cleanup_strv_ Strv l = NULL;
        int r;

        r = plan_base_environment(&l);
        STRV_FOREACH (s, t->spec->environment)
                if (r >= 0)
                        r = strv_env_set(&l, *s);
        STRV_FOREACH (s, q->environment)
                if (r >= 0)
                        r = strv_env_set(&l, *s);
        if (r >= 0)
                *ret = TAKE_PTR(l);
        return r;
}

static int close_input(char **ret_error)
{
        _cleanup_close_ int null_fd = open("/dev/null", O_RDONLY | O_NOCTTY | O_CLOEXEC);

        return null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0
                       ? set_failure_errno(ret_error, -errno, "Failed to open '/dev/null' in the machine")
                       : 0;
}

/* The name of a login shell begins with a dash. Its working directory is the home directory. */
static int choose_program(const EnterRequest *q, const Person *person, Strv environment, char **ret_path,
                          Strv *ret_argv)
{
        const char *shell = person->shell ?: "/bin/sh";
        _cleanup_strv_ Strv argv = NULL;
        int r;

        if (q->command && q->command[0])
                r = strv_extend(&argv, q->command);
        else {
                const char *slash = strrchr(shell, '/');
                r = strv_appendf(&argv, "%s%s", (q->flags & ENTER_LOGIN) ? "-" : "",
                                 slash ? slash + 1 : shell);
        }
        if (r >= 0)
                r = program_find(q->command && q->command[0] ? argv[0] : shell, environment, ret_path);
        if (r >= 0)
                *ret_argv = TAKE_PTR(argv);
        return r;
}

/* Whether the system inside makes login sessions: systemd inside then opens a session by PAM, and logind
 * inside knows it. */
static bool has_sessions(void)
{
        return access("/run/systemd/system", F_OK) >= 0 && access("/usr/bin/systemd-run", X_OK) >= 0 &&
               access("/etc/pam.d/login", F_OK) >= 0;
}

/* The command line by which systemd inside opens a session and returns the exit status. */
static int make_session(const EnterRequest *q, const char *user, Strv *ret, char **ret_error)
{
        _cleanup_person_ Person person = {};
        int r;

        _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = root_fd < 0 ? -errno : person_find(root_fd, user, &person);
        if (r == -ESRCH)
                return set_failure(ret_error, r, "There is no user '%s' in the machine.", user);
        if (r >= 0)
                r = session_command(
                        &(EnterRequest){ .user = user,
                                         .directory = q->directory,
                                         .environment = q->environment,
                                         .command = q->command,
                                         .flags = (q->flags & ENTER_TERMINAL) ? ENTER_TERMINAL : 0 },
                        person.shell, ret);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to make a session");
        return 0;
}

/* The last steps as the host's root: changes the user, and replaces the standard streams. */
static int leave_host(const EnterRequest *q, const Target *t, char **ret_error)
{
        bool terminal = q->flags & ENTER_TERMINAL;
        int r = 0;

        /* The cgroup is entered last: where cgroup2 is mounted with nsdelegate, as by systemd, no process
         * can enter a cgroup outside of its own cgroup namespace. */
        if (setns(t->leader_fd, CLONE_NEWCGROUP) < 0)
                return set_failure_errno(ret_error, -errno,
                                         "Failed to enter the cgroup namespace of machine '%s'", q->machine);
        if (t->namespaces & CLONE_NEWUSER && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
                return set_failure_errno(ret_error, -errno, "Failed to become root of machine '%s'",
                                         q->machine);
        (void) prctl(PR_SET_DUMPABLE, 0);
        (void) setsid();
        if (terminal)
                r = program_open_terminal(STDIN_FILENO, true, ret_error);
        else if (!(q->flags & ENTER_INTERACTIVE))
                r = close_input(ret_error);
        return r < 0 ? r : program_replace_null(ret_error);
}

/* Changes to the user, and completes the environment. `argv` is set if the system inside makes the login
 * session. */
static int become(const EnterRequest *q, Target *t, Person *person, Strv *environment, Strv *argv,
                  char **ret_error)
{
        int r;

        program_reset_signals();
        umask(0022);
        if (q->flags & ENTER_LOGIN && has_sessions()) {
                r = make_session(q, t->spec->user ?: "root", argv, ret_error);
                if (r < 0)
                        return r;
                free(t->spec->user);
                t->spec->user = NULL;
        }
        /* Root has HOME=, USER= and LOGNAME=, too. The number 0 needs no entry in passwd. */
        if (!t->spec->user) {
                t->spec->user = strdup("0");
                OOM_CHECK(t->spec->user);
        }
        r = make_environment(q, t, environment);
        if (r >= 0)
                r = limits_apply_self(t->spec);
        return r < 0 ? r : program_become(t->spec, t->capabilities, person, environment, ret_error);
}

static _Noreturn void fail(LaunchTell tell, int status, const char *error)
{
        tell(error);
        _exit(status);
}

static _Noreturn void child_main(const EnterRequest *q, Target *t, LaunchTell tell)
{
        Strv environment = NULL, argv = NULL;
        char *path = NULL, *error = NULL;
        Person person = {};
        int r;

        r = leave_host(q, t, &error);
        if (r >= 0)
                r = become(q, t, &person, &environment, &argv, &error);
        if (r < 0)
                fail(tell, STATUS_NOT_RUN, error ?: strerror(-r));
        if (q->flags & ENTER_LOGIN && !q->directory && person.home)
                (void) program_enter_directory(person.home); /* the cgroup may not have been made */
        r = argv ? program_find(argv[0], environment, &path)
                 : choose_program(q, &person, environment, &path, &argv);
        if (r < 0) {
                const char *name = argv ? argv[0] : q->command ? q->command[0] : NULL;
                int status = program_failed(name ?: strna(person.shell), r, &error);
                fail(tell, status, strna(error));
        }
        /* The process that waits for the program may be killed; the program ends with it. */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        program_execute(&(Program){
                .path = path,
                .argv = argv,
                .environment = environment,
                .person = &person,
                .capabilities = t->capabilities,
                .ambient = t->spec->ambient_capability,
                .filter = t->filter,
                .filter_size = t->filter_size,
                .status_on_failure = STATUS_NOT_RUN,
                .last_words = tell,
        });
}

/* --- waiting ------------------------------------------------------------------------------------------- */

static const int passed_on[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

/* Waits for the program, and forwards signals to it. Returns its exit status. */
static int wait_for(pid_t pid, const sigset_t *set)
{
        for (;;) {
                siginfo_t info = {};
                int sig = sigwaitinfo(set, NULL);
                if (sig > 0 && sig != SIGCHLD) {
                        (void) kill(pid, sig);
                        continue;
                }
                if (waitid(P_PID, pid, &info, WEXITED | WNOHANG) < 0)
                        return STATUS_NOT_RUN;
                if (info.si_pid == pid)
                        return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
        }
}

/* If a standard stream were closed, a descriptor of the host that is opened later would get its number, and
 * the program would inherit the descriptor. */
static int check_streams(const EnterRequest *q, char **ret_error)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0 ||
                    (!fd_is_stream(fd) && (fd != STDIN_FILENO || (q->flags & ENTER_INTERACTIVE))))
                        return set_failure(ret_error, -EBADF,
                                           "Standard input and output must be open, and no directories.");
        return 0;
}

/* Opens, with the rights of the host's root, all that the program needs. */
static int prepare(const Scope *scope, const EnterRequest *q, char *argv[], Target *t, char **ret_error)
{
        int r;

        r = check_streams(q, ret_error);
        if (r >= 0)
                r = open_machine(scope, q, t, ret_error);
        if (r < 0)
                return r;
        r = program_seal(t->spec, argv);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to run from a sealed copy");
        if (!isempty(q->user) && free_and_strdup(&t->spec->user, q->user) < 0)
                return -ENOMEM;
        if (!isempty(q->directory) && free_and_strdup(&t->spec->working_directory, q->directory) < 0)
                return -ENOMEM;
        r = limits_apply(0, t->spec);
        if (r < 0)
                return set_failure_errno(ret_error, r, "Failed to set resource limits");
        if (cgroup_is_frozen(t->record.leader) > 0)
                return set_failure(ret_error, -EBUSY,
                                   "Machine '%s' is paused; resume it with 'mctl resume %s'.", q->machine,
                                   q->machine);
        r = make_cgroup(t, ret_error);
        if (r < 0)
                return r;
        r = program_join_keyring();
        return r < 0 ? set_failure_errno(ret_error, r, "Failed to make a session key ring") : 0;
}

int enter_run(const Scope *scope, const EnterRequest *q, char *argv[], LaunchTell tell, char **ret_error)
{
        _cleanup_(target_clear) Target t = { .leader_fd = -EBADF, .cgroup_fd = -EBADF, .unit_fd = -EBADF };
        sigset_t set;
        int r = prepare(scope, q, argv, &t, ret_error);

        if (r < 0)
                return r;
        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        for (size_t i = 0; i < ELEMENTSOF(passed_on); i++)
                sigaddset(&set, passed_on[i]);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        /* No process inside may inspect this process while it holds descriptors of the host. */
        (void) prctl(PR_SET_DUMPABLE, 0);
        if (setns(t.leader_fd, t.namespaces & ~(uint64_t) CLONE_NEWCGROUP) < 0)
                return set_failure_errno(ret_error, -errno, "Failed to enter machine '%s'", q->machine);

        const struct clone_args args = {
                .flags = CLONE_INTO_CGROUP,
                .exit_signal = SIGCHLD,
                .cgroup = t.cgroup_fd,
        };
        pid_t pid = sys_clone3(&args);
        if (pid < 0)
                return set_failure_errno(ret_error, -errno, "Failed to make a process");
        if (pid == 0)
                child_main(q, &t, tell);
        return wait_for(pid, &set);
}
