"""What the report says, as words and figures ready to be set: the page and the text forms show the same ones. Pure."""

from dataclasses import dataclass
from functools import reduce

from fairway_steps.model import Outcome, Result, Stratum, Verdict
from fairway_steps.record import Record
from fairway_steps.report import series, wording
from fairway_steps.report.counts import ClientCount, Counts, Witness, counted, measured
from fairway_steps.windows import merge

TONES = {
    Outcome.PROMOTED: "good",
    Outcome.ROLLED_BACK: "bad",
    Outcome.HELD: "warn",
    Outcome.BROKEN: "bad",
    None: "busy",
}
SIGNS = {"good": "✓", "bad": "✕", "warn": "!", "busy": "…"}
WITNESSES = {
    Witness.CLIENT: "as the client saw it",
    Witness.PROXY: "as the proxy counted",
    Witness.STRATA: "in the assessed intervals",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """One key figure, with what it rests on."""

    label: str
    value: str
    notes: tuple[str, ...] = ()
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Happening:
    """One event, or one change of the routes, with the time since the start."""

    at: str
    step: str
    message: str
    failed: bool = False


def headline(record: Record) -> str:
    names = " and ".join(version.name for version in record.candidates)
    if record.outcome is Outcome.PROMOTED:
        names = record.chosen.name
    elif record.rivals and record.outcome is Outcome.ROLLED_BACK:
        names = f"Each of {names}"
    return wording.OUTCOMES[record.outcome].format(candidate=names)


def reason(record: Record) -> str:
    """Why the release ended so, as a sentence; while it runs, how far it is."""
    if record.reason:
        return wording.sentence(record.reason, record)
    if record.outcome is None and record.stage >= 0:
        where = f"Stage {record.stage + 1} of {len(record.stages)}"
        return f"{where}: {wording.going(record, record.stage)}."
    return wording.sentence(
        wording.SHORT_REASONS[record.outcome].format(
            service=record.service, stable=record.stable.name, primary=record.primary.name
        ),
        record,
    )


def evidence_seconds(record: Record) -> float:
    """The time spent waiting for evidence."""
    return sum(result.waited for result in record.results)


def duration(record: Record) -> float:
    """From the start to the end, or to the last moment known of a running release; in seconds."""
    return record.finished - record.created if record.finished is not None else series.span(record)


def stages_passed(record: Record) -> int:
    passed = (Verdict.ADVANCE, Verdict.PROMOTE)
    return len({result.stage for result in record.results if result.assessment.verdict in passed})


def figures(record: Record, client: ClientCount | None) -> list[Figure]:
    """Requests, failed, lost, stages, and the time that waiting for evidence took."""
    lead, proxy = counted(record, client), measured(record)
    seen = () if lead.witness is proxy.witness else (f"{wording.count(proxy.requests)} {WITNESSES[proxy.witness]}",)
    by_version = ", ".join(f"{name} {wording.count(n)}" for name, n in lead.by_version.items())
    waited, whole = evidence_seconds(record), duration(record)
    share = f"{wording.percent(round(waited / whole, 2))} of {wording.duration(whole)}" if whole > 0 else ""
    return [
        Figure(
            "Requests",
            wording.count(lead.requests),
            tuple(n for n in (WITNESSES[lead.witness], *seen, by_version) if n),
        ),
        _failed(lead, proxy, assessed=any(stratum.requests for stratum in record.strata)),
        _lost(lead),
        Figure("Stages passed", f"{stages_passed(record)} of {len(record.stages)}", (_schedule(record),)),
        Figure("Waiting for evidence", wording.duration(waited), (share,) if share else ()),
    ]


def traffic(record: Record) -> list[tuple[str, ...]]:
    """What each version did at each weight: weight, version, requests, failed, median, p95, mean."""
    groups: dict[tuple[int, str], list[Stratum]] = {}
    for stratum in record.strata:
        groups.setdefault((stratum.weight, stratum.version), []).append(stratum)
    rows = []
    for (weight, version), strata in groups.items():
        whole, timed = (
            reduce(merge, some) if some else None for some in (series.counted(strata), series.timed(strata))
        )
        total = timed.latency.total if timed and timed.latency else 0
        rows.append(
            (
                wording.percent(weight / 100),
                version,
                wording.count(whole.requests if whole else 0),
                (wording.failures(whole.failures) if whole else "") or "0",
                *(_latency(timed, q) for q in (0.5, 0.95)),
                wording.seconds(timed.seconds / total if timed and total else None),
            )
        )
    return rows


def changes(record: Record) -> list[Happening]:
    """Every change of the routes."""
    told = []
    for change in record.timeline:
        message = f"asked for {wording.shares(change.asked)}"
        if change.measured is not None:
            seen = wording.shares(change.measured, fractions=True)
            message += f"; measured {seen} over {wording.count(change.counted)} requests"
        if change.settled_after is not None:
            message += f"; served after {wording.seconds(change.settled_after)}"
        what = change.why or (f"stage {change.stage + 1}" if change.stage >= 0 else "end")
        told.append(Happening(wording.since(record.created, change.at), what, message))
    return told


def events(record: Record) -> list[Happening]:
    """What went wrong or is worth telling, in order."""
    return [
        Happening(
            wording.since(record.created, event.at), event.step, wording.sentence(event.message, record), event.failed
        )
        for event in sorted(record.events, key=lambda event: event.at)
    ]


def gaps(record: Record) -> list[str]:
    """Where data are missing, said openly: what was not measured is not known to be good."""
    told = []
    if not any(stratum.requests for stratum in record.strata):
        seen = "but its rehearsal, nothing" if record.rehearsal else "nothing"
        told.append(
            f"No users' requests were measured: {seen} in this report is evidence of how the candidate behaves."
        )
    elif idle := [one.name for one in record.candidates if not _requests(record, one.name)]:
        told += [f"No request to {name} was measured: there is no evidence of how it behaves." for name in idle]
    elif not any(s.latency for s in record.strata):
        told.append("The metric source gave no latencies.")
    missing = {
        (r.stage, wording.metric(e.slo))
        for r in record.results
        for e in r.assessment.evidence
        if e.result is Result.NO_DATA
    }
    told += [f"No evidence on {slo} in stage {stage + 1}." for stage, slo in sorted(missing)]
    if not record.counted:
        told.append("The proxy's own counters are not in the record: it did not count what was lost.")
    return told


def _requests(record: Record, name: str) -> int:
    return sum(stratum.requests for stratum in record.strata if stratum.version == name)


def _failed(lead: Counts, proxy: Counts, *, assessed: bool) -> Figure:
    if lead.witness is not Witness.CLIENT and not assessed:
        return Figure("Failed requests", wording.NONE, ("not measured",))
    notes = [
        f"{name}: {wording.failures(classes)}" if any(classes.values()) else f"{name}: 0"
        for name, classes in lead.failed.items()
    ]
    if lead.witness is Witness.CLIENT:
        tries = "; ".join(f"{name} {wording.failures(by)}" for name, by in proxy.failed.items() if any(by.values()))
        notes = [WITNESSES[Witness.CLIENT], *notes, f"failed attempts {WITNESSES[Witness.STRATA]}: {tries or 0}"]
    else:
        notes = [WITNESSES[Witness.STRATA], *notes]
    return Figure("Failed requests", wording.count(lead.failures), tuple(notes), "bad" if lead.failures else "good")


def _lost(lead: Counts) -> Figure:
    if lead.lost is None:
        return Figure("Lost requests", wording.NONE, ("not counted",))
    return Figure(
        "Lost requests", wording.count(lead.lost), ("answered by no version",), "bad" if lead.lost else "good"
    )


def _schedule(record: Record) -> str:
    return " → ".join(stage.label for stage in record.stages)


def _latency(stratum: Stratum | None, q: float) -> str:
    found = series.bracket(stratum.latency, q) if stratum and stratum.latency else None
    return wording.bracketed(*found) if found else wording.NONE
