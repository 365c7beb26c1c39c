"""The assess step over time: when it looks, when it ends, what it keeps, and how it goes on after being killed.

The clock jumps and the traffic is a function of time. Left out: real sources and proxies (contract and end-to-end tests), and
what the counts mean (test_assess.py).
"""

import json
import math
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.errors import Fenced, TransientError, Unassessable, UsageError
from fairway_steps.intervention import Intervention
from fairway_steps.judge import judge
from fairway_steps.metrics.base import Reading
from fairway_steps.metrics.combined import CombinedSource
from fairway_steps.metrics.mirrored import MirroredSource
from fairway_steps.model import Metric, Mode, Result, Rules, Slo, Stage, Stratum, Verdict
from fairway_steps.record import FileStore, Lease, WeightChange
from fairway_steps.replay import replay
from fairway_steps.routing.base import Served
from fairway_steps.stage_results import as_served
from fairway_steps.stage_watch import LAG
from fakes_assess import FakeRouter, FakeSource, FileSource, Version, stratum
from records import record

ERRORS = Slo(Metric.ERROR_RATE, 0.01)
P95 = Slo(Metric.LATENCY, 0.1, 0.95)
STAGES = (Stage(10, 8.0), Stage(25, 8.0), Stage(50, 8.0))
START = 1_700_000_000.0
LEASE = Lease("iris-1", 1)


class World:
    """One stage under judgement, with all there is to turn."""

    def __init__(self, tmp_path: Path, v2: Version = Version(20.0), **options):  # noqa: B008 - never changed
        self.clock = FakeClock(START)
        self.source = FakeSource({"v1": Version(180.0), "v2": v2}, START)
        self.store = FileStore(tmp_path / "record.json")
        self.router = FakeRouter(self.source, self.clock.now)
        self.alive = lambda: ""
        self.told: list[tuple[str, dict[str, object]]] = []
        self.options = {
            "slos": [ERRORS, P95],
            "stages": STAGES,
            "index": 0,
            "primary": "v1",
            "candidate": "v2",
        } | options

    def begin(self, **fields) -> None:
        fields = {"stages": STAGES, "slos": (ERRORS, P95), "stage": 0, "timeline": (change(0, START),)} | fields
        self.store.update(lambda _: record(**fields))

    def judge(self, *, recorded: bool = True, lease: Lease = LEASE, **options):
        return judge(
            self.store if recorded else None,
            lease,
            self.source,
            self.router,
            self.alive,
            self.clock,
            progress=lambda text, **fields: self.told.append((text, fields)),
            **self.options | options,
        )

    @property
    def elapsed(self) -> float:
        return self.clock.now() - START

    @property
    def kept(self):
        kept = self.store.load()
        assert kept is not None
        return kept


def change(stage: int, at: float) -> WeightChange:
    weight = STAGES[stage].weight if stage >= 0 else 0
    return WeightChange(at, stage, {"v1": 100 - weight, "v2": weight})


@pytest.fixture
def world(tmp_path) -> World:
    made = World(tmp_path)
    made.begin()
    return made


def test_a_good_candidate_advances_when_the_stage_is_over(world):
    result = world.judge()
    assert result.assessment.verdict is Verdict.ADVANCE
    assert world.elapsed == 8.0
    assert (result.stage, result.weight, result.waited) == (0, 10, 8.0)
    assert result.samples == {"v1": 1440, "v2": 160}
    assert result.measured == {"v1": 0.9, "v2": 0.1}
    assert world.kept.results == (result,)


def test_the_last_stage_promotes(world):
    assert world.judge(index=2).assessment.verdict is Verdict.PROMOTE
    assert world.judge(index=1, is_last=True).assessment.verdict is Verdict.PROMOTE


def test_it_tells_of_every_look_in_one_line(world):
    world.judge()
    assert len(world.told) == 9
    text, fields = world.told[5]
    assert text == ("stage 1/3 10 %: 5/8 s, v2 100 requests, error-rate 0 % (limit 1 %), p95 9.5 ms (limit 100 ms)")
    assert fields["elapsed"] == 5.0
    assert fields["requests"] == 100


def test_proof_of_harm_ends_it_at_once(tmp_path):
    world = World(tmp_path, Version(20.0, failing=0.2))
    world.begin()
    result = world.judge()
    assert result.assessment.verdict is Verdict.ROLLBACK
    assert world.elapsed == 3.0  # the first second settles
    assert "v2 fails 20 % of requests" in result.assessment.reason
    assert world.kept.results[0].assessment == result.assessment


def test_a_slow_candidate_is_rolled_back(tmp_path):
    world = World(tmp_path, Version(20.0, slow=0.5))
    world.begin()
    assert "p95 of v2 is" in world.judge().assessment.reason
    assert world.elapsed < 5


