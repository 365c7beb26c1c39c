"""Covers: images written by hand hold what was asked for, under the digest that their config says, and change with it.

Leaves out: whether containerd takes them, which `make lab` shows.
"""

import hashlib
import json
import tarfile

import pytest

from lab import images
from lab.images import StaticImage
from lab.progress import LabError


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program"
    path.write_bytes(b"\x7fELF")
    return path


def parts(archive):
    with tarfile.open(archive) as tar:
        (manifest,) = json.load(tar.extractfile("manifest.json"))
        config = json.load(tar.extractfile(manifest["Config"]))
        layer = tar.extractfile(manifest["Layers"][0]).read()
    return manifest, config, layer


def test_an_image_holds_its_programs_and_runs_as_nobody(tmp_path, program):
    image = StaticImage(
        "example/some:v1", {"/bin/some": program, "/etc/some.conf": "a = 1\n"}, ("some",), env={"B": "2"}
    )
    image.write(tmp_path / "image.tar")
    manifest, config, layer = parts(tmp_path / "image.tar")
    assert manifest["RepoTags"] == ["example/some:v1"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["some"]
    assert config["config"]["User"] == "65532:65532"
    assert config["config"]["Env"] == ["PATH=/bin", "B=2"]
    (tmp_path / "layer.tar").write_bytes(layer)
    with tarfile.open(tmp_path / "layer.tar") as tar:
        assert [(entry.name, oct(entry.mode)) for entry in tar] == [
            ("bin", "0o755"), ("etc", "0o755"), ("tmp", "0o1777"), ("bin/some", "0o755"), ("etc/some.conf", "0o644"),
        ]  # fmt: skip
        assert tar.extractfile("bin/some").read() == b"\x7fELF"


def test_the_digest_follows_the_program_and_the_settings(program):
    image = StaticImage("example/some:v1", {"/bin/some": program})
    before = image.digest
    assert before == StaticImage("example/some:v1", {"/bin/some": program}).digest
    assert before != StaticImage("example/some:v1", {"/bin/some": program}, user="0").digest
    program.write_bytes(b"\x7fELF2")
    assert image.digest != before


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_an_import_is_tried_a_second_time_and_what_failed_is_not_remembered(tmp_path, monkeypatch, failures):
    left = [LabError("parent snapshot does not exist")] * failures
    monkeypatch.setattr(images, "REMEMBERED", tmp_path / "known.json")
    monkeypatch.setattr(images, "run", lambda *_: (_ for _ in ()).throw(left.pop()) if left else None)
    archive = tmp_path / "image.tar"
    archive.touch()
    if failures == 2:
        with pytest.raises(LabError):
            images.load(archive, "some", "1")
    else:
        images.load(archive, "some", "1")
    assert images.remembered("some") == ("" if failures == 2 else "1")
