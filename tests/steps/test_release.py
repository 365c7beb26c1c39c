"""Covers: promotion (only of a candidate that answers), rollback by its own path and by the plain one if that fails, taking a
candidate off at once, and making safe whatever was left behind, at every state a release can be in.

Leaves out: real proxies (tests/e2e kills releases at random moments in front of one).
"""

import json
from dataclasses import replace

import pytest

from fairway_steps.clock import FakeClock
from fairway_steps.codec import encode
from fairway_steps.errors import DomainError, Fenced, NotReady, NotSettled, UsageError
from fairway_steps.intervention import Intervention
from fairway_steps.model import Assessment, HeaderMatch, Outcome, Promotion, Routes, Verdict
from fairway_steps.overtaken import Overtaken
from fairway_steps.record import Event, FileStore, Lease, StageResult
from fairway_steps.release import Ending, ensure_safe, promote, rollback, told, withdraw
from fairway_steps.strategy import Strategy
from fairway_steps.weights import Confirmation
from fakes_routing import FakeRouter, Stored
from fakes_workloads import FakeWorkloads
from records import record

PRIMARY = '{"weights": {"v1": 100}, "matches": [], "mirror": null, "sticky": null}'
QUICK = Confirmation(settle=0.2, requests=0, wait=0.0)


@pytest.fixture
def router():
    return FakeRouter(Stored(Routes({"v1": 50, "v2": 50})))


@pytest.fixture
def store(tmp_path):
    store = FileStore(tmp_path / "r.json")
    store.update(lambda _: record(original=PRIMARY, stage=2))
    return store


def weights(router):
    return dict(router.stored.routes.weights)


def test_promotion_gives_everything_to_the_candidate(store, router):
    router.counts.update(v1=5, v2=5)
    ended = promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK)
    assert weights(router) == {"v2": 100}
    assert (ended.outcome, ended.timeline[-1].why) == (Outcome.PROMOTED, "promoted")
    assert ended.counted == {"requests": 10, "lost": 0, "version:v1": 5, "version:v2": 5}


@pytest.mark.parametrize(
    ("changed", "by", "said"),
    [
        (
            {"results": (StageResult(0.0, 2, 50, Assessment(Verdict.PROMOTE, "")),)},
            "",
            "v2 met every SLO in all stages",
        ),
        ({}, "alice", "v2 was promoted on the word of alice, not of an assessment"),
        ({}, "", "v2 was promoted on the word of a person, not of an assessment"),
        ({"strategy": Strategy.NONE}, "", "v2 is ready; strategy none asks for no more"),
    ],
)
def test_a_promotion_claims_nothing_that_was_not_seen_and_names_who_asked_for_it(store, router, changed, by, said):
    store.update(lambda held: replace(held, **changed))
    ended = promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK, by=by)
    assert ended.reason == said
    assert [event.message for event in ended.events] == ([f"on the word of {by}"] if by else [])


def test_what_held_a_rehearsal_comes_before_what_a_person_said(store, router):
    store.update(lambda held: replace(held, rehearsal=StageResult(0.0, 0, 0, Assessment(Verdict.HOLD, "10 requests"))))
    ended = rollback(
        store, Lease(), router, FakeClock(), outcome=Outcome.HELD, reason="nobody approved it", confirm=QUICK
    )
    assert ended.reason == "10 requests; nobody approved it"


def test_a_rollback_names_who_asked_for_it(store, router):
    ended = rollback(store, Lease(), router, FakeClock(), outcome=Outcome.HELD, reason="no", confirm=QUICK, by="alice")
    assert ended.events[-1] == replace(ended.events[-1], step="held", message="on the word of alice")


ABORT = Intervention(Verdict.ROLLBACK, "alice", 1.0, "wrong model")
ABORTED = "the candidate was rolled back on the word of alice, not of the evidence: wrong model"


@pytest.mark.parametrize("changed", [{}, {"strategy": Strategy.NONE, "stages": ()}])
@pytest.mark.parametrize("by", ["", "bob"])
def test_what_a_person_has_aborted_is_rolled_back_whoever_promotes_it(store, router, changed, by):
    store.update(lambda held: replace(held, intervention=ABORT, **changed))
    router.apply = None  # no user is to reach it
    with pytest.raises(DomainError, match=f"is not promoted: {ABORTED}"):
        promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK, by=by)
    ended = store.load()
    assert (ended.outcome, ended.reason, weights(router)) == (Outcome.ROLLED_BACK, ABORTED, {"v1": 100})


