"""Become another program that dies with its parent: ``python launch.py PARENT_PID PROGRAM [ARGUMENT…]``.

Run by the local runner in front of each container's program, so that a SIGKILL of the runner takes its steps with it. The
program itself dies by the system's hand (prctl(2), PR_SET_PDEATHSIG; kept across exec); what it has started dies by a watcher's,
a process of the same group that waits for the runner's end. A program of its own, since a fork in a process with threads
may not run Python. Needs nothing but the standard library.
"""

import ctypes
import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1
NOT_STARTED = 64  # what Argo's emissary ends with where it could not start the program


def watch(parent: int) -> None:
    """Leave a process behind that ends its group when ``parent`` ends. Whoever ends the group ends it, too."""
    ended = os.pidfd_open(parent)
    if os.getppid() != parent:
        sys.exit(128 + signal.SIGKILL)
    if child := os.fork():
        os.waitpid(child, 0)
        os.close(ended)
        return
    if os.fork():  # twice, so that the program does not find a child which it did not make
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.closerange(0, ended)
    select.select([ended], [], [])
    os.killpg(0, signal.SIGKILL)


def listen(runner: int) -> None:
    """Hear signals again, but not those that came to the runner's group while this process was still in it."""
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    came = []
    while (told := signal.sigtimedwait(ending, 0)) is not None:
        came.append(told)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ending)
    for told in came:
        if told.si_pid == runner:  # it has second thoughts already
            os.kill(os.getpid(), told.si_signo)


if __name__ == "__main__":
    runner, program = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    watch(runner)
    listen(runner)
    try:
        os.execvp(program[0], program)  # noqa: S606 - no shell is the point
    except OSError as error:
        sys.stderr.write(f"{program[0]} cannot be started: {error.strerror}\n")
        sys.exit(NOT_STARTED)
