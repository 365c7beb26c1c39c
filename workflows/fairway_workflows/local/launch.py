"""Become another program that dies with its parent: ``python launch.py PARENT_PID PROGRAM [ARGUMENT…]``.

Run by the local runner in front of each container's program, so that a SIGKILL of the runner takes its steps with it
(prctl(2), PR_SET_PDEATHSIG; kept across exec). A program of its own, since a fork in a process with threads may not run Python.
Needs nothing but the standard library.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
NOT_STARTED = 64  # what Argo's emissary ends with where it could not start the program

if __name__ == "__main__":
    parent, program = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(128 + signal.SIGKILL)
    try:
        os.execvp(program[0], program)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.stderr.write(f"{program[0]} cannot be started: {error.strerror}\n")
        sys.exit(NOT_STARTED)
