"""Knative Services and InferenceServices in tests, over the cluster in memory and over a real API server with their own
definitions. In place of their controllers somebody writes the status that the spec leads to, as their sources do.
"""

import copy
import itertools
import json
import os
from collections.abc import Mapping
from typing import Any

from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.model import Version
from fairway_steps.routing.knative import KnativeRouter
from fairway_steps.routing.kserve import KServeRouter
from fairway_steps.routing.stored import StoredRouter
from fairway_steps.routing.traffic import block
from fakes_gateway import write_status

COUNT = itertools.count()
READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
Json = dict[str, Any]


class RevisionLab:
    """One object with revisions, all ready; the first has all traffic."""

    kind = ""
    back_end: type[StoredRouter]

    def __init__(self, cluster: Cluster, names: tuple[str, ...] = ("v1", "v2.1")) -> None:
        self.cluster = cluster
        mark = f"fw-{os.getpid()}-{next(COUNT)}"
        self.ref = Reference.of(self.kind, cluster.namespace, mark)
        self.revisions = {name: f"{mark}-0000{i}" for i, name in enumerate(names, 1)}
        self.versions = {n: Version(n, f"revision/{cluster.namespace}/{r}") for n, r in self.revisions.items()}
        for name in names:
            self.ready(name)
        self.first, *_, self.last = self.revisions.values()
        cluster.create(self.ref, self.manifest())
        self.reconcile()

    def ready(self, name: str, *, ready: bool = True) -> None:
        """Make a version's revision ready, or not."""
        ref = Reference.of("revision", self.cluster.namespace, self.revisions[name])
        if self.cluster.get(ref) is None:
            self.cluster.create(ref, {"spec": {"containers": [{"image": "example.invalid/model:1"}]}})
        self.status(ref, {"conditions": [READY | {"status": "True" if ready else "False"}]})

    def manifest(self) -> Manifest:
        raise NotImplementedError

    def reconcile(self) -> None:
        """Do what the controller does with the spec as it is."""
        raise NotImplementedError

    def foreign(self) -> object:
        raise NotImplementedError

    def add_unknown(self) -> None:
        raise NotImplementedError

    def stored(self) -> Json:
        found = self.cluster.get(self.ref)
        assert found is not None
        return copy.deepcopy(dict(found))

    def edit(self, patch: Manifest) -> None:
        """Change the object as somebody else."""
        getattr(self.cluster, "edit", self.cluster.patch)(self.ref, patch)

    def status(self, ref: Reference, status: Mapping[str, Any]) -> None:
        write_status(self.cluster, ref, {"status": status})

    def spec(self) -> object:
        return self.stored()["spec"]

    def close(self) -> None:
        self.cluster.delete(self.ref)
        for revision in self.revisions.values():
            self.cluster.delete(Reference.of("revision", self.cluster.namespace, revision))


class KnativeLab(RevisionLab):
    """A Knative Service with tags of its user."""

    kind, back_end = "ksvc", KnativeRouter

    def manifest(self) -> Manifest:
        traffic = [
            {"revisionName": self.first, "latestRevision": False, "percent": 100, "tag": "stable"},
            {"latestRevision": True, "tag": "newest"},
        ]
        template = {"spec": {"containers": [{"image": "example.invalid/model:2"}]}}
        return {
            "metadata": {"annotations": {"theirs": "1"}, "labels": {"app": "iris"}},
            "spec": {"template": template, "traffic": traffic},
        }

    def reconcile(self, created: str = "", **conditions: str) -> None:
        found = self.stored()
        told = [
            {"type": kind, "status": conditions.get(kind, "True"), "lastTransitionTime": READY["lastTransitionTime"]}
            for kind in ("RoutesReady", "Ready")
        ]
        traffic = []
        for target in block(found["spec"].get("traffic") or []):
            follows = bool(target.get("latestRevision"))
            revision = self.last if follows else target["revisionName"]
            traffic.append({**target, "revisionName": revision, "latestRevision": follows})
        status = {
            "observedGeneration": found["metadata"]["generation"],
            "latestReadyRevisionName": self.last,
            "latestCreatedRevisionName": created or self.last,
            "conditions": told,
            "traffic": traffic,
        }
        self.status(self.ref, status)

    def foreign(self) -> object:
        found = self.stored()
        metadata, spec = found["metadata"], found["spec"]
        tags = [{k: v for k, v in target.items() if k != "percent"} for target in spec["traffic"] if target.get("tag")]
        annotations = {k: v for k, v in metadata["annotations"].items() if not k.startswith("fairway/")}
        return annotations, metadata["labels"], spec["template"], tags

    def add_unknown(self) -> None:
        stored = self.stored()["spec"]["traffic"]
        stored[0]["percent"] = 60
        self.edit({"spec": {"traffic": [*stored, {"revisionName": "other", "latestRevision": False, "percent": 40}]}})


