"""Covers: several candidates from the first look to the end of the release: harm that takes one of them off the traffic while the others go on, one that
cannot be reached, a step that is killed and goes on, nobody better, the winner's promotion, what becomes of the others, the look-out, and the replay.

The clock jumps, users come as a function of time, the route is in memory. Leaves out: what the evidence means (assess/test_contest.py), real
proxies and servers (tests/e2e/test_abn.py).
"""

import json
import math
from dataclasses import dataclass, field, replace

import pytest

from fairway_steps.begin import begin
from fairway_steps.clock import FakeClock
from fairway_steps.drift import Drift
from fairway_steps.errors import Refused, UsageError
from fairway_steps.judge import judge
from fairway_steps.metrics.base import Reading
from fairway_steps.model import Metric, Outcome, Policy, Routes, Slo, Stage, Stickiness, Stratum, Unit, Verdict, Version
from fairway_steps.record import FileStore, Lease
from fairway_steps.release import Ending, drop, promote, rollback
from fairway_steps.replay import replay
from fairway_steps.routing.base import Capabilities
from fairway_steps.strategy import Strategy
from fairway_steps.watch import watch
from fairway_steps.weights import Confirmation, enter_stage
from fakes_routing import FakeRouter, Stored
from fakes_workloads import FakeWorkloads

START = 1_700_000_000.0
SLOS = (Slo(Metric.ERROR_RATE, 0.02), Slo(Metric.REWARD, 0.5, min_requests=100, relative=True, unit=Unit.USER))
STAGE = Stage(60, 60.0, weights={"v2": 30, "v3": 30})
V1, V2, V3 = (Version(name, f"http://127.0.0.1:{port}") for port, name in enumerate(("v1", "v2", "v3"), 8001))
STICKY = Stickiness(header="x-user")
QUICK = Confirmation(requests=0)


@dataclass
class Users:
    """So many new users a second in all; ``worth`` is the share of them that each version makes happy, ``failing`` that of its failures."""

    worth: dict[str, float]
    failing: dict[str, float] = field(default_factory=dict)
    rate: int = 100
    seen: list[dict[str, int]] = field(default_factory=list)

    def read(self, versions, weights, cursor, now):
        self.seen.append(dict(weights))
        since = json.loads(cursor)["at"] if cursor else now
        strata = [self._stratum(name, weights.get(name, 0), since, now) for name in versions] if cursor else []
        return Reading(tuple(strata), json.dumps({"at": now}))

    def _stratum(self, name, weight, since, now):
        def counted(share):
            first, last = (
                math.floor((moment - START) * self.rate * weight / 100 * share + 1e-6) for moment in (since, now)
            )
            return last - first

        users, happy, failed = counted(1.0), counted(self.worth.get(name, 0.0)), counted(self.failing.get(name, 0.0))
        return Stratum(
            name,
            since,
            now,
            weight,
            users,
            {"http-500": failed} if failed else {},
            users=users,
            reward=happy,
            squares=happy,
        )


class World:
    """A release of two candidates, begun, its weights set."""

    def __init__(self, tmp_path, users, **fields):
        self.clock, self.users = FakeClock(START), users
        self.store, self.stored = FileStore(tmp_path / "r.json"), Stored(Routes({"v1": 100}))
        self.router, self.workloads = FakeRouter(self.stored), FakeWorkloads()
        self.away: dict[str, str] = {}
        asked = {"primary": V1, "candidate": V2, "rivals": (V3,), "stages": (STAGE,), "slos": SLOS, "sticky": STICKY}
        asked |= {"strategy": Strategy.AB}
        held = begin(
            self.store,
            self.router,
            self.clock,
            service="iris",
            route="envoy:route",
            holder="me",
            lease_for=600.0,
            resume=False,
            gone=lambda holder: False,
            **asked | fields,
        )
        self.lease = Lease(held.release_id, held.token)
        self.given = (self.store, self.lease, self.router, self.clock)
        enter_stage(*self.given, index=0, confirm=QUICK, source=users)

    def judge(self, **options):
        held = self.record
        return judge(
            self.store,
            self.lease,
            self.users,
            self.router,
            lambda: self.away.get("v2", ""),
            self.clock,
            slos=held.slos,
            primary="v1",
            candidate="v2",
            rivals={"v3": lambda: self.away.get("v3", "")},
            drop=lambda name, why: drop(*self.given, name=name, why=why),
            stages=held.stages,
            index=0,
            rules=replace(held.rules, burn_in=0),
            **options,
        )

    def end(self, verdict):
        ending = Ending(self.workloads, drain=0.0)
        if verdict is Verdict.PROMOTE:
            return promote(*self.given, alive=lambda: "", confirm=QUICK, ending=ending)
        return rollback(*self.given, outcome=Outcome.ROLLED_BACK, reason="", confirm=QUICK, ending=ending)

    @property
    def record(self):
        found = self.store.load()
        assert found is not None
        return found

    def replayed(self):
        return [one.same for one in replay(self.record)]


