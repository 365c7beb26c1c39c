"""Versions in a cluster, as the ends of a release treat them: scaled, deleted, copied, kept from deletion.

A Deployment is scaled by its replicas, what is KServe's by its own ``serving.kserve.io/stop``
(https://kserve.github.io/website/docs/model-serving/predictive-inference/stop-and-resume); what was there before is noted
beside it, so that the next release can take it up again.
"""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from fairway_steps.clock import Clock
from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.errors import Conflict, DomainError, FairwayError, NotReady, TransientError, UsageError
from fairway_steps.model import Policy, Version
from fairway_steps.workload.place import Place, is_placed, place
from fairway_steps.workload.probe import ClusterProbe
from fairway_steps.workload.standby import shrinks

LOG = logging.getLogger(__name__)
FINALIZER = "fairway/traffic"
REPLICAS = "fairway/replicas"
STOP = "serving.kserve.io/stop"
STOPPED = "fairway/stopped"
MODE = "serving.kserve.io/deploymentMode"
STOPPABLE = ("InferenceService", "LLMInferenceService")
ATTEMPTS = 8
COPYABLE = ("Deployment",)
"""An InferenceService does not tell which generation is ready (KServe 0.20): a copy could get the traffic before it is one."""


class ClusterWorkloads:
    """The workloads of a cluster; versions that are URLs are nobody's to touch."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster, self._clock = cluster, clock

    def wake(self, version: Version) -> bool:
        if not is_placed(version):
            return False
        at = place(version)
        found = self._cluster.get(at.ref)
        noted = (found or {}).get("metadata", {}).get("annotations", {})
        if _is_deployment(at) and found and found["spec"].get("replicas") == 0 and noted.get(REPLICAS, "").isdecimal():
            self._cluster.patch(at.ref, {"spec": {"replicas": int(noted[REPLICAS])}, **_noted({REPLICAS: None})})
            LOG.info("%s is scaled to %s again", at.ref, noted[REPLICAS])
            return True
        if _is_kserves(at) and STOPPED in noted:
            self._cluster.patch(at.ref, _noted({STOP: None, STOPPED: None}))
            LOG.info("%s is started again", at.ref)
            return True
        return False

    def size(self, version: Version) -> int:
        at = place(version) if is_placed(version) else None
        try:
            found = self._cluster.get(at.deployment) if at and at.deployment else None
        except FairwayError as error:
            LOG.debug("how many replicas %s has is not for us to see: %s", version.name, error)
            return 0
        return int(found["spec"].get("replicas", 1)) if found else 0

    def revive(self, version: Version, replicas: int) -> bool:
        ref = place(version).deployment if is_placed(version) else None
        if ref is None or self._cluster.get(ref) is None:
            return False
        wanted = {"spec": {"replicas": max(1, replicas)}}
        if self._change(ref, lambda found: wanted if found["spec"].get("replicas") == 0 else None):
            LOG.warning("%s was at 0 replicas; it is scaled to %d", ref, max(1, replicas))
        return True

    def guard(self, version: Version) -> None:
        for ref in _objects(version):
            self._finalizers(ref, lambda names: names if FINALIZER in names else [*names, FINALIZER], alive=True)

    def unguard(self, version: Version) -> None:
        for ref in _objects(version):
            self._finalizers(ref, lambda names: [name for name in names if name != FINALIZER], alive=False)

    def carried(self, version: Version) -> str:
        at = place(version)
        _must_be_known(at)
        found = self._cluster.get(at.ref)
        if found is None:
            raise DomainError(f"there is no {at.ref}")
        return json.dumps(found["spec"]["template"])

    def carry(self, version: Version, spec: str) -> None:
        at, wanted = place(version), json.loads(spec)
        _must_be_known(at)

        def patch(found: Manifest) -> Manifest:
            now = found["spec"]["template"]
            labels = (now.get("metadata") or {}).get("labels") or {}
            template = {**wanted, "metadata": {**(wanted.get("metadata") or {}), "labels": labels}}
            return {"spec": {"template": replacing(now, template)}}

        self._change(at.ref, patch)

    def await_ready(self, version: Version, timeout: float, beat: Callable[[], None]) -> None:
        probe, deadline, said = ClusterProbe(self._cluster), self._clock.now() + timeout, ""
        while sentence := probe(version):
            beat()
            if self._clock.now() >= deadline:
                raise NotReady(f"not ready within {timeout:g} s: {sentence}")
            if sentence != said:
                LOG.info("waiting: %s", sentence)
            said = sentence
            probe.pause(1.0)

    def tell(self, version: Version, reason: str, message: str, *, warning: bool = False) -> None:
        if is_placed(version):
            self._cluster.event(place(version).ref, reason, message, warning=warning)

    def shrinks(self, version: Version) -> str:
        return shrinks(self._cluster, version)

    def retire(self, version: Version, policy: Policy) -> str:
        if policy is Policy.KEEP or not is_placed(version):
            return ""
        at = place(version)
        if policy is Policy.DELETE:
            gone = self._cluster.delete(at.ref)
            return f"{at.ref} is deleted" if gone else ""
        if _is_deployment(at):
            return self._scale_down(at)
        if _is_kserves(at) and not self._is_in_modelmesh(at):
            stopped = self._change(
                at.ref, lambda found: None if STOP in _notes(found) else _noted({STOP: "true", STOPPED: "true"})
            )
            return f"{at.ref} is stopped" if stopped else ""
        LOG.warning("%s is kept: Fairway does not know how to scale a %s down", at.ref, at.ref.kind)
        return ""

    def _is_in_modelmesh(self, at: Place) -> bool:
        """Whether it is a ModelMesh's, whose controller does not read ``STOP``."""
        return _notes(self._cluster.get(at.ref) or {"metadata": {}}).get(MODE) == "ModelMesh"

    def _scale_down(self, at: Place) -> str:
        def patch(found: Manifest) -> Manifest | None:
            replicas = int(found["spec"].get("replicas", 1))
            return {"spec": {"replicas": 0}, **_noted({REPLICAS: str(replicas)})} if replicas else None

        return f"{at.ref} is scaled to 0" if self._change(at.ref, patch) else ""

    def _finalizers(self, ref: Reference, change: Callable[[list[str]], list[str]], *, alive: bool) -> None:
        def patch(found: Manifest) -> Manifest | None:
            before = list(found["metadata"].get("finalizers") or [])
            after = change(before)
            if after == before or (alive and found["metadata"].get("deletionTimestamp")):
                return None
            return {"metadata": {"finalizers": after or None}}

        try:
            self._change(ref, patch)
        except FairwayError as error:
            LOG.warning(
                "%s is not kept from deletion: %s" if alive else "%s is still kept from deletion: %s", ref, error
            )

    def _change(self, ref: Reference, patch: Callable[[Manifest], Manifest | None]) -> bool:
        """Patch what was just read, if there is it and a change; whether there was."""
        for attempt in range(ATTEMPTS):
            found = self._cluster.get(ref)
            wanted = patch(found) if found else None
            if not found or not wanted:
                return False
            try:
                self._cluster.patch(ref, wanted, resource_version=found["metadata"]["resourceVersion"])
            except Conflict:
                self._clock.sleep(0.05 * 2**attempt)
                continue
            return True
        raise TransientError(f"{ref} is written by others all the time")


