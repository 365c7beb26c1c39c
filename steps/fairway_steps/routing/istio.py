"""Istio: ``virtualservice/NAMESPACE/NAME``.

Versions are hosts, subsets of a DestinationRule, or models of a ModelMesh (``destinations``). Several services may share a
VirtualService, each with its own release: the fencing token and the names of our http routes are the service's.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fairway_steps.cluster import Manifest, Reference
from fairway_steps.errors import DomainError, Refused
from fairway_steps.model import Routes, Version
from fairway_steps.routing import targets, virtual_service, wayback
from fairway_steps.routing.base import STICKY, Capabilities
from fairway_steps.routing.destinations import same_host
from fairway_steps.routing.last_way import alone
from fairway_steps.routing.stored import StoredRouter
from fairway_steps.routing.virtual_service import Around
from fairway_steps.routing.virtual_wayback import HTTP_ROUTES
from fairway_steps.workload.place import Place, backends

RULES = ("networking.istio.io", "v1", "DestinationRule")
RECONCILED = "Reconciled"
ROOT = "istio-system"
"""Istio's root namespace, whose DestinationRules count for every namespace (unless it is configured to be another)."""
LOG = logging.getLogger(__name__)


class IstioRouter(StoredRouter):
    """The http routes of a VirtualService that are ``service``'s."""

    capabilities = Capabilities(
        weights=True,
        header_match=True,
        mirror=True,
        reasons={
            STICKY: "Istio keeps users on a pod (a DestinationRule's consistentHash), not on a version of a weighted split"
        },
    )
    part = ("http",)
    shared = True
    mend_unknown = "an http route's destinations must be this release's versions"
    grace = 2.0

    @property
    def _around(self) -> Around:
        return Around(self.service, self._places, self.ref.namespace)

    def apply(self, routes: Routes, versions: Mapping[str, Version], *, fence: int = 0) -> Routes:
        """As every back end's, but that names of headers are lower case in a VirtualService."""
        matches = tuple(replace(match, name=match.name.lower()) for match in routes.matches)
        return super().apply(replace(routes, matches=matches), versions, fence=fence)

    def _placed(self, versions: Mapping[str, Version]) -> dict[str, Place]:
        return backends(versions, shared=True)

    def _says(self, found: Manifest) -> Routes:
        return virtual_service.decode(found.get("spec") or {}, self._around)

    def _saying(self, found: Manifest, routes: Routes) -> dict[str, Any]:
        return {"http": virtual_service.encode(found["spec"], routes, self._around)}

    def _take(self, found: Manifest) -> str:
        return wayback.take(self.ref, self.service, found, HTTP_ROUTES)

    def _back(self, snapshot: str, found: Manifest) -> dict[str, Any]:
        back = wayback.put_back(self.ref, self.service, snapshot, found, self._around.version, HTTP_ROUTES)
        return {"http": back}

    def _only(self, found: Manifest, name: str) -> dict[str, Any]:
        """Also of the routes that are not split: their traffic reaches versions, too."""
        spec = found.get("spec") or {}
        return {
            part: alone(spec[part], name, self._around, HTTP_ROUTES)
            for part in ("http", "tls", "tcp")
            if spec.get(part)
        }

    def _preflight(self, found: Manifest, routes: Routes) -> None:
        """There must be room, every host, and every subset: who is sent to one that is not there is answered by 503."""
        for namespace, service, port in sorted(self._around.targets(self._encoded(found, routes)["http"])):
            targets.refuse_missing(self.cluster, self.ref, namespace, service, port)
        for name in sorted(routes.versions()):
            at = self._places[name]
            if at.subset and (known := self._subsets(at)) is not None and at.subset not in known:
                raise Refused(
                    f"no DestinationRule of {at.service} has the subset {at.subset}, which is version {name}",
                    mend="make it first: who is sent to a subset that is not defined gets 503",
                )

    def _subsets(self, at: Place) -> set[str] | None:
        """The subsets of a version's Service, as far as they are for us to see; None where its own namespaces are not."""
        rules: list[Manifest] = []
        for space in sorted({self.ref.namespace, at.ref.namespace, ROOT}):
            try:
                rules += self.cluster.list(Reference(*RULES, space))
            except DomainError as error:
                if space != ROOT:
                    LOG.warning("whether %s has the subset %s is not for us to see: %s", at.service, at.subset, error)
                    return None
        return {
            subset["name"]
            for rule in rules
            if same_host(str(rule["spec"].get("host", "")), at, rule["metadata"]["namespace"])
            for subset in rule["spec"].get("subsets") or ()
        }

    def _kept(self, tried: Manifest, routes: Routes) -> None:
        if not virtual_service.says(tried["spec"], routes, self._around):
            raise Refused(
                f"{self.ref} does not keep header matches or mirrors: the cluster's Istio is too old",
                mend="install an Istio that knows `mirrorPercentage` (1.4 or newer)",
            )

    def _not_taken_up(self, found: Manifest) -> str | None:
        """What istiod says of it, if it is configured to (PILOT_ENABLE_STATUS)."""
        status = found.get("status") or {}
        for said in status.get("validationMessages") or ():
            if said.get("level") in ("ERROR", 3):
                return f"istiod says of it: {(said.get('type') or {}).get('name', 'it is not valid')}"
        told = {one["type"]: one for one in status.get("conditions") or ()}.get(RECONCILED)
        if told is None:
            return None
        if int(status.get("observedGeneration", 0)) < int(found["metadata"].get("generation", 0)):
            return f"{RECONCILED} is told of an older generation"
        return "" if told["status"] == "True" else f"istiod says of it: {told.get('message', 'not reconciled')}"
