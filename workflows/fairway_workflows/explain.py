"""What a release will do, step by step, before it does: read from the very workflow that would be submitted or run.

The rendered template is walked from its entry on, with the parameters that are known. A condition that they decide already leaves a step
out or lets it stand; any other is told. A template that is called again from within itself is told once.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fairway_steps.model import Stage, Stickiness
from fairway_steps.schedule import routes_of
from fairway_steps.words import described, number
from fairway_workflows.catalog import step_spec

CLAUSE = re.compile(r"'(?P<value>[^']*)' (?P<sign>==|!=) '(?P<expected>[^']*)'")
VARIABLE = re.compile(r"\{\{(?P<path>[\w.-]+)\}\}")
OUTPUT = re.compile(r"steps\.(?P<step>[\w-]+)\.outputs\.parameters\.(?P<name>[\w-]+)")
TOLD = ("outcome", "timeout", "versions", "url", "rate", "duration", "approve", "unassessed", "strategy", "rehearsal")
"""Arguments without which a call is not understood."""
ENTERS = frozenset({"set-weights", "ramp"})
"""Steps that give a stage its traffic."""


@dataclass(frozen=True, slots=True)
class Line:
    """One step or remark: ``place`` is its number, as 3.2; a remark has none."""

    depth: int
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """The stages of the release, and between whom."""

    stages: Sequence[Stage]
    primary: str
    candidate: str
    sticky: Stickiness | None = None

    def lines(self) -> Iterator[str]:
        for index, stage in enumerate(self.stages):
            split = described(routes_of(stage, self.primary, self.candidate, sticky=self.sticky))
            yield f"stage {index + 1} of {len(self.stages)}, {number(stage.duration)} s: {split}"


def explained(template: Mapping[str, Any], given: Mapping[str, str | None], schedule: Schedule) -> Iterator[Line]:
    """The steps of a workflow in their order, then what its exit handler does however it ends.

    A parameter that is ``given`` as None is not known yet. There is a primary: the first version of a service needs no explanation.
    """
    spec = template["spec"]
    declared = spec["arguments"]["parameters"]
    values = {f"workflow.parameters.{one['name']}": str(one.get("value", "")) for one in declared}
    values = {name: value for name, value in values.items() if name.rpartition(".")[2] not in given}
    values |= {f"workflow.parameters.{name}": value for name, value in given.items() if value is not None}
    values["steps.begin.outputs.parameters.first"] = "false"
    walk = _Walk({one["name"]: one for one in spec["templates"]}, schedule)
    yield from walk.steps(spec["entrypoint"], values, (), 0, ())
    if handler := spec.get("onExit"):
        yield Line(0, "", "however it ends, also when it is stopped:")
        yield from walk.steps(handler, values, (), 1, ())


class _Walk:
    def __init__(self, templates: Mapping[str, Mapping[str, Any]], schedule: Schedule) -> None:
        self.templates, self.schedule = templates, schedule
        self.told: dict[str, str] = {}

    def steps(
        self, name: str, values: Mapping[str, str], place: tuple[int, ...], depth: int, within: tuple[str, ...]
    ) -> Iterator[Line]:
        """The groups of a template of steps; ``within`` are the templates that lead here."""
        count = 0
        for group in self.templates[name]["steps"]:
            for step in group:
                condition = _condition(_filled(step.get("when", ""), values))
                if condition is None:
                    continue
                count += 1
                yield from self._step(step, condition, values, (*place, count), depth, (*within, name))

    def _step(
        self,
        step: Mapping[str, Any],
        condition: str,
        values: Mapping[str, str],
        place: tuple[int, ...],
        depth: int,
        within: tuple[str, ...],
    ) -> Iterator[Line]:
        called = self.templates[step["template"]]
        passed = {
            one["name"]: _filled(str(one["value"]), values) for one in step.get("arguments", {}).get("parameters", [])
        }
        inputs = {f"inputs.parameters.{name}": value for name, value in (self._defaults(called) | passed).items()}
        said, number_of = f"if {condition}: " if condition else "", ".".join(map(str, place))
        if "steps" in called:
            name, before = step["name"], self.told.setdefault(called["name"], number_of)
            if called["name"] in within:
                yield Line(depth, number_of, said + self._again(passed))
            elif before != number_of:
                yield Line(depth, number_of, f"{said}{name}, as in {before}")
            else:
                yield Line(depth, number_of, f"{said}{name}:")
                yield from self.steps(called["name"], inputs, place, depth + 1, within)
        elif "suspend" in called:
            about, limit = _plain(passed.get("about", "")), _filled(passed.get("timeout", ""), inputs)
            how = (
                f"for {limit}: {about}; no answer is NO"
                if limit
                else f"until there is an answer, 30 days at most: {about}"
            )
            yield Line(depth, number_of, f"{said}ask a person, {how}")
        else:
            yield from self._pod(called, said, inputs, number_of, depth)

    def _pod(
        self, called: Mapping[str, Any], said: str, inputs: Mapping[str, str], place: str, depth: int
    ) -> Iterator[Line]:
        containers = called["containerSet"]["containers"] if "containerSet" in called else [called["container"]]
        beside = "meanwhile, " if called.get("daemon") else ""
        for index, container in enumerate(containers):
            name, options = container["args"][0], _options(container["args"][1:], inputs)
            told = ", ".join(f"{key} {options[key]}" for key in TOLD if options.get(key, "false") not in ("", "false"))
            text = f"{beside}{name}: {step_spec(name).summary}" + (f" ({told})" if told else "")
            yield Line(depth, place if index == 0 else "", (said if index == 0 else "") + text)
            if name in ENTERS:
                yield from (Line(depth + 1, "", line) for line in self.schedule.lines())

    def _again(self, passed: Mapping[str, str]) -> str:
        stage = passed.get("stage", "")
        return "the next stage" if stage.endswith("next-index}}") else "the same stage again"

    def _defaults(self, called: Mapping[str, Any]) -> dict[str, str]:
        inputs = called.get("inputs", {}).get("parameters", [])
        return {one["name"]: str(one.get("default", "")) for one in inputs}


def _filled(text: str, values: Mapping[str, str]) -> str:
    """The text with the variables that are known; outputs of steps are not, before these have run."""
    return VARIABLE.sub(lambda found: values.get(found["path"], found[0]), text)


def _condition(when: str) -> str | None:
    """What is still open of a condition, in words; None if it cannot come true."""
    still_open: dict[tuple[str, str], list[str]] = {}
    for clause in CLAUSE.finditer(when):
        if VARIABLE.search(clause["value"]):
            still_open.setdefault((_plain(clause["value"]), clause["sign"]), []).append(clause["expected"] or "empty")
        elif (clause["value"] == clause["expected"]) != (clause["sign"] == "=="):
            return None
    told = []
    for (subject, sign), words in still_open.items():
        how = "" if sign == "==" else "not " if len(words) == 1 else "none of "
        told.append(f"{subject} is {how}{', '.join(words)}")
    return " and ".join(told)


def _plain(text: str) -> str:
    """A text in which a variable stands for what it will say."""
    return VARIABLE.sub(lambda found: _words(found["path"]), text)


def _words(path: str) -> str:
    output = OUTPUT.fullmatch(path)
    return (
        f"the {output['name']} of {output['step']}"
        if output
        else path.removeprefix("workflow.parameters.").replace(".", " ")
    )


def _options(arguments: Sequence[str], inputs: Mapping[str, str]) -> dict[str, str]:
    given = (argument.removeprefix("--").partition("=") for argument in arguments)
    return {name: _plain(_filled(value, inputs)) for name, _, value in given}
