"""Whether what is deployed is ready, by its status: pure. An empty answer is yes, a sentence says why not.

A status speaks of the generation that its controller has observed. Deployments are judged as ``kubectl rollout status``
does it; for a kind that Fairway does not know the conditions are given as data,
and one without any is judged by its replicas.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fairway_steps.cluster import Manifest
from fairway_steps.workload.place import Place

READY = ("Ready",)
UNASKED = ("none",)
"""Instead of conditions: the object is there, and its endpoints alone say whether it is ready."""


def trouble(found: Manifest | None, at: Place) -> str:
    """Why the object is not ready."""
    if found is None:
        return f"there is no {at.ref}"
    if found["metadata"].get("deletionTimestamp"):
        return f"{at.ref} is being deleted"
    if at.ref.kind == "Service" and not at.ref.group:
        return ""
    status = found.get("status") or {}
    generation = int(found["metadata"].get("generation", 0))
    if at.ref.kind != "InferenceService":  # whose controller leaves it behind for ever (KServe 0.20, Standard mode)
        missing = 0 if at.ref.kind == "Deployment" else generation
        if int(status.get("observedGeneration", missing)) < generation:
            return f"{at.ref}: its controller has not yet seen the newest spec"
    if (at.ref.group, at.ref.kind) == ("apps", "Deployment"):
        sentence = _deployment(found.get("spec") or {}, status)
    elif at.ref.kind == "InferenceService":
        sentence = "; ".join(filter(None, (_conditions(status, generation, at.conditions or READY), _model(status))))
    elif at.conditions == UNASKED:
        sentence = ""
    elif not at.conditions and "readyReplicas" in status and not status.get("conditions"):
        sentence = _replicas(found.get("spec") or {}, status)
    else:
        sentence = _conditions(status, generation, at.conditions or READY)
    return f"{at.ref}: {sentence}" if sentence else ""


def _deployment(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    wanted, updated = int(spec.get("replicas", 1)), int(status.get("updatedReplicas", 0))
    available, every = int(status.get("availableReplicas", 0)), int(status.get("replicas", 0))
    for condition in status.get("conditions") or []:
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return f"it did not progress in time: {condition.get('message', '')}"
    if wanted == 0:
        return "it is scaled to 0"
    if updated < wanted:
        return f"{updated} of {wanted} pods are up to date"
    if every > updated:
        return f"{every - updated} old pods are still there"
    return f"{available} of {wanted} pods are available" if available < wanted else ""


def _replicas(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    """Of a kind without conditions that counts its pods, as a StatefulSet or a ReplicaSet does."""
    wanted, ready = int(spec.get("replicas", 1)), int(status["readyReplicas"])
    if wanted == 0:
        return "it is scaled to 0"
    updating = status.get("updateRevision", "") != status.get("currentRevision", "")
    if updating and (updated := int(status.get("updatedReplicas", 0))) < wanted:
        return f"{updated} of {wanted} pods are up to date"
    return f"{ready} of {wanted} pods are ready" if ready < wanted else ""


def _conditions(status: Mapping[str, Any], generation: int, needed: Sequence[str]) -> str:
    told = {condition["type"]: condition for condition in status.get("conditions") or []}
    for kind in needed:
        condition = told.get(kind)
        if condition is None:
            return f"its condition {kind} is not told yet"
        if int(condition.get("observedGeneration", generation)) < generation:
            return f"its condition {kind} is told of an older generation"
        if condition["status"] != "True":
            said = ": ".join(filter(None, (condition.get("reason", ""), condition.get("message", ""))))
            return f"its condition {kind} is {condition['status']}" + (f" ({said})" if said else "")
    return ""


def _model(status: Mapping[str, Any]) -> str:
    """KServe says Ready while an update is still rolling, or has failed; the model's own status tells.

    https://kserve.github.io/website/docs/reference/crd-api#modelstatus
    """
    model = status.get("modelStatus") or {}
    transition = model.get("transitionStatus", "UpToDate")
    if transition in ("UpToDate", ""):
        return ""
    failure = (model.get("lastFailureInfo") or {}).get("message", "")
    return f"its model is {transition}" + (f": {failure}" if failure else "")
