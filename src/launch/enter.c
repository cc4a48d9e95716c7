/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* mctl-enter: runs one more program in a machine that is up, for "mctl exec" and "mctl shell". It is in the namespaces, the
 * unit's cgroup and the user namespace of the machine, with its bounding set, its filter and its limits. See
 * mctl(1). */

#include <getopt.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "basic/capability.h"
#include "basic/fd.h"
#include "basic/log.h"
#include "basic/syscalls.h"
#include "config.h"
#include "launch/program.h"
#include "sandbox/cgroup.h"
#include "sandbox/filter.h"
#include "sandbox/leader.h"
#include "sandbox/limits.h"
#include "sandbox/plan.h"
#include "sandbox/privileges.h"

typedef struct Options {
        const char *name, *user, *directory;
        Strv environment;
        bool input, terminal, privileged, login;
        char **argv; /* NULL for the user's shell */
} Options;

/* A machine that runs, and what its processes are bound by. */
typedef struct Target {
        Record record;
        Spec *spec;
        int leader_fd;   /* pidfd */
        int cgroup_fd;   /* of our own making, beside the payload */
        int unit_fd;     /* above it */
        char cgroup[32]; /* its name */
        uint64_t namespaces, capabilities;
        void *filter;
        size_t filter_size;
} Target;

static void help(void)
{
        printf("mctl-enter [OPTION…] NAME [COMMAND…]\n"
               "\n"
               "Runs a command in a machine that is up; without one, the shell of the user.\n"
               "\n"
               "  -h --help        Show this help\n"
               "     --version     Show the version\n"
               "  -u --user=       User inside\n"
               "  -w --workdir=    Directory inside\n"
               "  -e --env=        Environment variable\n"
               "  -i --interactive Keep standard input\n"
               "  -t --tty         Make a terminal, and send it over standard input\n"
               "  -l --login       The program is a login shell\n"
               "     --privileged  With all capabilities of the user namespace, and no filter\n");
}

/* --- the machine -------------------------------------------------------------------------------------------------- */

/* By whichever unit it runs. Returns the directory of its record. */
static int find_machine(const char *name, Record *ret)
{
        _cleanup_close_ int run_fd = run_dir_open();
        if (run_fd < 0)
                return log_error_errno(run_fd, "Failed to open '%s'", RUN_DIR);
        for (MachineUnitKind kind = 0; kind < _MACHINE_UNIT_KIND_MAX; kind++) {
                _cleanup_record_ Record record = {};
                _cleanup_close_ int fd = machine_dir_open(run_fd, kind, name, false);
                if (fd < 0 || record_read(fd, &record) < 0 || !record.handed_over || !record_alive(&record))
                        continue;
                *ret = record;
                record = (Record){};
                return TAKE_FD(fd);
        }
        return log_error_return(-ESRCH, "No machine '%s' of mctl is running.", name);
}

/* All of the leader's; the kernel refuses to enter a user namespace that we are in already. */
static int find_namespaces(const Record *record, uint64_t *ret)
{
        _cleanup_close_ int proc_fd = leader_open(record);
        if (proc_fd < 0)
                return proc_fd;
        *ret = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP |
               (leader_shares(proc_fd, "user") ? 0 : CLONE_NEWUSER);
        return 0;
}

static int open_machine(const Options *o, Target *t)
{
        _cleanup_free_ char *error = NULL, *filter = NULL;
        int r;

        _cleanup_close_ int machine_fd = find_machine(o->name, &t->record);
        if (machine_fd < 0)
                return machine_fd;
        r = machine_spec_read(machine_fd, o->name, &t->spec, &error);
        if (r < 0)
                return error ? log_error_return(r, "%s", error)
                             : log_error_errno(r, "Failed to read the spec of machine '%s'", o->name);
        t->leader_fd = pidfd_open(t->record.leader, 0);
        /* The number was the leader's before it was opened, if it still is now. */
        r = t->leader_fd < 0 ? -errno : find_namespaces(&t->record, &t->namespaces);
        if (r < 0)
                return log_error_errno(r, "Failed to open machine '%s'", o->name);

        t->capabilities = o->privileged ? CAPABILITY_ALL : capability_bounding_set(t->spec);
        r = o->privileged ? 0 : filter_name(t->spec, t->capabilities, &filter);
        if (r >= 0 && filter)
                r = filter_read(t->spec, t->capabilities, filter, &t->filter, &t->filter_size);
        return r < 0 ? log_error_errno(r, "Failed to read the system call filter") : 0;
}

/* What runs in the cgroup of the unit ends with it. */
static int make_cgroup(Target *t)
{
        t->unit_fd = cgroup_open_unit_of(t->record.leader);
        if (t->unit_fd < 0)
                return log_error_errno(t->unit_fd, "Failed to open the cgroup of the unit");
        snprintf(t->cgroup, sizeof(t->cgroup), CGROUP_GUEST "%i", getpid());
        t->cgroup_fd = cgroup_make_guest(t->unit_fd, t->cgroup);
        return t->cgroup_fd < 0 ? log_error_errno(t->cgroup_fd, "Failed to make a cgroup") : 0;
}

