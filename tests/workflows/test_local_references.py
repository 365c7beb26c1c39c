"""Filling in references in the passes that Argo makes. Left out: ``{{=…}}``, which is refused before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_workflows.local.model import TemplateError
from fairway_workflows.local.references import bind, substitute, tags, text

NAMES = st.text(alphabet="abc.-", min_size=1, max_size=8)
VALUES = st.text(alphabet="xyz{} \n\"'", max_size=8)


@given(NAMES, VALUES)
def test_a_known_reference_is_replaced_wherever_it_stands(name, value):
    given_value = {"a": [f"<{{{{{name}}}}}>", {"b": f"{{{{ {name} }}}}"}], "n": 1}
    assert substitute(given_value, {name: value}) == {"a": [f"<{value}>", {"b": value}], "n": 1}


@given(NAMES)
def test_an_unknown_reference_stays_as_it_is(name):
    assert substitute(f"{{{{{name}}}}}", {}) == f"{{{{{name}}}}}"


def test_every_reference_is_found():
    section = {"a": "{{x}} and {{ y.z }}", "b": ["{{x}}", {"c": 3}], "d": "{{ unended"}
    assert sorted(tags(section)) == ["x", "x", "y.z"]


@pytest.mark.parametrize(("value", "as_text"), [("x", "x"), (3, "3"), (True, "true"), (0.5, "0.5"), ("true", "true")])
def test_values_become_texts(value, as_text):
    assert text(value) == as_text


TEMPLATE = {
    "name": "t",
    "inputs": {"parameters": [{"name": "a"}, {"name": "b", "default": "{{workflow.name}}-b"}]},
    "container": {"args": ["{{inputs.parameters.a}}", "{{inputs.parameters.b}}", "{{steps.x.status}}"]},
}
KNOWN = {"workflow.name": "w", "workflow.parameters.p": "P"}


def test_arguments_win_over_defaults_and_globals_are_filled_first():
    bound, inputs = bind(TEMPLATE, {"a": "{{workflow.parameters.p}}", "unasked": "x"}, KNOWN)
    assert inputs == {"inputs.parameters.a": "P", "inputs.parameters.b": "w-b"}
    assert bound["container"]["args"] == ["P", "w-b", "{{steps.x.status}}"]


def test_an_input_that_names_another_is_filled_in_the_pod():
    bound, _ = bind(TEMPLATE, {"a": "{{inputs.parameters.b}}"}, KNOWN)
    assert bound["container"]["args"][0] == "w-b"


def test_an_input_without_a_value_is_an_error():
    with pytest.raises(TemplateError, match=r"inputs\.parameters\.a had no value"):
        bind(TEMPLATE, {}, KNOWN)
