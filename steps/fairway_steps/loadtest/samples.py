"""The file of a result: an ``.npz`` of its columns under their names, and ``meta``, the bytes of a JSON object.

One row a request: ``scheduled_ns``, ``sent_ns``, ``end_ns``, ``status``, ``error``, ``version``, ``upstream``, ``endpoint``,
``held_ns``. For streams also ``events`` (their number), ``output_tokens``, ``prompt_tokens``, ``reasoning``, and the moments of all events, request by request, as
``event_ns``, and ``event_held_ns``, how much earlier each may have come.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fairway_steps.errors import UsageError
from fairway_steps.loadtest.result import COLUMNS, EVENT_COLUMNS, FORMAT, STREAM_COLUMNS, Meta, Result, result_of
from fairway_steps.outputs import replacing


def write(result: Result, path: Path) -> None:
    """Write the file whole or not at all. Raises DomainError where it cannot."""
    meta = np.frombuffer(json.dumps(asdict(result.meta)).encode(), np.uint8)
    columns = {name: getattr(result, name) for name in COLUMNS}
    if not result.streams.blank:
        columns |= {name: getattr(result.streams, name) for name in (*STREAM_COLUMNS, *EVENT_COLUMNS)}
    with replacing(path, "samples ") as file:
        np.savez_compressed(file, meta=meta, **columns)


def read(path: Path) -> Result:
    """Read a file back. Raises UsageError for one that is not there or not a load test's."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            values = json.loads(file["meta"].tobytes())
            if values["format"] != FORMAT:
                raise ValueError(f"its format is {values['format']!r}, this Fairway reads {FORMAT}")
            names = {key: tuple(value) for key, value in values.items() if key.endswith("_names")}
            return result_of(file, Meta(**values | names))
    except OSError as error:
        raise UsageError(f"samples {path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged zip of damaged arrays fails in a dozen ways
        raise UsageError(f"samples {path} are not the file of a load test: {error}") from error
