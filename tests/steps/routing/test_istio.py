"""Covers: a VirtualService while others write it, two releases in one, the way back, subsets that are not defined, what
istiod says.

Leaves out: what every back end does (tests/contract/test_router.py), pure encoding (test_virtual_service.py), a real istiod.
"""

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.cluster import Reference
from fairway_steps.errors import DomainError, Fenced, NotSettled, Refused, UsageError
from fairway_steps.model import HeaderMatch, Mirror, Routes, Stickiness, Version
from fairway_steps.routing import virtual_service
from fairway_steps.routing.istio import ROOT, IstioRouter
from fairway_steps.settled import await_settled
from fakes_cluster import FakeCluster
from fakes_istio import IstioLab, subsets

SPLIT = Routes({"v1": 80, "v2": 20})
ALL = Routes({"v1": 60, "v2": 40}, (HeaderMatch("x-test", "1", "v2"),), Mirror("v2", 5))


@pytest.fixture
def lab():
    return IstioLab(FakeCluster(), names=("v1", "v2"))


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def router(lab, clock):
    return IstioRouter(lab.ref, "iris", lab.versions, lab.cluster, clock)


def test_a_backend_without_a_share_leaves_every_http_route(lab, router):
    one, two = lab.services.values()
    router.apply(SPLIT, lab.versions)
    assert lab.targets() == [[(one, 80), (two, 20)], [("other", None)], [], [(one, 80), (two, 20)]]
    router.apply(Routes({"v2": 100}), lab.versions)
    assert lab.targets() == [[(two, 100)], [("other", None)], [], [(two, 100)]]


def test_edits_between_conflicts_are_kept(lab, router):
    edits = iter(range(3))

    def meanwhile(ref):
        if ref == lab.ref and (number := next(edits, None)) is not None:
            http = lab.stored()["spec"]["http"]
            http[0]["timeout"] = f"{number}s"
            lab.edit({"spec": {"http": http}})

    lab.cluster.on_write = meanwhile
    assert router.apply(SPLIT, lab.versions) == SPLIT
    assert lab.stored()["spec"]["http"][0]["timeout"] == "2s"


def test_releases_of_two_services_do_not_disturb_each_other(lab, router, clock):
    wine = IstioLab(lab.cluster, names=("w1", "w2"))
    http = lab.stored()["spec"]["http"]
    http[1]["route"] = [{"destination": {"host": wine.services["w1"]}}]
    lab.edit({"spec": {"http": http}})
    other = IstioRouter(lab.ref, "wine", wine.versions, lab.cluster, clock)
    ours, theirs = router.snapshot(), other.snapshot()
    split = Routes({"w1": 50, "w2": 50}, (HeaderMatch("x-w", "1", "w2"),), Mirror("w2", 7))
    router.apply(ALL, lab.versions, fence=9)
    other.apply(split, wine.versions, fence=1)
    assert (router.read(), other.read(), router.fence(), other.fence()) == (ALL, split, 9, 1)
    router.restore(ours, fence=10)
    assert (router.read(), other.read(), other.fence()) == (Routes({"v1": 100}), split, 1)
    router.apply(ALL, lab.versions, fence=10)
    lab.edit({"spec": {"http": [r for r in lab.stored()["spec"]["http"] if r.get("name") != "infer"]}})
    router.restore(ours, fence=10)
    assert (router.read(), other.read()) == (Routes({"v1": 100}), split)
    assert [r.get("name", "") for r in lab.stored()["spec"]["http"]] == ["fairway-match-0-0-wine", "infer", "", "", ""]
    with pytest.raises(Fenced):
        other.apply(split, wine.versions, fence=-1)
    other.restore(theirs, fence=2)
    assert [rule.get("name", "") for rule in lab.stored()["spec"]["http"]] == ["infer", "", "", ""]
    with pytest.raises(UsageError, match=r"no snapshot of VirtualService .* for wine"):
        other.restore(ours)


def test_restore_needs_nothing_of_apply(lab, router, monkeypatch):
    saved, before = router.snapshot(), lab.stored()["spec"]
    router.apply(ALL, lab.versions)
    assert len(lab.stored()["spec"]["http"]) == 6
    monkeypatch.setattr(virtual_service, "encode", None)
    router.restore(saved)
    assert lab.stored()["spec"] == before