NOT_COPIED = (
    "autoscaling.knative.dev/min-scale",
    "autoscaling.knative.dev/max-scale",
    "internal.serving.kserve.io/storage-initializer-sourceuri",
    "kubectl.kubernetes.io/last-applied-configuration",
    "serving.knative.dev/rollout-duration",
    "serving.knative.openshift.io/enablePassthrough",
)
"""Annotations of an InferenceService that are not in its revisions' template; the last two KServe puts on the Knative Service."""


class KServeLab(RevisionLab):
    """An InferenceService in mode Knative whose candidate was applied together with canaryTrafficPercent 0."""

    kind, back_end = "inferenceservice", KServeRouter
    mode = "Knative"
    _template = ""

    @property
    def service(self) -> Reference:
        """The Knative Service of its predictor."""
        return Reference.of("ksvc", self.ref.namespace, f"{self.ref.name}-predictor")

    def manifest(self) -> Manifest:
        model = {"modelFormat": {"name": "sklearn"}, "storageUri": "pvc://models/iris"}
        return {
            "metadata": {"annotations": {"theirs": "1"}, "labels": {"app": "iris"}},
            "spec": {"predictor": {"model": model, "minReplicas": 1, "canaryTrafficPercent": 0}},
        }

    def reconcile(self, created: str = "") -> None:
        """Twice, as the second time sees what the first has written."""
        if self.mode == "Knative":
            self._roll_out()
        for _ in range(2):
            found = self.stored()
            before = (found.get("status") or {}).get("components", {}).get("predictor", {})
            self.status(self.ref, self._status(found["spec"]["predictor"], before, created or self.last))

    def _roll_out(self) -> None:
        """Make a revision of a template that has changed: in it is all that is in the InferenceService but the percent and what is ``NOT_COPIED``.

        Annotations of the Knative Service that are not KServe's own stay as they are (components/predictor.go and reconcilers/knative/ksvc_reconciler.go in
        https://github.com/kserve/kserve/tree/v0.15.2/pkg/controller/v1beta1/inferenceservice).
        """
        found = self.stored()
        notes = {k: v for k, v in found["metadata"]["annotations"].items() if k not in NOT_COPIED}
        model = {k: v for k, v in found["spec"]["predictor"].items() if k != "canaryTrafficPercent"}
        template = json.dumps([notes, found["metadata"]["labels"], model], sort_keys=True)
        if self._template == template:
            return
        if self._template:
            self.last = self.revisions[template] = f"{self.ref.name}-{len(self.revisions) + 1:05}"
            self.ready(template)
        else:
            containers = [{"image": "example.invalid/model:1"}]
            self.cluster.create(self.service, {"spec": {"template": {"spec": {"containers": containers}}}})
        self._template = template

    def close(self) -> None:
        super().close()
        self.cluster.delete(self.service)

    def _status(self, spec: Json, before: Json, created: str) -> Json:
        percent = spec.get("canaryTrafficPercent")
        rolled, previous = (
            before.get("latestRolledoutRevision", self.first),
            before.get("previousRolledoutRevision", ""),
        )
        traffic = [{"revisionName": self.last, "latestRevision": True, "percent": 100 if percent is None else percent}]
        if percent is not None and percent < 100:
            traffic.append({"revisionName": rolled, "latestRevision": False, "percent": 100 - percent})
        if rolled != self.last and percent in (None, 100):
            rolled, previous = self.last, rolled
        elif rolled == self.last and created == self.last and percent not in (None, 100) and previous:
            rolled = previous
        predictor = {
            "latestCreatedRevision": created,
            "latestReadyRevision": self.last,
            "latestRolledoutRevision": rolled,
            "previousRolledoutRevision": previous,
            "traffic": traffic,
        }
        return {"deploymentMode": self.mode, "components": {"predictor": predictor}}

    def foreign(self) -> object:
        found = self.stored()
        predictor = {k: v for k, v in found["spec"]["predictor"].items() if k != "canaryTrafficPercent"}
        annotations = {k: v for k, v in found["metadata"]["annotations"].items() if not k.startswith("fairway/")}
        return annotations, found["metadata"]["labels"], found["spec"] | {"predictor": predictor}

    def add_unknown(self) -> None:
        found = self.stored()["status"]
        found["components"]["predictor"]["latestRolledoutRevision"] = "other"
        self.status(self.ref, found)


class StandardLab(KServeLab):
    """An InferenceService in mode Standard, where the field is ignored."""

    mode = "Standard"


REVISIONS: Mapping[str, type[RevisionLab]] = {lab.kind: lab for lab in (KnativeLab, KServeLab)}
