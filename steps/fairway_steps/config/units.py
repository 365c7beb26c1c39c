"""Values with units, as people write them: durations, shares, quantiles, versions, stages. Nothing but the standard library.

Every function raises ValueError with a sentence that says what is wrong and how to write it.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from urllib.parse import urlsplit

from fairway_steps.model import NAME, Metric, Stage, Version

DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>ms|s|m|h)?")
SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), None: Decimal(1)}
SHARE = re.compile(r"(?P<number>\d*\.?\d+)\s*(?P<unit>%)?")
NAMED = re.compile(r"(?P<name>[^=/?]*)=(?P<uri>.*)")
QUANTILE = re.compile(r"(?P<p>p)?(?P<number>\d*\.?\d+)\s*(?P<unit>%)?")


def parse_duration(text: str) -> float:
    """``500ms``, ``20s``, ``5m``, ``1h`` or a bare number of seconds, as seconds."""
    match = DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a duration such as 500ms, 20s, 5m or 1h")
    return float(Decimal(match["number"]) * SECONDS[match["unit"]])


def parse_quantile(text: str) -> float:
    """``0.95``, ``95``, ``95%`` or ``p95``, as a fraction with 0 < q < 1."""
    match = QUANTILE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a quantile such as 0.95 or p95")
    number = Decimal(match["number"])
    percent = bool(match["p"] or match["unit"]) or number > 1
    quantile = number / 100 if percent else number
    if not 0 < quantile < 1 or (percent and number < 1):
        raise ValueError(f"{text!r} is not a quantile between 0 and 1; write 0.95 or p95")
    return float(quantile)


def parse_limit(text: str, metric: Metric) -> float:
    """An SLO's limit: a fraction (``1%``, ``0.01``) for rates, seconds (``250ms``) for latencies."""
    if not metric.is_share:
        return _latency(text.strip())
    limit = parse_share(text.strip())
    if metric is Metric.SUCCESS_RATE and limit == 0:
        raise ValueError(f"{text} is kept by every version; write a share such as 99%")
    return limit


def parse_margin(text: str) -> float:
    """By how much the candidate may be worse than the primary: ``10%``, ``0.1``, or ``200%``, as a fraction."""
    match = SHARE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a margin such as 10%")
    number = Decimal(match["number"])
    if not match["unit"] and number >= 1:
        raise ValueError(f"{text} has no unit; write {text}% if percent is meant")
    margin = float(number / 100 if match["unit"] else number)
    if margin > 9:
        raise ValueError(f"{text} is no margin; write at most 900%, which is ten times the primary's")
    return margin


def parse_risk(text: str) -> float:
    """The probability of a wrong verdict: ``5%`` or ``0.05``, above 0 and at most a half."""
    risk = parse_share(text.strip())
    if not 0 < risk <= 0.5:
        raise ValueError(f"{text} is not a risk above 0 and at most 50%; write for example 5%")
    return risk


def parse_share(text: str) -> float:
    """A share of requests, ``1%`` or ``0.01``, as a fraction below one."""
    match = SHARE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a share of requests such as 1% or 0.01")
    number = Decimal(match["number"])
    if match["unit"]:
        if number >= 100:
            raise ValueError(f"{text} of all requests is no limit; write less than 100%")
        return float(number / 100)
    if not 0 < number < 1:
        raise ValueError(f"{text} without a unit is not between 0 and 1; write {text}% if percent is meant")
    return float(number)


def _latency(text: str) -> float:
    match = DURATION.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a latency such as 250ms or 1.5s")
    if match["unit"] is None:
        raise ValueError(f"{text} has no unit; write {text}ms or {text}s")
    seconds = parse_duration(text)
    if seconds <= 0:
        raise ValueError(f"{text} is not above zero")
    return seconds


def parse_version(text: str) -> Version:
    """``v2=http://127.0.0.1:8002`` or ``deployment/default/iris-v2`` (whose last part becomes the name).

    A bare name is that of something in the cluster, whose kind is looked up there.
    """
    named = NAMED.fullmatch(text.strip())
    if named:
        return version(named["name"], named["uri"], text)
    path = text.strip().partition("?")[0]
    return version(re.sub(r"[^a-z0-9.]+", "-", path.rstrip("/").rpartition("/")[2].lower()).strip("-."), text.strip())


def version(name: str, uri: str, text: str = "") -> Version:
    """A version whose name any back end can carry, and whose URI is one."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a version's name (small letters, digits, '-' and '.')")
    bare = NAME.fullmatch(uri.partition("?")[0]) and ":" not in uri
    if not uri or ("/" not in uri and not bare):
        raise ValueError(
            f"{text or uri!r} is not a version: write NAME=http://HOST:PORT, KIND/NAMESPACE/NAME or a name in the cluster"
        )
    if uri.startswith(("http:", "https:")):
        _check_http(uri)
    return Version(name, uri)


def _check_http(uri: str) -> None:
    try:
        parts = urlsplit(uri)
        complete = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        complete = False
    if not complete:
        raise ValueError(f"{uri!r} is not a URL such as http://127.0.0.1:8002")


def short_stages(text: str) -> tuple[Stage, ...]:
    """``10@20s,25@20s,50@20s``; whether the stages fit together is for ``misfit`` to say."""
    return tuple(_short_stage(part.strip()) for part in text.split(","))


def _short_stage(text: str) -> Stage:
    weight, at, duration = text.partition("@")
    if not at or not weight.strip().removesuffix("%").isdecimal():
        raise ValueError(f"{text!r} is not a stage: write WEIGHT@DURATION, such as 10@20s")
    return Stage(int(weight.strip().removesuffix("%")), parse_duration(duration))


def misfit(stages: Sequence[Stage]) -> tuple[int, str, str] | None:
    """The first stage that cannot be: its index, its field and a sentence; None if all fit."""
    before = 0
    for index, stage in enumerate(stages):
        if stage.weight >= 100:
            return (
                index,
                "weight",
                f"{stage.weight} is promotion itself; stages go from 1 to 99, promotion follows them",
            )
        if stage.weight < 1:
            return index, "weight", f"{stage.weight} gives the candidate no traffic; stages go from 1 to 99"
        if stage.weight <= before:
            return index, "weight", f"{stage.weight} does not rise above the {before} before it"
        if stage.duration <= 0:
            return index, "duration", "a stage lasts longer than 0 s"
        before = stage.weight
    return None


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the known word nearest to a misspelt one, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
