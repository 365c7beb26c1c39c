"""Covers: opening a record (what it remembers, the lease, who may take it, resuming, what an expired holder left behind), and
every refusal, none of which changes anything.

Leaves out: the command (tests/steps/cli), a real proxy (tests/e2e).
"""

import json
from dataclasses import replace

import pytest

from fairway_steps.begin import ROOM, begin
from fairway_steps.clock import FakeClock
from fairway_steps.errors import Fenced, NotSettled, Refused, UsageError
from fairway_steps.model import (
    Assessment,
    HeaderMatch,
    Metric,
    Mirror,
    Mode,
    Outcome,
    Routes,
    Rules,
    Slo,
    Stage,
    Verdict,
    Version,
)
from fairway_steps.record import FileStore, Lease, StageResult
from fairway_steps.release import Ending, ensure_safe, promote
from fairway_steps.report.html import html
from fairway_steps.report.text import text
from fairway_steps.routing.base import MIRROR, Capabilities
from fairway_steps.routing.claims import Claims
from fairway_steps.strategy import Strategy
from fairway_steps.weights import Confirmation
from fakes_routing import FakeRouter, Stored
from fakes_workloads import FakeWorkloads

V1, V2 = Version("v1", "http://127.0.0.1:8001"), Version("v2", "http://127.0.0.1:8002")


class World:
    def __init__(self, folder, **weights):
        self.store = FileStore(folder / "r.json")
        self.route = Stored(Routes(weights or {"v1": 100}))
        self.router, self.clock = FakeRouter(self.route), FakeClock()

    def begin(self, holder="a", **changed):
        values = {
            "service": "iris",
            "route": "envoy:route",
            "primary": V1,
            "candidate": V2,
            "stages": (Stage(10, 5.0), Stage(50, 5.0)),
            "slos": (Slo(Metric.ERROR_RATE, 0.01),),
            "lease_for": 60.0,
            "resume": False,
            "gone": lambda _: False,
        }
        return begin(self.store, self.router, self.clock, holder=holder, **values | changed)

    def set(self, **fields):
        return self.store.update(lambda record: replace(record, **fields))


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_the_record_remembers_the_way_back(world):
    world.router.counts.update(v1=7)
    record = world.begin(cursor="here")
    assert world.store.load() == record
    assert (record.token, record.holder, record.stage, record.next_stage) == (1, "a", -1, 0)
    assert json.loads(record.original)["weights"] == {"v1": 100}
    assert record.baseline == {"requests": 7, "lost": 0, "version:v1": 7}
    assert (record.cursor, record.cursor_stage) == ("here", -1)
    assert record.lease_until == world.clock.now() + 60
    assert record.release_id.startswith("iris-20231114-")


def test_a_route_that_a_gitops_tool_keeps_is_told_before_the_release_with_the_rule_that_helps(world, caplog):
    world.router.claimed = Claims("Argo CD (Application shop)", "spec:\n  ignoreDifferences: …")
    record = world.begin()
    assert "Argo CD (Application shop) keeps the route as git has it" in record.events[0].message
    assert "spec:\n  ignoreDifferences: …" in caplog.text


@pytest.mark.parametrize(("last", "told"), [(50, []), (100, ["v1 may shrink"])])
def test_what_shrinks_the_primary_while_it_idles_is_told_where_a_stage_takes_all_of_its_traffic(
    world, caplog, last, told
):
    workloads = FakeWorkloads()
    workloads.shrunk = {"v1": "v1 may shrink", "v2": "v2 may shrink"}
    record = world.begin(stages=(Stage(10, 5.0), Stage(last, 5.0)), ending=Ending(workloads))
    assert [event.message for event in record.events] == told
    assert caplog.messages == told


@pytest.mark.parametrize(
    ("last", "sizes", "told"),
    [
        (100, {"v1": 10, "v2": 1}, ["v2 has 1 replicas, and is to take all of the traffic of the 10 of v1"]),
        (50, {"v1": 10, "v2": 1}, []),
        (100, {"v1": 2, "v2": 2}, []),
        (100, {"v1": 10}, []),
    ],
    ids=["smaller", "never alone", "as large", "not to be seen"],
)
def test_a_candidate_that_is_smaller_than_the_primary_is_told_where_it_takes_all_of_its_traffic(
    world, last, sizes, told
):
    workloads = FakeWorkloads()
    workloads.sizes = sizes
    record = world.begin(stages=(Stage(10, 5.0), Stage(last, 5.0)), ending=Ending(workloads))
    assert [event.message for event in record.events] == told
    assert record.size == sizes["v1"], "what the way back needs"


def test_the_routes_of_all_stages_are_foreseen(world):
    world.begin()
    assert world.router.foreseen == (Routes({"v1": 90, "v2": 10}), Routes({"v1": 50, "v2": 50}), Routes({"v2": 100}))