static void target_clear(Target *t)
{
        /* What still runs there keeps it; it goes with the unit. */
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

/* --- the program -------------------------------------------------------------------------------------------------- */

static int make_environment(const Options *o, const Target *t, Strv *ret)
{
        _cleanup_strv_ Strv l = NULL;
        int r;

        r = plan_base_environment(&l);
        STRV_FOREACH (s, t->spec->environment)
                if (r >= 0)
                        r = strv_env_set(&l, *s);
        STRV_FOREACH (s, o->environment)
                if (r >= 0)
                        r = strv_env_set(&l, *s);
        if (r >= 0)
                *ret = TAKE_PTR(l);
        return r;
}

static int close_input(void)
{
        _cleanup_close_ int null_fd = open("/dev/null", O_RDONLY | O_NOCTTY | O_CLOEXEC);

        return null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0
                       ? log_error_errno(-errno, "Failed to open '/dev/null' in the machine")
                       : 0;
}

/* A login shell is called by its name with a dash, and stands in its home. */
static int choose_program(const Options *o, const Person *person, Strv environment, char **ret_path,
                          Strv *ret_argv)
{
        const char *shell = person->shell ?: "/bin/sh";
        _cleanup_strv_ Strv argv = NULL;
        int r;

        if (o->argv[0])
                r = strv_extend(&argv, o->argv);
        else {
                const char *slash = strrchr(shell, '/');
                r = strv_appendf(&argv, "%s%s", o->login ? "-" : "", slash ? slash + 1 : shell);
        }
        if (r >= 0)
                r = program_find(o->argv[0] ? argv[0] : shell, environment, ret_path);
        if (r >= 0)
                *ret_argv = TAKE_PTR(argv);
        return r;
}

/* Whether the system inside makes login sessions: then its systemd does, with PAM, and its logind knows them. */
static bool has_sessions(void)
{
        return access("/run/systemd/system", F_OK) >= 0 && access("/usr/bin/systemd-run", X_OK) >= 0 &&
               access("/etc/pam.d/login", F_OK) >= 0;
}

/* The command that has it do so, which returns the exit status. */
static int make_session(const Options *o, const char *user, Strv *ret)
{
        _cleanup_person_ Person person = {};
        int r;

        _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        r = root_fd < 0 ? -errno : person_find(root_fd, user, &person);
        if (r == -ESRCH)
                return log_error_return(r, "There is no user '%s' in the machine.", user);
        if (r >= 0)
                r = session_command(&(EnterRequest){ .user = user,
                                                     .directory = o->directory,
                                                     .environment = o->environment,
                                                     .command = o->argv,
                                                     .flags = o->terminal ? ENTER_TERMINAL : 0 },
                                    person.shell, ret);
        if (r < 0)
                return log_error_errno(r, "Failed to make a session");
        return 0;
}

_Noreturn static void child_main(const Options *o, Target *t)
{
        _cleanup_strv_ Strv environment = NULL, argv = NULL;
        _cleanup_free_ char *path = NULL;
        Person person = {};
        int r;

        /* Last: into a cgroup that is outside of its own namespace nobody gets where cgroup2 is mounted with nsdelegate, as systemd
         * does. */
        if (setns(t->leader_fd, CLONE_NEWCGROUP) < 0) {
                log_error_errno(-errno, "Failed to enter the cgroup namespace of machine '%s'", o->name);
                _exit(STATUS_NOT_RUN);
        }
        if (t->namespaces & CLONE_NEWUSER && (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0))
                _exit(STATUS_NOT_RUN);
        (void) prctl(PR_SET_DUMPABLE, 0);
        (void) setsid();
        if (o->terminal ? program_open_terminal(STDIN_FILENO, true) < 0 : !o->input && close_input() < 0)
                _exit(STATUS_NOT_RUN);
        if (program_replace_null() < 0)
                _exit(STATUS_NOT_RUN);
        program_reset_signals();
        umask(0022);
        if (o->login && has_sessions()) {
                if (make_session(o, t->spec->user ?: "root", &argv) < 0)
                        _exit(STATUS_NOT_RUN);
                free(t->spec->user);
                t->spec->user = NULL;
        }
        if (make_environment(o, t, &environment) < 0 || limits_apply_self(t->spec) < 0 ||
            program_become(t->spec, t->capabilities, &person, &environment) < 0)
                _exit(STATUS_NOT_RUN);
        if (o->login && !o->directory && person.home)
                (void) program_enter_directory(person.home); /* it may not have been made */
        r = argv ? program_find(argv[0], environment, &path)
                 : choose_program(o, &person, environment, &path, &argv);
        if (r < 0)
                _exit(program_failed(argv ? argv[0] : o->argv[0] ?: strna(person.shell), r));
        /* Whoever waits for it may be killed. */
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
        });
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

