/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/sched.h>
#include <sys/stat.h>

#include "basic/capability.h"
#include "basic/process.h"
#include "sandbox/notify.h"
#include "sandbox/plan.h"
#include "sandbox/privileges.h"
#include "sandbox/users.h"
#include "state/record.h"
#include "test-dir.h"

static const Scope scope = { .run_dir = (char *) "/run/mctl" };

static void test_capabilities(void)
{
        unsigned n = 0;

        for (unsigned i = 0; i < 64; i++) {
                const char *name = capability_to_string(i);
                if (!name)
                        continue;
                n++;
                CHECK(startswith(name, "cap_"));
                CHECK_INT(capability_from_string(name), i);
                CHECK_INT(capability_from_string(name + 4), i);
        }
        CHECK_INT(n, 41);
        CHECK_INT(capability_from_string("CAP_SYS_ADMIN"), 21);
        CHECK_INT(capability_from_string("chown"), 0);
        CHECK_INT(capability_from_string("cap_"), -EINVAL);
        CHECK_INT(capability_from_string("21"), -EINVAL);
        CHECK_INT(capability_from_string("sys_admi"), -EINVAL);
        CHECK_INT(capability_from_string(""), -EINVAL);

        /* What would reach the machine, not the container. */
        static const char *const never[] = {
                "sys_module", "sys_rawio",     "sys_time", "syslog",  "mac_admin", "mac_override",
                "wake_alarm", "block_suspend", "bpf",      "perfmon", "sys_pacct",
        };
        _cleanup_spec_ Spec *spec = spec_new("web");
        uint64_t set = capability_bounding_set(spec);
        for (size_t i = 0; i < ELEMENTSOF(never); i++)
                if (!CHECK(!(set & (UINT64_C(1) << capability_from_string(never[i])))))
                        fprintf(stderr, "\tthat is: %s\n", never[i]);
}

static void assign(Spec *spec, SpecSection section, const char *key, const char *value)
{
        _cleanup_free_ char *error = NULL;

        CHECK_INT(spec_assign(spec, setting_find(section, key), SPEC_SOURCE_COMMAND, value, &error), 0);
}

static const Step *step_find(const Step *steps, size_t n, StepKind kind, const char *target)
{
        for (size_t i = 0; i < n; i++)
                if (steps[i].kind == kind && streq(steps[i].target, target))
                        return steps + i;
        return NULL;
}

static void test_plan(void)
{
        static const PlanInput input = {
                .scope = &scope,
                .root = "/ROOT",
                .init = "/sbin/init",
                .uuid = "0123456789abcdef0123456789abcdef",
                .boot_id = "01234567-89ab-cdef-0123-456789abcdef",
                .notify = "/run/mctl/machines/NAME/notify",
        };
        _cleanup_spec_ Spec *spec = spec_new("web");
        _cleanup_plan_ Plan *plan = NULL, *again = NULL;

        assign(spec, SPEC_SECTION_IMAGE, "Image", "x");
        assign(spec, SPEC_SECTION_EXEC, "Parameters", "--foo 'b c'");
        assign(spec, SPEC_SECTION_EXEC, "Environment", "container=fake");
        CHECK_INT(plan_new(spec, &input, &plan), 0);
        CHECK_INT(plan_new(spec, &input, &again), 0);

        json_t *a = plan_to_json(plan), *b = plan_to_json(again);
        CHECK(json_equal(a, b));
        json_decref(a), json_decref(b);

        CHECK_TEXT(plan->argv[0], "/sbin/init");
        CHECK_TEXT(plan->argv[2], "b c");
        CHECK_TEXT(plan->hostname, "web");
        CHECK(plan->forward_ready);
        CHECK(strv_contains(plan->environment, "container_uuid=01234567-89ab-cdef-0123-456789abcdef"));
        static const uint64_t all = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS |
                                    CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWCGROUP;
        CHECK(plan->namespaces == all);
        CHECK(step_find(plan->host_steps, plan->n_host_steps, STEP_BIND, "/run/host/notify"));
        CHECK(step_find(plan->host_steps, plan->n_host_steps, STEP_READ_ONLY, "/proc/sys"));
        CHECK(step_find(plan->host_steps, plan->n_host_steps, STEP_HIDE, "/proc/kcore"));
        CHECK(!step_find(plan->host_steps, plan->n_host_steps, STEP_READ_ONLY, "/"));

        /* What the launcher mounts is locked for the container; the cgroups are its own. */
        for (size_t i = 0; i < plan->n_host_steps; i++)
                CHECK(plan->host_steps[i].kind != STEP_CGROUP);
        CHECK_INT(plan->n_inner_steps, 1);
}

