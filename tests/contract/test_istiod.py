"""A VirtualService as a real istiod has a real Envoy serve it, over a real API server, with real requests: every strategy to its end, weights,
header matches, mirrors, subsets of a DestinationRule, models of a ModelMesh by the header that the route sets, two services in one
VirtualService at the same time, one that is delegated to; behind a gateway, and as a client's own sidecar goes by it; no request is lost when
a route changes, and at the end it is as it was.

Left out: how a sidecar captures traffic, pods, what a VirtualService may not hold (tests/steps/routing). Skipped where istiod
has not been built.
"""

import math
from collections import Counter
from contextlib import contextmanager

import pytest

from api_server import kubeconfig
from fairway_steps.clock import SystemClock
from fairway_steps.cluster import Reference
from fairway_steps.cluster.connect import connect
from fairway_steps.errors import Refused
from fairway_steps.model import HeaderMatch, Mirror, Outcome, Routes, Version
from fairway_steps.settled import await_settled
from fakes_gateway import install_crds
from fakes_routing import Client, ModelServer, Traffic, eventually, free_ports
from istiod import SPACE, World, istiod, proxy
from releases import STRATEGIES, Release
from route_worlds import NAMES

pytestmark = pytest.mark.cluster
PLURALS = ("virtualservices", "destinationrules", "gateways", "serviceentries", "sidecars")
MIRRORED = [name for name in STRATEGIES if name != "mirror, answers compared"]
SPLIT = [name for name in MIRRORED if name != "mirror"]


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    """An API server of its own: another may have an istiod already."""
    with kubeconfig(tmp_path_factory.mktemp("api"), own=True) as path:
        yield path


@pytest.fixture(scope="module")
def cluster(api):
    made = connect({"KUBECONFIG": str(api)}, SystemClock())
    install_crds(made, "networking.istio.io", PLURALS)
    made.create(Reference("", "v1", "Namespace", "", "istio-system"), {})
    yield made
    made.close()


@pytest.fixture(scope="module")
def control_plane(api, cluster, tmp_path_factory):
    with istiod(tmp_path_factory.mktemp("istiod"), api) as port:
        yield port


@pytest.fixture
def servers():
    made = {name: ModelServer(name) for name in ("v1", "v2", "w1", "w2")}
    yield made
    for server in made.values():
        server.close()


@contextmanager
def opened(kind, cluster, control_plane, servers, folder):
    listen, admin = free_ports(2)
    made = World(cluster, servers, listen, kind)
    with proxy(folder, control_plane, admin, kind):
        yield made
    made.mesh.close()


@contextmanager
def asking(world):
    made = Client(world.address)
    eventually(lambda: made.ask().status == 200, 180)
    yield made
    made.close()


@pytest.fixture
def world(cluster, control_plane, servers, tmp_path):
    """What a gateway serves."""
    with opened("router", cluster, control_plane, servers, tmp_path) as made:
        yield made


@pytest.fixture
def client(world):
    with asking(world) as made:
        yield made


@pytest.fixture
def mesh(cluster, control_plane, servers, tmp_path):
    """What a client's own sidecar goes by."""
    with opened("sidecar", cluster, control_plane, servers, tmp_path) as made:
        yield made


@pytest.fixture
def beside(mesh):
    """A client beside its sidecar."""
    with asking(mesh) as made:
        yield made


def answers(client, count, **headers):
    """Who answered; all of them did."""
    told = [client.ask(**headers) for _ in range(count)]
    assert {one.status for one in told} == {200}
    return Counter(one.body for one in told)


def served(router, routes, versions):
    router.apply(routes, versions)
    await_settled(router, SystemClock(), 30.0)


def near(count, of, share):
    return abs(count - of * share) <= 6.5 * math.sqrt(of * share * (1 - share))


def carried(strategy, kind):
    return pytest.param(strategy, marks=pytest.mark.carries(strategy, kind))


