"""PromQL, as text: selectors built from labels, and users' own queries with the version put in. Pure.

A value can only ever stand inside a quoted string, quoted anew: a name can never become a part of the query.
https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

import re
from collections.abc import Mapping, Sequence

from fairway_steps.errors import UsageError
from fairway_steps.metrics.names import REGEX, VARIABLE, Matcher, MetricNames, filled

STRING = r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'|`[^`]*`"
TOKEN = re.compile(rf"(?P<operator>[=!]~?\s*)?(?P<string>{STRING})|#[^\n]*|[^\"'`#=!]+|.", re.DOTALL)
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SELECTOR = re.compile(rf"\s*(?:{NAME}\s*(?:\{{(?:[^{{}}\"'`]|{STRING})*\}})?|\{{(?:[^{{}}\"'`]|{STRING})*\}})\s*")
LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
AGGREGATION = re.compile(
    r"(?<![\w:])(sum|avg|min|max|count|group|stddev|stdvar|topk|bottomk|limitk|limit_ratio|quantile|count_values)\s*(?:\(|by\b|without\b)",
    re.IGNORECASE,
)


def quoted(text: str) -> str:
    """``text`` as a double-quoted PromQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def selector(names: Sequence[str], where: Mapping[str, str], asked: Sequence[Matcher]) -> str:
    """All series of the metrics ``names`` whose labels are as ``where`` says and as any of ``asked`` wants."""
    parts = [f"__name__={quoted(names[0])}" if len(names) == 1 else f"__name__=~{quoted('|'.join(names))}"]
    parts += [
        f"{label}=~{quoted(value.removeprefix(REGEX))}" if value.startswith(REGEX) else f"{label}={quoted(value)}"
        for label, value in sorted(where.items())
    ]
    if asked:
        pattern = "|".join(sorted({matcher.pattern for matcher in asked if matcher.values})) or "-"
        parts.append(f"{asked[0].label}=~{quoted(pattern)}")
    return "{" + ",".join(parts) + "}"


def values_of(names: MetricNames) -> str:
    """The query for all values of the label that tells versions apart, over the counters of requests."""
    return f"count by ({names.label}) ({selector(names.requests, names.where, [])})"


def is_selector(query: str) -> bool:
    """Whether a query names series and does nothing with them, so that their raw samples can be had."""
    return SELECTOR.fullmatch(query) is not None


def substituted(query: str, known: Mapping[str, str]) -> str:
    """A user's query with ``$version``, ``$service`` and ``$workload`` put in, inside quoted strings alone.

    In a matcher ``=~`` or ``!~`` the value is quoted as a regular expression, too. Raises UsageError.
    """
    return "".join(_filled(match, query, known) for match in TOKEN.finditer(query))


def tells_versions(query: str) -> bool:
    """Whether a query says anything of the version."""
    return any(name in ("version", "workload") for pair in VARIABLE.findall(query) for name in pair)


def aggregation(query: str) -> str:
    """The operator by which a query makes one series of several; empty if it has none."""
    told = "".join("''" if match["string"] else match[0] for match in TOKEN.finditer(query) if match[0][0] != "#")
    found = AGGREGATION.search(told)
    return found[1] if found else ""


def _filled(token: re.Match[str], query: str, known: Mapping[str, str]) -> str:
    text, string = token[0], token["string"]
    if string is None:
        if VARIABLE.search(text) and not text.startswith("#"):
            raise UsageError(f"the query {query!r} has a variable outside quotes", mend='write label="$version"')
        return text
    operator = token["operator"] or ""
    inside, mark = string[1:-1], string[0]
    regex = "~" in operator
    made = filled((REGEX if regex else "") + inside, known)
    made = made.removeprefix(REGEX) if regex else made
    if regex and mark != "`":
        made = _again(inside, known)
    return f"{operator}{mark}{made}{mark}"


def _again(inside: str, known: Mapping[str, str]) -> str:
    """In an escaped string each backslash of a regular expression is written twice."""
    parts, last = [], 0
    for match in VARIABLE.finditer(inside):
        value = filled(REGEX + match[0], known).removeprefix(REGEX)
        parts += [inside[last : match.start()], value.replace("\\", "\\\\")]
        last = match.end()
    return "".join([*parts, inside[last:]])
