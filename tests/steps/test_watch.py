"""Assessing in the background: it looks while nobody else does, takes each count once, rolls a harmful candidate back and closes the release,
and ends with it.

Left out: what the counts mean (test_assess.py), how a rollback works (test_release.py).
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import Fenced
from fairway_steps.intervention import Intervention
from fairway_steps.model import Metric, Outcome, Routes, Slo, Stage, Stratum, Verdict
from fairway_steps.record import FileStore, Lease, WeightChange
from fairway_steps.replay import replay
from fairway_steps.watch import QUIET, watch
from fairway_steps.weights import Confirmation, announced
from fakes_assess import FakeSource, Version
from fakes_routing import FakeRouter, Stored
from records import record

START = 1_700_000_000.0
LEASE = Lease("iris-1", 1)


class World:
    """A release whose last stage has passed: a person is asked, and the candidate has half of the traffic."""

    def __init__(self, tmp_path: Path, v2: Version) -> None:
        self.clock = FakeClock(START)
        self.source = FakeSource({"v1": Version(20.0), "v2": v2}, START)
        self.router = FakeRouter(Stored(Routes({"v1": 100})))
        self.store = FileStore(tmp_path / "record.json")
        slos, stages = (Slo(Metric.ERROR_RATE, 0.01),), (Stage(50, 10.0),)
        original = self.router.snapshot()
        self.router.apply(Routes({"v1": 50, "v2": 50}), record().versions)
        self.store.update(
            lambda _: record(
                slos=slos,
                stages=stages,
                stage=0,
                original=original,
                cursor=json.dumps({"at": START}),
                timeline=(WeightChange(START, 0, {"v1": 50, "v2": 50}),),
            )
        )

    def watch(self, **options):
        return watch(self.store, LEASE, self.source, self.router, self.clock, **options)

    def until(self, elapsed: float, act) -> None:
        """Let ``act`` happen once so much time has passed."""
        sleep = self.clock.sleep

        def acting(seconds: float) -> None:
            sleep(seconds)
            if self.clock.now() - START >= elapsed:
                self.clock.sleep = sleep
                act()

        self.clock.sleep = acting

    @property
    def kept(self):
        kept = self.store.load()
        assert kept is not None
        return kept


def test_harm_while_a_person_is_asked_is_a_rollback(tmp_path):
    world = World(tmp_path, Version(20.0, failing=0.1))
    found = world.watch()
    assert found.verdict is Verdict.ROLLBACK
    assert "v2 fails 1" in found.reason
    assert world.clock.now() - START < 20
    assert world.router.read().weights == {"v1": 100}
    assert world.kept.outcome is Outcome.ROLLED_BACK
    assert world.kept.reason == found.reason
    assert all(one.same for one in replay(world.kept))


def test_an_abort_while_a_person_is_asked_is_carried_out(tmp_path):
    world = World(tmp_path, Version(20.0))
    word = Intervention(Verdict.ROLLBACK, "alice", START + 20, "wrong model")
    world.until(20, lambda: world.store.update(lambda held: replace(held, intervention=word)))
    assert world.watch().reason == word.sentence
    assert world.clock.now() - START < 23
    ended = world.kept
    assert (ended.outcome, ended.reason, ended.intervention) == (Outcome.ROLLED_BACK, word.sentence, None)
    assert world.router.read().weights == {"v1": 100}
    assert all(one.same for one in replay(ended))


@pytest.mark.parametrize("busy", [{"changing_until": START + 40}, {"copied": "what v1 ran"}])
def test_an_abort_while_the_release_changes_the_route_is_left_to_the_step_that_does(tmp_path, busy):
    world = World(tmp_path, Version(20.0))
    word = Intervention(Verdict.ROLLBACK, "alice", START, "wrong model")
    world.store.update(lambda held: replace(held, intervention=word, **busy))
    world.until(30, lambda: world.store.update(lambda held: replace(held, outcome=Outcome.ROLLED_BACK)))
    assert world.watch() is None
    assert world.router.read().weights == {"v1": 50, "v2": 50}


def test_who_starts_long_after_the_last_look_looks_at_once(tmp_path):
    world = World(tmp_path, Version(20.0, failing=0.9))
    last = Stratum("v2", START - 1, START, 50, 10)
    entered = WeightChange(START - 60, 0, {"v1": 50, "v2": 50})
    world.store.update(lambda r: replace(r, strata=(last,), timeline=(entered,)))
    world.clock.sleep(QUIET)
    assert world.watch().verdict is Verdict.ROLLBACK
    assert world.clock.now() == START + QUIET


def test_a_good_candidate_is_watched_until_the_release_has_ended(tmp_path):
    world = World(tmp_path, Version(20.0))
    world.until(60, lambda: world.store.update(lambda r: replace(r, outcome=Outcome.PROMOTED)))
    assert world.watch() is None
    assert world.router.read().weights == {"v1": 50, "v2": 50}
    assert sum(s.requests for s in world.kept.strata if s.version == "v2") == 20 * 59


class Starting(Version):
    """Fails all that it is asked in the second after 20 s."""

    def counters(self, elapsed):
        found = super().counters(elapsed)
        failed = math.floor(self.rate * (min(max(elapsed, 20.0), 21.0) - 20.0) + 1e-9)
        return replace(found, failures={"http-503": failed} if failed else {})


def test_it_does_not_look_while_weights_are_changed_and_the_burn_in_after_is_no_evidence(tmp_path):
    world = World(tmp_path, Starting(20.0))
    stages = (Stage(10, 10.0), Stage(50, 30.0))
    first = (WeightChange(START, 0, {"v1": 90, "v2": 10}),)
    world.store.update(lambda r: replace(r, stages=stages, timeline=first))

    def changed():
        change = WeightChange(START + 20, 1, {"v1": 50, "v2": 50}, settled_after=0.5)
        world.store.update(lambda r: replace(r, stage=1, timeline=(*r.timeline, change), changing_until=0.0))
        world.until(60, lambda: world.store.update(lambda r: replace(r, outcome=Outcome.PROMOTED)))

    def changing():
        world.store.update(lambda r: announced(r, world.clock, Confirmation()))
        world.until(23, changed)

    world.until(20, changing)
    assert world.watch() is None
    assert all(s.settling for s in world.kept.strata if s.errors)
    assert {s.weight for s in world.kept.strata if s.version == "v2" and s.end > START + 21} == {50}


def test_it_leaves_the_counts_to_whoever_looks(tmp_path):
    world = World(tmp_path, Version(20.0))
    ticks = 0

    def elsewhere(seconds: float, sleep=world.clock.sleep) -> None:
        nonlocal ticks
        sleep(seconds)
        ticks += 1
        outcome = Outcome.PROMOTED if ticks == 30 else None
        world.store.update(lambda r: replace(r, cursor=json.dumps({"at": world.clock.now()}), outcome=outcome))

    world.clock.sleep = elsewhere
    assert world.watch() is None
    assert world.source.reads == []


def test_a_source_that_is_away_is_asked_again(tmp_path):
    world = World(tmp_path, Version(20.0, failing=0.1))
    world.source.never_there = True
    world.until(30, lambda: setattr(world.source, "never_there", False))
    assert world.watch().verdict is Verdict.ROLLBACK
    assert world.clock.now() - START >= 30


def test_it_stops_when_the_release_was_taken_over(tmp_path):
    world = World(tmp_path, Version(20.0))
    world.until(10, lambda: world.store.update(lambda r: replace(r, token=2, holder="another")))
    with pytest.raises(Fenced):
        world.watch()


def test_who_looked_first_counts_when_two_look_at_once(tmp_path):
    world = World(tmp_path, Version(20.0))
    read = world.source.read

    def overtaken(versions, weights, cursor, now):
        reading = read(versions, weights, cursor, now)
        world.store.update(lambda r: replace(r.with_strata(reading.strata), cursor=reading.cursor))
        world.source.read = read
        return reading

    world.source.read = overtaken
    world.until(20, lambda: world.store.update(lambda r: replace(r, outcome=Outcome.PROMOTED)))
    assert world.watch() is None
    counted = sum(s.requests for s in world.kept.strata if s.version == "v2")
    assert counted == 20 * (json.loads(world.kept.cursor)["at"] - START)
