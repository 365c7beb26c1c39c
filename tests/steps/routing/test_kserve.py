"""Covers: an InferenceService by its deployment mode: the percent of mode Knative, the silent no-ops of the others, a candidate
in the making, the way back before and after a roll-out, where the token is kept.

Leaves out: what every back end does (tests/contract/test_router.py), KServe's own controller.
"""

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.cluster import Reference
from fairway_steps.errors import DomainError, Fenced, NotReady, Refused, UsageError
from fairway_steps.model import Mirror, Routes
from fairway_steps.routing.kserve import KServeRouter
from fairway_workflows.rbac import BACK_ENDS
from fakes_cluster import FakeCluster
from fakes_revisions import KServeLab

SPLIT = Routes({"v1": 80, "v2": 20})


@pytest.fixture
def lab():
    return KServeLab(FakeCluster(), names=("v1", "v2"))


@pytest.fixture
def router(lab):
    return KServeRouter(lab.ref, "iris", lab.versions, lab.cluster, FakeClock())


def percent(lab):
    return lab.stored()["spec"]["predictor"].get("canaryTrafficPercent")


def test_the_candidate_is_the_latest_revision_and_promoted_without_the_field(lab, router):
    assert router.read() == Routes({"v1": 100})
    router.apply(SPLIT, lab.versions)
    assert percent(lab) == 20
    router.apply(Routes({"v2": 100}), lab.versions)
    assert "canaryTrafficPercent" not in lab.stored()["spec"]["predictor"]
    lab.reconcile()
    assert router.settled() is True


def test_the_way_back_works_before_and_after_kserve_has_rolled_the_candidate_out(lab, router):
    saved = router.snapshot()
    router.apply(SPLIT, lab.versions)
    assert router.restore(saved) == Routes({"v1": 100})
    assert percent(lab) == 0
    router.apply(Routes({"v2": 100}), lab.versions)
    lab.reconcile()
    assert lab.stored()["status"]["components"]["predictor"]["latestRolledoutRevision"] == lab.last
    assert router.restore(saved) == Routes({"v1": 100})
    assert router.settled() is False
    lab.reconcile()
    assert router.settled() is True
    assert router.read() == Routes({"v1": 100})


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        ("Standard", r"deployment mode Standard: canaryTrafficPercent is ignored there.*; make the candidate an"),
        ("RawDeployment", r"deployment mode Standard.*--route httproute/default/NAME"),
        ("", r"deployment mode Standard \(none is told\)"),
        ("ModelMesh", r"deployment mode ModelMesh.*--route virtualservice/default/NAME.*vmodel=NAME"),
    ],
)
def test_a_mode_in_which_a_percent_would_do_nothing_is_refused_with_what_to_do(lab, router, mode, sentence):
    lab.edit({"status": {"deploymentMode": mode}})
    before = lab.stored()
    for call in (router.read, router.snapshot, lambda: router.apply(SPLIT, lab.versions)):
        with pytest.raises(Refused, match=sentence):
            call()
    assert lab.stored() == before


def test_the_annotation_tells_the_mode_before_the_status_does(lab, router):
    lab.edit(
        {
            "status": {"deploymentMode": None},
            "metadata": {"annotations": {"serving.kserve.io/deploymentMode": "Serverless"}},
        }
    )
    assert router.read() == Routes({"v1": 100})


@pytest.mark.parametrize(("now", "said"), [(None, "no canaryTrafficPercent"), (10, "canaryTrafficPercent 10")])
def test_a_candidate_in_the_making_that_would_get_traffic_when_it_is_ready_is_refused(lab, router, now, said):
    lab.edit({"spec": {"predictor": {"canaryTrafficPercent": now}}})
    lab.reconcile(created="iris-00003")
    with pytest.raises(
        Refused, match=f"{said}: iris-00003 would get that traffic .*; apply the candidate's spec together"
    ):
        router.read()


@pytest.mark.parametrize("asked", [SPLIT, Routes({"v2": 100})])
def test_no_share_while_another_revision_that_would_get_it_is_in_the_making(lab, router, asked):
    lab.reconcile(created="iris-00003")
    assert router.read() == Routes({"v1": 100})
    with pytest.raises(Refused, match="iris-00003 would get that traffic"):
        router.apply(asked, lab.versions)
    assert percent(lab) == 0


def test_the_field_is_left_alone_while_there_is_no_other_revision(lab, router):
    lab.first, lab.last = lab.last, lab.first
    status = lab.stored()["status"]["components"]["predictor"]
    alone = dict.fromkeys(("latestReadyRevision", "latestRolledoutRevision"), lab.last)
    lab.edit({"status": {"components": {"predictor": status | alone | {"latestCreatedRevision": "iris-00002"}}}})
    assert router.apply(Routes({"v1": 100}), lab.versions, fence=3) == Routes({"v1": 100})
    assert (percent(lab), router.fence()) == (0, 3)
    with pytest.raises(Refused, match=f"no way to give traffic to {lab.first}: KServe splits between its latest ready"):
        router.apply(SPLIT, lab.versions)


