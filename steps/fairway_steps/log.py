"""The log of a step: lines for people, or one JSON object a line for machines, always on stderr.

``PROGRESS`` is a level of its own between INFO and WARNING: a line that the next one of its kind replaces. Text lines of that
level start with ``PROGRESS_MARK``, so that a terminal in front of a step can draw them in place.
"""

import json
import logging
import sys
from datetime import UTC, datetime

PROGRESS = 25
PROGRESS_MARK = "… "
_LEVELS = {PROGRESS: "progress"}


class TextFormatter(logging.Formatter):
    """A bare sentence; warnings and errors say so."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.levelno == PROGRESS:
            return PROGRESS_MARK + text
        return f"{record.levelname.lower()}: {text}" if record.levelno >= logging.WARNING else text


class JsonFormatter(logging.Formatter):
    """One object a line: ``ts``, ``level``, ``message`` and whatever a caller gave as ``extra={"fields": {…}}``."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": _LEVELS.get(record.levelno, record.levelname.lower()),
            "message": record.getMessage(),
        }
        return json.dumps(line | getattr(record, "fields", {}), ensure_ascii=False)


def configure(style: str = "text", level: int = logging.INFO) -> None:
    """Send the log of this process to stderr, as ``text`` or ``json``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger("fairway_steps")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False


def progress(logger: logging.Logger, text: str, **fields: object) -> None:
    """Say how far a long wait has come."""
    logger.log(PROGRESS, text, extra={"fields": fields})
