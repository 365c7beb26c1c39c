"""The report as one HTML file: no script, nothing loaded from anywhere, light and dark, wide and narrow.

Argo's server shows artifacts under ``default-src 'none'; img-src 'self'; style-src 'self' 'unsafe-inline'``, so styles and
drawings are inline. Everything that comes from the record is escaped.
"""

from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from fairway_steps.record import Record
from fairway_steps.report import charts, findings, plots, view, wording
from fairway_steps.report.counts import ClientCount
from fairway_steps.report.findings import Finding


def html(record: Record, client: ClientCount | None = None) -> str:
    """The whole page."""
    drawings = charts.plots(record)
    return _template().render(
        record=record,
        words=wording,
        outcome=record.outcome.value if record.outcome else "running",
        tone=view.TONES[record.outcome],
        signs=view.SIGNS,
        headline=view.headline(record),
        reason=view.reason(record),
        duration=wording.duration(view.duration(record)),
        figures=view.figures(record, client),
        gaps=view.gaps(record),
        charts=[(plot, [Markup(plots.draw(plot, frame)) for frame in plots.FRAMES]) for plot in drawings],  # noqa: S704 - plots escape every word themselves, in svg.py
        stages=findings.stages(record),
        interval=_interval,
        events=view.events(record),
        changes=view.changes(record),
        traffic=view.traffic(record),
    )


@cache
def _template() -> Template:
    text = resources.files(__package__).joinpath("template.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text)


def _interval(finding: Finding) -> Markup:
    if finding.low is None or finding.high is None or finding.rate is None:
        return Markup()
    return Markup(plots.interval(finding.low, finding.high, finding.rate, finding.allowed, finding.tone))  # noqa: S704 - likewise
