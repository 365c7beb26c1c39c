"""Covers: a user's template: its values, mistakes in one sentence, the sandbox, the bound on its output.

Leaves out: a template that computes for long without writing: it is the user's own.
"""

import pytest

from fairway_steps.errors import UsageError
from fairway_steps.notify.template import LONGEST, render

VALUES = {"outcome": "promoted", "failed": {"v2": {"http-500": 3}}, "message": "fine"}


def test_a_template_speaks_of_the_release():
    text = "{{ outcome | upper }}: {{ message }}{% for v, by in failed.items() %} {{ v }} {{ by['http-500'] }}{% endfor %}\n"
    assert render(text, VALUES, "t.j2") == "PROMOTED: fine v2 3"


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (
            "{{ outcom }}",
            "template t.j2 cannot be rendered: 'outcom' is undefined; it may use failed, message, outcome",
        ),
        ("x\n{% if %}", "template t.j2 has a mistake in line 2"),
        ("{{ outcome.__class__.__mro__ }}", "template t.j2 cannot be rendered: access to attribute"),
        ("{{ 1 / 0 }}", "template t.j2 cannot be rendered: division by zero"),
        ("{% include 'x' %}", "template t.j2 cannot be rendered"),
        ("{% for i in range(99999) %}xxxxxxxxxx{% endfor %}", "template t.j2 writes more than 10,000 characters"),
        ("{% for i in range(10 ** 9) %}x{% endfor %}", "template t.j2 cannot be rendered: Range too big"),
    ],
)
def test_a_mistake_is_one_sentence(template, sentence):
    with pytest.raises(UsageError) as caught:
        render(template, VALUES, "t.j2")
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_text_up_to_the_bound_passes():
    assert len(render("x" * LONGEST, VALUES, "t.j2")) == LONGEST
