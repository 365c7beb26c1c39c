"""What every template and workflow carries: the restricted standard, rights, limits, retries, the exit handler.

Left out: that a cluster enforces it; the differential test runs the rendered workflows on a real controller.
"""

import pytest
from hera.workflows import Container, Parameter, Step, Steps, Suspend, WorkflowTemplate
from hera.workflows.models import EmptyDirVolumeSource, ResourceRequirements, Volume, VolumeMount

from fairway_steps.config.release import stages_from
from fairway_steps.errors import UsageError
from fairway_workflows.argo import Images
from fairway_workflows.canary import CanaryOptions, build
from fairway_workflows.library import library
from fairway_workflows.local.expressions import evaluate_retry
from fairway_workflows.local.retry import seconds
from fairway_workflows.safety import RETRY, RETRY_SET, TIMEOUTS, Safety, secured

ALL = [
    build(CanaryOptions(load_test="beside")).to_dict(),
    build(CanaryOptions(granularity="release", cluster_scope=True)).to_dict(),
    library(Images(), Safety()).to_dict(),
]
PODS = [
    (one["metadata"]["name"], template)
    for one in ALL
    for template in one["spec"]["templates"]
    if "container" in template or "containerSet" in template
]
IDS = [f"{workflow}-{template['name']}" for workflow, template in PODS]


def containers(template):
    return [template["container"]] if "container" in template else template["containerSet"]["containers"]


def rewritten(*templates, **attributes):
    workflow = WorkflowTemplate(name="mine", entrypoint="main", templates=list(templates), **attributes)
    return secured(workflow, Safety(), on_exit=templates[0]).to_dict()["spec"]


