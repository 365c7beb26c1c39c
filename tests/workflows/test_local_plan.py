"""What is refused before anything runs: unknown fields by name, and whatever could not be run; and what is ignored, with reasons.

The real rendered canaries are read here, too. Left out: Argo's own schema, which ``fairway check`` is for.
"""

import copy

import pytest

from fairway_steps.config import Approval
from fairway_steps.errors import UsageError
from fairway_workflows.canary import CanaryOptions, build
from fairway_workflows.local import IGNORED, refuse_unknown
from fairway_workflows.local.plan import read
from local_runs import SCENARIOS, python, scenario, workflow


def steps(*groups, name="main", **more):
    return {"name": name, "steps": [list(group) for group in groups], **more}


def call(name, template="leaf", **more):
    return {"name": name, "template": template, **more}


LEAF = python("pass", name="leaf")


def put(document, path, value):
    """A copy of the document with one field set, by path."""
    changed = copy.deepcopy(document)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


UNKNOWN = [
    (("spec", "hooks"), {"x": {}}, "'hooks'"),
    (("spec", "hooks"), {"x": {"template": "leaf"}}, "workflow 'test' uses field 'hooks'"),
    (("spec", "parallelism"), 1, "'parallelism'"),
    (("spec", "templateDefaults"), {"timeout": "1m"}, "'templateDefaults'"),
    (("spec", "workflowTemplateRef"), {"name": "x"}, "'workflowTemplateRef'"),
    (("spec", "synchronization"), {"semaphores": [{}]}, "'synchronization.semaphores'"),
    (("spec", "volumes"), [{"name": "v", "configMap": {"name": "x"}}], "'volumes.configMap'"),
    (("spec", "templates", 1, "sidecars"), [{}], "'sidecars'"),
    (("spec", "templates", 1, "memoize"), {"key": "k"}, "'memoize'"),
    (("spec", "templates", 1, "inputs"), {"artifacts": [{"name": "a"}]}, "'inputs.artifacts'"),
    (("spec", "templates", 1, "container", "envFrom"), [{}], "'container.envFrom'"),
    (("spec", "templates", 1, "container", "workingDir"), "/x", "'container.workingDir'"),
    (
        ("spec", "templates", 1, "container", "env"),
        [{"name": "A", "valueFrom": {"secretKeyRef": {}}}],
        "'container.env.valueFrom'",
    ),
    (("spec", "templates", 0, "steps", 0, 0, "withItems"), [1], "template 'main' uses field 'steps.withItems'"),
    (("spec", "templates", 0, "steps", 0, 0, "templateRef"), {"name": "x"}, "'steps.templateRef'"),
    (("spec", "templates", 0, "steps", 0, 0, "hooks"), {"exit": {"template": "leaf"}}, "'steps.hooks'"),
    (
        ("spec", "templates", 1, "outputs"),
        {"parameters": [{"name": "o", "valueFrom": {"expression": "1"}}]},
        "'outputs.parameters.valueFrom.expression'",
    ),
    (
        ("spec", "templates", 1, "outputs"),
        {"parameters": [{"name": "o", "globalName": "g", "valueFrom": {"path": "/o"}}]},
        "'outputs.parameters.globalName'",
    ),
]


@pytest.mark.parametrize(("path", "value", "said"), UNKNOWN, ids=[".".join(map(str, path)) for path, *_ in UNKNOWN])
def test_an_unknown_field_is_refused_by_its_name(path, value, said):
    document = put(workflow(steps([call("a")]), LEAF), path, value)
    with pytest.raises(UsageError) as refused:
        refuse_unknown(document)
    assert said in str(refused.value)
    assert "submit it to Argo instead" in str(refused.value)


@pytest.mark.parametrize("kind", ["dag", "script", "resource", "http", "plugin", "data"])
def test_an_unknown_kind_of_template_is_refused_by_its_name(kind):
    with pytest.raises(UsageError, match=f"template 'ramp' uses field '{kind}', which the local runner does not know"):
        refuse_unknown(workflow({"name": "ramp", kind: {"tasks": [{"name": "a"}]}}, entrypoint="ramp"))


