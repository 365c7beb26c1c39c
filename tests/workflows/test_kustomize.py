"""The rendered folders as kustomizations, by the real `kubectl kustomize`: everything is in them, and an overlay changes every image
and every name, also where one names another.

Left out: that an API server takes the result (tests/e2e/cluster/test_accepted.py).
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fairway_workflows.findings import strings
from fairway_workflows.kustomize import FILES
from fairway_workflows.rbac import BACK_ENDS
from fairway_workflows.render import Rendering, render

KUBECTL = Path(sys.executable).parent / "kubectl"
EXAMPLE = Path(__file__).parents[2] / "examples" / "canary-pipelinerun.yaml"
OVERLAY = {
    "resources": ["../argo", "../tekton", "run.yaml"],
    "configurations": [FILES[1]],
    "namePrefix": "our-",
    "images": [
        {"name": f"fairway-{kind}", "newName": f"example.com/fairway-{kind}", "newTag": "9.9"}
        for kind in ("core", "assess", "loadtest")
    ],
}
pytestmark = pytest.mark.skipif(not KUBECTL.exists(), reason="kubectl comes with the developers' packages")


def kustomize(folder):
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def names(objects):
    return sorted((each["kind"], each["metadata"]["name"]) for each in objects)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("manifests")
    render(made)
    return made


@pytest.fixture(scope="module")
def ours(folder):
    overlay = folder / "overlay"
    overlay.mkdir()
    run = yaml.safe_load(EXAMPLE.read_text())
    run["metadata"] = {"name": "run"}
    (overlay / "run.yaml").write_text(yaml.safe_dump(run))
    shutil.copy(folder / "tekton" / FILES[1], overlay / FILES[1])
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(OVERLAY))
    return kustomize(overlay)


@pytest.mark.parametrize("name", ["argo", "tekton"])
def test_a_folder_holds_everything_but_what_is_applied_as_needed(folder, name):
    files = {file: text for file, text in Rendering().files() if file.startswith(name) and not file.endswith(FILES)}
    wanted = [file for file in files if not file.startswith((f"{name}/cluster/", f"{name}/rbac/"))]
    wanted.append(f"{name}/rbac/gateway-api.yaml")
    assert names(kustomize(folder / name)) == names(body for file in wanted for body in yaml.safe_load_all(files[file]))


def test_every_image_is_replaced(ours):
    images = [text for each in ours for text in strings(each) if re.search(r"fairway-\w+:[\d.]+$", text)]
    assert set(images) == {f"example.com/fairway-{kind}:9.9" for kind in ("core", "assess", "loadtest")}
    assert len(images) == sum(text.count(" image: ") for file, text in Rendering().files() if "cluster" not in file)


def test_every_name_is_replaced_where_another_names_it(ours):
    named = dict.fromkeys(name for _, name in names(ours))
    assert all(name.startswith("our-") for name in named)
    found = [value for each in ours for value in references(each)]
    assert set(found) <= set(named)
    assert {
        "our-fairway-begin",
        "our-fairway-report",
        "our-canary-v1",
        "our-fairway-releaser",
        "our-fairway-tekton",
    } <= set(found)


def references(value, key=""):
    """The names by which an object calls others."""
    if isinstance(value, list):
        for item in value:
            yield from references(item, key)
    elif isinstance(value, dict):
        for inside, item in value.items():
            if inside == "serviceAccountName" or (inside == "name" and key.endswith(("Ref", "ref", "subjects"))):
                yield item
            else:
                yield from references(item, inside)


def test_the_overlay_to_be_copied_changes_every_image_and_every_name(folder):
    found = kustomize(folder / "overlays" / "own")
    assert len(found) == len(kustomize(folder / "argo")) + len(kustomize(folder / "tekton"))
    images = [text for each in found for text in strings(each) if re.search(r"fairway-\w+:[\d.]+$", text)]
    assert {text.rpartition("/")[0] for text in images} == {"registry.example.com"}
    named = dict.fromkeys(name for _, name in names(found))
    assert all(name.startswith("our-") for name in named)
    assert {value for each in found for value in references(each)} <= set(named)


@pytest.mark.parametrize("name", sorted({*BACK_ENDS} - {"gateway-api"}))
@pytest.mark.parametrize("engine", ["argo", "tekton"])
def test_a_component_adds_the_rights_of_one_back_end(folder, engine, name):
    overlay = folder / f"with-{engine}-{name}"
    overlay.mkdir()
    added = name if engine == "argo" else f"tekton-{name}"
    (overlay / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": [f"../{engine}"], "components": [f"../components/{added}"]})
    )
    rights = list(yaml.safe_load_all(dict(Rendering().files())[f"{engine}/rbac/{name}.yaml"]))
    assert names(kustomize(overlay)) == sorted([*names(kustomize(folder / engine)), *names(rights)])


def test_the_other_overlays_hold_what_they_are_called(folder):
    kserve, tekton = (kustomize(folder / "overlays" / name) for name in ("kserve", "tekton"))
    assert ("Role", "fairway-releaser-kserve") in names(kserve)
    assert names(tekton) == names(kustomize(folder / "tekton"))