def test_the_best_of_several_is_promoted_and_all_others_are_retired(tmp_path):
    world = World(tmp_path, Users({"v1": 0.3, "v2": 0.3, "v3": 0.5}))
    assert world.stored.routes == Routes({"v1": 40, "v2": 30, "v3": 30}, sticky=STICKY)
    found = world.judge(interval=1.0).assessment
    assert (found.verdict, found.winner) == (Verdict.PROMOTE, "v3")
    assert world.replayed() == [True]
    ended = world.end(found.verdict)
    assert (ended.outcome, ended.stable, ended.chosen) == (Outcome.PROMOTED, V3, V3)
    assert world.stored.routes == Routes({"v3": 100})
    assert ended.reason == found.reason
    assert ended.reason.startswith("v3 wins: ")
    assert world.workloads.done == ["unguard v3", "unguard v2", "retire v2 scale", "retire v1 scale"]
    assert [(version, reason) for version, reason, *_ in world.workloads.told] == [
        ("v2", "RolledBack"),
        ("v3", "Promoted"),
    ]


def test_nobody_better_leaves_the_primary_and_retires_all_candidates(tmp_path):
    world = World(tmp_path, Users(dict.fromkeys(("v1", "v2", "v3"), 0.3)), candidate_policy=Policy.DELETE)
    found = world.judge().assessment
    assert (found.verdict, found.winner) == (Verdict.ROLLBACK, "")
    assert world.clock.now() - START == 60, "to the end of its time"
    ended = world.end(found.verdict)
    assert (ended.outcome, ended.stable) == (Outcome.ROLLED_BACK, V1)
    assert ended.reason == found.reason
    assert world.stored.routes == Routes({"v1": 100})
    assert world.workloads.done == ["unguard v2", "retire v2 delete", "unguard v3", "retire v3 delete"]


def test_one_that_does_harm_loses_its_traffic_to_the_primary_while_the_others_go_on(tmp_path):
    world = World(tmp_path, Users({"v1": 0.3, "v2": 0.9, "v3": 0.5}, failing={"v2": 0.3}))
    found = world.judge().assessment
    assert (found.verdict, found.winner) == (Verdict.PROMOTE, "v3")
    assert found.arms[0].sentence.startswith("v2 is out: v2 fails ")
    held = world.record
    assert held.dropped.keys() == {"v2"}
    assert [(change.stage, change.asked, change.why) for change in held.timeline] == [
        (0, {"v1": 40, "v2": 30, "v3": 30}, "stage"),
        (-1, {"v1": 70, "v3": 30}, "v2 dropped"),
    ]
    assert world.stored.routes == Routes({"v1": 70, "v3": 30}, sticky=STICKY)
    assert world.users.seen[-1] == {"v1": 70, "v3": 30}
    assert {s.weight for s in held.strata if s.version == "v1"} == {40, 70}
    assert held.timeline[1].at - START < 10
    assert world.replayed() == [True]
    assert world.end(found.verdict).stable == V3


def test_one_that_cannot_be_reached_is_out_too(tmp_path):
    world = World(tmp_path, Users({"v1": 0.3, "v2": 0.3, "v3": 0.5}))
    world.away["v2"] = "connection refused"
    found = world.judge().assessment
    assert (found.verdict, found.winner) == (Verdict.PROMOTE, "v3")
    assert found.arms[0].sentence == "v2 is out: it cannot be reached: connection refused"
    assert world.replayed() == [True]


def test_what_is_missing_of_one_that_is_out_keeps_no_stage_open(tmp_path):
    world = World(tmp_path, Users(dict.fromkeys(("v1", "v2", "v3"), 0.3)))
    world.away["v2"] = "connection refused"
    assert world.judge(patience=60.0).assessment.verdict is Verdict.ROLLBACK
    assert world.clock.now() - START == 60


