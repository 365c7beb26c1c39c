"""From the options of ``fairway load-test``, and a file of endpoints, to what is to be sent."""

import os
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fairway_steps.errors import UsageError

if TYPE_CHECKING:
    from fairway_steps.loadtest.crew import Task
    from fairway_steps.loadtest.endpoint import Endpoint

REFERENCE = re.compile(r"(?P<before>.*?)(?P<kind>env|file):(?P<name>\S+)")
OWN = frozenset(
    {
        *("url", "method", "header", "bearer_token", "content_type", "label_header", "version", "expect"),
        *("payload", "payload_file", "payload_url", "dataset", "template", "tensors", "variants"),
        *("ca_file", "cert_file", "key_file", "server_name", "insecure", "timeout", "connections"),
        *(
            "rate",
            "duration",
            "requests",
            "warm_up",
            "warm_up_requests",
            "arrivals",
            "seed",
            "loop",
            "trace",
            "trace_speed",
        ),
        *("call", "descriptors", "message_interval", "calls_per_connection", "tensor_contents"),
    }
)
"""Options that each endpoint may have of its own; what the command is given are the defaults of all."""
TIMES = (
    "rate",
    "duration",
    "requests",
    "warm_up",
    "warm_up_requests",
    "arrivals",
    "seed",
    "loop",
    "trace",
    "trace_speed",
)
ALONE = frozenset({"payload", "payload_file", "payload_url", "tensors"})
TOGETHER = frozenset({"dataset", "template"})
INSTEAD = {
    **{name: (ALONE | TOGETHER) - {name} for name in ALONE},
    **dict.fromkeys(TOGETHER, ALONE),
    "rate": frozenset({"trace"}),
}
"""Which of the command's options an endpoint's own takes the place of, besides the one of its name."""


def tasks(values: Mapping[str, Any], command: click.Command) -> "dict[str, Task]":
    """What to send where, by the endpoints' names; a single one has no name. Raises UsageError."""
    given: Mapping[str, Mapping[str, Any]] = {"": {}}
    if values["endpoints"]:
        given = _endpoints(values["endpoints"], command)
    elif not values["url"]:
        raise UsageError("--url is missing", mend="give it, or --endpoints")
    if values["paired"]:
        return _paired(values, given)
    from fairway_steps.loadtest.endpoint import plan, task

    found = {}
    for name, own in given.items():
        try:
            endpoint = _endpoint(_with_own(values, own))
            found[name] = task(endpoint, plan(endpoint))
        except UsageError as error:
            raise _named(name, error) from error
    return found


def _paired(values: Mapping[str, Any], given: Mapping[str, Mapping[str, Any]]) -> "dict[str, Task]":
    """Two endpoints that get the same payloads in the same order, request by request beside one another."""
    from dataclasses import replace

    from fairway_steps.loadtest.endpoint import plan, task
    from fairway_steps.loadtest.plan import Plan, paired
    from fairway_steps.loadtest.profile import parse_profile

    if len(given) != 2:
        raise UsageError("--paired compares two endpoints", mend="name two in --endpoints")
    for name, own in given.items():
        if times := [option for option in TIMES if option in own]:
            raise _named(
                name, UsageError(f"a paired endpoint has no {_kebab(times[0])} of its own", mend="give it as an option")
            )
    common = _endpoint({**values, "url": "http://paired"})
    twice = replace(
        common,
        requests=None if common.requests is None else 2 * common.requests,
        rate=_twice(common.rate),
        warm_up=replace(common.warm_up, requests=2 * common.warm_up.requests),
    )
    parse_profile(common.rate)
    whole = plan(twice)
    if not isinstance(whole, Plan):
        raise UsageError("a closed loop cannot be paired", mend="leave --loop out")
    made = {}
    for (name, own), share in zip(given.items(), paired(whole, common.seed), strict=True):
        try:
            made[name] = task(_endpoint(_with_own(values, own)), share)
        except UsageError as error:
            raise _named(name, error) from error
    one, other = made.values()
    if len(one.payloads.bodies) != len(other.payloads.bodies):
        raise UsageError("paired endpoints carry different numbers of payloads", mend="give both the same")
    return made


def _twice(rate: str) -> str:
    """A profile of twice the rate: each number before the length of its part."""

    def doubled(part: str) -> str:
        rates, at, lasting = part.partition("@")
        try:
            return "..".join(f"{2 * float(number):.17g}" for number in rates.split("..")) + at + lasting
        except ValueError:
            return part  # refused in its own words later

    return ",".join(doubled(part) for part in rate.split(","))