def released(strategy, world, client, folder, *, answered, at):
    """A release by the strategy, at whose end all requests are ``answered`` so, and the http route is as it was but for its destination."""
    how, stages = STRATEGIES[strategy]
    with Traffic(world.address, 50) as users:
        record = Release(world, how, stages, folder).run("promoted")
        eventually(lambda: set(answers(client, 20)) == {answered}, 180)
    assert users.failed == []
    assert (record.outcome, record.stable.name) == (Outcome.PROMOTED, NAMES[1])
    wine, iris = world.spec["http"]
    assert world.stored() == {**world.spec, "http": [wine, {**iris, "route": [{**at, "weight": 100}]}]}


@pytest.mark.parametrize("strategy", [carried(name, "VirtualService") for name in MIRRORED])
def test_a_strategy_ends_with_the_candidate_and_nobody_is_lost(strategy, world, client, tmp_path):
    released(strategy, world, client, tmp_path, answered="v2", at=world.to("v2"))


@pytest.mark.parametrize("strategy", MIRRORED)
def test_so_it_does_between_sidecars(strategy, mesh, beside, tmp_path):
    released(strategy, mesh, beside, tmp_path, answered="v2", at=mesh.to("v2"))


def test_a_clients_sidecar_splits_copies_and_tells_testers_from_others(mesh, beside, servers):
    router, versions = mesh.routed("v1", "v2")
    saved = router.snapshot()
    served(router, Routes({"v1": 75, "v2": 25}, (HeaderMatch("x-test", "yes", "v2"),)), versions)
    eventually(lambda: set(answers(beside, 5, x_test="yes")) == {"v2"}, 180)
    assert near(answers(beside, 400)["v2"], 400, 0.25)
    served(router, Routes({"v1": 100}, mirror=Mirror("v2", 50)), versions)
    eventually(lambda: set(answers(beside, 20)) == {"v1"}, 180)
    before = servers["v2"].requests
    assert answers(beside, 400) == {"v1": 400}
    eventually(lambda: near(servers["v2"].requests - before, 400, 0.5), 180)
    router.restore(saved)
    assert mesh.stored() == mesh.spec


@pytest.mark.parametrize("strategy", [carried(name, "VirtualService before a ModelMesh") for name in SPLIT])
def test_so_it_does_before_a_modelmesh(strategy, world, client, servers, tmp_path):
    world.models(servers["w1"])
    eventually(lambda: set(answers(client, 5)) == {NAMES[0]}, 180)
    released(strategy, world, client, tmp_path, answered=NAMES[1], at=world.model(NAMES[1]))


def test_requests_are_split_as_asked_and_nobody_is_lost(world, client):
    router, versions = world.routed("v1", "v2")
    saved = router.snapshot()
    with Traffic(world.address, 50) as users:
        served(router, Routes({"v1": 75, "v2": 25}), versions)
        eventually(lambda: answers(client, 20)["v2"], 180)
        assert near(answers(client, 400)["v2"], 400, 0.25)
        served(router, Routes({"v2": 100}), versions)
        eventually(lambda: set(answers(client, 20)) == {"v2"}, 180)
        router.restore(saved)
        eventually(lambda: set(answers(client, 20)) == {"v1"}, 180)
    assert users.failed == []
    assert world.stored() == world.spec


@pytest.mark.carries("A/B/n split", "VirtualService")
def test_three_versions_have_their_shares(world, client):
    router, versions = world.routed("v1", "v2", "w2")
    saved, asked = router.snapshot(), {"v1": 50, "v2": 30, "w2": 20}
    with Traffic(world.address, 50) as users:
        served(router, Routes(asked), versions)
        eventually(lambda: set(answers(client, 20)) == set(asked), 180)
        counted = answers(client, 400)
        assert all(near(counted[name], 400, share / 100) for name, share in asked.items()), counted
        router.restore(saved)
        eventually(lambda: set(answers(client, 20)) == {"v1"}, 180)
    assert users.failed == []
    assert world.stored() == world.spec