/* Without a user namespace: the registry reads the socket, so its root may notify as well. */
static void test_plan_without_users(void)
{
        static const PlanInput input = { .scope = &scope,
                                         .root = "/ROOT",
                                         .init = "/i",
                                         .uuid = "0123456789abcdef0123456789abcdef",
                                         .boot_id = "01234567-89ab-cdef-0123-456789abcdef",
                                         .notify = "/run/mctl/machines/NAME/notify" };
        _cleanup_spec_ Spec *spec = spec_new("web");
        _cleanup_plan_ Plan *plan = NULL;

        assign(spec, SPEC_SECTION_EXEC, "PrivateUsers", "no");
        assign(spec, SPEC_SECTION_NETWORK, "Private", "no");
        assign(spec, SPEC_SECTION_FILES, "ReadOnly", "yes");
        CHECK_INT(plan_new(spec, &input, &plan), 0);
        CHECK(plan->forward_ready);
        CHECK(!(plan->namespaces & (CLONE_NEWUSER | CLONE_NEWNET)));
        CHECK(step_find(plan->host_steps, plan->n_host_steps, STEP_BIND, "/run/host/notify"));
        CHECK(step_find(plan->host_steps, plan->n_host_steps, STEP_READ_ONLY, "/"));
        CHECK_TEXT(strv_env_get(plan->environment, "NOTIFY_SOCKET"), "/run/host/notify");
}

static void test_record(int dir_fd)
{
        _cleanup_record_ Record back = {};
        Record record = {
                .leader = getpid(),
                .since = 1767225600000000,
                .base = 524288,
                .handed_over = true,
                .uuid = "0123456789abcdef0123456789abcdef",
                .root = (char *) "/var/lib/machines/ä \"x\"",
        };

        CHECK_INT(process_start_time(getpid(), &record.start_time), 0);
        CHECK_INT(record_write(dir_fd, &record), 0);
        CHECK_INT(record_read(dir_fd, &back), 0);
        CHECK_INT(back.leader, record.leader);
        CHECK_INT(back.start_time, record.start_time);
        CHECK_INT(back.since, record.since);
        CHECK_INT(back.base, record.base);
        CHECK(back.handed_over);
        CHECK_TEXT(back.uuid, record.uuid);
        CHECK_TEXT(back.root, record.root);
        CHECK(record_alive(&back));

        /* The same number, another process. */
        back.start_time++;
        CHECK(!record_alive(&back));

        record.root = NULL;
        record.handed_over = false;
        CHECK_INT(record_write(dir_fd, &record), 0);
        record_clear(&back);
        CHECK_INT(record_read(dir_fd, &back), 0);
        CHECK(!back.root && !back.handed_over);
}

#define LONG_UUID "0123456789abcdef0123456789abcdef0"

static void test_bad_records(int dir_fd)
{
        static const char *const texts[] = {
                "",
                "{}",
                "[]",
                "nonsense",
                "{\"Leader\":0,\"StartTime\":1,\"Since\":1,\"UIDBase\":0,"
                "\"HandedOver\":true,\"UUID\":\"\"}",
                "{\"Leader\":-1,\"StartTime\":1,\"Since\":1,\"UIDBase\":0,"
                "\"HandedOver\":true,\"UUID\":\"\"}",
                "{\"Leader\":4294967297,\"StartTime\":1,\"Since\":1,\"UIDBase\":0,"
                "\"HandedOver\":true,\"UUID\":\"\"}",
                "{\"Leader\":1,\"StartTime\":1,\"Since\":1,\"UIDBase\":0,\"HandedOver\":1,\"UUID\":\"\"}",
                /* A UUID that is one digit too long. */
                "{\"Leader\":1,\"StartTime\":1,\"Since\":1,\"UIDBase\":0,"
                "\"HandedOver\":true,\"UUID\":\"" LONG_UUID "\"}",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_record_ Record record = {};
                test_put(dir_fd, "leader", texts[i]);
                if (!CHECK_INT(record_read(dir_fd, &record), -EBADMSG))
                        fprintf(stderr, "\tthat is: %s\n", texts[i]);
        }
        unlinkat(dir_fd, "leader", 0);
        Record record = {};
        CHECK_INT(record_read(dir_fd, &record), -ENOENT);
}