def _with_own(values: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """The command's options, and what an endpoint has of its own instead of them."""
    aside = [other for name, value in own.items() if value is not None for other in INSTEAD.get(name, ())]
    return {**values, **dict.fromkeys(aside), **own}


def _endpoint(values: Mapping[str, Any]) -> "Endpoint":
    from fairway_steps.loadtest.bodies import Source
    from fairway_steps.loadtest.endpoint import Endpoint
    from fairway_steps.loadtest.plan import WarmUp
    from fairway_steps.loadtest.tls import Tls

    if not values["url"]:
        raise UsageError("it has no url", mend="give it one, or --url for all")
    endless = values["requests"] is None and values["duration"] is None and not values["trace"]
    own_length = "@" in values["rate"] and values["loop"] == "open"
    return Endpoint(
        url=values["url"],
        method=values["method"] or "",
        headers=headers(values["header"], values["bearer_token"]),
        content_type=values["content_type"],
        label_header=values["label_header"] or "",
        version=values["version"] or "",
        expect=values["expect"] or "",
        source=Source(
            literal=values["payload"] or "",
            file=values["payload_file"] or "",
            url=values["payload_url"] or "",
            tensors=values["tensors"] or "",
            template=_text(values["template"] or ""),
            dataset=values["dataset"] or "",
            variants=values["variants"],
            seed=values["seed"],
        ),
        tls=Tls(
            values["ca_file"] or "",
            values["cert_file"] or "",
            values["key_file"] or "",
            values["server_name"] or "",
            insecure=values["insecure"],
        ),
        timeout=values["timeout"],
        connections=values["connections"],
        rate=values["rate"],
        duration=DEFAULT_DURATION if endless and not own_length else values["duration"],
        requests=values["requests"],
        warm_up=WarmUp(values["warm_up"], values["warm_up_requests"]),
        poisson=values["arrivals"] == "poisson",
        seed=values["seed"],
        closed_loop=values["loop"] == "closed",
        trace=values["trace"] or "",
        trace_speed=values["trace_speed"],
        call=values["call"] or "",
        descriptors=values["descriptors"] or "",
        message_interval=values["message_interval"],
        streams=values["calls_per_connection"],
        raw=values["tensor_contents"] == "raw",
    )


DEFAULT_DURATION = 10.0


def _endpoints(text: str, command: click.Command) -> dict[str, dict[str, Any]]:
    """Each endpoint's own options, converted as the command converts its own."""
    from fairway_steps.config import from_file
    from fairway_steps.config.text import parse

    name = text.removeprefix("file:") if text.startswith("file:") else "--endpoints"
    data = parse(from_file(text), name).data
    if not isinstance(data, dict) or not data or not all(isinstance(own, dict) for own in data.values()):
        raise UsageError(f"{name} is no mapping of endpoints", mend="write NAME: {url: http://…}")
    if len(data) > 100:
        raise UsageError(f"{name} has {len(data)} endpoints, more than 100")
    options = {str(param.name): param for param in command.params}
    found: dict[str, dict[str, Any]] = {}
    for endpoint, own in data.items():
        try:
            found[str(endpoint)] = dict(_own(key, value, options) for key, value in own.items())
        except UsageError as error:
            raise UsageError(f"{name}: {endpoint}: {error.message}", mend=error.mend) from error
        except click.ClickException as error:
            raise UsageError(f"{name}: {endpoint}: {error.format_message()}") from error
        if not found[str(endpoint)].get("url"):
            found[str(endpoint)].pop("url", None)
    return found


def _own(key: str, value: Any, options: Mapping[str, click.Parameter]) -> tuple[str, Any]:
    from fairway_steps.config.units import nearest

    option = options.get(str(key).replace("-", "_"))
    if option is None or option.name is None:
        raise UsageError(f"{key!r} is no option of an endpoint{nearest(str(key), map(_kebab, OWN))}")
    if option.name not in OWN:
        raise UsageError(f"{key!r} is of the whole load test, not of an endpoint", mend="give it as an option")
    if option.name == "header":
        return option.name, _lines(value)
    if isinstance(value, dict | list):
        import json

        value = json.dumps(value)  # a payload, written as YAML
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if not text:
        default = option.get_default(click.Context(click.Command("")))
        if default is None or isinstance(default, Enum):  # click's own mark for none
            return option.name, None
        text = str(default)
    return option.name, option.type.convert(text, option, None)


def _lines(value: Any) -> tuple[str, ...]:
    """Headers as YAML may write them: a line, a list of lines, or a mapping."""
    if isinstance(value, dict):
        value = [f"{name}: {each}" for name, each in value.items()]
    lines = [value] if isinstance(value, str) else value or []
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise UsageError(f"{value!r} is no header", mend="write 'NAME: VALUE', a list of these, or a mapping")
    return tuple(lines)


def headers(given: Sequence[str], bearer: str | None = None) -> dict[str, str]:
    """``Name: value`` pairs; a reference in a value is replaced by what it names, so no secret is an argument."""
    found: dict[str, str] = {}
    for text in filter(None, given):
        name, colon, value = text.partition(":")
        if text.startswith(":"):  # gRPC's pseudo headers
            name, colon, value = (":" + part if not i else part for i, part in enumerate(text[1:].partition(":")))
        if not (colon and name.strip()):
            raise UsageError("a --header is not 'NAME: VALUE'")
        name = name.strip()
        if name.lower() in map(str.lower, found):
            raise UsageError(f"--header {name} is given twice", mend="write one, with both values in it")
        found[name] = _resolved(value.strip(), f"--header {name}")
    if bearer:
        if "authorization" in map(str.lower, found):
            raise UsageError(
                "--bearer-token and --header Authorization exclude each other", mend="leave one of them out"
            )
        if not REFERENCE.fullmatch(bearer):
            raise UsageError(
                "--bearer-token is the token itself", mend="write env:NAME or file:PATH, so that nobody sees it"
            )
        found["Authorization"] = "Bearer " + _resolved(bearer, "--bearer-token")
    return found


def _resolved(value: str, where: str) -> str:
    match = REFERENCE.fullmatch(value)
    if match is None or not (match["before"] == "" or match["before"].endswith(" ")):
        return value
    if match["kind"] == "env":
        found = os.environ.get(match["name"])
        if found is None:
            raise UsageError(f"{where}: the environment has no {match['name']}")
    else:
        try:
            found = Path(match["name"]).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UsageError(f"{where}: {match['name']} cannot be read: {reason}") from error
    return match["before"] + found


def _text(template: str) -> str:
    from fairway_steps.config import from_file

    return from_file(template)


def _named(name: str, error: UsageError) -> UsageError:
    return UsageError(f"endpoint {name}: {error.message}" if name else error.message, mend=error.mend)


def _kebab(name: str) -> str:
    return name.replace("_", "-")
