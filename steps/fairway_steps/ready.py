"""Whether versions are ready: not what they say of themselves alone, but a first inference that works.

Probes speak the Open Inference Protocol V2 over HTTP (github.com/kserve/open-inference-protocol): ``GET
/v2/health/ready``, ``GET /v2/models/MODEL/ready`` and ``POST /v2/models/MODEL/infer``; paths can be set for servers that speak another one.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import requests

from fairway_steps.clock import Clock
from fairway_steps.errors import NotReady, UsageError
from fairway_steps.handshake import trouble
from fairway_steps.model import Version
from fairway_steps.secrets import address

LOG = logging.getLogger(__name__)
UNAVAILABLE = 503

Probe = Callable[[Version], str]
"""Empty if the version is ready now, else a sentence that says why not."""


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Asks one HTTP server whether it, and ``model`` if one is named, can answer.

    ``payload`` is the JSON body of a first inference; empty means none. ``timeout`` bounds each call, in seconds.
    """

    session: requests.Session
    model: str = ""
    payload: str = ""
    path: str = "/v2/health/ready"
    timeout: float = 5.0

    def __call__(self, version: Version) -> str:
        if not version.uri.startswith(("http://", "https://")):
            raise UsageError(
                f"version {version.name}={version.uri} is not an HTTP server", mend="write NAME=http://HOST:PORT"
            )
        base = version.uri.rstrip("/")
        problem = "" if self.path == "none" else self._ask(version, base + self.path)
        if not problem and self.model:
            problem = self._ask(version, f"{base}/v2/models/{self.model}/ready")
        if not problem and self.payload:
            problem = self._infer(version, f"{base}/v2/models/{self.model}/infer" if self.model else base)
        return problem

    def _ask(self, version: Version, url: str) -> str:
        try:
            answer = self.session.get(url, timeout=self.timeout)
        except requests.RequestException as error:
            return f"{version.name} at {address(version.uri)}: {_short(error)}"
        if not answer.ok:
            return f"{version.name}: {address(url)} answers {answer.status_code}"
        return "" if _says_ready(answer) else f"{version.name}: {address(url)} answers not ready"

    def _infer(self, version: Version, url: str) -> str:
        try:
            answer = self.session.post(
                url, data=self.payload.encode(), headers={"content-type": "application/json"}, timeout=self.timeout
            )
        except requests.RequestException as error:
            return f"{version.name} at {address(version.uri)}: first inference: {_short(error)}"
        return "" if answer.ok else f"{version.name}: a first inference is answered with {answer.status_code}"


@dataclass(frozen=True, slots=True)
class HttpReach:
    """Asks one HTTP server whether it is still there: any answer but 503 will do, for not every server knows ``path``."""

    session: requests.Session
    path: str = "/v2/health/ready"
    timeout: float = 2.0

    def __call__(self, version: Version) -> str:
        try:
            answer = self.session.get(version.uri.rstrip("/") + self.path, timeout=self.timeout)
        except requests.RequestException as error:
            return f"{version.name} at {address(version.uri)}: {_short(error)}"
        return f"{version.name}: {address(answer.url)} answers 503" if answer.status_code == UNAVAILABLE else ""


def wait_for_ready(
    versions: Sequence[Version],
    probe: Probe,
    clock: Clock,
    *,
    timeout: float,
    interval: float,
    pause: Callable[[float], None] | None = None,
) -> dict[str, float]:
    """Wait until every version passes the probe; returns the seconds each took. Raises NotReady at ``timeout``.

    ``pause`` waits for at most so many seconds between two looks: one who is told of changes need not wait so long.
    """
    start, took, problems = clock.now(), dict[str, float](), dict[str, str]()
    while True:
        for version in versions:
            if version.name in took:
                continue
            problem = probe(version)
            if not problem:
                took[version.name] = clock.now() - start
                LOG.info("%s is ready after %.1f s", version.name, took[version.name])
            elif problem != problems.get(version.name):
                LOG.info("waiting: %s", problem)
            problems[version.name] = problem
        if len(took) == len(versions):
            return took
        if clock.now() - start >= timeout:
            waiting = [problems[version.name] for version in versions if version.name not in took]
            raise NotReady(f"not ready within {timeout:g} s: {'; '.join(waiting)}")
        (pause or clock.sleep)(min(interval, max(0.0, timeout - (clock.now() - start))))


def _says_ready(answer: requests.Response) -> bool:
    """A body is optional; one that says ``{"ready": false}`` with status 200 is believed."""
    try:
        body = answer.json()
    except (json.JSONDecodeError, requests.JSONDecodeError):
        return True
    return not (isinstance(body, dict) and body.get("ready") is False)


def _short(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return f"its {trouble(error)}"
    if isinstance(error, requests.ConnectionError):
        return "the connection was refused or broke"
    return "the request failed"
