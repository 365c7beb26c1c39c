"""Argo Workflows: its controller from its own `cluster-install`; no server, the CLI needs none.

In a default install the controller takes up what has happened to a workflow ten seconds later, so that tests would wait more
than releases take. Here it does so after one; `as_installed` measures what users have.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.binaries import ARGO
from lab.images import StaticImage
from lab.kubectl import Objects, apply, await_condition, await_rollout, containers, kubectl, kustomize, namespace
from lab.processes import wait_until
from lab.progress import LabError

NAMESPACE = "argo"
CONTROLLER = f"fairway.lab/workflow-controller:{ARGO.version}"
EXECUTOR = f"fairway.lab/argoexec:{ARGO.version}"
REQUEUE = {"name": "DEFAULT_REQUEUE_TIME", "value": "1s"}


def images() -> list[StaticImage]:
    controller: dict[str, Path | str] = {"/bin/workflow-controller": ARGO.program("workflow-controller")}
    executor: dict[str, Path | str] = {
        "/bin/argoexec": ARGO.program("argoexec"),
        "/etc/nsswitch.conf": "hosts: files dns\n",
        "/etc/mime.types": "text/html html\n",
    }
    return [
        StaticImage(CONTROLLER, controller, ("workflow-controller",), user="8737"),
        StaticImage(EXECUTOR, executor, ("argoexec",), user=""),
    ]


def install() -> None:
    objects = _objects()
    definitions = [each for each in objects if each["kind"] == "CustomResourceDefinition"]
    apply([namespace(NAMESPACE), *definitions])
    apply(each for each in objects if each not in definitions)


def ready() -> None:
    await_rollout(NAMESPACE, "deployment/workflow-controller")
    await_condition("Established", "crd/workflows.argoproj.io", "crd/workflowtemplates.argoproj.io")


@contextmanager
def as_installed() -> Iterator[None]:
    """The controller with Argo's own settings, as long as it is entered."""
    _set(f"{REQUEUE['name']}-")
    try:
        yield
    finally:
        _set(f"{REQUEUE['name']}={REQUEUE['value']}")


def _set(variable: str) -> None:
    kubectl("set", "env", f"--namespace={NAMESPACE}", "deployment/workflow-controller", variable)
    ready()
    if not wait_until(_leads, 60, every=0.5):
        raise LabError("Argo's new controller has not taken over from the old one after 60 s")


def _leads() -> bool:
    """Whether the only controller there is holds the lease: until then it does nothing."""
    about = f"--namespace={NAMESPACE}"
    pods = kubectl(
        "get", "pods", about, "--selector=app=workflow-controller", "--output=jsonpath={.items[*].metadata.name}"
    )
    return pods == kubectl("get", "lease/workflow-controller", about, "--output=jsonpath={.spec.holderIdentity}")


def _objects() -> Objects:
    """Its own manifests, without the server, and with the images that the node has."""
    objects = [
        each
        for each in kustomize(ARGO.folder / "manifests" / "cluster-install")
        if not each["metadata"]["name"].startswith("argo-server")
    ]
    for each in objects:
        for container in containers(each):
            container |= {
                "image": CONTROLLER,
                "imagePullPolicy": "Never",
                "args": ["--executor-image", EXECUTOR, "--executor-image-pull-policy", "Never"],
                "env": [*container.get("env", []), REQUEUE],
            }
    return objects
