"""Steps as Argo templates: inputs, arguments, outputs; and that a value reaches the command as it is, whatever is in it.

Left out: what safety adds (test_safety.py), how templates call one another (test_canary.py).
"""

import json
from importlib import metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.outputs import Output
from fairway_workflows.argo import Images, container
from fairway_workflows.catalog import Param, StepSpec, catalog, step_spec
from fairway_workflows.safety import built

SPEC = StepSpec(
    name="weigh",
    summary="Weigh.",
    description="Weigh.",
    params=(
        Param("service", "text", "What clients call.", required=True),
        Param("mode", "choice", "Which.", choices=("a", "b")),
        Param("loud", "true|false", "Say more.", default="false", choices=("true", "false")),
        Param("header", "text", "Sent along.", multiple=True),
    ),
    outputs=(Output("weights", "{}", "The weights."),),
    image="assess",
    cluster=True,
    mutates=False,
    example="fairway weigh",
)


def template(spec: StepSpec, images: Images | None = None):
    (one,) = built([container(spec, images or Images())])
    return one.model_dump(exclude_none=True, by_alias=True)


def test_a_step_becomes_a_container_with_a_command_and_a_list_of_arguments():
    assert template(SPEC, Images("registry.example/x-", "1.2.3")) == {
        "name": "weigh",
        "inputs": {
            "parameters": [
                {"name": "service", "description": "What clients call."},
                {"name": "mode", "default": "", "description": "Which.", "enum": ["", "a", "b"]},
                {"name": "loud", "default": "false", "description": "Say more.", "enum": ["true", "false"]},
            ]
        },
        "outputs": {
            "parameters": [
                {
                    "name": "weights",
                    "description": "The weights.",
                    "valueFrom": {"path": "/fairway/out/weights", "default": "{}"},
                }
            ]
        },
        "container": {
            "image": "registry.example/x-assess:1.2.3",
            "command": ["fairway"],
            "args": [
                "weigh",
                "--service={{inputs.parameters.service}}",
                "--mode={{inputs.parameters.mode}}",
                "--loud={{inputs.parameters.loud}}",
                "--out-dir=/fairway/out",
            ],
        },
    }


def test_the_tag_is_the_version_of_the_program():
    assert Images().of("core") == f"fairway-core:{metadata.version('fairway')}"


def test_a_report_goes_where_a_pod_may_write():
    inputs = {one["name"]: one for one in template(step_spec("report"))["inputs"]["parameters"]}
    assert inputs["out"]["default"] == "/fairway/report.html"


@pytest.mark.parametrize("spec", catalog(), ids=lambda spec: spec.name)
def test_every_input_is_an_argument_and_every_output_a_file_with_its_safe_value(spec):
    made = template(spec)
    names = [param.name for param in spec.params if not param.multiple]
    assert [one["name"] for one in made["inputs"]["parameters"]] == names
    assert made["container"]["args"][1:-1] == [f"--{name}={{{{inputs.parameters.{name}}}}}" for name in names]
    outputs = {one["name"]: one["valueFrom"] for one in made["outputs"]["parameters"]}
    assert outputs == {o.name: {"path": f"/fairway/out/{o.name}", "default": o.default} for o in spec.outputs}


def test_a_missing_verdict_never_promotes():
    for name in ("assess", "ramp"):
        verdict = next(o for o in template(step_spec(name))["outputs"]["parameters"] if o["name"] == "verdict")
        assert verdict["valueFrom"]["default"] == "hold"


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
        lambda t: "{{" not in t
    )
)
def test_no_value_becomes_code_or_another_argument(value):
    args = template(step_spec("rollback"))["container"]["args"]
    quoted = json.dumps(value)[1:-1]  # as Argo substitutes: inside of the JSON text of the template
    filled = json.loads(json.dumps(args).replace("{{inputs.parameters.reason}}", quoted))
    assert f"--reason={value}" in filled
    assert len(filled) == len(args)
