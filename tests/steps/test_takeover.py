"""Covers: two who make one release safe at once: the later one is told so, and neither takes the other for another release.

Leaves out: another release on the same route (tests/contract/test_taken_route.py), and what making safe does (test_release.py).
"""

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import Fenced
from fairway_steps.model import Outcome, Routes
from fairway_steps.record import FileStore
from fairway_steps.release import ensure_safe
from fakes_routing import FakeRouter, Stored
from records import record

PRIMARY = '{"weights": {"v1": 100}, "matches": [], "mirror": null, "sticky": null}'


class Overtaken(FakeRouter):
    """A router by which somebody is overtaken, once, as it does ``where``."""

    def __init__(self, stored, where, other):
        super().__init__(stored)
        self.where, self.other = where, other

    def fence(self):
        self._overtaken("fence")
        return super().fence()

    def claim(self, fence):
        self._overtaken("claim")
        super().claim(fence)

    def _overtaken(self, where):
        if where == self.where:
            self.where = ""
            self.other()


@pytest.mark.parametrize("where", ["fence", "claim"])
def test_who_makes_a_release_safe_later_is_told_and_breaks_nothing(tmp_path, where):
    store, stored = FileStore(tmp_path / "r.json"), Stored(Routes({"v1": 50, "v2": 50}))
    store.update(lambda _: record(original=PRIMARY, stage=2))

    def other():
        assert ensure_safe(store, FakeRouter(stored), FakeClock(), holder="other")[0] == "restored"

    with pytest.raises(Fenced, match="release iris-1 was taken over by other just now"):
        ensure_safe(store, Overtaken(stored, where, other), FakeClock(), holder="late")
    assert (store.load().outcome, store.load().holder) == (Outcome.ROLLED_BACK, "other")
    assert dict(stored.routes.weights) == {"v1": 100}
