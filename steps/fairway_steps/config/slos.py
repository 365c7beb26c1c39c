"""From the SLOs of a file to ``Slo``: what one field's type cannot say is checked here."""

from collections.abc import Sequence
from dataclasses import replace

from fairway_steps.config.fields import SloItem
from fairway_steps.config.text import Misfit, Where
from fairway_steps.config.units import parse_limit
from fairway_steps.model import Direction, Knobs, Metric, Slo, Unit
from fairway_steps.undecidable import least_in_all

NO_SLOS = "there are none; write for example {metric: error-rate, limit: 1%}"
MIN_USERS = 100
"""Below so many of each version nothing is known of a mean reward (``stats.reward``)."""


def slos_from(items: Sequence[SloItem], prefix: Where) -> tuple[Slo, ...]:
    if not items:
        raise Misfit(prefix, NO_SLOS)
    slos: list[Slo] = []
    for index, item in enumerate(items):
        slo = _slo(item, (*prefix, index))
        if any(
            (slo.metric, slo.of, slo.quantile, slo.relative) == (o.metric, o.of, o.quantile, o.relative) for o in slos
        ):
            kind = "comparison" if slo.metric is Metric.SERIES else "margin" if slo.relative else "limit"
            raise Misfit((*prefix, index), f"{slo.of or slo.metric} has a {kind} already")
        slos.append(slo)
    return tuple(slos)


def _slo(item: SloItem, path: Where) -> Slo:
    metric = Metric(item.metric)
    if "timeout" in item.model_fields_set and metric is not Metric.LATENCY_MEAN:
        raise Misfit((*path, "timeout"), f"{metric} has none; it belongs to metric: latency-mean")
    if metric is Metric.SERIES:
        return _series(item, path)
    if named := [name for name in ("method", "knobs") if name in item.model_fields_set]:
        raise Misfit((*path, named[0]), f"{metric} has none; it belongs to metric: series")
    if "of" in item.model_fields_set and metric is not Metric.LATENCY:
        raise Misfit((*path, "of"), f"{metric} has none; it belongs to metric: latency or series")
    if metric is Metric.REWARD:
        return _reward(item, path)
    return _counted(item, metric, path)


def _counted(item: SloItem, metric: Metric, path: Where) -> Slo:
    """An SLO on requests, with a limit or a margin."""
    if metric is Metric.LATENCY and item.quantile is None:
        raise Misfit(path, "quantile is missing; write quantile: p95, or metric: latency-mean")
    if metric is not Metric.LATENCY and item.quantile is not None:
        raise Misfit((*path, "quantile"), f"{metric} has no quantile; it belongs to metric: latency")
    if item.direction is not None and item.direction != metric.direction:
        raise Misfit((*path, "direction"), f"a {metric.direction} {metric} is the better one; leave direction out")
    if item.limit is None and item.margin is None:
        raise Misfit(path, "limit is missing; write a limit, or a margin against the primary")
    if item.limit is not None and item.margin is not None:
        raise Misfit((*path, "margin"), f"{metric} has a limit here already; write the margin as an SLO of its own")
    _check_comparison(item, metric, path)
    try:
        limit = parse_limit(item.limit, metric) if item.limit is not None else float(item.margin or 0)
    except ValueError as error:
        raise Misfit((*path, "limit"), str(error)) from error
    if item.timeout is not None and item.timeout <= limit:
        raise Misfit((*path, "timeout"), f"{item.timeout:g} s is not above the limit, so nothing could break it")
    relative = item.margin is not None
    if item.unit == "user":
        raise Misfit((*path, "unit"), "no source tells an error's user; it belongs to metric: reward")
    if relative and metric is Metric.LATENCY and item.unit == "stratum":
        raise Misfit(
            (*path, "unit"), "a latency margin is compared request by request; write a limit, or leave unit out"
        )
    slo = Slo(
        metric,
        limit,
        item.quantile,
        item.min_requests,
        relative,
        item.critical,
        item.weight,
        Unit(item.unit),
        of=item.of,
        timeout=item.timeout,
    )
    return slo if "min_requests" in item.model_fields_set else replace(slo, min_in_all=least_in_all(slo))


def _check_comparison(item: SloItem, metric: Metric, path: Where) -> None:
    """Refuse a comparison with the primary of what has none, or is one itself."""
    if metric is Metric.DIFFERENCE_RATE and (item.margin is not None or item.unit != "request"):
        field = "unit" if item.margin is None else "margin"
        raise Misfit((*path, field), f"{metric} is a share of comparisons with the primary itself; write a limit alone")
    if item.margin is not None and metric in (Metric.SUCCESS_RATE, Metric.LATENCY_MEAN):
        instead = "error-rate" if metric is Metric.SUCCESS_RATE else "latency, with a quantile"
        raise Misfit((*path, "margin"), f"{metric} is not compared with the primary; write metric: {instead}")


def _reward(item: SloItem, path: Where) -> Slo:
    """The mean reward of a user, which has a margin alone."""
    for name in ("limit", "quantile"):
        if getattr(item, name) is not None:
            raise Misfit((*path, name), "a reward is compared with the primary's; write margin: 2%")
    if item.margin is None:
        raise Misfit(path, "margin is missing; write how much worse than the primary's it may be, such as margin: 2%")
    if item.direction != "lower" and item.margin >= 1:
        raise Misfit((*path, "margin"), "no reward can be worse by all of it; write less than 100%")
    if "unit" in item.model_fields_set and item.unit != "user":
        raise Misfit((*path, "unit"), "the unit of a reward is the user: requests of one user are not independent")
    least = item.min_requests if "min_requests" in item.model_fields_set else MIN_USERS
    direction = Direction(item.direction) if item.direction else None
    return Slo(
        Metric.REWARD,
        item.margin,
        min_requests=least,
        relative=True,
        critical=item.critical,
        weight=item.weight,
        unit=Unit.USER,
        direction=direction,
    )


def _series(item: SloItem, path: Where) -> Slo:
    """A series, which is compared by ranks and has no limit."""
    if not item.of:
        raise Misfit(
            path, "of is missing; write the name that the series has in its source, such as of: gpu-utilisation"
        )
    for name, given in (("limit", item.limit), ("margin", item.margin), ("quantile", item.quantile)):
        if given is not None:
            raise Misfit(
                (*path, name), "a series is compared by ranks; write knobs: {allowed-increase: 1.1} for what is allowed"
            )
    for name in ("critical", "weight", "unit"):
        if name in item.model_fields_set:
            raise Misfit((*path, name), "a series shares no evidence with the other SLOs; leave it out")
    knobs = Knobs(**item.knobs.model_dump()) if item.knobs else Knobs()
    direction = Direction(item.direction) if item.direction else None
    return Slo(
        Metric.SERIES, 0.0, min_requests=item.min_requests, relative=True, of=item.of, direction=direction, knobs=knobs
    )


def unprovable(slo: Slo) -> str:
    """Why no number of requests can prove that an SLO is kept; empty if some can."""
    if slo.metric is Metric.SERIES:
        return "what is looked at once, by ranks, has no proof; write mode: guard"
    if slo.relative:
        return "" if slo.limit > 0 else "that nothing is worse at all has no proof; write a margin such as 10%"
    if slo.metric is Metric.LATENCY_MEAN and slo.timeout is None:
        return "a mean has no proof as long as nothing bounds a latency; write timeout: 30s, longer than which no request takes"
    return "that nothing ever fails has no proof; write a limit such as 0.1%" if slo.limit == 0 else ""
