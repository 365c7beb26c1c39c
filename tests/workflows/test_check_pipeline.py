"""Pipelines and their runs: each kind of fault put into what we render ourselves is found, in one sentence.

Left out: single Tasks and StepActions (test_check.py, test_check_command.py); what Tekton does with them (tests/e2e/cluster).
"""

import copy
import re

import pytest
import yaml

from fairway_workflows.check import check, document
from fairway_workflows.render import Rendering

FILES = {name: yaml.safe_load(text) for name, text in Rendering().files() if re.match("tekton/[a-z]+s/", name)}
CANARY = FILES["tekton/pipelines/canary-v1.yaml"]
OTHERS = [body for body in FILES.values() if body is not CANARY]


def found(*bodies):
    return [finding.sentence for finding in check([document(body) for body in (*bodies, *OTHERS)])]


def task(body, name):
    return next(one for one in (*body["spec"]["tasks"], *body["spec"]["finally"]) if one["name"] == name)


def params(one):
    return {each["name"]: each for each in one["params"]}


def misspelt_param(body):
    params(task(body, "begin"))["candidate"]["name"] = "candidat"


def missing_param(body):
    one = task(body, "promote")
    one["params"] = [each for each in one["params"] if each["name"] != "record"]


def twice(body):
    task(body, "begin")["params"].append({"name": "route", "value": "x"})


def refused_value(body):
    params(task(body, "hold"))["outcome"]["value"] = "hold"


def undeclared(body):
    params(task(body, "begin"))["service"]["value"] = "$(params.servise)"


def no_result(body):
    task(body, "promote")["when"][0]["input"] = "$(tasks.ramp.results.verdikt)"


def no_task(body):
    task(body, "promote")["when"][0]["input"] = "$(tasks.rampe.results.verdict)"


def no_context(body):
    params(task(body, "begin"))["holder"]["value"] = "$(context.pipelineRun.id)"


def early_status(body):
    params(task(body, "begin"))["holder"]["value"] = "$(tasks.ramp.status)"


def final_in_task(body):
    params(task(body, "begin"))["holder"]["value"] = "$(finally.finish.results.outcome)"


def in_a_circle(body):
    task(body, "begin")["runAfter"] = ["ramp"]


def after_nobody(body):
    task(body, "ramp")["runAfter"] = ["wait-for-redy"]


def ordered_finally(body):
    task(body, "finish")["runAfter"] = ["ramp"]


def operator(body):
    task(body, "promote")["when"][0]["operator"] = "equals"


def same_name(body):
    task(body, "hold")["name"] = "rollback"


def action_param(body):
    task(body, "finish")["taskSpec"]["steps"][0]["params"][0]["name"] = "recrod"


def step_result(body):
    task(body, "finish")["taskSpec"]["results"][0]["value"] = "$(steps.report.results.outcom)"


def no_step(body):
    task(body, "finish")["taskSpec"]["results"][0]["value"] = "$(steps.reports.results.outcome)"


def refused_by_the_action(body):
    task(body, "finish")["taskSpec"]["steps"][1]["params"].append({"name": "format", "value": "pdf"})


def final_result(body):
    body["spec"]["results"][2]["value"] = "$(finally.finish.results.outcom)"


def nothing_called(body):
    del task(body, "begin")["taskRef"]


def later_step(body):
    steps = task(body, "rehearsal")["taskSpec"]["steps"]
    steps.reverse()


def step_of_a_step(body):
    (told,) = [one for one in task(body, "rehearsal")["taskSpec"]["steps"][1]["params"] if one["name"] == "metrics"]
    told["value"] = "summary:$(steps.load-test.results.sumary)"


FAULTS = [
    (later_step, "task rehearsal: step assess: step 'load-test' has not run before it"),
    (step_of_a_step, "task rehearsal: step assess: step 'load-test' has no result 'sumary'; did you mean 'summary'?"),
    (misspelt_param, "task begin: Task 'fairway-begin' has no param 'candidat'; did you mean 'candidate'?"),
    (misspelt_param, "task begin: Task 'fairway-begin' needs the param 'candidate'"),
    (missing_param, "task promote: Task 'fairway-promote' needs the param 'record'"),
    (twice, "task begin: param 'route' is given more than once"),
    (refused_value, "task hold: param 'outcome' is 'hold', which rollback refuses as --outcome: "),
    (undeclared, "'servise' is not declared in params; did you mean 'service'?"),
    (no_result, "does not resolve: task 'ramp' has no result 'verdikt'; did you mean 'verdict'?"),
    (no_task, "does not resolve: there is no task 'rampe'; did you mean 'ramp'?"),
    (no_context, "does not resolve: there is no such context; did you mean 'pipelineRun.uid'?"),
    (early_status, "does not resolve: only finally tasks see how tasks ended"),
    (final_in_task, "does not resolve: only the pipeline's results see finally"),
    (in_a_circle, "tasks wait for one another: begin -> ramp -> "),
    (after_nobody, "task ramp: runAfter: there is no task 'wait-for-redy'; did you mean 'wait-for-ready'?"),
    (ordered_finally, "task finish: a finally task has no runAfter: all of them start at once"),
    (operator, "task promote: when: the operator 'equals' is not one of in, notin"),
    (same_name, "there is more than one task 'rollback'"),
    (action_param, "task finish: step ensure-safe: StepAction 'fairway-ensure-safe' has no param 'recrod'"),
    (step_result, "task finish: result 'outcome': step 'report' has no result 'outcom'; did you mean 'outcome'?"),
    (no_step, "task finish: result 'outcome': there is no step 'reports'; did you mean 'report'?"),
    (refused_by_the_action, "task finish: step report: param 'format' is 'pdf', which report refuses as --format: "),
    (final_result, "result outcome: $(finally.finish.results.outcom) does not resolve: task 'finish' has no result"),
    (nothing_called, "task begin: it names no taskRef and has no taskSpec"),
]


@pytest.mark.parametrize(
    ("breaking", "sentence"), FAULTS, ids=[f"{one.__name__}-{n}" for n, (one, _) in enumerate(FAULTS)]
)
def test_a_fault_is_found(breaking, sentence):
    body = copy.deepcopy(CANARY)
    breaking(body)
    told = found(body)
    assert [one for one in told if sentence in one], told


def test_the_canary_has_none():
    assert found(CANARY) == []


def test_tasks_that_are_not_at_hand_are_left_alone():
    assert [one.sentence for one in check([document(CANARY)])] == []


def run(*given):
    listed = [{"name": name, "value": value} for name, value in given]
    spec = {"pipelineRef": {"name": "canary-v1"}, "params": listed}
    return {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", "metadata": {"generateName": "c-"}, "spec": spec}


def test_a_run_gives_what_the_pipeline_needs_and_nothing_else():
    needed = [(name, "x") for name in ("service", "route", "candidate", "slos")]
    assert found(CANARY, run(*needed)) == []
    assert found(CANARY, run(*needed[:3])) == ["pipeline 'canary-v1' needs the param 'slos'"]
    assert found(CANARY, run(*needed, ("stagse", "x"))) == [
        "pipeline 'canary-v1' has no param 'stagse'; did you mean 'stages'?"
    ]


def test_a_run_with_a_pipeline_of_its_own_is_checked_as_one():
    body = run() | {"spec": {"pipelineSpec": {"tasks": [{"name": "one", "taskRef": {"name": "fairway-begin"}}]}}}
    assert "task one: Task 'fairway-begin' needs the param 'service'" in found(body)
