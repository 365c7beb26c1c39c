"""Where payloads come from: a literal, a file, a URL, a data set, tensors, or a template that is filled in with random fields.

All bodies are made before the first request, so that making them costs none of it.
"""

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from fairway_steps.errors import DomainError, UsageError
from fairway_steps.loadtest import tensors
from fairway_steps.loadtest.payloads import Payloads, encoded, from_json
from fairway_steps.loadtest.templates import render
from fairway_steps.secrets import address

MAX_BYTES = 1_000_000_000
MAX_VARIANTS = 100_000
LARGEST = 256 << 20
"""Bytes of a file or an answer that is to be sent: some have no end."""
FETCH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Source:
    """What to send.

    At most one of ``literal``, ``file``, ``url``, ``tensors`` and ``template`` is set; a ``dataset`` (JSON Lines, one body a line)
    goes alone or as the ``row`` of a template. Of tensors and templates ``variants`` bodies are made, from ``seed``.
    """

    literal: str = ""
    file: str = ""
    url: str = ""
    tensors: str = ""
    template: str = ""
    dataset: str = ""
    variants: int = 100
    seed: int = 1


def payloads(source: Source, *, as_json: bool = True) -> Payloads:
    """The bodies in turn; without any source each request goes without. Raises UsageError for what cannot be sent.

    ``as_json`` says whether that is what they are sent as: what is none is then refused.
    """
    given = [name for name in ("literal", "file", "url", "tensors", "template") if getattr(source, name)]
    if len(given) > 1 or (given and given != ["template"] and source.dataset):
        names = [*given, *(["dataset"] if source.dataset else [])]
        raise UsageError(f"{_options(names)} exclude each other", mend="give one of them")
    if not 1 <= source.variants <= MAX_VARIANTS:
        raise UsageError(f"--variants {source.variants} cannot be", mend=f"give 1 to {MAX_VARIANTS:,}")
    bodies, size = [], 0
    check = as_json and given and given != ["tensors"]
    for number, body in enumerate(_bodies(source, given[0] if given else ""), start=1):
        if check:
            from_json(
                body, _options(given) + (f", body {number}," if number > 1 else ""), mend="name its --content-type"
            )
        size += len(body)
        if size > MAX_BYTES:
            raise UsageError(f"the payloads are larger than {MAX_BYTES:,} bytes together", mend="use fewer of them")
        bodies.append(body)
    return Payloads(tuple(bodies))


def _bodies(source: Source, kind: str) -> Iterable[bytes]:
    rows = _rows(source.dataset) if source.dataset else []
    if kind == "literal":
        return [encoded(source.literal, "--payload")]
    if kind == "file":
        return [_read("--payload-file", source.file)]
    if kind == "url":
        return [_fetched(source.url)]
    if kind == "tensors":
        parsed = tensors.parse(source.tensors)
        made = (tensors.body(parsed, source.seed + number) for number in range(source.variants))
        return (json.dumps(body, separators=(",", ":")).encode() for body in made)
    if kind == "template":
        return render(source.template, [json.loads(row) for row in rows], source.variants, source.seed)
    return rows or [b""]


def _rows(path: str) -> list[bytes]:
    """The lines of a JSON Lines file, each checked."""
    rows = []
    for number, line in enumerate(_read("--dataset", path).splitlines(), start=1):
        if not line.strip():
            continue
        from_json(line, f"--dataset {path}, line {number},", mend="write one JSON body on each line")
        rows.append(line.strip())
    if not rows:
        raise UsageError(f"--dataset {path} is empty", mend="write one JSON body on each line")
    return rows


def _fetched(url: str) -> bytes:
    """What is at a URL. In a thread, for the time-out of the library is of each read, and a server may trickle."""
    told: SimpleQueue[bytes | Exception] = SimpleQueue()

    def fetch() -> None:
        try:
            told.put(_fetch(url))
        except Exception as error:  # noqa: BLE001 - raised below
            told.put(error)

    threading.Thread(target=fetch, daemon=True).start()
    try:
        body = told.get(timeout=FETCH_SECONDS)
    except Empty:
        raise DomainError(f"--payload-url {address(url)} cannot be fetched: no answer in time") from None
    if isinstance(body, Exception):
        raise body
    return body


def _fetch(url: str) -> bytes:
    import requests  # noqa: PLC0415 - only when asked for
    import urllib3  # noqa: PLC0415 - likewise

    option = f"--payload-url {address(url)}"
    try:
        with requests.get(url, timeout=FETCH_SECONDS, stream=True) as answer:
            answer.raise_for_status()
            body = bytearray()
            for piece in answer.iter_content(1 << 16):
                body += piece
                _check_size(option, body)
            return bytes(body)
    except (
        requests.exceptions.MissingSchema,
        requests.exceptions.InvalidSchema,
        requests.exceptions.InvalidURL,
        urllib3.exceptions.LocationValueError,
    ) as error:
        raise UsageError(f"{option} is no URL", mend="write http://… or https://…") from error
    except requests.RequestException as error:
        status = getattr(error.response, "status_code", None)
        late = isinstance(error, requests.Timeout)
        why = f"status {status}" if status else "no answer in time" if late else "its server cannot be reached"
        raise DomainError(f"{option} cannot be fetched: {why}") from error


def _read(option: str, path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{option} {path} cannot be read: {(error.strerror or 'not a file').lower()}") from error
    _check_size(f"{option} {path}", data)
    return data


def _check_size(what: str, data: bytes | bytearray) -> None:
    if len(data) > LARGEST:
        raise UsageError(f"{what} is longer than {LARGEST >> 20} MB", mend="give less")


def _options(names: Sequence[str]) -> str:
    options = {"literal": "--payload", "file": "--payload-file", "url": "--payload-url"}
    return " and ".join(options.get(name, f"--{name}") for name in names)


def moments(path: str) -> list[float]:
    """The moments of a trace, in seconds: one number a line, comments after ``#``. Raises UsageError."""
    found: list[float] = []
    text = _read("--trace", path).decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), start=1):
        value: Any = line.partition("#")[0].strip()
        if not value:
            continue
        try:
            found.append(float(value))
        except ValueError:
            raise UsageError(
                f"--trace {path}, line {number}: {value!r} is no moment", mend="write seconds, one number a line"
            ) from None
    return found
