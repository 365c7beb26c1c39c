"""Rendering: YAML that every reader takes alike, the tree of files, and the committed manifests being a fresh rendering.

Left out: what stands in the manifests (test_canary.py, test_tekton.py, test_rbac.py, test_check.py).
"""

import json
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fairway_steps.errors import UsageError
from fairway_workflows.argo import Images
from fairway_workflows.kustomize import FILES
from fairway_workflows.render import MARK, Rendering, dump, ordered, plain, render, stale

MANIFESTS = Path(__file__).parents[2] / "manifests"
MISREAD = [
    "1e3",
    "25921e05",
    "y",
    "Y",
    "n",
    "yes",
    "no",
    "on",
    "off",
    "On",
    "true",
    "True",
    "null",
    "Null",
    "NULL",
    "~",
    ".nan",
    ".NaN",
    ".inf",
    "-.inf",
    "0o7",
    "0x1F",
    "0b1",
    "0777",
    "1_000",
    "12:30:00",
    "190:20:30",
    "2001-01-01",
    "2001-12-14t21:59:43.10-05:00",
    ".5",
    "1.",
    "-1",
    "+1",
    "=",
    "<<",
    "-",
    "?",
    ":",
    "1e-3",
    "-2E+4",
    "0",
    "00",
    "1",
    "e5",
    "E5",
    "_1",
    "1_",
    ".1e1",
    "0.1.0",
    "1.2.3",
    "@60s",
    "10@60s",
    "60s",
    "1h",
    "500m",
    "96Mi",
    "nan",
    "NaN",
    "inf",
    "Infinity",
    "-x",
    "*x",
    "&x",
    "!x",
    "%x",
    "@x",
    "`x",
    "{{x}}",
    "[x]",
    "{x}",
    "a:b",
    "a:",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBER = re.compile(
    r"[-+]?(0[xob][0-9a-fA-F_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?|[0-9_]*\.?[0-9_]*([eE][-+]?[0-9]+)?|\.(inf|nan))",
    re.IGNORECASE,
)
"""What YAML 1.1 or 1.2, or Go's reader, takes for a number; wider than each of them."""
OTHER = frozenset(["y", "yes", "n", "no", "true", "false", "on", "off", "null", "~", "="])


def test_the_committed_manifests_are_a_fresh_rendering():
    assert [str(path) for path in stale(MANIFESTS)] == []


@pytest.mark.parametrize("text", MISREAD)
def test_what_a_reader_may_take_for_something_else_is_quoted(text):
    if text not in ("e5", "E5", "_1", "1_", "a:b"):
        assert not plain(text)
    assert yaml.safe_load(dump({"key": text})) == {"key": text}


@given(TEXT)
@example("25921e05")
@example("null")
def test_a_plain_string_is_no_number_no_word_and_no_syntax(text):
    if plain(text):
        assert not NUMBER.fullmatch(text)
        assert text.lower() not in OTHER
        assert text == text.strip()
        assert not set(text) & set(":#{}[],&*!|>'\"%@`\n\t\\") - {">"}
        assert not text.startswith((">", "-", "?"))


@given(TEXT)
@example("two\nlines\n")
@example("  leading\nlines")
@example("trailing \nlines")
@example("\n")
@example("a\n\n\nb")
@example("a\x85b\u2028c")
def test_every_string_comes_back_as_it_was(text):
    assert yaml.safe_load(dump({"key": text, "list": [text]})) == {"key": text, "list": [text]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXT, JSON, max_size=4))
@example({"\n\x850": None})
@example({"a\nb": "c\r\nd\u2028e\n"})
def test_every_mapping_comes_back_as_it_was_also_in_order(value):
    assert yaml.safe_load(dump(value)) == value
    assert ordered(value) == value


def test_the_form_is_for_readers():
    assert dump(
        {"name": "main", "about": "one: line\nand two", "list": ["ab", "1e3"], "long": "word " * 60 + "end"}
    ) == (f'{MARK}\nname: main\nabout: |-\n  one: line\n  and two\nlist:\n  - ab\n  - "1e3"\nlong: {"word " * 60}end\n')


def test_a_rendering_is_the_same_each_time():
    assert dict(Rendering().files()) == dict(Rendering().files())


def test_one_resource_a_file_but_for_the_rights():
    for name, text in Rendering().files():
        if name.endswith(FILES):
            continue
        kinds = [body["kind"] for body in yaml.safe_load_all(text)]
        assert len(kinds) == 1 or "rbac" in name, name


def test_images_are_where_they_are_said_to_be():
    images = set()
    for _, text in Rendering(Images("registry.example/fairway-", "9.9.9")).files():
        images |= set(re.findall(r"image: (.*)", text))
    assert images == {f'"registry.example/fairway-{kind}:9.9.9"' for kind in ("core", "assess", "loadtest")}


def test_rendering_writes_what_differs_and_removes_what_is_no_longer_made(tmp_path):
    assert len(render(tmp_path)) == len(list(Rendering().files()))
    assert render(tmp_path) == []
    changed, gone, old = (tmp_path / "argo" / name for name in ("canary-v1.yaml", "rbac.yaml", "canary-v0.yaml"))
    changed.write_text(changed.read_text() + "# changed\n")
    gone.unlink()
    old.write_text(f"{MARK}\nkind: WorkflowTemplate\n")
    assert stale(tmp_path) == [old, changed, gone]
    assert render(tmp_path) == [old, changed, gone]
    assert stale(tmp_path) == []
    assert not old.exists()


def test_files_of_others_stay(tmp_path):
    own = tmp_path / "argo" / "mine.yaml"
    own.parent.mkdir()
    own.write_text("kind: WorkflowTemplate\n")
    render(tmp_path)
    assert own.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "argo").write_text("in the way")
    with pytest.raises(UsageError, match=r"argo.* cannot be written: .*; name another --out"):
        render(tmp_path)


def test_templates_are_the_same_as_hera_built_them():
    from fairway_workflows.canary import build

    text = dict(Rendering().files())["argo/canary-v1.yaml"]
    assert yaml.safe_load(text) == json.loads(json.dumps(build().to_dict()))
