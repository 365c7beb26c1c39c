"""The scenarios that a real Argo can run, too: node types, phases and outputs, as read off its controller's source.

``local_expected.yaml`` holds what each ends with. Whether a live workflow-controller agrees is for the end-to-end suite, which
runs the same files. Left out: messages, times, and order among the steps of a group, in which Argo gives no promise.
"""

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairway_workflows.local import NodeType, Phase
from fairway_workflows.local.interpreter import MAX_DEPTH
from local_runs import SCENARIOS, engine, run_scenario, scenario, summary

EXPECTED: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "local_expected.yaml").read_text(encoding="utf-8"))
SLOW = {"too-long"}


def test_every_scenario_is_expected_to_end_somehow():
    assert sorted(path.stem for path in SCENARIOS.glob("*.yaml")) == sorted(EXPECTED)
    assert len(EXPECTED) >= 15


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - SLOW - {"recursion-depth"}))
def test_a_scenario_ends_as_argo_would_end_it(name, tmp_path):
    assert summary(run_scenario(name, tmp_path)) == EXPECTED[name]


@pytest.mark.parametrize("name", ["retry-until-success", "container-set", "suspend-answered"])
def test_nothing_is_left_in_the_control_folder(name, tmp_path):
    run_scenario(name, tmp_path)
    assert not (tmp_path / "control").exists()


def test_a_step_over_its_deadline_fails(tmp_path):
    document = scenario("too-long")
    document["spec"]["templates"][1]["activeDeadlineSeconds"] = 1
    result = engine(document, tmp_path, name="too-long").run()
    assert summary(result) == EXPECTED["too-long"]
    assert "deadline" in result.find("long")[0].message


def test_recursion_is_cut_at_argos_depth(tmp_path):
    result = run_scenario("recursion-depth", tmp_path)
    nodes = list(result.nodes.values())
    steps = [node for node in nodes if node.type is NodeType.STEPS]
    errors = [node for node in nodes if node.phase is Phase.ERROR]
    assert result.phase is Phase.FAILED
    assert len(steps) == MAX_DEPTH - 1
    assert [node.type for node in errors] == [NodeType.SKIPPED]
    assert "recursion depth" in errors[0].message
    assert all(node.phase is Phase.FAILED for node in nodes if node not in errors)


def test_attempts_wait_as_long_as_the_backoff_says(tmp_path):
    result = run_scenario("retry-until-success", tmp_path)
    retry = result.find("flaky")[0]
    attempts = retry.children
    gaps = [later.started - (earlier.finished or 0.0) for earlier, later in itertools.pairwise(attempts)]
    assert retry.retries == 2
    assert gaps == pytest.approx([1.0, 2.0], abs=0.2)
