"""Argo Workflows: its controller from its own `cluster-install`, with default settings; no server, the CLI needs none."""

from pathlib import Path

from lab.binaries import ARGO
from lab.images import StaticImage
from lab.kubectl import Objects, apply, await_condition, await_rollout, containers, kubectl, kustomize, namespace

NAMESPACE = "argo"
CONTROLLER = f"fairway.lab/workflow-controller:{ARGO.version}"
EXECUTOR = f"fairway.lab/argoexec:{ARGO.version}"


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


def restart() -> None:
    """Kill the controller's pod, as a node that dies would, and wait for the next one."""
    kubectl("delete", "pod", f"--namespace={NAMESPACE}", "--selector=app=workflow-controller", "--now")
    ready()


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
            }
    return objects
