"""Calls of our own commands in manifests: each kind of fault put into what we render ourselves, Argo's and Tekton's.

Also what belongs to them: values that travel to an option, files of outputs, names and fixed words. Left out: what is
not about our commands (test_check.py).
"""

import copy

import pytest
import yaml

from fairway_workflows.canary import CanaryOptions, build
from fairway_workflows.check import check, document, faults
from fairway_workflows.render import Rendering

CANARY = build(CanaryOptions(load_test="beside")).to_dict()
RENDERED = {name: next(yaml.safe_load_all(text)) for name, text in Rendering().files()}
STEPS = RENDERED["argo/fairway-steps.yaml"]
PROMOTE = RENDERED["tekton/tasks/promote.yaml"]
ASSESS = RENDERED["tekton/stepactions/assess.yaml"]


def found(*bodies):
    return [finding.sentence for finding in faults(check([document(body) for body in bodies]))]


def template(body, name):
    return next(one for one in body["spec"]["templates"] if one["name"] == name)


def args(body, name, container=0):
    one = template(body, name)
    return (one.get("container") or one["containerSet"]["containers"][container])["args"]


def replaced(words, old, new):
    index = next(i for i, word in enumerate(words) if word.startswith(old))
    words[index : index + 1] = [new] if new else []


def parameter(listed, name):
    return next(one for one in listed if one["name"] == name)


def option_misspelt(body):
    replaced(args(body, "stage"), "--stage=", "--stge={{inputs.parameters.stage}}")


def token_not_passed_on(body):
    replaced(args(body, "promote"), "--token=", "")


def token_not_passed_on_in_a_set(body):
    replaced(args(body, "stage", 0), "--token=", "")


def another_input_for_the_token(body):
    replaced(args(body, "promote"), "--token=", "--token={{inputs.parameters.release-id}}")


def subcommand_misspelt(body):
    args(body, "promote")[0] = "promot"


def subcommand_of_no_step(body):
    args(body, "promote")[0] = "demo"


def no_subcommand(body):
    del args(body, "promote")[0]


def word_too_many(body):
    args(body, "promote").append("now")


def option_twice(body):
    args(body, "promote").append("--token=3")


def required_option_missing(body):
    template(body, "report")["inputs"]["parameters"] = []
    args(body, "report")[:] = ["report", "--out-dir=/fairway/out"]


def required_option_empty(body):
    args(body, "report")[:] = ["report", "--record=", "--out-dir=/fairway/out"]


def literal_refused(body):
    args(body, "promote").append("--settle-timeout=soon")


def value_as_a_word_of_its_own(body):
    replaced(args(body, "promote"), "--settle-timeout=", "--settle-timeout")
    args(body, "promote").insert(args(body, "promote").index("--settle-timeout") + 1, "soon")


def output_read_from_elsewhere(body):
    parameter(template(body, "stage")["outputs"]["parameters"], "verdict")["valueFrom"]["path"] = "/tmp/verdict"


def output_of_another_file(body):
    parameter(template(body, "stage")["outputs"]["parameters"], "verdict")["valueFrom"]["path"] = "/fairway/out/summary"


def outputs_written_elsewhere(body):
    replaced(args(body, "promote"), "--out-dir=", "--out-dir=/tmp")


def outputs_not_written(body):
    replaced(args(body, "promote"), "--out-dir=", "")


def unsafe_fallback(body):
    parameter(template(body, "stage")["outputs"]["parameters"], "verdict")["valueFrom"]["default"] = "promote"


def stages_that_fall(body):
    parameter(body["spec"]["arguments"]["parameters"], "stages")["value"] = "50@60s,25@60s"


def interval_that_is_none(body):
    parameter(body["spec"]["arguments"]["parameters"], "interval")["value"] = "soon"


def outcomes_that_are_none(body):
    parameter(body["spec"]["arguments"]["parameters"], "fail-on")["value"] = "rolledback"


def slos_on_nothing(body):
    parameter(body["spec"]["arguments"]["parameters"], "slos")["value"] = "[{metric: erorr-rate, limit: 1%}]"


def default_of_an_input(body):
    parameter(template(body, "stage")["inputs"]["parameters"], "stage")["default"] = "first"


def literal_argument(body):
    step = next(s for group in template(body, "main")["steps"] for s in group if s["name"] == "ramp")
    parameter(step["arguments"]["parameters"], "stage")["value"] = "first"


def illegal_name(body):
    body["metadata"]["name"] = "Canary_v1"


def long_name(body):
    body["metadata"]["name"] = "c" * 64


