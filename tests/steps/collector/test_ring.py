"""Covers: the file of samples never outgrows its size, keeps the newest lines whole, goes on after a restart, and is its owner's alone."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.collector.ring import Ring
from fairway_steps.errors import UsageError

SIZE = 1000


@given(texts=st.lists(st.text(max_size=150), max_size=60))
def test_the_newest_lines_are_kept_within_the_size(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("ring") / "samples.jsonl"
    ring = Ring(path, SIZE)
    kept = [text for number, text in enumerate(texts) if ring.add({"number": number, "text": text})]
    assert path.stat().st_size <= SIZE
    lines = [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    assert lines == [text.encode(errors="replace").decode() for text in kept[len(kept) - len(lines) :]]
    if kept:
        assert lines


def test_a_line_larger_than_half_of_the_file_is_not_kept(tmp_path):
    ring = Ring(tmp_path / "s.jsonl", SIZE)
    assert ring.add({"text": "short"})
    assert not ring.add({"text": "x" * SIZE})
    assert "short" in (tmp_path / "s.jsonl").read_text()


def test_it_goes_on_where_another_process_ended(tmp_path):
    path = tmp_path / "deep" / "s.jsonl"
    for number in range(100):
        assert Ring(path, SIZE).add({"number": number})
    assert path.stat().st_size <= SIZE
    assert json.loads(path.read_text().splitlines()[-1]) == {"number": 99}
    assert path.stat().st_mode & 0o077 == 0
    assert [p.name for p in path.parent.iterdir()] == ["s.jsonl"]


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "s.jsonl", tmp_path):
        with pytest.raises(UsageError, match=r"--samples .* cannot be written"):
            Ring(path, SIZE)
