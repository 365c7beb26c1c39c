"""Parameter types shared by the commands.

Every option takes a value and an empty string means unset, so that one template can pass all of them
(``--stage={{inputs.parameters.stage}}``) in Argo and Tekton alike.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from fairway_steps.config.units import parse_duration, parse_version
from fairway_steps.model import Version

__all__ = ["DURATION_TYPE", "FLAG", "VERSION", "F", "Option", "option", "parse_version"]

F = TypeVar("F", bound=Callable[..., Any])


class Option(click.Option):
    """An option for which an empty value is none. ``plumbing`` options are about the call, not about the release."""

    def __init__(self, *args: Any, plumbing: bool = False, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.plumbing = plumbing

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, click.core.ParameterSource]:
        return super().consume_value(ctx, {name: value for name, value in opts.items() if value != ""})

    def to_info_dict(self) -> dict[str, Any]:
        return super().to_info_dict() | {"plumbing": self.plumbing}


class Duration(click.ParamType[float]):
    """``500ms``, ``20s``, ``5m``, ``1h`` or a bare number of seconds, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Flag(click.ParamType[bool]):
    """``true`` or ``false``, always written out."""

    name = "true|false"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        if isinstance(value, bool):
            return value
        if value.lower() not in ("true", "false"):
            self.fail(f"{value!r} is neither true nor false", param, ctx)
        return bool(value.lower() == "true")


class VersionRef(click.ParamType[Version]):
    """``NAME=URI``, or a URI alone whose last part becomes the name."""

    name = "version"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Version:
        if isinstance(value, Version):
            return value
        try:
            return parse_version(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


DURATION_TYPE = Duration()
FLAG = Flag()
VERSION = VersionRef()


def option(name: str, kind: click.ParamType[Any] | type = str, *, help: str, **attrs: Any) -> Callable[[F], F]:  # noqa: A002 - click's word
    """A Fairway option: kebab-case, with its default shown."""
    attrs.setdefault("show_default", attrs.get("default") not in (None, ""))
    return click.option(f"--{name}", type=kind, help=help, cls=Option, **attrs)