def test_testers_alone_meet_the_candidate(world, client):
    router, versions = world.routed("v1", "v2")
    saved = router.snapshot()
    served(router, Routes({"v1": 100}, (HeaderMatch("x-test", "yes", "v2"),)), versions)
    eventually(lambda: set(answers(client, 5, x_test="yes")) == {"v2"}, 180)
    assert answers(client, 30) == {"v1": 30}
    router.restore(saved)
    eventually(lambda: set(answers(client, 5, x_test="yes")) == {"v1"}, 180)
    assert world.stored() == world.spec


def test_a_share_of_the_requests_is_copied_and_users_get_the_primarys_answers(world, client, servers):
    router, versions = world.routed("v1", "v2")
    saved = router.snapshot()
    served(router, Routes({"v1": 100}, mirror=Mirror("v2", 50)), versions)
    eventually(lambda: answers(client, 10) == {"v1": 10} and servers["v2"].requests, 180)
    before = servers["v2"].requests
    assert answers(client, 400) == {"v1": 400}
    eventually(lambda: near(servers["v2"].requests - before, 400, 0.5), 180)
    router.restore(saved)
    assert world.stored() == world.spec


def test_two_services_in_one_virtual_service_do_not_disturb_each_other(world, client):
    (iris, ours), (wine, theirs) = world.routed("v1", "v2"), world.routed("w1", "w2", service="wine")
    saved, kept = iris.snapshot(), wine.snapshot()
    with Traffic(world.address, 50) as users:
        served(iris, Routes({"v1": 80, "v2": 20}, (HeaderMatch("x-test", "yes", "v2"),)), ours)
        served(wine, Routes({"w2": 100}), theirs)
        eventually(lambda: set(answers(client, 10, x_service="wine")) == {"w2"}, 180)
        assert set(answers(client, 60)) == {"v1", "v2"}
        iris.restore(saved)
        eventually(lambda: set(answers(client, 20)) == {"v1"}, 180)
        assert set(answers(client, 20, x_service="wine")) == {"w2"}
        wine.restore(kept)
        eventually(lambda: set(answers(client, 10, x_service="wine")) == {"w1"}, 180)
    assert users.failed == []
    assert world.stored() == world.spec


def test_models_of_a_modelmesh_get_the_header_that_chooses_them(world, client, servers):
    world.models(servers["w1"])
    router, (first, second) = world.router(), NAMES[:2]
    saved = router.snapshot()
    eventually(lambda: set(answers(client, 5)) == {first}, 180)
    with Traffic(world.address, 50) as users:
        served(router, Routes({first: 50, second: 50}, (HeaderMatch("x-test", "yes", second),)), world.known)
        eventually(lambda: set(answers(client, 5, x_test="yes")) == {second}, 180)
        assert near(answers(client, 300)[second], 300, 0.5)
        router.restore(saved)
        eventually(lambda: set(answers(client, 20)) == {first}, 180)
    assert users.failed == []
    assert world.stored() == world.spec


@pytest.mark.carries("A/B/n split", "VirtualService before a ModelMesh")
def test_three_models_of_a_modelmesh_have_their_shares(world, client, servers):
    world.models(servers["w1"])
    router, asked = world.router(), dict(zip(NAMES, (50, 30, 20), strict=True))
    saved = router.snapshot()
    eventually(lambda: set(answers(client, 5)) == {NAMES[0]}, 180)
    with Traffic(world.address, 50) as users:
        served(router, Routes(asked), world.known)
        eventually(lambda: set(answers(client, 20)) == set(asked), 180)
        counted = answers(client, 400)
        assert all(near(counted[name], 400, share / 100) for name, share in asked.items()), counted
        router.restore(saved)
        eventually(lambda: set(answers(client, 20)) == {NAMES[0]}, 180)
    assert users.failed == []
    assert world.stored() == world.spec


