"""What a check finds: each kind of fault put into a template that was sound, and nothing in those that are.

Left out: the files and exit codes (test_cli_check.py).
"""

import copy

import pytest
import yaml

from fairway_workflows.canary import CanaryOptions, build
from fairway_workflows.check import check, document, faults
from fairway_workflows.render import Rendering

SOUND = build(CanaryOptions(load_test="beside")).to_dict()
MANIFESTS = [
    (name, body) for name, text in Rendering().files() for body in yaml.safe_load_all(text) if "rbac" not in name
]


def found(*bodies):
    return [(finding.template, finding.sentence) for finding in faults(check([document(body) for body in bodies]))]


def template(body, name):
    return next(one for one in body["spec"]["templates"] if one["name"] == name)


def step(body, of, name):
    return next(one for group in template(body, of)["steps"] for one in group if one["name"] == name)


def arguments(body, of, name):
    return step(body, of, name)["arguments"]["parameters"]


@pytest.mark.parametrize(("name", "body"), MANIFESTS, ids=[name for name, _ in MANIFESTS])
def test_what_we_render_is_sound(name, body):
    assert found(body) == []


def misspelt_argument(body):
    arguments(body, "ramp", "stage")[0]["name"] = "stge"


def missing_argument(body):
    entry = step(body, "ask", "wait")["arguments"]
    entry["parameters"] = [one for one in entry["parameters"] if one["name"] != "timeout"]


def argument_twice(body):
    arguments(body, "ramp", "stage").append({"name": "stage", "value": "0"})


def argument_out_of_enum(body):
    next(p for p in arguments(body, "hold", "decline") if p["name"] == "outcome")["value"] = "hold"


def unknown_input(body):
    template(body, "promote")["container"]["args"].append("--x={{inputs.parameters.tokn}}")


def unknown_output(body):
    step(body, "ramp", "rollback")["when"] = "'{{steps.stage.outputs.parameters.verdikt}}' == 'rollback'"


def unknown_step(body):
    step(body, "ramp", "rollback")["when"] = "'{{steps.stag.outputs.parameters.verdict}}' == 'rollback'"


def step_of_the_same_group(body):
    step(body, "ramp", "rollback")["when"] = "'{{steps.promote.outputs.parameters.action}}' == 'none'"


def later_step(body):
    arguments(body, "main", "ramp")[0]["value"] = "{{steps.report.outputs.parameters.outcome}}"


def unknown_workflow_parameter(body):
    arguments(body, "main", "begin")[0]["value"] = "{{workflow.parameters.servce}}"


def unknown_workflow_variable(body):
    arguments(body, "main", "begin")[0]["value"] = "{{workflow.nmae}}"


def status_before_the_end(body):
    step(body, "main", "report")["when"] = "'{{workflow.status}}' == 'Failed'"


def unknown_variable(body):
    template(body, "promote")["container"]["args"].append("{{service}}")


def unknown_in_an_expression(body):
    template(body, "promote")["container"]["args"].append("{{=inputs.parameters['tokn'] + 'x'}}")


def item_without_a_loop(body):
    arguments(body, "main", "begin")[0]["value"] = "{{item}}"


def unknown_mutex_parameter(body):
    body["spec"]["synchronization"]["mutexes"][0]["name"] = "fairway-{{workflow.parameters.target}}"


def template_twice(body):
    body["spec"]["templates"].append(copy.deepcopy(template(body, "promote")))


def unknown_template(body):
    step(body, "ramp", "promote")["template"] = "promot"


def unknown_entrypoint(body):
    body["spec"]["entrypoint"] = "mian"


def unknown_exit_handler(body):
    body["spec"]["onExit"] = "ensure-saf"


def entrypoint_with_an_input(body):
    template(body, "main")["inputs"] = {"parameters": [{"name": "namespace"}]}


def unknown_hook(body):
    body["spec"]["hooks"] = {"running": {"template": "tell", "expression": "true"}}


