"""Covers: where the primary's quantile lies by its latest windows, which odds are allowed there, and how both versions are counted.

Leaves out: what the pairs prove (assess/test_margins.py).
"""

import math
import random
from bisect import bisect_left
from dataclasses import replace

import numpy as np
import pytest

from fairway_steps.model import Histogram, Stratum
from fairway_steps.stats.columns import Columns
from fairway_steps.stats.latency import tail
from fairway_steps.stats.pairs import held, of_quantile, quantile_edges

EDGES = (0.1, 0.2, 0.4, math.inf)


def window(version, at, counts, failed=0, edges=EDGES):
    failures = {"x": failed} if failed else {}
    return Stratum(version, float(at), at + 1.0, 50, sum(counts) + failed, failures, Histogram(edges, tuple(counts)))


def edges_after(*strata, above=0.05, **options):
    """Where harm and health is read in the window after ``strata``: (edge, odds), or None."""
    found = quantile_edges(Columns(strata), np.array([len(strata)]), above, **options)
    return [None if np.isnan(edges.at[0]) else (edges.at[0], edges.allowed[0]) for edges in found]


def test_the_edges_around_the_quantile_and_the_odds_allowed_at_them():
    harm, health = edges_after(window("v1", 0, (900, 60, 30, 10)))
    assert harm == (0.2, pytest.approx(0.05 / 0.95 / (0.04 / 0.96)))
    assert health == (0.1, pytest.approx(0.05 / 0.95 / (0.1 / 0.9)))


def test_an_edge_at_the_quantile_itself_is_both():
    harm, health = edges_after(window("v1", 0, (900, 50, 40, 10)))
    assert harm == health == (0.2, pytest.approx(1.0))


def test_failed_requests_are_beyond_every_edge():
    harm, _ = edges_after(window("v1", 0, (880, 60, 30, 10), failed=20))
    assert harm == (0.4, pytest.approx(0.05 / 0.95 / (0.03 / 0.97)))


def test_an_edge_far_from_the_quantile_tells_nothing():
    assert edges_after(window("v1", 0, (0, 999, 1, 0))) == [None, None]


def test_too_few_requests_tell_nothing_and_old_ones_are_forgotten():
    first, second = window("v1", 0, (900, 50, 40, 10)), window("v1", 1, (0, 900, 60, 40))
    assert edges_after() == [None, None]
    assert edges_after(first, first=50.05) == [None, None]
    assert edges_after(first, second, recent=50)[0][0] == 0.4
    assert edges_after(first, second)[0][0] == 0.4
    assert edges_after(second, first, recent=50)[0][0] == 0.2
    other = replace(first, latency=Histogram((0.15, math.inf), (960, 40)))
    assert edges_after(second, other)[0][0] == 0.15
    assert edges_after(second, replace(other, latency=None))[0][0] == 0.4


def test_each_window_is_read_where_those_before_it_say():
    own = Columns([window("v2", at, (800, 100, 90, 10)) for at in range(2)])
    other = Columns([window("v1", at, (900, 60, 30, 10)) for at in range(2)])
    harm, health = of_quantile(own, other, [0, 1], 0.95, 1.0)
    assert (harm.rows.tolist(), harm.lines.tolist(), health.lines.tolist()) == ([1], [0.2], [0.1])
    assert [int(column[0]) for column in harm.counts] == [10, 1000, 40, 1000], "over 400 ms, twice 200 ms"
    assert [int(column[0]) for column in health.counts] == [100, 1000, 100, 1000], "over 200 ms, twice 100 ms"
    harm, health = of_quantile(own, other, [0, 1], 0.95, 0.5)
    assert harm.counts[0][0] == 10, "300 ms is no edge: surely over are those beyond 400 ms"
    assert health.counts[0][0] == 200, "150 ms is no edge: perhaps over are those beyond 100 ms"


def test_windows_that_become_known_together_are_read_alike():
    strata = Columns([window("v1", at, counts) for at, counts in enumerate([(900, 60, 30, 10)] * 2 + [(0, 0, 999, 1)])])
    harm, _ = of_quantile(strata, strata, [0, 1, 1], 0.95, 0.0)
    assert harm.rows.tolist() == [1, 2]
    assert harm.lines.tolist() == [0.2, 0.2]


def test_latencies_from_a_source_of_their_own_are_compared():
    """Such a source tells windows without a request (``metrics.combined``): those it timed are what there is."""
    columns = Columns([replace(window("v1", at, (900, 60, 30, 10)), requests=0) for at in range(2)])
    harm, _ = of_quantile(columns, columns, [0, 1], 0.95, 0.0)
    assert [int(column[0]) for column in harm.counts] == [40, 1000, 40, 1000]


def test_many_histograms_are_read_as_each_alone():
    rng = random.Random(5)
    strata = []
    for at in range(60):
        edges = rng.choice([EDGES, (0.15, 0.3, math.inf), (math.inf,)])
        counts = [rng.randrange(9) for _ in edges]
        strata.append(
            window("v1", at, counts, edges=edges) if rng.random() < 0.9 else Stratum("v1", at, at + 1.0, 50, 3)
        )
    columns = Columns(strata)
    for line in (0.05, 0.1, 0.1 * (1 + 1e-10), 0.16, 0.4, 7.0):
        surely, perhaps = columns.over(line)
        for k, stratum in enumerate(strata):
            alone = tail([stratum.latency], line) if stratum.latency else None
            assert (surely[k], perhaps[k]) == ((alone.least, alone.most) if alone else (0, 0))


def test_a_look_holds_what_was_known_last():
    looks = [2, 4, 4]
    assert held(np.array([0.5, 1.0, 2.0]), looks, 1, 6).tolist() == [0.0, 0.5, 0.5, 2.0, 2.0]
    assert held(np.array([]), [], 0, 2).tolist() == [0.0, 0.0]
    assert [bisect_left(looks, look) for look in looks] == [0, 1, 1]


def test_columns_of_some_strata_are_those_read_of_them_alone():
    rng, kinds = random.Random(7), (EDGES, (0.15, math.inf), (0.1, math.inf))
    strata = [
        window("v1", at, [rng.randrange(9) for _ in edges], rng.randrange(3), edges)
        for at, edges in enumerate(rng.choices(kinds, k=60))
    ]
    strata[20:24] = [replace(each, latency=None, seconds=1.0) for each in strata[20:24]]
    whole = Columns(strata)
    for size in (0, 1, 5, 30, 60):
        rows = sorted(rng.sample(range(60), size))
        part, alone = whole.some(rows), Columns([strata[row] for row in rows])
        for name in ("requests", "errors", "seconds", "has_latency", "timed", "sizes"):
            assert getattr(part, name).tolist() == getattr(alone, name).tolist(), name
        assert [b.edges for b in part.buckets] == [b.edges for b in alone.buckets]
        for ours, theirs in zip(part.buckets, alone.buckets, strict=True):
            assert (ours.rows.tolist(), ours.counts.tolist()) == (theirs.rows.tolist(), theirs.counts.tolist())
