"""One line a part, with the time it took, on stderr; and the one kind of error a user sees."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class LabError(Exception):
    """Something a person must mend; the text says what, where and how."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def part(name: str, hint: str = "") -> Iterator[None]:
    """Tell that a part begins, and when it is done, how long it took. ``hint`` says what a long one takes."""
    print(f"  {name + (f' ({hint})' if hint else ''):<64}", end="", file=sys.stderr, flush=True)
    began = time.monotonic()
    try:
        yield
    except BaseException:
        say(" failed")
        raise
    say(f"{time.monotonic() - began:7.1f} s")
