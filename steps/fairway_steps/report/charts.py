"""Which plots a release has, and what is in each: weights, latency, errors, requests."""

import math
from collections.abc import Callable, Sequence

from fairway_steps.model import Metric, Slo
from fairway_steps.record import Record, WeightChange
from fairway_steps.report import series, wording
from fairway_steps.report.plots import Line, Mark, Plot
from fairway_steps.report.proof import evidence
from fairway_steps.report.series import Point, span

ENDS = {"promoted": "good", "rolled back": "bad"}


def plots(record: Record) -> list[Plot]:
    """All plots that have something to show: the weights first, then the evidence, then what was measured."""
    proof = evidence(record, span(record), bands(record), moments(record))
    drawn = [weights(record), proof, *latencies(record)]
    errors = [slo for slo in record.slos if slo.metric is Metric.ERROR_RATE and not slo.relative]
    failing = _lines(record, lambda name: series.error_rates(record.strata, name), wording.percent)
    drawn.append(_measured(record, "errors", "Error rate", failing, wording.percent, limits=errors))
    rates = _lines(record, lambda name: series.request_rates(record.strata, name), _per_second)
    drawn.append(_measured(record, "requests", "Requests per second", rates, _per_second, limits=()))
    return [plot for plot in drawn if any(line.runs for line in plot.lines)]


def weights(record: Record) -> Plot:
    """The candidate's weight: asked for as steps, measured as points."""
    candidate, end = record.chosen.name, span(record)
    steps = [Mark(0.0, 0.0)]
    points = []
    for change in record.timeline:
        at, asked = change.at - record.created, change.asked.get(candidate, 0) / 100
        steps.append(Mark(at, asked))
        if change.measured is not None:
            share = change.measured.get(candidate, 0.0)
            label = f"{wording.percent(share)} of {wording.count(change.counted)} requests after the change"
            points.append(Mark(at + (change.settled_after or 0.0), share, label, hollow=change.counted < series.ENOUGH))
    for result in record.results:
        if result.measured is not None:
            share = result.measured.get(candidate, 0.0)
            label = f"{wording.percent(share)} measured over stage {result.stage + 1}"
            points.append(Mark(result.at - record.created, share, label))
    steps.append(Mark(end, steps[-1].value))
    asked_for = Line("candidate", [steps], "steps")
    told = ", then ".join(wording.shares(change.asked) for change in record.timeline) or "never changed"
    return Plot(
        name="weights",
        title=f"Share of traffic to {candidate}",
        description=f"Weights asked for: {told}.",
        span=end,
        lines=[asked_for, Line("candidate", [points], "points")],
        unit=wording.percent,
        bands=bands(record, named=True),
        moments=moments(record),
        bounds=(0.0, 1.0),
        filled=asked_for,
    )


def latencies(record: Record) -> list[Plot]:
    """One plot for each quantile that an SLO limits (without any: p95), and one for the mean if it is limited."""
    limits = [slo for slo in record.slos if slo.metric is Metric.LATENCY and slo.quantile is not None and not slo.of]
    means = [slo for slo in record.slos if slo.metric is Metric.LATENCY_MEAN]
    drawn = []
    for q in sorted({slo.quantile or 0.95 for slo in limits} or ({0.95} if not means else set())):
        lines = [
            *([] if q == 0.5 else _quantiles(record, 0.5, "thin")),
            *_quantiles(record, q, "main"),
        ]
        title = "Latency: median" if q == 0.5 else f"Latency: median and {wording.quantile(q)}"
        name = f"latency-{wording.quantile(q).replace('.', '-')}"
        own = [slo for slo in limits if slo.quantile == q and not slo.relative]
        drawn.append(_measured(record, name, title, lines, wording.seconds, limits=own, log=True))
    if means:
        lines = _lines(record, lambda name: series.means(record.strata, name), wording.seconds)
        drawn.append(_measured(record, "latency-mean", "Latency: mean", lines, wording.seconds, limits=means, log=True))
    return drawn


