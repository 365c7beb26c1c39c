"""Covers: the scenarios of tests/workflows run by a real workflow-controller end as they do on this machine: the same
nodes, types, phases and outputs. Argo is right by definition: where this fails, `local.py` is wrong.

Leaves out: messages, times, and the order among the steps of a group; and what a controller makes of a pod that it has
stopped and then misses, which depends on when it looks: Failed becomes Error, "pod deleted".
"""

import json

import pytest
import yaml

from fairway_workflows.argo import Images
from local_runs import SCENARIOS, run_scenario, scenario, summary
from on_cluster.kube import eventually, get, kubectl
from on_cluster.workflows import argo, ended, nodes, outputs, story

EXPECTED = yaml.safe_load((SCENARIOS.parent / "local_expected.yaml").read_text(encoding="utf-8"))
NAMES = sorted(path.stem for path in SCENARIOS.glob("*.yaml"))
DEPTH = "recursion-depth"


@pytest.fixture(scope="module")
def submitted(space):
    """All scenarios at once: the controller has most of its waits in common."""
    for name in NAMES:
        kubectl("create", "-n", space, "-f", "-", text=yaml.safe_dump(_here(scenario(name))))
    return space


def _here(document):
    """The scenario with an image that the cluster has, and the account that steps run as."""
    spec = document["spec"]
    spec["serviceAccountName"] = "fairway-releaser"
    for template in spec["templates"]:
        for container in [template.get("container"), *template.get("containerSet", {}).get("containers", [])]:
            if container:
                container |= {"image": Images().of("core"), "imagePullPolicy": "IfNotPresent"}
    return document


@pytest.mark.parametrize("name", [name for name in NAMES if name != DEPTH])
def test_argo_ends_it_as_this_machine_does(submitted, name):
    _act(submitted, name)
    found = ended(submitted, name, timeout=420)
    assert _summary(found) == EXPECTED[name], story(found)


def test_argo_cuts_recursion_at_the_same_depth(submitted, tmp_path):
    """Its hundred levels are in no file: they are compared with a run of this machine."""
    found = ended(submitted, DEPTH, timeout=420)
    assert _summary(found) == summary(run_scenario(DEPTH, tmp_path)), story(found)


def _act(namespace, name):
    """Do what the scenario's annotations say a person does: answer, or stop."""
    notes = scenario(name)["metadata"].get("annotations") or {}
    for step, answer in json.loads(notes.get("fairway.test/answers", "{}")).items():
        _await_node(namespace, name, step)
        given = [f"--output-parameter={key}={value}" for key, value in answer.items()]
        argo(namespace, "node", "set", name, f"--node-field-selector=displayName={step}", *given)
        argo(namespace, "resume", name, f"--node-field-selector=displayName={step}")
    if step := notes.get("fairway.test/stop-at"):
        _await_node(namespace, name, step)
        argo(namespace, "stop", name)


def _await_node(namespace, name, step):
    def seen():
        found = get(namespace, f"workflow/{name}")
        return any(one["displayName"] == step and one["phase"] == "Running" for one in nodes(found))

    eventually(seen, 300, why=f"{step} of {name} runs")


def _summary(found):
    """As `local_runs.summary` gives it."""
    workflow = found["metadata"]["name"]
    named = {one["name"].removeprefix(workflow) or "entry": one for one in nodes(found)}
    return {
        "phase": found["status"]["phase"],
        "nodes": {name: f"{one['type']} {_phase(one)}" for name, one in named.items()},
        "outputs": {name: told for name, one in named.items() if (told := outputs(one))},
    }


def _phase(one):
    return "Failed" if one.get("message") == "pod deleted" else one["phase"]
