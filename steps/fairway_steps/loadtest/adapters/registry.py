"""From ``TOOL:PATH`` to the run that another tool measured; each reader is imported only when asked for."""

import math
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast
from urllib.parse import parse_qsl

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.files import reading
from fairway_steps.loadtest.adapters.foreign import Foreign, sound

TOOLS = ("fortio", "ghz", "guidellm", "inference-perf", "k6", "oha", "vegeta")


class _Reader(Protocol):
    read: Callable[..., Foreign]


def open_foreign(uri: str) -> Foreign:
    """Read ``TOOL:PATH``; ``#benchmark=N`` picks one of guidellm's, ``#rate=R`` says which rate was asked for.

    Raises UsageError for a tool we do not know and for a file that is not its.
    """
    tool, path, fields = parse(uri)
    reader = cast("_Reader", import_module(f"fairway_steps.loadtest.adapters.{tool.replace('-', '_')}"))
    number, rate = fields.get("benchmark", ""), _rate(uri, fields.get("rate", ""))
    if number and (tool != "guidellm" or not number.isdigit() or number == "0"):
        raise UsageError(f"{uri!r}: {number!r} is no number of a benchmark", mend="count guidellm's from 1")
    with reading(tool, path):
        run = sound(reader.read(path, int(number)) if number else reader.read(path))
    return run if rate is None else replace(run, requested_rate=rate).held()


def _rate(uri: str, text: str) -> float | None:
    try:
        rate = float(text) if text else None
    except ValueError:
        rate = 0.0
    if rate is not None and not 0 < rate < math.inf:
        raise UsageError(f"{uri!r}: {text!r} is no rate", mend="write requests per second, such as #rate=100")
    return rate


def parse(uri: str) -> tuple[str, Path, dict[str, str]]:
    """Tool, file, and what stands behind ``#``: ``version`` (that was tested), ``rate`` and ``benchmark``. Raises UsageError."""
    tool, _, rest = uri.partition(":")
    name, _, fragment = rest.partition("#")
    if tool not in TOOLS or not name:
        raise UsageError(
            f"{uri!r} is no result of a tool that Fairway can read",
            mend=f"write TOOL:PATH, where TOOL is one of {', '.join(TOOLS)}",
        )
    fields = dict(parse_qsl(fragment, keep_blank_values=True))
    if set(fields) - {"version", "rate", "benchmark"} or (fragment and not fields):
        raise UsageError(f"{uri!r}: {fragment!r} cannot be read", mend="write #version=NAME, #rate=R or #benchmark=N")
    return tool, Path(name), fields