def test_it_waits_for_the_minimum_sample_and_no_longer(tmp_path):
    world = World(tmp_path, Version(4.0))
    world.begin()
    assert world.judge(patience=20.0).assessment.verdict is Verdict.ADVANCE
    assert world.elapsed == 14.0  # 50 requests at 4 a second, after the first second


@pytest.mark.parametrize(("patience", "waited"), [(None, 18.0), (3.0, 11.0), (0.0, 8.0)])
def test_patience_ends(tmp_path, patience, waited):
    world = World(tmp_path, Version(1.0))
    world.begin()
    result = world.judge(patience=patience)
    assert result.assessment.verdict is Verdict.HOLD
    assert "are too few, 50 are needed" in result.assessment.reason
    assert world.elapsed == waited


def test_a_candidate_without_a_request_is_held_even_if_told_to_promote(tmp_path):
    world = World(tmp_path, Version(0.0))
    world.begin()
    result = world.judge(on_inconclusive=Verdict.PROMOTE)
    assert result.assessment.verdict is Verdict.HOLD
    assert result.assessment.evidence[0].result is Result.NO_DATA


@pytest.mark.parametrize(("mode", "verdict"), [(Mode.PROVE, Verdict.ROLLBACK), (Mode.GUARD, Verdict.ADVANCE)])
def test_an_unproven_breach_ends_as_told_and_as_the_mode_asks(tmp_path, mode, verdict):
    world = World(tmp_path, Version(20.0, failing=0.0125))
    world.begin()
    result = world.judge(on_inconclusive=Verdict.ROLLBACK, rules=Rules(mode))
    assert result.assessment.verdict is verdict
    assert "over the limit of 1 %" in result.assessment.reason
    assert world.elapsed == 8.0


# A source or a candidate that is away


def test_a_source_that_comes_back_in_time_costs_nothing(world):
    world.source.problem = lambda now: "no answer from the proxy" if 2 < now - START < 10 else ""
    result = world.judge()
    assert result.assessment.verdict is Verdict.ADVANCE
    assert world.elapsed == 10.0
    assert result.samples["v2"] == 200
    assert world.told[4][0].endswith("no answer from the proxy")


def test_a_source_that_stays_away_is_neither_pass_nor_fail(world):
    world.source.problem = lambda now: "no answer from the proxy" if now - START > 6 else ""
    result = world.judge(on_inconclusive=Verdict.PROMOTE)
    assert result.assessment.verdict is Verdict.HOLD
    assert result.assessment.reason == "no evidence: no answer from the proxy"
    assert world.elapsed == 18.0


def test_strata_that_come_with_a_problem_are_no_evidence(world):
    world.source = FileSource([stratum(500, 400)], problem="the load test was limited by its own client")
    result = world.judge()
    assert result.assessment.verdict is Verdict.HOLD
    assert "limited by its own client" in result.assessment.reason
    assert world.kept.strata == ()


def test_a_source_that_never_was_there_is_an_error(world):
    world.source.never_there = True
    with pytest.raises(Unassessable, match="no metrics at"):
        world.judge()
    assert world.elapsed == 18.0
    assert world.kept.results == ()


def test_a_stage_that_was_never_set_has_no_evidence_and_says_how_to_get_some(world):
    world.source.never_there = True
    world.begin(timeline=())
    with pytest.raises(Unassessable, match="stage 0 was never set") as refused:
        world.judge()
    assert "`fairway set-weights --stage 0`" in str(refused.value)


def test_two_looks_without_the_candidate_are_the_end_of_it(world):
    world.alive = lambda: (
        "v2 at http://127.0.0.1:8002: the connection was refused or broke" if world.elapsed >= 3 else ""
    )
    result = world.judge()
    assert result.assessment.verdict is Verdict.ROLLBACK
    assert result.assessment.reason.startswith("v2 cannot be reached: v2 at http://127.0.0.1:8002")
    assert world.elapsed == 4.0


def test_one_hiccup_is_forgiven(world):
    world.alive = lambda: "no answer in time" if world.elapsed == 3 else ""
    assert world.judge().assessment.verdict is Verdict.ADVANCE


def test_no_stage_is_passed_on_a_candidate_that_just_did_not_answer(world):
    world.alive = lambda: "no answer in time" if world.elapsed >= 8 else ""
    assert world.judge().assessment.verdict is Verdict.ROLLBACK
    assert world.elapsed == 9.0


def test_the_candidate_s_end_counts_before_any_request(world):
    world.source.problem = lambda now: "no answer from the proxy"
    world.alive = lambda: "refused"
    assert world.judge().assessment.verdict is Verdict.ROLLBACK
    assert world.elapsed == 1.0


# The record


class Killed(BaseException):
    pass


