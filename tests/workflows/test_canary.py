"""The canary's graph, run: which steps are called, in which order and with what, for each course a release may take.

The rendered workflow runs in the local interpreter, with a program in place of the steps that answers as it is told. Left
out: the steps themselves, and a real controller (the differential test).
"""

import itertools

import pytest

from fairway_steps.config import Approval
from fairway_workflows.canary import CanaryOptions, build
from fairway_workflows.check import check, document, faults
from fairway_workflows.local import Phase
from stub_release import ADVANCE, BEGUN, END, GIVEN, HOLD, PROMOTE, ROLLBACK, STAGE, STAGES, START, Release


@pytest.fixture
def release(tmp_path):
    return lambda answers, options=None, asked=None, **given: Release(tmp_path, answers, options, asked, **given)


def test_all_stages_pass_and_the_candidate_is_promoted(release):
    run = release({"assess": [ADVANCE, ADVANCE, PROMOTE]})
    assert run.order == [*START, *STAGE * 3, "promote", *END]
    assert [call["stage"] for call in run.given("set-weights")] == ["0", "1", "2"]
    assert [call["stage"] for call in run.given("assess")] == ["0", "1", "2"]
    assert run.result.phase is Phase.SUCCEEDED


def test_every_step_is_given_the_release_it_works_for(release):
    run = release(
        {"assess": [PROMOTE]},
        **{
            "metrics": "scrape:http://127.0.0.1:9",
            "interval": "2s",
            "on-inconclusive": "rollback",
            "ready-timeout": "9s",
        },
    )
    for name in ("begin", "set-weights", "assess"):
        assert run.given(name)[0]["metrics"] == "scrape:http://127.0.0.1:9"
    begin, ready, assess = (run.given(name)[0] for name in ("begin", "wait-for-ready", "assess"))
    for name in ("set-weights", "assess", "promote"):
        given = run.given(name)[0]
        assert (given["record"], given["release-id"], given["token"]) == ("file:/abs/record.json", "iris-1", "7")
    assert (ready["record"], ready["holder"]) == ("file:/abs/record.json", begin["holder"])
    assert {name: begin[name] for name in ("service", "route", "primary", "slos")} == {
        name: GIVEN[name] for name in ("service", "route", "primary", "slos")
    }
    assert begin["stages"] == "10@60s,25@60s,50@60s"
    assert ready["timeout"] == "9s"
    assert (assess["interval"], assess["on-inconclusive"]) == ("2s", "rollback")
    assert run.given("report")[0]["fail-on"] == "rolled-back,held,broken"


def test_the_exit_handler_acts_only_for_the_holder_that_began(release):
    run = release({"assess": [PROMOTE]})
    assert run.given("begin")[0]["holder"] == run.given("ensure-safe")[0]["holder"] == run.result.uid
    run = release({"assess": [PROMOTE]}, holder="pid:1:2@here")
    assert run.given("begin")[-1]["holder"] == run.given("ensure-safe")[-1]["holder"] == "pid:1:2@here"


def test_harm_ends_it_rolled_back(release):
    run = release({"assess": [ADVANCE, ROLLBACK], "report": [{"code": "1"}, {}]})
    assert run.order == [*START, *STAGE * 2, "rollback", "report", "ensure-safe", "report"]
    assert run.given("rollback")[0]["outcome"] == "rolled-back"
    assert run.result.phase is Phase.FAILED


def test_a_first_version_is_promoted_at_once(release):
    run = release({"begin": [BEGUN | {"first": "true"}]})
    assert run.order == [*START, "promote", *END]
    assert run.result.phase is Phase.SUCCEEDED


def test_a_resumed_release_goes_on_where_its_record_says(release):
    run = release({"begin": [BEGUN | {"stage": "2"}], "set_weights": [STAGES[2]], "assess": [PROMOTE]})
    assert [call["stage"] for call in run.given("set-weights")] == ["2"]


@pytest.mark.parametrize("verdict", [{}, {"verdict": ""}, {"verdict": "maybe"}, HOLD])
def test_whatever_is_no_verdict_holds_and_nobody_answers(release, verdict):
    run = release({"assess": [verdict]})
    assert run.order == [*START, *STAGE, "rollback", *END]
    (rollback,) = run.given("rollback")
    assert rollback["outcome"] == "held"
    assert rollback["reason"] == "nobody approved it: the answer was NO"