def replacing(now: Any, wanted: Any) -> Any:
    """The merge patch (RFC 7386) that makes ``wanted`` of ``now``: what is not wanted is nulled."""
    if not isinstance(now, Mapping) or not isinstance(wanted, Mapping):
        return wanted
    gone: dict[str, Any] = {key: None for key in now if key not in wanted}
    return gone | {key: replacing(now.get(key), value) for key, value in wanted.items() if now.get(key) != value}


def _objects(version: Version) -> list[Reference]:
    """The objects whose deletion ends a version: what is deployed, and its Service."""
    if not is_placed(version):
        return []
    at = place(version)
    own = [at.ref] if at.ref.kind != "Service" or at.ref.group else []
    return [*own, at.backend] if not _is_kserves(at) else own


def _is_deployment(at: Place) -> bool:
    return (at.ref.group, at.ref.kind) == ("apps", "Deployment")


def _is_kserves(at: Place) -> bool:
    return at.ref.group == "serving.kserve.io" and at.ref.kind in STOPPABLE


def _must_be_known(at: Place) -> None:
    if not _is_deployment(at):
        raise UsageError(
            f"no copy of a {at.ref.kind} can be made", mend="promote it where it stands: --promotion route"
        )


def _noted(annotations: Mapping[str, str | None]) -> dict[str, Any]:
    return {"metadata": {"annotations": dict(annotations)}}


def _notes(found: Manifest) -> Mapping[str, str]:
    return found["metadata"].get("annotations") or {}
