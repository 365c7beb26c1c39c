"""Covers: a Gateway API route while others write it, refuse it, or take its endpoints away; what is left of it at the end.

Leaves out: what every back end does (tests/contract/test_router.py), real Gateways (tests/e2e).
"""

import copy

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.cluster import Reference
from fairway_steps.errors import Conflict, DomainError, NotReady, NotSettled, Refused, TransientError, UsageError
from fairway_steps.model import HeaderMatch, Mirror, Routes, Stickiness, Version
from fairway_steps.routing import rules
from fairway_steps.routing.gateway_api import GatewayRouter, GrpcRouter
from fairway_steps.settled import await_settled
from fakes_cluster import FakeCluster
from fakes_gateway import GatewayLab

SPLIT = Routes({"v1": 80, "v2": 20})
EG = Reference("gateway.networking.k8s.io", "v1", "Gateway", "default", "eg")


@pytest.fixture
def lab():
    lab = GatewayLab(FakeCluster(), names=("v1", "v2"))
    programmed = {"type": "Programmed", "status": "True", "observedGeneration": 1}
    lab.cluster.put(EG, {"spec": {}, "status": {"conditions": [programmed]}})
    return lab


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def router(lab, clock):
    return GatewayRouter(lab.ref, "iris", lab.versions, lab.cluster, clock)


def test_a_backend_without_a_share_leaves_every_rule(lab, router):
    one, two = lab.services.values()
    router.apply(SPLIT, lab.versions)
    assert lab.backends() == [[(one, 80), (two, 20)], [("other", 1)], [(one, 80), (two, 20)]]
    router.apply(Routes({"v2": 100}), lab.versions)
    assert lab.backends() == [[(two, 100)], [("other", 1)], [(two, 100)]]


def test_what_stands_at_a_backend_is_kept_and_given_to_the_new_one(lab, router):
    stored = lab.stored()["spec"]["rules"]
    cut = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-debug"]}}]
    stored[0]["backendRefs"][0]["filters"] = cut
    lab.edit({"spec": {"rules": stored}})
    router.apply(SPLIT, lab.versions)
    refs = lab.stored()["spec"]["rules"][0]["backendRefs"]
    assert [ref["filters"] for ref in refs] == [cut, cut]
    router.apply(Routes({"v2": 100}), lab.versions)
    assert lab.stored()["spec"]["rules"][0]["backendRefs"][0]["filters"] == cut


def test_three_conflicts_are_overcome_and_the_edits_between_them_kept(lab, router, clock):
    edits = iter(range(3))

    def meanwhile(ref):
        if ref == lab.ref and (number := next(edits, None)) is not None:
            stored = lab.stored()["spec"]["rules"]
            stored[0]["timeouts"] = {"request": f"{number}s"}
            lab.edit({"spec": {"rules": stored}, "metadata": {"annotations": {f"edit-{number}": "1"}}})

    lab.cluster.on_write = meanwhile
    assert router.apply(SPLIT, lab.versions) == SPLIT
    found = lab.stored()
    assert found["spec"]["rules"][0]["timeouts"] == {"request": "2s"}
    assert {f"edit-{number}" for number in range(3)} < set(found["metadata"]["annotations"])


def test_a_route_that_is_never_left_alone_is_transient(lab, router):
    lab.cluster.fail["patch"] = [Conflict("again")] * 100
    with pytest.raises(TransientError, match="written by others all the time"):
        router.apply(SPLIT, lab.versions)


def test_a_rollback_is_written_even_then(lab, router):
    saved = router.snapshot()
    router.apply(SPLIT, lab.versions)
    lab.cluster.fail["patch"] = [Conflict("again")] * 8
    assert router.restore(saved) == Routes({"v1": 100})


def test_an_old_holder_does_not_win_by_conflicts(lab, router):
    def meanwhile(ref):
        lab.cluster.on_write = lambda ref: None
        lab.edit({"metadata": {"annotations": {"fairway/fence-iris": "9"}}})

    lab.cluster.on_write = meanwhile
    with pytest.raises(DomainError, match=r"a newer holder \(token 9, this one has 3\)"):
        router.apply(SPLIT, lab.versions, fence=3)
    assert router.read() == Routes({"v1": 100})


