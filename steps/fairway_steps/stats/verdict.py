"""From what the evidence says of each metric to what happens next. Pure; no data is never a pass.

Two modes. ``guard``: roll back on evidence of harm, go on otherwise at the horizon; a version whose metrics are all fine is rolled back
with probability at most alpha. ``prove``: go on only on evidence of health; a version with a metric that is not fine is promoted
with probability at most beta. Both watch for harm.
"""

from collections.abc import Sequence

from fairway_steps.model import Mode, Result, Verdict


def rule(
    findings: Sequence[Result],
    *,
    mode: Mode = Mode.GUARD,
    harmful: bool = False,
    at_horizon: bool,
    is_last: bool,
    on_inconclusive: Verdict = Verdict.HOLD,
    early: bool = False,
) -> Verdict | None:
    """The verdict, or None while there is none yet.

    ``findings`` are those of the metrics that gate; ``harmful`` says that several metrics together show harm (``stats.combine``). Harm is
    a rollback at any moment. With ``early``, health proved in every metric goes on before the horizon. ``on_inconclusive`` (HOLD,
    ROLLBACK or PROMOTE) decides at the horizon what ``prove`` leaves open; NO_DATA never goes on: it holds, or rolls back
    where that is asked for. In ``guard`` INCONCLUSIVE goes on, for want of harm after a full stage is what it asks.
    """
    if harmful or Result.FAIL in findings:
        return Verdict.ROLLBACK
    onward = Verdict.PROMOTE if is_last else Verdict.ADVANCE
    cautious = Verdict.ROLLBACK if on_inconclusive is Verdict.ROLLBACK else Verdict.HOLD
    proved = bool(findings) and all(found is Result.PASS for found in findings)
    if not at_horizon:
        return onward if proved and early else None
    if proved:
        return onward
    if not findings or Result.NO_DATA in findings:
        return cautious
    if mode is Mode.GUARD or on_inconclusive in (Verdict.PROMOTE, Verdict.ADVANCE):
        return onward
    return cautious
