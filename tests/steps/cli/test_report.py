"""Covers: the report command on records in files: each format, where it goes, outputs, --fail-on, bad input.

Leaves out: what the report says (tests/steps/report).
"""

import json
from pathlib import Path

import pytest

from fairway_steps.cli import _run
from fairway_steps.codec import encode
from sample_records import all_records


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, record in all_records().items():
        (tmp_path / f"{name}.json").write_text(json.dumps(encode(record)))
    return tmp_path


def run(name, *args):
    return _run(["report", "--record", f"file:{name}.json", *args])


def test_a_page_is_written_beside_a_summary(folder, capsys):
    assert run("promoted") == 0
    assert (folder / "fairway-report.html").read_text().startswith("<!doctype html>")
    told = capsys.readouterr().out
    assert told.startswith("✓ v2 was promoted\n")
    assert told.endswith("  report: fairway-report.html\n")


def test_text_forms_go_to_stdout_unless_a_file_is_named(folder, capsys):
    assert run("failing", "--format", "markdown") == 0
    assert capsys.readouterr().out.startswith("## ✕ v2 was rolled back")
    assert run("failing", "--format", "text", "--out", "r.txt") == 0
    assert (folder / "r.txt").read_text().startswith("✕ v2 was rolled back")
    assert not (folder / "fairway-report.html").exists()


def test_outputs(folder):
    assert run("running", "--out-dir", "o") == 0
    outputs = {path.name: path.read_text() for path in (folder / "o").iterdir()}
    assert outputs["outcome"] == "running"
    assert outputs["action"] == "reported"
    assert outputs["summary"].startswith("The release of v2 is running (iris): ")


def test_the_summary_fits_a_tekton_result(folder):
    record = json.loads((folder / "failing.json").read_text()) | {"reason": "é" * 3000}
    (folder / "long.json").write_text(json.dumps(record))
    assert run("long", "--result", f"summary={folder / 's'}") == 0
    assert 1000 < len((folder / "s").read_bytes()) <= 1024


def test_json(folder, capsys):
    assert run("promoted", "--output", "json", "--out", "r.html") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["outcome"], told["report"]) == ("promoted", str(folder / "r.html"))


def test_a_clients_count_leads(folder, capsys):
    (folder / "c.json").write_text('{"requests": 5000, "failed": {"v2": {"http-500": 12}}, "lost": 0}')
    assert run("promoted", "--client", "c.json", "--output", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["requests"], told["failed"], told["counted_by"]) == (
        5000,
        {"v1": {}, "v2": {"http-500": 12}},
        "client",
    )


@pytest.mark.parametrize(
    ("name", "listed", "code"),
    [
        ("failing", "rolled-back,held", 1),
        ("promoted", "rolled-back, held,broken", 0),
        ("running", "rolled-back,held,broken", 0),
        ("broken", "", 0),
    ],
)
def test_fail_on(folder, name, listed, code):
    assert run(name, "--fail-on", listed) == code
    assert (folder / "fairway-report.html").exists()


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["--fail-on", "roled-back"], 2, "'--fail-on': 'roled-back' is no outcome; did you mean 'rolled-back'?"),
        (["--client", "none.json"], 2, "none.json cannot be read: no such file or directory"),
        (["--client", "failing.json"], 2, "--client failing.json is not a client's count"),
        (["--client", "bad.json"], 2, "--client bad.json is not JSON"),
        (["--out", "no/such/folder.html"], 1, "the report no/such/folder.html cannot be written: No such file"),
        (["--out", "afolder"], 1, "the report afolder cannot be written: Is a directory"),
        (["--release-id", "other"], 2, "is of release iris-20261123-090412-1, not other"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(folder, capsys, args, code, sentence):
    (folder / "bad.json").write_text("{")
    (folder / "afolder").mkdir()
    before = sorted(p.name for p in folder.iterdir())
    assert run("failing", *args) == code
    told = capsys.readouterr()
    assert sentence in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_missing_record_is_a_usage_error(folder, capsys):
    assert run("none") == 2
    assert "there is no record at file:" in capsys.readouterr().err
    assert _run(["report"]) == 2
    assert "Missing option '--record'" in capsys.readouterr().err


def test_a_reader_of_the_report_before_is_not_disturbed(folder):
    assert run("promoted") == 0
    with (folder / "fairway-report.html").open() as reader:
        assert run("failing") == 0
        assert "v2 was promoted" in reader.read()
    assert "v2 was rolled back" in (folder / "fairway-report.html").read_text()


def test_a_report_that_cannot_be_written_keeps_the_one_before(folder, monkeypatch):
    assert run("promoted") == 0
    before = (folder / "fairway-report.html").read_text()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert run("failing") == 1
    assert (folder / "fairway-report.html").read_text() == before
