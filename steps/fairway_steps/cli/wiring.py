"""From options to what a step needs: stores, routers and versions, taken from the record where it has them."""

import getpass
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fairway_steps.cli.params import F, option
from fairway_steps.clock import Clock, SystemClock
from fairway_steps.errors import FairwayError, Fenced, UsageError
from fairway_steps.model import Metric, Slo, Version
from fairway_steps.record import Lease, Record, RecordStore, amend, required
from fairway_steps.routing.base import Router
from fairway_steps.schedule import collectors
from fairway_steps.stores import open_store

if TYPE_CHECKING:
    from fairway_steps.cluster import Cluster
    from fairway_steps.metrics.base import MetricSource
    from fairway_steps.metrics.queries import Addresses
    from fairway_steps.ready import Probe
    from fairway_steps.release import Ending
    from fairway_steps.routing.base import Served

T = TypeVar("T")

CLOCK: Clock = SystemClock()


@cache
def cluster() -> "Cluster":
    """The cluster that this process works on; the client is imported when it is first asked for."""
    from fairway_steps.cluster.connect import connect

    return connect(os.environ, CLOCK)


def record_store(uri: str) -> RecordStore:
    return open_store(uri, cluster)


def record_options(command: F) -> F:
    """``--record``, ``--release-id`` and ``--token``: which release a step works for, if for any."""
    return _record_options(command, required=False)


def release_options(command: F) -> F:
    """The same for a step that does nothing without a release: ``--record`` must be given."""
    return _record_options(command, required=True)


def _record_options(command: F, *, required: bool) -> F:
    token = option("token", int, help="The fencing token `begin` gave; a newer holder's is higher and wins.")
    release_id = option("release-id", help="Refuse a record of any other release.")
    record = option("record", required=required, help="The release's record: file:PATH or configmap/NAMESPACE/NAME.")
    return record(release_id(token(command)))


@dataclass(frozen=True, slots=True)
class Release:
    """The open record of a running release, and the lease to change it."""

    store: RecordStore
    lease: Lease
    record: Record

    def router(self) -> Router:
        held = self.record
        return router(held.route, held.service, held.versions.values(), held.metrics, collectors(held.stages))


def holder_option(command: F) -> F:
    """``--holder``, for steps that run in one pod with `begin` and so cannot be told what it printed."""
    return option("holder", help="Refuse a record that another holder has; instead of --token.")(command)


def lease(release_id: str | None, token: int | None, holder: str | None = None) -> Lease:
    return Lease(release_id or "", token or 0, holder or "")


def open_release(
    record: str | None, release_id: str | None, token: int | None, holder: str | None = None, *, ended: bool = False
) -> Release | None:
    """The release a step works for; None without ``--record``. One that has ended is refused unless ``ended``."""
    return the_release(record, release_id, token, holder, ended=ended) if record else None


def the_release(
    record: str, release_id: str | None, token: int | None, holder: str | None = None, *, ended: bool = False
) -> Release:
    """The release of a record. One that has ended is refused unless ``ended``."""
    store, held = record_store(record), lease(release_id, token, holder)
    found = required(store, held)
    if found.outcome is not None and not ended:
        raise Fenced(f"release {found.release_id} has ended: {found.outcome}", mend="begin a new one")
    return Release(store, held, found)


def router(
    uri: str, service: str, versions: Iterable[Version] = (), metrics: str = "", beside: Iterable[Version] = ()
) -> Router:
    """The router of a route between ``versions``, which may point at what is ``beside`` them, too.

    With ``metrics`` the split at a Gateway can be measured.
    """
    from fairway_steps.routing.registry import in_cluster, open_router

    known = {version.name: version for version in versions}
    counters = _counters(metrics, service, known) if metrics and in_cluster(uri) else lambda: None
    routed = known | {version.name: version for version in beside}
    return open_router(uri, service, CLOCK, versions=routed, cluster=cluster, counters=counters)


