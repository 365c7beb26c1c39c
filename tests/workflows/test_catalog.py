"""The catalog: what is read from the commands, and that a template which passes every default says nothing new.

Left out: what the steps do with their options (tests/steps/cli).
"""

import tomllib
from pathlib import Path

import click
import pytest

from fairway_steps.cli.params import FLAG, Option
from fairway_steps.cli.step import Answer, StepCommand, step
from fairway_steps.outputs import Output
from fairway_workflows.catalog import Param, StepSpec, catalog, read, step_spec

ROOT = Path(__file__).parents[2]


@step(
    "sample",
    outputs=[Output("verdict", "hold", "What was found.")],
    failure="it cannot be",
    example="fairway sample --service iris",
    image="assess",
    cluster=False,
    mutates=True,
)
@click.option("--header", multiple=True, cls=Option, help="Sent along.")
@click.option("--loud", type=FLAG, default="false", cls=Option, help="Say more.")
@click.option("--mode", type=click.Choice(["a", "b"]), cls=Option, help="Which.")
@click.option("--count", type=int, default=3, cls=Option, help="How many.")
@click.option("--service", required=True, cls=Option, help="What clients call.")
def sample(**values: object) -> Answer:
    """Look at a thing,
    once.

    More about it.
    """
    return Answer({})


def test_a_command_is_read_whole_but_for_its_plumbing():
    assert isinstance(sample, StepCommand)
    assert read(sample) == StepSpec(
        name="sample",
        summary="Look at a thing, once.",
        description="Look at a thing,\nonce.\n\nMore about it.",
        params=(
            Param("header", "text", "Sent along.", multiple=True),
            Param("loud", "true|false", "Say more.", default="false", choices=("true", "false")),
            Param("mode", "choice", "Which.", choices=("a", "b")),
            Param("count", "integer", "How many.", default="3"),
            Param("service", "text", "What clients call.", required=True),
            Param("dry-run", "true|false", "Say what would be done; do nothing.", "false", choices=("true", "false")),
        ),
        outputs=(Output("verdict", "hold", "What was found."),),
        image="assess",
        cluster=False,
        mutates=True,
        example="fairway sample --service iris",
    )


def test_what_may_be_given_several_times_is_no_input():
    assert isinstance(sample, StepCommand)
    assert [param.name for param in read(sample).inputs] == ["loud", "mode", "count", "service", "dry-run"]


def test_every_step_of_the_entry_points_is_in_the_catalog():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["fairway.commands"]
    steps = {name for name, module in table.items() if module.startswith("fairway_steps.")} - {
        "check-metrics",
        "collector",
        "envoy",
        "intervene",
        "plan",
        "stats",
    }
    assert {spec.name for spec in catalog()} == steps
    assert [spec.name for spec in catalog()] == sorted(steps)
    assert step_spec("set-weights").name == "set-weights"


@pytest.mark.parametrize("spec", catalog(), ids=lambda spec: spec.name)
def test_a_step_tells_what_a_reader_of_its_template_needs(spec):
    assert spec.summary.endswith(".")
    assert spec.image in ("core", "assess", "loadtest")
    assert f"fairway {spec.name}" in spec.example
    assert all(param.help for param in spec.params)
    assert all(output.help for output in spec.outputs)


@pytest.mark.parametrize("spec", catalog(), ids=lambda spec: spec.name)
def test_passing_every_default_is_the_same_as_passing_nothing(spec, step_commands):
    required = [f"--{param.name}={example(param)}" for param in spec.params if param.required]
    every = [f"--{param.name}={param.default}" for param in spec.inputs if not param.required]
    command = step_commands[spec.name]
    with (
        command.make_context("fairway", list(required)) as bare,
        command.make_context("fairway", required + every) as full,
    ):
        assert full.params == bare.params


EXAMPLES = {
    "version": "v1=http://127.0.0.1:1",
    "versions": "v2=http://127.0.0.1:2",
    "slos": "[{metric: error-rate, limit: 1%}]",
}


def example(param: Param) -> str:
    return param.choices[0] if param.choices else EXAMPLES.get(param.type, "10@1s")


@pytest.fixture
def step_commands():
    from importlib import metadata

    entries = metadata.distribution("fairway").entry_points.select(group="fairway.commands")
    return {entry.name: entry.load() for entry in entries if entry.module.startswith("fairway_steps.")}
