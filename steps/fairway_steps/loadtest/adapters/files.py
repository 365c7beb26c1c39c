"""Other tools' files, opened and read with one clear sentence for what is wrong with them."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from fairway_steps.errors import UsageError

_FRACTION = re.compile(r"\.(\d+)")
SECOND = 1_000_000_000


@contextmanager
def reading(tool: str, path: Path) -> Iterator[None]:
    """Make whatever goes wrong in a file that is not what it should be one sentence. Raises UsageError."""
    try:
        yield
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, ArithmeticError, RecursionError) as error:
        what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise UsageError(f"{path} is no result file of {tool} that Fairway can read: {what}") from error


def load_object(path: Path) -> dict[str, Any]:
    """The JSON object that a file is. Raises ValueError for anything else."""
    with path.open(encoding="utf-8") as file:
        value = json.load(file)
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - it is the file that is wrong
    return value


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file with one a line. Raises ValueError for a line that is none."""
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number} is not JSON") from error
            if not isinstance(value, dict):
                raise ValueError(f"line {number} is not a JSON object")  # noqa: TRY004 - likewise
            yield value


def begins_with(path: Path, size: int = 4096) -> str:
    """The first characters, to tell one kind of file from another."""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(size)


def moment(text: str) -> int:
    """Unix nanoseconds of an RFC 3339 time. Raises ValueError."""
    fraction = _FRACTION.search(text)
    whole = datetime.fromisoformat(_FRACTION.sub("", text, count=1))
    if whole.tzinfo is None:
        raise ValueError(f"the time {text!r} has no time zone")
    digits = fraction[1][:9].ljust(9, "0") if fraction else "0"
    return round(whole.timestamp()) * SECOND + int(digits)


def http_class(status: int) -> str:
    """The class of an answer's status: empty for 2xx."""
    return "" if 200 <= status < 300 else f"http-{status}"


def status_of(name: str) -> int:
    """The status that a class of failure names, where a tool tells no other; 0 for none."""
    digits = name.removeprefix("http-")
    return int(digits) if digits != name and digits.isdigit() else 0


def classify(message: str) -> str:
    """The class of a transport's error message; ``other`` for one that says nothing we know."""
    lowered = message.lower()
    for name, words in _WORDS.items():
        if any(word in lowered for word in words):
            return name
    return "other"


_WORDS = {
    "timeout": ("timeout", "deadline exceeded", "timed out"),
    "dns": ("no such host", "dns", "name resolution", "name or service not known"),
    "tls": ("tls", "x509", "certificate", "ssl"),
    "connect": ("connection refused", "connect: ", "connecterror", "dial tcp"),
    "reset": ("reset by peer", "broken pipe", "eof", "disconnected", "connection closed"),
}
