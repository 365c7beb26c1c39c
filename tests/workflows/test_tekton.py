"""Steps as Tekton Tasks and StepActions: params, results, arguments, and the rules of Tekton's catalog.

Left out: running them (there is no Tekton here); that all variables resolve (test_check.py runs the check over them).
"""

import re

import pytest

from fairway_workflows.argo import Images
from fairway_workflows.catalog import catalog, step_spec
from fairway_workflows.safety import Safety
from fairway_workflows.tekton import step_action, task

MADE = [(spec, make(spec, Images(), Safety())) for spec in catalog() for make in (task, step_action)]
IDS = [f"{made['kind']}-{spec.name}" for spec, made in MADE]


def step_of(made):
    return made["spec"]["steps"][0] if made["kind"] == "Task" else made["spec"]


def test_the_kinds_and_their_versions():
    made = {one["kind"]: one["apiVersion"] for _, one in MADE}
    assert made == {"Task": "tekton.dev/v1", "StepAction": "tekton.dev/v1beta1"}


@pytest.mark.parametrize(("spec", "made"), MADE, ids=IDS)
def test_params_and_results_are_those_of_the_command(spec, made):
    assert [(p["name"], p.get("default")) for p in made["spec"]["params"]] == [
        (param.name, None if param.required else param.default) for param in spec.inputs
    ]
    assert {p["type"] for p in made["spec"]["params"]} == {"string"}
    assert [(r["name"], r["type"]) for r in made["spec"]["results"]] == [(o.name, "string") for o in spec.outputs]


@pytest.mark.parametrize(("spec", "made"), MADE, ids=IDS)
def test_arguments_pass_every_param_and_write_every_result(spec, made):
    results = "results" if made["kind"] == "Task" else "step.results"
    step = step_of(made)
    assert step["command"] == ["fairway"]
    assert step["args"] == [
        spec.name,
        *[f"--{p.name}=$(params.{p.name})" for p in spec.inputs],
        *[f"--result={o.name}=$({results}.{o.name}.path)" for o in spec.outputs],
    ]


def test_a_task_takes_files_where_its_pod_has_none_of_its_own():
    offered = {
        made["metadata"]["name"]: made["spec"].get("workspaces", []) for _, made in MADE if made["kind"] == "Task"
    }
    assert {(one["name"], one["optional"]) for many in offered.values() for one in many} == {("files", True)}
    assert all(offered.values())


@pytest.mark.parametrize(("spec", "made"), MADE, ids=IDS)
def test_the_catalogs_rules_are_kept(spec, made):
    step, metadata = step_of(made), made["metadata"]
    assert "script" not in step
    assert step["securityContext"]["runAsNonRoot"] is True
    assert step["securityContext"]["readOnlyRootFilesystem"] is True
    assert step["securityContext"]["allowPrivilegeEscalation"] is False
    assert step["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert step["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", metadata["name"])
    assert metadata["labels"]["app.kubernetes.io/version"] == Safety().version
    for annotation in ("pipelines.minVersion", "displayName", "categories", "tags"):
        assert metadata["annotations"][f"tekton.dev/{annotation}"]


def test_a_task_may_write_where_it_works_and_a_step_action_brings_no_volume():
    made = task(step_spec("report"), Images(), Safety())["spec"]
    mounts = {mount["mountPath"]: mount["name"] for mount in made["steps"][0]["volumeMounts"]}
    assert mounts[made["steps"][0]["workingDir"]] in [volume["name"] for volume in made["volumes"]]
    assert "volumeMounts" not in step_action(step_spec("report"), Images(), Safety())["spec"]


def test_choices_are_told():
    made = task(step_spec("rollback"), Images(), Safety())
    described = {param["name"]: param["description"] for param in made["spec"]["params"]}
    assert described["outcome"].endswith("One of rolled-back, held.")
