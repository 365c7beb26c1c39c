"""Which URI opens which router, and which opens none."""

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import UsageError
from fairway_steps.model import Routes, Version
from fairway_steps.routing.bootstrap import write_folder
from fairway_steps.routing.registry import open_router
from fakes_cluster import FakeCluster
from fakes_gateway import GatewayLab


def test_an_envoy_folder(tmp_path):
    write_folder(tmp_path, "iris", Version("v1", "http://127.0.0.1:1"), "127.0.0.1:2", "127.0.0.1:3")
    assert open_router(f"envoy:{tmp_path}", "iris", FakeClock()).read() == Routes({"v1": 100})


@pytest.mark.parametrize("kind", ["httproute", "grpcroute"])
def test_a_route_of_gateway_api(kind):
    lab = GatewayLab(FakeCluster(), kind)
    uri = f"{kind}/{lab.ref.namespace}/{lab.ref.name}"
    router = open_router(uri, "iris", FakeClock(), versions=lab.versions, cluster=lambda: lab.cluster)
    assert router.read() == Routes({"v1": 100})
    with pytest.raises(UsageError, match="is not a reference"):
        open_router(f"{kind}/iris", "iris", FakeClock(), cluster=lambda: lab.cluster)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("httproute/ns/iris", "no kind that Fairway knows"),
        ("deployment/ns/iris", "no kind that Fairway knows"),
        ("envoy", "no kind that Fairway knows"),
        ("", "no kind that Fairway knows"),
        ("envoy:", "not an Envoy folder"),
        ("envoy:/no/such/folder", "no folder /no/such/folder"),
    ],
)
def test_anything_else_is_refused(uri, says):
    with pytest.raises(UsageError, match=says):
        open_router(uri, "iris", FakeClock())