static const int passed_on[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };

/* Signals for us are for the program. Returns its exit status. */
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

/* What is closed here would be the number of something of ours, and given to the program. */
static int check_streams(const Options *o)
{
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (fcntl(fd, F_GETFD) < 0 || (!fd_is_stream(fd) && (fd != STDIN_FILENO || o->input)))
                        return log_error_return(
                                -EBADF, "Standard input and output must be open, and no directories.");
        return 0;
}

static int run(const Options *o, char *argv[])
{
        _cleanup_(target_clear) Target t = { .leader_fd = -EBADF, .cgroup_fd = -EBADF, .unit_fd = -EBADF };
        sigset_t set;
        int r;

        if (check_streams(o) < 0)
                return STATUS_NOT_RUN;
        r = open_machine(o, &t);
        if (r < 0)
                return STATUS_NOT_RUN;
        r = program_seal(t.spec, argv);
        if (r < 0)
                return log_error_errno(r, "Failed to run from a sealed copy"), STATUS_NOT_RUN;
        if (o->user && free_and_strdup(&t.spec->user, o->user) < 0)
                return log_oom(), STATUS_NOT_RUN;
        if (o->directory && free_and_strdup(&t.spec->working_directory, o->directory) < 0)
                return log_oom(), STATUS_NOT_RUN;
        r = limits_apply(0, t.spec);
        if (r < 0)
                return log_error_errno(r, "Failed to set resource limits"), STATUS_NOT_RUN;
        if (cgroup_is_frozen(t.record.leader) > 0)
                return log_error("Machine '%s' is paused; 'mctl resume %s' lets it go on.", o->name,
                                 o->name),
                       STATUS_NOT_RUN;
        if (make_cgroup(&t) < 0)
                return STATUS_NOT_RUN;
        r = program_join_keyring();
        if (r < 0)
                return log_error_errno(r, "Failed to make a session key ring"), STATUS_NOT_RUN;

        sigemptyset(&set);
        sigaddset(&set, SIGCHLD);
        for (size_t i = 0; i < ELEMENTSOF(passed_on); i++)
                sigaddset(&set, passed_on[i]);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        /* Nobody inside may look at a process that still has to do with the host. */
        (void) prctl(PR_SET_DUMPABLE, 0);
        if (setns(t.leader_fd, t.namespaces & ~(uint64_t) CLONE_NEWCGROUP) < 0)
                return log_error_errno(-errno, "Failed to enter machine '%s'", o->name), STATUS_NOT_RUN;

        const struct clone_args args = {
                .flags = CLONE_INTO_CGROUP,
                .exit_signal = SIGCHLD,
                .cgroup = t.cgroup_fd,
        };
        pid_t pid = sys_clone3(&args);
        if (pid < 0)
                return log_error_errno(-errno, "Failed to make a process"), STATUS_NOT_RUN;
        if (pid == 0)
                child_main(o, &t);
        return wait_for(pid, &set);
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "help", no_argument, NULL, 'h' },       { "version", no_argument, NULL, 'v' },
                { "user", required_argument, NULL, 'u' }, { "workdir", required_argument, NULL, 'w' },
                { "env", required_argument, NULL, 'e' },  { "interactive", no_argument, NULL, 'i' },
                { "tty", no_argument, NULL, 't' },        { "login", no_argument, NULL, 'l' },
                { "privileged", no_argument, NULL, 'p' }, {},
        };
        Options o = {};
        int c;

        while ((c = getopt_long(argc, argv, "+hu:w:e:itl", options, NULL)) >= 0)
                switch (c) {
                case 'h':
                        help();
                        return 0;
                case 'v':
                        puts("mctl " MCTL_VERSION);
                        return 0;
                case 'u':
                        o.user = optarg;
                        break;
                case 'w':
                        o.directory = optarg;
                        break;
                case 'e':
                        if (strv_append(&o.environment, optarg) < 0)
                                return log_oom(), STATUS_NOT_RUN;
                        break;
                case 'i':
                        o.input = true;
                        break;
                case 't':
                        o.terminal = true;
                        break;
                case 'l':
                        o.login = true;
                        break;
                case 'p':
                        o.privileged = true;
                        break;
                default:
                        return STATUS_NOT_RUN;
                }
        o.name = argv[optind];
        if (!o.name || !machine_name_valid(o.name)) {
                log_error("Expected the name of a machine; see 'mctl-enter --help'.");
                return STATUS_NOT_RUN;
        }
        o.argv = argv + optind + 1;
        if (!o.argv[0] && !o.login) {
                log_error("Expected a command; see 'mctl-enter --help'.");
                return STATUS_NOT_RUN;
        }
        int status = run(&o, argv);
        strv_free(o.environment);
        return status;
}
