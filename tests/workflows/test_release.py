"""The graphs of the other strategies, and of the rehearsal, run: which steps are called, in which order and with what.

Left out: the courses that all strategies share with the canary (test_canary.py), what the steps then do (e2e/test_strategies.py).
"""

from dataclasses import replace

import pytest

from fairway_steps.cli.wiring import somebody
from fairway_steps.config import Approval
from fairway_steps.errors import UsageError
from fairway_steps.strategy import Strategy
from fairway_workflows.canary import CanaryOptions
from fairway_workflows.check import check, document, faults
from fairway_workflows.local import Phase
from fairway_workflows.strategies import OPTIONS, build
from stub_release import ADVANCE, END, GIVEN, HOLD, PROMOTE, ROLLBACK, STAGE, STAGES, START, Release

LOAD = {"load-url": "http://127.0.0.1:3/infer", "load-rate": "5", "load-duration": "9s", "payload": "{}"}
TOLD = {"summary": '{"requests":45}'}
REHEARSED = ["load-test", "assess"]


@pytest.fixture
def release(tmp_path):
    return lambda answers, options=None, asked=None, **given: Release(tmp_path, answers, options, asked, **given)


def test_a_rehearsal_that_passes_is_followed_by_the_stages(release):
    run = release({"set_weights": STAGES[2:], "load_test": [TOLD], "assess": [ADVANCE, PROMOTE]}, **LOAD)
    assert run.order == [*START, *REHEARSED, *STAGE, "promote", *END]
    (sent,), (judged, staged) = run.given("load-test"), run.given("assess")
    assert [sent[name] for name in ("url", "rate", "duration", "payload")] == list(LOAD.values())
    assert sent["slos"] == GIVEN["slos"]
    assert (judged["rehearsal"], judged["metrics"], judged["token"]) == ("true", f"summary:{TOLD['summary']}", "7")
    assert staged.get("rehearsal", "false") == "false"
    assert run.given("set-weights")[0]["stage"] == "0"


@pytest.mark.parametrize(
    ("verdict", "asked", "then"),
    [
        (ROLLBACK, None, ["rollback"]),
        (HOLD, ["NO"], ["rollback"]),
        ({}, None, ["rollback"]),
        (HOLD, ["YES"], [*STAGE, "promote"]),
    ],
)
def test_a_rehearsal_that_does_not_pass_gives_nobody_to_the_candidate(release, verdict, asked, then):
    run = release({"set_weights": STAGES[2:], "assess": [verdict, PROMOTE]}, asked=asked, **LOAD)
    assert run.order == [*START, *REHEARSED, *then, *END]


RELEASING = [
    (options, {"stages": "50@9s"} if strategy.staged else {})
    for strategy, options in OPTIONS.items()
    if strategy.releases
]


@pytest.mark.parametrize(("options", "given"), RELEASING)
def test_an_approval_is_handed_to_begin_which_refuses_it_and_not_lost_as_parameters_that_no_workflow_declares_are(
    release, options, given
):
    for approval in ("before-promotion", "none"):
        assert release({}, options, **given, approval=approval).given("begin")[-1]["approval"] == approval


@pytest.mark.parametrize("approval", [one for one in Approval if one is not Approval.NONE])
@pytest.mark.parametrize(("options", "given"), RELEASING)
def test_where_a_person_is_asked_no_other_approval_can_be_given(release, options, given, approval):
    with pytest.raises(UsageError, match=f"'approval' is 'none'; use {approval}"):
        release({}, replace(options, approval=approval), **given, approval="none")


def test_a_blue_green_release_is_one_pod_of_stages_that_ends_at_all_of_the_traffic(release):
    run = release({"ramp": [PROMOTE]}, OPTIONS[Strategy.BLUE_GREEN])
    assert run.order == [*START, "ramp", "promote", *END]
    assert (run.given("begin")[0]["strategy"], run.given("begin")[0]["stages"]) == ("blue-green", "100@5m")
    rehearsed = release(
        {"load_test": [TOLD], "assess": [ADVANCE], "ramp": [PROMOTE]}, OPTIONS[Strategy.BLUE_GREEN], **LOAD
    )
    assert rehearsed.order[len(run.order) :] == [*START, *REHEARSED, "ramp", "promote", *END]


