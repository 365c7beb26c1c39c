"""Argo's workflows: submitted as people do, followed until they end, read node by node."""

import json
import subprocess
from collections.abc import Mapping
from typing import Any

from on_cluster.kube import eventually, get

ENDED = {"Succeeded", "Failed", "Error"}


def argo(namespace: str, *command: str, timeout: float = 120) -> str:
    done = subprocess.run(
        ["argo", "-n", namespace, *command], capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"argo {' '.join(command)}\n{done.stderr}"
    return done.stdout


def submit(namespace: str, template: str, **parameters: str) -> str:
    """`argo submit --from workflowtemplate/…`: the workflow's name."""
    given = [word for name, value in parameters.items() for word in ("-p", f"{name.replace('_', '-')}={value}")]
    return argo(namespace, "submit", "--from", f"workflowtemplate/{template}", *given, "-o", "name").strip()


def workflow(namespace: str, name: str) -> dict[str, Any]:
    found = get(namespace, f"workflow/{name}")
    assert found is not None, f"there is no workflow {name}"
    return found


def phase(namespace: str, name: str) -> str:
    return str(workflow(namespace, name).get("status", {}).get("phase", ""))


def ended(namespace: str, name: str, timeout: float = 600) -> dict[str, Any]:
    """The workflow once it has ended."""
    eventually(lambda: phase(namespace, name) in ENDED, timeout, every=1, why=f"workflow {name} has ended")
    return workflow(namespace, name)


def nodes(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(found.get("status", {}).get("nodes", {}).values())


def node(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The node of a display name that ran, with its tries under it; groups of steps may have its name, too."""
    ran = [each for each in nodes(found) if each["displayName"] == name and each["type"] in {"Retry", "Pod"}]
    (one,) = [each for each in ran if each["phase"] != "Skipped"]
    return one


def outputs(one: Mapping[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in one.get("outputs", {}).get("parameters", []) if "value" in each}


def story(found: Mapping[str, Any]) -> str:
    """What ran and how it ended, for the message of an assertion."""
    told = [f"{each['displayName']}: {each['phase']} {each.get('message', '')}" for each in nodes(found)]
    return json.dumps(found.get("status", {}).get("message", "")) + "\n" + "\n".join(told)