def _counters(metrics: str, service: str, known: Mapping[str, Version]) -> "Callable[[], Served | None]":
    from fairway_steps.counting import Counting

    return Counting(lambda: source(metrics, service, *known.values()), tuple(known), CLOCK)


def ending(versions: Iterable[Version], *, ready: float = 600.0, drain: float = 5.0) -> "Ending":
    """How a release may treat its versions: those of a cluster can be scaled, copied and deleted, a URL cannot."""
    from fairway_steps.release import Ending
    from fairway_steps.workload.place import is_placed

    if not any(is_placed(version) for version in versions):
        return Ending()
    from fairway_steps.workload.ends import ClusterWorkloads

    return Ending(ClusterWorkloads(cluster(), CLOCK), ready, drain)


def copyable(*versions: Version) -> None:
    """Raise UsageError for versions of which none can be made a copy of the other."""
    from fairway_steps.workload.ends import COPYABLE
    from fairway_steps.workload.place import is_placed, place

    kinds = {place(version).ref.kind if is_placed(version) else "URL" for version in versions}
    if len(kinds) > 1 or not kinds <= set(COPYABLE):
        raise UsageError(
            f"no copy of a {' or a '.join(sorted(kinds))} can be made",
            mend=f"that needs two of kind {', '.join(COPYABLE)}; or promote by --promotion route",
        )


def placed(route: str, *versions: Version) -> tuple[Version, ...]:
    """The versions as the back end of ``route`` needs them: in a cluster with their Services, looked up where not given."""
    from fairway_steps.routing.registry import in_cluster

    if in_cluster(route):
        return tuple(whole(versions))
    for version in versions:
        if "/" not in version.uri:
            raise UsageError(f"version {version.name} has no address", mend=f"write {version.name}=http://HOST:PORT")
    return versions


def whole(versions: Iterable[Version]) -> list[Version]:
    """Versions with all that is to be known of their places; those that are no URLs are looked up in the cluster."""
    from fairway_steps.workload.lookup import lookup
    from fairway_steps.workload.place import is_placed

    found: list[Version] = []
    for version in versions:
        found.append(lookup(cluster(), version, like=found[0] if found else None) if is_placed(version) else version)
    return found


def placed_all(route: str, primary: Version | None, *candidates: Version) -> tuple[Version | None, tuple[Version, ...]]:
    """The same of a primary, if there is one, and its candidates."""
    found = placed(route, *(version for version in (primary, *candidates) if version))
    return (found[0], found[1:]) if primary else (None, found)


def evidence(metrics: str | None, route: str, record: Record | None = None) -> str:
    """Where evidence comes from: as asked, else as the release began, else the route's own proxy. A Gateway has none."""
    from fairway_steps.routing.registry import in_cluster

    found = metrics or (record.metrics if record else "")
    if not found and in_cluster(route):
        raise UsageError(
            f"route {route} counts nothing by version itself", mend="give --metrics, such as prometheus:URL"
        )
    return found or route


def source(text: str, service: str, *versions: Version | None, slos: Sequence[Slo] | None = None) -> "MetricSource":
    """The source of evidence that ``text`` names or describes, for these versions as far as they are known.

    It counts what the ``slos`` are about, at exactly their limits if it can; None: others may be judged.
    """
    from fairway_steps.cli.secret import secret
    from fairway_steps.metrics.registry import Around, open_source

    known = {version.name: version for version in versions if version is not None}
    timed = [slo for slo in slos or () if slo.metric.is_time]
    limits = [slo.limit for slo in timed if slo.metric is Metric.LATENCY and slo.alone]
    exact = limits if limits or (slos is not None and not timed) else None
    further = list(dict.fromkeys(slo.of for slo in timed if slo.of))
    others = len(limits) < len(timed)
    return open_source(text, service, Around(known, _addresses(known), secret, exact, further, others))