def bands(record: Record, *, named: bool = False) -> list[tuple[float, float, str]]:
    """The stages as (start, end, label), seconds since the start."""
    starts = [(change.at - record.created, change.stage) for change in record.timeline]
    ends = [*(at for at, _ in starts[1:]), span(record)]
    found: list[tuple[float, float, str]] = []
    for (start, stage), end in zip(starts, ends, strict=False):
        if 0 <= stage < len(record.stages):
            label = record.stages[stage].label
            found.append((start, end, f"stage {stage + 1}" if named else label))
    return found


def moments(record: Record) -> list[tuple[float, str, str]]:
    """The ends of the release: (seconds since the start, what happened, good or bad)."""
    ends = [change for change in record.timeline if change.stage < 0]
    return [
        (change.at - record.created, label, ENDS.get(label, "bad"))
        for change in ends
        if (label := _end(record, change))
    ]


def _end(record: Record, change: WeightChange) -> str:
    if len(change.asked) > 1:  # one of several candidates was dropped
        return change.why
    return "promoted" if change.why == "promoted" or record.chosen.name in change.asked else "rolled back"


def _quantiles(record: Record, q: float, style: str) -> list[Line]:
    return _lines(
        record, lambda name: series.quantiles(record.strata, name, q), wording.seconds, style, wording.quantile(q)
    )


def _lines(
    record: Record,
    read: Callable[[str], list[Point]],
    unit: Callable[[float], str],
    style: str = "main",
    what: str = "",
) -> list[Line]:
    roles = {record.primary.name: "primary", record.chosen.name: "candidate"}
    lines = []
    for name, role in roles.items():
        runs = [
            [_mark(record, point, name, unit, what, boxed=style == "main") for point in run]
            for run in series.segments(read(name))
        ]
        lines.append(Line(role, runs, style))
    return lines


def _mark(record: Record, point: Point, name: str, unit: Callable[[float], str], what: str, *, boxed: bool) -> Mark:
    start, end = point.start - record.created, point.end - record.created
    subject = f"{name} {what}".strip()
    value = unit(point.value) if math.isfinite(point.high) else f"over {unit(point.low)}"
    between = f" (between {unit(point.low)} and {unit(point.high)})" if point.low < point.high < math.inf else ""
    label = f"{subject}: {value}{between}, {wording.count(point.requests)} requests"
    box = (start, end, point.low, point.high) if boxed and point.low < point.high else None
    return Mark((start + end) / 2, point.value, label, hollow=point.few, box=box)


def _measured(
    record: Record,
    name: str,
    title: str,
    lines: Sequence[Line],
    unit: Callable[[float], str],
    *,
    limits: Sequence[Slo],
    log: bool = False,
) -> Plot:
    told = [f"{_name(record, line.role)} {_range(line, unit)}" for line in lines if line.runs and line.style == "main"]
    lined = [f"{wording.metric(slo)} is limited to {wording.measure(slo, slo.limit)}" for slo in limits]
    return Plot(
        name=name,
        title=title,
        description=f"{'; '.join([*told, *lined])}.",
        span=span(record),
        lines=lines,
        unit=unit,
        limits=[(slo.limit, _limit(slo)) for slo in limits],
        bands=bands(record),
        moments=moments(record),
        log=log,
    )


def _name(record: Record, role: str) -> str:
    return record.chosen.name if role == "candidate" else record.primary.name


def _range(line: Line, unit: Callable[[float], str]) -> str:
    values = [mark.value for run in line.runs for mark in run]
    return f"{unit(min(values))} to {unit(max(values))}" if values else "has no data"


def _per_second(value: float) -> str:
    return f"{value:,.3g}/s"


def _limit(slo: Slo) -> str:
    of = f"{wording.quantile(slo.quantile)} " if slo.quantile is not None else ""
    return f"{of}limit {wording.measure(slo, slo.limit)}"
