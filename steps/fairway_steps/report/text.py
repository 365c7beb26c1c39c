"""The report for a terminal, for the job summary of a CI (Markdown), and as a JSON object."""

from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.model import Result, Version
from fairway_steps.record import Record, StageResult
from fairway_steps.report import view, wording
from fairway_steps.report.counts import ClientCount, counted, measured
from fairway_steps.report.findings import ArmView, arms

MARKDOWN = str.maketrans(
    {c: f"\\{c}" for c in "\\`*_[]|#~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": " ", "\r": " "}
)


def result(record: Record, client: ClientCount | None = None) -> dict[str, Any]:
    """The outcome as a JSON object.

    ``failed`` maps each version to its failures by class; ``failed_attempts`` does so for what the infrastructure saw at
    the versions, where an attempt that was repeated elsewhere has failed though its request did not. ``lost`` is None where nobody counted it, ``counted_by`` says
    whose count it is (client, proxy or strata). Of several candidates ``candidate`` is the winner, and ``candidates`` says of each what became of it. A stage is listed once it was entered, with its last verdict.
    """
    counts = counted(record, client)
    return {
        "outcome": record.outcome.value if record.outcome else "running",
        "reason": record.reason,
        "release_id": record.release_id,
        "service": record.service,
        "primary": record.primary.name,
        "candidate": record.chosen.name,
        "requests": counts.requests,
        "failed": {name: dict(classes) for name, classes in counts.failed.items()},
        "failed_attempts": {name: dict(classes) for name, classes in measured(record).failed.items()},
        "lost": counts.lost,
        "counted_by": counts.witness.value,
        **_rehearsal(record),
        "stages": _stages(record),
        **_candidates(record),
        "evidence_s": round(view.evidence_seconds(record), 3),
        "started": wording.iso(record.created),
        "finished": wording.iso(record.finished),
    }


def _rehearsal(record: Record) -> dict[str, Any]:
    if not (made := record.rehearsal):
        return {}
    told = {"verdict": made.assessment.verdict.value, "reason": made.assessment.reason, "samples": dict(made.samples)}
    return {"rehearsal": told}


def _candidates(record: Record) -> dict[str, Any]:
    """What became of each of several candidates, by the last assessment."""
    last = record.results[-1].assessment if record.results else None
    if not (last and last.arms):
        return {}
    return {"candidates": {arm.version: {"verdict": arm.verdict.value, "reason": arm.sentence} for arm in last.arms}}


def line(record: Record, client: ClientCount | None = None) -> str:
    """The outcome in one line: what the step's output and a notice's fallback text say."""
    counts = counted(record, client)
    lost = f", {wording.count(counts.lost)} lost" if counts.lost is not None else ""
    return (
        f"{view.headline(record)} ({record.service}): {wording.count(counts.requests)} requests, "
        f"{wording.count(counts.failures)} failed{lost}, {wording.duration(view.duration(record))}. {view.reason(record)}"
    )


def text(record: Record, client: ClientCount | None = None) -> str:
    """The summary for a terminal: aligned, without colours."""
    sign = view.SIGNS[view.TONES[record.outcome]]
    facts = [
        ("service", f"{record.service}  ({record.route})"),
        ("primary", f"{record.primary.name}  {record.primary.uri}"),
        *(("candidate", f"{one.name}  {one.uri}") for one in record.candidates),
        ("release", f"{record.release_id}, held by {record.holder}"),
        ("started", _began(record)),
        *(
            (f.label.lower(), f"{f.value}  ({'; '.join(f.notes)})" if f.notes else f.value)
            for f in view.figures(record, client)
        ),
    ]
    parts = [f"{sign} {view.headline(record)}", f"  {view.reason(record)}", "", *_aligned(facts)]
    if _rows(record):
        parts += ["", *_table(["stage", "asked", "measured", "requests", "waited", "verdict"], _rows(record))]
    if told := _arms(record):
        parts += ["", *(f"  {view.SIGNS[arm.tone]} {arm.sentence}" for arm in told)]
    if doubts := _doubts(record):
        parts += ["", *(f"  {doubt}" for doubt in doubts)]
    if record.events:
        parts += ["", *(f"  {'✕' if e.failed else '·'} {e.at} {e.step}: {e.message}" for e in view.events(record))]
    if missing := view.gaps(record):
        parts += ["", *(f"  ! {gap}" for gap in missing)]
    return "\n".join(_printable(part) for part in parts)


