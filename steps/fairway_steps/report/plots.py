"""One plot over time as inline SVG, drawn once for wide and once for narrow screens.

No script and no reference leaves the page: colours are classes that the page's own style sheet gives, for light and
dark. Lines differ by mark and stroke as well as by colour, and the points carry their values as tooltips.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fairway_steps.report.scales import Scale, clock, fit, log_ticks, ticks, time_ticks, wide
from fairway_steps.report.svg import diamond, element, path


@dataclass(frozen=True, slots=True)
class Frame:
    """The size of a drawing and its margins, in user units."""

    kind: str
    width: float
    height: float
    left: float
    right: float
    top: float = 26.0
    bottom: float = 26.0

    @property
    def inner(self) -> tuple[float, float, float, float]:
        """left, right, top and bottom of the plotting area."""
        return self.left, self.width - self.right, self.top, self.height - self.bottom


FRAMES = (Frame("wide", 1000, 230, 64, 16), Frame("narrow", 420, 230, 60, 10))


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of a line: seconds since the start, a value, its tooltip. A hollow one stands on few data.

    ``box`` is (start, end, low, high): the region in which the true value lies.
    """

    at: float
    value: float
    label: str = ""
    hollow: bool = False
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Marks of one ``role`` (``primary``, ``candidate``), joined within each run.

    ``style`` is ``main``, ``thin`` (no marks), ``steps`` (each value holds until the next) or ``points`` (not joined).
    """

    role: str
    runs: Sequence[Sequence[Mark]]
    style: str = "main"


@dataclass(frozen=True, slots=True)
class Plot:
    """What is drawn. ``bands`` are the stages (start, end, label), ``moments`` the turning points (at, label, role)."""

    name: str
    title: str
    description: str
    span: float
    lines: Sequence[Line]
    unit: Callable[[float], str]
    limits: Sequence[tuple[float, str]] = ()
    bands: Sequence[tuple[float, float, str]] = ()
    moments: Sequence[tuple[float, str, str]] = ()
    bounds: tuple[float, float] | None = None
    log: bool = False
    filled: Line | None = field(default=None)

    @property
    def values(self) -> list[float]:
        drawn = [mark.value for line in self.lines for run in line.runs for mark in run]
        return [*drawn, *(limit for limit, _ in self.limits)]

    @property
    def axis(self) -> tuple[float, float, bool]:
        """low, high, and whether it is logarithmic."""
        log = self.log and wide(self.values)
        return (*(self.bounds or fit(self.values, log=log)), log)


def draw(plot: Plot, frame: Frame) -> str:
    """The plot as one SVG element of class ``frame.kind``."""
    left, right, top, bottom = frame.inner
    low, high, log = plot.axis
    x = Scale(0.0, plot.span if math.isfinite(plot.span) and plot.span > 0 else 1.0, left, right)
    y = Scale(low, high, bottom, top, log=log)
    name = f"{plot.name}-{frame.kind}"
    parts = [
        element("title", text=plot.title, id=f"{name}-title"),
        element("desc", text=plot.description, id=f"{name}-desc"),
        *_bands(plot, x, frame),
        *_grid(plot, x, y, frame),
        *(_fill(plot.filled, x, y, frame) if plot.filled else []),
        *(part for line in plot.lines for part in _line(line, x, y)),
        *_limits(plot, y, frame),
        *_moments(plot, x, frame),
    ]
    return element(
        "svg",
        *parts,
        class_=f"plot {frame.kind}",
        viewBox=f"0 0 {frame.width:g} {frame.height:g}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def _bands(plot: Plot, x: Scale, frame: Frame) -> list[str]:
    _, _, top, bottom = frame.inner
    parts = []
    for index, (start, end, label) in enumerate(plot.bands):
        left, right = x(start), x(end)
        if right <= left:
            continue
        shade = "band odd" if index % 2 else "band"
        parts.append(element("rect", class_=shade, x=left, y=top, width=round(right - left, 2), height=bottom - top))
        if right - left > 7 * len(label):
            middle = round((left + right) / 2, 2)
            parts.append(element("text", text=label, class_="stage", x=middle, y=top - 8, text_anchor="middle"))
    return parts


def _grid(plot: Plot, x: Scale, y: Scale, frame: Frame) -> list[str]:
    left, right, _, bottom = frame.inner
    marks = log_ticks(y.low, y.high) if y.log else ticks(y.low, y.high)
    parts = []
    for value in marks:
        height = y(value)
        parts.append(element("line", class_="grid", x1=left, x2=right, y1=height, y2=height))
        parts.append(element("text", text=plot.unit(value), class_="tick", x=left - 8, y=height + 4, text_anchor="end"))
    parts.append(element("line", class_="axis", x1=left, x2=right, y1=bottom, y2=bottom))
    for offset in time_ticks(x.high, 8 if frame.kind == "wide" else 4):
        anchor = "start" if x(offset) < left + 8 else "end" if x(offset) > right - 14 else "middle"
        parts.append(element("line", class_="axis", x1=x(offset), x2=x(offset), y1=bottom, y2=bottom + 4))
        parts.append(element("text", text=clock(offset), class_="tick", x=x(offset), y=bottom + 18, text_anchor=anchor))
    return parts


def _fill(line: Line, x: Scale, y: Scale, frame: Frame) -> list[str]:
    bottom = frame.inner[3]
    areas = []
    for run in line.runs:
        points = [(x(mark.at), y(mark.value)) for mark in run]
        if points:
            outline = f"{path(points, steps=True)}V{bottom:g}H{points[0][0]:g}Z"
            areas.append(element("path", class_=f"area {line.role}", d=outline))
    return areas


def _line(line: Line, x: Scale, y: Scale) -> list[str]:
    parts = []
    for run in line.runs:
        for mark in run:
            if mark.box is not None:
                start, end, low, high = mark.box
                (left, right), (top, bottom) = sorted((x(start), x(end))), sorted((y(high), y(low)))
                width, height = round(right - left, 2), round(bottom - top, 2)
                parts.append(element("rect", class_=f"box {line.role}", x=left, y=top, width=width, height=height))
    for run in line.runs:
        points = [(x(mark.at), y(mark.value)) for mark in run]
        if line.style != "points" and len(points) > 1:
            drawn = path(points, steps=line.style == "steps")
            parts.append(element("path", class_=f"line {line.role} {line.style}", d=drawn))
        if line.style in ("main", "points") or len(points) == 1:
            parts.extend(_mark(line, mark, *point) for mark, point in zip(run, points, strict=True))
    return parts


def _mark(line: Line, mark: Mark, x: float, y: float) -> str:
    style = f"mark {line.role} {'hollow' if mark.hollow else 'full'}"
    label = element("title", text=mark.label) if mark.label else ""
    if line.role == "candidate":
        return element("path", label, class_=style, d=diamond(x, y, 4.5 if line.style == "points" else 3.4))
    return element("circle", label, class_=style, cx=x, cy=y, r=2.6)


def _limits(plot: Plot, y: Scale, frame: Frame) -> list[str]:
    left, right, top, _ = frame.inner
    parts = []
    for value, label in plot.limits:
        height = y(value)
        above = height - 6 if height - 18 > top else height + 14
        parts.append(element("line", class_="limit", x1=left, x2=right, y1=height, y2=height))
        parts.append(element("text", text=label, class_="limit-label", x=left + 8, y=above))
    return parts


def _moments(plot: Plot, x: Scale, frame: Frame) -> list[str]:
    left, right, top, bottom = frame.inner
    parts = []
    for at, label, role in plot.moments:
        place = x(at)
        end = place > (left + right) / 2
        parts.append(element("line", class_=f"moment {role}", x1=place, x2=place, y1=top - 4, y2=bottom))
        parts.append(
            element(
                "text",
                text=label,
                class_=f"moment-label {role}",
                x=place - 6 if end else place + 6,
                y=top + 12,
                text_anchor="end" if end else "start",
            )
        )
    return parts


def interval(low: float, high: float, rate: float, allowed: float | None, result: str) -> str:
    """A small drawing of an interval, the observed rate in it, and the allowed rate as a tick; from 0 rightwards."""
    x = Scale(0.0, fit([high, rate, allowed or 0.0])[1], 2.0, 138.0)
    words = "the observed rate within its interval" + ("" if allowed is None else ", against the allowed rate")
    parts = [
        element("title", text=words),
        element("line", class_="axis", x1=2, x2=138, y1=11, y2=11),
        element("rect", class_=f"range {result}", x=x(low), y=7, width=max(1.5, round(x(high) - x(low), 2)), height=8),
        element("circle", class_=f"rate {result}", cx=x(rate), cy=11, r=3.5),
    ]
    if allowed is not None:
        parts.append(element("line", class_="limit solid", x1=x(allowed), x2=x(allowed), y1=1, y2=21))
    return element("svg", *parts, class_="interval", viewBox="0 0 140 22", role="img")