def test_an_abort_that_comes_while_traffic_is_given_counts_too(store, router):
    apply = router.apply

    def meanwhile(routes, versions, *, fence=0):
        store.update(lambda held: replace(held, intervention=ABORT))
        return apply(routes, versions, fence=fence)

    router.apply = meanwhile
    with pytest.raises(DomainError, match="is not promoted"):
        promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK)
    assert (store.load().outcome, weights(router)) == (Outcome.ROLLED_BACK, {"v1": 100})


@pytest.mark.parametrize(
    "end",
    [
        lambda *given: rollback(*given, outcome=Outcome.HELD, reason="nobody approved it", confirm=QUICK),
        lambda store, lease, router, clock: ensure_safe(store, router, clock, holder="me")[1],
    ],
)
def test_an_aborted_release_ends_as_one_and_is_not_resumed(store, router, end):
    store.update(lambda held: replace(held, intervention=ABORT))
    ended = end(store, Lease(), router, FakeClock())
    assert (ended.outcome, ended.reason, ended.resumable) == (Outcome.ROLLED_BACK, ABORTED, False)


def test_a_candidate_that_does_not_answer_is_not_promoted(store, router):
    with pytest.raises(NotReady, match="v2 cannot be promoted: it is gone"):
        promote(store, Lease(), router, FakeClock(), alive=lambda: "it is gone", confirm=QUICK)
    assert weights(router) == {"v1": 50, "v2": 50}
    assert store.load().outcome is None


def test_a_promotion_the_proxy_does_not_serve_is_none(store, router):
    router.settles = False
    with pytest.raises(NotSettled):
        promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK)
    assert store.load().outcome is None


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_BACK, Outcome.HELD])
def test_rollback_puts_the_snapshot_back(store, router, outcome):
    router.apply = None  # the path of the stages must not be used
    ended = rollback(store, Lease(), router, FakeClock(), outcome=outcome, reason="because", confirm=QUICK)
    assert weights(router) == {"v1": 100}
    assert (ended.outcome, ended.reason) == (outcome, "because")


def test_what_held_a_release_comes_before_what_a_person_said(store, router):
    found = StageResult(1.0, 0, 10, Assessment(Verdict.HOLD, "no evidence: it cannot be reached"))
    store.update(lambda r: replace(r, results=(found,)))
    ended = rollback(store, Lease(), router, FakeClock(), outcome=Outcome.HELD, reason="nobody agreed", confirm=QUICK)
    assert ended.reason == "no evidence: it cannot be reached; nobody agreed"


def test_a_broken_snapshot_falls_back_on_the_plain_route(store, router):
    def broken(snapshot, *, fence=0):
        raise DomainError("unreadable")

    router.restore = broken
    rollback(store, Lease(), router, FakeClock(), outcome=Outcome.ROLLED_BACK, reason="", confirm=QUICK)
    assert weights(router) == {"v1": 100}


def test_a_testers_rule_from_before_the_release_does_not_come_back(store, router):
    match = encode(Routes({"v1": 100}, (HeaderMatch("x-tester", "yes", "v2"),)))
    store.update(lambda r: replace(r, original=json.dumps(match)))
    rollback(store, Lease(), router, FakeClock(), outcome=Outcome.ROLLED_BACK, reason="", confirm=QUICK)
    assert router.read() == Routes({"v1": 100})


def test_a_split_from_before_the_release_does_not_come_back(store, router):
    split = PRIMARY.replace('{"v1": 100}', '{"v1": 90, "v2": 10}')
    store.update(lambda r: replace(r, original=split))
    rollback(store, Lease(), router, FakeClock(), outcome=Outcome.ROLLED_BACK, reason="", confirm=QUICK)
    assert weights(router) == {"v1": 100}


def test_an_end_is_an_end(store, router):
    rollback(store, Lease(), router, FakeClock(), outcome=Outcome.HELD, reason="first", confirm=QUICK)
    with pytest.raises(Overtaken, match="has ended held meanwhile: first"):
        promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK)
    again = rollback(store, Lease(), router, FakeClock(), outcome=Outcome.ROLLED_BACK, reason="", confirm=QUICK)
    assert (again.outcome, again.reason, weights(router)) == (Outcome.HELD, "first", {"v1": 100})


