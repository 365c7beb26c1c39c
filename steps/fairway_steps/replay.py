"""The assessments of a record, made again from the counts that it kept: the same, bit for bit, or something is wrong. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from fairway_steps.model import Assessment
from fairway_steps.record import Record, StageResult
from fairway_steps.verdict import decided, weighed


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
        if result.latencies_until is not None or math.isfinite(result.until):
            yield Replayed(result, _again(record, result))


def _again(record: Record, result: StageResult) -> Assessment | None:
    basis, slos = result.basis, tuple(item.slo for item in result.assessment.evidence)
    strata = [stratum for stratum in record.strata if result.ends.cover(stratum)]
    found = weighed(
        slos,
        strata,
        record.stages[result.stage],
        candidate=record.candidate.name,
        primary=record.primary.name,
        weight=result.weight,
        rules=basis.rules,
        is_last=basis.is_last,
    )
    return decided(found, record.candidate.name, basis)
