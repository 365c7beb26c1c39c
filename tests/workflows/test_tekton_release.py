"""A release as a Tekton Pipeline, by each strategy: its parameters are those of Argo's, every end is cared for, each verdict has one way.

Left out: that its names resolve (test_check_pipeline.py), what Tekton makes of it (tests/e2e/cluster/test_tekton.py).
"""

import pytest

from fairway_steps.strategy import Strategy
from fairway_workflows.safety import Safety
from fairway_workflows.strategies import OPTIONS, build
from fairway_workflows.tekton_release import ENDS, RESUMING, pipeline

SPEC = pipeline(Strategy.CANARY, Safety())["spec"]
TASKS = {task["name"]: task for task in SPEC["tasks"]}
FINALLY = {task["name"]: task for task in SPEC["finally"]}


def given(task):
    return {one["name"]: one["value"] for one in task["params"]}


def goes(task, inputs):
    """Whether ``when`` lets a task run, for the values of its inputs; None if one is not there."""
    for guard in task.get("when", []):
        if (value := inputs.get(guard["input"])) is None:
            return None
        if (value in guard["values"]) != (guard["operator"] == "in"):
            return False
    return True


@pytest.mark.parametrize("strategy", Strategy)
def test_the_params_are_those_of_argo_but_for_what_tekton_cannot_say(strategy):
    argos = {one.name: one for one in build(OPTIONS[strategy]).arguments}
    ours = {one["name"]: one.get("default") for one in pipeline(strategy, Safety())["spec"]["params"]}
    assert set(argos) - set(ours) <= {*ENDS, "report", "hold-timeout"}
    assert set(ours) <= set(argos)
    needed = {name for name, one in argos.items() if one.value is None}
    assert {name for name, default in ours.items() if default is None} == needed | ({"route"} & set(ours))
    assert {name: argos[name].value for name in ours if name != "route"} == {
        k: v for k, v in ours.items() if k != "route"
    }


@pytest.mark.parametrize(
    ("verdict", "way"),
    [("promote", "promote"), ("rollback", "rollback"), ("hold", "hold"), ("", "hold"), ("advance", "hold")],
)
def test_a_verdict_has_one_way(verdict, way):
    inputs = {"$(tasks.begin.results.first)": "false", "$(tasks.ramp.results.verdict)": verdict}
    ends = {name for name in ("promote-first", "promote", "rollback", "hold") if goes(TASKS[name], inputs)}
    assert ends == {way}
    assert goes(TASKS["ramp"], inputs)


def test_the_first_version_is_promoted_without_a_ramp():
    inputs = {"$(tasks.begin.results.first)": "true"}
    assert [name for name, task in TASKS.items() if goes(task, inputs)] == ["begin", "wait-for-ready", "promote-first"]


def test_who_is_undecided_is_held_and_not_rolled_back():
    assert given(TASKS["hold"])["outcome"] == "held"
    assert "outcome" not in given(TASKS["rollback"])


def test_an_approval_is_handed_to_begin_which_refuses_it_and_not_lost_as_params_that_no_pipeline_declares_are():
    assert given(TASKS["begin"])["approval"] == "$(params.approval)"


def test_every_step_after_begin_is_fenced_by_its_token():
    for name, task in TASKS.items():
        if name != "begin":
            assert given(task)["token"] == "$(tasks.begin.results.token)"
            assert given(task)["release-id"] == "$(tasks.begin.results.release-id)"
        assert given(task)["record"] == ENDS["record"]


def test_traffic_goes_back_before_the_report_and_only_for_this_runs_release():
    steps = FINALLY["finish"]["taskSpec"]["steps"]
    assert [step["ref"]["name"] for step in steps] == ["fairway-ensure-safe", "fairway-report", "fairway-ensure-safe"]
    assert [step["name"] for step in steps] == ["ensure-safe", "report", "make-sure"]
    assert all(given(step)["holder"] == "$(params.holder)" for step in steps)
    assert given(FINALLY["finish"])["holder"] == "$(context.pipelineRun.uid)" == given(TASKS["begin"])["holder"]
    assert "when" not in FINALLY["finish"]


def test_what_could_not_be_made_safe_is_reported_before_it_fails_the_run():
    first, report, again = FINALLY["finish"]["taskSpec"]["steps"]
    assert first["onError"] == "continue"
    assert "onError" not in report
    assert "onError" not in again
    assert given(first) == given(again)


def test_what_is_repeated_resumes_and_nobody_fails_where_it_would_be_repeated():
    repeated = {task["taskRef"]["name"].removeprefix("fairway-") for task in TASKS.values() if task.get("retries")}
    assert repeated == RESUMING
    assert "stage" not in given(TASKS["ramp"])
    assert "retries" not in FINALLY["outcome"]
    assert "fail-on" not in given(FINALLY["finish"]["taskSpec"]["steps"][1])


@pytest.mark.parametrize("status", ["Succeeded", "Completed", "Failed", "None"])
def test_the_run_fails_by_its_outcome_if_nothing_else_did(status):
    ran = status in ("Succeeded", "Completed")
    assert goes(FINALLY["outcome"], {"$(tasks.status)": status}) is ran
    assert given(FINALLY["outcome"])["fail-on"] == "$(params.fail-on)"


def test_every_task_has_a_timeout():
    assert all(task["timeout"] for task in (*SPEC["tasks"], *SPEC["finally"]))