def again(store, router, ended):
    if ended is Outcome.PROMOTED:
        return promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK)
    return rollback(store, Lease(), router, FakeClock(), outcome=ended, reason="", confirm=QUICK)


@pytest.mark.parametrize("ended", [Outcome.PROMOTED, Outcome.ROLLED_BACK])
def test_an_end_says_nothing_of_a_route_that_was_changed_since(store, router, ended):
    store.update(lambda r: replace(r, outcome=ended))
    with pytest.raises(
        DomainError, match=rf"has ended {ended}, but its route has been changed since: it holds v1 50 %"
    ):
        again(store, router, ended)
    assert weights(router) == {"v1": 50, "v2": 50}


def test_a_fenced_holder_ends_nothing(store, router):
    store.update(lambda r: replace(r, token=5))
    for end in (
        lambda: promote(store, Lease("iris-1", 4), router, FakeClock(), alive=lambda: "", confirm=QUICK),
        lambda: rollback(
            store, Lease("iris-1", 4), router, FakeClock(), outcome=Outcome.HELD, reason="", confirm=QUICK
        ),
        lambda: withdraw(store, Lease("iris-1", 4), router, FakeClock(), confirm=QUICK),
    ):
        with pytest.raises(Fenced):
            end()
    assert weights(router) == {"v1": 50, "v2": 50}


def test_a_harmful_candidate_is_off_at_once_and_the_record_open(store, router):
    withdraw(store, Lease(), router, FakeClock(), confirm=QUICK)
    assert weights(router) == {"v1": 100}
    assert store.load().outcome is None
    ended = rollback(store, Lease(), router, FakeClock(), outcome=Outcome.ROLLED_BACK, reason="", confirm=QUICK)
    assert [c.why for c in ended.timeline] == ["rolled back"], "the change is written down once"


def test_an_unfinished_release_is_made_safe_and_taken_over(store, router):
    action, ended = ensure_safe(store, router, FakeClock(), holder="me")
    assert (action, weights(router)) == ("restored", {"v1": 100})
    assert (ended.outcome, ended.holder, ended.token, ended.interrupted) == (Outcome.ROLLED_BACK, "me", 2, True)
    assert ended.reason == "the run ended before the release did"
    assert ended.resumable


def test_without_a_release_there_is_nothing_to_make_safe(tmp_path, router):
    assert ensure_safe(FileStore(tmp_path / "none.json"), router, FakeClock(), holder="me") == ("none", None)
    assert not (tmp_path / "none.json").exists()


@pytest.mark.parametrize(
    ("outcome", "stable"), [(Outcome.PROMOTED, "v2"), (Outcome.ROLLED_BACK, "v1"), (Outcome.HELD, "v1")]
)
def test_a_finished_release_is_held_to_its_end(store, router, outcome, stable):
    store.update(lambda r: replace(r, outcome=outcome))
    assert ensure_safe(store, router, FakeClock(), holder="me")[0] == "restored"
    assert weights(router) == {stable: 100}
    before = store.load()
    assert ensure_safe(store, router, FakeClock(), holder="me")[0] == "confirmed"
    assert store.load() == before


def test_a_route_of_a_finished_release_that_nobody_can_read_is_given_back(store, router):
    store.update(lambda r: replace(r, outcome=Outcome.ROLLED_BACK))
    router.stored.unknown = "somebody/else"
    assert ensure_safe(store, router, FakeClock(), holder="me")[0] == "restored"
    assert weights(router) == {"v1": 100}


def test_what_cannot_be_put_right_says_broken_and_can_be_mended(store, router):
    working = router.apply, router.restore, router.give_all

    def refuse(*_, **__):
        raise DomainError("the disk is full")

    router.apply = router.restore = router.give_all = refuse
    with pytest.raises(DomainError, match="could not be put back to v1: the disk is full"):
        ensure_safe(store, router, FakeClock(), holder="me")
    assert store.load().outcome is Outcome.BROKEN
    router.apply, router.restore, router.give_all = working
    action, ended = ensure_safe(store, router, FakeClock(), holder="me")
    assert (action, ended.outcome, weights(router)) == ("restored", Outcome.ROLLED_BACK, {"v1": 100})
    assert ended.reason.endswith("put right afterwards")


