"""The transport to a Prometheus server: instant queries, with all that the answer says beside the data.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway_steps.metrics.counting import Series
from fairway_steps.metrics.http import Access, hidden, problem_of, refusal
from fairway_steps.secrets import Secret, address

MOST_SERIES = 20_000


class Away(Exception):
    """The server gave no answer; the text says why."""


class Refused(Exception):
    """The server does not understand the query, or took it to be too large; the text is its own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The series of an answer, and what the server had to say: ``warnings`` mean that data may be missing."""

    series: Sequence[Series]
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()


class PromApi:
    """The server at ``url`` (without ``/api/v1``)."""

    def __init__(self, url: str, access: Access) -> None:
        self.url, self.where, self._access = url.rstrip("/"), address(url.rstrip("/")), access

    def query(self, promql: str, at: float, *, lookback: float = 0.0) -> Answer:
        """``promql`` at the Unix time ``at``; ``lookback`` (s) bounds how old a sample may be. Raises Away or Refused."""
        import requests  # noqa: PLC0415 - 60 ms that a command without such a source need not wait

        secrets = self._access.secrets()
        form = {"query": promql, "time": f"{at:.3f}", "timeout": f"{self._access.timeout:g}s"}
        if lookback:
            form["lookback_delta"] = f"{lookback:g}s"
        try:
            with self._access.session(secrets) as session:
                answer = session.post(f"{self.url}/api/v1/query", data=form)
        except (requests.RequestException, OSError) as error:
            raise Away(f"{self.where}: {problem_of(error, self._access, secrets)}") from error
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.status_code != 200 or not isinstance(body, dict) or body.get("status") != "success":
            raise self._error(answer.status_code, body, secrets)
        data = body.get("data")
        found = _series(data.get("result") if isinstance(data, dict) else None, self.where)
        return Answer(found, _texts(body, "warnings"), _texts(body, "infos"))

    def _error(self, status: int, body: Any, secrets: Mapping[str, Secret]) -> Exception:
        said = body if isinstance(body, dict) else {}
        text = hidden(str(said.get("error", "")), secrets)
        if text and said.get("errorType") in ("bad_data", "execution"):
            return Refused(f"{self.where} refuses the query: {text}")
        if status == 200:
            return Away(f"{self.where} does not answer as Prometheus does")
        return Away(f"{self.where} {refusal(status)}{f': {text}' if text and status not in (401, 403) else ''}")


def _texts(answer: Any, name: str) -> tuple[str, ...]:
    found = answer.get(name) if isinstance(answer, dict) else None
    return tuple(str(text) for text in found) if isinstance(found, list) else ()


def _series(result: Any, where: str) -> tuple[Series, ...]:
    """The vector or matrix of an answer; a scalar is a series without labels."""
    if not isinstance(result, list):
        raise Away(f"{where} does not answer as Prometheus does")
    if len(result) == 2 and not isinstance(result[0], dict):
        result = [{"metric": {}, "value": result}]
    if len(result) > MOST_SERIES:
        raise Refused(f"the query matches {len(result)} series; narrow it down by `where:`")
    try:
        return tuple(
            Series(
                {str(k): str(v) for k, v in item["metric"].items()},
                tuple((float(at), float(value)) for at, value in (item.get("values") or [item["value"]])),
            )
            for item in result
        )
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(result[0], dict) and ("histogram" in result[0] or "histograms" in result[0]):
            raise Refused("the query gives native histograms, which are not read; use the classic buckets") from error
        raise Away(f"{where} does not answer as Prometheus does") from error
