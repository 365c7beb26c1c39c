"""A folder of xDS files: replaced whole or not at all, versions that rise, and what is wrong with a folder in one sentence.

Left out: the lock between two processes is tested with two file handles, as flock has it.
"""

import fcntl
import json
import os

import pytest

from fairway_steps.errors import DomainError, UsageError
from fairway_steps.routing.folder import CLUSTERS, ROUTES, Folder, following


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path)
    folder.write(ROUTES, {"version_info": "7", "resources": [{"name": "a"}]})
    return folder


def test_a_change_gets_the_next_version_and_none_stays_as_it_is(folder):
    assert folder.replace(ROUTES, folder.load(ROUTES), [{"name": "b"}]) is True
    assert folder.load(ROUTES) == {"version_info": "8", "resources": [{"name": "b"}]}
    inode = (folder.path / ROUTES).stat().st_ino
    assert folder.replace(ROUTES, folder.load(ROUTES), [{"name": "b"}]) is False
    assert (folder.path / ROUTES).stat().st_ino == inode


def test_fields_beside_the_resources_are_kept(folder):
    folder.write(ROUTES, {"version_info": "x", "type_url": "t", "resources": []})
    folder.replace(ROUTES, folder.load(ROUTES), [1])
    assert folder.load(ROUTES) == {"version_info": "1", "type_url": "t", "resources": [1]}


def test_a_write_that_fails_leaves_the_file_and_nothing_else(folder, monkeypatch):
    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DomainError, match="No space left"):
        folder.write(ROUTES, {"version_info": "8", "resources": []})
    assert folder.load(ROUTES)["version_info"] == "7"
    assert [path.name for path in folder.path.iterdir()] == [ROUTES]


def test_the_lock_keeps_others_out_and_lets_them_in_again(folder):
    with (folder.path / ".lock").open("w") as other:
        with folder.locked(), pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(
    ("text", "says"), [("{", "is not JSON"), ("[]", "is not an xDS file"), ('{"resources": 3}', "is not an xDS file")]
)
def test_a_file_that_is_none_is_named(folder, text, says):
    (folder.path / CLUSTERS).write_text(text)
    with pytest.raises(UsageError, match=rf"clusters\.json {says}"):
        folder.load(CLUSTERS)
    with pytest.raises(UsageError, match="cannot be read"):
        folder.load("none.json")


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path):
    with pytest.raises(UsageError, match="cannot be written"), Folder(tmp_path / "none").locked():
        pass


def test_files_that_may_be_missing(folder):
    (folder.path / "bad").write_text("{")
    assert (folder.load_any("none"), folder.load_any("bad")) == (None, None)
    folder.write("endpoints/iris~v1.json", {"a": 1})
    folder.write("endpoints/iris-2~v1.json", {"a": 1})
    assert [path.name for path in folder.endpoints("iris")] == ["iris~v1.json"]
    folder.remove("endpoints/iris~v1.json")
    folder.remove("endpoints/iris~v1.json")
    assert folder.endpoints("iris") == []


def test_versions_rise():
    assert [following(v) for v in ("1", "9", "a", None, "", 3)] == ["2", "10", "1", "1", "1", "1"]


def test_files_are_json_that_people_can_read(folder):
    assert json.loads((folder.path / ROUTES).read_text())
    assert (folder.path / ROUTES).read_text().count("\n") > 3
