"""Covers: where the primary's quantile lies by its latest windows, which odds are allowed there, and how both versions are counted.

Leaves out: what the pairs prove (test_margins.py).
"""

import math
from dataclasses import replace

import pytest

from fairway_steps.assess.pairs import Count, Memory, of_quantile
from fairway_steps.assess.rest import Scene
from fairway_steps.model import Histogram, Stratum

EDGES = (0.1, 0.2, 0.4, math.inf)


def window(version, at, counts, failed=0, edges=EDGES):
    failures = {"x": failed} if failed else {}
    return Stratum(version, float(at), at + 1.0, 50, sum(counts) + failed, failures, Histogram(edges, tuple(counts)))


def filled(*strata, least=0.0, most=math.inf):
    memory = Memory(least, most)
    memory.keep(strata)
    return memory


def test_the_edges_around_the_quantile_and_the_odds_allowed_at_them():
    harm, health = filled(window("v1", 0, (900, 60, 30, 10))).edges(0.05)
    assert (harm.at, health.at) == (0.2, 0.1)
    assert harm.allowed == pytest.approx(0.05 / 0.95 / (0.04 / 0.96))
    assert health.allowed == pytest.approx(0.05 / 0.95 / (0.1 / 0.9))


def test_an_edge_at_the_quantile_itself_is_both():
    harm, health = filled(window("v1", 0, (900, 50, 40, 10))).edges(0.05)
    assert harm == health
    assert harm.at == 0.2
    assert harm.allowed == pytest.approx(1.0)


def test_failed_requests_are_beyond_every_edge():
    harm, _ = filled(window("v1", 0, (880, 60, 30, 10), failed=20)).edges(0.05)
    assert (harm.at, harm.allowed) == (0.4, pytest.approx(0.05 / 0.95 / (0.03 / 0.97)))


def test_an_edge_far_from_the_quantile_tells_nothing():
    assert filled(window("v1", 0, (0, 999, 1, 0))).edges(0.05) == (None, None)


def test_too_few_requests_tell_nothing_and_old_ones_are_forgotten():
    first, second = window("v1", 0, (900, 50, 40, 10)), window("v1", 1, (0, 900, 60, 40))
    assert filled(first, least=1001).edges(0.05) == (None, None)
    assert filled(first, second, most=1000).edges(0.05)[0].at == 0.4
    assert filled(first, second).edges(0.05)[0].at == 0.4
    assert filled(second, first, most=1000).edges(0.05)[0].at == 0.2
    other = replace(first, latency=Histogram((0.15, math.inf), (960, 40)))
    assert filled(second, other).edges(0.05)[0].at == 0.15


def test_each_window_is_read_where_those_before_it_say():
    strata = []
    for at in range(2):
        strata += [window("v1", at, (900, 60, 30, 10)), window("v2", at, (800, 100, 90, 10))]
    first, second = of_quantile(Scene.of(strata, "v2", "v1", None), 0.95, 1.0)
    assert (first[0].harm, first[0].health, first[0].line) == (None, None, None)
    assert second[0].line == 0.2
    assert second[0].harm == Count(10, 1000, 40, 1000, second[0].harm.allowed), "over 400 ms, twice 200 ms"
    assert second[0].health == Count(100, 1000, 100, 1000, second[0].health.allowed), "over 200 ms, twice 100 ms"
    near = of_quantile(Scene.of(strata, "v2", "v1", None), 0.95, 0.5)[1][0]
    assert near.harm.x == 10, "300 ms is no edge: surely over are those beyond 400 ms"
    assert near.health.x == 200, "150 ms is no edge: perhaps over are those beyond 100 ms"


def test_latencies_from_a_source_of_their_own_are_compared():
    """Such a source tells windows without a request (``metrics.combined``): those it timed are what there is."""
    strata = []
    for at in range(2):
        strata += [replace(window(v, at, (900, 60, 30, 10)), requests=0) for v in ("v1", "v2")]
    pair = of_quantile(Scene.of(strata, "v2", "v1", None), 0.95, 0.0)[1][0]
    assert (pair.harm.x, pair.harm.n, pair.harm.y, pair.harm.m) == (40, 1000, 40, 1000)
