"""From values to pixels: linear, logarithmic and time axes with round ticks. Pure.

Positions are always finite and inside the range, whatever the value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
TINY = 1e-9
"""What no rate, share or latency of this world falls short of, and arithmetic on ticks still resolves."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A value between ``low`` and ``high`` as a position between ``start`` and ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (self._bend(v) for v in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        share = 0.5 if math.isnan(share) else min(1.0, max(0.0, share))
        return round(self.start + (self.end - self.start) * share, 2)

    def _bend(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value


def fit(values: Sequence[float], *, log: bool = False) -> tuple[float, float]:
    """The bounds of an axis that shows all finite values, with some air; a linear one begins at zero."""
    known = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    top = max(known, default=0.0)
    if log and known:
        return min(known) / 1.5, top * 1.5
    return 0.0, top * 1.15 if top > TINY else 1.0


def wide(values: Sequence[float]) -> bool:
    """Whether positive values span so much that a logarithmic axis reads better."""
    known = [v for v in values if math.isfinite(v) and v > 0]
    return bool(known) and max(known) / min(known) > 30


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) between the bounds, about ``wanted`` of them."""
    span = high - low
    if not (math.isfinite(span) and span > TINY):
        return []
    raw = span / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next((m * power for m in (1, 2, 5) if m * power >= raw * 0.999), 10 * power)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)][: 10 * wanted]


def log_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Powers of ten between the bounds, with 2 and 5 between them where there is room."""
    if not (0 < low < high < math.inf):
        return []
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for marks in ((1, 2, 5), (1, 3), (1,)):
        found = [tick for d in decades for m in marks if low <= (tick := float(f"{m}e{d}")) <= high]
        if len(found) <= wanted + 2:
            return found
    return found[:: max(1, len(found) // wanted)]


def time_ticks(span: float, wanted: int = 6) -> list[float]:
    """Seconds since the start, at steps that a clock has."""
    if not (math.isfinite(span) and span > 0):
        return [0.0]
    step = next((s for s in TIME_STEPS if span / s <= wanted), math.ceil(span / wanted / 86400) * 86400)
    return [float(i * step) for i in range(int(span / step) + 1)]


def clock(offset: float) -> str:
    """``45 s``, ``3:20``, ``2:05 h``."""
    whole = round(offset)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d}"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