def test_without_stages_that_of_a_promotion_is(world):
    world.begin(stages=(), strategy=Strategy.NONE)
    assert world.router.foreseen == (Routes({"v2": 100}),)


def test_a_route_with_a_mirror_of_somebody_elses_is_refused(world):
    world.route.routes = Routes({"v1": 100}, mirror=Mirror("v2", 5))
    with pytest.raises(Refused, match="copies requests to v2 already, and a release would take that away"):
        world.begin()
    assert (world.store.load(), world.route.routes.mirror) == (None, Mirror("v2", 5))


def test_the_same_holder_begins_once(world):
    first = world.begin()
    world.clock.sleep(5)
    assert world.begin() == first


@pytest.mark.parametrize("outcome", [Outcome.PROMOTED, Outcome.ROLLED_BACK])
def test_a_run_that_is_repeated_after_its_end_begins_no_second_release(world, outcome):
    world.begin()
    ended = world.set(outcome=outcome)
    assert world.begin(once=True) == ended == world.store.load()
    world.begin("another", once=True)
    assert world.store.load().release_id != ended.release_id


def test_a_service_that_is_held_is_refused_with_the_holders_name(world):
    world.begin("a")
    with pytest.raises(Fenced, match=r"iris is held by a \(release iris-.*\) until .* UTC"):
        world.begin("b")
    assert world.store.load().holder == "a"


@pytest.mark.parametrize("how", ["the lease is over", "the holder is gone"])
def test_what_a_dead_holder_left_is_put_back_first(world, how):
    world.begin("a")
    world.route.routes = Routes({"v1": 60, "v2": 40})
    if how == "the lease is over":
        world.clock.sleep(61)
    record = world.begin("b", gone=lambda holder: holder == "a" and how == "the holder is gone")
    assert world.route.routes.weights == {"v1": 100}
    assert (record.holder, record.outcome) == ("b", None)
    assert record.token > 2, "the token grew with the restoring and with the new release"


def test_tokens_grow_from_release_to_release(world):
    first = world.begin()
    world.set(outcome=Outcome.ROLLED_BACK)
    second = world.begin()
    assert second.token == first.token + 1
    assert second.release_id != first.release_id


def test_a_new_record_on_a_route_that_has_had_releases_begins_above_their_tokens(world):
    world.route.fence = 7
    record = world.begin()
    assert record.token == 7 + ROOM
    assert record.release_id.endswith(f"-{7 + ROOM}")
    world.router.apply(Routes({"v1": 90, "v2": 10}), record.versions, fence=record.token)


def test_resuming_takes_over_where_it_was(world):
    world.begin("a")
    world.set(stage=1)
    record = world.begin("b", resume=True)
    assert (record.holder, record.token, record.next_stage) == ("b", 2, 1)
    assert "taken over from a by b" in record.events[-1].message


def test_what_ensure_safe_put_back_can_be_resumed(world):
    world.begin("a")
    world.set(stage=1, outcome=Outcome.ROLLED_BACK, reason="died", finished=1.0, interrupted=True)
    record = world.begin("b", resume=True)
    assert (record.outcome, record.reason, record.finished, record.interrupted) == (None, "", None, False)


def test_what_a_verdict_ended_cannot_be_resumed(world):
    world.begin("a")
    verdict = StageResult(0.0, 0, 10, Assessment(Verdict.ROLLBACK, "slow"))
    world.set(outcome=Outcome.ROLLED_BACK, interrupted=True, results=(verdict,))
    with pytest.raises(UsageError, match="cannot be resumed: it ended rolled-back"):
        world.begin("b", resume=True)


def test_with_nothing_to_resume_a_release_begins(world):
    assert world.begin(resume=True).token == 1


def test_a_dry_run_leaves_nothing(world):
    assert world.begin(dry_run=True).token == 1
    assert world.store.load() is None


@pytest.mark.parametrize("candidate", [Version("v1", "http://127.0.0.1:9"), Version("v2", "http://127.0.0.1:8001/")])
def test_one_version_twice_is_refused(world, candidate):
    with pytest.raises(UsageError, match="are the same version; give each its own"):
        world.begin(candidate=candidate)
    assert world.store.load() is None


@pytest.mark.parametrize(
    ("through", "primary", "said"),
    [
        (V2.uri + "/", V1, "of a stage is v2 itself"),
        (V1.uri, V1, "of a stage is v1 itself"),
        ("http://c:1", Version("collector", V1.uri), "collector is what a route calls the collector"),
    ],
)
def test_a_collector_is_no_version(world, through, primary, said):
    with pytest.raises(UsageError, match=said):
        world.begin(stages=(Stage(0, 5.0, mirror=50, through=through), Stage(10, 5.0)), primary=primary)
    assert world.store.load() is None


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"v1": 60, "v0": 40}, "sends traffic to v0, which is neither"),
        ({"v2": 100}, "the primary v1 has no traffic"),
        ({"v1": 60, "v2": 40}, r"the route is split \(v1 60 %, v2 40 %\): another release may be under way"),
    ],
)
def test_a_route_that_is_not_as_needed_is_refused(tmp_path, weights, said):
    world = World(tmp_path, **weights)
    with pytest.raises(Refused, match=said):
        world.begin()
    assert world.store.load() is None
    assert world.route.routes.weights == weights


