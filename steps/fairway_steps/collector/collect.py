"""What becomes of one mirrored request: the candidate answers it, of a share the primary as well, and the two are compared."""

import asyncio
import json
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fairway_steps.collector.compare import Answer, Difference, Incomparable
from fairway_steps.collector.counts import Counts
from fairway_steps.collector.inbound import Head
from fairway_steps.collector.paths import Allowed
from fairway_steps.collector.ring import Ring
from fairway_steps.collector.upstream import MARK, Reply, Upstream

LOG = logging.getLogger(__name__)
SHOWN = 8_192
"""How much of a body a sample shows, in characters."""
WAITING = 4
"""So many comparisons may be under way; what comes above is not compared."""


@dataclass(slots=True)
class Budget:
    """At most ``rate`` a second, and no more than one second's worth at once."""

    rate: float
    _left: float = 1.0
    _at: float | None = None

    def take(self, now: float) -> bool:
        """Whether there is one to be had at ``now`` (seconds); it is then used up."""
        since = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        self._left = min(max(1.0, self.rate), self._left + since * self.rate)
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Collector:
    """``share`` of the requests (a fraction) are compared, as far as the ``budget`` goes; ``samples`` keeps pairs that differ."""

    def __init__(
        self,
        primary: Upstream,
        candidate: Upstream,
        counts: Counts,
        *,
        allowed: Allowed,
        share: float,
        budget: Budget,
        compare: Callable[[Answer, Answer], Awaitable[Difference | None]],
        samples: Ring | None = None,
        chance: Callable[[], float] = random.random,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.primary, self.candidate, self.counts = primary, candidate, counts
        self._allowed, self._share, self._budget, self._compare = allowed, share, budget, compare
        self._under_way = 0
        self._samples, self._chance, self._now = samples, chance, now
        self._writing = threading.Lock()

    def refusal(self, head: Head) -> str:
        """Why a request must not be passed on, in a word; empty if it may be."""
        if MARK in head.headers:
            return "loop"
        return "" if self._allowed.permits(head.method, head.target) else "path"

    async def take(self, head: Head, body: bytes) -> None:
        """Carry out a request that may be passed on, and count what came of it."""
        compares = self._compares()
        if not compares:
            await self._ask(self.candidate, head, body, keep=False)
            return
        # Both at once, so that what both meet at the time is the same.
        both = (self._ask(version, head, body, keep=True) for version in (self.primary, self.candidate))
        old, new = await asyncio.gather(*both)
        if self._under_way >= WAITING:
            self.counts.not_compared["busy"] += 1
            return
        self._under_way += 1
        try:
            found = await self._compare(_answer(old), _answer(new))
        except Incomparable as reason:
            self.counts.incomparable(str(reason))
            return
        finally:
            self._under_way -= 1
        self.counts.compared(found.kind if found else None)
        if found and self._samples:
            await asyncio.to_thread(self._keep, self._samples, head, body, old, new, found)

    def _compares(self) -> bool:
        if self._chance() >= self._share:
            return False
        if self._budget.take(self._now()):
            return True
        self.counts.not_compared["rate"] += 1
        return False

    async def _ask(self, version: Upstream, head: Head, body: bytes, *, keep: bool) -> Reply:
        reply = await version.ask(head.method, head.target, head.headers, body, keep=keep)
        self.counts.answered(version.name, reply.status, reply.error, reply.seconds)
        return reply

    def _keep(self, samples: Ring, head: Head, body: bytes, old: Reply, new: Reply, found: Difference) -> None:
        """No header is kept, and no query: both may hold secrets."""
        sample = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "kind": found.kind.value,
            "difference": found.sentence,
            "method": head.method,
            "path": head.target.partition("?")[0],
            "request": _shown(body),
            "primary": _told(self.primary, old),
            "candidate": _told(self.candidate, new),
        }
        try:
            with self._writing:
                kept = samples.add(sample)
        except OSError as error:
            LOG.warning("no sample was kept in %s: %s", samples.path, error.strerror)
        else:
            if not kept:
                LOG.warning("a sample was larger than half of %s, and is not kept", samples.path)


def _answer(reply: Reply) -> Answer:
    """Raises Incomparable for a body that is not here as the server meant it."""
    if reply.cut:
        raise Incomparable("too-large")
    if reply.headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise Incomparable("encoded")
    if b"inference-header-content-length" in reply.headers:  # the binary tensor data extension
        raise Incomparable("binary")
    return Answer(reply.status, reply.body, reply.headers.get(b"content-type", b"").decode("latin-1"))


def _told(upstream: Upstream, reply: Reply) -> Mapping[str, Any]:
    body = {"error": reply.error} if reply.error else {"body": _shown(reply.body)}
    return {"version": upstream.name, "status": reply.status, **body}


def _shown(body: bytes) -> Any:
    """A body as JSON where it is that and short, else as text, and no more of it than is of use."""
    text = body[: 4 * SHOWN + 4].decode("utf-8", errors="replace")
    if len(text) > SHOWN:
        return text[:SHOWN] + "…"
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