def test_a_percent_that_is_stored_and_not_served_is_not_settled(lab, router):
    router.apply(SPLIT, lab.versions)
    assert router.settled() is False
    assert f'serves {{"{lab.first}": 100}}, not {{"{lab.last}": 20, "{lab.first}": 80}}' in router.trouble


def test_no_share_for_a_revision_that_is_not_ready(lab, router):
    lab.ready("v2", ready=False)
    with pytest.raises(NotReady, match="v2 gets no traffic"):
        router.apply(SPLIT, lab.versions)
    assert percent(lab) == 0


def test_a_revision_that_kserve_has_left_behind_cannot_be_gone_back_to(lab, router):
    saved = router.snapshot()
    gone = {"latestRolledoutRevision": lab.last, "previousRolledoutRevision": "other"}
    lab.edit({"status": {"components": {"predictor": gone}}})
    with pytest.raises(Refused, match=f"cannot go back to {lab.first}.*; apply the older spec again"):
        router.restore(saved)


def test_what_kserve_cannot_carry_and_another_snapshot_are_refused(lab, router):
    with pytest.raises(Refused, match="cannot carry a mirror: KServe copies no requests; use two InferenceServices"):
        router.apply(Routes({"v1": 100}, mirror=Mirror("v2", 5)), lab.versions)
    with pytest.raises(UsageError, match="this is no snapshot of InferenceService"):
        router.restore('{"format": 1}')


def noted(lab):
    return lab.cluster.get(lab.service)["metadata"].get("annotations", {})


def test_the_token_makes_no_revision(lab, router):
    before, saved = lab.stored()["metadata"], router.snapshot()
    router.claim(3)
    for write in (
        lambda: router.apply(SPLIT, lab.versions, fence=3),
        lambda: router.restore(saved, fence=4),
        lambda: router.give_all(lab.versions["v1"], fence=5),
        lambda: router.apply(SPLIT, lab.versions),
    ):
        write()
        lab.reconcile()
        assert set(lab.revisions) == {"v1", "v2"}
    after = lab.stored()["metadata"]
    assert (after["annotations"], after["labels"]) == (before["annotations"], before["labels"])
    assert (noted(lab), router.fence()) == ({"fairway/fence": "5"}, 5)


def test_kserves_older_name_of_the_knative_service_is_known(lab, router):
    older = Reference.of("ksvc", lab.ref.namespace, f"{lab.ref.name}-predictor-default")
    lab.cluster.create(older, {"metadata": {"annotations": {"fairway/fence": "4"}}})
    router.claim(5)
    assert (lab.cluster.get(older)["metadata"]["annotations"], noted(lab)) == ({"fairway/fence": "5"}, {})


def test_what_is_written_while_another_one_claims_it_is_taken_back(lab, router):
    router.claim(3)

    def claimed(ref):
        if ref == lab.ref:
            lab.cluster.on_write = lambda ref: None
            KServeRouter(lab.ref, "iris", lab.versions, lab.cluster, FakeClock()).claim(4)

    lab.cluster.on_write = claimed
    with pytest.raises(Fenced, match="token 4, this one has 3"):
        router.apply(SPLIT, lab.versions, fence=3)
    assert (percent(lab), router.fence()) == (0, 4)


@pytest.mark.parametrize("forbidden", [False, True])
def test_without_a_place_for_the_token_no_release_begins_and_the_way_back_works(lab, router, forbidden, monkeypatch):
    saved, get = router.snapshot(), lab.cluster.get
    router.apply(SPLIT, lab.versions, fence=3)

    def denied(ref):
        if ref.kind == "Service":
            raise DomainError("cannot get resource")
        return get(ref)

    if forbidden:
        monkeypatch.setattr(lab.cluster, "get", denied)
    else:
        lab.cluster.delete(lab.service)
    with pytest.raises(Refused, match=r"no Knative Service .*-predictor that can be read.*rbac/kserve"):
        router.claim(4)
    assert router.restore(saved, fence=4) == Routes({"v1": 100})
    router.apply(SPLIT, lab.versions)
    router.give_all(lab.versions["v1"], fence=4)
    assert router.read() == Routes({"v1": 100})


def test_its_role_allows_all_that_is_done(lab, router):
    lab.cluster.calls.clear()
    saved = router.snapshot()
    router.claim(3)
    router.apply(SPLIT, lab.versions, fence=3)
    router.restore(saved, fence=4)
    allowed = {
        (verb, group, resource)
        for rule in BACK_ENDS["kserve"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    assert {(verb, ref.group, f"{ref.kind.lower()}s") for verb, ref in lab.cluster.calls} <= allowed