def test_a_route_in_another_releases_testers_stage_is_refused(world):
    world.route.routes = Routes({"v1": 100}, (HeaderMatch("x-tester", "yes", "v2"),))
    with pytest.raises(Refused, match=r"split \(v1 100 %, x-tester=yes to v2\): another release may be under way"):
        world.begin()
    assert (world.store.load(), world.route.fence) == (None, 0)


def test_a_route_with_a_foreign_backend_is_refused(world):
    world.route.unknown = "somebody/else"
    with pytest.raises(Refused, match="somebody/else"):
        world.begin()
    assert world.store.load() is None


def test_a_record_of_another_service_is_refused(world):
    world.begin()
    with pytest.raises(UsageError, match="is of service iris, not wine"):
        world.begin("b", service="wine")


def test_of_two_that_begin_at_once_one_wins(world, tmp_path):
    other = World(tmp_path)

    class Slow(FakeRouter):
        def snapshot(self):
            other.begin("b")
            return super().snapshot()

    world.router = Slow(world.route)
    with pytest.raises(Fenced, match="was taken by b just now"):
        world.begin("a")
    assert world.store.load().holder == "b"


def test_a_first_version_has_nothing_to_be_compared_with_and_nothing_to_go_back_to(tmp_path):
    world = World(tmp_path, v2=100)
    record = world.begin(primary=None)
    assert (record.first, record.versions, record.stages) == (True, {"v2": V2}, ())
    ended = promote(world.store, Lease(), world.router, world.clock, alive=lambda: "", confirm=Confirmation(requests=0))
    assert (ended.outcome, ended.stable) == (Outcome.PROMOTED, V2)
    assert ended.reason == "v2 is the first version of iris: there was nothing to compare it with"
    assert "nothing to compare it with" in html(ended, None)
    assert "nothing to compare it with" in text(ended, None)


@pytest.mark.parametrize("weights", [{"v1": 100}, {"v1": 50, "v2": 50}])
def test_a_version_beside_another_is_not_the_first(tmp_path, weights):
    world = World(tmp_path, **weights)
    with pytest.raises(Refused, match="v2 is not the first version: the route holds v1"):
        world.begin(primary=None)


def test_what_was_retired_is_not_when_its_release_goes_on(world):
    world.begin("a")
    world.set(outcome=Outcome.ROLLED_BACK, interrupted=True, retired=True)
    assert world.begin("b", resume=True).retired is False


def test_a_stage_that_the_route_cannot_carry_is_refused(world):
    world.router.capabilities = Capabilities(reasons={MIRROR: "nobody copies"})
    tester, mirror = Stage(0, 1.0, header="a=b"), Stage(0, 1.0, mirror=5)
    for stage, why in ((tester, "its kind has no field for it"), (mirror, "nobody copies")):
        with pytest.raises(Refused, match=f"cannot carry a stage {stage.how}: {why}"):
            world.begin(stages=(stage, Stage(50, 1.0)))
    assert world.store.load() is None


def test_a_margin_without_a_primary_to_compare_with_is_refused(world):
    with pytest.raises(UsageError, match="compares with the primary, which has no traffic in the last stage"):
        world.begin(stages=(Stage(50, 1.0), Stage(100, 1.0)), slos=(Slo(Metric.ERROR_RATE, 0.1, relative=True),))
    assert world.store.load() is None


OTHERS = [
    ({"candidate": Version("v3", "http://127.0.0.1:8003")}, "its candidate is v2=http://127.0.0.1:8002, not v3="),
    ({"stages": (Stage(5, 600.0),)}, "its stages are others"),
    ({"slos": (Slo(Metric.ERROR_RATE, 0.5),)}, "its slos are others"),
    ({"rules": Rules(mode=Mode.PROVE)}, "its rules are others"),
    ({"metrics": "scrape:http://127.0.0.1:1"}, "its metrics is unset, not scrape"),
]


@pytest.mark.parametrize(("changed", "said"), OTHERS)
def test_another_release_than_the_recorded_one_is_not_resumed(world, changed, said):
    world.begin("a")
    before = world.store.load()
    with pytest.raises(UsageError, match=f"is of another release: {said}"):
        world.begin("b", resume=True, **changed)
    assert world.store.load() == before


