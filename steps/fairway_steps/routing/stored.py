"""Routes that are an object of a cluster: read, changed, written if nobody else has written meanwhile, and read back.

What is ours is changed in the object just read, and written with the resource version that was read; after somebody
else's write it is read and changed again, so nobody's edit is lost. A version gets a share only if it can answer. What a
kind of object says about routes is in the subclasses.
"""

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from fairway_steps.clock import Clock
from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.errors import Conflict, DomainError, Fenced, NotReady, Refused, TransientError, UsageError
from fairway_steps.model import Routes, Version
from fairway_steps.routing import fences
from fairway_steps.routing.base import Capabilities, Served, Unknown
from fairway_steps.routing.claims import Claims, claims
from fairway_steps.schedule import COLLECTOR
from fairway_steps.workload.endpoints import ready_endpoints
from fairway_steps.workload.place import Place, backends

LOG = logging.getLogger(__name__)
ATTEMPTS = 8
PAUSE = 0.05
TAKE_UP, LOOK, MOMENT = 5.0, 0.2, 1.0
"""Seconds: how long a first write is waited for, how often it is looked at, and what proxies are given when their controller has taken it up."""

Json = dict[str, Any]


class StoredRouter(ABC):
    """The route ``ref`` of ``service`` between ``versions``, by their names.

    ``counters`` tells what the versions have served so far, where a source of metrics does.
    """

    capabilities = Capabilities()
    part: tuple[str, ...] = ()
    """Where in the object's ``spec`` our part is."""
    shared = False
    """Whether several services may share one object, each with a token of its own."""
    grace = 0.0
    """Seconds that proxies are given to take up a change, where that is not told."""
    mend_unknown = "a rule's backends must be the Services of this release's versions"

    def __init__(
        self,
        ref: Reference,
        service: str,
        versions: Mapping[str, Version],
        cluster: Cluster,
        clock: Clock,
        *,
        counters: Callable[[], Served | None] = lambda: None,
    ) -> None:
        self.ref, self.service, self.cluster, self.clock = ref, service, cluster, clock
        self.trouble = ""
        self._places, self._counters = self._placed(versions), counters
        self._asked: Routes | None = None
        self._written = float("-inf")

    # What a kind of object says.

    @abstractmethod
    def _says(self, found: Manifest) -> Routes:
        """What the object does with the versions. Raises Unknown."""

    @abstractmethod
    def _saying(self, found: Manifest, routes: Routes) -> Json:
        """The parts of its ``spec`` that make it do what ``routes`` says, whole. Raises Unknown if there is no room for it."""

    @abstractmethod
    def _take(self, found: Manifest) -> str:
        """All that the way back needs."""

    @abstractmethod
    def _back(self, snapshot: str, found: Manifest) -> Json:
        """The parts of its ``spec`` as they were; shares nothing with ``_saying``. Raises UsageError."""

    @abstractmethod
    def _only(self, found: Manifest, name: str) -> Json:
        """The parts of its ``spec`` with which all that reaches a version reaches this one alone; decodes nothing."""

    def _first(self, found: Manifest, parts: Json) -> Json | None:
        """What is to be served before these parts are, so that nobody is lost on the way there; None: nothing."""
        del found, parts
        return None

    @abstractmethod
    def _not_taken_up(self, found: Manifest) -> str | None:
        """Why proxies do not serve the object as it is; empty if they do, None if that is not told."""

    @property
    def _mark(self) -> str:
        """The annotation that keeps the fencing token."""
        return fences.mark_of(self.service) if self.shared else fences.FENCE

    def _placed(self, versions: Mapping[str, Version]) -> dict[str, Place]:
        return backends(versions)

    def _dead(self, names: Iterable[str]) -> list[str]:
        """Those of the versions without a ready endpoint."""
        found = {name: self._places[name] for name in sorted(names)}
        return [name for name, at in found.items() if not ready_endpoints(self.cluster, at)]

    def _preflight(self, found: Manifest, routes: Routes) -> None:
        """Raise Refused for what the object as it is would not do, before it is written."""
        del found, routes

    def _kept(self, tried: Manifest, routes: Routes) -> None:
        """Raise Refused if the server would not keep what was written: ``tried`` is its answer to a dry run."""
        del tried, routes

    # What they have in common.

    def read(self) -> Routes:
        return self._decoded(self._found())

    def preflight(self, asked: Iterable[Routes], versions: Mapping[str, Version]) -> None:
        del versions  # a backend that none of them has is one that `read` does not know
        found = self._found()
        for routes in asked:
            self._refuse_lacking(routes)
            self._preflight(found, routes)

    def apply(self, routes: Routes, versions: Mapping[str, Version], *, fence: int = 0) -> Routes:
        """Make ``routes`` the stored ones. Raises NotReady, the route untouched, if a version has no ready endpoints."""
        self._places |= self._placed(versions)
        self._check(routes)
        for attempt in range(ATTEMPTS):
            found = self._found()
            self._decoded(found)
            token = self._fenced(found, fence)
            self._preflight(found, routes)
            after = self._encoded(found, routes)
            if self._holds(found, after) and token == self._token(found):
                break
            try:
                first = self._first(found, after)
                self._write(found, first or after, token, routes)
            except Conflict as error:
                LOG.info("%s: trying again (%d)", error.message, attempt + 1)
                self.clock.sleep(PAUSE * 2**attempt)
                continue
            if first is None:
                break
            self._await_taken_up()
        else:
            raise self._busy
        self._asked = routes
        return self.read()

    def fence(self) -> int:
        return self._token(self._found())

    def claim(self, fence: int) -> None:
        for attempt in range(ATTEMPTS):
            found = self._found()
            try:
                return self._put(found, {}, self._fenced(found, fence, claim=True))
            except Conflict:
                self.clock.sleep(PAUSE * 2**attempt)
        raise self._busy

    def settled(self) -> bool | None:
        found = self._found()
        if self._asked is not None and (now := self._decoded(found)) != self._asked:
            self.trouble = f"{self.claims().who} has changed the route: it now holds {_shares(now)}"
            return False
        told = self._not_taken_up(found)
        if told is None and self.clock.now() < self._written + self.grace:
            told = f"the proxies are given {self.grace:g} s to take up a change"
        self.trouble = told or ""
        return None if told is None else not told

    def served(self) -> Served | None:
        return self._counters()

    def claims(self) -> Claims:
        return claims(self.ref, self._found(), "spec", *self.part)

    def snapshot(self) -> str:
        found = self._found()
        self._decoded(found)
        return self._take(found)

    def restore(self, snapshot: str, *, fence: int = 0) -> Routes:
        """Put a snapshot's backends back where they stood, and take everything of ours out."""

        def back(found: Manifest) -> Json:
            parts = self._back(snapshot, found)
            self._must_be_ready({**found, "spec": {**(found.get("spec") or {}), **parts}}, found)
            return parts

        self._put_back(back, fence)
        return self.read()

    def give_all(self, version: Version, *, fence: int = 0) -> None:
        def only(found: Manifest) -> Json:
            self._must_answer([version.name], found)
            return self._only(found, version.name)

        self._put_back(only, fence)

    def _put_back(self, parts: Callable[[Manifest], Json], fence: int) -> None:
        for attempt in range(ATTEMPTS + 1):
            found = self._found()
            token = self._fenced(found, fence)
            back = parts(found)
            last = attempt == ATTEMPTS  # then it is written whatever somebody else writes: users are waiting
            first = None if last else self._first(found, back)
            try:
                self._put(found, first or back, token, whatever=last)
            except Conflict:
                self.clock.sleep(PAUSE * 2**attempt)
                continue
            if first is None:
                break
            self._await_taken_up()
        self._asked, self._written = None, self.clock.now()

    def _await_taken_up(self) -> None:
        """Until what was written is served, as far as that is told, and not for long."""
        until = self.clock.now() + TAKE_UP
        while self.clock.now() < until and self._not_taken_up(self._found()):
            self.clock.sleep(LOOK)
        self.clock.sleep(MOMENT)

    @property
    def _busy(self) -> TransientError:
        return TransientError(f"{self.ref} is written by others all the time")

    def _found(self) -> Manifest:
        found = self.cluster.get(self.ref)
        if found is None:
            raise Refused(f"there is no {self.ref}", mend="make the route first, with the primary as its backend")
        return found

    def _decoded(self, found: Manifest) -> Routes:
        try:
            return self._says(found)
        except Unknown as error:
            raise Refused(f"{self.ref} has {error}", mend=error.mend or self.mend_unknown) from error

    def _encoded(self, found: Manifest, routes: Routes) -> Json:
        try:
            return self._saying(found, routes)
        except Unknown as error:
            raise Refused(f"{self.ref} has {error}", mend=error.mend) from error

    def _check(self, routes: Routes) -> None:
        weights = routes.weights.values()
        if sum(weights) != 100 or min(weights, default=0) < 1:
            raise UsageError(f"weights {dict(routes.weights)} are not whole percents from 1 that add up to 100")
        self._refuse_lacking(routes)
        for name in sorted(routes.versions()):
            if name not in self._places:
                raise UsageError(f"the routes name version {name}, but nothing says where it is")
        for name in self._dead(routes.versions()):
            raise NotReady(
                f"{name} gets no traffic: {self._silent(name)}", mend="wait for it with `fairway wait-for-ready`"
            )

    def _refuse_lacking(self, routes: Routes) -> None:
        for missing in self.capabilities.lacks(routes):
            raise Refused(f"{self.ref} cannot carry {missing}: {self.capabilities.why(missing)}")

    def _silent(self, name: str) -> str:
        return f"the Service {self._places[name].service} has no ready endpoints"

    def _holds(self, found: Manifest, parts: Json) -> bool:
        spec = found.get("spec") or {}
        return all(spec.get(key) == value for key, value in parts.items())

    def _patch(self, parts: Json, token: int) -> Json:
        return {"spec": parts, "metadata": {"annotations": {self._mark: str(token)}}}

    def _write(self, found: Manifest, parts: Json, token: int, routes: Routes) -> None:
        if routes.matches or routes.mirror:
            version = found["metadata"]["resourceVersion"]
            patch = self._patch(parts, token)
            self._kept(self.cluster.patch(self.ref, patch, resource_version=version, dry_run=True), routes)
        self._put(found, parts, token)
        self._written = self.clock.now()

    def _put(self, found: Manifest, parts: Json, token: int, *, whatever: bool = False) -> None:
        """Write the parts and the token. Raises Conflict if somebody else has written since, unless ``whatever`` they wrote."""
        version = "" if whatever else found["metadata"]["resourceVersion"]
        self.cluster.patch(self.ref, self._patch(parts, token), resource_version=version)

    def _fenced(self, found: Manifest, fence: int, *, claim: bool = False) -> int:
        """The highest token seen, this one included."""
        seen = self._token(found)
        if fence and (fence < seen or (claim and fence == seen)):
            raise Fenced(f"a newer holder (token {seen}, this one has {fence}) owns {self.ref}")
        return max(seen, fence)

    def _token(self, found: Manifest) -> int:
        return fences.noted(found, self._mark)

    def _must_be_ready(self, back: Manifest, found: Manifest) -> None:
        try:
            now = self._says(back)
        except Unknown as error:
            LOG.warning("whether the versions are ready could not be seen: %s", error)
            return
        self._must_answer(now.weights, found)

    def _must_answer(self, names: Collection[str], found: Manifest) -> None:
        """Refuse to take the traffic away from a version that can answer, for one that certainly cannot."""
        try:
            having = set(self._says(found).weights)
        except Unknown:
            having = set(self._places) - {COLLECTOR}  # for all that can be told
        losing = having - set(names)
        try:
            dead = self._dead(names) if losing else []
            alive = sorted(losing - set(self._dead(losing))) if dead else []
        except (DomainError, TransientError) as error:
            LOG.warning("whether the versions are ready could not be seen: %s", error)
            return
        if dead and alive:
            raise NotReady(f"{dead[0]} cannot take the traffic back: it has no ready endpoints, and {alive[0]} has")


def _shares(routes: Routes) -> str:
    return json.dumps(dict(routes.weights))
