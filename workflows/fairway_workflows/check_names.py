"""Names and fixed words that the API server or the controllers refuse.

Sources: RFC 1123 by way of Kubernetes' "Object names and IDs"; Argo Workflows' ``workflow/validate`` and the documentation of
its fields; Tekton's documentation of Tasks.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fairway_steps.cli import nearest
from fairway_workflows.findings import Document, items, section

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
TEMPLATE = re.compile(r"[A-Za-z0-9][-A-Za-z0-9]{0,127}")
ARGO_PARAMETER = re.compile(r"[-A-Za-z0-9_]+")
TEKTON_PARAM = re.compile(r"[A-Za-z_][-A-Za-z0-9_.]*")
TEKTON_RESULT = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
LONGEST = {"CronWorkflow": 52, "Workflow": 63, "WorkflowTemplate": 63, "ClusterWorkflowTemplate": 63}
"""Argo puts the name into a label of each pod; that of a cron workflow gets a time stamp behind it."""
WORDS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("podGC", "strategy"): ("OnPodCompletion", "OnPodSuccess", "OnWorkflowCompletion", "OnWorkflowSuccess"),
    ("retryStrategy", "retryPolicy"): ("Always", "OnFailure", "OnError", "OnTransientError"),
    ("spec", "concurrencyPolicy"): ("Allow", "Forbid", "Replace"),
    ("seccompProfile", "type"): ("RuntimeDefault", "Localhost", "Unconfined"),
    ("container", "imagePullPolicy"): ("Always", "IfNotPresent", "Never"),
    ("containers", "imagePullPolicy"): ("Always", "IfNotPresent", "Never"),
    ("steps", "imagePullPolicy"): ("Always", "IfNotPresent", "Never"),
}
"""Fields of text that are one of a few words, by the field around them and their own name."""
DURATIONS = frozenset({"timeout", "duration", "maxDuration", "cap", "deleteDelayDuration"})
GO_DURATION = re.compile(r"\d+|(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+")
"""What Go's ``time.ParseDuration`` takes, and a bare number of seconds, as Argo does."""


def name_problems(document: Document) -> Iterator[str]:
    """What is wrong with the names of the resource and of its labels."""
    metadata = section(document.body, "metadata")
    name, prefix = (str(metadata.get(key) or "") for key in ("name", "generateName"))
    if not (name or prefix):
        yield "it has no metadata.name"
    elif not SUBDOMAIN.fullmatch(name or prefix.rstrip("-.") or "-"):
        yield f"metadata.name {name or prefix!r} is not one that Kubernetes takes: small letters, digits, '-' and '.', a letter or digit first and last"
    elif len(name or prefix) > LONGEST.get(document.kind, 253):
        yield f"metadata.name {name or prefix!r} is longer than {LONGEST.get(document.kind, 253)} characters"
    for label, value in section(metadata, "labels").items():
        if not isinstance(value, str) or not LABEL_VALUE.fullmatch(value):
            yield f"label {label} has the value {value!r}; it must be text of at most 63 letters, digits, '-', '_' and '.'"


def argo_names(template: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the names of a template, its steps, parameters and containers."""
    called = [item for group in template.get("steps") or [] if isinstance(group, list) for item in items(group)]
    called += items(template, "dag", "tasks")
    yield from _unlike(TEMPLATE, "template", [template])
    yield from _unlike(TEMPLATE, "step", called)
    for side in ("inputs", "outputs"):
        yield from _unlike(ARGO_PARAMETER, side.removesuffix("s"), items(template, side, "parameters"))
    yield from _unlike(LABEL, "container", items(template, "containerSet", "containers"))


def tekton_names(spec: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the names of params, results and steps."""
    yield from _unlike(TEKTON_PARAM, "param", items(spec, "params"))
    yield from _unlike(TEKTON_RESULT, "result", items(spec, "results"))
    yield from _unlike(LABEL, "step", [step for step in items(spec, "steps") if step.get("name")])


def _unlike(pattern: re.Pattern[str], what: str, named: list[Mapping[str, Any]]) -> Iterator[str]:
    for item in named:
        name = str(item.get("name") or "")
        if not pattern.fullmatch(name):
            yield f"{what} {name!r} has a name that is refused" if name else f"a {what} has no name"


def word_problems(value: Any, inside: str = "spec") -> Iterator[str]:
    """Fields that must be one of a few words or a duration, and are not."""
    if isinstance(value, list):
        for item in value:
            yield from word_problems(item, inside)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            known = WORDS.get((inside, str(key)), ())
            if isinstance(item, str) and "{{" not in item and "$(" not in item:
                if known and item not in known:
                    yield f"{inside}.{key} is {item!r}, which is not one of {', '.join(known)}{nearest(item, known)}"
                elif key in DURATIONS and not GO_DURATION.fullmatch(item):
                    yield f"{inside}.{key} is {item!r}, which is not a duration such as 30s or 1h"
            if key not in ("arguments", "inputs", "outputs", "params", "labels", "annotations"):
                yield from word_problems(item, str(key))
