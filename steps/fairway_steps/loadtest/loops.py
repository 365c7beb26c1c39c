"""The event loop to send from: uvloop where it is installed (a third of the CPU a request), else Python's own."""

import asyncio
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
