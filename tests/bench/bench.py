# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the benchmarks share. It runs inside the throw-away host, as

        bench.py NAME RUNS

and prints samples, each a line with a Python tuple (table, candidate, metric, value), for tests/bench/run.
A benchmark is a file beside this one with a number RUNS and a function benchmark(b), which gets an object of
class Bench. The host has a minimal Python: no json, shutil, statistics, shlex or ctypes."""

import importlib.machinery
import importlib.util
import os
import select
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MACHINES = "/var/lib/machines"
LAUNCHER = "/usr/lib/mctl/mctl-launch"
UNIT_FILES = "/run/systemd/system"
# The pause between two measurements, in which the kernel cleans up after the previous one.
SETTLE_SECONDS = 0.25
WAIT_SECONDS = 60
START_TO_READY = ("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")

# The properties of a unit that has nspawn as its main process.
NSPAWN_UNIT = {"Type": "notify", "NotifyAccess": "all", "Delegate": "yes", "KillMode": "mixed",
               "Slice": "machine.slice"}
NSPAWN = ["systemd-nspawn", "--boot", "--notify-ready=yes", "--keep-unit", "--console=pipe", "-q"]

# label: (options of nspawn, its environment). mctl gives every machine a user and a network namespace.
NSPAWN_KINDS = {
    "nspawn": ([], {}),
    "nspawn -U": (["-U"], {}),
    "nspawn -U, own network": (["-U", "--private-network"], {}),
    "nspawn, nothing slow": (
        ["-U", "--private-network", "--setenv=SYSTEMD_DEFAULT_MOUNT_RATE_LIMIT_BURST=100"],
        {"SYSTEMD_SECCOMP": "0"},
    ),
}


class Failure(Exception):
    """A measurement that did not work; the message is for the reader."""


def now():
    """Milliseconds of the clock that systemd's ...TimestampMonotonic properties are of."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) / 1e6


class Machine:
    """A machine that can be started and stopped by commands.

    start and poweroff are command lines; poweroff may return before the unit is inactive."""

    def __init__(self, label, name, unit, start, poweroff):
        self.label, self.name, self.unit, self.start, self.poweroff = label, name, unit, start, poweroff


def copy_of(image, name):
    """A tree of its own for each of several machines that run at the same time; its name."""
    path = f"{MACHINES}/{name}"
    if not os.path.exists(path):
        subprocess.run(["cp", "-a", f"{MACHINES}/{image}", path], check=True)
    return name


def mctl_machine(image, name):
    return Machine("mctl", name, f"machine-{name}.service", ["mctl", "-q", "boot", image, f"--name={name}"],
                   ["mctl", "-q", "poweroff", name])


def nspawn_machine(label, image, name):
    options, environment = NSPAWN_KINDS[label]
    unit = f"bench-{name}.service"
    start = ["systemd-run", "-q", f"--unit={unit}"]
    start += [f"--property={key}={value}" for key, value in NSPAWN_UNIT.items()]
    start += [f"--setenv={key}={value}" for key, value in environment.items()]
    start += NSPAWN + options + ["-M", name, "-D", f"{MACHINES}/{image}"]
    return Machine(label, name, unit, start, ["machinectl", "poweroff", name])


