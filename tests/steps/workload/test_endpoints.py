"""Covers: which addresses a Service has, ready ones and all of them, over several slices, ports and both address families; those of a subset; that
asking again and again is one watch, and that a broken one is no loss.

Leaves out: the watch itself (tests/contract/test_cluster.py).
"""

import threading

import pytest

from fairway_steps.cluster import Reference
from fairway_steps.errors import TransientError
from fairway_steps.workload import live
from fairway_steps.workload.endpoints import all_endpoints, ready_endpoints
from fairway_steps.workload.live import Endpoints, Live
from fairway_steps.workload.place import Place
from fakes_cluster import FakeCluster
from fakes_routing import eventually

IRIS = Place(Reference.of("deployment", "ns", "iris-v1"), "iris", 8080)
SUBSET = Place(IRIS.ref, "iris", 8080, subset="v1")


def sliced(cluster, name, service, *endpoints, port=8080):
    ref = Reference("discovery.k8s.io", "v1", "EndpointSlice", "ns", name)
    labels = {"kubernetes.io/service-name": service}
    cluster.create(
        ref,
        {
            "metadata": {"name": name, "namespace": "ns", "labels": labels},
            "endpoints": [{"addresses": [address], "conditions": conditions} for address, conditions in endpoints],
            "ports": [{"port": port}],
        },
    )


def test_one_that_fails_its_probe_is_not_ready_and_has_still_counted():
    cluster = FakeCluster("ns")
    sliced(cluster, "a", "iris", ("10.0.0.1", {"ready": True}), ("10.0.0.2", {"ready": False}))
    sliced(cluster, "b", "iris", ("fd00::1", {}))
    sliced(cluster, "c", "other", ("10.0.0.9", {"ready": True}))
    assert ready_endpoints(cluster, IRIS) == ("10.0.0.1:8080", "[fd00::1]:8080")
    assert all_endpoints(cluster, IRIS) == ("10.0.0.1:8080", "10.0.0.2:8080", "[fd00::1]:8080")


@pytest.mark.parametrize(("port", "expected"), [(80, "10.0.0.1:8080"), (9090, "10.0.0.1:9090"), (7, "10.0.0.1:9090")])
def test_of_several_ports_the_one_that_the_route_points_at_is_told_and_asked_for_once(port, expected):
    cluster, at = FakeCluster("ns"), Place(IRIS.ref, "iris", port)
    sliced(cluster, "a", "iris", ("10.0.0.1", {}))
    ref = Reference("discovery.k8s.io", "v1", "EndpointSlice", "ns", "a")
    cluster.edit(ref, {"ports": [{"name": "metrics", "port": 9090}, {"name": "http", "port": 8080}]})
    ports = [{"name": "metrics", "port": 9090}, {"name": "http", "port": 80, "targetPort": "http"}]
    cluster.put(Reference.of("service", "ns", "iris"), {"spec": {"ports": ports}})
    assert ready_endpoints(cluster, at) == all_endpoints(cluster, at) == (expected,)
    endpoints, live = Endpoints(cluster, at), Live(cluster, at, threading.Event())
    before = len(cluster.calls)
    assert endpoints() == endpoints() == live.endpoints() == live.endpoints() == (expected,)
    assert cluster.calls[before:] == [("get", at.backend)] * 2


def test_a_service_without_endpoints_has_no_address():
    assert all_endpoints(FakeCluster("ns"), IRIS) == ()


def test_of_versions_that_share_a_service_each_has_the_endpoints_of_its_own_pods():
    cluster = FakeCluster("ns")
    sliced(cluster, "a", "iris", ("10.0.0.1", {"ready": True}), ("10.0.0.2", {"ready": True}))
    ref = Reference("discovery.k8s.io", "v1", "EndpointSlice", "ns", "a")
    endpoints = cluster.get(ref)["endpoints"]
    named = [one | {"targetRef": {"kind": "Pod", "name": name}} for one, name in zip(endpoints, "pq", strict=True)]
    cluster.edit(ref, {"endpoints": named})
    assert ready_endpoints(cluster, SUBSET) == ()
    cluster.put(IRIS.ref, {"spec": {"selector": {"matchLabels": {"version": "v1"}}}})
    for name, version in (("p", "v2"), ("q", "v1")):
        cluster.put(Reference("", "v1", "Pod", "ns", name), {"metadata": {"labels": {"version": version}}})
    assert ready_endpoints(cluster, SUBSET) == all_endpoints(cluster, SUBSET) == ("10.0.0.2:8080",)
    assert len(ready_endpoints(cluster, IRIS)) == 2


def test_they_are_watched_and_not_asked_for_again():
    cluster = FakeCluster("ns")
    sliced(cluster, "a", "iris", ("10.0.0.1", {"ready": False}))
    endpoints = Endpoints(cluster, IRIS)
    assert endpoints() == ("10.0.0.1:8080",)
    before = len(cluster.calls)
    sliced(cluster, "b", "iris", ("10.0.0.2", {}))
    eventually(lambda: endpoints() == ("10.0.0.1:8080", "10.0.0.2:8080"))
    assert [call for call in cluster.calls[before:] if "create" not in str(call)] == []


def test_they_are_listed_while_the_watch_is_broken():
    cluster = FakeCluster("ns")
    sliced(cluster, "a", "iris", ("10.0.0.1", {}))

    def watch(*_, **__):
        raise TransientError("away")
        yield

    cluster.watch = watch
    assert Endpoints(cluster, IRIS)() == ("10.0.0.1:8080",)


def test_they_are_followed_for_longer_than_a_watch_lasts(monkeypatch):
    cluster = FakeCluster("ns")
    sliced(cluster, "a", "iris", ("10.0.0.1", {"ready": True}))
    with monkeypatch.context() as patch:
        patch.setattr(live, "LONGEST", 0.05)
        endpoints = Endpoints(cluster, IRIS)
        eventually(lambda: [name for name, _ in cluster.calls].count("watch") > 1)
    sliced(cluster, "b", "iris", ("10.0.0.2", {"ready": True}))
    eventually(lambda: endpoints() == ("10.0.0.1:8080", "10.0.0.2:8080"))
