"""The event loop to send from: uvloop where it is installed (a third of the CPU a request), else Python's own."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")


def fastest() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the fastest loop at hand; None for Python's own."""
    try:
        import uvloop  # noqa: PLC0415 - an optional extra
    except ImportError:
        return None
    return uvloop.new_event_loop


def run_in_loop(main: Coroutine[Any, Any, T], factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> T:
    """Run ``main`` in a loop of the kind that ``factory`` makes, the fastest by default."""
    with asyncio.Runner(loop_factory=factory or fastest()) as runner:
        return runner.run(main)


@contextmanager
def heard(told: Callable[[int], None], signums: Sequence[int], *, last: bool = False) -> Iterator[None]:
    """The running loop calls ``told`` with each signal that comes; afterwards it is whose it was, or nobody's if these are the ``last``.

    Not by the loop's own handlers: taking one of them away leaves the default for a moment, in which a signal that another
    thread gets would end the process.
    """
    loop = asyncio.get_running_loop()
    before = {signum: signal.getsignal(signum) for signum in signums}
    for signum in signums:
        signal.signal(signum, lambda number, _: loop.call_soon_threadsafe(told, number))
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, signal.SIG_IGN if last else handler)


def run_until_terminated(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main``; SIGTERM cancels it, as SIGINT does, and is then told to whoever had it before: uvloop drops what a handler raises."""
    came: list[int] = []

    async def heeding() -> T:
        task = asyncio.current_task()

        def on_signal(signum: int) -> None:
            came.append(signum)
            if task is not None:
                task.cancel()

        with heard(on_signal, (signal.SIGTERM,)):
            return await main

    try:
        return run_in_loop(heeding())
    finally:
        if came:
            signal.raise_signal(signal.SIGTERM)