def markdown(record: Record, client: ClientCount | None = None) -> str:
    """The summary in GitHub's Markdown; what comes from the record is escaped."""
    sign = view.SIGNS[view.TONES[record.outcome]]
    parts = [f"## {sign} {_md(view.headline(record))}", "", _md(view.reason(record)), ""]
    figures = view.figures(record, client)
    parts += _md_table(["", "", ""], [(f"**{f.label}**", _md(f.value), _md("; ".join(f.notes))) for f in figures])
    candidates = ", ".join(f"candidate {_version(one)}" for one in record.candidates)
    versions = f"primary {_version(record.primary)}, {candidates}"
    parts += ["", f"{_md(record.service)}: {versions}; {_md(record.release_id)}, {_began(record)}."]
    if _rows(record):
        cells = [tuple(_md(cell) for cell in row) for row in _rows(record)]
        parts += [
            "",
            "### Stages",
            "",
            *_md_table(["Stage", "Asked", "Measured", "Requests", "Waited", "Verdict"], cells),
        ]
    if told := _arms(record):
        parts += ["", *(f"- {view.SIGNS[arm.tone]} {_md(arm.sentence)}" for arm in told)]
    if doubts := _doubts(record):
        parts += ["", *(f"- {_md(doubt)}" for doubt in doubts)]
    if record.events:
        parts += [
            "",
            "### Events",
            "",
            *(f"- {'✕ ' if e.failed else ''}{e.at} {_md(e.step)}: {_md(e.message)}" for e in view.events(record)),
        ]
    if missing := view.gaps(record):
        parts += ["", *(f"> {_md(gap)}  " for gap in missing)]
    return "\n".join(parts) + "\n"


def _stages(record: Record) -> list[dict[str, Any]]:
    entered = {change.stage: change for change in record.timeline if change.stage >= 0}
    assessed = {r.stage: r for r in record.results}
    listed = []
    for stage in sorted({*entered, *assessed}):
        change, last = entered.get(stage), assessed.get(stage)
        listed.append(
            {
                "stage": stage,
                "weight": last.weight if last else record.stages[stage].weight if stage < len(record.stages) else None,
                "asked": dict(change.asked) if change else None,
                "measured": _rounded(
                    last.measured if last and last.measured is not None else change.measured if change else None
                ),
                "samples": dict(last.samples) if last else {},
                "verdict": last.assessment.verdict.value if last else None,
                "reason": last.assessment.reason if last else "",
                "waited_s": round(sum(r.waited for r in record.results if r.stage == stage), 3),
            }
        )
    return listed


def _rows(record: Record) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    if made := record.rehearsal:
        passed = made.assessment.verdict.value
        rows.append(("rehearsal", "0 %", wording.NONE, _samples(made), wording.duration(made.waited), passed))
    for stage in record.results:
        shares = [(stage.measured or {}).get(one.name, 0.0) for one in record.candidates]
        got = wording.NONE if stage.measured is None else ", ".join(map(wording.percent, shares))
        where, asked = f"{stage.stage + 1} of {len(record.stages)}", wording.stage(record, stage.stage, stage.weight)
        rows.append(
            (where, asked, got, _samples(stage), wording.duration(stage.waited), stage.assessment.verdict.value)
        )
    return rows


def _samples(stage: StageResult) -> str:
    return ", ".join(f"{version} {wording.count(n)}" for version, n in stage.samples.items()) or wording.NONE


def _arms(record: Record) -> tuple[ArmView, ...]:
    return arms(record, record.results[-1]) if record.results else ()


def _doubts(record: Record) -> list[str]:
    """The sentences of all evidence that did not pass."""
    assessed = [("rehearsal", record.rehearsal)] if record.rehearsal else []
    assessed += [(f"stage {stage.stage + 1}", stage) for stage in record.results]
    return [
        f"{where}, {wording.metric(found.slo)}: {wording.sentence(found.sentence, record)}"
        for where, stage in assessed
        for found in stage.assessment.evidence
        if found.result is not Result.PASS
    ]


def _aligned(facts: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(label) for label, _ in facts)
    return [f"  {label:<{width}}  {value}" for label, value in facts]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return [
        "  " + "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    ]


def _md_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _began(record: Record) -> str:
    took = "running for" if record.finished is None else "took"
    return f"{wording.moment(record.created)}, {took} {wording.duration(view.duration(record))}"


def _version(version: Version) -> str:
    return f"{_md(version.name)} ({_md(version.uri)})"


def _md(value: str) -> str:
    return _printable(value).translate(MARKDOWN)


def _printable(value: str) -> str:
    """Without control characters: a record must not be able to steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in value)


def _rounded(shares: Mapping[str, float] | None) -> dict[str, float] | None:
    return {name: round(share, 4) for name, share in shares.items()} if shares is not None else None