static void test_machine_spec(int dir_fd)
{
        _cleanup_spec_ Spec *spec = spec_new("web"), *back = NULL;
        _cleanup_free_ char *error = NULL;
        struct stat st;

        assign(spec, SPEC_SECTION_IMAGE, "Image", "debian");
        CHECK_INT(machine_spec_read(dir_fd, "web", &back, &error), -ENOENT);
        CHECK_INT(machine_spec_write(dir_fd, spec), 0);
        CHECK_INT(fstatat(dir_fd, "spec.json", &st, 0), 0);
        CHECK_INT(st.st_mode & 07777, 0600);
        CHECK_INT(machine_spec_read(dir_fd, "web", &back, &error), 0);
        CHECK_TEXT(back ? back->image : NULL, "debian");

        test_put(dir_fd, "spec.json", "{\"Exec\":{\"Boot\":7}}");
        Spec *bad = NULL;
        CHECK_INT(machine_spec_read(dir_fd, "web", &bad, &error), -EINVAL);
        CHECK(error && !bad);
}

static void test_dirs(int dir_fd)
{
        _cleanup_free_ char *a = machine_dir_path(MACHINE_UNIT_TRANSIENT, "web");
        _cleanup_free_ char *b = machine_dir_path(MACHINE_UNIT_TEMPLATE, "web");

        CHECK_TEXT(a, "machines/web");
        CHECK_TEXT(b, "containers/web");
        CHECK_INT(machine_dir_open(dir_fd, MACHINE_UNIT_TRANSIENT, "web", false), -ENOENT);
        int fd = machine_dir_open(dir_fd, MACHINE_UNIT_TRANSIENT, "web", true);
        CHECK(fd >= 0);
        fd_close(fd);
        CHECK_INT(machine_dir_open(dir_fd, MACHINE_UNIT_TEMPLATE, "web", false), -ENOENT);
}

/* Makes this the record of the machine "c". */
static void hold(int dir_fd, const Record *record)
{
        int fd = machine_dir_open(dir_fd, MACHINE_UNIT_TRANSIENT, "c", true);

        CHECK_INT(record_write(fd, record), 0);
        fd_close(fd);
}

static void test_image_claim(int dir_fd)
{
        Spec writes = { .image = (char *) "pic" }, reads = { .read_only = true },
             forgets = { .volatile_mode = VOLATILE_OVERLAY };
        _cleanup_free_ char *error = NULL;
        Record record = { .leader = 1 };
        char path[CLAIM_MAX];

        CHECK_INT(claim_look_image(dir_fd, &writes, "/", "machines/c", path, &error), 0);
        CHECK(strlen(path) > strlen("images/"));
        CHECK_INT(claim_take(dir_fd, path, "machines/c"), 0);
        snprintf(record.image_claim, sizeof(record.image_claim), "%s", path);
        hold(dir_fd, &record);
        CHECK_INT(claim_look_image(dir_fd, &writes, "/", "machines/c", path, &error), 1);
        CHECK(!error);
        CHECK_INT(claim_look_image(dir_fd, &writes, "/", "machines/d", path, &error), -EBUSY);
        CHECK(error && strstr(error, "'c'") && strstr(error, "'pic'"));
        /* Who only reads is in nobody's way. */
        CHECK_INT(claim_look_image(dir_fd, &reads, "/", "machines/d", path, &error), 0);
        CHECK_TEXT(path, "");
        CHECK_INT(claim_look_image(dir_fd, &forgets, "/", "machines/d", path, &error), 0);
        CHECK_TEXT(path, "");

        record.image_claim[0] = 0;
        hold(dir_fd, &record);
        CHECK_INT(claim_look_image(dir_fd, &writes, "/", "machines/d", path, &error), 0);
        CHECK_INT(claim_look_image(dir_fd, &writes, "/nowhere/at/all", "machines/d", path, &error), -ENOENT);
}

