"""Gateway API: ``httproute/NAMESPACE/NAME`` and ``grpcroute/NAMESPACE/NAME``.

The rules of a route are one atomic list: server-side apply would own all of it, so our part is changed in the list just
read (``stored``). A backend without a share leaves the route. Several services may share a route, each with its own release.
"""

import logging
import secrets
from dataclasses import replace
from typing import Any

from fairway_steps.cluster import Manifest, Reference
from fairway_steps.errors import DomainError, Refused
from fairway_steps.model import HeaderMatch, Routes
from fairway_steps.routing import conditions, rules, targets, wayback
from fairway_steps.routing.base import COMPARED, STICKY, Capabilities, Unknown
from fairway_steps.routing.gateway_wayback import RULES
from fairway_steps.routing.last_way import alone
from fairway_steps.routing.rules import Around
from fairway_steps.routing.stored import StoredRouter

LOG = logging.getLogger(__name__)
GATEWAY = ("gateway.networking.k8s.io", "v1", "Gateway")

CLASS = ("gateway.networking.k8s.io", "v1", "GatewayClass")
MIRRORING, PERCENTAGE = "HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror"
"""Names of features: https://gateway-api.sigs.k8s.io/geps/gep-2162/."""
POINTED = "x-fairway-mirror"
"""The header that nobody sends: its value is drawn for each mirror."""


class GatewayRouter(StoredRouter):
    """A route of a Gateway."""

    capabilities = Capabilities(
        weights=True,
        header_match=True,
        mirror=True,
        reasons={STICKY: "Gateway API has no stable field that keeps a user on one version of a split"},
    )
    part = ("rules",)
    shared = True
    _programmed = False

    @property
    def _around(self) -> Around:
        return Around(self.service, self._places, self.ref.namespace)

    def _says(self, found: Manifest) -> Routes:
        return rules.decode(_rules(found), self._around)

    def _saying(self, found: Manifest, routes: Routes) -> dict[str, Any]:
        return {"rules": rules.encode(_rules(found), routes, self._around)}

    def _take(self, found: Manifest) -> str:
        return wayback.take(self.ref, self.service, found, RULES)

    def _back(self, snapshot: str, found: Manifest) -> dict[str, Any]:
        back = wayback.put_back(self.ref, self.service, snapshot, found, self._around.version, RULES)
        return {"rules": back}

    def _only(self, found: Manifest, name: str) -> dict[str, Any]:
        return {"rules": alone(_rules(found), name, self._around, RULES)}

    def _first(self, found: Manifest, parts: dict[str, Any]) -> dict[str, Any] | None:
        leaving = rules.parked(_rules(found), parts["rules"], self._around, secrets.token_hex(16), POINTED)
        return {"rules": [*parts["rules"], *leaving]} if leaving else None

    def _preflight(self, found: Manifest, routes: Routes) -> None:
        """There must be room, what is pointed at, leave to point at it, and a Gateway that has mirrors."""
        wanted = self._encoded(found, routes)["rules"]
        if more := rules.beyond(wanted):
            raise Refused(
                f"{self.ref} would have {more}",
                mend="leave out the stage that needs a rule of its own (a header match, a mirror of gRPC), or divide the route",
            )
        for namespace, service, port in sorted(self._around.targets(wanted)):
            targets.refuse_missing(self.cluster, self.ref, namespace, service, port)
            targets.refuse_ungranted(self.cluster, self.ref, namespace, service)
        self._refuse_unmirrored(found, routes)

    def _refuse_unmirrored(self, found: Manifest, routes: Routes) -> None:
        """A Gateway may take up a mirror that it does not implement: one answers 500 to all requests of its rule.

        There is no feature of GRPCRoutes' mirrors: a Gateway that has none of HTTPRoutes has none of them.
        """
        if routes.mirror is None:
            return
        needed = [MIRRORING, *([PERCENTAGE] if routes.mirror.percent < 100 else [])]
        for gateway in self._gateways(found):
            class_name = str((gateway.get("spec") or {}).get("gatewayClassName", ""))
            told = self._features(class_name)
            if told and (missing := [name for name in needed if name not in told]):
                raise Refused(
                    f"{self.ref} cannot carry a mirror: the GatewayClass {class_name} does not tell {missing[0]} among its "
                    "supportedFeatures",
                    mend="leave the mirror out, or use a Gateway that implements it",
                )

    def _features(self, class_name: str) -> set[str]:
        """What the class says that it implements; empty where it says nothing, or not to us."""
        try:
            found = self.cluster.get(Reference(*CLASS, "", class_name)) if class_name else None
        except DomainError as error:
            LOG.debug("the GatewayClass is not for us to see: %s", error)
            return set()
        told = ((found or {}).get("status") or {}).get("supportedFeatures") or ()
        return {str(one["name"]) if isinstance(one, dict) else str(one) for one in told}

    def _gateways(self, found: Manifest) -> list[Manifest]:
        """The route's Gateways, as far as there are any that we may see."""
        seen: list[Manifest] = []
        for parent in found["spec"].get("parentRefs") or ():
            try:
                at = Reference(*GATEWAY, parent.get("namespace", self.ref.namespace), parent["name"])
                seen += filter(None, [self.cluster.get(at)])
            except DomainError as error:
                LOG.debug("the Gateway is not for us to see: %s", error)
        return seen

    def _kept(self, tried: Manifest, routes: Routes) -> None:
        try:
            kept = self._says(tried) == routes
        except Unknown:
            kept = False
        if not kept:
            raise Refused(
                f"{self.ref} does not keep header matches or mirrors: the cluster's Gateway API is too old",
                mend="install Gateway API 1.4 or newer",
            )

    def _not_taken_up(self, found: Manifest) -> str:
        return conditions.route_trouble(found) or self._unprogrammed(found)

    def _unprogrammed(self, found: Manifest) -> str:
        """Whether the Gateways' proxies are there at all; asked until they are, where we may ask."""
        for parent in () if self._programmed else found["spec"].get("parentRefs") or ():
            if parent.get("kind", "Gateway") != "Gateway":
                continue
            at = Reference(*GATEWAY, parent.get("namespace", self.ref.namespace), parent["name"])
            try:
                gateway = self.cluster.get(at)
            except DomainError as error:
                LOG.info("not checked: whether the proxies of %s run; this account may not read it (%s)", at, error)
                continue
            if gateway is None:
                return f"there is no {at}"
            if trouble := conditions.gateway_trouble(gateway):
                return trouble
        self._programmed = True
        return ""


