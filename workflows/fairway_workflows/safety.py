"""What every template and workflow carries so that a release ends safely: one place, applied to whatever is given.

Pods: the restricted Pod Security Standard, a service account with the least rights, requests and limits, a timeout, and
retries where a retry may help. Workflows: the exit handler, one release of a service at a time, a deadline, and clearing
up. What a template has already set is kept. Sources: Kubernetes' Pod Security Standards; the ``retries``,
``synchronization`` and ``cost-optimisation`` pages of Argo Workflows 3.7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata

from hera.workflows import WorkflowTemplate
from hera.workflows.models import (
    Backoff,
    Capabilities,
    Container,
    ContainerNode,
    EmptyDirVolumeSource,
    IntOrString,
    LabelValueFrom,
    Metadata,
    Mutex,
    PodGC,
    PodSecurityContext,
    ResourceRequirements,
    RetryStrategy,
    SeccompProfile,
    SecurityContext,
    Synchronization,
    Template,
    TTLStrategy,
    Volume,
    VolumeMount,
    WorkflowMetadata,
)
from hera.workflows.protocol import Templatable

from fairway_steps.schedule import DAY, LONGEST
from fairway_workflows.catalog import StepSpec, catalog

AnyTemplate = Templatable | Template

USER = 65532
RETRY = 'lastRetry.status == "Error" || asInt(lastRetry.exitCode) == 75 || asInt(lastRetry.exitCode) == 137'
"""What is transient, and what was killed (SIGKILL: out of memory, a node that goes): every step may be done again."""
RETRY_SET = " || ".join(
    [RETRY, *(f'lastRetry.message contains "{told} {code}"' for code in (75, 137) for told in ("(exit code", "code:"))]
)
"""A pod whose first container failed ends with the exit code 64 of ``main``, which never ran: only the message tells, of either."""
MEASURING = frozenset({"load-test"})
"""Steps that are not repeated silently: a second run changes what is measured."""
ASSESSING = f"{(LONGEST + DAY) // 3600}h"
"""What looks at a release's stages may do so for as long as they can last."""
TIMEOUTS: Mapping[str, str] = {"wait-for-ready": "2h", "load-test": "12h", "assess": ASSESSING, "ramp": ASSESSING}
TIMEOUT = "30m"
"""Of any other step: twice as long as a primary that is scaled up again, and what is retired, are waited for."""
RESOURCES: Mapping[str, Mapping[str, dict[str, str]]] = {
    "core": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"cpu": "500m", "memory": "256Mi"}},
    "assess": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
    "loadtest": {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
}
"""What a container asks for and may have, by image."""
FOLDERS: Mapping[str, str] = {"fairway": "/fairway", "tmp": "/tmp"}  # noqa: S108 - a mount of the pod's own
"""The folders a step may write to: emptyDirs, by the name of the volume."""


@dataclass(frozen=True, slots=True)
class Safety:
    """Deadline and time to live of a workflow, in seconds, and the service accounts of its pods.

    ``releaser`` may read and write what a release needs; ``reporter`` may only hand a pod's outputs to Argo.
    """

    version: str = metadata.version("fairway")
    deadline: int = LONGEST + 2 * DAY
    keep_succeeded: int = 86_400
    keep_failed: int = 604_800
    releaser: str = "fairway-releaser"
    reporter: str = "fairway-reporter"

    def labels(self, name: str) -> dict[str, str]:
        return {
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/version": self.version,
            "app.kubernetes.io/part-of": "fairway",
            "app.kubernetes.io/managed-by": "fairway",
        }


def secured(
    workflow: WorkflowTemplate, safety: Safety, *, on_exit: AnyTemplate | None = None, mutex: str = ""
) -> WorkflowTemplate:
    """The workflow with everything above, changed in place.

    ``on_exit`` is added to the templates (Hera would only write down its name). Without an entrypoint it is a library of templates, whose
    own deadline and exit handler Argo would ignore.
    """
    templates = built([*workflow.templates, *([on_exit] if on_exit else [])])
    workflow.templates = [_template(template, safety) for template in templates]
    workflow.labels = safety.labels(workflow.name or "") | (workflow.labels or {})
    workflow.service_account_name = workflow.service_account_name or safety.releaser
    if on_exit is not None:
        workflow.on_exit = templates[-1].name
    if workflow.entrypoint:
        workflow.active_deadline_seconds = workflow.active_deadline_seconds or safety.deadline
        workflow.ttl_strategy = workflow.ttl_strategy or TTLStrategy(
            seconds_after_success=safety.keep_succeeded,
            seconds_after_failure=safety.keep_failed,
        )
        workflow.pod_gc = workflow.pod_gc or PodGC(strategy="OnPodSuccess")
    if mutex:
        workflow.synchronization = Synchronization(mutexes=[Mutex(name=mutex)])
        workflow.workflow_metadata = WorkflowMetadata(
            labels_from={"app.kubernetes.io/instance": LabelValueFrom(expression="workflow.parameters.service")}
        )
    return workflow


