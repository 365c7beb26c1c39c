"""What a route cannot be made to do is refused by the preflight, and nothing is written: over the cluster in memory and over a real API
server, whose definitions must refuse the same, so that no limit here is only ours.

Left out: what a Gateway's class tells of mirrors (tests/steps/routing/test_gateway_api.py), subsets of Istio (test_istio.py).
"""

import copy
from dataclasses import replace

import pytest

from fairway_steps.cluster import Reference
from fairway_steps.errors import DomainError, Refused
from fairway_steps.model import HeaderMatch, Mirror, Routes, Version
from fairway_steps.routing.gateway_api import POINTED, GatewayRouter, GrpcRouter
from route_worlds import NAMES, world_of

FIRST, SECOND, _ = NAMES
GATEWAY = ("httproute", "grpcroute")
HEADER = Routes({FIRST: 100}, (HeaderMatch("x-tester", "yes", SECOND),))
MIRROR = Routes({FIRST: 100}, mirror=Mirror(SECOND, 50))
SPLIT = Routes({FIRST: 50, SECOND: 50})
GRANT = ("gateway.networking.k8s.io", "v1beta1", "ReferenceGrant")


@pytest.fixture
def world(request, tmp_path):
    with world_of(request.param, tmp_path, request.getfixturevalue) as made:
        yield made


def both(*kinds):
    every = [*kinds, *(pytest.param(f"real-{kind}", marks=pytest.mark.cluster) for kind in kinds)]
    return pytest.mark.parametrize("world", every, indirect=True)


def refused(world, routes, sentence):
    """The preflight refuses, the write does so too, and neither has written."""
    before = world.lab.stored()
    for asked in (
        lambda: world.router().preflight([SPLIT, routes], world.known),
        lambda: world.router().apply(routes, world.known),
    ):
        with pytest.raises(Refused, match=sentence):
            asked()
    assert world.lab.stored() == before


def copies(world, many):
    """The route with so many rules of the service, each for a path or method of its own."""
    field = world.router().part[0]
    first, *_ = world.lab.rules()
    rules = [copy.deepcopy(first) for _ in range(many)]
    for number, rule in enumerate(rules):
        if "method" in (match := rule["matches"][0]) and isinstance(match["method"], dict):
            match["method"]["service"] = f"inference.Service{number}"
        else:
            match["path"]["value"] = f"/v2/{number}"
    world.lab.edit({"spec": {field: rules}})


@both(*GATEWAY)
@pytest.mark.parametrize("asked", [HEADER, MIRROR], ids=["header", "mirror"])
def test_more_rules_than_a_route_can_have(world, asked):
    copies(world, 9)
    if asked is MIRROR and world.lab.kind == "httproute":
        world.router().preflight([asked], world.known)
        assert world.router().apply(asked, world.known) == asked, "a mirror of HTTP takes no rule of its own"
        return
    refused(world, asked, "would have 18 rules, and can have 16")
    copies(world, 8)
    assert world.router().apply(asked, world.known) == asked, "just as many as there can be"


@both("httproute")
def test_more_matches_than_a_route_can_have(world):
    (first, *rest) = world.lab.rules()
    first["matches"] = [{"path": {"type": "Exact", "value": f"/v2/{number}"}} for number in range(63)]
    world.lab.edit({"spec": {"rules": [first, *rest]}})
    refused(world, HEADER, "would have 129 matches in all rules, and can have 128")
    world.router().preflight([SPLIT, MIRROR], world.known)


@pytest.mark.cluster
@pytest.mark.parametrize("kind", GATEWAY)
@pytest.mark.parametrize("what", ["rules", "matches", "header"])
def test_the_definitions_refuse_what_is_refused_here(gateway_api, tmp_path, request, kind, what):
    with world_of(f"real-{kind}", tmp_path, request.getfixturevalue) as world:
        rules = world.lab.rules()
        asked = {"type": "Exact", "name": "x-tester", "value": "a"}
        if what == "rules":
            rules = [copy.deepcopy(rules[0]) for _ in range(17)]
        elif what == "matches":
            rules = [
                rules[0] | {"matches": [{"headers": [asked | {"value": f"{n}"}]} for n in range(64)]} for _ in "abc"
            ]
        else:
            rules[0]["matches"][0]["headers"] = [asked, asked | {"value": "b"}]
        with pytest.raises(DomainError, match="refused to change"):
            gateway_api.patch(world.lab.ref, {"spec": {"rules": rules}}, dry_run=True)


@both(*GATEWAY)
def test_a_header_that_the_users_own_rule_asks_for(world):
    rules = world.lab.rules()
    rules[0]["matches"][0]["headers"] = [{"type": "Exact", "name": "X-Tester", "value": "no"}]
    world.lab.edit({"spec": {"rules": rules}})
    refused(world, HEADER, "has a rule that asks for the header x-tester itself, and can ask for it once only")
    world.router().preflight([SPLIT], world.known)


