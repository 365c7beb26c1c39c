"""Whether what was measured decides: every limit is provably kept, or one is provably broken.

The same e-processes as those of an assessment (``stats.rate``, here without scipy) and the same bars, so what ends a run decides the
assessment of it, too. It may be looked at every second and end at any of these looks: a wrong end has the probabilities of the rules.
Harm is a weighted mean over the limits; when all are to be kept, each must be proved for itself (``stats.combine``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairway_steps.loadtest.tally import Count
from fairway_steps.model import DEFAULT_RULES, LATE, Rules
from fairway_steps.stats.evidence import bar, log_sum
from fairway_steps.stats.light import log_e_met, log_e_violated


@dataclass(frozen=True, slots=True)
class Bound:
    """At most a share of ``allowed`` requests may break a limit: the one in ``place`` of the tally's, or, None, by failing.

    ``name`` is how a sentence would call it. It is not proved kept by fewer than ``least`` requests; ``weight`` and ``critical`` are the SLO's.
    """

    name: str
    allowed: float
    place: int | None = None
    least: int = 0
    weight: float = 1.0
    critical: bool = False

    def perhaps(self, count: Count) -> int:
        """How many requests broke it; those that failed broke every latency, and those that the client moved perhaps."""
        return count.failed if self.place is None else count.over[self.place]

    def surely(self, count: Count) -> int:
        """The same as an assessment counts harm: without those that the client moved, nor is it told whether the slow ones are the failed ones."""
        if self.place is None:
            return count.failed
        moved = count.moved[self.place] if count.moved else 0
        return max(count.failed, count.over[self.place] - moved - count.failed)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is asked of a run, by which ``rules``, in which ``stage`` of a release, from 0: the later, the less the run alone may say."""

    bounds: Sequence[Bound] = ()
    rules: Rules = DEFAULT_RULES
    stage: int = 0

    def __bool__(self) -> bool:
        return bool(self.bounds)

    def made(self, count: Count) -> str:
        """Why no more requests are needed, or nothing."""
        if not self.bounds or not count.requests:
            return ""
        if (worst := self._broken(count)) is not None:
            return f"{worst.name} is broken: {worst.perhaps(count)} of {count.requests} requests"
        return f"every limit is kept, proved by {count.requests} requests" if self._kept(count) else ""

    def _broken(self, count: Count) -> Bound | None:
        """The worst of the bounds, if harm is proved whatever the stages before it had shown."""
        share = math.log(LATE) - self.stage * math.log(2) if self.stage else math.log1p(-LATE)
        found = [(share + log_e_violated(one.surely(count), count.requests, one.allowed), one) for one in self.bounds]
        whole = math.fsum(one.weight for one in self.bounds)
        mean = log_sum([log_e + math.log(one.weight / whole) for log_e, one in found if one.weight])
        critical = sum(one.critical for one in self.bounds)
        alpha = self.rules.alpha / 2 if critical else self.rules.alpha
        alone = [pair for pair in found if pair[1].critical and pair[0] >= bar(alpha / critical)]
        if mean < bar(alpha) and not alone:
            return None
        return max(alone or found, key=lambda pair: pair[0])[1]

    def _kept(self, count: Count) -> bool:
        enough = bar(self.rules.beta)
        return self.rules.early_end and all(
            count.requests >= one.least and log_e_met(one.perhaps(count), count.requests, one.allowed) >= enough
            for one in self.bounds
        )