@pytest.mark.parametrize("looks", range(1, 9))
def test_killed_at_any_look_it_goes_on_where_it_was(tmp_path, looks):
    world = World(tmp_path)
    world.begin()
    sleeps = 0

    def killing(seconds: float, sleep=world.clock.sleep) -> None:
        nonlocal sleeps
        sleeps += 1
        if sleeps == looks:
            raise Killed
        sleep(seconds)

    world.clock.sleep = killing
    with pytest.raises(Killed):
        world.judge()
    world.clock.time += 0.5
    result = world.judge()
    assert result.assessment.verdict is Verdict.ADVANCE
    assert world.elapsed == 8.0
    assert result.samples == {"v1": 1440, "v2": 160}
    assert sum(s.requests for s in world.kept.strata if s.version == "v2") == 160


def test_a_kill_that_outlasts_the_stage_still_leaves_one_look(world):
    world.alive = lambda: (_ for _ in ()).throw(Killed) if world.elapsed == 4 else ""
    with pytest.raises(Killed):
        world.judge()
    world.clock.time = START + 300
    world.alive = lambda: ""
    result = world.judge()
    assert result.assessment.verdict is Verdict.ADVANCE
    assert world.elapsed == 300
    assert result.samples["v2"] == 6000


def test_a_first_look_long_after_the_weights_were_set_still_has_its_patience(world):
    world.clock.time = START + 60
    result = world.judge()
    assert result.assessment.verdict is Verdict.ADVANCE
    assert world.elapsed == 63  # 50 requests at 20 a second, counted from the first look on


def test_a_stage_that_was_judged_is_not_judged_again(world):
    first = world.judge()
    reads = len(world.source.reads)
    assert world.judge() == first
    assert len(world.source.reads) == reads
    assert len(world.kept.results) == 1


def test_a_stage_that_was_held_can_be_repeated_with_the_counts_of_the_time_between(tmp_path):
    world = World(tmp_path, Version(2.0))
    world.begin()
    assert world.judge(patience=0.0).assessment.verdict is Verdict.HOLD
    world.clock.time = START + 20
    assert world.judge(patience=6.0).assessment.verdict is Verdict.ADVANCE
    assert world.elapsed == 26  # 50 requests at 2 a second, after the first second
    assert [result.assessment.verdict for result in world.kept.results] == [Verdict.HOLD, Verdict.ADVANCE]
    assert world.judge() == world.kept.results[-1]


def test_without_a_primary_only_the_candidate_is_read(tmp_path):
    world = World(tmp_path)
    result = world.judge(recorded=False, primary="")
    assert result.samples == {"v2": 160}
    assert {tuple(weights) for _, weights in world.source.reads} == {("v2",)}, "a source is asked for nobody else"


def test_weights_that_were_set_anew_are_judged_anew(world):
    world.judge()
    world.store.update(lambda r: replace(r, timeline=(*r.timeline, change(-1, START + 20), change(0, START + 30))))
    world.clock.time = START + 30
    assert world.judge().at == START + 38
    assert len(world.kept.results) == 2


def test_the_next_stage_reads_on_where_the_last_one_stopped(world):
    world.judge()
    world.clock.time += 2
    world.store.update(lambda r: replace(r, stage=1, timeline=(*r.timeline, change(1, START + 10))))
    result = world.judge(index=1)
    assert result.assessment.verdict is Verdict.ADVANCE
    assert result.samples["v2"] == 160
    own = [s for s in world.kept.strata if s.version == "v2"]
    assert sum(s.requests for s in own) == 360
    assert sum(s.requests for s in own if s.weight == 10) == 200
    weights = {at - START: asked for at, asked in world.source.reads[9:]}
    assert weights[10.0] == weights[11.0] == {"v1": 75, "v2": 25}


def test_each_look_renews_the_lease(world):
    world.judge()
    assert world.kept.lease_until == START + 8 + 600


def test_a_holder_that_was_replaced_stops_at_its_next_look(world):
    def taken_over() -> str:
        if world.elapsed == 3:
            world.store.update(lambda r: replace(r, token=2, holder="another"))
        return ""

    world.alive = taken_over
    with pytest.raises(Fenced, match="was taken over by another"):
        world.judge()
    assert world.elapsed == 4
    assert world.kept.results == ()


def test_two_at_once_do_not_count_twice(world):
    def other() -> str:
        now = world.clock.now()
        if now - START in (3.0, 4.0):
            reading = world.source.read(["v1", "v2"], {"v1": 90, "v2": 10}, world.kept.cursor, now + 0.5)
            world.store.update(lambda r: replace(r.with_strata(reading.strata), cursor=reading.cursor))
        return ""

    world.alive = other
    result = world.judge()
    assert result.assessment.verdict is Verdict.ADVANCE
    assert result.samples == {"v1": 1440, "v2": 160}


def intervening(world, verdict, look=2):
    """A person speaks while the stage is looked at for the second time; the candidate's life is asked for at each look."""
    looks = []

    def said() -> str:
        looks.append(verdict)
        if len(looks) == look:
            word = Intervention(verdict, "alice", world.clock.now(), "the night is short")
            world.store.update(lambda held: replace(held, intervention=word))
        return ""

    world.alive = said