def step_twice(body):
    template(body, "ramp")["steps"][1].append(copy.deepcopy(step(body, "ramp", "promote")))


def endless_recursion(body):
    del step(body, "ramp", "next")["when"]


def endless_recursion_over_two(body):
    del step(body, "ramp", "hold")["when"]
    del step(body, "hold", "again")["when"]


def default_out_of_enum(body):
    inputs = template(body, "rollback")["inputs"]["parameters"]
    next(p for p in inputs if p["name"] == "outcome")["default"] = "rolledback"


def workflow_value_out_of_enum(body):
    next(p for p in body["spec"]["arguments"]["parameters"] if p["name"] == "resume")["value"] = "yes"


def output_without_default(body):
    del template(body, "stage")["outputs"]["parameters"][3]["valueFrom"]["default"]


def no_command(body):
    del template(body, "promote")["container"]["command"]


def shell_line(body):
    template(body, "promote")["container"] |= {"command": ["/bin/sh", "-ec"], "args": ["fairway promote"]}


def shell_in_arguments(body):
    template(body, "promote")["container"] |= {"command": ["bash"], "args": ["-c", "fairway promote"]}


def script_with_values(body):
    promote = template(body, "promote")
    del promote["container"]
    promote["script"] = {"image": "x", "command": ["python"], "source": "print('{{inputs.parameters.token}}')"}


def undeclared_volume(body):
    template(body, "promote")["container"]["volumeMounts"][0]["name"] = "data"


def container_set_without_main(body):
    template(body, "stage")["containerSet"]["containers"][1]["name"] = "assess"


def unknown_dependency(body):
    template(body, "stage")["containerSet"]["containers"][1]["dependencies"] = ["set-weight"]


def two_kinds(body):
    template(body, "promote")["suspend"] = {}


def unknown_field(body):
    template(body, "promote")["container"]["argz"] = []


def wrong_type(body):
    body["spec"]["activeDeadlineSeconds"] = "soon"


