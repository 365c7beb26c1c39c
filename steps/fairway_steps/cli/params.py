"""Parameter types shared by the commands.

Every option takes a value and an empty string means unset, so that one template can pass all of them
(``--stage={{inputs.parameters.stage}}``) in Argo and Tekton alike.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

import click

from fairway_steps.config.spec import Objectives
from fairway_steps.config.units import nearest, parse_duration, parse_sticky, parse_version
from fairway_steps.errors import UsageError
from fairway_steps.model import Outcome, Stage, Stickiness, Verdict, Version

__all__ = [
    "DURATION_TYPE",
    "FLAG",
    "OUTCOMES",
    "SLOS",
    "STAGES",
    "STICKY",
    "VERDICTS",
    "VERSION",
    "VERSIONS",
    "F",
    "Option",
    "option",
    "parse_version",
]

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


class VersionRefs(click.ParamType[tuple[Version, ...]]):
    """One version, or several by commas."""

    name = "versions"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Version, ...]:
        parts = value.split(",") if isinstance(value, str) else [value]
        return tuple(VERSION.convert(part, param, ctx) for part in parts)


class Sticky(click.ParamType[Stickiness]):
    """``header:NAME`` or ``cookie:NAME``."""

    name = "sticky"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Stickiness:
        try:
            return value if isinstance(value, Stickiness) else parse_sticky(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Stages(click.ParamType[tuple[Stage, ...]]):
    """``10@20s,25@20s,50@20s``, ``v2=30+v3=30@1h``, or a YAML list of ``{weight: 10, duration: 20s}``."""

    name = "stages"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Stage, ...]:
        from fairway_steps.config import parse_stages

        if not isinstance(value, str):
            return tuple(value)
        try:
            return parse_stages(value)
        except UsageError as error:
            self.fail(str(error).removeprefix("stages: "), param, ctx)


class Slos(click.ParamType[Objectives]):
    """An SLO document as YAML, or ``file:PATH``."""

    name = "slos"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Objectives:
        from fairway_steps.config import load_objectives

        if isinstance(value, Objectives):
            return value
        try:
            return load_objectives(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


E = TypeVar("E", bound=StrEnum)


class Several(click.ParamType[frozenset[E]]):
    """Some of an enumeration, separated by commas: ``rolled-back,held``."""

    def __init__(self, known: type[E]) -> None:
        self.known = known
        self.name = f"{known.__name__.lower()}s"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[E]:
        if not isinstance(value, str):
            return frozenset(value)
        every = [item.value for item in self.known]
        names = [name.strip() for name in value.split(",") if name.strip()]
        for name in names:
            if name not in every:
                hint = nearest(name, every) or f"; it is one of {', '.join(every)}"
                self.fail(f"{name!r} is no {self.known.__name__.lower()}{hint}", param, ctx)
        return frozenset(self.known(name) for name in names)


DURATION_TYPE = Duration()
OUTCOMES = Several(Outcome)
SLOS = Slos()
STAGES = Stages()
VERDICTS = Several(Verdict)
FLAG = Flag()
STICKY = Sticky()
VERSION = VersionRef()
VERSIONS = VersionRefs()


def by_option(command: F) -> F:
    """``--by``: the person on whose word a step is done."""
    return option("by", help="On whose word, for the record.")(command)


def ending_options(command: F) -> F:
    """``--ready-timeout`` and ``--drain``: how the versions themselves are treated at the end of a release."""
    drain = option(
        "drain", DURATION_TYPE, default="5s", help="How long a version's last requests have before it is scaled down."
    )
    ready = option(
        "ready-timeout", DURATION_TYPE, default="10m", help="How long a primary may take to run another spec."
    )
    return ready(drain(command))


def option(
    name: str,
    kind: click.ParamType[Any] | type = str,
    *,
    help: str,  # noqa: A002 - click's word
    dest: str = "",
    **attrs: Any,
) -> Callable[[F], F]:
    """A Fairway option: kebab-case, with its default shown. ``dest`` names it in Python where its own name is a keyword."""
    attrs.setdefault("show_default", attrs.get("default") not in (None, ""))
    return click.option(f"--{name}", *([dest] if dest else []), type=kind, help=help, cls=Option, **attrs)
