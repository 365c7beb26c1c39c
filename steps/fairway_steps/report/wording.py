"""Numbers, times and states as people read them. A value that is not there is an en dash, never ``nan``."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from fairway_steps.model import Direction, Metric, Outcome, Slo
from fairway_steps.record import Record
from fairway_steps.words import number, times

NONE = "–"  # noqa: RUF001 - an en dash is meant
OUTCOMES: Mapping[Outcome | None, str] = {
    Outcome.PROMOTED: "{candidate} was promoted",
    Outcome.ROLLED_BACK: "{candidate} was rolled back",
    Outcome.HELD: "The release of {candidate} is on hold",
    Outcome.BROKEN: "The release of {candidate} is broken",
    None: "The release of {candidate} is running",
}
SHORT_REASONS: Mapping[Outcome | None, str] = {
    Outcome.PROMOTED: "all traffic of {service} goes to {stable}",
    Outcome.ROLLED_BACK: "all traffic of {service} goes to {primary}",
    Outcome.HELD: "a person has to decide",
    Outcome.BROKEN: "a person has to look at the route of {service}",
    None: "the release has not ended yet",
}


def count(number: int | None) -> str:
    """``4,213``."""
    return NONE if number is None else f"{number:,}"


def percent(share: float | None) -> str:
    """A fraction of one as percents, with about three figures: ``0.042 %``, ``9.8 %``, ``100 %``."""
    if share is None or not math.isfinite(share):
        return NONE
    value = share * 100
    return f"{_figures(value)} %"


def stage(record: Record, index: int, weight: int) -> str:
    """How traffic met the candidate in a stage; by its ``weight`` alone where the record has no such stage."""
    return record.stages[index].label if index < len(record.stages) else percent(weight / 100)


def going(record: Record, index: int) -> str:
    """What of the traffic goes to the candidate in a stage, as half a sentence."""
    found = record.stages[index] if index < len(record.stages) else None
    if found and found.weights:
        return f"of {record.service} {shares(found.weights)} are the candidates'"
    if found and found.header:
        return f"{record.candidate.name} answers requests with {found.header} alone"
    if found and found.mirror:
        return f"{found.mirror} % of {record.service} is copied to {record.candidate.name}"
    return f"{percent(found.share if found else 0)} of {record.service} goes to {record.candidate.name}"


def seconds(value: float | None) -> str:
    """A latency with three figures, in ms under a second: ``4.2 ms``, ``152 ms``, ``1.25 s``."""
    if value is None or not math.isfinite(value):
        return NONE
    return f"{_figures(value * 1000)} ms" if abs(value) < 1 else f"{_figures(value)} s"


def bracketed(value: float, low: float, high: float) -> str:
    """A latency that is known to lie between two edges of a histogram; ``> 10 s`` in its open end."""
    return seconds(value) if math.isfinite(high) or low == high else f"> {seconds(low)}"


def duration(value: float | None) -> str:
    """How long something took: ``41.2 s``, ``3 min 12 s``, ``2 h 5 min``."""
    if value is None or not math.isfinite(value):
        return NONE
    if value < 60:
        return f"{max(0.0, value):.1f} s".replace(".0 s", " s")
    if value < 3600:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{int(value // 3600)} h {int(value % 3600 // 60)} min"


def moment(unix: float | None) -> str:
    """``2026-11-23 09:04:12 UTC``."""
    try:
        return f"{datetime.fromtimestamp(unix, UTC):%Y-%m-%d %H:%M:%S} UTC" if unix is not None else NONE
    except (ValueError, OverflowError, OSError):
        return NONE


def period(start: float, end: float | None) -> str:
    """``2026-11-23 09:04:12 to 09:04:47 UTC``; the start alone while there is no end."""
    first, last = moment(start), moment(end)
    if NONE in (first, last):
        return first
    same_day = first[:10] == last[:10]
    return f"{first.removesuffix(' UTC')} to {last[11:] if same_day else last}"


def iso(unix: float | None) -> str | None:
    """``2026-11-23T09:04:12.500Z``, RFC 3339; None for a moment that is not there."""
    try:
        if unix is None:
            return None
        return datetime.fromtimestamp(unix, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return None


def since(start: float, at: float) -> str:
    """``+12.3 s``: how long after the start."""
    return f"+{duration(max(0.0, at - start))}"


def sentence(text: str, record: Record) -> str:
    """The text as a sentence: a capital first and a full stop last. The names in the record keep their case."""
    text = text.strip()
    if not text:
        return ""
    first = text.split(maxsplit=1)[0].rstrip(",.;:!?")
    is_name = first in (record.service, *record.versions)
    head = text[0].upper() if first.isalpha() and not is_name else text[0]
    return head + text[1:] + ("" if text[-1] in ".!?…" else ".")


def quantile(q: float) -> str:
    """``p99``, ``p99.9``; the median by its name."""
    return "median" if q == 0.5 else f"p{_figures(q * 100, 5)}"


def metric(slo: Slo) -> str:
    """``p99 latency``."""
    if slo.metric.is_share:
        return slo.metric.value.replace("-", " ")
    if slo.metric is Metric.LATENCY_MEAN:
        return "mean latency"
    if not slo.metric.is_time:
        return slo.of or f"mean {slo.metric}"
    what = slo.of.replace("-", " ") or "latency"
    return f"{quantile(slo.quantile)} {what}" if slo.quantile is not None else what


def measure(slo: Slo, value: float | None) -> str:
    """A value in the unit of the SLO's limit; infinite is a quantile past the last edge of a histogram."""
    if value == math.inf:
        return "beyond measure"
    if value is not None and not (slo.metric.is_share or slo.metric.is_time):
        return number(value)
    return percent(value) if slo.metric.is_share else seconds(value)


def bound(slo: Slo) -> str:
    """What an SLO grants: ``≤ 250 ms``, ``≥ 99 %``, of a margin ``≤ 1.1 times the primary``."""
    if slo.metric is Metric.SERIES:
        return f"{'≥' if slo.direction is Direction.HIGHER else '≤' if slo.direction else '≈'} the primary"
    if slo.relative and slo.better is Direction.HIGHER:
        return f"≥ {times(1 - slo.limit)} the primary"
    if slo.relative:
        return f"≤ {times(1 + slo.limit)} the primary"
    return f"{'≥' if slo.metric.direction is Direction.HIGHER else '≤'} {measure(slo, slo.limit)}"


def e_value(log_e: float) -> str:
    """An e-value from its natural logarithm: ``0.31``, ``1,280``, ``10^14``."""
    if not math.isfinite(log_e):
        return NONE if math.isnan(log_e) or log_e < 0 else "∞"
    if log_e > math.log(99_999):
        return f"10^{math.floor(log_e / math.log(10))}"
    value = math.exp(log_e)
    if value < 0.01:
        return "< 0.01"
    return f"{value:,.0f}" if value >= 100 else _figures(value, 2)


def failures(by_class: Mapping[str, int]) -> str:
    """``http-500 12, connect 1``, the most frequent first."""
    ordered = sorted(by_class.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count(number)}" for name, number in ordered if number)


def shares(weights: Mapping[str, int | float], *, fractions: bool = False) -> str:
    """``v1 90 %, v2 10 %`` from whole percents, or from fractions of one."""
    return (
        ", ".join(f"{name} {percent(share if fractions else share / 100)}" for name, share in weights.items()) or NONE
    )


def _figures(value: float, digits: int = 3) -> str:
    if not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if not 1e-6 <= abs(value) < 1e15:
        return f"{value:.{digits}g}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
