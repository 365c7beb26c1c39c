"""Gateway API: ``httproute/NAMESPACE/NAME`` and ``grpcroute/NAMESPACE/NAME``.

The rules of a route are one atomic list: server-side apply would own all of it. So what is ours is changed in the list
just read, and written only if the object is still the one that was read; otherwise it is read and changed again, and
nobody's edit is lost. A backend gets a share only with ready endpoints, and one without a share leaves the route.
"""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fairway_steps.clock import Clock
from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.errors import Conflict, DomainError, Fenced, NotReady, Refused, TransientError, UsageError
from fairway_steps.model import Routes, Version
from fairway_steps.routing import conditions, rules, wayback
from fairway_steps.routing.base import Capabilities, Served
from fairway_steps.workload.endpoints import ready_endpoints
from fairway_steps.workload.place import backends

LOG = logging.getLogger(__name__)
FENCE = "fairway/fence"
ATTEMPTS = 8
PAUSE = 0.05
GATEWAY = ("gateway.networking.k8s.io", "v1", "Gateway")


class GatewayRouter:
    """The route ``ref`` between ``versions``, by their names.

    ``counters`` tells what the versions have served so far, where a source of metrics does.
    """

    capabilities = Capabilities(weights=True, header_match=True, mirror=True)

    def __init__(
        self,
        ref: Reference,
        versions: Mapping[str, Version],
        cluster: Cluster,
        clock: Clock,
        *,
        counters: Callable[[], Served | None] = lambda: None,
    ) -> None:
        self.ref, self.cluster, self.clock = ref, cluster, clock
        self.trouble = ""
        self._places, self._counters = backends(versions), counters
        self._asked: Routes | None = None
        self._programmed = False

    def read(self) -> Routes:
        return self._decoded(self._found())

    def apply(self, routes: Routes, versions: Mapping[str, Version], *, fence: int = 0) -> Routes:
        """Make ``routes`` the stored ones. Raises NotReady, the route untouched, if a version has no ready endpoints."""
        self._places |= backends(versions)
        self._check(routes)
        for attempt in range(ATTEMPTS):
            found = self._found()
            self._decoded(found)
            token = self._fenced(found, fence)
            after = rules.encode(found["spec"]["rules"], routes, self._places, self.ref.namespace)
            patch: dict[str, Any] = {"spec": {"rules": after}, "metadata": {"annotations": {FENCE: str(token)}}}
            if after == found["spec"]["rules"] and token == _fence(found):
                break
            try:
                self._write(patch, found["metadata"]["resourceVersion"], routes)
            except Conflict as error:
                LOG.info("%s: trying again (%d)", error.message, attempt + 1)
                self.clock.sleep(PAUSE * 2**attempt)
                continue
            break
        else:
            raise TransientError(f"{self.ref} is written by others all the time")
        self._asked = routes
        return self.read()

    def fence(self) -> int:
        return _fence(self._found())

    def settled(self) -> bool | None:
        found = self._found()
        if self._asked is not None and (now := self._decoded(found)) != self._asked:
            self.trouble = f"something else has changed the route: it now holds {_shares(now)}"
            return False
        self.trouble = conditions.route_trouble(found) or self._unprogrammed(found)
        return not self.trouble

    def served(self) -> Served | None:
        return self._counters()

    def snapshot(self) -> str:
        found = self._found()
        self._decoded(found)
        return wayback.take(self.ref, found)

    def restore(self, snapshot: str, *, fence: int = 0) -> Routes:
        """Put a snapshot's backends back into the rules they stood in, and take everything of ours out."""
        for attempt in range(ATTEMPTS + 1):
            found = self._found()
            token = self._fenced(found, fence)
            services = {(at.ref.namespace, at.service) for at in self._places.values()}
            back = wayback.put_back(self.ref, snapshot, found, services)
            self._must_be_ready(back)
            patch = {"spec": {"rules": back}, "metadata": {"annotations": {FENCE: str(token)}}}
            last = attempt == ATTEMPTS  # then it is written whatever somebody else writes: users are waiting
            try:
                self.cluster.patch(
                    self.ref, patch, resource_version="" if last else found["metadata"]["resourceVersion"]
                )
            except Conflict:
                self.clock.sleep(PAUSE * 2**attempt)
                continue
            break
        self._asked = None
        return self.read()

    def _found(self) -> Manifest:
        found = self.cluster.get(self.ref)
        if found is None:
            raise Refused(f"there is no {self.ref}", mend="make the route first, with the primary as its backend")
        return found

    def _decoded(self, found: Manifest) -> Routes:
        try:
            return rules.decode((found.get("spec") or {}).get("rules") or [], self._places, self.ref.namespace)
        except rules.Unknown as error:
            raise Refused(
                f"{self.ref} has {error}", mend="a rule's backends must be the Services of this release's versions"
            ) from error

    def _check(self, routes: Routes) -> None:
        weights = routes.weights.values()
        if sum(weights) != 100 or min(weights, default=0) < 1:
            raise UsageError(f"weights {dict(routes.weights)} are not whole percents from 1 that add up to 100")
        if routes.sticky:
            raise Refused(f"{self.ref} cannot keep a user on one version: Gateway API has no stable field for it")
        for name in sorted(routes.versions()):
            if name not in self._places:
                raise UsageError(f"the routes name version {name}, but nothing says where it is")
        for name in self._dead(routes.versions()):
            raise NotReady(
                f"{name} gets no traffic: the Service {self._places[name].service} has no ready endpoints",
                mend="wait for it with `fairway wait-for-ready`",
            )

    def _write(self, patch: Manifest, resource_version: str, routes: Routes) -> None:
        if routes.matches or routes.mirror:
            tried = self.cluster.patch(self.ref, patch, resource_version=resource_version, dry_run=True)
            if not rules.says(tried["spec"]["rules"], routes, self._places, self.ref.namespace):
                raise Refused(
                    f"{self.ref} does not keep header matches or mirrors: the cluster's Gateway API is too old",
                    mend="install Gateway API 1.4 or newer",
                )
        self.cluster.patch(self.ref, patch, resource_version=resource_version)

    def _fenced(self, found: Manifest, fence: int) -> int:
        """The highest token seen, this one included."""
        seen = _fence(found)
        if fence and fence < seen:
            raise Fenced(f"a newer holder (token {seen}, this one has {fence}) owns {self.ref}")
        return max(seen, fence)

    def _dead(self, names: Iterable[str]) -> list[str]:
        """Those of the versions without a ready endpoint."""
        found = {name: self._places[name] for name in sorted(names)}
        return [n for n, at in found.items() if not ready_endpoints(self.cluster, at.ref.namespace, at.service)]

    def _must_be_ready(self, back: list[dict[str, Any]]) -> None:
        """Refuse to take the traffic away from a version that can answer, for one that certainly cannot."""
        try:
            now = rules.decode(back, self._places, self.ref.namespace)
            dead = self._dead(now.weights)
            others = set(self._places) - set(now.weights)
            alive = sorted(others - set(self._dead(others))) if dead else []
        except (rules.Unknown, DomainError, TransientError) as error:
            LOG.warning("whether the versions are ready could not be seen: %s", error)
            return
        if dead and alive:
            raise NotReady(f"{dead[0]} cannot take the traffic back: it has no ready endpoints, and {alive[0]} has")

    def _unprogrammed(self, found: Manifest) -> str:
        """Whether the Gateways' proxies are there at all; asked until they are, where we may ask."""
        for parent in () if self._programmed else found["spec"].get("parentRefs") or ():
            if parent.get("kind", "Gateway") != "Gateway":
                continue
            at = Reference(*GATEWAY, parent.get("namespace", self.ref.namespace), parent["name"])
            try:
                gateway = self.cluster.get(at)
            except DomainError as error:
                LOG.debug("the Gateway's own status is not for us to see: %s", error)
                continue
            if gateway is None:
                return f"there is no {at}"
            if trouble := conditions.gateway_trouble(gateway):
                return trouble
        self._programmed = True
        return ""


def _fence(found: Manifest) -> int:
    noted = str((found["metadata"].get("annotations") or {}).get(FENCE, "0"))
    return int(noted) if noted.isdecimal() else 0


def _shares(routes: Routes) -> str:
    return json.dumps(dict(routes.weights))
