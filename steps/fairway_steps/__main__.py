"""``python -m fairway_steps`` is ``fairway``; so is the installed program.

Nothing has begun before the commands are imported: a signal then ends the program at once, with the exit code it has later.
"""

import os

try:
    import signal
    from types import FrameType
    from typing import NoReturn
except KeyboardInterrupt:  # nothing of ours can be told yet
    os._exit(130)


def _leave(signum: int, frame: FrameType | None) -> NoReturn:
    del frame
    os._exit(128 + signum)


def main() -> NoReturn:
    """Run the command line."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    from fairway_steps.cli import main as run  # noqa: PLC0415 - it takes its time, and the signals over

    run()


if __name__ == "__main__":
    main()
