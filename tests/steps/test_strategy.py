"""Which schedule is whose: what each strategy takes, and the sentence for what it does not.

Left out: where it is asked (test_begin.py, test_config.py), stages that fit no strategy (test_config.py).
"""

import pytest

from fairway_steps.config import parse_stages
from fairway_steps.strategy import Strategy, unfit


@pytest.mark.parametrize(
    ("strategy", "stages"),
    [
        ("canary", "10@20s,50@20s"),
        ("canary", "header:x=y@20s,10@20s"),
        ("canary", "100@5m"),
        ("blue-green", "100@5m"),
        ("blue-green", "header:x=y@20s,50@5s,100@5m"),
        ("mirror", "mirror:50@5m"),
        ("mirror", "mirror:50:http://127.0.0.1:8090@5m,10@60s"),
        ("ab", "v2=30+v3=30@1h"),
        ("ab", "v2=50@1h"),
    ],
)
def test_a_schedule_of_the_strategy_fits(strategy, stages):
    assert unfit(Strategy(strategy), parse_stages(stages)) == ""


@pytest.mark.parametrize(
    ("strategy", "stages", "said"),
    [
        (
            "blue-green",
            "10@20s,50@20s",
            "strategy blue-green ends with all of the traffic on the candidate, not with 50",
        ),
        ("mirror", "10@20s", "strategy mirror begins with a mirror, not with 10"),
        ("ab", "10@20s", "strategy ab has one stage with a weight for each candidate, not 10; write v2=30+v3=30@1h"),
        (
            "canary",
            "v2=30@20s",
            "strategy canary has one candidate, and v2=30 is a stage between several; write strategy: ab",
        ),
        ("none", "10@20s", "strategy none has no stages; leave them out"),
        ("performance", "10@20s", "strategy performance has no stages"),
    ],
)
def test_another_one_is_told_what_it_lacks(strategy, stages, said):
    assert unfit(Strategy(strategy), parse_stages(stages)).startswith(said)


def test_where_nothing_is_judged_nothing_need_be_planned():
    assert unfit(Strategy.NONE, ()) == ""
    assert "there are none" in unfit(Strategy.CANARY, ())
    assert "write v2=30+v3=30@1h" in unfit(Strategy.AB, ())
