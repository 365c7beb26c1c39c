"""An SLO document as text again, for the parameter of a workflow. ``parse_objectives`` gives back what went in."""

import json
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from fairway_steps.config.spec import Objectives
from fairway_steps.model import DEFAULT_RULES, Knobs, Metric, Rules, Slo, Unit


def written(objectives: Objectives) -> str:
    """JSON, which is YAML as well; what is as by default is left out."""
    rules = _rules(objectives.rules)
    slos = [_slo(slo) for slo in objectives.slos]
    return json.dumps({**rules, "slos": slos} if rules else slos)


def _slo(slo: Slo) -> dict[str, Any]:
    told: dict[str, Any] = {"metric": slo.metric.value}
    if slo.quantile is not None:
        told["quantile"] = slo.quantile
    if slo.metric is Metric.SERIES:
        told["method"] = "mann-whitney"
        if given := {
            name.replace("_", "-"): value for name, value in asdict(slo.knobs or Knobs()).items() if value is not None
        }:
            told["knobs"] = given
    else:
        told["margin" if slo.relative else "limit"] = _limit(slo)
    if slo.timeout is not None:
        told["timeout"] = f"{Decimal(repr(slo.timeout)):f}s"
    if slo.of:
        told["of"] = slo.of
    if slo.direction:
        told["direction"] = slo.direction.value
    if not slo.min_in_all:  # which only the default has
        told["min-requests"] = slo.min_requests
    if slo.critical:
        told["critical"] = True
    if slo.unit is not Unit.REQUEST:
        told["unit"] = slo.unit.value
    return told if slo.weight == 1 else {**told, "weight": slo.weight}


def _limit(slo: Slo) -> str:
    """Seconds, or percent: no exponent, no digit lost."""
    exact = Decimal(repr(slo.limit))
    return f"{exact * 100:f}%" if slo.relative or slo.metric.is_share else f"{exact:f}s"


def _rules(rules: Rules) -> dict[str, Any]:
    told = {
        "mode": rules.mode.value,
        "alpha": rules.alpha,
        "beta": rules.beta,
        "burn-in": rules.burn_in,
        "early-end": rules.early_end,
    }
    usual = DEFAULT_RULES
    same = (usual.mode, usual.alpha, usual.beta, usual.burn_in, usual.early_end)
    return {name: value for (name, value), default in zip(told.items(), same, strict=True) if value != default}
