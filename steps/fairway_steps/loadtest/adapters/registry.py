"""From ``TOOL:PATH`` to the run that another tool measured; each reader is imported only when asked for."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.adapters.files import reading
from fairway_steps.loadtest.adapters.foreign import Foreign

TOOLS = ("fortio", "ghz", "guidellm", "inference-perf", "k6", "oha", "vegeta")


class _Reader(Protocol):
    read: Callable[..., Foreign]


def open_foreign(uri: str) -> Foreign:
    """Read ``TOOL:PATH``. Raises UsageError for a tool we do not know and for a file that is not its."""
    tool, _, rest = uri.partition(":")
    if tool not in TOOLS or not rest:
        raise UsageError(
            f"{uri!r} is no result of a tool that Fairway can read",
            mend=f"write TOOL:PATH, where TOOL is one of {', '.join(TOOLS)}",
        )
    name, _, part = rest.partition("#") if tool == "guidellm" else (rest, "", "")
    path = Path(name)
    reader = cast("_Reader", import_module(f"fairway_steps.loadtest.adapters.{tool.replace('-', '_')}"))
    with reading(tool, path):
        if not part:
            return reader.read(path)
        if not part.isdigit() or part == "0":
            raise UsageError(f"{uri!r}: {part!r} is no number of a benchmark", mend="count them from 1")
        return reader.read(path, int(part))