def test_weights_that_something_else_changes_are_not_settled(lab, router, clock):
    router.apply(SPLIT, lab.versions)
    lab.accept()
    assert router.settled() is True
    stored = lab.stored()["spec"]["rules"]
    for rule in stored[::2]:
        rule["backendRefs"] = rule["backendRefs"][:1]
    lab.edit({"spec": {"rules": stored}})
    lab.accept()
    assert router.settled() is False
    with pytest.raises(NotSettled, match=r'somebody has changed the route: it now holds \{"v1": 100\}'):
        await_settled(router, clock, 1.0)


def test_a_write_that_is_reverted_at_once_is_told_by_the_read_back(lab, router):
    before = copy.deepcopy(lab.stored()["spec"])

    def reverted(ref):
        if ref == lab.ref:
            lab.cluster.after_write = lambda ref: None
            lab.edit({"spec": before})

    lab.cluster.after_write = reverted
    assert router.apply(SPLIT, lab.versions) == Routes({"v1": 100})


@pytest.mark.parametrize(
    ("conditions", "sentence"),
    [
        (
            {"Accepted": "False:NoMatchingParent:no listener fits"},
            r"Accepted is False \(NoMatchingParent\): no listener fits",
        ),
        ({"ResolvedRefs": "False:BackendNotFound:no v2"}, r"ResolvedRefs is False \(BackendNotFound\): no v2"),
    ],
)
def test_a_route_that_is_not_accepted_fails_with_the_conditions_text(lab, router, clock, conditions, sentence):
    router.apply(SPLIT, lab.versions)
    assert router.settled() is False
    assert "older generation" in router.trouble
    lab.accept(**conditions)
    with pytest.raises(NotSettled, match=sentence):
        await_settled(router, clock, 1.0)
    lab.accept()
    await_settled(router, clock, 1.0)


def test_a_parent_that_no_controller_took_up_is_told(lab, router):
    lab.edit({"status": {"parents": []}})
    assert router.settled() is False
    assert router.trouble == "no controller has taken up the route for the Gateway eg"


def test_a_gateway_that_is_not_programmed_is_told(lab, router):
    failing = {
        "type": "Programmed",
        "status": "False",
        "reason": "NoResources",
        "message": "no pods",
        "observedGeneration": 1,
    }
    lab.cluster.edit(EG, {"status": {"conditions": [failing]}})
    assert router.settled() is False
    assert router.trouble == "the Gateway eg: Programmed is False (NoResources): no pods"
    lab.cluster.remove(EG)
    assert router.settled() is False
    assert router.trouble == "there is no Gateway default/eg"


def test_a_gateway_that_is_not_ours_to_see_is_believed_and_that_is_said_once(lab, router, caplog):
    caplog.set_level("INFO", logger="fairway_steps")
    real = lab.cluster.get

    def get(ref):
        if ref.kind == "Gateway":
            raise DomainError("gateways are forbidden")
        return real(ref)

    lab.cluster.get = get
    assert router.settled() is True
    assert router.settled() is True
    (said,) = caplog.messages
    assert said.startswith("not checked: whether the proxies of Gateway default/eg run; this account may not read it")


def test_no_share_without_ready_endpoints(lab, router):
    lab.endpoints(lab.services["v2"], ready=False)
    before = lab.stored()
    for routes in (SPLIT, Routes({"v1": 100}, mirror=Mirror("v2", 10))):
        with pytest.raises(NotReady, match=r"v2 gets no traffic: the Service .* has no ready endpoints"):
            router.apply(routes, lab.versions)
    assert lab.stored() == before


def test_traffic_is_not_taken_back_to_a_dead_primary_while_the_candidate_lives(lab, router):
    saved = router.snapshot()
    router.apply(SPLIT, lab.versions)
    lab.endpoints(lab.services["v1"], ready=False)
    with pytest.raises(NotReady, match="v1 cannot take the traffic back: it has no ready endpoints, and v2 has"):
        router.restore(saved)
    assert router.read() == SPLIT
    lab.endpoints(lab.services["v2"], ready=False)
    assert router.restore(saved) == Routes({"v1": 100})


def test_endpoints_that_cannot_be_seen_do_not_stop_a_rollback(lab, router):
    saved = router.snapshot()
    router.apply(SPLIT, lab.versions)
    lab.cluster.fail["list"] = [DomainError("forbidden")] * 10
    assert router.restore(saved) == Routes({"v1": 100})