class GrpcRouter(GatewayRouter):
    """A route of a Gateway for gRPC.

    Envoy Gateway (1.6) looks up the Services that a GRPCRoute's rules point at, and not those of its mirrors: it then takes up no rule of the
    route, and answers `unimplemented` to all calls. So a version that gets copies has a rule, too, of a header that nobody sends.
    """

    capabilities = replace(
        GatewayRouter.capabilities,
        compared=False,
        reasons={
            **GatewayRouter.capabilities.reasons,
            COMPARED: "a collector speaks HTTP/1.1, and compares no gRPC answers",
        },
    )

    def _says(self, found: Manifest) -> Routes:
        """Without the rule that points at a mirror's version; one of them without the other is told as it stands."""
        routes = super()._says(found)
        asked = replace(routes, matches=tuple(one for one in routes.matches if one.name != POINTED))
        pointed = [one.version for one in routes.matches if one.name == POINTED]
        if pointed == ([routes.mirror.version] if routes.mirror else []):
            return asked
        return routes if pointed else replace(routes, mirror=None)

    def _saying(self, found: Manifest, routes: Routes) -> dict[str, Any]:
        """With a rule that points at the version that gets copies, for a value that no user can guess."""
        if routes.mirror:
            there = [one.value for one in super()._says(found).matches if one.name == POINTED]
            match = HeaderMatch(POINTED, (there or [secrets.token_hex(16)])[0], routes.mirror.version)
            routes = replace(routes, matches=(*routes.matches, match))
        return super()._saying(found, routes)


def _rules(found: Manifest) -> list[dict[str, Any]]:
    return list((found.get("spec") or {}).get("rules") or [])