@pytest.mark.parametrize("outcome", [Outcome.PROMOTED, Outcome.ROLLED_BACK])
def test_when_another_release_has_ended_there_is_nothing_to_resume_and_a_new_one_begins(world, outcome):
    world.begin("a")
    world.set(outcome=outcome)
    record = world.begin("b", resume=True, **OTHERS[0][0])
    assert (record.candidate.name, record.outcome, record.token) == ("v3", None, 2)


@pytest.mark.parametrize("outcome", [None, Outcome.BROKEN])
@pytest.mark.parametrize("resume", [True, False])
def test_the_way_back_of_another_route_is_not_thrown_away(world, outcome, resume):
    world.begin("a")
    before = world.set(outcome=outcome)
    world.route.routes = Routes({"v1": 75, "v2": 25})
    with pytest.raises(UsageError, match=r"has the way back of release .* on envoy:route, not on envoy:route2"):
        world.begin("b", route="envoy:route2", resume=resume, gone=lambda _: True)
    assert world.store.load() == before
    assert world.route.routes == Routes({"v1": 75, "v2": 25})


def test_the_same_holder_with_another_release_is_not_taken_for_a_second_try(world):
    world.begin("a")
    with pytest.raises(Fenced, match="is held by a"):
        world.begin("a", **OTHERS[0][0])
    assert world.store.load().candidate == V2


def test_of_two_that_begin_at_once_with_records_of_their_own_one_wins(world, tmp_path):
    (tmp_path / "other").mkdir()
    other = World(tmp_path / "other")
    other.router = FakeRouter(world.route)

    class Slow(FakeRouter):
        def snapshot(self):
            other.begin("b")
            return super().snapshot()

    world.router = Slow(world.route)
    with pytest.raises(Fenced):
        world.begin("a")
    assert world.store.load() is None
    assert other.store.load().holder == "b"


def test_a_second_release_of_a_route_from_another_record_fences_the_first_off(world, tmp_path):
    first = world.begin("a")
    other = World(tmp_path)
    other.store, other.route, other.router = FileStore(tmp_path / "other.json"), world.route, world.router
    second = other.begin("b")
    assert second.token > first.token
    with pytest.raises(Fenced):
        world.router.apply(Routes({"v1": 90, "v2": 10}), first.versions, fence=first.token)
    assert world.route.routes == Routes({"v1": 100})


def test_a_begin_that_fails_leaves_the_release_before_it_as_resumable_as_it_was(world, monkeypatch):
    first = world.begin()
    world.set(outcome=Outcome.ROLLED_BACK, interrupted=True)

    def not_taken_up(*args, **options):
        raise NotSettled("Envoy has not taken up iris/v2")

    with monkeypatch.context() as broken:
        broken.setattr(world.router, "apply", not_taken_up)
        with pytest.raises(NotSettled):
            world.begin("b")
    taken = world.begin("c", resume=True)
    assert (taken.release_id, taken.outcome, world.route.fence) == (first.release_id, None, taken.token)


def test_a_begin_that_the_route_is_taken_from_leaves_the_record_as_it_was(world, monkeypatch):
    world.begin()
    before = world.set(outcome=Outcome.ROLLED_BACK, interrupted=True)
    claim = world.router.claim

    def late(fence):
        world.route.fence = fence
        claim(fence)

    monkeypatch.setattr(world.router, "claim", late)
    with pytest.raises(Fenced):
        world.begin("b")
    assert world.store.load() == before


@pytest.mark.parametrize("route", ["envoy:route", "envoy:other"])
def test_a_begin_gives_no_release_the_route_back_that_it_has_lost(world, monkeypatch, route):
    """Killed before its claim, whose token is no earlier than the other one's."""
    world.begin()
    world.route.fence = 2
    with pytest.raises(Fenced):
        ensure_safe(world.store, world.router, world.clock, holder="x")
    lost = world.router
    world.router = lost if route == "envoy:route" else FakeRouter(Stored(Routes({"v1": 100})))

    def killed(fence):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(world.router, "claim", killed)
        with pytest.raises(KeyboardInterrupt):
            world.begin("b", route=route)
    world.route.routes = Routes({"v1": 50, "v2": 50})
    assert ensure_safe(world.store, lost, world.clock, holder="x")[0] == "none"
    assert world.route.routes == Routes({"v1": 50, "v2": 50})


def test_a_record_whose_way_back_is_another_releases_by_now_may_go_on_to_another_route(world):
    world.begin()
    world.route.fence = 5
    with pytest.raises(UsageError, match="has the way back of release"):
        world.begin("b", route="envoy:other", gone=lambda _: True)
    with pytest.raises(Fenced):
        ensure_safe(world.store, world.router, world.clock, holder="x")
    world.router = FakeRouter(Stored(Routes({"v1": 100})))
    assert world.begin("b", route="envoy:other").outcome is None
