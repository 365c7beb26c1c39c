"""Covers: the reference is what the code says; every command the README and the pages show exists, with options that exist; the
README's test command is CI's; every link within the docs leads somewhere; the release file shown loads.

Leaves out: the tutorial's commands end to end (tests/e2e/test_steps.py).
"""

import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from fairway_steps.cli import fairway
from fairway_steps.config import parse_objectives, parse_release, parse_stages, release_schema
from fairway_steps.config.fields import RulesItem
from fairway_steps.metrics.registry import Around, open_source
from fairway_steps.schedule import collectors
from fairway_steps.secrets import Secret
from fairway_steps.workload.lookup import lookup
from fairway_steps.workload.place import place
from fakes_cluster import FakeCluster

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
CONTEXT = click.Context(fairway, info_name="fairway")


def blocks(page: Path, language: str = "") -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [text for named, text in fenced if named == language]


def commands(page: Path) -> list[str]:
    lines = [line for block in blocks(page) for line in block.replace("\\\n", " ").splitlines()]
    return [line.partition(" #")[0].strip().removesuffix("&") for line in lines if line.startswith("fairway ")]


def test_the_reference_is_up_to_date():
    # In a process of its own, as `make golden` is: a command keeps the help option of the first context that asked it.
    fresh = "import runpy; print(runpy.run_path('docs/reference.py')['render'](), end='')"
    done = subprocess.run([sys.executable, "-c", fresh], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (ROOT / "docs" / "reference.md").read_text() == done.stdout, "run `make golden`"


def test_the_page_of_presets_is_up_to_date():
    spec = importlib.util.spec_from_file_location("presets", ROOT / "docs" / "presets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "presets.md").read_text() == module.render(), "run `make golden`"


@pytest.mark.parametrize("text", blocks(ROOT / "docs" / "metrics.md", "yaml"))
def test_every_source_of_the_page_opens(text):
    around = Around(resolve=lambda where, reference: Secret("x", reference))
    open_source(text, "iris", around)


SHOWN = [(page.name, line) for page in PAGES if page.name != "reference.md" for line in commands(page)]


@pytest.mark.parametrize(("page", "line"), SHOWN)
def test_every_command_shown_exists_with_its_options(page, line):
    _, name, *rest = shlex.split(re.sub(r"[<>|].*", "", line))
    command = fairway.get_command(CONTEXT, name)
    assert command is not None, f"{page} shows {line}"
    known = {opt for parameter in command.params for opt in parameter.opts} | {"--help"}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known


def test_enough_is_shown():
    assert len(SHOWN) >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_the_schema_for_editors_is_up_to_date():
    stored = json.loads((ROOT / "examples" / "release.schema.json").read_text())
    assert stored == release_schema(), "run `make golden`"


def test_the_examples_of_a_release_on_argo_say_the_same_and_name_parameters_of_the_template():
    file = yaml.safe_load((ROOT / "examples" / "canary-parameters.yaml").read_text())
    workflow = yaml.safe_load((ROOT / "examples" / "canary-workflow.yaml").read_text())
    applied = {each["name"]: each["value"] for each in workflow["spec"]["arguments"]["parameters"]}
    assert file.items() <= applied.items()
    assert applied.keys() - file.keys() == {"primary", "candidate"}
    template = yaml.safe_load((ROOT / "manifests" / "argo" / "canary-v1.yaml").read_text())
    assert applied.keys() <= {each["name"] for each in template["spec"]["arguments"]["parameters"]}
    assert len(parse_objectives(applied["slos"]).slos) == 2
    around = Around(resolve=lambda where, reference: Secret("x", reference))
    open_source(applied["metrics"], "digits", around)


def test_the_example_of_a_collector_names_its_options_and_is_where_the_stage_says():
    deployment, service = yaml.safe_load_all((ROOT / "examples" / "collector.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["fairway"]
    name, *args = container["args"]
    given = fairway.get_command(CONTEXT, name).make_context(name, args).params
    (stage,) = parse_stages("mirror:50:service/team/collector?port=8090@5m")
    at = place(lookup(FakeCluster(), *collectors([stage])))
    assert (at.service, at.ref.namespace) == (service["metadata"]["name"], service["metadata"]["namespace"])
    assert {at.port} == {each["port"] for each in service["spec"]["ports"]} == {int(given["listen"].rpartition(":")[2])}
    assert "mirror:50:service/team/collector?port=8090@5m" in (ROOT / "docs" / "mirror.md").read_text()


def test_the_release_file_of_the_readme_loads():
    (text,) = blocks(ROOT / "README.md", "yaml")
    assert parse_release(text).service == "iris"


def test_the_slo_document_shown_loads_and_its_tables_name_every_field():
    page = ROOT / "docs" / "slos.md"
    (text,) = blocks(page, "yaml")
    assert len(parse_objectives(text).slos) == 3
    named = set(re.findall(r"^\| `([a-z-]+)` \|", page.read_text(), re.MULTILINE))
    document = release_schema()
    fields = set(document["$defs"]["SloItem"]["properties"]) | set(RulesItem.model_json_schema()["properties"])
    assert named == fields


def test_ci_calls_the_readmes_test_command():
    shown = [line.split("#")[0].strip() for line in blocks(ROOT / "README.md")[0].splitlines()]
    assert shown == ["make demo", "make test"]
    run = (ROOT / ".ci" / "run").read_text().splitlines()
    assert "make test" in run
    assert any(line.startswith("timeout") and ".ci/e2e" in line for line in run), "and the end-to-end tests"


def test_make_help_names_every_target():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    described = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(targets) == sorted(described)
    assert {"help", "setup", "fmt", "lint", "types", "test", "golden", "check", "bench", "demo"} <= set(targets)
