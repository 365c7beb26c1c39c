"""Covers: several candidates of one release: who wins, who is out, who is told apart from whom, at any look and at the end; that all of them together
keep the promised risk; that evidence which is missing holds.

Leaves out: one candidate's own SLOs (test_rules.py, test_rewards.py), the intervals (stats/test_gain.py), what happens on the route (test_judge.py).
"""

import random
from dataclasses import replace

import pytest

from fairway_steps.assess.contest import Contest
from fairway_steps.intervention import Intervention
from fairway_steps.model import Direction, Metric, Rules, Slo, Stratum, Unit, Verdict

REWARD = Slo(Metric.REWARD, 0.5, min_requests=100, relative=True, unit=Unit.USER)
ERRORS = Slo(Metric.ERROR_RATE, 0.01)
SHARES = {"v2": 30, "v3": 30}


def window(rng, version, at, weight, users, worth, failing=0.0):
    hits = sum(rng.random() < worth for _ in range(users))
    failed = sum(rng.random() < failing for _ in range(users))
    failures = {"http-500": failed} if failed else {}
    return Stratum(version, at, at + 1.0, weight, users, failures, users=users, reward=float(hits), squares=float(hits))


def traffic(seed, worth, seconds=40, users=40, failing=None):
    """So many users of each version a second, each worth 1 with the version's own probability."""
    rng = random.Random(seed)
    return [
        window(rng, name, float(at), SHARES.get(name, 40), users, chance, (failing or {}).get(name, 0.0))
        for at in range(seconds)
        for name, chance in worth.items()
    ]


def contest(strata, slos=(ERRORS, REWARD), rules=Rules(), weights=None):  # noqa: B008 - never changed
    return Contest(slos, strata, weights or SHARES, "v1", rules)


def judged(strata, over=True, dropped=None, **options):
    settled = {name: options.pop(name) for name in ("on_inconclusive", "problem", "intervention") if name in options}
    return contest(strata, **options).decide(over=over, dropped=dropped or {}, **settled)


def test_the_best_wins_and_each_candidate_has_its_sentence():
    found = judged(traffic(1, {"v1": 0.3, "v2": 0.3, "v3": 0.45}, seconds=60))
    assert (found.verdict, found.winner) == (Verdict.PROMOTE, "v3")
    assert [(arm.version, arm.verdict) for arm in found.arms] == [("v2", Verdict.ROLLBACK), ("v3", Verdict.PROMOTE)]
    second, third = (arm.sentence for arm in found.arms)
    assert second.startswith("v2 is not proved better: the mean reward of a user of v2 is 0.")
    assert third.startswith("v3 wins: the mean reward of a user of v3 is 0.4")
    assert "more (97.5 % interval 0." in third
    assert "; v3 is proved to keep its SLOs: error-rate 0 % (limit 1 %), reward " in third
    assert found.reason == third
    assert found.evidence == found.arms[1].evidence
    assert {item.slo for item in found.evidence} == {ERRORS, REWARD}


def test_of_two_that_are_better_the_leading_one_wins_and_what_is_not_known_is_said():
    found = judged(traffic(2, {"v1": 0.2, "v2": 0.4, "v3": 0.41}))
    assert found.verdict is Verdict.PROMOTE
    other = ({"v2", "v3"} - {found.winner}).pop()
    assert f"{found.winner} wins, not told apart from {other}: " in found.reason
    assert next(arm for arm in found.arms if arm.version == other).sentence.startswith(
        f"{other} is better than v1, and behind {found.winner}: "
    )


def test_nobody_better_leaves_the_primary():
    found = judged(traffic(3, {"v1": 0.3, "v2": 0.3, "v3": 0.3}))
    assert (found.verdict, found.winner) == (Verdict.ROLLBACK, "")
    assert found.reason.startswith("no candidate is proved better than v1, which stays: v")
    worse = judged(traffic(3, {"v1": 0.45, "v2": 0.3, "v3": 0.45}, seconds=60))
    assert worse.arms[0].sentence.startswith("v2 is worse than v1: ")


def test_lower_is_better_where_the_slo_says_so():
    slos = (ERRORS, replace(REWARD, direction=Direction.LOWER))
    found = judged(traffic(4, {"v1": 0.3, "v2": 0.15, "v3": 0.4}, seconds=60), slos=slos)
    assert (found.verdict, found.winner) == (Verdict.PROMOTE, "v2")


def test_a_candidate_that_does_harm_is_out_at_once_and_the_others_go_on():
    strata = traffic(5, {"v1": 0.3, "v2": 0.9, "v3": 0.45}, seconds=4, failing={"v2": 0.2})
    found = contest(strata)
    assert list(found.harmful) == ["v2"]
    assert found.harmful["v2"].startswith("v2 fails ")
    assert not found.harm
    assert found.decide(over=False, dropped={}) is None
    assert {item.slo for item in found.evidence} == {ERRORS, REWARD}
    assert len(found.evidence) == 2, "of v3 alone"
    more = traffic(5, {"v1": 0.3, "v3": 0.45}, seconds=80)
    ended = judged(
        [*strata, *(replace(s, start=s.start + 4, end=s.end + 4) for s in more)], dropped={"v2": "it was bad"}
    )
    assert (ended.verdict, ended.winner) == (Verdict.PROMOTE, "v3")
    assert ended.arms[0].sentence == "v2 is out: it was bad"


