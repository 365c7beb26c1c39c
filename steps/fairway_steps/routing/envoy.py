"""Envoy, fed by files: ``envoy:DIR``.

A change is made in an order that loses no request: first the new backends, until Envoy has them warm; then the
routes; and the backends that have no share any more are removed only when Envoy serves the new routes and the
requests under way at them have ended. Each write is short and locked; no wait is.

In a split, every version falls back on the one that had all of the traffic before (see ``backends``), and does so
until that one has no share. Without a running Envoy the files are written for its next start.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from fairway_steps.clock import Clock
from fairway_steps.envoy_admin import Admin
from fairway_steps.errors import FairwayError, Fenced, NotSettled, Refused, TransientError, UsageError
from fairway_steps.model import Routes, Version
from fairway_steps.routing import backends, others, snapshots, xds
from fairway_steps.routing.base import Capabilities, Served
from fairway_steps.routing.claims import NOBODY, Claims
from fairway_steps.routing.folder import CLUSTERS, ENDPOINTS, ROUTES, Folder, Json, trusted_roots
from fairway_steps.routing.proxy import Proxy
from fairway_steps.routing.retired import Retired

LOG = logging.getLogger(__name__)


class EnvoyRouter:
    """The route of ``service`` in the xDS files of ``folder``, served by the Envoy behind ``admin``.

    ``patience`` bounds each wait, in seconds: for a backend to be taken up, and for its last requests to end.
    """

    capabilities = Capabilities(weights=True, header_match=True, mirror=True, sticky=True)

    def __init__(self, folder: Path, service: str, admin: str, clock: Clock, *, patience: float = 10.0) -> None:
        self.service, self.clock, self.patience = service, clock, patience
        self.folder = Folder(folder.absolute())
        self.proxy = Proxy(Admin(admin), service, clock, patience)
        self.retired = Retired(self.folder, service)
        self.trouble = ""

    def read(self) -> Routes:
        return self._decoded(self._place(self.folder.load(ROUTES)["resources"]).own)

    def preflight(self, asked: Iterable[Routes], versions: Mapping[str, Version]) -> None:
        """Envoy serves all that ``Routes`` can say, but a header that the entry asks for itself; else it is looked at where the versions are."""
        self._refuse_contradicted({match.name.lower() for routes in asked for match in routes.matches})
        for version in versions.values():
            backends.address(version)
        clusters = {cluster.get("name"): cluster for cluster in self.folder.load(CLUSTERS)["resources"]}
        stored = self.folder.load(ROUTES)["resources"]
        beside = xds.beside(self.service, stored)
        reached = others.mirrored(self.service, stored).union(*(others.reached(self.service, one) for one in beside))
        used = {backends.version_of(cluster) for cluster in reached}
        for name in sorted((self.read().versions() | used) & set(versions)):
            servers = self.folder.load_any(f"{ENDPOINTS}/{backends.endpoint_file(self.service, name)}") or {}
            there = backends.places(clusters.get(backends.cluster_name(self.service, name)), servers)
            if there and backends.place_of(versions[name]) not in there:
                raise UsageError(
                    f"the route has {name} at {' and '.join(sorted(there))}, not at {versions[name].uri}: its users would be moved",
                    mend="write the address that it has, or give the other one a name of its own",
                )
        for sentence in others.told(self.service, stored, beside):
            LOG.warning(sentence)

    def apply(self, routes: Routes, versions: Mapping[str, Version], *, fence: int = 0) -> Routes:
        """Make ``routes`` the stored and served ones; ``fence`` 0 is a person, whom no token stops.

        Raises NotSettled, the routes untouched, if Envoy does not take up a new backend.
        """
        _check(routes, versions)

        def fallback_of(own: Sequence[Json]) -> str:
            return xds.fallback_of(routes, self._decoded(own), xds.noted(own).get("fallback", ""))

        self._write(routes, versions, fence, fallback_of)
        return self.read()

    def give_all(self, version: Version, *, fence: int = 0) -> None:
        """Whatever Envoy says of the backend: what it does not take up now it reads at its next start."""
        routes, versions = Routes({version.name: 100}), {version.name: version}
        self._write(routes, versions, fence, lambda _: version.name, whatever=True)

    def _write(
        self,
        routes: Routes,
        versions: Mapping[str, Version],
        fence: int,
        fallback_of: Callable[[Sequence[Json]], str],
        *,
        whatever: bool = False,
    ) -> None:
        """The backends, then the routes. With ``whatever``, those of others that reach a version, too."""

        def resources_of(stored: Json) -> list[Json]:
            return others.single(self.service, stored["resources"]) if whatever else stored["resources"]

        with self.folder.locked():
            own = self._place(resources_of(self.folder.load(ROUTES))).own
            self._fenced(own, fence)
            fallback = fallback_of(own)
            wanted, endpoints = self._add_backends(routes, versions, fallback)
        running = self.proxy.uptime() is not None
        if running and not self.proxy.wait(lambda: not self.proxy.missing(wanted, endpoints)) and not whatever:
            missing = ", ".join(self.proxy.missing(wanted, endpoints))
            self._remove_backends(running=running)
            raise NotSettled(
                f"Envoy has not taken up {missing} within {self.patience:g} s; the routes are as they were",
                mend="a host name must resolve; for all else Envoy's log says why",
            )
        with self.folder.locked():
            stored = self.folder.load(ROUTES)
            resources = resources_of(stored)
            own = self._place(resources).own
            fence = self._fenced(own, fence)
            if {c["name"] for c in wanted} - {c.get("name") for c in self.folder.load(CLUSTERS)["resources"]}:
                raise TransientError(f"somebody else has just removed a backend from {self.folder.path / CLUSTERS}")
            fresh = xds.entries(self.service, routes, own[-1], fallback, fence)
            resources = xds.placed(self.service, resources, fresh)
            self.folder.replace(ROUTES, stored, self._led(resources, routes, fresh, whatever=whatever))
        try:
            self._remove_backends(running=running)
        except FairwayError:
            if not whatever:
                raise

    def _led(self, resources: list[Json], routes: Routes, fresh: Sequence[Json], *, whatever: bool) -> list[Json]:
        """What others point at the service: with ``whatever`` at the one version, else no longer at a split that has ended."""
        if not whatever and routes != Routes(dict.fromkeys(routes.weights, 100)):
            return resources
        if not whatever:
            return others.led(
                self.service,
                resources,
                fresh,
                lambda entry: fresh[-1] if others.split_alone(self.service, entry) else entry,
                backends.is_version,
            )
        name = backends.cluster_name(self.service, next(iter(routes.weights)))
        return others.led(self.service, resources, fresh, lambda _: {"route": {"cluster": name}}, {name}.__contains__)

    def fence(self) -> int:
        return self._fenced(self._place(self.folder.load(ROUTES)["resources"]).own, 0)

    def claim(self, fence: int) -> None:
        with self.folder.locked():
            stored = self.folder.load(ROUTES)
            own = self._place(stored["resources"]).own
            token = self._fenced(own, fence, claim=True)
            fresh = [*own[:-1], xds.fenced(own[-1], token)]
            self.folder.replace(ROUTES, stored, xds.placed(self.service, stored["resources"], fresh))

    def settled(self) -> bool | None:
        stored = self.folder.load(ROUTES)
        place = self._place(stored["resources"])
        if self.proxy.uptime() is None:
            self._say(f"Envoy is not running: it will serve {self.folder.path / ROUTES} when it starts")
            return False
        if self.proxy.serves(place.config, str(stored.get("version_info", "")), place.own):
            return True
        if refused := self.proxy.refused():
            self._say(f"Envoy has refused {refused} updates since it started; its log says why")
        return False

    def served(self) -> Served | None:
        uptime = self.proxy.uptime()
        return None if uptime is None else self.proxy.served(self.retired.counts(self.clock.now() - uptime))

    def claims(self) -> Claims:
        return NOBODY

    def snapshot(self) -> str:
        self.read()
        return snapshots.take(self.folder, self.service)

    def restore(self, snapshot: str, *, fence: int = 0) -> Routes:
        """Put a snapshot back; what cannot be tidied up afterwards does not stop it."""
        snapshots.put_back(self.folder, self.service, snapshot, self.proxy, lambda own: self._fenced(own, fence))
        try:
            self._remove_backends(running=self.proxy.uptime() is not None)
        except FairwayError as error:
            LOG.warning("the route of %s is back, but its spare backends are still there: %s", self.service, error)
        return self.read()

    def _refuse_contradicted(self, names: set[str]) -> None:
        own = self._place(self.folder.load(ROUTES)["resources"]).own[-1]
        told = {str(one.get("name", "")).lower() for one in own.get("match", {}).get("headers", [])}
        for name in sorted(told & names):
            raise Refused(
                f"the entry of {self.service} in {self.folder.path / ROUTES} asks for the header {name} itself: testers might match nothing",
                mend="tell testers by another header",
            )

    def _say(self, sentence: str) -> None:
        """Warn, but not again and again while somebody waits."""
        if sentence != self.trouble:
            LOG.warning(sentence)
        self.trouble = sentence

    def _place(self, resources: Sequence[Json]) -> xds.Place:
        where = self.folder.path / ROUTES
        try:
            place = xds.find(self.service, resources)
        except (ValueError, AttributeError, TypeError) as error:
            raise Refused(f"{where} is not as Fairway needs it: {error}") from error
        if place is None:
            raise Refused(
                f"{where} has no route entry named {self.service!r}",
                mend=f'give the service\'s entry "name": "{self.service}", or make the folder with `fairway envoy`',
            )
        return place

    def _decoded(self, own: Sequence[Json]) -> Routes:
        try:
            return xds.decode(self.service, own)
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise Refused(
                f"the route of {self.service} in {self.folder.path / ROUTES} names {error}: Fairway does not know it",
                mend=f"name its backends {self.service}/VERSION, or make the folder with `fairway envoy`",
            ) from error

    def _fenced(self, own: Sequence[Json], fence: int, *, claim: bool = False) -> int:
        """The highest token seen, this one included."""
        seen = int(xds.noted(own).get("fence", 0))
        if fence and (fence < seen or (claim and fence == seen)):
            raise Fenced(f"a newer holder (token {seen}, this one has {fence}) owns the route of {self.service}")
        return max(seen, fence)

    def _add_backends(
        self, routes: Routes, versions: Mapping[str, Version], fallback: str
    ) -> tuple[list[Json], dict[str, Json]]:
        wanted = backends.clusters(
            self.service, routes, versions, fallback, str(self.folder.path / ENDPOINTS), trusted_roots()
        )
        endpoints = {}
        for name in sorted(routes.versions()):
            if resource := backends.endpoints(self.service, versions[name]):
                file = f"{ENDPOINTS}/{backends.endpoint_file(self.service, name)}"
                self.folder.replace(file, self.folder.load_any(file) or {}, [resource])
                endpoints[backends.cluster_name(self.service, name)] = resource
        stored = self.folder.load(CLUSTERS)
        fresh = {cluster["name"]: cluster for cluster in wanted}
        kept = [fresh.pop(cluster.get("name"), cluster) for cluster in stored["resources"]]
        self.folder.replace(CLUSTERS, stored, [*kept, *fresh.values()])
        return wanted, endpoints

    def _remove_backends(self, *, running: bool) -> None:
        """Remove what no stored route reaches, once it is idle; what is not idle in time is left for next time."""
        stored = self.folder.load(ROUTES)
        place = self._place(stored["resources"])
        spare = self._spare(stored["resources"])
        versions = sorted(backends.version_of(name) for name in spare if backends.is_version(name))
        if not spare:
            return
        version_info = str(stored.get("version_info", ""))
        if running and not (
            self.proxy.wait(lambda: self.proxy.serves(place.config, version_info, place.own))
            and self.proxy.wait_idle(versions)
        ):
            LOG.warning("%s may still have requests under way: left in %s for now", ", ".join(sorted(spare)), CLUSTERS)
            return
        uptime = self.proxy.uptime() if running else None
        counted = self.served() if running else None
        with self.folder.locked():
            spare &= self._spare(self.folder.load(ROUTES)["resources"])
            before = self.folder.load(CLUSTERS)
            kept = [cluster for cluster in before["resources"] if cluster.get("name") not in spare]
            self.folder.replace(CLUSTERS, before, kept)
            gone = [name for name in versions if backends.cluster_name(self.service, name) in spare]
            for name in gone:
                self.folder.remove(f"{ENDPOINTS}/{backends.endpoint_file(self.service, name)}")
        if counted and uptime is not None and self.proxy.wait(lambda: not self.proxy.knows(spare)):
            with self.folder.locked():
                self.retired.keep(self.clock.now() - uptime, {name: counted.by_version.get(name, 0) for name in gone})

    def _spare(self, resources: Sequence[Json]) -> set[str]:
        every = self.folder.load(CLUSTERS)["resources"]
        names = {str(cluster.get("name", "")) for cluster in every}
        return {name for name in names if name.startswith(self.service + "/")} - others.needed(
            self.service, resources, every
        )


def _check(routes: Routes, versions: Mapping[str, Version]) -> None:
    weights = routes.weights.values()
    if sum(weights) != 100 or min(weights, default=0) < 1:
        raise UsageError(f"weights {dict(routes.weights)} are not whole percents from 1 that add up to 100")
    if routes.sticky and bool(routes.sticky.cookie) == bool(routes.sticky.header):
        raise UsageError("stickiness needs a cookie or a header, one of the two")
    for name in sorted(routes.versions()):
        if name not in versions:
            raise UsageError(f"the routes name version {name}, but nothing says where it is")
        backends.address(versions[name])