def test_restore_keeps_what_others_have_changed_meanwhile(lab, router):
    saved = router.snapshot()
    router.apply(ALL, lab.versions)
    http = lab.stored()["spec"]["http"]
    http[1]["timeout"] = "99s"
    added = {"match": [{"uri": {"exact": "/new"}}], "route": [{"destination": {"host": "other"}}]}
    lab.edit({"spec": {"http": [added, *http]}})
    router.restore(saved)
    new, first, *rest = lab.stored()["spec"]["http"]
    assert (new, first["timeout"], len(rest)) == (added, "99s", 3)
    assert "mirror" not in first
    assert "mirrorPercentage" not in first
    assert router.read() == Routes({"v1": 100})


def test_restore_mends_a_virtual_service_that_was_written_wrong(lab, router):
    saved, before = router.snapshot(), lab.stored()["spec"]["http"]
    lab.edit(
        {
            "spec": {
                "http": [rule for rule in before if "route" not in rule or rule["route"][0] == before[1]["route"][0]]
            }
        }
    )
    assert router.restore(saved) == Routes({"v1": 100})
    assert sorted(map(str, lab.stored()["spec"]["http"])) == sorted(map(str, before))


@pytest.fixture
def shared(lab):
    """Versions that are subsets of one Service."""
    one, _ = lab.services.values()
    ns = lab.cluster.namespace
    uris = {n: f"deployment/{ns}/{s}?service={one}&port=8080&subset={n}" for n, s in lab.services.items()}
    versions = {name: Version(name, uri) for name, uri in uris.items()}
    http = lab.stored()["spec"]["http"]
    for rule in (http[0], http[3]):
        rule["route"][0]["destination"]["subset"] = "v1"
    lab.edit({"spec": {"http": http}})
    pods(lab, one)
    return versions


@pytest.mark.parametrize("space", [ROOT, ""], ids=["in Istio's root namespace", "not for us to see"])
def test_a_subset_is_believed_that_is_defined_for_all_or_may_not_be_looked_for(lab, clock, shared, space):
    one, real = next(iter(lab.services.values())), lab.cluster.list

    def refused(ref, *, labels=None):
        if ref.kind == "DestinationRule":
            raise DomainError("cannot list resource")
        return real(ref, labels=labels)

    if space:
        subsets(lab.cluster, "iris", f"{one}.{lab.cluster.namespace}.svc.cluster.local", "v1", "v2", namespace=space)
    else:
        lab.cluster.list = refused
    assert IstioRouter(lab.ref, "iris", shared, lab.cluster, clock).apply(SPLIT, shared) == SPLIT


def test_a_subset_that_is_not_defined_is_refused_before_anything_is_written(lab, clock, shared):
    one, ns, versions = next(iter(lab.services.values())), lab.cluster.namespace, shared
    http = lab.stored()["spec"]["http"]
    router = IstioRouter(lab.ref, "iris", versions, lab.cluster, clock)
    assert router.read() == Routes({"v1": 100})
    rule = subsets(lab.cluster, "iris", one, "v1")
    with pytest.raises(Refused, match=r"no DestinationRule of .* has the subset v2, which is version v2"):
        router.apply(SPLIT, versions)
    assert lab.stored()["spec"]["http"] == http
    lab.cluster.delete(rule)
    subsets(lab.cluster, "iris", f"{one}.{ns}.svc.cluster.local", "v1", "v2")
    assert router.apply(SPLIT, versions) == SPLIT


def pods(lab, service):
    """One ready pod behind each version's Deployment, all in one Service."""
    ref = Reference("discovery.k8s.io", "v1", "EndpointSlice", lab.cluster.namespace, f"{service}-1")
    named = [{"addresses": ["198.18.0.7"], "targetRef": {"kind": "Pod", "name": name}} for name in lab.services]
    lab.cluster.edit(ref, {"endpoints": named})
    for name, deployment in lab.services.items():
        ref = Reference.of("deployment", lab.cluster.namespace, deployment)
        lab.cluster.put(ref, {"spec": {"selector": {"matchLabels": {"version": name}}}})
        at = Reference("", "v1", "Pod", lab.cluster.namespace, name)
        lab.cluster.put(at, {"metadata": {"labels": {"version": name}}})


def test_what_istiod_says_is_waited_for_and_told(lab, router, clock):
    router.apply(SPLIT, lab.versions)
    assert router.settled() is False
    assert router.trouble == "Reconciled is told of an older generation"
    lab.accept(Reconciled="False::2 of 3 proxies are up to date")
    with pytest.raises(NotSettled, match="2 of 3 proxies are up to date"):
        await_settled(router, clock, 1.0)
    lab.accept()
    assert router.settled() is True
    fault = {"level": "ERROR", "type": {"name": "ReferencedResourceNotFound"}}
    lab.edit({"status": {"validationMessages": [fault]}})
    assert router.settled() is False
    assert router.trouble == "istiod says of it: ReferencedResourceNotFound"


