"""Covers: a routing group of LLMInferenceServices: whose weights are written and in which order, what KServe would store and not
split, a write of others and an end between two of ours, the way back, what the members' status says.

Leaves out: what every back end does (tests/contract/test_router.py), KServe's own controller.
"""

import pytest
import yaml

from fairway_steps.clock import FakeClock
from fairway_steps.cluster import Reference
from fairway_steps.errors import Fenced, NotReady, Refused, UsageError
from fairway_steps.model import Mirror, Routes, Version
from fairway_steps.routing.kserve_llm import LlmRouter
from fairway_steps.routing.registry import open_router
from fairway_steps.workload.lookup import lookup
from fakes_cluster import FakeCluster
from fakes_gateway import write_endpoints
from fakes_llm import LlmLab

SPLIT = Routes({"v1": 80, "v2": 20})


@pytest.fixture
def lab():
    return LlmLab(FakeCluster(), names=("v1", "v2"))


@pytest.fixture
def router(lab):
    uri = f"llminferenceservice/{lab.ref.namespace}/{lab.ref.name}"
    return open_router(uri, "iris", FakeClock(), versions=lab.versions, cluster=lambda: lab.cluster)


def test_who_grows_is_written_first_and_the_owners_own_weight_comes_back(lab, router):
    saved, (one, two) = router.snapshot(), lab.members.values()
    written = []
    lab.cluster.after_write = lambda ref: written.append(tuple(lab.weights().values()))
    router.apply(Routes({"v1": 100}), lab.versions)
    router.apply(SPLIT, lab.versions)
    router.apply(Routes({"v2": 100}), lab.versions)
    assert written[1:] == [(100, 20), (80, 20), (80, 100), (0, 100)]
    router.restore(saved)
    assert lab.weights() == {one: 9, two: 0}