BROKEN = [
    (misspelt_argument, "ramp", "step stage: argument 'stge' is not an input of template stage; did you mean 'stage'?"),
    (missing_argument, "ask", "step wait: template approve needs the input 'timeout', which is not given"),
    (argument_twice, "ramp", "step stage: argument 'stage' is given more than once"),
    (
        argument_out_of_enum,
        "hold",
        "step decline: argument 'outcome' is 'hold', which is not one of 'rolled-back', 'held'",
    ),
    (
        unknown_input,
        "promote",
        "{{inputs.parameters.tokn}} does not resolve: no input is called 'tokn'; did you mean 'token'?",
    ),
    (unknown_output, "ramp", "no output parameter of template stage is called 'verdikt'; did you mean 'verdict'?"),
    (unknown_step, "ramp", "there is no step stag before it; did you mean 'stage'?"),
    (step_of_the_same_group, "ramp", "step promote has not ended by then"),
    (later_step, "main", "step report has not ended by then"),
    (unknown_workflow_parameter, "main", "no parameter of the workflow is called 'servce'; did you mean 'service'?"),
    (unknown_workflow_variable, "main", "the workflow has no such variable"),
    (status_before_the_end, "main", "it is known only in an exit handler"),
    (unknown_variable, "promote", "{{service}} does not resolve: it stands for nothing here"),
    (unknown_in_an_expression, "promote", "no input is called 'tokn'; did you mean 'token'?"),
    (item_without_a_loop, "main", "{{item}} does not resolve: it stands for nothing here"),
    (unknown_mutex_parameter, "spec", "no parameter of the workflow is called 'target'"),
    (template_twice, "spec", "there is more than one template 'promote'; Argo runs one of them"),
    (unknown_template, "ramp", "step promote: there is no template 'promot' here; did you mean 'promote'?"),
    (unknown_entrypoint, "spec", "entrypoint 'mian' is not one of its templates; did you mean 'main'?"),
    (unknown_exit_handler, "spec", "onExit 'ensure-saf' is not one of its templates; did you mean 'ensure-safe'?"),
    (
        entrypoint_with_an_input,
        "spec",
        "entrypoint main needs the input 'namespace', which is not a parameter of the workflow",
    ),
    (unknown_hook, "spec", "hook running calls 'tell', which is not one of its templates"),
    (step_twice, "ramp", "there is more than one step 'promote'"),
    (endless_recursion, "spec", "template ramp → ramp calls itself without a `when` that could end it"),
    (endless_recursion_over_two, "spec", "template ramp → hold → ramp calls itself without a `when` that could end it"),
    (
        default_out_of_enum,
        "rollback",
        "input 'outcome' has the default 'rolledback', which is not one of 'rolled-back', 'held'",
    ),
    (workflow_value_out_of_enum, "spec", "parameter 'resume' has the value 'yes', which is not one of 'true', 'false'"),
    (output_without_default, "stage", "output 'verdict' has no valueFrom.default for when it is not written"),
    (no_command, "promote", "the container has no command"),
    (shell_line, "promote", "the container runs a shell line (sh -c)"),
    (shell_in_arguments, "promote", "the container runs a shell line (sh -c)"),
    (script_with_values, "promote", "its script has {{…}} in the source"),
    (undeclared_volume, "promote", "the container mounts the volume 'data', which is not declared"),
    (container_set_without_main, "stage", "it has outputs but no container 'main'"),
    (
        unknown_dependency,
        "stage",
        "container main depends on 'set-weight', which there is not; did you mean 'set-weights'?",
    ),
    (two_kinds, "promote", "it is container and suspend, and must be one of"),
    (unknown_field, "promote", "container.argz is not one that Argo knows"),
    (wrong_type, "WorkflowTemplate", "field spec.activeDeadlineSeconds is not as Argo has it"),
]


@pytest.mark.parametrize(("breaking", "where", "sentence"), BROKEN, ids=[breaking.__name__ for breaking, *_ in BROKEN])
def test_a_broken_template_is_found(breaking, where, sentence):
    body = copy.deepcopy(SOUND)
    breaking(body)
    assert [(name, told) for name, told in found(body) if name == where and sentence in told]


def workflow(kind="Workflow", **spec):
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "mine"}, "spec": spec}


LEAF = {
    "name": "leaf",
    "inputs": {"parameters": [{"name": "x"}]},
    "outputs": {"parameters": [{"name": "y", "valueFrom": {"path": "/y", "default": ""}}]},
    "container": {"image": "tool", "command": ["tool"], "args": ["{{inputs.parameters.x}}"]},
}


def task(name, value="1", **more):
    return {"name": name, "template": "leaf", "arguments": {"parameters": [{"name": "x", "value": value}]}, **more}


def dag(*tasks):
    return workflow(entrypoint="main", templates=[{"name": "main", "dag": {"tasks": list(tasks)}}, LEAF])


def test_a_task_may_use_only_what_it_depends_on():
    of_a = "{{tasks.a.outputs.parameters.y}}"
    assert found(dag(task("a"), task("b", of_a, dependencies=["a"]))) == []
    assert found(dag(task("a"), task("b", depends="a.Succeeded || a.Failed"), task("c", of_a, depends="(b)"))) == []
    assert found(dag(task("a"), task("b", of_a))) == [
        ("main", f"step b: {of_a} does not resolve: task a has not ended by then")
    ]
    assert found(dag(task("b", dependencies=["a"]))) == [("main", "step b: it depends on 'a', which there is not")]


def test_loops_have_items_and_inline_templates_are_left_alone():
    looping = task("a", "{{item.name}}", withParam='[{"name": 1}]')
    inline = {"name": "b", "inline": {"container": {"image": "tool", "command": ["tool"]}}}
    assert found(dag(looping, inline)) == []