@pytest.mark.parametrize(
    ("said", "index", "verdict"),
    [
        (Verdict.ADVANCE, 0, Verdict.ADVANCE),
        (Verdict.ADVANCE, 2, Verdict.PROMOTE),
        (Verdict.PROMOTE, 0, Verdict.PROMOTE),
        (Verdict.ROLLBACK, 1, Verdict.ROLLBACK),
    ],
)
def test_a_person_may_end_a_stage_at_the_next_look(world, said, index, verdict):
    intervening(world, said)
    result = world.judge(index=index)
    assert (result.assessment.verdict, world.elapsed) == (verdict, 2.0)
    assert result.assessment.reason.endswith("on the word of alice, not of the evidence: the night is short")
    assert result.assessment.evidence, "what was seen until then is kept"
    assert world.kept.intervention is None, "it is carried out once"
    assert [again.same for again in replay(world.kept)] == [True]


def test_a_stage_that_was_never_entered_after_an_abort_is_told_so_and_reads_nothing(tmp_path):
    world = World(tmp_path)
    world.store.update(
        lambda held: replace(held or record(), intervention=Intervention(Verdict.ROLLBACK, "alice", 1.0))
    )
    world.source.read = None
    result = world.judge()
    assert (result.assessment.verdict, result.basis.intervention.by, world.elapsed) == (Verdict.ROLLBACK, "alice", 0.0)
    assert (world.kept.strata, world.kept.intervention) == ((), None)


def test_a_person_is_heard_while_the_source_is_away_and_above_what_it_proves(tmp_path):
    world = World(tmp_path, Version(20.0, failing=0.2))
    world.begin()
    intervening(world, Verdict.PROMOTE, look=1)
    assert world.judge().assessment.verdict is Verdict.PROMOTE
    world = World(tmp_path)
    world.begin()
    world.source.never_there = True
    intervening(world, Verdict.ROLLBACK)
    assert world.judge().assessment.verdict is Verdict.ROLLBACK


def test_a_record_of_another_release_is_refused(world):
    with pytest.raises(UsageError, match="is of release iris-1, not iris-9"):
        world.judge(lease=Lease("iris-9"))


def test_without_a_record_the_counters_alone_do(tmp_path):
    world = World(tmp_path)
    result = world.judge(recorded=False, lease=Lease())
    assert result.assessment.verdict is Verdict.ADVANCE
    assert result.samples["v2"] == 160
    assert not world.store.path.exists()


# Files, shares, limits of use


def test_a_file_is_judged_in_one_look(world):
    world.source = FileSource([stratum(500, 1)])
    result = world.judge(slos=[ERRORS], index=1, stages=(Stage(5, 1.0), Stage(10, 3600.0)))
    assert result.assessment.verdict is Verdict.PROMOTE
    assert world.elapsed == 0


def test_a_file_after_a_live_stage_belongs_to_its_own_stage(world):
    world.judge()
    world.source = FileSource([stratum(500, weight=25)])
    result = world.judge(slos=[ERRORS], index=1)
    assert result.samples["v2"] == 500


def test_measured_shares_fall_back_on_the_source_s_counts(world):
    class Broken:
        def served(self) -> Served | None:
            raise TransientError("the proxy does not answer")

    world.router = Broken()
    assert world.judge().measured == {"v1": 0.9, "v2": 0.1}
    world.router = None
    assert world.judge(index=1).measured == {"v1": 0.9, "v2": 0.1}


def test_a_stage_that_ends_early_is_measured_by_the_source_that_saw_more_of_it(tmp_path):
    world = World(tmp_path, Version(20.0, failing=0.2))
    began = START - 4
    world.source = FakeSource(world.source.versions, began)
    world.begin(timeline=(change(0, began),), cursor=json.dumps({"at": began + 1}), cursor_stage=0)

    class Lately:
        """A proxy of which only the last moments were seen: one request, and that was the candidate's."""

        counts = iter([Served({"v1": 900, "v2": 100}, 1000, 0), Served({"v1": 900, "v2": 101}, 1001, 0)])

        def served(self) -> Served | None:
            return next(self.counts)

    world.router = Lately()
    result = world.judge()
    assert result.assessment.verdict is Verdict.ROLLBACK
    assert world.elapsed == 0, "it ended at the first look, before the proxy's counters had moved"
    assert result.samples == {"v1": 540, "v2": 60}
    assert result.measured == {"v1": 0.9, "v2": 0.1}


def test_a_proxy_that_restarted_is_not_measured_by_its_counters(world):
    class Restarted:
        counts = iter([Served({"v1": 1000, "v2": 1000}, 2000, 0), Served({"v1": 9000, "v2": 1}, 9001, 0)])

        def served(self) -> Served | None:
            return next(self.counts)

    world.router = Restarted()
    assert world.judge().measured == {"v1": 0.9, "v2": 0.1}