/* As a launcher does, without others in between. */
static int pick(int dir_fd, const char *holder, uid_t *ret)
{
        char path[CLAIM_MAX];
        unsigned attempt = 0;
        int r = users_propose_range(&scope, dir_fd, holder, &attempt, ret);

        claim_users_path(*ret, path);
        return r < 0 ? r : claim_take(dir_fd, path, holder);
}

static void test_users(int dir_fd)
{
        uid_t first, again, other, moved;
        char path[CLAIM_MAX];

        CHECK_INT(pick(dir_fd, "machines/a", &first), 0);
        CHECK(first >= USERS_CONTAINER_MIN && first <= USERS_CONTAINER_MAX);
        CHECK_INT(first % USERS_RANGE_SIZE, 0);
        CHECK_INT(pick(dir_fd, "machines/a", &again), 0);
        CHECK_INT(again, first);
        CHECK_INT(test_count(dir_fd, "users"), 1);
        CHECK_INT(pick(dir_fd, "machines/b", &other), 0);
        CHECK(other != first);
        CHECK_INT(test_count(dir_fd, "users"), 2);

        /* Only the holder gives back, and twice is no harm. */
        claim_users_path(first, path);
        CHECK_INT(claim_release(dir_fd, path, "machines/b"), 0);
        CHECK_INT(test_count(dir_fd, "users"), 2);
        CHECK_INT(claim_release(dir_fd, path, "machines/a"), 0);
        CHECK_INT(test_count(dir_fd, "users"), 1);
        CHECK_INT(claim_release(dir_fd, path, "machines/a"), 0);

        /* Where another has the first choice, it is the next one, and that each time. */
        hold(dir_fd, &(Record){ .leader = 1, .base = first });
        CHECK_INT(claim_take(dir_fd, path, "machines/c"), 0);
        CHECK_INT(pick(dir_fd, "machines/a", &moved), 0);
        CHECK(moved != first && moved % USERS_RANGE_SIZE == 0);
        CHECK_INT(pick(dir_fd, "machines/a", &again), 0);
        CHECK_INT(again, moved);
        /* A holder that is gone, or has something else by now, holds nothing. */
        hold(dir_fd, &(Record){ .leader = 1, .base = moved });
        CHECK_INT(pick(dir_fd, "machines/a", &again), 0);
        CHECK_INT(again, first);
        CHECK_INT(claim_take(dir_fd, path, "machines/c"), 0);
        unlinkat(dir_fd, "machines/c/leader", 0);
        unlinkat(dir_fd, "machines/c", AT_REMOVEDIR);
        CHECK_INT(pick(dir_fd, "machines/a", &again), 0);
        CHECK_INT(again, first);

        CHECK_INT(users_root(&(PrivateUsers){ .mode = USERS_HOST, .base = 7 }), 0);
        CHECK_INT(users_root(&(PrivateUsers){ .mode = USERS_IDENTITY, .base = 7 }), 0);
        CHECK_INT(users_root(&(PrivateUsers){ .mode = USERS_EXPLICIT, .base = 7 }), 7);
}

static void test_process(void)
{
        uint64_t start;
        _cleanup_free_ char *cgroup = NULL;

        CHECK_INT(process_start_time(getpid(), &start), 0);
        CHECK(start > 0);
        CHECK(process_lives(getpid(), start) && !process_lives(getpid(), start + 1));
        CHECK_INT(process_start_time(INT32_MAX, &start), -ESRCH);
        int r = process_cgroup(0, &cgroup);
        CHECK(r == -ENODATA || (r >= 0 && cgroup[0] == '/'));
}

/* Without a manager there is nobody to notify, which is no error. */
static void test_notify(void)
{
        unsetenv("NOTIFY_SOCKET");
        CHECK_INT(notify_manager("READY=1", true), 0);
}

int main(void)
{
        _cleanup_close_ int dir_fd = test_dir_open();

        umask(0);
        test_capabilities();
        test_plan();
        test_plan_without_users();
        test_record(dir_fd);
        test_bad_records(dir_fd);
        test_machine_spec(dir_fd);
        test_dirs(dir_fd);
        test_users(dir_fd);
        test_image_claim(dir_fd);
        test_process();
        test_notify();
        return test_end();
}
