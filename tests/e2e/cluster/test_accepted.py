"""Covers: every rendered file is accepted by the real thing — the API server with Argo's definitions and Tekton's webhook (a
server-side dry run), `argo lint`, and Argo's own JSON schema.

Leaves out: what the templates do.
"""

import json

import jsonschema
import pytest
import yaml

from lab.binaries import ARGO
from on_cluster.kube import apply, has_kind, kubectl, lacks, spares
from on_cluster.manifests import MANIFESTS
from on_cluster.pipelines import EXAMPLE
from on_cluster.workflows import argo

FOLDERS = ("argo", "tekton", "base", "overlays/kserve", "overlays/tekton", "overlays/own")
"""All that `kubectl apply -k` may be given; `own` replaces images and names through our kustomizeconfig."""
FILES = sorted(
    path.relative_to(MANIFESTS).as_posix() for path in MANIFESTS.rglob("*.yaml") if not path.name.startswith("kustomiz")
)
TEMPLATES = [file for file in FILES if file.startswith("argo/") and "rbac" not in file]
CLUSTER = EXAMPLE.parent / "cluster"
SCHEMA = ARGO.folder / "api" / "jsonschema" / "schema.json"


def objects(file):
    return [each for each in yaml.safe_load_all((MANIFESTS / file).read_text(encoding="utf-8")) if each]


@pytest.mark.parametrize("file", FILES)
def test_the_api_server_takes_it(space, file):
    found = objects(file)
    if missing := sorted({each["kind"] for each in found if not has_kind(each["kind"])}):
        lacks(", ".join(missing))
    told = apply(space, found, "--dry-run=server", "--validate=strict")
    assert told.count("(server dry run)") == len(found) > 0


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_api_server_takes_a_folder_as_kubectl_apply_k_sends_it(space, folder):
    found = [each for each in yaml.safe_load_all(kubectl("kustomize", str(MANIFESTS / folder))) if each]
    if missing := sorted({each["kind"] for each in found if not has_kind(each["kind"])}):
        lacks(", ".join(missing))
    told = apply(space, found, "--dry-run=server", "--validate=strict")
    assert told.count("(server dry run)") == len(found) > 10


def test_the_api_server_takes_the_run_of_the_example(space):
    if not has_kind("PipelineRun"):
        lacks("Tekton Pipelines")
    told = kubectl("create", "-n", space, "--dry-run=server", "--validate=strict", "-f", str(EXAMPLE))
    assert "(server dry run)" in told


def test_the_api_server_takes_what_any_cluster_needs():
    """The lab has Prometheus outside, and the other objects from these very files."""
    spares("what is in other namespaces")
    told = kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", str(CLUSTER)
    )
    assert told.count("(server dry run)") > 10


@pytest.mark.parametrize("file", TEMPLATES)
def test_argo_lints_it(space, file):
    assert "no linting errors" in argo(space, "lint", str(MANIFESTS / file))


@pytest.mark.skipif(not SCHEMA.exists(), reason="Argo's schema comes with the lab")
@pytest.mark.parametrize("file", TEMPLATES)
def test_argos_own_schema_allows_it(file):
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for each in objects(file):
        jsonschema.Draft202012Validator(schema).validate(each)


@pytest.mark.skipif(not SCHEMA.exists(), reason="Argo's schema comes with the lab")
def test_the_schema_does_refuse():
    (broken, *_) = objects(TEMPLATES[0])
    broken["spec"]["templates"][0]["steps"] = "none"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(broken)
