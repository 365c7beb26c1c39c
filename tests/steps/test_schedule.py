"""Covers: the weights of each stage, what comes next, and the ends of the schedule. Leaves out: nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.errors import UsageError
from fairway_steps.model import HeaderMatch, Metric, Mirror, Routes, Slo, Stage, Stickiness, Version
from fairway_steps.schedule import collectors, misplaced, position, routes_of

STAGES = (Stage(10, 1.0), Stage(25, 2.0), Stage(50, 3.0))


def test_each_stage_leads_to_the_next_and_the_last_to_none():
    walked = [position(STAGES, index, "v1", "v2") for index in range(3)]
    assert [p.next_index for p in walked] == [1, 2, -1]
    assert [p.is_last for p in walked] == [False, False, True]
    assert [dict(p.routes.weights) for p in walked] == [
        {"v1": 90, "v2": 10},
        {"v1": 75, "v2": 25},
        {"v1": 50, "v2": 50},
    ]


def test_users_stay_on_the_primary_while_testers_or_copies_go_to_the_candidate():
    testers, copies = Stage(0, 1.0, header="x-canary=a=b"), Stage(0, 1.0, mirror=30)
    assert position((testers,), 0, "v1", "v2").routes == Routes({"v1": 100}, (HeaderMatch("x-canary", "a=b", "v2"),))
    assert position((copies,), 0, "v1", "v2").routes == Routes({"v1": 100}, mirror=Mirror("v2", 30))


def test_copies_go_to_the_collector_in_front_of_the_candidate():
    stages = (Stage(0, 1.0, mirror=30, through="http://c:8090"), Stage(10, 1.0))
    assert position(stages, 0, "v1", "v2").routes == Routes({"v1": 100}, mirror=Mirror("collector", 30))
    assert collectors(stages) == (Version("collector", "http://c:8090"),)
    assert collectors(stages[1:]) == ()


def test_a_reward_in_a_mirror_which_no_user_sees_is_refused_and_one_among_testers_is_not():
    copies, testers, ramp = Stage(0, 1.0, mirror=30), Stage(0, 1.0, header="x-canary=always"), Stage(10, 1.0)
    reward = Slo(Metric.REWARD, 0.02, relative=True)
    field, sentence = misplaced(["v2"], (copies, ramp), (Slo(Metric.ERROR_RATE, 0.01), reward))
    assert (field, sentence.split(",")[:2]) == ("stages", ["stage 1", " mirror 30 %"])
    assert "shows no user" in sentence
    assert misplaced(["v2"], (testers, ramp), (reward,)) is None
    assert misplaced(["v2"], (copies, ramp), (Slo(Metric.ERROR_RATE, 0.01),)) is None


@pytest.mark.parametrize("index", [-1, 3, 100])
def test_a_stage_outside_the_schedule_is_refused(index):
    with pytest.raises(UsageError, match=f"stage {index} is not in the schedule"):
        position(STAGES, index, "v1", "v2")


def test_several_candidates_have_their_own_shares_and_one_that_is_left_out_leaves_its_to_the_primary():
    stage, sticky = Stage(60, 5.0, weights={"v2": 30, "v3": 30}), Stickiness(cookie="a")
    assert routes_of(stage, "v1", "v2", sticky=sticky) == Routes({"v1": 40, "v2": 30, "v3": 30}, sticky=sticky)
    assert routes_of(stage, "v1", "v2", sticky=sticky, without={"v2": ""}).weights == {"v1": 70, "v3": 30}
    assert routes_of(stage, "v1", "v2", sticky=sticky, without=["v2", "v3"]) == Routes({"v1": 100})


@given(st.integers(0, 100))
def test_weights_add_up_to_100_and_a_version_at_0_is_not_in_them(weight):
    weights = routes_of(Stage(weight, 5.0), "v1", "v2").weights
    assert sum(weights.values()) == 100
    assert 0 not in weights.values()
    assert weights.get("v2", 0) == weight