def test_with_all_of_them_out_the_release_ends_at_once(tmp_path):
    world = World(tmp_path, Users({"v1": 0.3, "v2": 0.3, "v3": 0.3}, failing={"v2": 0.3, "v3": 0.1}))
    found = world.judge().assessment
    assert (found.verdict, found.reason[:23]) == (Verdict.ROLLBACK, "no candidate is left: v")
    assert world.clock.now() - START < 20
    assert world.replayed() == [True]
    assert world.end(found.verdict).stable == V1


def test_a_step_that_was_killed_goes_on_without_the_one_that_was_dropped(tmp_path):
    world = World(tmp_path, Users({"v1": 0.3, "v2": 0.9, "v3": 0.5}, failing={"v2": 0.3}))
    whole = World(tmp_path / "other", Users({"v1": 0.3, "v2": 0.9, "v3": 0.5}, failing={"v2": 0.3}))

    def killed(text, **fields):
        del text, fields
        if world.record.dropped and world.clock.now() - START > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.judge(progress=killed)
    before = world.stored.routes
    enter_stage(*world.given, index=0, confirm=QUICK, source=world.users)
    assert world.stored.routes == before == Routes({"v1": 70, "v3": 30}, sticky=STICKY)
    assert len(world.record.timeline) == 2
    assert world.judge().assessment == whole.judge().assessment


def test_the_route_is_looked_after_also_when_one_was_dropped(tmp_path):
    world = World(tmp_path, Users({"v1": 0.3, "v2": 0.3, "v3": 0.3}))
    drop(*world.given, name="v2", why="it was bad")
    world.stored.routes = Routes({"v1": 40, "v2": 30, "v3": 30}, sticky=STICKY)
    look = Drift(world.store, world.lease, world.router, world.clock)
    look()
    assert world.stored.routes == Routes({"v1": 70, "v3": 30}, sticky=STICKY)


def test_while_a_person_is_asked_harm_takes_one_off_and_all_end_the_release(tmp_path):
    world = World(tmp_path, Users({"v1": 0.3, "v2": 0.3, "v3": 0.3}, failing={"v2": 0.4, "v3": 0.06}))
    dropped = []

    def told(text, **fields):
        del text, fields
        dropped.append((sorted(world.record.dropped), dict(world.stored.routes.weights)))

    found = watch(world.store, world.lease, world.users, world.router, world.clock, progress=told)
    assert found is not None
    assert found.reason.startswith("no candidate is left: ")
    assert (["v2"], {"v1": 70, "v3": 30}) in dropped
    assert (world.record.outcome, world.stored.routes) == (Outcome.ROLLED_BACK, Routes({"v1": 100}))
    assert world.replayed() == [True]


def test_without_a_winner_none_is_promoted_on_anybodys_word(tmp_path):
    world = World(tmp_path, Users({}))
    with pytest.raises(UsageError, match="which of v2 and v3 to promote is not said: none has won"):
        world.end(Verdict.PROMOTE)
    assert world.record.outcome is None


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            {"stages": (Stage(50, 9.0),)},
            r"--stages: each of several candidates needs a weight of its own; write strategy: ab, and v2=33\+v3=33@1h",
        ),
        ({"slos": SLOS[:1]}, "--slos: a split between versions needs one reward"),
        ({"rivals": ()}, r"--stages: v3 has a weight and is not a candidate \(v2\)"),
        ({"rivals": (V3, Version("v4", "http://h:4"))}, "--stages: v4 is a candidate and has no weight"),
        ({"rivals": (Version("v3", V2.uri),)}, "are the same version"),
        ({"primary": None}, "several candidates are compared with a primary"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_touched(tmp_path, changed, sentence):
    with pytest.raises(UsageError, match=sentence):
        World(tmp_path, Users({}), **changed)
    assert not (tmp_path / "r.json").exists()


def test_a_route_that_keeps_no_user_on_a_version_is_refused_before_anything_is_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(FakeRouter, "capabilities", Capabilities())
    with pytest.raises(
        Refused, match="cannot keep users on their version, sticky header:x-user: its kind has no field for it"
    ):
        World(tmp_path, Users({}))
    assert not (tmp_path / "r.json").exists()
    world = World(tmp_path, Users({}), sticky=None)
    assert world.stored.routes == Routes({"v1": 40, "v2": 30, "v3": 30})
