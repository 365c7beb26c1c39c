"""A routing group of LLMInferenceServices in tests, over the cluster in memory and over a real API server with KServe's own
definition. In place of KServe somebody writes the status that the members' weights lead to, as its sources do.
"""

import copy
import itertools
import os
from typing import Any

from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.model import Version
from fairway_steps.routing.kserve_llm import LlmRouter
from fakes_gateway import write_endpoints, write_status

COUNT = itertools.count()
KIND = "llminferenceservice"
SINCE = "2026-01-01T00:00:00Z"


class LlmLab:
    """One group; the first member has all traffic, by the weight its owner gave it."""

    back_end = LlmRouter

    def __init__(self, cluster: Cluster, names: tuple[str, ...] = ("v1", "v2.1")) -> None:
        self.cluster = cluster
        mark = f"fw-{os.getpid()}-{next(COUNT)}"
        self.ref = Reference.of(KIND, cluster.namespace, mark)
        self.members = {name: f"{mark}-{letter}" for name, letter in zip(names, "abcdefgh", strict=False)}
        self.versions = {
            name: Version(name, f"{KIND}/{cluster.namespace}/{member}?service={member}-kserve-workload-svc&port=8000")
            for name, member in self.members.items()
        }
        self.slices = [write_endpoints(cluster, f"{member}-kserve-workload-svc") for member in self.members.values()]
        for weight, member in zip((9, *(0 for _ in names[1:])), self.members.values(), strict=True):
            self.add(member, weight)
        self.reconcile()

    def add(self, member: str, weight: int, model: str = "iris") -> None:
        spec = {
            "model": {"uri": "pvc://models/iris", "name": model},
            "router": {"route": {"group": self.ref.name, "weight": weight}, "scheduler": {}},
        }
        metadata = {"annotations": {"theirs": "1"}, "labels": {"app": "iris"}}
        self.cluster.create(self.at(member), {"metadata": metadata, "spec": spec})

    def at(self, member: str) -> Reference:
        return Reference.of(KIND, self.cluster.namespace, member)

    def every(self) -> dict[str, Any]:
        """The members by name, as they are stored."""
        found = self.cluster.list(Reference.of(KIND, self.cluster.namespace))
        mine = [copy.deepcopy(dict(one)) for one in found if one["spec"]["router"]["route"]["group"] == self.ref.name]
        return {one["metadata"]["name"]: one for one in mine}

    def weights(self) -> dict[str, int]:
        return {name: one["spec"]["router"]["route"]["weight"] for name, one in self.every().items()}

    def reconcile(self, **conditions: str) -> None:
        """Do what KServe does with the members as they are."""
        group = {"name": self.ref.name, "members": [{"name": n, "weight": w} for n, w in self.weights().items()]}
        for name, one in self.every().items():
            told = [
                {"type": kind, "status": conditions.get(kind, "True"), "message": "why", "lastTransitionTime": SINCE}
                for kind in ("Ready", "RouterReady", "GroupReady")
            ]
            status = {
                "observedGeneration": one["metadata"]["generation"],
                "conditions": told,
                "router": {"group": group},
            }
            write_status(self.cluster, self.at(name), {"status": status})

    def edit(self, member: str, patch: Manifest) -> None:
        """Change a member as somebody else."""
        getattr(self.cluster, "edit", self.cluster.patch)(self.at(member), patch)

    def foreign(self) -> object:
        """All of the members that is not ours."""
        kept = []
        for one in self.every().values():
            one["spec"]["router"]["route"].pop("weight")
            notes = {k: v for k, v in one["metadata"]["annotations"].items() if not k.startswith("fairway/")}
            kept.append((one["metadata"]["name"], one["metadata"]["labels"], notes, one["spec"]))
        return kept

    def spec(self) -> object:
        return {name: one["spec"] for name, one in self.every().items()}

    def add_unknown(self) -> None:
        self.add(f"{self.ref.name}-other", 3)

    def close(self) -> None:
        for ref in [*map(self.at, self.every()), *self.slices]:
            self.cluster.delete(ref)
