"""A pod's paths: which texts of a template are its own paths, and which folders stand for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_workflows.local.folders import mark, resolve

MOUNT = {"name": "work", "mountPath": "/work/"}


def template(*args, mounts=(MOUNT,), outputs=(), env=()):
    container = {"command": ["python3", "-c"], "args": [*args], "volumeMounts": [*mounts], "env": [*env]}
    parameters = [{"name": f"o{n}", "valueFrom": {"path": path}} for n, path in enumerate(outputs)]
    return {
        "name": "t",
        "container": container,
        "outputs": {"parameters": parameters},
        "volumes": [{"name": "work", "emptyDir": {}}],
    }


def resolved(root, *args, **more):
    return resolve(mark(template(*args, **more), set()), root)


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("/work", "{W}"),
        ("/work/", "{W}/"),
        ("--out-dir=/work/a", "--out-dir={W}/a"),
        ("file:/work/a:/work/b", "file:{W}/a:{W}/b"),
        ("open('/work/x')", "open('{W}/x')"),
        ("/workshop", "/workshop"),
        ("/work-2/x", "/work-2/x"),
        ("/home/work/x", "/home/work/x"),
        ("./work", "./work"),
        ("{{inputs.parameters.dir}}/work/x", "{{inputs.parameters.dir}}/work/x"),
        ("nothing", "nothing"),
    ],
)
def test_only_the_templates_own_paths_move(written, becomes, tmp_path):
    container = resolved(tmp_path, written)["containers"][0]
    assert container["args"] == [becomes.format(W=tmp_path / "volumes" / "work") if "{W}" in becomes else becomes]


def test_what_parameters_bring_stays_a_path_of_this_machine(tmp_path):
    marked = mark(template("--record={{inputs.parameters.record}}"), set())
    marked["containers"][0]["args"] = ["--record=/work/record.json"]
    assert resolve(marked, tmp_path)["containers"][0]["args"] == ["--record=/work/record.json"]


def test_outputs_and_variables_move_along_and_folders_exist(tmp_path):
    pod = resolved(tmp_path, "x", outputs=["/work/deep/verdict"], env=[{"name": "A", "value": "/work/b"}])
    assert pod["outputs"]["parameters"][0]["valueFrom"]["path"] == f"{tmp_path}/volumes/work/deep/verdict"
    assert pod["containers"][0]["env"][0]["value"] == f"{tmp_path}/volumes/work/b"
    assert (tmp_path / "volumes" / "work").is_dir()


def test_an_output_outside_all_mounts_lies_in_a_folder_of_its_container(tmp_path):
    pod = resolved(tmp_path, "--out=/tmp/out/a", mounts=[], outputs=["/tmp/out/a", "/tmp/out/b"])
    path = f"{tmp_path}/own/main/tmp/out/a"
    assert pod["containers"][0]["args"] == [f"--out={path}"]
    assert pod["outputs"]["parameters"][0]["valueFrom"]["path"] == path


def test_nested_mounts_go_by_the_longest_path(tmp_path):
    inner = {"name": "inner", "mountPath": "/work/inner"}
    given_template = template("/work/inner/x", "/work/y", mounts=[MOUNT, inner])
    given_template["volumes"].append({"name": "inner", "emptyDir": {}})
    pod = resolve(mark(given_template, set()), tmp_path)
    assert pod["containers"][0]["args"] == [f"{tmp_path}/volumes/inner/x", f"{tmp_path}/volumes/work/y"]


def test_the_containers_of_a_set_share_volumes_and_not_their_own_files(tmp_path):
    containers = [{"name": name, "command": ["python3"], "args": ["/work/a", "/tmp/b"]} for name in ("first", "main")]
    pod = {
        "name": "t",
        "containerSet": {"containers": containers, "volumeMounts": [MOUNT]},
        "outputs": {"parameters": [{"name": "o", "valueFrom": {"path": "/tmp/b"}}]},
    }
    first, main = resolve(mark(pod, {"work"}), tmp_path)["containers"]
    assert first["args"][0] == main["args"][0]
    assert first["args"][1] != main["args"][1]


@given(text=st.text(alphabet="/work-xtmp. ='", max_size=20))
def test_marks_never_reach_a_program(text, tmp_path_factory):
    root = tmp_path_factory.getbasetemp() / "any"
    pod = resolved(root, text, outputs=["/tmp/x"])
    assert "\0" not in str(pod["containers"][0]["args"])
