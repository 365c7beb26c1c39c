"""Covers: outputs as files of a folder and as named results, Tekton's size limit, bad pairs, unwritable places, files replaced whole.

Leaves out: what each step writes (its own test says).
"""

import os

import pytest

from fairway_steps.errors import FairwayError, UsageError
from fairway_steps.outputs import Sink, parse_results, replacing


def test_every_output_goes_into_the_folder_under_its_name(tmp_path):
    Sink(tmp_path / "new" / "out").write({"verdict": "hold", "next-index": "-1"})
    assert {p.name: p.read_text() for p in (tmp_path / "new" / "out").iterdir()} == {
        "verdict": "hold",
        "next-index": "-1",
    }


def test_named_results_go_to_their_own_paths(tmp_path):
    Sink(results=parse_results([f"verdict={tmp_path}/v"])).write({"verdict": "hold", "summary": "x" * 5000})
    assert (tmp_path / "v").read_text() == "hold"


def test_a_result_over_tektons_share_is_refused(tmp_path):
    with pytest.raises(FairwayError, match="over Tekton's share of 1 kB"):
        Sink(results={"summary": tmp_path / "s"}).write({"summary": "é" * 513})
    assert not (tmp_path / "s").exists()


def test_a_result_that_is_no_output_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match="no such output; one of verdict"):
        Sink(results={"verdikt": tmp_path / "v"}).write({"verdict": "hold"})


@pytest.mark.parametrize("pair", ["verdict", "=path", "verdict=", ""])
def test_a_pair_that_is_none_is_refused(pair):
    with pytest.raises(UsageError, match="is not NAME=PATH"):
        parse_results([pair])


def test_an_unwritable_place_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FairwayError, match="cannot be written"):
        Sink(tmp_path / "file").write({"verdict": "hold"})
    with pytest.raises(FairwayError, match="cannot be written"):
        Sink(tmp_path / "file").check(["verdict"])


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(TypeError), replacing(path) as file:
        file.writelines([b"half", None])
    assert [each.read_text() for each in tmp_path.iterdir()] == ["before"]
    with replacing(path) as file:
        file.write(b"after")
        assert path.read_text() == "before"
    assert [each.read_text() for each in tmp_path.iterdir()] == ["after"]


def test_what_is_no_file_is_written_to_itself(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with replacing(tmp_path / "pipe") as file:
        file.write(b"whole")
    assert os.read(reader, 100) == b"whole"
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