class Bench:
    def __init__(self, runs):
        self.runs = runs

    # --- commands ---

    def run(self, command):
        """Runs a command, returns the milliseconds until it has exited."""
        began = now()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, close_fds=False, timeout=WAIT_SECONDS * 5)
        took = now() - began
        if done.returncode != 0:
            output = done.stdout.decode(errors="replace").strip()
            raise Failure(f"'{' '.join(command)}' failed: {output[-2000:]}")
        return took

    def podman(self, storage):
        """The command with its storage there; None where it is not installed, or cannot have any (overlays within a user namespace)."""
        command = ["podman", "--root", storage]
        if not os.path.exists("/usr/bin/podman"):
            return None
        try:
            self.run(command + ["info"])
            return command
        except Failure as e:
            print(f"podman is left out: {str(e).splitlines()[-1]}", file=sys.stderr, flush=True)
            return None

    def output(self, command):
        return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
                              timeout=WAIT_SECONDS).stdout.decode()

    def show(self, unit, *properties):
        """Properties of a unit, as text."""
        text = self.output(["systemctl", "show", unit] + [f"--property={p}" for p in properties])
        return dict(line.split("=", 1) for line in text.splitlines())

    def show_ms(self, unit, *properties):
        """Properties that are times in microseconds, in milliseconds."""
        found = self.show(unit, *properties)
        return [int(found[p]) / 1000 for p in properties]

    # --- samples ---

    def sample(self, table, candidate, metric, value):
        print(repr((table, candidate, metric, value)), flush=True)

    def interleave(self, candidates, measure, runs=None):
        """Calls measure(candidate, round) for all candidates in turn; each round begins with another one. A
        round before the first warms the caches and is not to be counted: its number is -1."""
        runs = runs or self.runs
        candidates = list(candidates)
        for i in range(-1, runs):
            first = i % len(candidates)
            for candidate in candidates[first:] + candidates[:first]:
                measure(candidate, i)
                time.sleep(SETTLE_SECONDS)
            print(f"round {i + 1} of {runs}", file=sys.stderr, flush=True)

    # --- units ---

    def write_unit(self, name, sections):
        """Makes a unit file of {section: [(key, value), ...]}; a reload() is due."""
        path = f"{UNIT_FILES}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            for section, assignments in sections.items():
                file.write(f"[{section}]\n" + "".join(f"{key}={value}\n" for key, value in assignments))

    def reload(self):
        self.run(["systemctl", "daemon-reload"])

    def cgroup(self, unit):
        path = "/sys/fs/cgroup" + self.show(unit, "ControlGroup")["ControlGroup"]
        if path == "/sys/fs/cgroup":
            raise Failure(f"Unit {unit} has no cgroup, so it does not run.")
        return path

    def wait_inactive(self, unit, cgroup):
        """Waits until a unit has ended. The kernel tells when its cgroup is empty, so that is not polled."""
        deadline = now() + WAIT_SECONDS * 1000
        try:
            with open(f"{cgroup}/cgroup.events", "rb", buffering=0) as events:
                poller = select.poll()
                poller.register(events, select.POLLPRI)
                while b"populated 1" in events.read(256) and now() < deadline:
                    poller.poll(1000)
                    events.seek(0)
        except OSError:
            pass  # the cgroup is gone
        # ExecStopPost= may still be running: polling must not compete with it.
        time.sleep(SETTLE_SECONDS)
        while self.show(unit, "ActiveState")["ActiveState"] not in ("inactive", "failed"):
            if now() > deadline:
                raise Failure(f"Unit {unit} did not end.")
            time.sleep(SETTLE_SECONDS)

    def boot(self, machine):
        """Boots a machine. Returns {metric: milliseconds}."""
        wall = self.run(machine.start)
        began, ready = self.show_ms(machine.unit, *START_TO_READY)
        cpu = int(self.show(machine.unit, "CPUUsageNSec")["CPUUsageNSec"]) / 1e6
        return {
            "unit start to READY, ms": ready - began,
            "whole command, ms": wall,
            "CPU time of the unit, ms": cpu,
        }

    def stop(self, machine):
        """Stops a machine. Returns {metric: milliseconds}. Systemd forgets a unit, and its times with it, as
        soon as it has ended, unless another unit mentions it."""
        keeper = "bench-keeper.service"
        self.run(["systemd-run", "-q", f"--unit={keeper}", f"--property=After={machine.unit}",
                  "--property=Type=oneshot", "--property=RemainAfterExit=yes", "true"])
        cgroup = self.cgroup(machine.unit)
        began = now()
        wall = self.run(machine.poweroff)
        self.wait_inactive(machine.unit, cgroup)
        ended = self.show_ms(machine.unit, "InactiveEnterTimestampMonotonic")[0]
        result = self.show(machine.unit, "Result")["Result"]
        self.run(["systemctl", "stop", keeper])
        if result != "success":
            self.run(["systemctl", "reset-failed", machine.unit])
            raise Failure(f"Machine {machine.name} ended with result {result}.")
        return {"command to inactive, ms": ended - began, "command returns, ms": wall}

    def journal_kb(self):
        """What the journal of the host takes."""
        text = self.output(["sh", "-c", "du -sk /var/log/journal /run/log/journal 2>/dev/null || :"])
        return sum(int(line.split()[0]) for line in text.splitlines())

    def clear_host_journal(self):
        """Also closes the files of users: rotating them would make each one anew."""
        self.run(["sh", "-ec", """
            rm -f /var/log/journal/*/* /run/log/journal/*/*
            systemctl reset-failed systemd-journald.service     # it may not be restarted often
            systemctl restart systemd-journald.service"""])

    def clear_journal(self, image):
        self.run(["sh", "-c", f"rm -rf {MACHINES}/{image}/var/log/journal/*"])


def main():
    name, runs = sys.argv[1], int(sys.argv[2])
    loader = importlib.machinery.SourceFileLoader("benchmark", f"{HERE}/{name}")
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("benchmark", loader))
    loader.exec_module(module)
    b = Bench(runs)
    b.clear_host_journal()
    try:
        module.benchmark(b)
    except Failure as e:
        sys.exit(f"{name}: {e}")


if __name__ == "__main__":
    # Benchmarks import this module by its path.
    sys.modules["bench"] = sys.modules["__main__"]
    main()
