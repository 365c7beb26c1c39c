"""Covers: a Knative Service's traffic: tags, entries that follow the latest revision, revisions that are not ready, what its
controller says, conflicts, the way back.

Leaves out: what every back end does (tests/contract/test_router.py), Knative's own controllers.
"""

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import NotReady, Refused, UsageError
from fairway_steps.model import HeaderMatch, Mirror, Routes, Version
from fairway_steps.routing import traffic
from fairway_steps.routing.knative import KnativeRouter
from fakes_cluster import FakeCluster
from fakes_revisions import KnativeLab

SPLIT = Routes({"v1": 80, "v2": 20})
TAG = {"latestRevision": True, "tag": "newest"}


@pytest.fixture
def lab():
    return KnativeLab(FakeCluster(), names=("v1", "v2"))


@pytest.fixture
def router(lab):
    return KnativeRouter(lab.ref, "iris", lab.versions, lab.cluster, FakeClock())


def entry(revision, percent, **more):
    return {"revisionName": revision, "latestRevision": False, "percent": percent, **more}


def test_tags_stay_where_they_are_and_at_no_share_an_entry_without_one_goes(lab, router):
    saved = router.snapshot()
    router.apply(SPLIT, lab.versions)
    first = entry(lab.first, 80, tag="stable")
    assert lab.stored()["spec"]["traffic"] == [first, TAG, entry(lab.last, 20)]
    router.apply(Routes({"v2": 100}), lab.versions)
    bare = {"revisionName": lab.first, "latestRevision": False, "tag": "stable"}
    assert lab.stored()["spec"]["traffic"] == [bare, TAG, entry(lab.last, 100)]
    lab.edit({"spec": {"traffic": [*lab.stored()["spec"]["traffic"], {"revisionName": lab.last, "tag": "new"}]}})
    router.restore(saved)
    stored = lab.stored()["spec"]["traffic"]
    assert stored == [first | {"percent": 100}, TAG, {"revisionName": lab.last, "tag": "new"}]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda first, last: [first | {"percent": 80}, TAG, last | {"tag": "next"}], lambda first, last: [first, TAG, {**last, "tag": "next"}]),
        (
            lambda first, last: [entry(first["revisionName"], 80), TAG, last | {"tag": "stable"}],
            lambda first, last: [entry(first["revisionName"], 100), {**last, "tag": "stable"}, TAG],
        ),
        (lambda first, last: [entry(first["revisionName"], 80), last], lambda first, _: [entry(first["revisionName"], 100)]),
        (lambda *_: [], lambda first, _: [first, TAG]),
    ],
    ids=["added", "moved", "removed", "no block"],
)  # fmt: skip
def test_a_rollback_leaves_tags_as_somebody_else_has_put_them_in_a_stage(lab, router, edit, expected):
    saved = router.snapshot()
    first, last = entry(lab.first, 100, tag="stable"), entry(lab.last, 20)
    router.apply(SPLIT, lab.versions)
    lab.edit({"spec": {"traffic": edit(first, last)}})
    router.restore(saved)
    del last["percent"]
    assert lab.stored()["spec"]["traffic"] == expected(first, last)


@pytest.mark.parametrize("block", [None, [{"latestRevision": True, "percent": 100}]])
def test_traffic_that_follows_the_latest_revision_is_pinned_and_the_way_back_pins_it_too(lab, router, block):
    lab.edit({"spec": {"traffic": block}})
    lab.first, lab.last = lab.last, lab.first  # the candidate is not the latest revision yet
    lab.reconcile()
    assert router.read() == Routes({"v1": 100})
    saved = router.snapshot()
    router.apply(SPLIT, lab.versions)
    assert lab.stored()["spec"]["traffic"] == [entry(lab.last, 80), entry(lab.first, 20)]
    lab.first, lab.last = lab.last, lab.first  # now it is
    lab.reconcile()
    router.restore(saved)
    assert router.read() == Routes({"v1": 100})
    assert lab.stored()["spec"]["traffic"] == [entry(lab.first, 100)]


def test_a_candidate_in_the_making_that_would_get_everything_is_refused(lab, router):
    lab.edit({"spec": {"traffic": [{"latestRevision": True, "percent": 100}]}})
    lab.reconcile(created="iris-00003")
    with pytest.raises(Refused, match=r"iris-00003 would get it all at once; pin it before the candidate is made"):
        router.read()
    lab.edit({"spec": {"traffic": [entry(lab.first, 100)]}})
    assert router.read() == Routes({"v1": 100})


def test_no_share_for_a_revision_that_is_not_ready(lab, router):
    lab.ready("v2", ready=False)
    before = lab.stored()
    with pytest.raises(NotReady, match=r"v2 gets no traffic: Revision .* is not ready"):
        router.apply(SPLIT, lab.versions)
    assert lab.stored() == before


def test_what_the_controller_says_is_waited_for(lab, router):
    router.apply(SPLIT, lab.versions)
    assert router.settled() is False
    assert "has not yet seen the newest spec" in router.trouble
    lab.reconcile(RoutesReady="False")
    assert router.settled() is False
    assert "its condition RoutesReady is False" in router.trouble
    lab.reconcile()
    served = lab.stored()["status"]["traffic"]
    served[0]["percent"], served[2]["percent"] = 20, 80
    lab.edit({"status": {"traffic": served}})
    assert router.settled() is False
    assert f'serves {{"{lab.first}": 20, "{lab.last}": 80}}, not' in router.trouble
    lab.reconcile()
    assert router.settled() is True


def test_restore_needs_nothing_of_apply(lab, router, monkeypatch):
    saved, before = router.snapshot(), lab.stored()["spec"]
    router.apply(SPLIT, lab.versions)
    monkeypatch.setattr(traffic, "encode", None)
    router.restore(saved)
    assert lab.stored()["spec"] == before


@pytest.mark.parametrize(
    ("routes", "sentence"),
    [
        (
            Routes({"v1": 100}, (HeaderMatch("x-a", "1", "v2"),)),
            "cannot carry header matches: a Knative Service splits by",
        ),
        (Routes({"v1": 100}, mirror=Mirror("v2", 5)), "cannot carry a mirror: a Knative Service copies no requests"),
    ],
)
def test_what_knative_cannot_carry_is_refused(lab, router, routes, sentence):
    with pytest.raises(Refused, match=sentence):
        router.apply(routes, lab.versions)


@pytest.mark.parametrize("uri", ["deployment/default/x", "http://127.0.0.1:1", "revision/elsewhere/x"])
def test_a_version_that_is_no_revision_of_its_namespace_is_refused(lab, uri):
    with pytest.raises(UsageError, match="is no revision in namespace default"):
        KnativeRouter(lab.ref, "iris", {"v1": Version("v1", uri)}, lab.cluster, FakeClock())


def test_another_snapshot_is_refused(lab, router):
    with pytest.raises(UsageError, match="this is no snapshot of Service"):
        router.restore("{}")
