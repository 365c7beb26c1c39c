"""Why pods do not run: what their statuses say, in the words of kubectl. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
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
    if at.ref.kind == "LLMInferenceService":
        return {"app.kubernetes.io/name": at.ref.name, "app.kubernetes.io/part-of": "llminferenceservice"}
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


def crash(pods: Iterable[Manifest], since: float) -> str:
    """The first container that has ended since this moment (Unix time) in a pod that nobody asked to end; empty if none has."""
    for pod in pods:
        if pod["metadata"].get("deletionTimestamp"):
            continue
        for one in (pod.get("status") or {}).get("containerStatuses") or []:
            for ended in _endings(one):
                # A status tells whole seconds.
                if datetime.fromisoformat(ended["finishedAt"]).timestamp() >= int(since):
                    how = f"exit code {ended.get('exitCode', 0)}, {ended.get('reason', 'Error')}"
                    return f"pod {pod['metadata']['name']}: container {one['name']} ended under traffic ({how})"
    return ""


def _endings(container: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for state in ("state", "lastState"):
        ended = (container.get(state) or {}).get("terminated") or {}
        if ended.get("finishedAt"):
            yield ended


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
