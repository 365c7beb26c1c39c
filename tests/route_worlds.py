"""What carries a route, one world each: the fake, a real Envoy, and the routes of a cluster over a cluster in memory or a real API
server. A world makes routers as if each were another process's, tells what of the route is not ours, and plays the
controller that takes up whatever is stored.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fairway_steps.clock import SystemClock
from fairway_steps.model import Routes, Version
from fairway_steps.routing import backends
from fairway_steps.routing.base import Router, Served
from fairway_steps.routing.gateway_api import GatewayRouter, GrpcRouter
from fakes_cluster import FakeCluster
from fakes_gateway import GatewayLab
from fakes_istio import IstioLab, ModelMeshLab
from fakes_llm import LlmLab
from fakes_revisions import KnativeLab, KServeLab, RevisionLab, StandardLab
from fakes_routing import FakeRouter, Lab, Stored

NAMES = ("v1", "v2.1", "v3")
V1, *_ = THREE = [Version(name, f"http://127.0.0.1:{port}") for port, name in enumerate(NAMES, 1)]


@dataclass
class FakeWorld:
    stored: Stored
    known = {version.name: version for version in THREE}  # noqa: RUF012 - never changed

    def router(self) -> Router:
        return FakeRouter(self.stored)

    def foreign(self) -> object:
        return dict(self.stored.foreign)

    def name_unknown(self) -> None:
        self.stored.unknown = "other"


@dataclass
class EnvoyWorld:
    lab: Lab
    known = {version.name: version for version in THREE}  # noqa: RUF012 - never changed

    def router(self) -> Router:
        return self.lab.router()

    def foreign(self) -> object:
        routes, clusters = self.lab.load("routes.json"), self.lab.load("clusters.json")
        entries = [e for r in routes["resources"] for h in r["virtual_hosts"] for e in h["routes"]]
        own = {e["name"]: e for e in entries if backends.owns("iris", e["name"])}
        kept = {key: own["iris"].get(key) for key in ("match", "request_headers_to_add")}
        others = [r["virtual_hosts"][0] | {"routes": []} for r in routes["resources"]]
        return (
            kept,
            own["iris"]["route"].get("timeout"),
            [e for e in entries if e["name"] not in own],
            [c for c in clusters["resources"] if not backends.owns("iris", c["name"])],
            [{k: v for k, v in r.items() if k != "virtual_hosts"} for r in routes["resources"]],
            others,
        )

    def add_foreign(self) -> None:
        def routes(value: dict) -> None:
            host = value["resources"][0]["virtual_hosts"][0]
            host["routes"].insert(0, {"name": "iris-2", "match": {"prefix": "/2"}, "route": {"cluster": "iris-2/v1"}})
            host["routes"].append({"name": "rest", "match": {"prefix": "/"}, "direct_response": {"status": 404}})
            host["routes"][1]["request_headers_to_add"] = [{"header": {"key": "x-a", "value": "b"}}]
            value["resources"][0]["max_direct_response_body_size_bytes"] = 9
            host["response_headers_to_remove"] = ["server"]

        def clusters(value: dict) -> None:
            value["resources"].insert(0, {**value["resources"][0], "name": "iris-2/v1", "connect_timeout": "3s"})
            value["resources"][0].pop("alt_stat_name")

        self.lab.edit("clusters.json", clusters)
        self.lab.edit("routes.json", routes)

    def name_unknown(self) -> None:
        def change(value: dict) -> None:
            split = value["resources"][0]["virtual_hosts"][0]["routes"][-2]["route"]["weighted_clusters"]
            split["clusters"][0]["name"] = "other"

        self.lab.edit("routes.json", change)


@dataclass
class GatewayWorld:
    lab: GatewayLab

    @property
    def known(self) -> dict[str, Version]:
        return self.lab.versions

    def router(self) -> Router:
        class Accepted(GrpcRouter if self.lab.kind == "grpcroute" else GatewayRouter):
            """With a controller that takes up whatever is stored."""

            def settled(router) -> bool | None:  # noqa: N805 - the test's own self is the world
                self.lab.accept()
                return super().settled()

        made = Accepted(
            self.lab.ref,
            "iris",
            self.lab.versions,
            self.lab.cluster,
            SystemClock(),
            counters=lambda: Served(dict.fromkeys(self.known, 0), 0, 0, lasting=False),
        )
        made._programmed = True
        return made

    def foreign(self) -> object:
        return self.lab.foreign()

    def name_unknown(self) -> None:
        rules = self.lab.stored()["spec"]["rules"]
        rules[0]["backendRefs"].append({"group": "", "kind": "Service", "name": "other", "port": 1, "weight": 1})
        self.lab.edit({"spec": {"rules": rules}})


@dataclass
class StoredWorld:
    lab: IstioLab | RevisionLab | LlmLab

    @property
    def known(self) -> dict[str, Version]:
        return self.lab.versions

    def router(self) -> Router:
        class Reconciled(self.lab.back_end):
            """With a controller that does at once what is stored."""

            def settled(router) -> bool | None:  # noqa: N805 - the test's own self is the world
                self.lab.reconcile()
                return super().settled()

        counters = lambda: Served(dict.fromkeys(self.known, 0), 0, 0, lasting=False)  # noqa: E731
        return Reconciled(self.lab.ref, "iris", self.lab.versions, self.lab.cluster, SystemClock(), counters=counters)

    def foreign(self) -> object:
        return self.lab.foreign()

    def name_unknown(self) -> None:
        self.lab.add_unknown()


IN_CLUSTER: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "httproute": ("gateway_api", lambda cluster: GatewayWorld(GatewayLab(cluster, "httproute", NAMES))),
    "grpcroute": ("gateway_api", lambda cluster: GatewayWorld(GatewayLab(cluster, "grpcroute", NAMES))),
    "virtualservice": ("istio", lambda cluster: StoredWorld(IstioLab(cluster, NAMES))),
    "ksvc": ("ksvc", lambda cluster: StoredWorld(KnativeLab(cluster, NAMES))),
    "inferenceservice": ("inferenceservice", lambda cluster: StoredWorld(KServeLab(cluster, NAMES[:2]))),
    "llminferenceservice": ("llminferenceservice", lambda cluster: StoredWorld(LlmLab(cluster, NAMES))),
}
"""By the kind of route: the fixture of a real cluster that knows it, and its world over a cluster."""
MORE = {
    "modelmesh": ("modelmesh", lambda cluster: StoredWorld(ModelMeshLab(cluster, NAMES))),
    "standard": ("inferenceservice", lambda cluster: StoredWorld(StandardLab(cluster, NAMES[:2]))),
}
"""Those that carry only a part of what their kind can, or nothing: strategies are tried on them, too."""
WORLDS = (
    "fake",
    pytest.param("envoy", marks=pytest.mark.local),
    *IN_CLUSTER,
    *(pytest.param(f"real-{kind}", marks=pytest.mark.cluster) for kind in IN_CLUSTER),
)
"""Every world by name, as the parameter of a fixture."""


@contextmanager
def world_of(name: str, folder: Path, fixture: Callable[[str], Any]) -> Iterator[Any]:
    """The world of this name; ``fixture`` gives a fixture's value."""
    kind = name.removeprefix("real-")
    if kind in IN_CLUSTER | MORE:
        of_cluster, made = (IN_CLUSTER | MORE)[kind]
        world = made(fixture(of_cluster) if kind != name else FakeCluster())
        yield world
        world.lab.close()
        return
    if name == "fake":
        yield FakeWorld(Stored(Routes({"v1": 100})))
        return
    lab = Lab(folder, V1)
    envoy = EnvoyWorld(lab)
    envoy.add_foreign()
    lab.start()
    yield envoy
    lab.stop()