def test_fields_without_meaning_on_one_machine_are_ignored_for_a_reason():
    assert all(reason for reason in IGNORED.values())
    document = workflow(
        steps([call("a")]),
        LEAF
        | {
            "metadata": {"labels": {"a": "{{pod.name}}"}},
            "securityContext": {"runAsNonRoot": True},
            "nodeSelector": {"a": "b"},
        },
        serviceAccountName="x",
        podGC={"strategy": "OnPodSuccess"},
        ttlStrategy={"secondsAfterSuccess": 1},
        archiveLogs=True,
    )
    read(document, {})


def test_an_empty_field_asks_for_nothing():
    read(workflow(steps([call("a", withItems=[], hooks={})]), LEAF | {"sidecars": [], "daemon": None}), {})


BROKEN = [
    ("entrypoint", workflow(LEAF), "entrypoint 'main' is not a template"),
    ("no entrypoint", workflow(LEAF, entrypoint=""), "entrypoint '' is not a template"),
    ("on exit", workflow(python("pass"), onExit="safe"), "onExit 'safe' is not a template"),
    ("two of a name", workflow(python("pass"), python("pass")), "two templates have the same name"),
    ("step of nothing", workflow(steps([call("a", "lost")]), LEAF), "step 'a' calls 'lost', which is no template"),
    ("two steps of a name", workflow(steps([call("a")], [call("a")]), LEAF), "two steps called 'a'"),
    ("no template type", workflow({"name": "main"}), "has none of container"),
    ("two template types", workflow(python("pass", suspend={})), "container and suspend"),
    (
        "missing argument",
        workflow(steps([call("a")]), LEAF | {"inputs": {"parameters": [{"name": "x"}]}}),
        "step 'a' needs the parameter 'x'",
    ),
    (
        "entry's argument",
        workflow(python("pass", inputs={"parameters": [{"name": "x"}]})),
        "entrypoint 'main' needs the parameter 'x'",
    ),
    ("unknown input", workflow(python("{{inputs.parameters.x}}")), "refers to {{inputs.parameters.x}}"),
    ("unknown parameter", workflow(python("{{workflow.parameters.x}}")), "refers to {{workflow.parameters.x}}"),
    ("expression tag", workflow(python("{{=1 + 1}}")), "refers to {{=1 + 1}}"),
    ("retries without retry", workflow(python("{{retries}}")), "refers to {{retries}}"),
    (
        "a later step",
        workflow(steps([call("a", when="{{steps.b.status}} == x")], [call("b")]), LEAF),
        "refers to {{steps.b.status}}",
    ),
    (
        "an output nobody has",
        workflow(steps([call("a")], [call("b", when="'{{steps.a.outputs.parameters.x}}' == y")]), LEAF),
        "refers to {{steps.a.outputs.parameters.x}}",
    ),
    (
        "the end of a daemon",
        workflow(steps([call("a")], [call("b", when="{{steps.a.status}} == Failed")]), LEAF | {"daemon": True}),
        "refers to {{steps.a.status}}",
    ),
    (
        "a daemon again and again",
        workflow(steps([call("a")]), LEAF | {"daemon": True, "retryStrategy": {"limit": 2}}),
        "is a daemon that is to be repeated",
    ),
    (
        "a daemon that waits",
        workflow({"name": "main", "suspend": {"duration": "1s"}, "daemon": True}),
        "has daemon, which Argo takes only where there is a container",
    ),
    ("a when we cannot read", workflow(steps([call("a", when="a =~ b")]), LEAF), "step 'a': when:"),
    ("no command", workflow({"name": "main", "container": {"args": ["x"]}}), "has no command"),
    (
        "command as text",
        workflow({"name": "main", "container": {"command": "python3 -c pass"}}),
        "command and args are lists",
    ),
    (
        "missing program",
        workflow({"name": "main", "container": {"command": ["no-such-program"]}}),
        "runs 'no-such-program', which is not on this machine",
    ),
    (
        "output without path",
        workflow(python("pass", outputs={"parameters": [{"name": "o", "valueFrom": {"default": "x"}}]})),
        "needs a valueFrom.path",
    ),
    (
        "undeclared volume",
        workflow(
            {"name": "main", "container": {"command": ["python3"], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}}
        ),
        "mounts volume 'v', which nobody declares",
    ),
    (
        "relative mount",
        workflow(
            {"name": "main", "container": {"command": ["python3"], "volumeMounts": [{"name": "v", "mountPath": "v"}]}},
            volumes=[{"name": "v", "emptyDir": {}}],
        ),
        "not a fixed absolute path",
    ),
    (
        "retry policy",
        workflow(python("pass", retryStrategy={"retryPolicy": "OnTransientError"})),
        "retryPolicy 'OnTransientError'",
    ),
    ("retry expression", workflow(python("pass", retryStrategy={"expression": "lastTry == 1"})), "names 'lastTry'"),
    ("backoff without duration", workflow(python("pass", retryStrategy={"backoff": {"factor": 2}})), "has no duration"),
    ("timeout without unit", workflow(python("pass", timeout="30")), "needs a unit"),
    ("timeout of steps", workflow(steps([call("a")], timeout="30s"), LEAF), "where there is a container"),
    (
        "suspend of nonsense",
        workflow({"name": "main", "suspend": {"duration": "soon"}}),
        "suspend: 'soon' is not a duration",
    ),
    ("nothing at all", {}, "no spec.templates"),
    (
        "malformed",
        {"spec": {"entrypoint": "a", "templates": [{"container": {"command": ["true"]}}]}},
        "not a workflow as Argo would take it",
    ),
    ("malformed steps", workflow({"name": "main", "steps": ["a"]}), "not a mapping"),
    (
        "mutex of nothing",
        workflow(python("pass"), synchronization={"mutexes": [{"name": "{{workflow.parameters.x}}"}]}),
        "synchronization refers to",
    ),
]


