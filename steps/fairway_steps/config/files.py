"""Text from files, where an option or a release file names one."""

from pathlib import Path

from fairway_steps.errors import UsageError


def from_file(value: str) -> str:
    """An option's value, or the text of the file it names by ``file:PATH``."""
    return read_file(value.removeprefix("file:")) if value.startswith("file:") else value


def read_file(path: str | Path) -> str:
    """The text of a file. Raises UsageError where there is none to read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {(error.strerror or 'not a file').lower()}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not UTF-8 text") from error