def test_the_rule_for_the_tool_that_keeps_a_group_is_for_each_of_its_members(lab, router):
    for name in lab.members.values():
        ref = Reference.of("llminferenceservice", lab.cluster.namespace, name)
        lab.cluster.patch(ref, {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:x"}}})
    found = router.claims()
    entries = yaml.safe_load(found.rule)["spec"]["ignoreDifferences"]
    assert found.owner == "Argo CD (Application shop)"
    assert [entry["name"] for entry in entries] == list(lab.members.values())


def candidates_shares(lab, change):
    """The candidates' share of the traffic before ``change``, and after each of its writes."""
    first, *_ = lab.members.values()
    shares = []

    def see(ref=None):
        now = lab.weights()
        shares.append(1 - now[first] / sum(now.values()))

    see()
    lab.cluster.after_write = see
    change()
    lab.cluster.after_write = lambda ref: None
    return shares


@pytest.mark.parametrize("own", [1, 9, 100, 1000])
@pytest.mark.parametrize("stage", [{"v1": 50, "v2": 50}, {"v1": 30, "v2": 30, "v3": 40}, {"v2": 100}])
def test_on_the_way_back_no_write_gives_the_candidates_more(stage, own):
    lab = LlmLab(FakeCluster(), names=("v1", "v2", "v3"))
    lab.edit(lab.members["v1"], {"spec": {"router": {"route": {"weight": own}}}})
    router = LlmRouter(lab.ref, "iris", lab.versions, lab.cluster, FakeClock())
    saved = router.snapshot()
    router.apply(Routes(stage), lab.versions)
    shares = candidates_shares(lab, lambda: router.restore(saved))
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] == 0
    assert list(lab.weights().values()) == [own, 0, 0]


def test_on_the_way_there_no_write_gives_the_candidate_more_than_was_asked_for(lab, router):
    for percent in (1, 50, 100):
        asked = {"v1": 100 - percent, "v2": percent} if percent < 100 else {"v2": 100}
        shares = candidates_shares(lab, lambda asked=asked: router.apply(Routes(asked), lab.versions))
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(percent / 100)


@pytest.mark.parametrize("asked", [{"v1": 50, "v2": 50}, {"v2": 100}, {"v1": 99, "v2": 1}])
def test_what_ended_between_two_writes_is_a_change_under_way_and_finished_by_the_next_try(lab, router, asked):
    router.apply(SPLIT, lab.versions, fence=1)

    class Killed(BaseException):
        pass

    def kill(ref):
        raise Killed

    lab.cluster.after_write = kill
    with pytest.raises(Killed):
        router.apply(Routes(asked), lab.versions, fence=1)
    lab.cluster.after_write = lambda ref: None
    weights = router.read().weights
    assert (sum(weights.values()), min(weights.values()) > 0, sorted(weights)) == (100, True, ["v1", "v2"])
    assert router.apply(Routes(asked), lab.versions, fence=1) == Routes(asked)


def test_a_status_that_the_controller_writes_after_each_write_does_not_end_the_change(lab, router):
    router.apply(SPLIT, lab.versions)

    def reconcile(ref):
        lab.cluster.after_write = lambda ref: None
        lab.reconcile()
        lab.cluster.after_write = reconcile

    lab.cluster.after_write = reconcile
    router.claim(1)
    for asked in ({"v1": 50, "v2": 50}, {"v2": 100}):
        assert router.apply(Routes(asked), lab.versions, fence=1) == Routes(asked)
    assert router.fence() == 1


def test_hardly_any_traffic_is_not_told_as_none(lab, router):
    lab.edit(lab.members["v2"], {"spec": {"router": {"route": {"weight": 1}}}})
    lab.edit(lab.members["v1"], {"spec": {"router": {"route": {"weight": 1000}}}})
    assert router.read() == Routes({"v1": 99, "v2": 1})


def test_a_member_that_stops_does_not_count_and_is_not_waited_for(lab, router):
    one, _ = lab.members.values()
    router.apply(Routes({"v2": 100}), lab.versions)
    lab.edit(one, {"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}})
    lab.reconcile()
    lab.cluster.edit(lab.at(one), {"status": None})
    assert (router.read(), router.settled()) == (Routes({"v2": 100}), True)
    with pytest.raises(Refused, match=f"{one} is stopped"):
        router.preflight([SPLIT], lab.versions)


def outside(lab, two):
    lab.edit(two, {"spec": {"router": {"route": {"group": "other"}}}})


def of_another_model(lab, two):
    lab.edit(two, {"spec": {"model": {"name": "wine"}}})


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [(outside, "is not in the routing group"), (of_another_model, r"several names \(iris, wine\)")],
)
def test_what_kserve_would_store_and_not_split_is_refused_before_anything_is_written(lab, router, spoil, sentence):
    spoil(lab, lab.members["v2"])
    before = lab.weights()
    for asked in (lambda: router.preflight([SPLIT], lab.versions), lambda: router.apply(SPLIT, lab.versions)):
        with pytest.raises(Refused, match=sentence):
            asked()
    assert lab.weights() == before


def test_a_write_of_another_holder_between_two_of_ours_ends_them(lab, router):
    router.apply(SPLIT, lab.versions, fence=1)
    one, two = lab.members.values()

    def taken(ref):
        lab.cluster.on_write = lambda ref: None
        for member in (one, two):
            lab.edit(member, {"metadata": {"annotations": {"fairway/fence": "2"}}})

    lab.cluster.on_write = taken
    with pytest.raises(Fenced):
        router.apply(Routes({"v2": 100}), lab.versions, fence=1)
    assert lab.weights() == {one: 80, two: 20}


def test_who_cannot_answer_gets_nothing(lab, router):
    write_endpoints(lab.cluster, f"{lab.members['v2']}-kserve-workload-svc", ready=False)
    with pytest.raises(NotReady, match="v2 gets no traffic"):
        router.apply(SPLIT, lab.versions)


def test_what_the_members_say_is_waited_for(lab, router):
    router.apply(SPLIT, lab.versions)
    assert router.settled() is False
    assert "newest spec" in router.trouble
    lab.reconcile(GroupReady="False")
    assert router.settled() is False
    assert "GroupReady is False (why)" in router.trouble
    lab.reconcile()
    assert router.settled() is True
    group = {"name": "x", "members": [{"name": lab.members["v1"], "weight": 9}]}
    lab.cluster.edit(lab.at(lab.members["v1"]), {"status": {"router": {"group": group}}})
    assert router.settled() is False
    assert "is routed by" in router.trouble


def test_what_it_cannot_carry_and_who_cannot_be_a_member_is_refused(lab, router):
    with pytest.raises(Refused, match="KServe copies no requests"):
        router.apply(Routes({"v1": 100}, mirror=Mirror("v2", 5)), lab.versions)
    with pytest.raises(UsageError, match="cannot be in the routing group"):
        LlmRouter(lab.ref, "iris", {"v1": Version("v1", "service/default/x?port=1")}, lab.cluster, FakeClock())
    nobody = LlmRouter(
        Reference.of("llminferenceservice", "default", "nobody"), "iris", lab.versions, lab.cluster, FakeClock()
    )
    with pytest.raises(Refused, match=r"no LLMInferenceService in default has spec\.router\.route\.group nobody"):
        nobody.read()
    with pytest.raises(UsageError, match="no snapshot"):
        router.restore("{}")


def test_where_its_servers_are_is_what_kserve_calls_them(lab):
    found = lookup(lab.cluster, Version("v1", f"llminferenceservice/default/{lab.members['v1']}"))
    assert found.uri.endswith(f"?service={lab.members['v1']}-kserve-workload-svc&port=8000")
