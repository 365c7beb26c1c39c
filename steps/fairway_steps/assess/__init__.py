"""From counts to a verdict. Pure: missing data is never a pass, and the order of looks changes nothing.

Harm is proved by e-processes over the whole release (``stats``), looked at after every window of it, so one may look at any
moment: a candidate that keeps its SLOs is rolled back with probability at most ``alpha``, all SLOs together. Health is
proved in the same way, at level ``beta`` for each SLO. What is neither is decided at a stage's end, by the rules.
"""

from collections.abc import Sequence

from fairway_steps.assess.decide import decide
from fairway_steps.assess.weigh import Point, Weighed, trail, weigh
from fairway_steps.intervention import Intervention
from fairway_steps.model import DEFAULT_RULES, Assessment, Rules, Slo, Stratum, Verdict

__all__ = ["Point", "Weighed", "assess", "decide", "trail", "weigh"]


def assess(
    slos: Sequence[Slo],
    strata: Sequence[Stratum],
    *,
    candidate: str,
    primary: str = "",
    weight: int | None = None,
    over: bool = True,
    is_last: bool = False,
    rules: Rules = DEFAULT_RULES,
    on_inconclusive: Verdict = Verdict.HOLD,
    problem: str = "",
    gone: str = "",
    intervention: Intervention | None = None,
) -> Assessment | None:
    """The verdict on ``candidate``, or None while there is none yet: before the stage's time is ``over``, only proof is one.

    ``strata`` are those of the whole release so far, of any version, in any order; those at ``weight`` percent are the
    stage's own (None: all are). ``on_inconclusive`` is what comes of evidence that decides nothing: HOLD, ROLLBACK or
    PROMOTE; for want of data it is never PROMOTE. ``problem``, ``gone`` and ``intervention`` are as in ``decide``.
    """
    weighed = weigh(slos, strata, candidate=candidate, primary=primary, weight=weight, is_last=is_last, rules=rules)
    return decide(
        weighed,
        candidate=candidate,
        over=over,
        is_last=is_last,
        rules=rules,
        on_inconclusive=on_inconclusive,
        problem=problem,
        gone=gone,
        intervention=intervention,
    )
