"""Why pods do not run: what their statuses say, in the words of kubectl. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from fairway_steps.cluster import Manifest
from fairway_steps.workload.place import Place

STARTING = frozenset({"ContainerCreating", "PodInitializing"})
"""What every pod passes through: no reason to speak of."""
KSERVE = "serving.kserve.io/inferenceservice"


def labels_of(found: Manifest | None, at: Place) -> Mapping[str, str]:
    """What the pods of a version are labelled with; empty if that is not to be told."""
    if at.ref.kind == "InferenceService":
        return {KSERVE: at.ref.name}
    spec = (found or {}).get("spec") or {}
    if at.ref.kind == "Service" and not at.ref.group:
        return dict(spec.get("selector") or {})
    return dict((spec.get("selector") or {}).get("matchLabels") or {})


def reason(pods: Iterable[Manifest]) -> str:
    """The first trouble of the newest pod that has one; empty if none has."""
    newest = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), reverse=True)
    for pod in newest:
        status = pod.get("status") or {}
        if pod["metadata"].get("deletionTimestamp"):
            continue
        if sentence := _container(status) or _unscheduled(status):
            return f"pod {pod['metadata']['name']}: {sentence}"
    return ""


def _container(status: Mapping[str, Any]) -> str:
    every = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for one in every:
        state, last = one.get("state") or {}, (one.get("lastState") or {}).get("terminated") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if (kind := waiting.get("reason", "")) and kind not in STARTING:
            said = f" ({waiting['message']})" if waiting.get("message") else ""
            died = f", last exit code {last['exitCode']} ({last.get('reason', 'Error')})" if last else ""
            return f"container {one['name']}: {kind}{said}{died}"
        if ended and ended.get("exitCode", 0):
            return f"container {one['name']} ended with exit code {ended['exitCode']} ({ended.get('reason', 'Error')})"
    return ""


def _unscheduled(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"it is not scheduled: {condition.get('message', condition.get('reason', ''))}"
    return ""
