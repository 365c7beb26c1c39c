"""What follows from the evidence, by the rules."""

import math
from collections.abc import Sequence

from fairway_steps.assess.weigh import Weighed
from fairway_steps.intervention import Intervention
from fairway_steps.model import DEFAULT_RULES, Assessment, Doubt, Evidence, Mode, Result, Rules, Verdict
from fairway_steps.stats.verdict import rule
from fairway_steps.words import number, value_of


def decide(
    weighed: Weighed,
    *,
    candidate: str,
    over: bool,
    is_last: bool,
    rules: Rules = DEFAULT_RULES,
    on_inconclusive: Verdict = Verdict.HOLD,
    problem: str = "",
    gone: str = "",
    intervention: Intervention | None = None,
) -> Assessment | None:
    """The verdict, or None while there is none yet.

    ``problem`` says why the source could not be read in the end, ``gone`` why the candidate could not be reached. A person's
    ``intervention`` stands above all evidence.
    """
    if intervention is not None:
        verdict = intervention.at_last(is_last=is_last)
        return Assessment(verdict, intervention.sentence, weighed.evidence, weighed.log_e)
    findings = [Result.NO_DATA if item.doubt and item.doubt.is_lack else item.result for item in weighed.evidence]
    failed = [item for item in weighed.evidence if item.result is Result.FAIL and (over or not item.slo.one_look)]
    harmful = weighed.harm or bool(failed) or bool(gone)
    if not over and not harmful and not _early(weighed, rules, problem):
        return None
    doubted = [item for item in weighed.evidence if item.result is Result.INCONCLUSIVE and not _tolerated(item, rules)]
    unproved = rules.mode is Mode.PROVE and is_last and not weighed.proved and Result.INCONCLUSIVE not in findings
    ruled = rule(
        [Result.NO_DATA] if problem else [*findings, Result.INCONCLUSIVE] if unproved else findings,
        mode=Mode.PROVE if doubted or unproved else Mode.GUARD,
        harmful=harmful,
        at_horizon=True,
        is_last=is_last,
        on_inconclusive=on_inconclusive,
    )
    assert ruled is not None
    reason = _harm(weighed, candidate, gone) if harmful else _reason(weighed, candidate, problem, doubted, unproved)
    return Assessment(ruled, reason, weighed.evidence, weighed.log_e)


def _early(weighed: Weighed, rules: Rules, problem: str) -> bool:
    """Whether the stage's own evidence suffices before its time is over."""
    sampled = all(item.result is Result.PASS and not item.missing for item in weighed.evidence)
    return rules.early_end and weighed.proved and sampled and not problem


def _tolerated(item: Evidence, rules: Rules) -> bool:
    """Whether mode GUARD goes on although what was observed is over: it asks for evidence of harm, and there is none."""
    return rules.mode is Mode.GUARD and item.doubt is Doubt.OVER


def _reason(weighed: Weighed, candidate: str, problem: str, doubted: Sequence[Evidence], unproved: bool) -> str:
    evidence = weighed.evidence
    if problem or not evidence:
        return f"no evidence: {problem or 'there is no SLO to judge by'}"
    for item in (*(item for item in evidence if item.result is Result.NO_DATA), *doubted):
        return item.sentence
    if over := [item.sentence for item in evidence if item.result is Result.INCONCLUSIVE]:
        return f"nothing proves that {candidate} breaks its SLOs: {'; '.join(over)}"
    keeps = "is not proved to keep" if unproved else "is proved to keep" if weighed.proved else "keeps"
    return f"{candidate} {keeps} its SLOs: {', '.join(value_of(item) for item in evidence)}"


def _harm(weighed: Weighed, candidate: str, gone: str) -> str:
    """Why there is harm; where the SLOs prove it together, and none alone, those that tell of it, the strongest first."""
    if failed := [item.sentence for item in weighed.evidence if item.result is Result.FAIL]:
        return "; ".join(failed)
    if gone and not weighed.harm:
        return f"{candidate} cannot be reached: {gone}"
    worst = sorted((item for item in weighed.evidence if item.log_e > 0), key=lambda item: -item.log_e)
    e, bar = (number(math.exp(min(value, 700.0))) for value in (weighed.log_e, weighed.bar))
    told = "; ".join(item.sentence for item in worst)
    return f"{candidate} breaks its SLOs, all evidence taken together (e-value {e}, {bar} is proof): {told}"
