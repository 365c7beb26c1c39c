"""A service on the cluster: two versions behind a route, and what a release of it may not do.

``Service.check`` holds the invariants of every release, whatever its outcome: the route is wholly one version's, what its
user wrote into it is there, no lock is left, and nobody's request was lost.
"""

import base64
import gzip
import json
import os
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from fairway_steps.routing.fences import mark_of
from on_cluster.client import BODY, Client, Request, told
from on_cluster.kube import apply, eventually, get, items, kubectl, prometheus, weights
from on_cluster.versions import MODEL, deployment, http_route

PROMETHEUS = os.environ.get("FAIRWAY_PROMETHEUS", "http://prometheus.monitoring:9090")
SLOS = json.dumps(
    [
        {"metric": "error-rate", "limit": "1%", "min-requests": 30},
        {"metric": "latency", "quantile": "p95", "limit": "1s", "min-requests": 30},
    ]
)
"""The slow version takes 2 s longer. A tighter limit would be broken by a busy machine: a stall of .3 s is 6 % of a load of 5 s."""
LOST = {0, 404, 502, 503, 504}
"""What an answer that no model gave looks like: none, or one that the proxy made up."""


@dataclass
class Service:
    """``name`` in ``namespace``: an HTTPRoute ``NAME`` between the Deployments ``NAME-v1`` and ``NAME-v2``.

    Services ``of`` the same prefix share the Deployments ``PREFIX-VERSION``, each with a route of its own: where the pods are not
    the point, a test need not wait for some. Each has a candidate of its own, ``new``: one that has just had traffic by
    another route is not taken for idle.
    """

    namespace: str
    name: str
    address: str
    of: str = ""
    new: str = "v2"
    kind: str = "deployment"
    given: dict[str, str] = field(default_factory=dict)
    deployed: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"{self.name}.{self.namespace}.example"

    @property
    def primary(self) -> str:
        return self.version("v1")

    @property
    def candidate(self) -> str:
        return self.version(self.new)

    def version(self, name: str) -> str:
        """What a version's object is called."""
        return f"{self.of or self.name}-{name}"

    def backend(self, name: str) -> str:
        """What its Service is called."""
        return f"{self.version(name)}-predictor" if self.kind == "inferenceservice" else self.version(name)

    def client(self, rate: float = 50.0, **headers: str) -> Client:
        return Client(
            self.address, self.host, rate, headers={name.replace("_", "-"): it for name, it in headers.items()}
        )

    def deploy(self, behave: str = "good", **candidate: Any) -> None:
        """Both versions, and all traffic on v1, which is waited for."""
        self.deploy_version("v1")
        self.deploy_version("v2", behave, **candidate)
        self.await_version("v1")
        if behave == "good" and not candidate:
            self.await_version("v2")
        self.expose()

    def deploy_version(self, name: str, behave: str = "good", **more: Any) -> None:
        """``more`` is given to `deployment`."""
        self.deployed.append(name)
        apply(self.namespace, deployment(self.version(name), behave, **{"model": name} | more))

    def await_version(self, name: str) -> None:
        deployed = f"deployment/{self.version(name)}"
        kubectl("rollout", "status", deployed, "-n", self.namespace, "--timeout=180s", timeout=200)

    def retire(self) -> None:
        """Take its own versions away: idle, they would still be probed and scraped beside the tests that follow."""
        named = [f"{self.kind}/{self.version(name)}" for name in sorted({"v1", self.new, *self.deployed})]
        kubectl("delete", *named, "-n", self.namespace, "--ignore-not-found", "--wait=false")

    def expose(self, version: str = "v1") -> None:
        """Make the route, and wait until the gateway serves it."""
        apply(self.namespace, [http_route(self.name, self.host, self.backend(version))])
        self.await_traffic()

    def await_traffic(self) -> None:
        """Until the gateway serves the route, and Prometheus knows of it."""

        def served() -> bool:
            with self.client(rate=5) as probe:
                time.sleep(0.5)
            return bool(probe.records) and not probe.failed()

        eventually(served, 60, why=f"{self.host} is served")
        if url := prometheus():
            eventually(lambda: self._counted(url), 60, why=f"Prometheus has counted requests of {self.host}")

    def _counted(self, url: str) -> bool:
        """Whether both sources have seen a request: the proxy's counters of the route, and the pods' latencies."""
        route = f'envoy_cluster_endpoint_rq_success{{envoy_cluster_name=~"httproute/{self.namespace}/{self.name}/.*"}}'
        pods = f'request_predict_seconds_count{{namespace="{self.namespace}", pod=~"{self.primary}-.*"}}'
        query = urlencode({"query": f"count({route} > 0) and count({pods})"})
        with urlopen(f"{url}/api/v1/query?{query}", timeout=10) as answer:
            return bool(json.load(answer)["data"]["result"])

    def parameters(self, **changed: str) -> dict[str, str]:
        """What `argo submit` is given."""
        ns = self.namespace
        return {
            "service": self.name,
            "route": f"httproute/{ns}/{self.name}",
            "primary": f"v1={self.kind}/{ns}/{self.primary}",
            "candidate": f"{self.new}={self.kind}/{ns}/{self.candidate}",
            "stages": "20@10s,40@10s,60@10s",
            "slos": SLOS,
            "metrics": metrics(),
            "record": f"configmap/{ns}/fairway-{self.name}",
            "model": MODEL,
            "payload": BODY,
            "patience": "2m",  # a busy machine's Prometheus misses scrapes: costs nothing where none is missed
        } | changed

    def weights(self) -> dict[str, int]:
        return weights(self.namespace, self.name)

    def claim(self) -> None:
        """What another release does to the route before anything else."""
        kubectl("annotate", f"httproute/{self.name}", "-n", self.namespace, "--overwrite", f"{mark_of(self.name)}=9")

    def reached(self) -> set[str]:
        """The Services that get requests by the route as it is stored, or copies of them."""
        route = get(self.namespace, f"httproute/{self.name}")
        assert route is not None
        rules = route["spec"]["rules"]
        copied = [one for rule in rules for one in rule.get("filters", []) if one["type"] == "RequestMirror"]
        mirrors = {one["requestMirror"]["backendRef"]["name"] for one in copied}
        return mirrors | {ref["name"] for rule in rules for ref in rule["backendRefs"] if ref.get("weight", 1)}

    def record(self) -> dict[str, Any]:
        """The release's record, as it lies in its ConfigMap."""
        found = get(self.namespace, f"configmap/fairway-{self.name}")
        assert found is not None, "there is no record"
        packed = base64.b64decode(found["binaryData"]["record.json.gz"])
        return dict(json.loads(gzip.decompress(packed)))

    def pods(self, version: str) -> list[str]:
        found = items(self.namespace, "pod", f"app={self.version(version)}")
        return sorted(one["metadata"]["name"] for one in found)

    def replicas(self, version: str) -> int | None:
        """How many replicas a version's Deployment is to have; None if it is gone."""
        found = get(self.namespace, f"deployment/{self.version(version)}")
        return found["spec"]["replicas"] if found else None

    def check(self, winner: str, client: Client, *, may_lose: bool = False) -> None:
        """The invariants of every end; a version that crashes takes what it was answering with it."""
        route = get(self.namespace, f"httproute/{self.name}")
        assert route is not None
        (rule,) = route["spec"]["rules"]
        assert [one["name"] for one in rule["backendRefs"]] == [self.backend(winner)]
        user = http_route(self.name, self.host, self.backend("v1"))["spec"]
        assert rule["filters"] == user["rules"][0]["filters"], (
            "the user's own filter is as it was, and there is no mirror"
        )
        assert route["spec"]["hostnames"] == user["hostnames"]
        assert self.record()["outcome"] is not None, "no lock is left"
        kept = [
            f"{each['kind']} {each['metadata']['name']}"
            for kind in {self.kind, "service"}
            for each in items(self.namespace, kind)
            if each["metadata"]["name"] in (self.primary, self.candidate)
            and "fairway/traffic" in each["metadata"].get("finalizers", [])
        ]
        assert kept == [], "nothing is kept from deletion any more"
        assert may_lose or lost(client.records) == [], told(client.records)


def metrics(url: str = PROMETHEUS) -> str:
    """Envoy Gateway counts requests by endpoint and knows no latency of one: that comes from the model servers."""
    server = {"source": "prometheus", "url": url}
    return json.dumps({"requests": server | {"preset": "envoy-gateway"}, "latency": server | {"preset": "kserve"}})


def rehearsal(service: Service) -> dict[str, str]:
    """The parameters of a load test at the candidate's own address, past the route."""
    url = f"http://{service.candidate}.{service.namespace}/v2/models/{MODEL}/infer"
    return {"load_url": url, "load_rate": "30", "load_duration": "5s"}


def lost(records: list[Request]) -> list[Request]:
    """Requests that no model answered."""
    return [one for one in records if one.status in LOST]