def test_the_most_rewarding_one_does_not_win_if_it_breaks_an_slo():
    strata = traffic(6, {"v1": 0.3, "v2": 0.9, "v3": 0.3}, failing={"v2": 0.2})
    found = judged(strata)
    assert (found.verdict, found.winner) == (Verdict.ROLLBACK, "")
    assert found.arms[0].sentence.startswith("v2 is out: v2 fails ")


def test_with_all_out_there_is_nothing_to_wait_for():
    failing = {"v2": 0.2, "v3": 0.3}
    found = contest(traffic(7, {"v1": 0.3, "v2": 0.5, "v3": 0.5}, seconds=10, failing=failing))
    assert found.harm
    ended = found.decide(over=False, dropped={})
    assert (ended.verdict, ended.winner) == (Verdict.ROLLBACK, "")
    assert ended.reason.startswith("no candidate is left: v2 is out: v2 fails ")
    gone = judged([], over=False, dropped={"v2": "it cannot be reached", "v3": "neither can it"})
    assert gone.reason == "no candidate is left: v2 is out: it cannot be reached; v3 is out: neither can it"


def test_a_split_ends_early_once_the_best_of_all_is_proved():
    clear = traffic(8, {"v1": 0.1, "v2": 0.2, "v3": 0.7}, seconds=100, users=60)
    lax = (Slo(Metric.ERROR_RATE, 0.05), REWARD)
    found = judged(clear, over=False, slos=lax)
    assert (found.verdict, found.winner) == (Verdict.PROMOTE, "v3")
    assert judged(clear, over=False, slos=lax, rules=Rules(early_end=False)) is None
    assert judged(clear, over=False, slos=lax, problem="the source is away") is None
    level = traffic(8, {"v1": 0.1, "v2": 0.7, "v3": 0.7}, seconds=100, users=60)
    assert judged(level, over=False, slos=lax) is None, "which of the two is the better one is still open"
    primary = traffic(8, {"v1": 0.7, "v2": 0.5, "v3": 0.5}, seconds=100, users=60)
    ended = judged(primary, over=False, slos=lax)
    assert (ended.verdict, ended.winner) == (Verdict.ROLLBACK, "")


@pytest.mark.parametrize(
    ("strata", "options"),
    [
        ([], {}),
        (traffic(9, {"v1": 0.3, "v2": 0.9, "v3": 0.3}, seconds=2), {}),
        (traffic(9, {"v1": 0.3, "v2": 0.9, "v3": 0.9}), {"problem": "the source is away"}),
        (traffic(9, {"v1": 0.3, "v3": 0.3}), {}),
    ],
)
def test_without_evidence_on_all_that_are_left_a_person_is_asked(strata, options):
    found = judged(strata, **options)
    assert (found.verdict, found.winner) == (Verdict.HOLD, "")
    assert judged(strata, **options, on_inconclusive=Verdict.PROMOTE).winner == ""


def test_one_that_is_proved_better_need_not_wait_for_the_others():
    strata = [s for s in traffic(10, {"v1": 0.3, "v2": 0.5, "v3": 0.3}) if s.version != "v3" or s.start < 2]
    found = judged(strata)
    assert (found.verdict, found.winner) == (Verdict.PROMOTE, "v2")
    assert found.arms[1].sentence.startswith("v3 cannot win: ")


def test_the_order_of_strata_changes_nothing():
    strata = traffic(11, {"v1": 0.3, "v2": 0.35, "v3": 0.45})
    mixed = random.Random(1).sample(strata, len(strata))
    assert judged(mixed) == judged(strata)


def test_one_candidate_alone_is_an_a_b_test():
    strata = traffic(12, {"v1": 0.3, "v2": 0.45})
    found = judged(strata, weights={"v2": 30})
    assert (found.verdict, found.winner) == (Verdict.PROMOTE, "v2")
    assert "(95 % interval " in found.reason


def test_four_that_are_alike_are_seldom_told_apart_at_any_of_many_looks():
    """At each of 6 looks an uncorrected 95 % interval of each would name some winner in far more than 5 % of the runs."""
    shares, named, runs = {"v2": 20, "v3": 20, "v4": 20}, 0, 60
    for seed in range(runs):
        rng = random.Random(seed)
        strata = [
            window(rng, name, float(at), shares.get(name, 40), 100, 0.3) for at in range(12) for name in ("v1", *shares)
        ]
        looks = (judged([s for s in strata if s.end <= end], slos=(REWARD,), weights=shares) for end in range(2, 13, 2))
        named += any(found.winner for found in looks)
    assert named <= 3 + 5, "binomial(60, 0.05): above 8 with probability 0.002"


WORD = Intervention(Verdict.PROMOTE, "alice", 1.0, "it is late")


def test_a_person_promotes_the_one_candidate_that_is_left_and_is_named():
    found = judged(traffic(1, {"v1": 1.0, "v2": 1.0, "v3": 1.0}), over=False, dropped={"v2": "out"}, intervention=WORD)
    assert (found.verdict, found.winner, found.reason) == (Verdict.PROMOTE, "v3", WORD.sentence)


def test_a_person_who_ends_a_split_is_named_and_the_evidence_decides():
    skipped = replace(WORD, verdict=Verdict.ADVANCE)
    found = judged(traffic(1, {"v1": 0.3, "v2": 0.3, "v3": 0.3}), over=False, intervention=skipped)
    assert found.reason.startswith(f"{skipped.sentence}; ")
    assert (found.verdict, found.winner) == (Verdict.ROLLBACK, "")