def test_the_reason_is_the_last_thing_that_went_wrong():
    failed = Event(10.0, "assess", "the source is away", failed=True)
    judged = StageResult(5.0, 0, 10, Assessment(Verdict.ROLLBACK, "v2 is slow"))
    assert told(record()) == "the run ended before the release did"
    assert told(record(events=(failed,))) == "the source is away"
    assert told(record(results=(judged,))) == "v2 is slow"
    assert told(record(events=(failed,), results=(judged,))) == "the source is away"
    assert told(record(events=(failed,), results=(replace(judged, at=11.0),))) == "v2 is slow"
    assert told(record(events=(replace(failed, failed=False),))) == "the run ended before the release did"


def test_a_missing_record_is_refused(tmp_path, router):
    with pytest.raises(UsageError, match="begin the release first"):
        rollback(
            FileStore(tmp_path / "no.json"),
            Lease(),
            router,
            FakeClock(),
            outcome=Outcome.HELD,
            reason="",
            confirm=QUICK,
        )


class Witness(FakeWorkloads):
    """Also notes who has the traffic at each call, and each change of the route."""

    def __init__(self, router):
        super().__init__()
        self.router = router
        real, last = router.apply, router.give_all

        def apply(routes, versions, *, fence=0):
            self.done.append(f"route {dict(routes.weights)}")
            return real(routes, versions, fence=fence)

        def give_all(version, *, fence=0):
            self.done.append(f"all to {version.name}")
            last(version, fence=fence)

        router.apply, router.give_all = apply, give_all


@pytest.fixture
def witness(router):
    return Witness(router)


def ending(witness):
    return Ending(witness, ready=60.0, drain=0.0)


def test_after_a_promotion_by_route_the_old_primary_goes_last(store, router, witness):
    promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK, ending=ending(witness))
    assert witness.done == ["route {'v2': 100}", "unguard v2", "retire v1 scale"]


def test_a_promotion_by_copy_takes_the_traffic_back_when_the_primary_is_ready(store, router, witness):
    store.update(lambda r: replace(r, promotion=Promotion.COPY))
    ended = promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK, ending=ending(witness))
    assert witness.done == [
        "route {'v2': 100}",
        "carry v1 two",
        "await v1 two",
        "route {'v1': 100}",
        "unguard v2",
        "retire v2 scale",
    ]
    assert (ended.outcome, ended.stable.name, ended.copied) == (Outcome.PROMOTED, "v1", "one")
    assert [dict(change.asked) for change in ended.timeline] == [{"v2": 100}, {"v1": 100}]
    assert ensure_safe(store, router, FakeClock(), holder="me", ending=ending(witness))[0] == "confirmed"


def test_a_primary_that_does_not_get_ready_leaves_the_traffic_where_it_is_and_is_undone(store, router, witness):
    store.update(lambda r: replace(r, promotion=Promotion.COPY))
    witness.fail["await"] = NotReady("the new pods crash")
    with pytest.raises(NotReady, match="the new pods crash"):
        promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK, ending=ending(witness))
    assert (weights(router), store.load().outcome) == ({"v2": 100}, None)
    witness.done.clear()
    with pytest.raises(DomainError, match="could not be put back"):
        ensure_safe(store, router, FakeClock(), holder="me", ending=ending(witness))
    assert weights(router) == {"v2": 100}, "the candidate answers, the primary cannot"
    assert store.load().outcome is Outcome.BROKEN
    witness.fail.clear()
    witness.done.clear()
    action, ended = ensure_safe(store, router, FakeClock(), holder="me", ending=ending(witness))
    assert witness.done == ["carry v1 one", "await v1 one", "all to v1", "unguard v2", "retire v2 scale"]
    assert (action, weights(router), ended.outcome) == ("restored", {"v1": 100}, Outcome.ROLLED_BACK)


def scaled_to_zero(router, witness, starts):
    """The primary is at zero replicas: the route takes no traffic from the candidate for it until it ``starts``."""
    gone = [True]

    def restore(snapshot, *, fence=0):
        raise NotReady("v1 cannot take the traffic back")

    real = router.give_all

    def give_all(version, *, fence=0):
        if gone[0] and version.name == "v1":
            raise NotReady("v1 cannot take the traffic back")
        real(version, fence=fence)

    def waiting(beat):
        beat()
        if not starts:
            raise NotReady("its pods crash")
        gone[0] = False

    router.restore, router.give_all, witness.waiting = restore, give_all, waiting
    witness.sizes = {"v1": 3}


