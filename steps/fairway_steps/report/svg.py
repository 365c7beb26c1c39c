"""SVG elements as safe text: every attribute and every word is escaped here, and nowhere else."""

from collections.abc import Iterable
from html import escape


def element(name: str, *children: str, text: str = "", **attributes: str | float) -> str:
    """One element. ``class_`` gives ``class`` and ``stroke_width`` ``stroke-width``; ``text`` is escaped, children are not."""
    marks = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    inside = escape(text, quote=False) + "".join(children)
    return f"<{name}{marks}>{inside}</{name}>" if inside else f"<{name}{marks}/>"


def path(points: Iterable[tuple[float, float]], *, steps: bool = False) -> str:
    """The ``d`` of a line through points; with ``steps`` each value holds until the next one."""
    parts: list[str] = []
    for x, y in points:
        if not parts:
            parts.append(f"M{x:g} {y:g}")
        else:
            parts.append(f"H{x:g}V{y:g}" if steps else f"L{x:g} {y:g}")
    return "".join(parts)


def diamond(x: float, y: float, r: float) -> str:
    """The ``d`` of a diamond around a point."""
    return f"M{x:g} {y - r:g}L{x + r:g} {y:g}L{x:g} {y + r:g}L{x - r:g} {y:g}Z"


def _value(value: str | float) -> str:
    return escape(value, quote=True) if isinstance(value, str) else f"{value:g}"