def test_a_person_may_have_a_stage_repeated(release):
    run = release({"set_weights": [STAGES[0], STAGES[0], STAGES[2]], "assess": [HOLD, ADVANCE, PROMOTE]}, asked=["YES"])
    assert run.order == [*START, *STAGE * 3, "promote", *END]
    assert [call["stage"] for call in run.given("assess")] == ["0", "0", "1"]
    assert len(run.questions) == 1


def test_a_person_may_say_no(release):
    run = release({"assess": [HOLD]}, asked=["NO"])
    assert [name for name in run.order if name in ("promote", "rollback")] == ["rollback"]


@pytest.mark.parametrize(("answers", "end"), [(["YES"], "promote"), (["NO"], "rollback"), (None, "rollback")])
def test_promotion_waits_for_a_person(release, answers, end):
    run = release({"assess": [PROMOTE]}, CanaryOptions(approval=Approval.BEFORE_PROMOTION), asked=answers)
    assert run.order == [*START, *STAGE, end, *END]
    assert end == "promote" or run.given("rollback")[0]["outcome"] == "held"


@pytest.mark.parametrize(
    ("answers", "then"), [(["YES"], [*STAGE, "promote"]), (["NO"], ["rollback"]), (None, ["rollback"])]
)
def test_the_first_traffic_waits_for_a_person(release, answers, then):
    run = release({"assess": [PROMOTE]}, CanaryOptions(approval=Approval.BEFORE_TRAFFIC), asked=answers)
    assert run.order == [*START, *then, *END]


def test_the_whole_release_in_one_pod(release):
    run = release({"ramp": [PROMOTE]}, CanaryOptions(granularity="release", load_test="no"), interval="3s")
    assert run.order == [*START, "ramp", *END]
    begin, ramp = run.given("begin")[0], run.given("ramp")[0]
    assert (begin["once"], ramp["end"], ramp["interval"]) == ("true", "true", "3s")
    assert (ramp["record"], ramp["holder"]) == (begin["record"], begin["holder"])
    assert run.result.phase is Phase.SUCCEEDED


@pytest.mark.parametrize(("answer", "end"), [("YES", ["ramp", "promote"]), ("NO", ["rollback"])])
def test_a_whole_release_that_is_held_asks_a_person(release, answer, end):
    run = release({"ramp": [HOLD, PROMOTE]}, CanaryOptions(granularity="release", load_test="no"), asked=[answer])
    assert run.order == [*START, "ramp", *end, *END]
    assert [(call.get("stage"), call.get("end")) for call in run.given("ramp")[1:]] == [("", "false")] * (
        answer == "YES"
    )


def test_a_ramp_in_one_pod_ends_by_itself_only_where_nothing_stands_in_between(release):
    asked = CanaryOptions(granularity="release", approval=Approval.BEFORE_PROMOTION)
    run = release({"ramp": [PROMOTE]}, asked, asked=["YES"])
    assert run.order == [*START, "ramp", "promote", *END]
    assert run.given("ramp")[0]["stage"] == "0"


def test_load_is_sent_beside_each_stage(release):
    load = {"load-url": "http://127.0.0.1:3/infer", "load-rate": "5", "load-duration": "60s", "payload": "{}"}
    run = release({"assess": [ADVANCE, ADVANCE, PROMOTE]}, CanaryOptions(load_test="beside"), **load)
    assert len(run.given("load-test")) == 3
    sent = run.given("load-test")[0]
    assert [sent[name] for name in ("url", "rate", "duration", "payload")] == list(load.values())
    assert sent["slos"] == run.given("begin")[0]["slos"] != ""
    assert run.result.phase is Phase.SUCCEEDED


@pytest.mark.parametrize("failing", ["begin", "wait-for-ready", "set-weights", "assess", "promote"])
def test_whatever_fails_the_exit_handler_makes_it_safe_and_reports(release, failing):
    answers = {"assess": [PROMOTE]} | {failing.replace("-", "_"): [{"code": "1"}]}
    run = release(answers)
    assert run.order[-3:] == [failing, "ensure-safe", "report"]
    assert run.order.count(failing) == 1
    assert run.given("report")[0]["fail-on"] == ""
    assert run.result.phase is Phase.FAILED


@pytest.mark.parametrize(
    ("promoted", "again", "phase"),
    [({}, {}, Phase.SUCCEEDED), ({}, {"code": "1"}, Phase.FAILED), ({"code": "1"}, {}, Phase.FAILED)],
)
def test_what_could_not_be_made_safe_is_reported_and_tried_once_more(release, promoted, again, phase):
    run = release({"assess": [PROMOTE], "promote": [promoted], "ensure_safe": [{"code": "1"}, again]})
    assert run.order[-3:] == ["ensure-safe", "report", "ensure-safe"]
    assert len({(given["record"], given["holder"]) for given in run.given("ensure-safe")}) == 1
    assert run.result.phase is phase