def test_the_same_again_is_no_write(lab, router):
    router.apply(SPLIT, lab.versions, fence=2)
    before = lab.stored()
    router.apply(SPLIT, lab.versions, fence=2)
    assert lab.stored() == before


def test_restore_needs_nothing_of_apply(lab, router, monkeypatch):
    saved, before = router.snapshot(), lab.stored()["spec"]
    router.apply(Routes({"v1": 60, "v2": 40}, (HeaderMatch("x-test", "1", "v2"),), Mirror("v2", 5)), lab.versions)
    assert len(lab.stored()["spec"]["rules"]) == 5
    monkeypatch.setattr(rules, "encode", None)
    router.restore(saved)
    assert lab.stored()["spec"] == before


def test_a_mirror_of_grpc_goes_to_the_candidate_and_to_no_collector(clock):
    lab = GatewayLab(FakeCluster(), "grpcroute", ("v1", "v2"))
    known = lab.versions | {one.name: one for one in (lab.collector(),)}
    router, before = GrpcRouter(lab.ref, "iris", known, lab.cluster, clock), lab.stored()
    with pytest.raises(Refused, match=r"cannot carry a mirror whose answers are compared: .* compares no gRPC answers"):
        router.preflight([Routes({"v1": 100}, mirror=Mirror("collector", 50))], known)
    assert lab.stored() == before
    wanted = Routes({"v1": 100}, mirror=Mirror("v2", 50))
    router.preflight([wanted], known)
    assert router.apply(wanted, known) == wanted


def test_a_mirror_of_grpc_is_refused_where_the_gateway_has_none(clock):
    lab = GatewayLab(FakeCluster(), "grpcroute", ("v1", "v2"))
    lab.cluster.put(EG, {"spec": {"gatewayClassName": "eg"}})
    at = Reference("gateway.networking.k8s.io", "v1", "GatewayClass", "", "eg")
    lab.cluster.put(at, {"status": {"supportedFeatures": [{"name": "HTTPRoute"}, {"name": "GRPCRoute"}]}})
    router = GrpcRouter(lab.ref, "iris", lab.versions, lab.cluster, clock)
    with pytest.raises(Refused, match="the GatewayClass eg does not tell HTTPRouteRequestMirror"):
        router.preflight([Routes({"v1": 100}, mirror=Mirror("v2", 50))], lab.versions)


@pytest.mark.parametrize("gone", ["rule", "mirror"])
def test_half_of_a_mirror_of_grpc_is_not_taken_for_the_whole(clock, gone):
    """Envoy Gateway answers no call where a mirror's Service has no rule; and no ending may leave that rule behind."""
    lab = GatewayLab(FakeCluster(), "grpcroute", ("v1", "v2"))
    router, wanted = (
        GrpcRouter(lab.ref, "iris", lab.versions, lab.cluster, clock),
        Routes({"v1": 100}, mirror=Mirror("v2", 50)),
    )
    router.apply(wanted, lab.versions)
    left = [
        rule
        for rule in lab.stored()["spec"]["rules"]
        if gone != "rule" or not rule.get("name", "").startswith("fairway")
    ]
    if gone == "mirror":
        for rule in left:
            rule.pop("filters", None)
    lab.cluster.edit(lab.ref, {"spec": {"rules": left}})
    assert router.read() not in (wanted, Routes({"v1": 100}) if gone == "mirror" else wanted)
    router.apply(Routes({"v1": 100}), lab.versions)
    assert not any(rule.get("name", "").startswith("fairway") for rule in lab.stored()["spec"]["rules"])


def test_a_mirror_may_go_to_a_collector_s_service(lab, clock):
    at = Version("collector", f"service/{lab.cluster.namespace}/fw-collector?service=fw-collector&port=8090")
    known = lab.versions | {"collector": at}
    router = GatewayRouter(lab.ref, "iris", known, lab.cluster, clock)
    saved, before = router.snapshot(), lab.stored()["spec"]
    wanted = Routes({"v1": 100}, mirror=Mirror("collector", 50))
    assert lab.collector() == at
    lab.endpoints("fw-collector", ready=False)
    with pytest.raises(NotReady, match="collector gets no traffic"):
        router.apply(wanted, known)
    lab.endpoints("fw-collector", ready=True)
    assert router.apply(wanted, known) == wanted
    mirrors = [f["requestMirror"] for rule in lab.stored()["spec"]["rules"] for f in rule.get("filters", ())[1:]]
    assert [(m["backendRef"]["name"], m["backendRef"]["port"], m["percent"]) for m in mirrors[:1]] == [
        ("fw-collector", 8090, 50)
    ]
    router.restore(saved)
    assert lab.stored()["spec"] == before


