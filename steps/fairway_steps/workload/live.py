"""A version as it is now, kept up to date by watches: no request is made to look at it."""

import threading
from collections.abc import Callable, Iterator, Sequence

from fairway_steps.cluster import Cluster, Manifest, Reference
from fairway_steps.errors import FairwayError, TransientError
from fairway_steps.workload import pods, status
from fairway_steps.workload.endpoints import Serving, all_endpoints, among, every, ready, slices_of
from fairway_steps.workload.place import Place

LONGEST = 86_400.0
"""Seconds of one watch."""
FIRST = 30.0
"""Seconds to wait for the first answer of a watch."""

Objects = tuple[Manifest, ...]


class Live:
    """The object at ``place`` and its Service's EndpointSlices; ``changed`` is set whenever one of them is another."""

    def __init__(self, cluster: Cluster, place: Place, changed: threading.Event) -> None:
        self.cluster, self.place = cluster, place
        self._changed = changed
        self._pods: _Watched | None = None
        kind, labels = slices_of(place.ref.namespace, place.service)
        self._serving = Serving(cluster, place)
        self._object = _Watched(lambda: cluster.watch(place.ref, timeout=LONGEST), changed)
        self._slices = _Watched(lambda: cluster.watch(kind, labels=labels, timeout=LONGEST), changed)

    def trouble(self) -> str:
        """Why it is not ready: its status, its endpoints, and what its pods say of that; empty if it is."""
        found = next(iter(self._object.now()), None)
        sentence = status.trouble(found, self.place)
        if not sentence and not self.endpoints():
            sentence = f"the Service {self.place.service} has no ready endpoints"
        return self._explained(sentence, found) if sentence else ""

    def away(self, since: float | None = None) -> str:
        """Why nobody can be answered by it, or should be: it is deleted, or has no ready endpoints.

        Or one of its containers has ended since it got traffic, at ``since`` (Unix time): a model server that a restart brings
        back at once, to crash again, has ready endpoints most of the time.
        """
        found = next(iter(self._object.now()), None)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return status.trouble(found, self.place)
        if not self.endpoints():
            return self._explained(f"the Service {self.place.service} has no ready endpoints", found)
        return pods.crash(self._pods_now(found), since) if since is not None else ""

    def endpoints(self) -> tuple[str, ...]:
        """``ADDRESS:PORT`` of each ready endpoint."""
        slices = self._serving(self._slices.now())
        if not self.place.subset:
            return ready(slices)
        pods_now = self._pods_now(next(iter(self._object.now()), None))
        return ready(among(slices, {pod["metadata"]["name"] for pod in pods_now}))

    def _explained(self, sentence: str, found: Manifest | None) -> str:
        why = pods.reason(self._pods_now(found))
        return f"{sentence}; {why}" if why else sentence

    def _pods_now(self, found: Manifest | None) -> Objects:
        """Its pods; none without the right to see them: then there is less to tell."""
        labels = pods.labels_of(found, self.place)
        if not labels:
            return ()
        if self._pods is None:
            kind = Reference("", "v1", "Pod", self.place.ref.namespace)
            self._pods = _Watched(lambda: self.cluster.watch(kind, labels=labels, timeout=LONGEST), self._changed)
        try:
            return self._pods.now()
        except FairwayError:
            return ()


class Endpoints:
    """The endpoints of a version, ready or not, kept up to date by a watch; listed where that is broken, or not enough."""

    def __init__(self, cluster: Cluster, place: Place) -> None:
        self.cluster, self.place = cluster, place
        self._slices: _Watched | None = None
        self._serving = Serving(cluster, place)
        if not place.subset:
            kind, labels = slices_of(place.ref.namespace, place.service)
            self._slices = _Watched(lambda: cluster.watch(kind, labels=labels, timeout=LONGEST), threading.Event())

    def __call__(self) -> Sequence[str]:
        """``ADDRESS:PORT`` of each: one that has just failed its probe has still counted requests."""
        if self._slices is not None:
            try:
                return every(self._serving(self._slices.now()))
            except FairwayError:
                pass
        return all_endpoints(self.cluster, self.place)


class _Watched:
    """The last answer of a watch, read by a thread of its own."""

    def __init__(self, watch: Callable[[], Iterator[Objects]], changed: threading.Event) -> None:
        self._watch, self._changed = watch, changed
        self._first = threading.Event()
        self._objects: Objects = ()
        self._error: FairwayError | None = None
        threading.Thread(target=self._follow, daemon=True).start()

    def now(self) -> Objects:
        """What matches now. Raises what ended the watch."""
        if not self._first.wait(FIRST):
            raise TransientError("the API server has not answered a watch")
        if self._error is not None:
            raise self._error
        return self._objects

    def _follow(self) -> None:
        try:
            while True:  # one watch after another: a stage may last longer than any of them
                for objects in self._watch():
                    self._objects = objects
                    self._first.set()
                    self._changed.set()
        except FairwayError as error:
            self._error = error
        self._first.set()
        self._changed.set()