@pytest.mark.parametrize("code", ["75", "137"])
@pytest.mark.parametrize("failing", ["wait-for-ready", "set-weights", "assess", "rollback"])
def test_what_is_transient_or_was_killed_is_tried_again(release, failing, code):
    good = {"set-weights": STAGES[2], "assess": ROLLBACK}
    answers = {name.replace("-", "_"): [answer] for name, answer in good.items()}
    answers[failing.replace("-", "_")] = [{"code": code}, good.get(failing, {})]
    run = release(answers)
    assert run.order.count(failing) == 2
    assert run.result.phase is Phase.SUCCEEDED


def test_a_failed_report_at_the_end_does_not_hide_the_result(release):
    run = release({"assess": [PROMOTE], "promote": [{"code": "1"}], "report": [{"code": "1"}]})
    assert run.result.exit is not None
    assert run.result.exit.phase is Phase.SUCCEEDED
    assert run.result.phase is Phase.FAILED


def test_a_stage_is_judged_by_the_summary_of_its_own_load(release):
    told = {"summary": '{"requests":3,"over_ms":{"250":0}}'}
    answers = {"assess": [ADVANCE, ADVANCE, PROMOTE], "load_test": [told, told, told]}
    run = release(answers, CanaryOptions(load_test="judged"), **{"load-url": "http://127.0.0.1:3/infer"})
    assert run.order == [*START, *["set-weights", "load-test", "assess"] * 3, "promote", *END]
    assert [given["metrics"] for given in run.given("assess")] == [f"summary:{told['summary']}"] * 3
    assert {given["slos"] for given in run.given("load-test")} == {GIVEN["slos"]}


def test_a_load_that_judges_may_end_early_and_knows_whom_it_judges_and_when(release):
    given = {"load-url": "http://127.0.0.1:3/infer", "load-stop-early": "true", "load-version": "v2"}
    run = release({"assess": [ADVANCE, PROMOTE]}, CanaryOptions(load_test="judged"), **given)
    told = [[sent[name] for name in ("stop-early", "version", "candidate", "stage")] for sent in run.given("load-test")]
    assert told == [["true", "v2", GIVEN["candidate"], stage] for stage in ("0", "1")]


def test_a_load_that_cannot_be_sent_ends_the_release_safely(release):
    run = release(
        {"load_test": [{"code": 1}]}, CanaryOptions(load_test="judged"), **{"load-url": "http://127.0.0.1:3/"}
    )
    assert run.order == [*START, "set-weights", "load-test", "ensure-safe", "report"]
    assert run.result.phase is Phase.FAILED


VARIANTS = [
    CanaryOptions(approval=approval, load_test=load, granularity=granularity, cluster_scope=scope)
    for approval, load, granularity, scope in itertools.product(
        Approval, ("no", "beside", "judged"), ("stage", "release"), (False, True)
    )
    if load != "judged" or granularity == "stage"
]


@pytest.mark.parametrize(
    "options", VARIANTS, ids=lambda o: f"{o.approval}-{o.load_test}-{o.granularity}-{o.cluster_scope}"
)
def test_every_variant_holds_together(options):
    built = build(options).to_dict()
    assert built["kind"] == ("ClusterWorkflowTemplate" if options.cluster_scope else "WorkflowTemplate")
    assert faults(check([document(built)])) == []


@pytest.mark.parametrize("options", VARIANTS[::2], ids=lambda o: f"{o.approval}-{o.load_test}-{o.granularity}")
def test_leaves_know_only_their_inputs(options):
    for template in build(options).to_dict()["spec"]["templates"]:
        knows = template["name"] in ("main", "on-exit")
        assert ("workflow." in str(template)) is knows, template["name"]


def test_a_stage_is_one_pod_that_is_called_after_its_number():
    templates = {one["name"]: one for one in build().to_dict()["spec"]["templates"]}
    stage = templates["stage"]["containerSet"]["containers"]
    assert [(one["name"], one.get("dependencies", [])) for one in stage] == [
        ("set-weights", []),
        ("main", ["set-weights"]),
    ]
    assert templates["stage"]["annotations"] == {
        "workflows.argoproj.io/display-name": "stage-{{inputs.parameters.stage}}"
    }
