"""The event loop to send from: uvloop where it is installed (a third of the CPU a request), else Python's own."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
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


def run_until_terminated(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main``; SIGTERM cancels it, as SIGINT does, and is then told to whoever had it before: uvloop drops what a handler raises."""
    came: list[int] = []

    async def heeding() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        before = signal.getsignal(signal.SIGTERM)

        def on_signal() -> None:
            came.append(signal.SIGTERM)
            if task is not None:
                task.cancel()

        loop.add_signal_handler(signal.SIGTERM, on_signal)
        try:
            return await main
        finally:
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            loop.remove_signal_handler(signal.SIGTERM)
            signal.signal(signal.SIGTERM, before)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        return run_in_loop(heeding())
    finally:
        if came:
            signal.raise_signal(signal.SIGTERM)
