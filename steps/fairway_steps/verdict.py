"""The evidence of a stage weighed, and a verdict taken on it: of one candidate, or of several in a split. Pure.

A live stage, the look-out beside questions and a replay all come here, so that the same counts on the same basis are the same verdict.
"""

from collections.abc import Sequence

from fairway_steps.assess import Weighed, decide, weigh
from fairway_steps.assess.contest import Contest
from fairway_steps.model import Assessment, Rules, Slo, Stage, Stratum
from fairway_steps.record import Basis


def weighed(
    slos: Sequence[Slo],
    strata: Sequence[Stratum],
    stage: Stage,
    *,
    candidate: str,
    primary: str,
    weight: int,
    rules: Rules,
    is_last: bool,
) -> Weighed | Contest:
    """What the ``strata`` of the release so far say at a ``stage``; ``weight`` is the one candidate's share there, in percent."""
    if stage.weights:
        return Contest(slos, strata, stage.weights, primary, rules)
    return weigh(slos, strata, candidate=candidate, primary=primary, weight=weight, is_last=is_last, rules=rules)


def decided(found: Weighed | Contest, candidate: str, basis: Basis) -> Assessment | None:
    """The verdict, or None while there is none yet."""
    if isinstance(found, Contest):
        return found.decide(
            over=basis.over,
            on_inconclusive=basis.on_inconclusive,
            problem=basis.problem,
            dropped=basis.dropped,
            intervention=basis.intervention,
        )
    return decide(
        found,
        candidate=candidate,
        over=basis.over,
        is_last=basis.is_last,
        rules=basis.rules,
        on_inconclusive=basis.on_inconclusive,
        problem=basis.problem,
        gone=basis.gone,
        intervention=basis.intervention,
    )
