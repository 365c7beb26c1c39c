"""Text from files, where an option or a release file names one."""

from pathlib import Path

from fairway_steps.errors import UsageError

LONGEST = 1_000_000
"""Characters in a file that a person writes; a parser of YAML takes seconds for so many."""


def from_file(value: str) -> str:
    """An option's value, or the text of the file it names by ``file:PATH``."""
    return read_file(value.removeprefix("file:")) if value.startswith("file:") else value


def read_file(path: str | Path, longest: int | None = None) -> str:
    """The text of a file. Raises UsageError where there is none to read, or more than ``longest`` characters."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(-1 if longest is None else longest + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {(error.strerror or 'not a file').lower()}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not UTF-8 text") from error
    if longest is not None and len(text) > longest:
        raise UsageError(f"{path} is longer than {longest:,} characters", mend="name the file that was meant")
    return text
