# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a line of shell on a terminal, and plays somebody who sits there.

terminal.py [--exact] LINE [STEP…]; a step is what to wait for, and behind " -> " what to type then, with the escapes of Python. At the
end of the steps it waits for the end of the line. Prints all that was shown, without carriage returns but with --exact; the exit status is the
line's, or 99 where something did not come within a minute.
"""

import os
import select
import sys
import time

PATIENCE = 60


def main():
    exact = sys.argv[1] == "--exact"
    line, *steps = sys.argv[1 + exact:]
    pid, fd = os.forkpty()
    if pid == 0:
        os.execvp("sh", ["sh", "-c", line])

    shown, position = bytearray(), 0

    def more(deadline):
        nonlocal shown
        if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
            raise TimeoutError
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b""
        shown += data
        return data

    status = 99
    try:
        for step in steps:
            expected, _, text = step.partition(" -> ")
            deadline = time.monotonic() + PATIENCE
            while (at := shown.find(expected.encode(), position)) < 0:
                if not more(deadline):
                    raise EOFError
            position = at + len(expected)
            os.write(fd, text.encode().decode("unicode_escape").encode("latin-1"))
        while more(time.monotonic() + PATIENCE):
            pass
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    except TimeoutError:
        print("terminal.py: nothing came any more", file=sys.stderr)
    except EOFError:
        print("terminal.py: it ended", file=sys.stderr)
    sys.stdout.buffer.write(shown if exact else shown.replace(b"\r", b""))
    sys.exit(status if status >= 0 else 128 - status)


main()