def no_name(body):
    del body["metadata"]["name"]


def illegal_label(body):
    body["metadata"]["labels"]["app.kubernetes.io/name"] = "a b"


def illegal_template_name(body):
    body["spec"]["templates"].append({"name": "on_exit", "suspend": {}})


def illegal_step_name(body):
    template(body, "main")["steps"][0][0]["name"] = "begin it"


def pods_never_collected(body):
    body["spec"]["podGC"]["strategy"] = "Never"


def retries_misspelt(body):
    template(body, "promote")["retryStrategy"]["retryPolicy"] = "Allways"


def timeout_that_is_none(body):
    template(body, "promote")["timeout"] = "15min"


ARGO = [
    (option_misspelt, "set-weights has no option --stge; did you mean 'stage'?"),
    (
        token_not_passed_on,
        "'token' is an option of promote, and not passed on: give it --token={{inputs.parameters.token}}",
    ),
    (token_not_passed_on_in_a_set, "'token' is an option of set-weights, and not passed on"),
    (another_input_for_the_token, "'token' is an option of promote, and not passed on"),
    (subcommand_misspelt, "there is no command 'promot'; did you mean 'promote'?"),
    (subcommand_of_no_step, "demo has no option --record"),
    (no_subcommand, "there is no command ''"),
    (word_too_many, "promote takes no argument 'now'"),
    (option_twice, "--token is given more than once"),
    (required_option_missing, "report needs --record"),
    (required_option_empty, "report refuses --record: it needs a value"),
    (literal_refused, "promote refuses --settle-timeout: 'soon' is not a duration"),
    (value_as_a_word_of_its_own, "promote refuses --settle-timeout: 'soon' is not a duration"),
    (
        output_read_from_elsewhere,
        "output 'verdict' is read from /tmp/verdict, which is not written; it is in /fairway/out/verdict",
    ),
    (output_of_another_file, "output 'verdict' is read from /fairway/out/summary, which holds 'summary'"),
    (outputs_written_elsewhere, "output 'action' is read from /fairway/out/action, which is not written"),
    (outputs_not_written, "output 'action' is read from /fairway/out/action, which is not written"),
    (unsafe_fallback, "output 'verdict' falls back on 'promote'; the step's own safe value is 'hold'"),
    (
        stages_that_fall,
        "parameter 'stages' is '50@60s,25@60s', which begin refuses as --stages: [1].weight: 25 does not rise",
    ),
    (interval_that_is_none, "parameter 'interval' is 'soon', which assess refuses as --interval: 'soon' is not a"),
    (outcomes_that_are_none, "which report refuses as --fail-on: 'rolledback' is no outcome"),
    (slos_on_nothing, "which begin refuses as --slos: slos:1: [0].metric: 'erorr-rate'"),
    (default_of_an_input, "input 'stage' is 'first', which set-weights refuses as --stage: 'first' is not a valid int"),
    (literal_argument, "step ramp: argument 'stage' is 'first', which assess refuses as --stage"),
    (illegal_name, "metadata.name 'Canary_v1' is not one that Kubernetes takes"),
    (long_name, f"metadata.name '{'c' * 64}' is longer than 63 characters"),
    (no_name, "it has no metadata.name"),
    (illegal_label, "label app.kubernetes.io/name has the value 'a b'"),
    (illegal_template_name, "template 'on_exit' has a name that is refused"),
    (illegal_step_name, "step 'begin it' has a name that is refused"),
    (pods_never_collected, "podGC.strategy is 'Never', which is not one of OnPodCompletion, OnPodSuccess"),
    (retries_misspelt, "retryStrategy.retryPolicy is 'Allways', which is not one of"),
    (timeout_that_is_none, "templates.timeout is '15min', which is not a duration such as 30s or 1h"),
]


@pytest.mark.parametrize(("breaking", "sentence"), ARGO, ids=[breaking.__name__ for breaking, _ in ARGO])
def test_a_fault_in_a_workflow_is_found(breaking, sentence):
    body = copy.deepcopy(CANARY)
    assert found(body) == []
    breaking(body)
    assert [told for told in found(body) if sentence in told], found(body)


