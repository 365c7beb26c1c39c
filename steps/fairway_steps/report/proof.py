"""The evidence of harm over time, as a plot: weighed anew from the record's counts, window by window."""

import math
from collections.abc import Sequence
from dataclasses import replace

from fairway_steps.assess import Point, trail
from fairway_steps.assess.weigh import before_any_look
from fairway_steps.model import Rules
from fairway_steps.record import Record
from fairway_steps.report import wording
from fairway_steps.report.plots import Line, Mark, Plot

LEAST, MOST = 1e-3, 1e6
SAME = 1e-9
MARKS = 60


def evidence(
    record: Record, span: float, bands: Sequence[tuple[float, float, str]], moments: Sequence[tuple[float, str, str]]
) -> Plot:
    """E-values of harm: of all SLOs together with marks, of each one as a thin line, and where they are proof."""
    points = _points(record)
    proof, *alone = _bars(record)
    step = max(1, math.ceil(len(points) / MARKS))
    shown = [point for index, point in enumerate(points) if index % step == 0 or index == len(points) - 1]
    together = [_mark(record, point.at, point.log_e, "all SLOs together") for point in shown]
    lines = [Line("candidate", [together] if together else [])]
    each = range(len(record.slos)) if len(record.slos) > 1 else ()
    lines += [Line("candidate", [_single(record, shown, index)] if shown else [], "thin") for index in each]
    highest = max((point.log_e for point in points), default=0.0)
    return Plot(
        name="evidence",
        title=f"Evidence that {record.chosen.name} breaks its SLOs",
        description=f"The e-value of harm, all SLOs together, rose to {wording.e_value(highest)}; {proof:.4g} is proof.",
        span=span,
        lines=lines,
        unit=_told,
        limits=[
            (proof, f"proof of harm: {proof:.4g}"),
            *((bar, f"of a critical SLO alone: {bar:.4g}") for bar in alone if bar > proof * (1 + SAME)),
        ],
        bands=bands,
        moments=moments,
        log=True,
    )


def _rules(record: Record) -> Rules:
    """Those of each candidate."""
    return replace(record.rules, alpha=record.rules.alpha / len(record.candidates))


def _bars(record: Record) -> list[float]:
    """The e-value that is proof of harm: of all SLOs together, and of a critical one alone, if any is."""
    alpha = _rules(record).alpha
    shared = [slo for slo in record.slos if not slo.one_look]
    if not shared:
        return [1 / alpha]
    needed = before_any_look(shared, alpha)
    return [math.exp(log_e) for log_e in (needed.bar, needed.critical_bar) if math.isfinite(log_e)]


def _points(record: Record) -> list[Point]:
    """The trail, from where each e-value is 1."""
    name = record.chosen.name
    found = trail(record.slos, record.strata, candidate=name, primary=record.primary.name, rules=_rules(record))
    counted = [s.start for s in record.strata if s.version == name and not s.settling]
    start = Point(min(counted, default=record.created), (0.0,) * len(found[0].log_es), 0.0) if found else None
    return [start, *found] if start else []


def _single(record: Record, points: Sequence[Point], index: int) -> list[Mark]:
    name = wording.metric(record.slos[index])
    return [_mark(record, point.at, point.log_es[index], name) for point in points]


def _mark(record: Record, at: float, log_e: float, name: str) -> Mark:
    value = math.exp(min(math.log(MOST), max(math.log(LEAST), log_e)))
    return Mark(at - record.created, value, f"{name}: e-value {wording.e_value(log_e)}")


def _told(value: float) -> str:
    return f"{value:,.3g}" if value < 1000 else f"10^{math.log10(value):.2g}"