def test_a_mirrored_release_goes_on_as_a_canary(release):
    run = release({"assess": [ADVANCE, ADVANCE, PROMOTE]}, OPTIONS[Strategy.MIRROR])
    assert run.order == [*START, *STAGE * 3, "promote", *END]
    assert run.given("begin")[0]["strategy"] == "mirror"
    assert run.given("begin")[0]["stages"].startswith("mirror:")


def test_a_split_between_several_candidates_is_one_stage_whose_winner_is_promoted(release):
    split = {
        "candidate": "v2=http://127.0.0.1:2,v3=http://127.0.0.1:3",
        "stages": "v2=30+v3=30@1h",
        "sticky": "header:x-user",
    }
    run = release({"set_weights": STAGES[2:], "assess": [PROMOTE]}, OPTIONS[Strategy.AB], **split)
    assert run.order == [*START, *STAGE, "promote", *END]
    (begun,) = run.given("begin")
    assert begun["strategy"] == "ab"
    assert {name: begun[name] for name in split} == split


@pytest.mark.parametrize(
    ("approval", "asked", "then"),
    [
        (Approval.NONE, None, "promote"),
        (Approval.BEFORE_PROMOTION, ["YES"], "promote"),
        (Approval.BEFORE_TRAFFIC, ["NO"], "rollback"),
    ],
)
def test_strategy_none_promotes_what_is_ready_if_nobody_minds(release, approval, asked, then):
    run = release({}, replace(OPTIONS[Strategy.NONE], approval=approval), asked)
    assert run.order == [*START, then, *END]
    assert "slos" not in run.given("begin")[0]


@pytest.mark.parametrize(("code", "phase"), [("0", Phase.SUCCEEDED), ("1", Phase.FAILED)])
def test_a_performance_test_is_a_gate(release, code, phase):
    run = release({"load_test": [TOLD], "assess": [PROMOTE | {"code": code}]}, OPTIONS[Strategy.PERFORMANCE], **LOAD)
    assert run.order == ["wait-for-ready", "load-test", "assess"]
    ready, sent, judged = (run.given(name)[0] for name in run.order)
    assert ready["versions"] == judged["candidate"] == GIVEN["candidate"]
    assert sent["slos"] == judged["slos"] == GIVEN["slos"]
    assert (judged["metrics"], judged["is-last"]) == (f"summary:{TOLD['summary']}", "true")
    assert judged["fail-on"] == "rollback,hold"
    assert run.result.phase is phase


@pytest.mark.parametrize(("answer", "end"), [("YES", "promote"), ("NO", "rollback")])
def test_whoever_answers_is_named_to_the_step_that_follows(release, answer, end):
    run = release({"assess": [PROMOTE]}, CanaryOptions(approval=Approval.BEFORE_PROMOTION), asked=[answer])
    assert run.given(end)[0]["by"] == somebody()


def test_whoever_lets_a_stage_be_repeated_is_named_to_that_stage_alone(release):
    run = release({"set_weights": [STAGES[0], STAGES[0], STAGES[2]], "assess": [HOLD, ADVANCE, PROMOTE]}, asked=["YES"])
    assert [given["by"] for given in run.given("set-weights")] == ["", somebody(), ""]
    assert run.given("promote")[0]["by"] == ""


@pytest.mark.parametrize("scope", [False, True])
@pytest.mark.parametrize("strategy", Strategy)
def test_every_strategy_holds_together(strategy, scope):
    built = build(replace(OPTIONS[strategy], cluster_scope=scope)).to_dict()
    assert built["metadata"]["name"] == f"{strategy}-v1"
    assert built["kind"] == ("ClusterWorkflowTemplate" if scope else "WorkflowTemplate")
    assert built["spec"]["activeDeadlineSeconds"]
    assert faults(check([document(built)])) == []