def built(templates: Sequence[AnyTemplate]) -> list[Template]:
    """Hera's template objects as Argo's own."""
    spec = WorkflowTemplate(name="templates", templates=list(templates)).build().spec
    return list(getattr(spec, "templates", None) or [])


def _template(template: Template, safety: Safety) -> Template:
    """Harden a template that becomes a pod; steps and suspends have nothing to harden."""
    containers: list[Container | ContainerNode] = []
    if template.container is not None:
        containers = [template.container]
    elif template.container_set is not None:
        containers = [*template.container_set.containers]
    if not containers:
        return template
    specs = [spec for container in containers if (spec := _step(container))]
    for container in containers:
        _container(container)
    template.metadata = _metadata(template, safety)
    template.security_context = template.security_context or pod_security()
    template.volumes = [*(template.volumes or []), *_volumes(template)]
    template.service_account_name = template.service_account_name or (
        safety.releaser if any(spec.cluster for spec in specs) else safety.reporter
    )
    timeouts = [TIMEOUTS[spec.name] for spec in specs if spec.name in TIMEOUTS]
    template.timeout = template.timeout or max(timeouts, key=lambda hours: int(hours[:-1]), default=TIMEOUT)
    if template.retry_strategy is None and not template.daemon and not any(spec.name in MEASURING for spec in specs):
        template.retry_strategy = retries(RETRY_SET if len(containers) > 1 else RETRY)
    return template


def _container(container: Container | ContainerNode) -> None:
    spec = _step(container)
    resources = RESOURCES[spec.image if spec else "core"]
    container.resources = container.resources or ResourceRequirements.model_validate(resources)
    container.security_context = container.security_context or container_security()
    mounted = {mount.mount_path for mount in container.volume_mounts or []}
    container.volume_mounts = [
        *(container.volume_mounts or []),
        *(VolumeMount(name=name, mount_path=path) for name, path in FOLDERS.items() if path not in mounted),
    ]


def _step(container: Container | ContainerNode) -> StepSpec | None:
    """The step that a container runs, if it is one of ours."""
    if container.command != ["fairway"] or not container.args:
        return None
    return next((spec for spec in catalog() if spec.name == container.args[0]), None)


def _metadata(template: Template, safety: Safety) -> Metadata:
    own = template.metadata or Metadata()
    return Metadata(
        labels=safety.labels(template.name or "") | (own.labels or {}),
        annotations={"sidecar.istio.io/inject": "false"} | (own.annotations or {}),
    )


def _volumes(template: Template) -> list[Volume]:
    own = {volume.name for volume in template.volumes or []}
    return [Volume(name=name, empty_dir=EmptyDirVolumeSource()) for name in FOLDERS if name not in own]


def retries(expression: str) -> RetryStrategy:
    """At most three more attempts, after 5, 10 and 20 s, for what ``expression`` says may go better."""
    return RetryStrategy(
        limit=IntOrString(root="3"),
        retry_policy="Always",
        expression=expression,
        backoff=Backoff(duration="5s", factor=IntOrString(root="2"), cap="1m"),
    )


def pod_security() -> PodSecurityContext:
    return PodSecurityContext(
        run_as_non_root=True,
        run_as_user=USER,
        run_as_group=USER,
        fs_group=USER,
        seccomp_profile=SeccompProfile(type="RuntimeDefault"),
    )


def container_security() -> SecurityContext:
    return SecurityContext(
        allow_privilege_escalation=False,
        capabilities=Capabilities(drop=["ALL"]),
        read_only_root_filesystem=True,
        run_as_non_root=True,
        seccomp_profile=SeccompProfile(type="RuntimeDefault"),
    )
