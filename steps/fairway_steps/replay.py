"""The assessments of a record, made again from the counts that it kept: the same, bit for bit, or something is wrong. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from fairway_steps.assess import assess
from fairway_steps.assess.contest import Contest
from fairway_steps.model import Assessment
from fairway_steps.record import Record, StageResult


@dataclass(frozen=True, slots=True)
class Replayed:
    """One assessment of the record, and what its counts say now; ``again`` is None where they say nothing yet."""

    result: StageResult
    again: Assessment | None

    @property
    def same(self) -> bool:
        return self.again == self.result.assessment


def replay(record: Record) -> Iterator[Replayed]:
    """Every assessment in the order in which they were made; those of a Fairway that kept no basis are left out."""
    for result in record.results:
        if math.isfinite(result.until):
            yield Replayed(result, _again(record, result))


def _again(record: Record, result: StageResult) -> Assessment | None:
    basis, slos = result.basis, tuple(item.slo for item in result.assessment.evidence)
    strata = [stratum for stratum in record.strata if stratum.end <= result.until]
    if weights := record.stages[result.stage].weights:
        contest = Contest(slos, strata, weights, record.primary.name, basis.rules)
        return contest.decide(
            over=basis.over,
            on_inconclusive=basis.on_inconclusive,
            problem=basis.problem,
            dropped=basis.dropped,
            intervention=basis.intervention,
        )
    return assess(
        slos,
        strata,
        candidate=record.candidate.name,
        primary=record.primary.name,
        weight=result.weight,
        over=basis.over,
        is_last=basis.is_last,
        rules=basis.rules,
        on_inconclusive=basis.on_inconclusive,
        problem=basis.problem,
        gone=basis.gone,
        intervention=basis.intervention,
    )
