"""Deliver one notice within a bounded time, and say in words without a secret what became of it.

At least once: a request whose answer was lost is sent again. ``requests`` puts the URL, which may be the secret, into
its exceptions, so none of their text is passed on; its redirects are not followed, for they would carry the token away.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import requests
from requests.auth import AuthBase

from fairway_steps.clock import Clock
from fairway_steps.handshake import trouble
from fairway_steps.notify.notice import Request
from fairway_steps.secrets import Secret

CONNECT, READ = 5.0, 10.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a notice: ``problem`` is empty if it was delivered."""

    attempts: int
    problem: str = ""

    @property
    def delivered(self) -> bool:
        return not self.problem


def deliver(request: Request, clock: Clock, *, timeout: float = 30.0) -> Delivery:
    """POST until a 2xx answer, a refusal, or the end of ``timeout`` seconds. Never raises for what a receiver does.

    Worth another attempt: no connection, no answer in time, and the statuses of ``RETRIED``; ``Retry-After`` in
    seconds is kept to. The whole is bounded even where a name server or a slow sender holds a single attempt.
    """
    deadline, wait, attempts, problem = clock.now() + timeout, FIRST_WAIT, 0, "there was no time to try"
    with requests.Session() as session:
        while (left := deadline - clock.now()) > 0:
            attempts += 1
            attempt = bounded(partial(_attempt, session, request, left), left)
            if attempt is None:
                return Delivery(attempts, f"the receiver did not answer within {timeout:g} s")
            problem, again, asked = attempt
            if not problem or not again:
                return Delivery(attempts, problem)
            pause = max(wait, asked)
            if clock.now() + pause >= deadline:
                break
            clock.sleep(pause)
            wait = min(LONGEST_WAIT, 2 * wait)
    return Delivery(attempts, problem)


def bounded(call: Callable[[], T], seconds: float) -> T | None:
    """The result of ``call``, or None if it takes longer: it is then left behind in a thread that ends with the process."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(call()), daemon=True)
    thread.start()
    thread.join(max(0.0, seconds))
    return results[0] if results else None


class _Bearer(AuthBase):
    """Set as ``auth`` and not as a header, for ``requests`` lets a .netrc entry replace a header."""

    def __init__(self, token: Secret | None) -> None:
        self.token = token

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.token is not None:
            prepared.headers["Authorization"] = f"Bearer {self.token.value}"
        return prepared


def _attempt(session: requests.Session, request: Request, left: float) -> tuple[str, bool, float]:
    """One attempt: the problem (empty if none), whether another is worth it, and the pause the receiver asks for."""
    try:
        with session.post(
            request.url.value,
            data=json.dumps(request.body, ensure_ascii=False).encode("utf-8", errors="replace"),
            headers={"Content-Type": "application/json", "User-Agent": "fairway", **request.headers},
            auth=_Bearer(request.token),
            timeout=(min(CONNECT, left), min(READ, left)),
            allow_redirects=False,
            stream=True,  # the body of the answer is of no interest
        ) as answer:
            status, asked = answer.status_code, answer.headers.get("Retry-After", "")
    except Exception as error:  # noqa: BLE001 - whatever it is, its text and its traceback would show the URL
        return (*_told(error, left), 0.0)
    if 200 <= status < 300:
        return "", False, 0.0
    return f"the receiver answered {status}", status in RETRIED, float(asked) if asked.isdecimal() else 0.0


def _told(error: Exception, left: float) -> tuple[str, bool]:
    """An exception in words of our own, and whether the same call may work in a moment."""
    known = requests.exceptions
    if isinstance(error, known.SSLError):
        return f"the receiver's {trouble(error)}", False
    if isinstance(error, known.ConnectTimeout):
        return f"no connection within {min(CONNECT, left):.3g} s", True
    if isinstance(error, known.Timeout):
        return f"no answer within {min(READ, left):.3g} s", True
    if isinstance(error, known.ConnectionError):
        return "the receiver cannot be reached", True
    return f"the request could not be made ({type(error).__name__})", False
