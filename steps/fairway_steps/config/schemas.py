"""JSON Schemas of what the release file's own types parse: as narrow as their readers, so that an editor refuses what they do."""

from typing import Any

DURATION_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(ms|s|m|h)?\s*$"},
        {"type": "number", "minimum": 0, "description": "seconds"},
    ],
    "examples": ["20s", "5m"],
}
PERIOD_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "pattern": r"^\s*(?=.*[1-9])\d+(\.\d+)?\s*(ms|s|m|h)?\s*$"},
        {"type": "number", "exclusiveMinimum": 0, "description": "seconds"},
    ],
    "examples": ["20s", "5m"],
}
TIME_LIMIT_SCHEMA = {"anyOf": [*PERIOD_SCHEMA["anyOf"], {"type": "string", "const": "none"}]}


def _number(pattern: str, **bounds: float) -> dict[str, Any]:
    """The schema of a number with a unit, or within ``bounds`` without one."""
    return {"anyOf": [{"type": "string", "pattern": rf"^\s*{pattern}\s*$"}, {"type": "number", **bounds}]}


SHARE_SCHEMA = _number(r"\d*\.?\d+\s*%?", exclusiveMinimum=0, exclusiveMaximum=1)
LATENCY_SCHEMA: dict[str, Any] = {"type": "string", "pattern": r"^\s*(?=.*[1-9])\d+(\.\d+)?\s*(ms|s|m|h)\s*$"}
LIMIT_SCHEMA = {"anyOf": [*SHARE_SCHEMA["anyOf"], LATENCY_SCHEMA]}
QUANTILE_SCHEMA = _number(r"p?\d*\.?\d+\s*%?", exclusiveMinimum=0, exclusiveMaximum=100)
MARGIN_SCHEMA = _number(r"\d*\.?\d+\s*%?", minimum=0, exclusiveMaximum=1)
RISK_SCHEMA = _number(r"\d*\.?\d+\s*%?", exclusiveMinimum=0, maximum=0.5)
PERCENT_SCHEMA: dict[str, Any] = {"minimum": 1, "maximum": 100}
JSON_SCHEMA = {"anyOf": [{"type": "object"}, {"type": "array"}, {"type": "string"}]}
STAGE_SCHEMA: dict[str, Any] = {"oneOf": [{"required": [one]} for one in ("weight", "weights", "header", "mirror")]}
_BOUND = {"oneOf": [{"required": ["limit"]}, {"required": ["margin"]}]}


def _without(*names: str) -> dict[str, Any]:
    return {"not": {"anyOf": [{"required": [name]} for name in names]}}


def _of(*metrics: str) -> dict[str, Any]:
    return {"properties": {"metric": {"enum": list(metrics)}}}


def _by(*strategies: str) -> dict[str, Any]:
    return {"properties": {"strategy": {"enum": list(strategies)}}, "required": ["strategy"]}


RELEASE_SCHEMA: dict[str, Any] = {
    "allOf": [
        {"if": _by("performance"), "then": {"required": ["load-test"]}, "else": {"required": ["route", "primary"]}},
        {"if": _by("none"), "then": _without("load-test"), "else": {"required": ["slos"]}},
        {"if": _by("none", "performance"), "then": _without("stages"), "else": {"required": ["stages"]}},
        {"if": _by("ab"), "then": _without("load-test")},
    ]
}
"""What each strategy needs, and has no use for."""
SLO_SCHEMA: dict[str, Any] = {
    "allOf": [
        {
            "if": _of("series"),
            "then": {"required": ["of"], **_without("limit", "margin", "quantile", "critical", "weight", "unit")},
            "else": {**_BOUND, **_without("method", "knobs")},
        },
        {"if": _of("series", "latency"), "else": _without("of")},
        {"if": _of("reward"), "then": {"required": ["margin"], "properties": {"unit": {"const": "user"}}}},
        {"if": _of("latency"), "then": {"required": ["quantile"]}, "else": _without("quantile")},
        {"if": _of("latency-mean"), "else": _without("timeout")},
        {
            "if": _of("latency", "latency-mean"),
            "then": {"properties": {"limit": LATENCY_SCHEMA}},
            "else": {"properties": {"limit": SHARE_SCHEMA}},
        },
    ],
}
