"""Tekton's runs of the canary: made as the example says, followed until they end, read task by task."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from on_cluster.kube import eventually, get, items, kubectl

EXAMPLE = Path(__file__).parents[2] / "examples" / "canary-pipelinerun.yaml"


def create(namespace: str, pipeline: str = "canary-v1", **parameters: str) -> str:
    """`kubectl create` of the example with another Pipeline and other parameters: the run's name."""
    body = copy.deepcopy(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))
    body["spec"]["pipelineRef"] = {"name": pipeline}
    body["spec"]["params"] = [{"name": name.replace("_", "-"), "value": one} for name, one in parameters.items()]
    name = kubectl("create", "-n", namespace, "-o", "name", "-f", "-", text=json.dumps(body))
    return name.strip().rpartition("/")[2]


def run_of(namespace: str, name: str) -> dict[str, Any]:
    found = get(namespace, f"pipelinerun/{name}")
    assert found is not None, f"there is no run {name}"
    return found


def condition(found: Mapping[str, Any]) -> dict[str, Any]:
    conditions = found.get("status", {}).get("conditions") or [{}]
    return dict(conditions[0])


def ended(namespace: str, name: str, timeout: float = 600) -> dict[str, Any]:
    """The run once it has ended."""
    eventually(lambda: "completionTime" in run_of(namespace, name).get("status", {}), timeout, every=1, why=name)
    return run_of(namespace, name)


def tasks(namespace: str, name: str) -> dict[str, dict[str, Any]]:
    """The TaskRuns by the name of their task in the Pipeline."""
    found = items(namespace, "taskrun", f"tekton.dev/pipelineRun={name}")
    return {one["metadata"]["labels"]["tekton.dev/pipelineTask"]: one for one in found}


def skipped(found: Mapping[str, Any]) -> set[str]:
    return {one["name"] for one in found["status"].get("skippedTasks", [])}


def results(found: Mapping[str, Any]) -> dict[str, str]:
    """The results of a PipelineRun or a TaskRun."""
    status = found.get("status", {})
    return {one["name"]: one["value"] for one in status.get("results", [])}


def story(namespace: str, name: str) -> str:
    """What ran and how it ended, for the message of an assertion."""
    told = [
        f"{task}: {condition(one).get('message', '')} {json.dumps(results(one))}"
        for task, one in tasks(namespace, name).items()
    ]
    return "\n".join([str(condition(run_of(namespace, name)).get("message", "")), *told])