def _addresses(known: Mapping[str, Version]) -> "Addresses":
    """The addresses of a version's endpoints, by its name; where versions share a cluster of a proxy, they tell them apart."""
    from fairway_steps.metrics.queries import no_addresses

    watched: dict[str, Callable[[], Sequence[str]]] = {}

    def of(name: str) -> Sequence[str]:
        from fairway_steps.workload.live import Endpoints
        from fairway_steps.workload.place import is_placed, place

        if name not in known or not is_placed(known[name]):
            return no_addresses(name)
        if name not in watched:
            (version,) = whole([known[name]])
            watched[name] = Endpoints(cluster(), place(version))
        return watched[name]()

    return of


def needed(value: T | None, name: str, mend: str = "give it, or a --record that has it") -> T:
    """An option that is needed here, as there is no record to take it from."""
    if not value:
        raise UsageError(f"--{name} is missing", mend=mend)
    return value


def probe(model: str | None, payload: str | None, ready_path: str, timeout: float) -> "Probe":
    """An HTTP probe with a session of its own."""
    import requests

    from fairway_steps.config import from_file
    from fairway_steps.ready import HttpProbe

    return HttpProbe(requests.Session(), model or "", from_file(payload or ""), ready_path, timeout)


def readiness(
    versions: Iterable[Version], model: str | None, payload: str | None, ready_path: str
) -> "tuple[Probe, Callable[[float], None] | None]":
    """How to ask whether versions are ready, and how to wait between two looks (None: by the clock).

    In a cluster the kubelet asks the servers' own readiness; only a model or a first inference is asked for besides.
    """
    from fairway_steps.workload.place import is_placed

    http = probe(model, payload, ready_path, 10.0)
    if not any(is_placed(version) for version in versions):
        return http, None
    from fairway_steps.workload.probe import ClusterProbe

    watching = ClusterProbe(cluster(), http if model or payload else None)
    return (lambda version: watching(version) if is_placed(version) else http(version)), watching.pause


def alive(
    candidate: Version, ready_path: str = "/v2/health/ready", release: Release | None = None
) -> Callable[[], str]:
    """Whether a version can still be reached, as a function of nothing; one whose place is not known is believed.

    In a cluster it must not have crashed, either, since it got traffic in this ``release``.
    """
    import requests

    from fairway_steps.ready import HttpReach
    from fairway_steps.workload.place import is_found, is_placed

    if is_found(candidate):
        from fairway_steps.workload.probe import ClusterProbe

        watching = ClusterProbe(cluster())
        timeline = required(release.store, release.lease).timeline if release else ()
        since = timeline[0].at if timeline else None
        return lambda: watching.away(candidate, since)
    if ready_path == "none" or is_placed(candidate):
        return lambda: ""
    reach = HttpReach(requests.Session(), ready_path)
    return lambda: reach(candidate)


@contextmanager
def noting(step: str, release: Release | None) -> Iterator[None]:
    """Whatever fails inside is noted in the record, so that the report and `ensure-safe` can say why."""
    try:
        yield
    except FairwayError as error:
        if release is not None:
            message = error.message
            with suppress(FairwayError):
                amend(release.store, release.lease, lambda r: r.noted(CLOCK.now(), step, message, failed=True))
        raise


def this_process() -> str:
    """A holder's name that tells whether it is still alive: ``pid:PID:START@HOST``."""
    pid = os.getpid()
    return f"pid:{pid}:{_started(pid)}@{socket.gethostname()}"


def somebody() -> str:
    """A holder's name for steps that are called one by one, which no one process outlives: ``USER@HOST``."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):  # a container's user need not have a name
        return f"{os.getuid()}@{socket.gethostname()}"


def holder_is_gone(holder: str) -> bool:
    """Whether a holder named by ``this_process`` is certainly dead: same host, no such process any more."""
    name, _, host = holder.partition("@")
    parts = name.split(":")
    if host != socket.gethostname() or len(parts) != 3 or parts[0] != "pid":
        return False
    return _started(int(parts[1])) != parts[2]


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot (proc(5), field 22 of stat); empty if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
