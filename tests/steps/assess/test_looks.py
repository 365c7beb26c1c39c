"""Covers: looks in the middle of windows that grow: harm found by one is found at the same look by a replay of what is kept, whatever is
counted afterwards, and looking more often finds harm no later and else changes nothing.

Leaves out: how windows grow (test_windows.py), and who looks when (test_judge.py).
"""

import json
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fairway_steps.assess import assess
from fairway_steps.codec import decode, encode
from fairway_steps.model import Metric, Rules, Slo, Stratum, Verdict
from fairway_steps.windows import Ends, added

SLO = Slo(Metric.ERROR_RATE, 0.05)
WEIGHTS = {"v1": 90, "v2": 10}
SPELLS = st.lists(
    st.tuples(st.integers(1, 50), st.integers(0, 9), st.sampled_from([0, 0, 1, 2])), min_size=1, max_size=3
)
SECONDS = SPELLS.map(lambda spells: [(ok, bad) for seconds, ok, bad in spells for _ in range(seconds)])
"""What the candidate answered in each second: requests that went well, and that failed."""


def readings(seconds, every, begin=0):
    """What a source tells at each look: of the candidate what it did since the last one, of the primary that all is well."""
    ends = [*range(0, len(seconds), every), len(seconds)]
    for first, last in pairwise(ends):
        ok, bad = (sum(column) for column in zip(*seconds[first:last], strict=True))
        counts = {"v1": (50 * (last - first), 0), "v2": (ok + bad, bad)}
        yield [
            Stratum(name, float(begin + first), float(begin + last), WEIGHTS[name], n, {"http-500": x} if x else {})
            for name, (n, x) in counts.items()
        ]


def look(strata, *, over):
    rules = Rules(early_end=False)
    return assess([SLO], strata, candidate="v2", primary="v1", weight=10, over=over, is_last=True, rules=rules)


def live(seconds, every):
    """A stage that is looked at ``every`` so many seconds: what it ended with, and when, and what was kept until then."""
    strata = ()
    for reading in readings(seconds, every):
        strata = added(strata, reading)
        if found := look(strata, over=False):
            return found, strata[-1].end, strata
    return look(strata, over=True), float(len(seconds)), strata


@settings(max_examples=10, deadline=None)
@given(SECONDS, SECONDS, st.sampled_from([1, 2, 7]))
@example([(9, 0)] * 33 + [(0, 1)] * 30, [(9, 0)] * 5, 1)  # found in the middle of a window
def test_harm_is_found_at_the_same_look_by_a_replay_whatever_came_after(seconds, more, every):
    found, at, strata = live(seconds, every)
    for reading in readings(more, every, int(at)):
        strata = added(strata, reading, closed=Ends(at) if found.verdict is Verdict.ROLLBACK else Ends())
    kept = [decode(Stratum, json.loads(json.dumps(encode(stratum)))) for stratum in reversed(strata)]
    if found.verdict is Verdict.ROLLBACK:
        assert look(kept, over=False) == look(kept, over=True) == found
    else:
        assert look(kept, over=True) == look(strata, over=True)


@settings(max_examples=10, deadline=None)
@given(SECONDS, st.sampled_from([2, 3, 10]))
def test_more_looks_find_harm_no_later_and_else_change_nothing(seconds, every):
    seldom, late, _ = live(seconds, every)
    often, early, _ = live(seconds, 1)
    if seldom.verdict is Verdict.ROLLBACK:
        assert often.verdict is Verdict.ROLLBACK
        assert early <= late
    if often.verdict is not Verdict.ROLLBACK:
        assert often == seldom
