"""What the API server stored in the course of a release, in the order in which it stored it.

Watches on the route, the endpoints and the Deployments run beside the release. Resource versions are etcd's revision, one
count for all kinds, so that what was seen can be put in order however late each watch tells it.
"""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from on_cluster.kube import eventually, items

KINDS = ("httproute", "endpointslice", "deployment")


@dataclass(frozen=True, slots=True)
class Seen:
    """One change: when it was told (Unix time), in which order it was stored, and what the object was then; None: gone."""

    at: float
    revision: int
    kind: str
    name: str
    found: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class State:
    """What was stored after one change. ``ready`` and ``replicas`` are of Services and Deployments by name."""

    at: float
    backends: frozenset[str]
    ready: Mapping[str, int]
    replicas: Mapping[str, int]


@dataclass
class Witness:
    """``with Witness(namespace, route) as seen:``; what it tells is complete once the block has ended."""

    namespace: str
    route: str
    changes: list[Seen] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._watches = [self._watch(kind) for kind in KINDS]
        self._threads = [
            threading.Thread(target=self._read, args=one) for one in zip(KINDS, self._watches, strict=True)
        ]
        for thread in self._threads:
            thread.start()
        self._await_all()
        self._began = max((one.revision for one in tuple(self.changes)), default=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._await_all()
        finally:
            for watch in self._watches:
                watch.kill()
                watch.wait()
            for thread in self._threads:
                thread.join()

    def states(self) -> list[State]:
        """What was stored when the watches began, and after each change since."""
        states: list[State] = []
        backends: frozenset[str] = frozenset()
        slices: dict[str, tuple[str, int]] = {}
        replicas: dict[str, int] = {}
        for one in sorted(self.changes, key=lambda change: change.revision):
            if one.kind == "httproute" and one.name == self.route:
                backends = _backends(one.found)
            elif one.kind == "endpointslice":
                slices[one.name] = _endpoints(one.found)
            elif one.kind == "deployment":
                gone = one.found is None or "deletionTimestamp" in one.found["metadata"]
                replicas[one.name] = 0 if gone or one.found is None else one.found["spec"]["replicas"]
            ready: dict[str, int] = {}
            for service, count in slices.values():
                ready[service] = ready.get(service, 0) + count
            if one.revision >= self._began:
                states.append(State(one.at, backends, ready, dict(replicas)))
        return states

    def when(self, condition: Callable[[State], object], after: int = 0) -> int:
        """Which change first made the condition true, from change ``after`` on."""
        return next(place for place, state in enumerate(self.states()) if place >= after and condition(state))

    def told(self, change: int) -> float:
        """When a change was told, as Unix time: not before it was stored."""
        return self.states()[change].at

    def without_endpoints(self) -> list[str]:
        """Backends of the route that had no ready endpoint, at any moment."""
        return sorted({name for state in self.states() for name in state.backends if not state.ready.get(name)})

    def _watch(self, kind: str) -> "subprocess.Popen[str]":
        command = ["kubectl", "get", kind, "-n", self.namespace, "-o", "json", "--watch", "--output-watch-events"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def _read(self, kind: str, watch: "subprocess.Popen[str]") -> None:
        assert watch.stdout is not None
        with watch.stdout as lines:
            for line in lines:
                self._take(kind, json.loads(line))

    def _take(self, kind: str, event: Mapping[str, Any]) -> None:
        found = event["object"]
        about = found["metadata"]
        stored = None if event["type"] == "DELETED" else found
        self.changes.append(Seen(time.time(), int(about["resourceVersion"]), kind, about["name"], stored))

    def _await_all(self) -> None:
        """Until the watches have told all that is stored now."""
        stored = {
            (kind, int(each["metadata"]["resourceVersion"])) for kind in KINDS for each in items(self.namespace, kind)
        }
        eventually(lambda: stored <= {(one.kind, one.revision) for one in tuple(self.changes)}, 60, why="all was told")


def _backends(route: Mapping[str, Any] | None) -> frozenset[str]:
    rules = route["spec"]["rules"] if route else []
    return frozenset(ref["name"] for rule in rules for ref in rule["backendRefs"] if ref.get("weight", 1))


def _endpoints(found: Mapping[str, Any] | None) -> tuple[str, int]:
    """The Service of a slice, and how many of its endpoints are ready."""
    if found is None:
        return "", 0
    service = found["metadata"]["labels"].get("kubernetes.io/service-name", "")
    return service, sum(one.get("conditions", {}).get("ready", True) for one in found.get("endpoints") or ())