@pytest.mark.parametrize(("name", "template"), PODS, ids=IDS)
def test_a_pod_meets_the_restricted_standard(name, template):
    pod = template["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] == 65532
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(template):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize(("name", "template"), PODS, ids=IDS)
def test_a_pod_is_bounded_in_time_and_resources_and_writes_only_to_its_own_folders(name, template):
    assert 0 < seconds(template["timeout"]) < ALL[0]["spec"]["activeDeadlineSeconds"]
    assert not template["timeout"].isdigit()  # Argo refuses a timeout without a unit
    assert {volume["name"] for volume in template["volumes"] if volume["emptyDir"] == {}} == {"fairway", "tmp"}
    for container in containers(template):
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/fairway", "/tmp"}
        assert set(container["resources"]) == {"requests", "limits"}


@pytest.mark.parametrize(("name", "template"), PODS, ids=IDS)
def test_a_pod_is_labelled_and_out_of_the_mesh(name, template):
    assert template["metadata"]["annotations"] == {"sidecar.istio.io/inject": "false"}
    assert template["metadata"]["labels"] == {
        "app.kubernetes.io/name": template["name"],
        "app.kubernetes.io/version": Safety().version,
        "app.kubernetes.io/part-of": "fairway",
        "app.kubernetes.io/managed-by": "fairway",
    }


def test_a_load_test_is_never_repeated_silently_and_has_no_rights():
    for _, template in PODS:
        if template["name"] == "load-test":
            assert "retryStrategy" not in template
            assert template["serviceAccountName"] == "fairway-reporter"
        elif template.get("daemon"):
            assert "retryStrategy" not in template, "it ends with what it stands beside"
        else:
            assert template["retryStrategy"]["limit"] == "3"
            assert template["retryStrategy"]["retryPolicy"] == "Always"
            assert template["retryStrategy"]["backoff"] == {"duration": "5s", "factor": "2", "cap": "1m"}
    accounts = {template["name"]: template["serviceAccountName"] for _, template in PODS}
    assert accounts["set-weights"] == accounts["stage"] == "fairway-releaser"


@pytest.mark.parametrize(
    ("expression", "code", "status", "message", "again"),
    [
        (RETRY, "75", "Failed", "main: Error (exit code 75)", True),
        (RETRY, "1", "Failed", "main: Error (exit code 1)", False),
        (RETRY, "2", "Failed", "main: Error (exit code 2)", False),
        (RETRY, "143", "Failed", "main: Error (exit code 143)", False),
        (RETRY, "137", "Failed", "main: OOMKilled (exit code 137)", True),
        (RETRY, "-1", "Error", "pod deleted", True),
        (
            RETRY_SET,
            "64",
            "Failed",
            'main: Error (exit code 64): dependency "set-weights" exited with non-zero code: 75',
            True,
        ),
        (
            RETRY_SET,
            "64",
            "Failed",
            'main: Error (exit code 64): dependency "set-weights" exited with non-zero code: 1',
            False,
        ),
        (
            RETRY_SET,
            "64",
            "Failed",
            'main: Error (exit code 64): dependency "set-weights" exited with non-zero code: 137',
            True,
        ),
        (RETRY_SET, "64", "Failed", "begin: Error (exit code 75): ", True),
        (RETRY_SET, "64", "Failed", "begin: OOMKilled (exit code 137): ", True),
        (RETRY_SET, "64", "Failed", "begin: Error (exit code 1): ", False),
        (RETRY_SET, "75", "Failed", "main: Error (exit code 75)", True),
        (RETRY_SET, "1", "Failed", "main: Error (exit code 1)", False),
    ],
)
def test_only_what_may_go_better_is_tried_again(expression, code, status, message, again):
    known = {"lastRetry.exitCode": code, "lastRetry.status": status, "lastRetry.message": message}
    assert evaluate_retry(expression, known) is again


def test_the_pod_of_two_containers_is_retried_by_what_its_message_tells():
    stage = next(template for _, template in PODS if template["name"] == "stage")
    assert stage["retryStrategy"]["expression"] == RETRY_SET


@pytest.mark.parametrize("step", ["assess", "ramp"])
def test_what_looks_at_stages_has_more_time_than_the_longest_that_are_accepted(step):
    (longest,) = stages_from("20@672h", "--stages")
    assert longest.duration < seconds(TIMEOUTS[step]) < Safety().deadline
    with pytest.raises(UsageError, match="last longer than 28 days in all"):
        stages_from("20@600h,50@73h", "--stages")


def test_a_workflow_has_an_exit_handler_a_deadline_a_mutex_and_clears_up():
    spec = ALL[0]["spec"]
    assert spec["onExit"] in [template["name"] for template in spec["templates"]]
    assert spec["activeDeadlineSeconds"] == 30 * 86_400
    assert spec["ttlStrategy"]["secondsAfterFailure"] > spec["ttlStrategy"]["secondsAfterSuccess"]
    assert spec["podGC"] == {"strategy": "OnPodSuccess"}
    assert spec["synchronization"]["mutexes"] == [
        {"name": "fairway-{{workflow.namespace}}-{{workflow.parameters.service}}"}
    ]


def test_a_library_has_only_templates():
    assert set(ALL[2]["spec"]) == {"templates", "serviceAccountName"}


def test_templates_of_others_are_hardened_too():
    handler = Container(name="main", image="tool:1", command=["tool"])
    (template,) = [t for t in rewritten(handler)["templates"] if t["name"] == "main"][:1]
    assert template["container"]["securityContext"]["readOnlyRootFilesystem"] is True
    assert template["serviceAccountName"] == "fairway-reporter"
    assert template["timeout"] == "30m"


def test_what_a_template_has_set_is_kept():
    resources = ResourceRequirements.model_validate({"requests": {"cpu": "2"}})
    own = Container(
        name="main",
        image="tool:1",
        command=["tool"],
        timeout="3m",
        service_account_name="mine",
        resources=resources,
        annotations={"sidecar.istio.io/inject": "true"},
        labels={"team": "a"},
        volumes=[Volume(name="data", empty_dir=EmptyDirVolumeSource())],
        volume_mounts=[VolumeMount(name="data", mount_path="/tmp")],
    )
    template = rewritten(own, active_deadline_seconds=60)["templates"][0]
    assert template["timeout"] == "3m"
    assert template["serviceAccountName"] == "mine"
    assert template["container"]["resources"] == {"requests": {"cpu": "2"}}
    assert template["metadata"]["annotations"] == {"sidecar.istio.io/inject": "true"}
    assert template["metadata"]["labels"]["team"] == "a"
    assert [m["mountPath"] for m in template["container"]["volumeMounts"]] == ["/tmp", "/fairway"]


def test_steps_and_suspends_stay_as_they_are():
    asked = Suspend(name="ask", inputs=[Parameter(name="x", default="1")])
    main = Steps(name="main", sub_steps=[[Step(name="ask", template="ask")]])
    workflow = WorkflowTemplate(name="mine", entrypoint="main", templates=[main, asked])
    templates = secured(workflow, Safety()).to_dict()["spec"]["templates"]
    assert templates[0] == {"name": "main", "steps": [[{"name": "ask", "template": "ask"}]]}
    assert set(templates[1]) == {"name", "inputs", "suspend"}