@pytest.mark.parametrize(
    ("options", "sentence"), [({"interval": 0.0}, "not above zero"), ({"index": 3}, "stage 3 is not")]
)
def test_what_cannot_be_watched_is_refused(world, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        world.judge(**options)


def test_looks_do_not_overshoot_the_stage(world):
    world.judge(interval=5.0)
    assert [at - START for at, _ in world.source.reads] == [0.0, 5.0, 8.0]


class Scraped(FakeSource):
    """What the last scrape has seen; there is one each second."""

    def read(self, versions, weights, cursor, now):
        looks = [*self.reads, (now, dict(weights))]
        found = super().read(versions, weights, cursor, math.floor(now - 0.7) + 0.7)
        self.reads[:] = looks
        return found


def test_what_is_scraped_is_read_just_after_each_scrape(world):
    world.source = Scraped(world.source.versions, START)
    world.judge()
    looks = [at - START for at, _ in world.source.reads]
    assert looks == pytest.approx([0.0, 1.0, *(scrape + LAG for scrape in (1.7, 2.7, 3.7, 4.7, 5.7, 6.7, 7.7)), 8.0])


class Delayed(FakeSource):
    """What was ``delay`` seconds ago, as a warehouse tells it."""

    delay = 5.0

    def read(self, versions, weights, cursor, now):
        looks = [*self.reads, (now, dict(weights))]
        found = Reading((), cursor)
        if not cursor or now - self.delay > json.loads(cursor)["at"]:
            found = super().read(versions, weights, cursor, now - self.delay)
        self.reads[:] = looks
        return replace(found, until=now - self.delay)


@pytest.mark.parametrize("delay", [0.5, 2.0, 5.0])
def test_a_source_with_a_delay_is_asked_once_an_interval(world, delay):
    world.source = Delayed(world.source.versions, START - 100)
    world.source.delay = delay
    world.judge()
    assert len(world.source.reads) <= world.clock.now() - START + 3


def test_latencies_that_come_late_are_waited_for(tmp_path):
    stages = (Stage(10, 40.0),)
    world = World(tmp_path, stages=stages)
    world.begin(stages=stages)
    counts, latencies = (Delayed(world.source.versions, START - 100) for _ in range(2))
    latencies.delay = 24.0
    world.source = CombinedSource(counts, latencies)
    world.router.served = lambda: None
    assert world.judge(patience=30.0).assessment.verdict is Verdict.PROMOTE
    assert world.elapsed == 64.0, "as soon as those of the whole stage are known, and not at once held"


def test_a_stage_whose_last_seconds_are_not_known_in_time_is_held(world):
    world.source = Delayed(world.source.versions, START - 100)
    found = world.judge(patience=3.0, is_last=True, on_inconclusive=Verdict.PROMOTE).assessment
    assert found.verdict is Verdict.HOLD
    assert "what came in the last 2 s of the stage is not known yet" in found.reason
    assert world.elapsed == 11.0
    assert all(one.same for one in replay(world.kept))


class Seldom(Delayed):
    """Tells what was up to the last multiple of fifteen seconds."""

    def read(self, versions, weights, cursor, now):
        self.delay = (now - START) % 15.0
        return super().read(versions, weights, cursor, now)


@pytest.mark.parametrize("users", [Seldom, Delayed, FakeSource])
def test_a_mirror_is_judged_beside_users_who_are_told_seldom_or_late(tmp_path, users):
    """Both versions fail 1 %, and the collector tells at each look."""
    margin, stages = Slo(Metric.ERROR_RATE, 0.5, relative=True), (Stage(0, 60.0, mirror=50), Stage(50, 60.0))
    options = {"slos": [margin], "stages": stages}
    world = World(tmp_path, **options)
    world.begin(slos=(margin,), stages=stages, timeline=(WeightChange(START, 0, {"v1": 100}),))
    direct = users({"v1": Version(100.0, failing=0.01), "v2": Version(0.0)}, START - 100)
    world.source = MirroredSource(direct, FakeSource({"v2": Version(50.0, failing=0.01)}, START - 100))
    world.router.served = lambda: None
    assert world.judge(rules=Rules(early_end=False)).assessment.verdict is Verdict.ADVANCE
    world.clock.sleep(30.0)
    later = world.source.read(("v1", "v2"), {"v1": 100}, world.kept.cursor, world.clock.now()).strata
    world.store.update(lambda r: r.with_strata(later))
    assert all(one.same for one in replay(world.kept)), "nothing that is told later is of the time that was judged"


@dataclass
class Breaking(Version):
    """Fails all of its requests from ``at`` on, in seconds."""

    at: float = 0.0

    def counters(self, elapsed):
        failed = math.floor(self.rate * max(0.0, elapsed - self.at) + 1e-9)
        return replace(super().counters(elapsed), failures={"http-503": failed} if failed else {})


@pytest.mark.parametrize("is_last", [False, True])
def test_harm_in_the_last_seconds_of_a_stage_is_waited_for_where_a_source_tells_it_late(tmp_path, is_last):
    world = World(tmp_path, slos=[ERRORS])
    world.begin(slos=(ERRORS,))
    world.source = Delayed({"v1": Version(180.0), "v2": Breaking(20.0, at=7.0)}, START)
    assert world.judge(is_last=is_last).assessment.verdict is Verdict.ROLLBACK
    assert 12.0 < world.elapsed <= 13.0


@pytest.mark.parametrize(("at", "verdict"), [(math.inf, Verdict.PROMOTE), (26.0, Verdict.ROLLBACK)])
def test_a_proof_of_health_ends_a_stage_once_what_is_known_reaches_the_look_that_found_it(tmp_path, at, verdict):
    """417 good requests at 20 a second, after the first second, are known after 27 s; what came till then is known 5 s later."""
    stages = (Stage(10, 60.0),)
    world = World(tmp_path, slos=[ERRORS], stages=stages)
    world.begin(slos=(ERRORS,), stages=stages)
    world.source = Delayed({"v1": Version(180.0), "v2": Breaking(20.0, at=at)}, START)
    assert world.judge().assessment.verdict is verdict
    assert 31.0 <= world.elapsed <= 33.0
    assert all(one.same for one in replay(world.kept))


# Replay


@pytest.mark.parametrize(("counts", "latencies"), [(5.0, 0.0), (0.0, 3.0)], ids=["counts are late", "latencies are"])
def test_a_record_of_two_sources_of_which_one_is_late_gives_every_assessment_again(tmp_path, counts, latencies):
    slos = (replace(ERRORS, limit=0.05), replace(P95, limit=0.25, quantile=0.9))
    world = World(tmp_path, slos=slos)
    parts = [Delayed(world.source.versions, START - 100) for _ in range(2)]
    parts[0].delay, parts[1].delay = counts, latencies
    world.source = CombinedSource(*parts)
    world.router.served = lambda: None
    world.begin(slos=slos)
    for index in range(2):
        if index:
            world.clock.sleep(2.0)
            now = world.clock.now()
            world.store.update(lambda r, i=index, t=now: replace(r, stage=i, timeline=(*r.timeline, change(i, t))))
            world.clock.sleep(1.0)
        world.judge(index=index, patience=1.0)
    found = list(replay(world.kept))
    assert len(found) == 2
    assert all(one.same for one in found), found


@pytest.mark.parametrize(
    "v2",
    [Version(20.0), Version(20.0, failing=0.2), Version(20.0, slow=0.5), Version(1.0), Version(200.0, failing=0.004)],
)
def test_a_record_gives_every_assessment_again_bit_for_bit(tmp_path, v2):
    slos = (ERRORS, P95, replace(ERRORS, limit=0.5, relative=True), replace(P95, limit=0.1, relative=True))
    world = World(tmp_path, v2, slos=slos)
    world.begin(slos=slos)
    for index in range(3):
        if index:
            now = world.clock.now()
            world.store.update(lambda r, i=index, t=now: replace(r, stage=i, timeline=(*r.timeline, change(i, t))))
        if world.judge(index=index, patience=1.0).assessment.verdict is not Verdict.ADVANCE:
            break
    found = list(replay(world.kept))
    assert len(found) == len(world.kept.results)
    assert all(one.same for one in found), found


def test_what_a_record_holds_and_what_was_said_can_differ_and_then_it_is_told(world):
    world.judge()
    kept = world.kept
    wrong = tuple(replace(s, failures={"http-500": 15}) if s.version == "v2" else s for s in kept.strata)
    (one,) = replay(replace(kept, strata=wrong))
    assert not one.same
    assert one.again.verdict is Verdict.ROLLBACK


@pytest.mark.parametrize("looks", range(1, 9))
def test_killed_before_it_could_say_so_it_says_the_same(tmp_path, looks):
    """The harm is in the record as soon as the look is; a step that is started again must not dilute it with what came after."""
    world = World(tmp_path, Version(20.0, failing=0.06))
    world.begin()
    plain = World(tmp_path / "plain", Version(20.0, failing=0.06))
    plain.begin()
    expected = plain.judge(patience=0.0)
    listens = 0

    def dying() -> str:
        nonlocal listens
        listens += 1
        if listens == looks:
            raise Killed
        return ""

    world.alive = dying
    with suppress(Killed):
        world.judge(patience=0.0)
    world.alive = lambda: ""
    result = world.judge(patience=0.0)
    assert result.assessment == expected.assessment


# Burn-in and what is critical, in a release that runs


@dataclass
class Cold(Version):
    """Fails all of its requests in its first three seconds, and none after."""

    def counters(self, elapsed):
        warm = super().counters(elapsed)
        failed = math.floor(self.rate * min(max(0.0, elapsed), 3.0) + 1e-9)
        return replace(warm, failures={"http-503": failed} if failed else {})


@pytest.mark.parametrize(("burn_in", "verdict"), [(0, Verdict.ROLLBACK), (1, Verdict.ROLLBACK), (3, Verdict.ADVANCE)])
def test_what_fails_within_the_burn_in_is_no_evidence_and_what_fails_after_it_is(tmp_path, burn_in, verdict):
    world = World(tmp_path, Cold(20.0), slos=[ERRORS])
    world.begin(slos=(ERRORS,))
    result = world.judge(rules=Rules(burn_in=burn_in))
    assert result.assessment.verdict is verdict
    own = [s for s in world.kept.strata if s.version == "v2"]
    assert sum(s.errors for s in own) >= 20, "it is in the record all the same"
    assert sum(s.requests for s in own if s.settling) == 20 * burn_in
    assert all(one.same for one in replay(world.kept))


@pytest.mark.parametrize("late", [0.0, 1.9, 2.1, 3.0, 6.0])
@pytest.mark.parametrize("interval", [1.0, 5.0])
def test_the_burn_in_is_no_evidence_however_late_the_assessment_begins(tmp_path, late, interval):
    world = World(tmp_path, Cold(20.0), slos=[ERRORS])
    world.begin(slos=(ERRORS,), cursor=json.dumps({"at": START}), cursor_stage=0)
    world.clock.sleep(late)
    result = world.judge(rules=Rules(burn_in=3), stages=(Stage(10, 30.0),), interval=interval)
    assert result.assessment.verdict is not Verdict.ROLLBACK
    own = [s for s in world.kept.strata if s.version == "v2"]
    assert sum(s.errors for s in own if s.settling) == sum(s.errors for s in own) >= 20
    assert sum(s.requests for s in own if not s.settling) > 200


@pytest.mark.parametrize("late", [0.0, 4.0, 10.0])
def test_a_cold_start_is_no_evidence_where_nothing_could_be_read_since_before_the_stage(tmp_path, late):
    """As of a version whose series begin with its first request: the step that sets the weights could not read any yet."""
    world = World(tmp_path, Cold(20.0), slos=[ERRORS])
    entered = START + 20.0
    world.source.zero = entered
    world.begin(slos=(ERRORS,), timeline=(change(0, entered),), cursor=json.dumps({"at": START}), created=START)
    world.clock.time = entered + late
    result = world.judge(rules=Rules(burn_in=3), stages=(Stage(10, 30.0),))
    assert result.assessment.verdict is not Verdict.ROLLBACK
    own = [s for s in world.kept.strata if s.version == "v2"]
    assert sum(s.errors for s in own if s.settling) == sum(s.errors for s in own) >= 20
    assert sum(s.requests for s in own if not s.settling and s.weight == 10) > 200


def test_a_critical_slo_ends_a_stage_sooner_than_the_same_among_many(tmp_path):
    beside = [Slo(Metric.LATENCY, 1.0, 0.5 + k / 100) for k in range(30)]
    ended = {}
    for critical in (False, True):
        world = World(tmp_path / str(critical), Version(20.0, failing=0.1))
        slos = [replace(ERRORS, critical=critical), *beside]
        world.begin(slos=tuple(slos))
        result = world.judge(slos=slos, patience=60.0, stages=(Stage(10, 60.0),), is_last=True)
        assert result.assessment.verdict is Verdict.ROLLBACK
        assert result.assessment.evidence[0].result is Result.FAIL
        ended[critical] = world.elapsed
        assert all(one.same for one in replay(world.kept))
    assert ended[True] < ended[False]


# Samples


def test_a_file_of_samples_gives_its_verdict_again_bit_for_bit(tmp_path):
    counts = [(150, 3 + at % 3) for at in range(12)]
    strata = [replace(stratum(n, bad), start=START + at, end=START + at + 1.0) for at, (n, bad) in enumerate(counts)]
    world = World(tmp_path, slos=[ERRORS], primary="")
    world.begin(slos=(ERRORS,))
    world.source = FileSource(strata)
    live = world.judge()
    assert live.assessment.verdict is Verdict.ROLLBACK
    (again,) = replay(world.kept)
    assert again.same
    assert again.again.log_e == live.assessment.log_e
    shuffled = World(tmp_path / "shuffled", slos=[ERRORS], primary="")
    shuffled.begin(slos=(ERRORS,))
    shuffled.source = FileSource(strata[::-1])
    assert shuffled.judge().assessment == live.assessment, "the order in which a file tells them changes nothing"
    one_more = replace(strata[0], failures={"http-500": strata[0].errors + 1})
    changed = World(tmp_path / "changed", slos=[ERRORS], primary="")
    changed.begin(slos=(ERRORS,))
    changed.source = FileSource([one_more, *strata[1:]])
    assert changed.judge().assessment.log_e != live.assessment.log_e


# Between stages


@dataclass
class Late(Version):
    """Fails all of its requests between the eighth and the eleventh second: after the first stage, before the second."""

    def counters(self, elapsed):
        failed = math.floor(self.rate * min(max(elapsed - 8.0, 0.0), 3.0) + 1e-9)
        return replace(super().counters(elapsed), failures={"http-503": failed} if failed else {})


def test_harm_done_between_two_stages_ends_the_release_at_the_first_look_of_the_next(tmp_path):
    world = World(tmp_path, Late(20.0), slos=[ERRORS])
    world.begin(slos=(ERRORS,))
    assert world.judge().assessment.verdict is Verdict.ADVANCE
    world.clock.sleep(4.0)
    now = world.clock.now()
    world.store.update(lambda r: replace(r, stage=1, timeline=(*r.timeline, change(1, now))))
    result = world.judge(index=1)
    assert result.assessment.verdict is Verdict.ROLLBACK
    assert world.clock.now() == now
    assert sum(s.errors for s in world.kept.strata if s.version == "v2" and s.weight == 10) == 60
    assert all(one.same for one in replay(world.kept))


def entered(world, index, at, **fields):
    made = replace(change(index, at), **fields)
    world.store.update(lambda r: replace(r, stage=index, timeline=(*r.timeline, made)))


@pytest.mark.parametrize("delay", [0.0, 2.0, 5.0])
def test_what_a_source_tells_late_of_a_stage_is_evidence_on_it_in_the_next(tmp_path, delay):
    """Failures from the ninth second on, while a person is asked; the next stage is entered after the twelfth."""
    world = World(tmp_path, Late(20.0), slos=[ERRORS])
    world.begin(slos=(ERRORS,))
    world.source = Delayed({"v1": Version(180.0), "v2": Late(20.0)}, START)
    world.source.delay = delay
    assert world.judge(patience=30.0).assessment.verdict is Verdict.ADVANCE
    now = START + 14.0
    world.clock.time = now
    entered(world, 1, now, settled_after=0.5)
    result = world.judge(index=1)
    assert result.assessment.verdict is Verdict.ROLLBACK
    assert world.clock.now() - now <= delay
    own = [s for s in world.kept.strata if s.version == "v2"]
    assert sum(s.errors for s in own if s.weight == 10 and not s.settling) >= 20
    assert not any(s.weight == 25 and not s.settling for s in own)
    assert all(one.same for one in replay(world.kept))


def test_who_looks_and_when_changes_nothing_of_what_is_told_late(tmp_path):
    """The weights of a stratum are those of its time, whether the stage, the next one or the step between them reads it."""
    kept = []
    for looks in ([], [15.0], [13.0, 16.0, 17.0]):
        world = World(tmp_path / str(len(looks)), slos=[ERRORS])
        world.begin(slos=(ERRORS,))
        world.source = Delayed({"v1": Version(180.0), "v2": Version(20.0)}, START - 100)
        world.judge(patience=30.0)
        entered(world, 1, START + 14.0, settled_after=0.5, began=START + 13.5)
        for at in looks:  # by a look-out
            read = world.source.read(("v1", "v2"), {"v1": 75, "v2": 25}, world.kept.cursor, START + at)
            world.store.update(
                lambda r, read=read: replace(
                    r.with_strata(as_served(r, read.strata, r.rules.burn_in, 1.0)), cursor=read.cursor
                )
            )
        world.clock.time = START + 18.0
        world.judge(index=1, patience=30.0)
        kept.append([s for s in world.kept.strata if s.version == "v2"])
    for strata in kept:
        assert sum(s.requests for s in strata if s.weight == 10 and not s.settling) == 20 * 12
        assert all(s.settling for s in strata if s.end > START + 13.5 and s.start < START + 15)


class EachQuarter:
    """Ten good requests a second of each version, told each 15 s, at ``phase``."""

    def __init__(self, phase):
        self.phase = phase

    def read(self, versions, weights, cursor, now):
        told = (now - self.phase) // 15 * 15 + self.phase
        before = float(cursor) if cursor else told
        count = int(10 * (told - before))
        strata = [Stratum(name, before, told, weights.get(name, 0), count) for name in versions if count]
        return Reading(tuple(strata), repr(told), until=told, every=15.0)


@pytest.mark.parametrize("phase", [3.0, 8.0, 13.0])
def test_a_patience_shorter_than_a_scrape_is_no_reason_to_hold(phase):
    clock = FakeClock()
    stages = (Stage(50, 60.0), Stage(100, 60.0))
    given = {"slos": [Slo(Metric.ERROR_RATE, 0.01)], "primary": "v1", "candidate": "v2", "stages": stages}
    found = judge(None, Lease(), EachQuarter(phase), None, str, clock, index=0, patience=0.0, **given)
    assert found.assessment.verdict is Verdict.ADVANCE, found.assessment.reason