def test_copies_of_a_modelmeshs_requests_keep_the_header_of_the_version_they_were_sent_to(world, client, servers):
    """Why a mirror is refused there: the header is set where the request's version is chosen, and a copy is made of what comes of it."""
    copies = servers["w2"]
    copies.echo = "mm-vmodel-id"
    mirrored = {
        "route": [world.model("m1")],
        "mirror": world.to("w2")["destination"],
        "mirrorPercentage": {"value": 100},
    }
    world.cluster.patch(world.ref, {"spec": {**world.spec, "http": [mirrored]}})
    eventually(lambda: answers(client, 5) == {"w1": 5} and copies.requests >= 5, 180)
    assert set(copies.heard) == {"m1"}


def test_subsets_of_one_service_are_split_and_one_that_nothing_defines_is_refused(world, client, servers):
    host = f"{world.mark}-both"
    world.mesh.service(host, {name: servers[name].port for name in ("v1", "v2")})
    subsets = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]
    theirs = {"host": host, "trafficPolicy": {"loadBalancer": {"simple": "RANDOM"}}, "subsets": subsets}
    rule = world.mesh.create("DestinationRule", world.mark, theirs)
    to = {"destination": {"host": host, "subset": "v1", "port": {"number": 80}}}
    marked = {"headers": {"response": {"set": {"x-fairway-version": "subset"}}}}
    spec = {**world.spec, "http": [{"timeout": "9s", **marked, "route": [to]}]}
    world.cluster.patch(world.ref, {"spec": spec})
    versions = {name: Version(name, world.at(name, "both", f"&subset={name}")) for name in ("v1", "v2", "v9")}
    for name in ("v1", "v2"):
        world.mesh.pod(name)
    router = world.router(versions)
    with pytest.raises(Refused, match="has the subset v9, which is version v9"):
        router.preflight([Routes({"v1": 50, "v9": 50})], versions)
    saved = router.snapshot()
    eventually(lambda: client.ask().version == "subset", 180)
    with Traffic(world.address, 50) as users:
        served(router, Routes({"v1": 70, "v2": 30}, (HeaderMatch("x-test", "yes", "v2"),)), versions)
        eventually(lambda: set(answers(client, 5, x_test="yes")) == {"v2"}, 180)
        assert near(answers(client, 400)["v2"], 400, 0.3)
        router.restore(saved)
        eventually(lambda: set(answers(client, 20)) == {"v1"}, 180)
    assert users.failed == []
    assert world.stored() == spec
    assert world.cluster.get(rule)["spec"] == theirs


def test_one_that_is_delegated_to_is_split_and_the_one_that_delegates_is_not_touched(world, client):
    """wine's requests are handed on to a VirtualService of its own, which has neither hosts nor gateways."""
    wine, iris = world.spec["http"]
    name = f"{world.mark}-wine"
    theirs = {"http": [{"timeout": "7s", "route": [world.to("w1")]}]}
    delegated = world.mesh.create("VirtualService", name, theirs)
    spec = {**world.spec, "http": [{"match": wine["match"], "delegate": {"name": name, "namespace": SPACE}}, iris]}
    world.cluster.patch(world.ref, {"spec": spec})
    versions = {each: Version(each, world.at(each)) for each in ("w1", "w2")}
    router = world.router(versions, service="wine", ref=delegated)
    saved = router.snapshot()
    eventually(lambda: set(answers(client, 5, x_service="wine")) == {"w1"}, 180)
    with Traffic(world.address, 50) as users:
        served(router, Routes({"w1": 50, "w2": 50}), versions)
        eventually(lambda: set(answers(client, 20, x_service="wine")) == {"w1", "w2"}, 180)
        assert near(answers(client, 300, x_service="wine")["w2"], 300, 0.5)
        assert answers(client, 20) == {"v1": 20}
        assert world.stored() == spec
        router.restore(saved)
        eventually(lambda: set(answers(client, 20, x_service="wine")) == {"w1"}, 180)
    assert users.failed == []
    assert (world.stored(), world.cluster.get(delegated)["spec"]) == (spec, theirs)