@pytest.mark.parametrize(
    "end",
    [
        lambda *given, **ending: rollback(*given, outcome=Outcome.ROLLED_BACK, reason="harm", confirm=QUICK, **ending),
        lambda *given, **ending: withdraw(*given, confirm=QUICK, **ending),
        lambda store, lease, router, clock, **ending: ensure_safe(store, router, clock, holder="me", **ending),
    ],
    ids=["rollback", "withdraw", "ensure-safe"],
)
def test_a_primary_that_was_scaled_to_zero_is_revived_and_awaited_before_it_gets_the_traffic(
    store, router, witness, end
):
    store.update(lambda r: replace(r, size=3))
    scaled_to_zero(router, witness, ["at once"])
    end(store, Lease(), router, FakeClock(), ending=ending(witness))
    assert witness.done[:4] == ["revive v1 3", "await v1 one", "revive v1 3", "all to v1"]
    assert (weights(router), store.load().outcome) in [({"v1": 100}, Outcome.ROLLED_BACK), ({"v1": 100}, None)]


@pytest.mark.parametrize("sizes", [{"v1": 3}, {}], ids=["does not start", "cannot be scaled"])
def test_a_release_is_broken_only_once_its_primary_could_not_be_revived(store, router, witness, sizes):
    starts = []
    scaled_to_zero(router, witness, starts)
    witness.sizes = sizes
    with pytest.raises(DomainError, match="v1 cannot take the traffic back"):
        ensure_safe(store, router, FakeClock(), holder="me", ending=ending(witness))
    assert ("await v1 one" in witness.done) is bool(sizes)
    assert (weights(router), store.load().outcome) == ({"v1": 50, "v2": 50}, Outcome.BROKEN)
    starts.append("now")
    witness.sizes = {"v1": 3}
    assert ensure_safe(store, router, FakeClock(), holder="me", ending=ending(witness))[0] == "restored"
    assert weights(router) == {"v1": 100}


def test_a_copy_that_takes_longer_than_the_lease_keeps_it_and_is_fenced_off_once_it_is_lost(store, router, witness):
    store.update(lambda r: replace(r, promotion=Promotion.COPY, lease_for=30.0))
    clock = FakeClock()

    def waiting(beat):
        for _ in range(100):
            clock.sleep(1.0)
            beat()
            assert store.load().lease_until > clock.now(), "nobody may take it over"
        store.update(lambda r: replace(r, token=r.token + 1, holder="somebody else"))
        clock.sleep(10.0)
        beat()

    witness.waiting = waiting
    lease = Lease("iris-1", store.load().token)
    with pytest.raises(Fenced, match="taken over by somebody else"):
        promote(store, lease, router, clock, alive=lambda: "", confirm=QUICK, ending=ending(witness))
    assert weights(router) == {"v2": 100}


def test_a_promotion_by_copy_that_was_killed_goes_on(store, router, witness):
    store.update(lambda r: replace(r, promotion=Promotion.COPY))
    witness.fail["await"] = NotReady("killed here")
    with pytest.raises(NotReady):
        promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK, ending=ending(witness))
    witness.fail.clear()
    ended = promote(store, Lease(), router, FakeClock(), alive=lambda: "", confirm=QUICK, ending=ending(witness))
    assert (ended.outcome, ended.copied, witness.runs["v1"]) == (Outcome.PROMOTED, "one", "two")


def test_a_candidate_that_is_rolled_back_goes_after_its_traffic(store, router, witness):
    real = router.restore

    def restore(snapshot, *, fence=0):
        witness.done.append("restore")
        return real(snapshot, fence=fence)

    router.restore = restore
    rollback(
        store,
        Lease(),
        router,
        FakeClock(),
        outcome=Outcome.ROLLED_BACK,
        reason="",
        confirm=QUICK,
        ending=ending(witness),
    )
    assert witness.done == ["restore", "unguard v2", "retire v2 scale"]


def test_an_end_that_was_killed_before_the_retirement_is_made_up_for(store, router, witness):
    rollback(store, Lease(), router, FakeClock(), outcome=Outcome.ROLLED_BACK, reason="", confirm=QUICK)
    ensure_safe(store, router, FakeClock(), holder="me", ending=ending(witness))
    ensure_safe(store, router, FakeClock(), holder="me", ending=ending(witness))
    assert witness.done == ["unguard v2", "retire v2 scale"]
