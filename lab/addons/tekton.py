"""Tekton Pipelines: controller, webhook and events of its own manifests; no resolvers, for nothing is fetched here."""

from pathlib import Path

from lab.binaries import TEKTON
from lab.images import StaticImage
from lab.kubectl import Objects, apply, await_condition, await_rollout, containers, kubectl, read
from lab.processes import wait_until
from lab.progress import LabError

NAMESPACE = "tekton-pipelines"
WORKLOADS = ("tekton-pipelines-controller", "tekton-pipelines-webhook", "tekton-events-controller")


def image(program: str) -> str:
    return f"fairway.lab/tekton-{program}:{TEKTON.version}"


def images() -> list[StaticImage]:
    """Programs lie under /ko-app, as in the images of a release: the controller copies one of them from there."""
    found = []
    for program in TEKTON.programs:
        files: dict[str, Path | str] = {f"/ko-app/{program}": TEKTON.program(program)}
        found.append(StaticImage(image(program), files, (f"/ko-app/{program}",), env={"PATH": "/ko-app"}))
    return found


def install() -> None:
    objects = _objects()
    first = [each for each in objects if each["kind"] in {"Namespace", "CustomResourceDefinition"}]
    apply(first)
    apply(each for each in objects if each not in first)


def ready() -> None:
    """Its webhook has to have put its certificate into its own configuration, too."""
    await_rollout(NAMESPACE, *(f"deployment/{name}" for name in WORKLOADS))
    await_condition("Established", "crd/tasks.tekton.dev", "crd/pipelines.tekton.dev")
    if not wait_until(_answers, 60, every=0.5):
        raise LabError("Tekton's webhook has no certificate in its configuration after 60 s")


def _answers() -> bool:
    path = "--output=jsonpath={.webhooks[0].clientConfig.caBundle}{.webhooks[0].rules}"
    return all(
        kubectl("get", kind, name, path).startswith("LS0t")
        for kind, name in (
            ("validatingwebhookconfiguration", "validation.webhook.pipeline.tekton.dev"),
            ("mutatingwebhookconfiguration", "webhook.pipeline.tekton.dev"),
        )
    )


def _objects() -> Objects:
    config = TEKTON.folder / "config"
    objects = read(config / "100-namespace", config / "300-crds", config)
    for each in objects:
        for container in containers(each):
            program = container["image"].rpartition("/")[2]
            container |= {"image": image(program), "imagePullPolicy": "Never", "resources": {}}
            container["args"] = [_replaced(arg) for arg in container.get("args", [])]
            if "readinessProbe" in container:
                container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 1}
    return [each for each in objects if each["kind"] != "HorizontalPodAutoscaler"]


def _replaced(arg: str) -> str:
    """Images by the names that the node has; the shell's is used for scripts alone, and no step of ours is one."""
    if arg.startswith("ko://"):
        return image(arg.rpartition("/")[2])
    return image("nop") if "busybox" in arg or "powershell" in arg else arg