def test_a_value_is_followed_into_the_template_of_another_document():
    main = {
        "name": "main",
        "steps": [
            [
                {
                    "name": "look",
                    "templateRef": {"name": "fairway-steps", "template": "assess"},
                    "arguments": {"parameters": [{"name": "interval", "value": "{{workflow.parameters.every}}"}]},
                }
            ]
        ],
    }
    theirs = {
        "kind": "Workflow",
        "metadata": {"generateName": "mine-"},
        "spec": {
            "entrypoint": "main",
            "templates": [main],
            "arguments": {"parameters": [{"name": "every", "value": "5s"}]},
        },
    }
    assert found(STEPS, theirs) == []
    theirs["spec"]["arguments"]["parameters"][0]["value"] = "often"
    assert [
        told for told in found(STEPS, theirs) if told.startswith("parameter 'every' is 'often', which assess refuses")
    ]


def test_the_arguments_of_a_workflow_of_a_template_are_followed_into_it():
    given = {"parameters": [{"name": "stages", "value": "10@soon"}]}
    theirs = {
        "kind": "Workflow",
        "metadata": {"generateName": "mine-"},
        "spec": {"workflowTemplateRef": {"name": CANARY["metadata"]["name"]}, "arguments": given},
    }
    assert [
        told for told in found(CANARY, theirs) if "which begin refuses as --stages: 'soon' is not a duration" in told
    ]


def test_what_only_a_run_can_tell_is_left_alone():
    body = copy.deepcopy(CANARY)
    args(body, "promote").append("--confirm-timeout={{=inputs.parameters.token + 's'}}")
    replaced(args(body, "promote"), "--confirm-timeout={{inputs", "")
    template(body, "promote")["inputs"]["parameters"] = [
        one for one in template(body, "promote")["inputs"]["parameters"] if one["name"] != "confirm-timeout"
    ]
    parameter(body["spec"]["arguments"]["parameters"], "slos")["value"] = "file:/etc/slos.yaml"
    assert found(body) == []


def test_other_programs_are_left_alone():
    body = copy.deepcopy(CANARY)
    template(body, "promote")["container"]["command"] = ["their-tool"]
    assert found(body) == []


def tekton_option(body):
    replaced(body["spec"]["steps"][0]["args"], "--token=", "--tokn=$(params.token)")


def tekton_unpassed(body):
    replaced(body["spec"]["steps"][0]["args"], "--token=", "")


def tekton_subcommand(body):
    body["spec"]["steps"][0]["args"][0] = "promot"


def tekton_default(body):
    parameter(body["spec"]["params"], "settle-timeout")["default"] = "soon"


def tekton_unknown_output(body):
    replaced(body["spec"]["steps"][0]["args"], "--result=action", "--result=acton=$(results.action.path)")


def tekton_unwritten(body):
    replaced(body["spec"]["steps"][0]["args"], "--result=action", "")


def tekton_elsewhere(body):
    replaced(body["spec"]["steps"][0]["args"], "--result=action", "--result=action=/tmp/action")


def tekton_crossed(body):
    replaced(body["spec"]["steps"][0]["args"], "--result=action", "--result=action=$(results.stable-version.path)")


def tekton_name(body):
    body["metadata"]["name"] = "fairway promote"


def tekton_param_name(body):
    body["spec"]["params"].append({"name": "2nd", "default": ""})


TEKTON = [
    (tekton_option, "step promote: promote has no option --tokn; did you mean 'token'?"),
    (
        tekton_unpassed,
        "step promote: 'token' is an option of promote, and not passed on: give it --token=$(params.token)",
    ),
    (tekton_subcommand, "step promote: there is no command 'promot'; did you mean 'promote'?"),
    (
        tekton_default,
        "param 'settle-timeout' has the default 'soon', which promote refuses as --settle-timeout: 'soon' is not a",
    ),
    (tekton_unknown_output, "step promote: promote has no output 'acton'; did you mean 'action'?"),
    (tekton_unwritten, "result 'action' is not written: no step has --result=action=$(results.action.path)"),
    (tekton_elsewhere, "result 'action' is not written"),
    (tekton_crossed, "writes 'action' into another result"),
    (tekton_name, "metadata.name 'fairway promote' is not one that Kubernetes takes"),
    (tekton_param_name, "param '2nd' has a name that is refused"),
]


@pytest.mark.parametrize(("breaking", "sentence"), TEKTON, ids=[breaking.__name__ for breaking, _ in TEKTON])
def test_a_fault_in_a_task_is_found(breaking, sentence):
    body = copy.deepcopy(PROMOTE)
    assert found(body) == []
    breaking(body)
    assert [told for told in found(body) if sentence in told], found(body)


def test_a_fault_in_a_step_action_is_found():
    body = copy.deepcopy(ASSESS)
    replaced(body["spec"]["args"], "--result=verdict", "")
    assert found(body) == ["result 'verdict' is not written: no step has --result=verdict=$(step.results.verdict.path)"]
