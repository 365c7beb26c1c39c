"""The Prometheus text format, read.

https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4). Types, help texts and timestamps are
passed over; so are the exemplars and the end mark of OpenMetrics.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*\s*=\s*"(?:[^"\\]|\\.)*"'
_SAMPLE = re.compile(
    rf"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{{(?P<labels>\s*(?:{_LABEL}\s*(?:,\s*{_LABEL}\s*)*,?\s*)?)\}})?"
    r"\s*(?P<value>[^\s{}]+)(?:\s+-?[\d.]+)?(?:\s+#.*)?"
)
_PAIR = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?|inf|infinity|nan)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Sample:
    """One line: a metric, its labels and its value."""

    name: str
    labels: Mapping[str, str]
    value: float


def parse(text: str) -> Iterator[Sample]:
    """Every sample of an exposition. Raises ValueError with the number of the first line that is none."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _SAMPLE.fullmatch(line.strip())
        if not match or not _NUMBER.fullmatch(match["value"]):
            raise ValueError(f"line {number} is no sample of a metric: {line.strip()[:60]!r}")
        labels = {name: _ESCAPE.sub(_unescape, value) for name, value in _PAIR.findall(match["labels"] or "")}
        yield Sample(match["name"], labels, float(match["value"]))


def _unescape(match: re.Match[str]) -> str:
    return "\n" if match[1] == "n" else match[1]
