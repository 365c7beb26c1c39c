"""Covers: the record on disk (atomic, locked, refused when it is not one), leases and fencing, where a release goes on after it was interrupted.

Leaves out: who writes what into it (begin, weights, judge and release have their own tests).
"""

import json
import multiprocessing
import os
from dataclasses import replace

import pytest

from fairway_steps.errors import DomainError, Fenced, UsageError
from fairway_steps.model import Assessment, Outcome, Stratum, Verdict
from fairway_steps.record import FileStore, Lease, StageResult, amend, required
from records import record


def test_what_is_stored_is_loaded(tmp_path):
    store = FileStore(tmp_path / "a" / "r.json")
    assert store.load() is None
    stored = store.update(lambda _: record())
    assert store.load() == stored == record()


def test_a_change_that_fails_leaves_the_record_as_it_was(tmp_path):
    store = FileStore(tmp_path / "r.json")
    store.update(lambda _: record())
    with pytest.raises(ZeroDivisionError):
        store.update(lambda _: 1 // 0)
    assert store.load() == record()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.json", "r.json.lock"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b'{"format": 99}',
        b'{"format": 1, "surprise": 2}',
        b'{"format": 1}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda text: text[:30],
)
def test_a_file_that_is_no_record_is_refused_by_name(tmp_path, text):
    (tmp_path / "r.json").write_bytes(text)
    with pytest.raises(UsageError, match=r"r\.json is not a Fairway record"):
        FileStore(tmp_path / "r.json").load()


def test_an_unwritable_record_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((UsageError, DomainError), match=r"cannot be (written|read)"):
        FileStore(tmp_path / "file" / "r.json").update(lambda _: record())


def _count_up(path, times):
    store = FileStore(path)
    for _ in range(times):
        store.update(lambda r: replace(r, token=r.token + 1))


def test_concurrent_writers_lose_no_update(tmp_path):
    path = tmp_path / "r.json"
    FileStore(path).update(lambda _: record(token=0))
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_count_up, args=(path, 25)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert FileStore(path).load().token == 100


def test_a_reader_never_sees_half_a_record(tmp_path):
    path = tmp_path / "r.json"
    store = FileStore(path)
    store.update(lambda _: record())
    reader = os.fork()
    if not reader:
        try:
            for _ in range(200):
                json.loads(path.read_text())
        except ValueError:
            os._exit(1)
        os._exit(0)
    for index in range(100):
        store.update(lambda r, index=index: r.noted(0.0, "test", "x" * index))
    assert os.waitpid(reader, 0)[1] == 0


def test_a_record_of_another_release_is_refused(tmp_path):
    store = FileStore(tmp_path / "r.json")
    store.update(lambda _: record(release_id="iris-1"))
    with pytest.raises(UsageError, match="of release iris-1, not iris-2"):
        required(store, Lease("iris-2"))


def test_a_holder_that_lost_its_lease_is_fenced_off(tmp_path):
    store = FileStore(tmp_path / "r.json")
    store.update(lambda _: record(token=3))
    with pytest.raises(Fenced, match="taken over"):
        amend(store, Lease("", 2), lambda r: replace(r, stage=9))
    assert store.load().stage == -1
    amend(store, Lease("", 3), lambda r: replace(r, stage=1))
    assert store.load().stage == 1


def test_a_token_that_nobody_gave_is_refused(tmp_path):
    store = FileStore(tmp_path / "r.json")
    store.update(lambda _: record())
    with pytest.raises(UsageError, match="token 99 was never given for release iris-1, whose is 1"):
        required(store, Lease("", 99))


def test_a_step_may_know_its_release_by_the_holder(tmp_path):
    store = FileStore(tmp_path / "r.json")
    mine = store.update(lambda _: record(holder="run-1"))
    assert required(store, Lease(holder="run-1")) == mine
    with pytest.raises(Fenced, match="taken over by run-1"):
        required(store, Lease(holder="run-2"))


def test_a_missing_record_says_how_to_get_one(tmp_path):
    with pytest.raises(UsageError, match="begin the release first"):
        required(FileStore(tmp_path / "r.json"), Lease())


def test_the_first_outcome_stands():
    ended = record().ended(1.0, Outcome.ROLLED_BACK, "slow").ended(2.0, Outcome.PROMOTED, "fine")
    assert (ended.outcome, ended.reason, ended.finished) == (Outcome.ROLLED_BACK, "slow", 1.0)


def _result(stage, verdict):
    return StageResult(0.0, stage, 10, Assessment(verdict, ""))


def test_an_interrupted_release_goes_on_with_the_stage_under_way():
    under_way = replace(record(), stage=1, results=(_result(0, Verdict.ADVANCE),))
    assert under_way.next_stage == 1
    assert replace(under_way, results=(*under_way.results, _result(1, Verdict.ADVANCE))).next_stage == 2
    assert record().next_stage == 0


def test_only_what_no_verdict_ended_can_be_resumed():
    assert record().resumable
    put_back = replace(record(), outcome=Outcome.ROLLED_BACK, interrupted=True)
    assert put_back.resumable
    assert not replace(put_back, results=(_result(0, Verdict.ROLLBACK),)).resumable
    assert not replace(put_back, interrupted=False).resumable


def test_what_a_verdict_rests_on_takes_in_nothing_more():
    before = record(results=(replace(_result(0, Verdict.HOLD), until=41.0),))
    kept = before
    for second in range(60):
        kept = kept.with_strata([Stratum("v2", float(second), second + 1.0, 10, 3)])
    assert 41.0 in {stratum.end for stratum in kept.strata}
    assert sum(stratum.requests for stratum in kept.strata if stratum.end <= 41) == 123
