"""What may stand in the fields of files, as pydantic types: values with units, and what editors say about them."""

import json
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from fairway_steps.config.files import from_file
from fairway_steps.config.mistakes import shown
from fairway_steps.config.schemas import (
    DURATION_SCHEMA,
    JSON_SCHEMA,
    LIMIT_SCHEMA,
    MARGIN_SCHEMA,
    PERIOD_SCHEMA,
    QUANTILE_SCHEMA,
    RISK_SCHEMA,
    TIME_LIMIT_SCHEMA,
)
from fairway_steps.config.units import (
    nearest,
    parse_duration,
    parse_margin,
    parse_quantile,
    parse_risk,
    parse_version,
    short_stages,
)
from fairway_steps.model import Stage


def _text(value: Any) -> Any:
    """A number as people write it, for what parses text with units."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return format(Decimal(str(value)), "f") if number else value


def _duration(value: Any) -> Any:
    text = _text(value)
    return parse_duration(text) if isinstance(text, str) else _wrong(value, "a duration such as 20s")


def _above_zero(value: Any) -> Any:
    seconds = _duration(value)
    if seconds <= 0:
        raise ValueError(f"{value} is not above zero")
    return seconds


def _quantile(value: Any) -> Any:
    text = _text(value)
    return parse_quantile(text) if isinstance(text, str) else _wrong(value, "a quantile such as 0.95 or p95")


def _margin(value: Any) -> Any:
    text = _text(value)
    return parse_margin(text) if isinstance(text, str) else _wrong(value, "a margin such as 10%")


def _time_limit(value: Any) -> Any:
    return None if value == "none" else _above_zero(value)


def _risk(value: Any) -> Any:
    text = _text(value)
    return parse_risk(text) if isinstance(text, str) else _wrong(value, "a risk such as 5%")


def short(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return [_written(stage) for stage in short_stages(value)]


def _written(stage: Stage) -> dict[str, Any]:
    how = (
        {"header": stage.header}
        if stage.header
        else {"mirror": stage.mirror, **({"through": stage.through} if stage.through else {})}
        if stage.mirror
        else {"weights": dict(stage.weights)}
        if stage.weights
        else {"weight": stage.weight}
    )
    return how | {"duration": stage.duration}


def named_version(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    parsed = parse_version(value)
    return {"name": parsed.name, "url": parsed.uri}


def _payload(value: Any) -> Any:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, str):
        return _wrong(value, "JSON")
    text = from_file(value).strip()
    try:
        json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    return text


def _metrics(value: Any) -> Any:
    from fairway_steps.config.metrics import checked  # noqa: PLC0415 - it builds on this module

    return checked(value)


def _wrong(value: Any, wanted: str) -> Any:
    raise ValueError(f"{shown(value)} is not {wanted}")


Seconds = Annotated[float, BeforeValidator(_duration), WithJsonSchema(DURATION_SCHEMA)]
Period = Annotated[float, BeforeValidator(_above_zero), WithJsonSchema(PERIOD_SCHEMA)]
TimeLimit = Annotated[float | None, BeforeValidator(_time_limit), WithJsonSchema(TIME_LIMIT_SCHEMA)]
Limit = Annotated[str, BeforeValidator(_text), WithJsonSchema(LIMIT_SCHEMA)]
TextOrNumber = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number"]})]
Quantile = Annotated[float, BeforeValidator(_quantile), WithJsonSchema(QUANTILE_SCHEMA)]
Margin = Annotated[float, BeforeValidator(_margin), WithJsonSchema(MARGIN_SCHEMA)]
Risk = Annotated[float, BeforeValidator(_risk), WithJsonSchema(RISK_SCHEMA)]
Payload = Annotated[str, BeforeValidator(_payload), WithJsonSchema(JSON_SCHEMA)]
Text = Annotated[str, Field(min_length=1)]
Metrics = Annotated[str, BeforeValidator(_metrics)]


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=_kebab, frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        known = [_kebab(name) for name in cls.model_fields]
        for key in data if isinstance(data, dict) else ():
            if key not in known:
                raise PydanticCustomError(
                    "unknown_field",
                    "unknown",
                    {"key": key, "hint": nearest(key, known) or f"; there are {', '.join(known)}"},
                )
        return data
