"""What was observed of both versions at the same time, in words, and what a histogram's edges leave open of it. Pure."""

import math
from dataclasses import dataclass

from fairway_steps.assess.beside import Beside, Place
from fairway_steps.assess.counts import ROUNDING
from fairway_steps.model import Slo
from fairway_steps.stats.comparison import RateVsPrimary
from fairway_steps.words import name_of, number, seconds, share, times

Names = tuple[str, str]
"""The candidate's and the primary's."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The candidate's value, ``observed``, and the primary's, ``reference``; ``over`` says whether they differ by more than the margin.

    ``shares`` tells the counts that the verdict rests on, for where ``said`` would not show it. ``hidden`` says which edges are
    missing if those there are leave open whether the margin is kept, or that failures of the primary do.
    """

    observed: float
    reference: float
    over: bool
    said: str
    shares: str
    hidden: str = ""


def rates_seen(slo: Slo, names: Names, both: Beside, state: RateVsPrimary) -> Seen:
    """Error rates, and their odds as ``state`` has them."""
    observed, reference = both.error_rates()
    said = f"{names[0]} fails {share(observed)} of requests and {names[1]} {share(reference)} at the same time"
    ratio = state.odds_ratio
    if ratio is not None and math.isfinite(ratio):
        low, high = (times(bound) if math.isfinite(bound) else "no end" for bound in state.interval())
        said += f", {times(ratio)} the odds (95 % interval {low.removesuffix(' times')} to {high})"
    over = ratio is not None and ratio > (1 + slo.limit) * (1 + ROUNDING)
    return Seen(observed, reference, over, said, said)


def quantiles_seen(slo: Slo, names: Names, both: Beside, line: float | None) -> Seen:
    """Latency quantiles; ``line`` is the edge, in seconds, at which harm was read last."""
    assert slo.quantile is not None
    (candidate, primary), name = names, name_of(slo)
    mine, theirs = both.quantiles(slo.quantile)
    said = f"{name} of {candidate} is {_told(mine.value)} and of {primary} {_told(theirs.value)} at the same time"
    if math.isfinite(mine.value) and math.isfinite(theirs.value) and theirs.value > 0:
        said += f", {times(mine.value / theirs.value)} as long"
    shares = said
    if line is not None:
        own, other = both.over(line * (1 + slo.limit), line)
        shares = (
            f"{share(own)} of requests to {candidate} failed or took longer than {seconds(line * (1 + slo.limit))}, and "
            f"{share(other)} of those to {primary} longer than {seconds(line)}, about its {name}, at the same time"
        )
    told = mine.fine(slo.limit) and theirs.fine(slo.limit)
    told = told or mine.surely_within(theirs, slo.limit) or mine.surely_beyond(theirs, slo.limit)
    hidden = "" if told else _hidden(slo, names, mine, theirs)
    return Seen(mine.value, theirs.value, mine.value > (1 + slo.limit) * theirs.value, said, shares, hidden)


def _hidden(slo: Slo, names: Names, mine: Place, theirs: Place) -> str:
    name, low, high = name_of(slo), min(mine.low, theirs.low), max(mine.high, theirs.high)
    asked = f"whether {name} of {names[0]} is within the {times(1 + slo.limit)} that a margin of {number(100 * slo.limit)} % allows"
    if math.isinf(theirs.low):
        assert slo.quantile is not None
        failed = f"more than {share(1 - slo.quantile)} of requests to {names[1]} failed, so its {name} is no latency"
        return f"{asked} cannot be told: {failed}; compare a lower quantile, or set a limit"
    return (
        f"{asked} cannot be told: the histogram says only that it lies {_between(mine.low, mine.high)} and that of {names[1]} "
        f"{_between(theirs.low, theirs.high)}; edges at most {number(50 * slo.limit)} % apart are missing {_between(low, high)}"
    )


def _between(low: float, high: float) -> str:
    if math.isinf(high):
        return f"beyond {seconds(low)}"
    return f"between {seconds(low)} and {seconds(high)}" if low else f"below {seconds(high)}"


def _told(value: float) -> str:
    return seconds(value) if math.isfinite(value) else "beyond measure"
