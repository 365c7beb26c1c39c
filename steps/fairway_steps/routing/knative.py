"""Knative Serving: ``ksvc/NAMESPACE/NAME``, whose versions are revisions. Percents alone; at 0 % a revision is off."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from fairway_steps.cluster import Manifest
from fairway_steps.errors import UsageError
from fairway_steps.model import Routes, Version
from fairway_steps.routing import revisions, traffic
from fairway_steps.routing.base import HEADER_MATCH, MIRROR, Capabilities
from fairway_steps.routing.stored import StoredRouter
from fairway_steps.workload.place import Place

FORMAT = 1
SERVED = "RoutesReady"


class KnativeRouter(StoredRouter):
    """The traffic of a Knative Service."""

    capabilities = Capabilities(
        weights=True,
        reasons={
            HEADER_MATCH: "a Knative Service splits by percents alone; ask a tag's own URL for the candidate, or put a route before it",
            MIRROR: "a Knative Service copies no requests",
        },
    )
    part = ("traffic",)
    mend_unknown = "the Service's traffic must be this release's revisions"

    def _placed(self, versions: Mapping[str, Version]) -> dict[str, Place]:
        return revisions.places(versions, self.ref.namespace)

    def _dead(self, names: Iterable[str]) -> list[str]:
        return revisions.not_ready(self.cluster, self._places, names)

    def _silent(self, name: str) -> str:
        return f"{self._places[name].ref} is not ready"

    def _says(self, found: Manifest) -> Routes:
        named = {name: at.ref.name for name, at in self._places.items()}
        return traffic.decode(_traffic(found), found.get("status") or {}, named)

    def _saying(self, found: Manifest, routes: Routes) -> dict[str, Any]:
        weights = {self._places[name].ref.name: share for name, share in routes.weights.items()}
        return {"traffic": traffic.encode(_traffic(found), found.get("status") or {}, weights)}

    def _take(self, found: Manifest) -> str:
        block = traffic.pinned(_traffic(found), found.get("status") or {})
        return json.dumps({"format": FORMAT, "kind": self.ref.kind, "name": self.ref.name, "traffic": block})

    def _back(self, snapshot: str, found: Manifest) -> dict[str, Any]:
        return {"traffic": traffic.put_back(self._parse(snapshot), _traffic(found))}

    def _only(self, found: Manifest, name: str) -> dict[str, Any]:
        return {"traffic": traffic.only(_traffic(found), self._places[name].ref.name)}

    def _not_taken_up(self, found: Manifest) -> str:
        status = found.get("status") or {}
        if int(status.get("observedGeneration", 0)) < int(found["metadata"].get("generation", 0)):
            return f"{self.ref}: its controller has not yet seen the newest spec"
        told = {one["type"]: one for one in status.get("conditions") or ()}.get(SERVED, {})
        if told.get("status") != "True":
            said = ": ".join(filter(None, (told.get("reason", ""), told.get("message", ""))))
            return f"{self.ref}: its condition {SERVED} is {told.get('status', 'not told yet')}" + f" ({said})" * bool(
                said
            )
        latest = str(status.get("latestReadyRevisionName", ""))
        wanted = revisions.shares(traffic.block(_traffic(found)), latest)
        served = revisions.shares(status.get("traffic") or (), latest)
        return "" if served == wanted else f"{self.ref} serves {json.dumps(served)}, not {json.dumps(wanted)}"

    def _parse(self, snapshot: str) -> list[dict[str, Any]]:
        try:
            saved = json.loads(snapshot)
            if (saved["format"], saved["kind"], saved["name"]) == (FORMAT, self.ref.kind, self.ref.name):
                return list(saved["traffic"])
        except (ValueError, LookupError, TypeError) as error:
            raise UsageError(f"this is no snapshot of {self.ref}") from error
        raise UsageError(f"this is no snapshot of {self.ref}")


def _traffic(found: Manifest) -> list[dict[str, Any]]:
    return list((found.get("spec") or {}).get("traffic") or [])