@both(*GATEWAY, "virtualservice")
@pytest.mark.parametrize("asked", [SPLIT, HEADER, MIRROR], ids=["split", "header", "mirror"])
def test_a_port_that_the_service_has_not(world, asked):
    v2 = world.known[SECOND]
    world.known[SECOND] = replace(v2, uri=v2.uri.replace("port=8080", "port=9090"))
    before = world.lab.stored()
    with pytest.raises(
        Refused, match=r"would point at port 9090 of Service .*, which has 8080; write the version with \?port"
    ):
        world.router().preflight([asked], world.known)
    assert world.lab.stored() == before


@both(*GATEWAY, "virtualservice")
@pytest.mark.parametrize("asked", [SPLIT, HEADER, MIRROR], ids=["split", "header", "mirror"])
def test_a_service_that_does_not_exist(world, asked):
    world.known[SECOND] = Version(SECOND, f"deployment/{world.lab.cluster.namespace}/x?service=nowhere&port=8080")
    before = world.lab.stored()
    with pytest.raises(Refused, match=r"would point at Service .*/nowhere, which does not exist"):
        world.router().preflight([asked], world.known)
    assert world.lab.stored() == before


@pytest.mark.parametrize("world", GATEWAY, indirect=True)
def test_a_backend_in_another_namespace_needs_a_reference_grant(world):
    cluster, elsewhere = world.lab.cluster, "elsewhere"
    cluster.put(Reference.of("service", elsewhere, "iris"), {"spec": {"ports": [{"port": 8080}]}})
    world.known[SECOND] = Version(SECOND, f"deployment/{elsewhere}/x?service=iris&port=8080")
    asking = {"group": world.lab.ref.group, "kind": world.lab.ref.kind, "namespace": world.lab.ref.namespace}
    at, sentence = (
        Reference(*GRANT, elsewhere, "grant"),
        "no ReferenceGrant in elsewhere lets .* point at the Service iris",
    )
    service = {"group": "", "kind": "Service"}
    for spec in (
        None,
        {"from": [asking | {"namespace": "third"}], "to": [service]},
        {"from": [asking | {"kind": "TCPRoute"}], "to": [service]},
        {"from": [asking], "to": [service | {"name": "another"}]},
        {"from": [asking], "to": [{"group": "", "kind": "Secret"}]},
    ):
        if spec:
            cluster.put(at, {"spec": spec})
        for asked in (SPLIT, HEADER, MIRROR):
            with pytest.raises(Refused, match=sentence):
                world.router().preflight([asked], world.known)
    for to in (service, service | {"name": "iris"}):
        cluster.put(at, {"spec": {"from": [asking], "to": [to]}})
        world.router().preflight([SPLIT, HEADER, MIRROR], world.known)
    cluster.remove(at)
    cluster.fail["list"] = [DomainError("cannot list resource referencegrants")]
    world.router().preflight([SPLIT], world.known)


@pytest.mark.parametrize("world", ["httproute", "virtualservice"], indirect=True)
def test_what_is_not_for_us_to_see_is_believed(world):
    world.known[SECOND] = Version(SECOND, f"deployment/{world.lab.cluster.namespace}/x?service=nowhere&port=1")
    router, found = world.router(), world.lab.stored()
    get = world.lab.cluster.get
    world.lab.cluster.get = lambda ref: found if ref == world.lab.ref else _forbidden()
    router.preflight([SPLIT], world.known)
    world.lab.cluster.get = get


def _forbidden():
    raise DomainError("cannot get resource services")


@both("grpcroute")
def test_nobody_can_guess_the_header_that_leads_to_the_version_a_mirror_copies_to(world):
    """It is the same as long as the mirror stands, and another in the next release."""

    def values():
        rules = [rule for rule in world.lab.rules() if str(rule.get("name", "")).startswith("fairway-")]
        headers = [rule["matches"][0]["headers"][-1] for rule in rules]
        return {one["value"] for one in headers if one["name"] == POINTED}

    router, seen = world.router(), []
    assert isinstance(router, GrpcRouter | GatewayRouter)
    for _ in range(2):
        saved = router.snapshot()
        assert router.apply(MIRROR, world.known) == MIRROR
        (value,) = values()
        assert router.apply(replace(MIRROR, mirror=Mirror(SECOND, 60)), world.known).mirror.percent == 60
        assert values() == {value}
        seen.append(value)
        router.restore(saved)
        assert values() == set()
    assert len(set(seen)) == 2
    assert all(len(value) >= 32 and SECOND not in value for value in seen)