def test_restore_keeps_what_others_have_changed_meanwhile(lab, router):
    saved = router.snapshot()
    router.apply(Routes({"v1": 60, "v2": 40}, mirror=Mirror("v2", 5)), lab.versions)
    stored = lab.stored()["spec"]["rules"]
    stored[0]["timeouts"] = {"request": "99s"}
    stored[0]["filters"].append({"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["server"]}})
    added = {"matches": [{"path": {"type": "Exact", "value": "/new"}}], "backendRefs": [{"name": "other", "port": 1}]}
    lab.edit({"spec": {"rules": [added, *stored]}})
    router.restore(saved)
    new, first, *_ = lab.stored()["spec"]["rules"]
    assert new == added
    assert first["timeouts"] == {"request": "99s"}
    assert [f["type"] for f in first["filters"]] == ["RequestHeaderModifier", "ResponseHeaderModifier"]
    assert router.read() == Routes({"v1": 100})


def test_an_added_rule_keeps_its_own_port_of_the_primary_or_gets_that_of_a_saved_rule(lab, router):
    saved = router.snapshot()
    router.apply(SPLIT, lab.versions)
    one, two = lab.services.values()
    ports = [{"name": one, "port": 9090, "weight": 3}, {"name": two, "port": 9090, "weight": 1}]
    added = [{"name": "admin", "backendRefs": ports}, {"name": "debug", "backendRefs": ports[1:]}]
    lab.edit({"spec": {"rules": [*added, *lab.stored()["spec"]["rules"]]}})
    assert router.restore(saved) == Routes({"v1": 100})
    refs = [rule["backendRefs"] for rule in lab.stored()["spec"]["rules"][:2]]
    assert [[(ref["name"], ref["port"]) for ref in rule] for rule in refs] == [[(one, 9090)], [(one, 8080)]]


def test_an_edited_match_is_kept_and_so_is_what_was_added_beside_it(lab, router):
    saved = router.snapshot()
    router.apply(SPLIT, lab.versions)
    rules = lab.stored()["spec"]["rules"]
    rules[0]["matches"].append({"path": {"type": "PathPrefix", "value": "/v9"}})
    rules[2]["timeouts"] = {"request": "9s"}
    added = {**copy.deepcopy(rules[0]), "name": "new", "matches": [{"path": {"type": "PathPrefix", "value": "/v3"}}]}
    lab.edit({"spec": {"rules": [*rules, added]}})
    assert router.restore(saved) == Routes({"v1": 100})
    after = lab.stored()["spec"]["rules"]
    assert [rule.get("matches") for rule in after] == [rule.get("matches") for rule in (*rules, added)]
    assert after[2]["timeouts"] == {"request": "9s"}
    assert {ref["name"] for rule in (after[0], after[2], after[3]) for ref in rule["backendRefs"]} == {
        lab.services["v1"]
    }


def test_a_rule_of_another_port_keeps_it_for_every_version_and_a_service_without_it_is_refused(lab, router):
    rules = lab.stored()["spec"]["rules"]
    rules[0]["backendRefs"][0]["port"] = 9090
    lab.edit({"spec": {"rules": rules}})
    one, two = lab.services.values()
    at = [Reference.of("service", lab.cluster.namespace, name) for name in (one, two)]
    lab.cluster.put(at[0], {"spec": {"ports": [{"port": 8080}, {"port": 9090}]}})
    with pytest.raises(Refused, match=r"would point at port 9090 of Service .*, which has 8080"):
        router.preflight([SPLIT], lab.versions)
    lab.cluster.put(at[1], {"spec": {"ports": [{"port": 8080}, {"port": 9090}]}})
    router.apply(Routes({"v1": 60, "v2": 40}, mirror=Mirror("v2", 5)), lab.versions)
    first, _, last = lab.stored()["spec"]["rules"]
    assert [[ref["port"] for ref in rule["backendRefs"]] for rule in (first, last)] == [[9090, 9090], [8080, 8080]]
    ports = [
        f["requestMirror"]["backendRef"]["port"] for r in (first, last) for f in r["filters"] if "requestMirror" in f
    ]
    assert ports == [9090, 8080]
    router.apply(Routes({"v2": 100}), lab.versions)
    router.give_all(lab.versions["v1"])
    first, _, last = lab.stored()["spec"]["rules"]
    assert [(rule["backendRefs"][0]["name"], rule["backendRefs"][0]["port"]) for rule in (first, last)] == [
        (one, 9090),
        (one, 8080),
    ]


@pytest.mark.parametrize("way", ["weights", "restore", "give_all"])
def test_a_rule_of_testers_is_left_by_all_before_it_goes(lab, router, way):
    saved = router.snapshot()
    router.apply(Routes({"v1": 100}, (HeaderMatch("x-test", "1", "v2"),)), lab.versions)
    written = []
    lab.cluster.on_write = lambda ref: ref == lab.ref and written.append(lab.rules())
    goes = {
        "weights": lambda: router.apply(SPLIT, lab.versions),
        "restore": lambda: router.restore(saved),
        "give_all": lambda: router.give_all(lab.versions["v1"]),
    }
    goes[way]()
    weights = SPLIT if way == "weights" else Routes({"v1": 100})
    written = [*written[1:], lab.rules()]  # it is told before each write
    ours = [
        [rule["matches"][-1]["headers"][-1] for rule in now if "fairway" in rule.get("name", "")] for now in written
    ]
    first, last = {header["name"] for header in ours[0]}, ours[-1]
    assert (first, last) == ({rules.PARKED}, []), "testers go where all others go, and then the rule goes"
    assert all(len(header["value"]) == 32 for header in ours[0])
    around = router._around
    assert [rules.decode(now, around).weights for now in written] == [weights.weights] * len(written)
    assert router.read() == weights


def test_a_rule_that_was_left_and_not_taken_out_is_no_match_and_goes_with_the_next_write(lab, router):
    router.apply(Routes({"v1": 100}, (HeaderMatch("x-test", "1", "v2"),)), lab.versions)
    lab.edit({"spec": {"rules": [*lab.rules()[:3], *rules.parked(lab.rules(), [], router._around, "secret", "")]}})
    assert router.read() == Routes({"v1": 100})
    router.apply(Routes({"v1": 100}), lab.versions)
    assert "fairway" not in str(lab.rules())


def test_an_edit_between_the_read_and_the_write_of_a_restore_is_kept(lab, router):
    saved = router.snapshot()
    router.apply(SPLIT, lab.versions)

    def meanwhile(ref):
        lab.cluster.on_write = lambda ref: None
        stored = lab.stored()["spec"]["rules"]
        stored[0]["timeouts"] = {"request": "99s"}
        lab.edit({"spec": {"rules": stored}})

    lab.cluster.on_write = meanwhile
    assert router.restore(saved) == Routes({"v1": 100})
    assert lab.stored()["spec"]["rules"][0]["timeouts"] == {"request": "99s"}


def test_restore_mends_a_route_that_was_written_wrong(lab, router):
    saved, before = router.snapshot(), lab.stored()["spec"]["rules"]
    gone = {"matches": [{"path": {"type": "Exact", "value": "/gone"}}]}
    lab.edit({"spec": {"rules": [gone]}})
    assert router.restore(saved) == Routes({"v1": 100})
    assert lab.stored()["spec"]["rules"] == [gone, before[0], before[2]], (
        "and what is nobody's of ours is as they left it"
    )


def test_a_backend_of_weight_zero_does_not_come_back(lab, router):
    stored = lab.stored()["spec"]["rules"]
    for rule in stored[::2]:
        rule["backendRefs"].append({"name": lab.services["v2"], "port": 8080, "weight": 0})
    lab.edit({"spec": {"rules": stored}})
    assert router.read() == Routes({"v1": 100})
    saved = router.snapshot()
    router.apply(SPLIT, lab.versions)
    router.restore(saved)
    assert lab.backends()[0] == [(lab.services["v1"], 1)]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1, "kind": "HTTPRoute", "name": "other", "rules": []}'])
def test_another_snapshot_is_refused(lab, router, text):
    with pytest.raises(UsageError, match="this is no snapshot of HTTPRoute"):
        router.restore(text)


def test_a_cluster_too_old_for_named_rules_is_refused_before_anything_is_written(lab, router):
    real, before = lab.cluster.patch, lab.stored()

    def pruned(ref, patch, **options):
        patch = copy.deepcopy(patch)
        for rule in patch["spec"]["rules"]:
            rule.pop("name", None)
        return real(ref, patch, **options)

    lab.cluster.patch = pruned
    with pytest.raises(Refused, match=r"install Gateway API 1\.4"):
        router.apply(Routes({"v1": 100}, (HeaderMatch("x-test", "1", "v2"),)), lab.versions)
    assert lab.stored() == before
    assert router.apply(SPLIT, lab.versions) == SPLIT


@pytest.mark.parametrize(
    ("features", "percent", "missing"),
    [
        (None, 10, ""),
        ([], 10, ""),
        ([{"name": "HTTPRoute"}], 100, "HTTPRouteRequestMirror"),
        ([{"name": "HTTPRoute"}, {"name": "HTTPRouteRequestMirror"}], 100, ""),
        ([{"name": "HTTPRouteRequestMirror"}], 10, "HTTPRouteRequestPercentageMirror"),
        (["HTTPRouteRequestMirror", "HTTPRouteRequestPercentageMirror"], 10, ""),
    ],
)
def test_a_mirror_is_refused_where_the_gateways_class_does_not_tell_that_it_has_it(
    lab, router, features, percent, missing
):
    lab.cluster.edit(EG, {"spec": {"gatewayClassName": "eg"}})
    at = Reference("gateway.networking.k8s.io", "v1", "GatewayClass", "", "eg")
    if features is not None:
        lab.cluster.put(at, {"status": {"supportedFeatures": features}})
    before, mirrored = lab.stored(), Routes({"v1": 100}, mirror=Mirror("v2", percent))
    router.preflight([SPLIT], lab.versions)
    if not missing:
        router.preflight([SPLIT, mirrored], lab.versions)
        assert router.apply(mirrored, lab.versions) == mirrored
        return
    for call in (
        lambda: router.preflight([SPLIT, mirrored], lab.versions),
        lambda: router.apply(mirrored, lab.versions),
    ):
        with pytest.raises(Refused, match=f"the GatewayClass eg does not tell {missing} among its supportedFeatures"):
            call()
    assert lab.stored() == before


def test_a_class_that_is_not_ours_to_see_is_believed(lab, router):
    real = lab.cluster.get
    lab.cluster.edit(EG, {"spec": {"gatewayClassName": "eg"}})

    def get(ref):
        if ref.kind == "GatewayClass":
            raise DomainError("gatewayclasses are forbidden")
        return real(ref)

    lab.cluster.get = get
    router.preflight([Routes({"v1": 100}, mirror=Mirror("v2", 10))], lab.versions)


def test_what_gateway_api_cannot_carry_is_refused(lab, router):
    with pytest.raises(Refused, match="no stable field"):
        router.apply(Routes({"v1": 100}, sticky=Stickiness(cookie="a")), lab.versions)


def test_a_route_that_is_not_there_is_refused(lab, router):
    lab.cluster.delete(lab.ref)
    with pytest.raises(Refused, match="there is no HTTPRoute"):
        router.read()


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (Version("v2", "http://127.0.0.1:1"), "is a URL: a route of a cluster points at Services"),
        (Version("v2", "deployment/ns/iris"), r"does not say its Service; add \?service="),
    ],
)
def test_a_version_that_no_route_can_point_at_is_refused(lab, version, sentence):
    with pytest.raises(UsageError, match=sentence):
        GatewayRouter(lab.ref, "iris", lab.versions | {"v2": version}, lab.cluster, FakeClock())


def test_versions_of_one_service_are_refused(lab):
    with pytest.raises(UsageError, match="v1 and v2 share the Service"):
        GatewayRouter(lab.ref, "iris", lab.versions | {"v2": lab.versions["v1"]}, lab.cluster, FakeClock())
