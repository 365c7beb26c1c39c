"""Numbers as a person would say them. Pure."""

import math
from collections.abc import Mapping

from fairway_steps.model import Direction, Evidence, Metric, Routes, Slo


def number(value: float) -> str:
    """Two significant digits and no exponent: 0.012, 1.9, 47, 1250."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share(fraction: float) -> str:
    """``1.9 %``."""
    return f"{number(100 * fraction)} %"


def interval(low: float, high: float) -> str:
    """``95 % interval 1.4-2.6 %`` with an en dash."""
    return f"95 % interval {number(100 * low)}–{number(100 * high)} %"  # noqa: RUF001 - a range takes an en dash


def seconds(value: float) -> str:
    """``12 ms``, ``250 ms``, ``1.5 s``; infinity is ``no end``."""
    if math.isinf(value):
        return "no end"
    return f"{1000 * value:.3g} ms" if value < 0.9995 else f"{value:.4g} s"


def times(ratio: float) -> str:
    """``1.5 times``."""
    return f"{ratio:.3g} times"


def count(number: int, what: str = "request") -> str:
    """``1 request``, ``2,150 comparisons``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def shares(weights: Mapping[str, int]) -> str:
    """``v1 90 %, v2 10 %``."""
    return ", ".join(f"{name} {weight} %" for name, weight in weights.items()) or "none"


def described(routes: Routes) -> str:
    """``v1 100 %, x-canary=always to v2, 30 % mirrored to v2``."""
    matches = [f"{match.name}={match.value} to {match.version}" for match in routes.matches]
    mirror = [f"{routes.mirror.percent} % mirrored to {routes.mirror.version}"] if routes.mirror else []
    sticky = [f"by {routes.sticky.how}"] if routes.sticky else []
    return ", ".join([shares(routes.weights), *matches, *mirror, *sticky])


def name_of(slo: Slo) -> str:
    """``error-rate``, ``p95``, ``latency-mean``, or the name of a series."""
    if slo.metric is Metric.SERIES:
        return slo.of
    if slo.metric is Metric.LATENCY and slo.quantile:
        return f"p{100 * slo.quantile:.6g}{f' {slo.of}' if slo.of else ''}"
    return slo.metric.value


def limit_of(slo: Slo) -> str:
    """``1 %``, ``250 ms``; of a margin ``10 % over the primary``."""
    if slo.metric is Metric.SERIES:
        return "like the primary"
    if slo.relative:
        return f"{100 * slo.limit:.6g} % {'under' if slo.better is Direction.HIGHER else 'over'} the primary"
    return f"{100 * slo.limit:.6g} %" if slo.metric.is_share else seconds(slo.limit)


def value_of(evidence: Evidence) -> str:
    """``p95 12 ms (limit 100 ms)``."""
    slo, observed = evidence.slo, evidence.observed
    if observed is None:
        said = "no data"
    elif math.isinf(observed):
        said = "beyond measure"
    else:
        said = (
            share(observed) if slo.metric.is_share else seconds(observed) if slo.metric.is_time else f"{observed:.3g}"
        )
    return f"{name_of(slo)} {said} (limit {limit_of(slo)})"