def test_a_template_of_another_document_is_followed():
    library = workflow("WorkflowTemplate", templates=[LEAF])
    ref = {"name": "a", "templateRef": {"name": "mine", "template": "leaf"}}
    calling = workflow(entrypoint="main", templates=[{"name": "main", "steps": [[ref]]}])
    assert found(library, calling) == [("main", "step a: template leaf needs the input 'x', which is not given")]
    ref["templateRef"]["template"] = "laef"
    assert found(library, calling) == [("main", "step a: there is no template 'laef' of mine; did you mean 'leaf'?")]
    (note,) = check([document(calling)])
    assert note.note
    assert note.sentence == "step a calls mine/laef, which is not among these files"


def test_a_workflow_of_a_template_gives_only_what_that_takes():
    library = workflow("WorkflowTemplate", templates=[LEAF], arguments={"parameters": [{"name": "x", "value": "1"}]})
    using = workflow(workflowTemplateRef={"name": "mine"}, arguments={"parameters": [{"name": "z", "value": "1"}]})
    assert found(library, using) == [("spec", "argument 'z' is not a parameter of mine")]


def test_a_cron_workflow_is_checked_inside():
    spec = {"schedules": ["* * * * *"], "workflowSpec": {"entrypoint": "main", "templates": [LEAF]}}
    assert found(workflow("CronWorkflow", **spec)) == [("spec", "entrypoint 'main' is not one of its templates")]


def test_other_kinds_are_noted():
    (note,) = check([document({"kind": "ConfigMap"}, "x.yaml")])
    assert str(note) == "x.yaml: ConfigMap: note: not a kind that is checked here"


@pytest.mark.parametrize(
    "body", [{"kind": "Workflow"}, {"kind": "Workflow", "spec": 3}, {"kind": "Task", "spec": []}, {}]
)
def test_nonsense_is_found_and_breaks_nothing(body):
    assert check([document(body)])


def tekton(**changes):
    base = {
        "params": [{"name": "to", "type": "string"}],
        "results": [{"name": "sum"}],
        "steps": [
            {"name": "run", "image": "tool", "command": ["tool"], "args": ["$(params.to)", "$(results.sum.path)"]}
        ],
    }
    return {"apiVersion": "tekton.dev/v1", "kind": "Task", "metadata": {"name": "t"}, "spec": base | changes}


def one_step(**changes):
    return tekton(steps=[{"name": "run", "image": "tool", "command": ["tool"]} | changes])


TEKTON = [
    (
        one_step(args=["$(params.too)"]),
        "step run: $(params.too) does not resolve: 'too' is not declared in params; did you mean 'to'?",
    ),
    (one_step(args=['$(params["too"])']), "'too' is not declared in params"),
    (one_step(args=["$(results.sun.path)"]), "'sun' is not declared in results; did you mean 'sum'?"),
    (one_step(args=["$(step.results.sum.path)"]), "'sum' is not declared in results"),
    (one_step(args=["$(workspaces.data.path)"]), "'data' is not declared in workspaces"),
    (one_step(command=None), "step run: it has no command"),
    (one_step(command=["sh", "-c"], args=["x"]), "step run: it runs a shell line (sh -c)"),
    (
        one_step(command=None, script="echo $(params.to)"),
        "step run: its script has $(params…), where a value can become code",
    ),
    (one_step(volumeMounts=[{"name": "data", "mountPath": "/d"}]), "volume 'data' is mounted but not declared"),
    (tekton(params=[{"name": "to"}, {"name": "to"}]), "there is more than one param 'to'"),
    (
        tekton(params=[{"name": "to", "enum": ["a"], "default": "b"}]),
        "param 'to' has the default 'b', which is not one of a",
    ),
    (tekton(steps=[]), "it has no steps"),
]


def test_a_sound_task_has_no_findings():
    assert found(tekton()) == []


