"""How templates call one another: the few forms of steps, references and conditions that all strategies are built of."""

from collections.abc import Iterable, Mapping, Sequence

from hera.workflows import Parameter, Step, Steps

from fairway_workflows.argo import reference

ARGO = ">= 3.7.0"
MUTEX = "fairway-{{workflow.namespace}}-{{workflow.parameters.service}}"
ASKED = ("record", "release-id", "token")
"""What every step of a running release is given."""


def steps(name: str, inputs: Iterable[str], groups: Sequence[Sequence[Step]]) -> Steps:
    """A template of groups that run one after another; the steps of a group run side by side."""
    declared = [Parameter(name=name) for name in inputs]
    return Steps(name=name, inputs=declared or None, sub_steps=[[*group] for group in groups])


def step(name: str, template: str, arguments: Mapping[str, str], when: str = "") -> Step:
    return Step(name=name, template=template, arguments=dict(arguments), when=when or None)


def passed(*names: str) -> dict[str, str]:
    """The template's own inputs as arguments of the same names."""
    return {name: reference("inputs.parameters", name) for name in names}


def of_input(name: str) -> str:
    return reference("inputs.parameters", name)


def of_workflow(name: str) -> str:
    return reference("workflow.parameters", name)


def output(step: str, name: str) -> str:
    return reference(f"steps.{step}.outputs.parameters", name)


def equal(value: str, expected: str) -> str:
    """A condition. Both sides are quoted, for a bare word with a hyphen would be a subtraction."""
    return f"'{value}' == '{expected}'"


def none_of(value: str, expected: Iterable[str]) -> str:
    return " && ".join(f"'{value}' != '{one}'" for one in expected)


def annotations(title: str, description: str) -> dict[str, str]:
    """What Argo's UI shows of a template, and the versions of Argo it is for."""
    prefix = "workflows.argoproj.io"
    return {f"{prefix}/title": title, f"{prefix}/description": description, f"{prefix}/version": ARGO}
