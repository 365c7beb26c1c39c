"""Values with units, as people write them: durations, shares, quantiles, versions, stages. Nothing but the standard library.

Every function raises ValueError with a sentence that says what is wrong and how to write it.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from urllib.parse import urlsplit

from fairway_steps.model import NAME, Metric, Stage, Stickiness, Version
from fairway_steps.schedule import DAY
from fairway_steps.schedule import LONGEST as ALL_STAGES

DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>ms|s|m|h)?")
SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), None: Decimal(1)}
LONGEST = 10 * 366 * 86_400
"""Seconds; beyond it a number is a slip of the hand, and Python writes it in a form that is no duration."""
SHARE = re.compile(r"(?P<number>\d*\.?\d+)\s*(?P<unit>%)?")
NAMED = re.compile(r"(?P<name>[^=/?]*)=(?P<uri>.*)")
TOKEN = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
"""A header's or a cookie's name: a token of RFC 9110, section 5.6.2."""
HEADER = re.compile(rf"{TOKEN.pattern}=[!-+\--~]+")
"""A header's name and its value, without white space or a comma."""
SHARES = re.compile(r"[^=+@:]+=\d+%?(\+[^=+@:]+=\d+%?)*")
"""Weights by version: ``v2=30+v3=30``."""
QUANTILE = re.compile(r"(?P<p>p)?(?P<number>\d*\.?\d+)\s*(?P<unit>%)?")


def parse_duration(text: str) -> float:
    """``500ms``, ``20s``, ``5m``, ``1h`` or a bare number of seconds, as seconds."""
    match = DURATION.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a duration such as 500ms, 20s, 5m or 1h")
    seconds = float(Decimal(match["number"]) * SECONDS[match["unit"]])
    if seconds > LONGEST:
        raise ValueError(f"{text} is longer than ten years")
    return seconds


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


def parse_sticky(text: str) -> Stickiness:
    """``header:NAME`` or ``cookie:NAME``: by what users are told apart, who then keep their version."""
    kind, _, name = text.strip().partition(":")
    if kind not in ("header", "cookie") or not TOKEN.fullmatch(name):
        raise ValueError(f"{text!r} does not say what users are told apart by; write header:x-user or cookie:session")
    return Stickiness(**{kind: name})


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
    """``10@20s,25@20s,50@20s``; whether the stages fit together is for ``misfit`` to say.

    A stage without a weight is ``header:NAME=VALUE@20s``, ``mirror:30@20s`` or ``mirror:30:COLLECTOR@20s``; one between several
    candidates is ``v2=30+v3=30@1h``.
    """
    return tuple(_short_stage(part.strip()) for part in text.split(","))


def _short_stage(text: str) -> Stage:
    how, at, duration = (part.strip() for part in text.rpartition("@"))
    if SHARES.fullmatch(how):
        named = [part.strip().partition("=") for part in how.split("+")]
        weights = {name.strip(): int(share.removesuffix("%")) for name, _, share in named}
        if len(weights) < len(named):
            raise ValueError(f"{text!r} gives a version two weights")
        return Stage(sum(weights.values()), parse_duration(duration), weights=weights)
    kind, colon, value = how.partition(":")
    percent, _, through = value.partition(":")
    share = (percent if colon else how).strip().removesuffix("%")
    if at and kind == "header" and colon:
        return Stage(0, parse_duration(duration), header=value)
    if at and share.isdecimal() and kind == "mirror" and colon:
        return Stage(0, parse_duration(duration), mirror=int(share), through=through.strip())
    if at and share.isdecimal() and not colon:
        return Stage(int(share), parse_duration(duration))
    raise ValueError(
        f"{text!r} is not a stage: write WEIGHT@DURATION, such as 10@20s, or header:NAME=VALUE@20s, mirror:30@20s or v2=30+v3=30@1h"
    )


def misfit(stages: Sequence[Stage]) -> tuple[int, str, str] | None:
    """The first stage that cannot be: its index, its field and a sentence; None if all fit."""
    before = 0
    if len(stages) > 1 and any(stage.weights for stage in stages):
        field = "weights" if stages[1].weights else "weight"
        return (
            1,
            field,
            "a stage between several candidates is the only one: other weights would move users between them",
        )
    for index, stage in enumerate(stages):
        if found := _misfit(stage, index, before):
            return (index, *found)
        if stage.duration <= 0:
            return index, "duration", "a stage lasts longer than 0 s"
        before = stage.weight
    if sum(stage.duration for stage in stages) > ALL_STAGES:
        return (
            len(stages) - 1,
            "duration",
            f"the stages last longer than {ALL_STAGES // DAY} days in all, the most there may be",
        )
    return None


def _misfit(stage: Stage, index: int, before: int) -> tuple[str, str] | None:
    if stage.header or stage.mirror:
        return _unweighted(stage, index)
    return _shared(stage) if stage.weights else _weighted(stage, before)


def _shared(stage: Stage) -> tuple[str, str] | None:
    if stage.through:
        return "through", "a collector is for a stage with a mirror"
    if stage.weight != sum(stage.weights.values()):
        return "weights", "a stage has one of weight, weights, header and mirror"
    if low := next((name for name, weight in stage.weights.items() if weight < 1), ""):
        return "weights", f"{low} gets no traffic; weights go from 1 to 99"
    if stage.weight > 99:
        return (
            "weights",
            f"they add up to {stage.weight} percent, which leaves nothing to the primary that they are compared with",
        )
    return None


def _unweighted(stage: Stage, index: int) -> tuple[str, str] | None:
    field = "header" if stage.header else "mirror"
    if stage.weight or stage.weights or (stage.header and stage.mirror):
        return field, "a stage has one of weight, weights, header and mirror"
    if stage.through and (wrong := _no_collector(stage)):
        return "through", wrong
    if index:
        return field, f"{stage.how} comes after the first stage: only that one can leave all users on the primary"
    if stage.header and not HEADER.fullmatch(stage.header):
        return field, f"{stage.header!r} is not NAME=VALUE, such as x-canary=always"
    if stage.mirror and not 1 <= stage.mirror <= 100:
        return field, f"{stage.mirror} is not a whole percent from 1 to 100"
    return None


def _no_collector(stage: Stage) -> str:
    """Why a stage cannot mirror through what it names; empty if it can."""
    if not stage.mirror:
        return "a collector is for a stage with a mirror"
    try:
        version("collector", stage.through)
    except ValueError:
        return f"{stage.through!r} is no collector; write http://HOST:PORT or KIND/NAMESPACE/NAME"
    return ""


def _weighted(stage: Stage, before: int) -> tuple[str, str] | None:
    if stage.through:
        return "through", "a collector is for a stage with a mirror"
    if stage.weight > 100:
        return "weight", f"{stage.weight} is over 100 percent"
    if stage.weight < 1:
        return "weight", f"{stage.weight} gives the candidate no traffic; weights go from 1 to 100"
    if stage.weight <= before:
        return "weight", f"{stage.weight} does not rise above the {before} before it"
    return None


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the known word nearest to a misspelt one, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