def test_an_istiod_that_says_nothing_is_given_time_and_then_believed(lab, router, clock):
    lab.edit({"status": {"conditions": None}})
    assert router.settled() is None
    router.apply(SPLIT, lab.versions)
    before = clock.now()
    await_settled(router, clock, 30.0)
    assert clock.now() - before == pytest.approx(2.0, abs=0.1)
    assert router.settled() is None
    lab.edit({"spec": {"http": lab.stored()["spec"]["http"][1:]}})
    http = lab.stored()["spec"]["http"]
    http[-1]["route"] = http[-1]["route"][:1]
    lab.edit({"spec": {"http": http}})
    assert router.settled() is False
    assert "somebody has changed the route" in router.trouble


def test_names_of_headers_are_lower_case_in_a_virtual_service(lab, router):
    routes = router.apply(Routes({"v1": 100}, (HeaderMatch("X-Test", "Yes", "v2"),)), lab.versions)
    assert routes.matches == (HeaderMatch("x-test", "Yes", "v2"),)
    lab.accept()
    assert router.settled() is True


@pytest.mark.parametrize("asked", ["headers", "withoutHeaders"])
def test_a_header_that_a_route_asks_for_itself_is_refused_before_anything_is_written(lab, router, asked):
    http = lab.stored()["spec"]["http"]
    http[0]["match"][0][asked] = {"x-test": {"exact": "no"}}
    lab.edit({"spec": {"http": http}})
    with pytest.raises(Refused, match="asks for the header x-test itself"):
        router.preflight([Routes({"v1": 100}, (HeaderMatch("X-Test", "yes", "v2"),))], lab.versions)


def test_a_route_of_another_port_keeps_it_for_every_version(lab, router):
    http = lab.stored()["spec"]["http"]
    http[0]["route"][0]["destination"]["port"] = {"number": 9090}
    lab.edit({"spec": {"http": http}})
    for name in lab.services.values():
        ports = [{"port": 8080}, {"port": 9090}]
        lab.cluster.put(Reference.of("service", lab.cluster.namespace, name), {"spec": {"ports": ports}})
    router.apply(Routes({"v2": 100}, mirror=Mirror("v1", 5)), lab.versions)
    first = lab.stored()["spec"]["http"][0]
    assert (first["route"][0]["destination"]["port"], first["mirror"]["port"]) == ({"number": 9090}, {"number": 9090})
    router.give_all(lab.versions["v1"])
    first = lab.stored()["spec"]["http"][0]
    assert first["route"][0]["destination"] == {"host": lab.services["v1"], "port": {"number": 9090}}


def test_mirrors_that_others_have_added_meanwhile_are_kept(lab, router):
    http = lab.stored()["spec"]["http"]
    http[0]["mirrors"] = [{"destination": {"host": "old"}}]
    lab.edit({"spec": {"http": http}})
    saved = router.snapshot()
    router.apply(Routes({"v1": 100}, mirror=Mirror("v2", 50)), lab.versions)
    http = lab.stored()["spec"]["http"]
    http[0]["mirrors"].append({"destination": {"host": "new"}})
    lab.edit({"spec": {"http": http}})
    router.restore(saved)
    assert lab.stored()["spec"]["http"][0]["mirrors"] == [{"destination": {"host": name}} for name in ("old", "new")]


def test_what_istio_cannot_carry_is_refused(lab, router):
    with pytest.raises(Refused, match="cannot carry stickiness: Istio keeps users on a pod"):
        router.apply(Routes({"v1": 100}, sticky=Stickiness(cookie="a")), lab.versions)


def test_an_api_server_that_drops_what_it_does_not_know_is_found_before_anything_is_written(lab, router):
    real, before = lab.cluster.patch, lab.stored()

    def pruned(ref, patch, **options):
        http = [{k: v for k, v in rule.items() if k != "mirrorPercentage"} for rule in patch["spec"]["http"]]
        return real(ref, {**patch, "spec": {"http": http}}, **options)

    lab.cluster.patch = pruned
    with pytest.raises(Refused, match="does not keep header matches or mirrors"):
        router.apply(Routes({"v1": 100}, mirror=Mirror("v2", 5)), lab.versions)
    assert lab.stored() == before
