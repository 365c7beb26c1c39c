"""kubectl, from within the lab's network namespace: objects are applied by the server, under one field manager."""

import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.places import KUBECONFIG
from lab.processes import inside, run

Objects = list[dict[str, Any]]
KUBECTL = Path(sys.executable).parent / "kubectl"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def kubectl(*command: str, text: str = "", timeout: float = 300) -> str:
    """Raises LabError with what kubectl said."""
    env = {"KUBECONFIG": str(KUBECONFIG), "PATH": os.environ.get("PATH", "")}
    return run(*inside(str(KUBECTL), *command), env=env, text=text, timeout=timeout)


def apply(objects: Iterable[Mapping[str, Any]]) -> None:
    text = yaml.dump_all([dict(each) for each in objects], Dumper=_DUMPER)
    kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=fairway-lab", "--filename=-", text=text)


def read(*paths: Path) -> Objects:
    """The objects in these files, and in the YAML files of these folders, each folder alone."""
    found: Objects = []
    for path in paths:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        for file in files:
            found += [each for each in yaml.load_all(file.read_bytes(), Loader=_LOADER) if each]
    return found


def kustomize(folder: Path) -> Objects:
    text = run(str(KUBECTL), "kustomize", str(folder))
    return [each for each in yaml.load_all(text, Loader=_LOADER) if each]


def await_rollout(namespace: str, *workloads: str, patience: int = 180) -> None:
    for workload in workloads:
        kubectl(
            "rollout", "status", workload, f"--namespace={namespace}", f"--timeout={patience}s", timeout=patience + 10
        )


def await_condition(condition: str, *what: str, patience: int = 120) -> None:
    kubectl("wait", f"--for=condition={condition}", f"--timeout={patience}s", *what, timeout=patience + 10)


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def account(name: str, namespace: str, role: str) -> Objects:
    """A ServiceAccount that has a ClusterRole everywhere."""
    full = f"{namespace}-{name}"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": full},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
    ]


def containers(each: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The containers of a workload's pods, to be changed in place; none for other kinds."""
    pod = each.get("spec", {}).get("template", {}).get("spec", {})
    return [*pod.get("initContainers", []), *pod.get("containers", [])]
