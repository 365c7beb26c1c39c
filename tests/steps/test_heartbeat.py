"""Covers: a lease is renewed while somebody waits, as often as it must be and no oftener; who has lost it is told.

Leaves out: what waits (tests/steps/test_release.py).
"""

from dataclasses import replace

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import Fenced
from fairway_steps.heartbeat import heartbeat
from fairway_steps.record import FileStore, Lease
from records import record


@pytest.fixture
def store(tmp_path):
    made = FileStore(tmp_path / "r.json")
    made.update(lambda _: record(lease_for=30.0))
    return made


def test_it_renews_when_a_third_of_the_lease_is_over(store):
    clock, renewed = FakeClock(), set()
    beat = heartbeat(store, Lease(), clock)
    for _ in range(60):
        beat()
        renewed.add(store.load().lease_until)
        assert store.load().lease_until >= clock.now() + 20.0
        clock.sleep(1.0)
    assert len(renewed) == 6


def test_who_was_taken_over_is_told(store):
    clock = FakeClock()
    beat = heartbeat(store, Lease("iris-1", 1), clock)
    beat()
    store.update(lambda r: replace(r, token=2))
    beat()
    clock.sleep(10.0)
    with pytest.raises(Fenced):
        beat()