@pytest.mark.parametrize(("document", "said"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_what_could_not_be_run_is_refused(document, said):
    with pytest.raises(UsageError) as refused:
        read(document, {})
    assert said in str(refused.value)


def containers(*those, **more):
    return workflow({"name": "main", "containerSet": {"containers": list(those)}, **more})


def container(name, *dependencies):
    return {"name": name, "command": ["python3"], "dependencies": list(dependencies)}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (containers(), "need names"),
        (containers(container("a"), container("a")), "need names"),
        (containers(container("a", "b")), "dependency 'b' is not one of its containers"),
        (containers(container("a", "b"), container("b", "a")), "in a circle"),
        (
            containers(container("a"), outputs={"parameters": [{"name": "o", "valueFrom": {"path": "/o"}}]}),
            "no container 'main'",
        ),
    ],
)
def test_a_container_set_must_be_one_that_can_end(document, said):
    with pytest.raises(UsageError, match=said):
        read(document, {})


PARAMETERS = {
    "parameters": [
        {"name": "service"},
        {"name": "count", "value": 3},
        {"name": "mode", "value": "a", "enum": ["a", "b"]},
    ]
}


def test_parameters_are_texts_as_argo_has_them():
    plan = read(workflow(python("pass"), arguments=PARAMETERS), {"service": "iris", "mode": "b"})
    assert plan.parameters == {"service": "iris", "count": "3", "mode": "b"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "parameter 'service' has no value"),
        ({"service": "x", "servise": "y"}, "no parameter 'servise'; it has count, mode, service"),
        ({"service": "x", "mode": "c"}, "parameter 'mode' is 'c'; use a, b"),
    ],
)
def test_arguments_must_fit(arguments, said):
    with pytest.raises(UsageError, match=said):
        read(workflow(python("pass"), arguments=PARAMETERS), arguments)


@pytest.mark.parametrize("name", sorted(path.stem for path in SCENARIOS.glob("*.yaml")))
def test_every_scenario_can_be_read(name):
    assert read(scenario(name), {}).entrypoint == "main"


@pytest.mark.parametrize("load_test", ["no", "beside"])
@pytest.mark.parametrize("granularity", ["stage", "release"])
@pytest.mark.parametrize("approval", list(Approval))
def test_every_rendered_canary_can_be_read(approval, granularity, load_test):
    document = build(CanaryOptions(approval=approval, granularity=granularity, load_test=load_test)).to_dict()
    wanted = [p["name"] for p in document["spec"]["arguments"]["parameters"] if p.get("value") is None]
    plan = read(document, dict.fromkeys(wanted, "x"))
    assert plan.on_exit
    assert plan.mutexes
