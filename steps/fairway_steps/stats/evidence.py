"""The language of all tests here: e-values, and what follows from them at any look.

An *e-process* is a nonnegative process that starts at 1 and whose expectation is at most 1 at every stopping time if its
null hypothesis holds. By Ville's inequality it ever reaches 1/alpha with probability at most alpha, so one may look as
often as one likes, stop when one likes, and go on after a retry (Ramdas, Grünwald, Vovk and Shafer, "Game-theoretic
statistics and safe anytime-valid inference", Statistical Science 38(4), 2023). Each test runs two of them: one against
"all is fine", one against "it is not". All are kept as natural logarithms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairway_steps.model import Result

ALPHA = 0.05
"""The probability of ever calling a version harmful that is not."""

BETA = 0.05
"""The probability of ever calling a version healthy that is not."""


@dataclass(frozen=True, slots=True)
class EValues:
    """Natural logarithms of two e-values: ``violated`` against "all is fine", ``met`` against "it is not"."""

    violated: float = 0.0
    met: float = 0.0

    def highest(self, other: "EValues") -> "EValues":
        """The larger of each: what a running maximum keeps."""
        return EValues(max(self.violated, other.violated), max(self.met, other.met))


NO_EVIDENCE = EValues()
"""Where every e-process starts: at 1."""


def bar(alpha: float) -> float:
    """Ln(1/``alpha``), which an e-process must reach to be evidence at that level. ValueError unless 0 < alpha < 1."""
    if not 0 < alpha < 1:
        raise ValueError(f"an error probability of {alpha:g} is not between 0 and 1")
    return -math.log(alpha)


def log_sum(logs: Sequence[float]) -> float:
    """Ln of the sum of what is given as logarithms."""
    top = max(logs)
    return top if math.isinf(top) else top + math.log(math.fsum(math.exp(log - top) for log in logs))


def anytime_p(peak: float) -> float:
    """The p-value that holds at any look: one over the largest e-value so far, given as its logarithm."""
    return math.exp(-max(0.0, peak))


def finding(now: EValues, peak: EValues, alpha: float = ALPHA, beta: float = BETA) -> Result:
    """What the evidence says: harm once found stays found; health must be proved by all that is known now."""
    if max(now.violated, peak.violated) >= bar(alpha):
        return Result.FAIL
    return Result.PASS if now.met >= bar(beta) else Result.INCONCLUSIVE