@pytest.mark.parametrize(("body", "sentence"), TEKTON, ids=[sentence[:40] for _, sentence in TEKTON])
def test_a_broken_task_is_found(body, sentence):
    assert [told for name, told in found(body) if name == "Task t" and sentence in told]


def test_a_step_action_has_results_of_its_own():
    spec = {"image": "tool", "command": ["tool"], "results": [{"name": "sum"}]}
    action = {"apiVersion": "tekton.dev/v1beta1", "kind": "StepAction", "metadata": {"name": "a"}, "spec": spec}
    spec["args"] = ["$(step.results.sum.path)"]
    assert found(action) == []
    spec["args"] = ["$(results.sum.path)"]
    assert found(action) == [
        ("StepAction a", "it: $(results.sum.path) does not resolve: 'sum' is not declared in results")
    ]


def cycle_of_tasks(*needed):
    body = {"name": "dag", "dag": {"tasks": []}}
    for name, depends in needed:
        task = {"name": name, "template": "leaf", "depends": depends}
        body["dag"]["tasks"].append(task)
    return [body]


BARE = {"name": "leaf", "container": {"image": "i", "command": ["true"]}}


def small(*templates, kind="WorkflowTemplate", **spec):
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "w"},
        "spec": {"entrypoint": "leaf", "templates": [BARE, *templates], **spec},
    }


def called_when(when):
    return {"name": "m", "steps": [[{"name": "s", "template": "leaf", "when": when}]]}


def set_of(**needs):
    inside = [{"name": n, "image": "i", "command": ["true"], "dependencies": d} for n, d in needs.items()]
    return {"name": "set", "containerSet": {"containers": inside}}


def retried(expression):
    return BARE | {"name": "again", "retryStrategy": {"limit": 1, "retryPolicy": "Always", "expression": expression}}


UNSOUND = [
    (small(*cycle_of_tasks(("a", "b"), ("b", "a"))), "dag", "a → b → a wait for one another"),
    (small(*cycle_of_tasks(("a", "a.Succeeded"))), "dag", "a → a wait for one another"),
    (small(set_of(main=["b"], b=["main"])), "set", "main → b → main wait for one another"),
    (
        small(BARE | {"name": "open", "container": {"image": "i", "command": ["{{workflow.name"]}}),
        "open",
        "does not close",
    ),
    (small(called_when("'{{workflow.name}}' = 'promote'")), "m", "invalid token '='"),
    (small(retried("lastRetry.exitCod == 75")), "again", "did you mean 'lastRetry.exitCode'"),
    (
        small(arguments={"parameters": [{"name": "p", "value": "1"}, {"name": "p", "value": "2"}]}),
        "spec",
        "more than once",
    ),
    (small(kind="Workflow", arguments={"parameters": [{"name": "p"}]}), "spec", "'p' has no value"),
]


@pytest.mark.parametrize(("body", "where", "said"), UNSOUND, ids=[said for _, _, said in UNSOUND])
def test_what_no_controller_would_get_through_is_found(body, where, said):
    assert [(at, said in sentence) for at, sentence in found(body)] == [(where, True)], found(body)


SOUND_ONES = [
    small(*cycle_of_tasks(("a", ""), ("b", "a.Succeeded"), ("c", "a && b"))),
    small(set_of(main=["b"], b=[])),
    small(called_when("'{{workflow.name}}' == 'promote' && {{workflow.priority}} > 3")),
    small(called_when("{{=workflow.name = 'x'}}")),
    small(retried("lastRetry.message contains 'lastRetry.exitCod' || asInt(lastRetry.exitCode) == 75")),
    small(kind="Workflow", arguments={"parameters": [{"name": "p", "value": ""}]}),
    small(arguments={"parameters": [{"name": "p"}]}),
]


@pytest.mark.parametrize("body", SOUND_ONES)
def test_what_they_get_through_is_not(body):
    assert found(body) == []
