"""Covers: rules to ``Routes`` and back for any of both, foreign fields and order, and rules that are refused by name.

Leaves out: reading and writing them (test_gateway_api.py).
"""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.cluster import Reference
from fairway_steps.model import HeaderMatch, Mirror, Routes
from fairway_steps.routing.base import Unknown
from fairway_steps.routing.rules import Around, decode, encode
from fairway_steps.workload.place import Place

PLACES = {
    name: Place(Reference.of("deployment", namespace, name), f"svc-{name}", 80)
    for name, namespace in (("v1", "ns"), ("v2", "ns"), ("v3", "elsewhere"))
}
IRIS = Around("iris", PLACES, "ns")


def backend(name, **more):
    return {"name": f"svc-{name}", "port": 80} | more


def rule(*backends, **more):
    return {"backendRefs": list(backends)} | more


names = st.sampled_from(["v1", "v2", "v3"])
shares = st.lists(st.integers(1, 97), min_size=0, max_size=2, unique=True).map(
    lambda cuts: [b - a for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 100], strict=True)]
)
routes = st.builds(
    lambda order, parts, matches, mirror: Routes(
        dict(zip(order, parts, strict=False)), tuple(matches), Mirror(*mirror) if mirror else None
    ),
    st.permutations(["v1", "v2", "v3"]),
    shares,
    st.lists(st.builds(HeaderMatch, st.sampled_from(["x-a", "x-b"]), st.text("ab", min_size=1), names), max_size=3),
    st.none() | st.tuples(names, st.integers(1, 100)),
)
foreign = st.lists(
    st.sampled_from(
        [
            rule({"name": "other", "port": 1}, matches=[{"path": {"value": "/other"}}]),
            {"matches": [{"path": {"value": "/redirect"}}], "filters": [{"type": "RequestRedirect"}]},
            rule({"name": "svc-v1", "kind": "Bucket", "group": "storage"}),
            rule(
                {"name": "svc-w1"},
                name="fairway-match-0-0-wine-iris",
                matches=[{"headers": [{"name": "x", "value": "y"}]}],
            ),
        ]
    ),
    max_size=2,
)
own = st.builds(
    lambda filters, matches, more: rule(backend("v1", weight=7), **filters, **matches, **more),
    st.sampled_from([{}, {"filters": [{"type": "URLRewrite", "urlRewrite": {"hostname": "h"}}]}]),
    st.sampled_from([{}, {"matches": [{"path": {"value": "/a"}}, {"headers": [{"name": "x", "value": "y"}]}]}]),
    st.sampled_from([{}, {"timeouts": {"request": "5s"}}, {"name": "mine"}]),
)


@given(foreign, own, foreign, own, st.lists(routes, min_size=1, max_size=3))
def test_whatever_is_written_is_read_and_nothing_else_is_touched(before, one, between, two, steps):
    stored = [*before, one, *between, two]
    now = stored
    for wanted in steps:
        now = encode(now, wanted, IRIS)
        assert decode(now, IRIS) == wanted
        theirs = [rule for rule in now if not IRIS.owns(rule)]
        assert now[: len(theirs)] == theirs, "each of the user's rules keeps its place"
        assert encode(now, wanted, IRIS) == now
    assert encode(now, Routes({"v1": 100}), IRIS) == [_of_v1(rule) for rule in stored]
    assert not any(IRIS.owns(rule) for rule in encode(now, Routes({"v1": 100}), IRIS))


def _of_v1(stored):
    """A rule with all its traffic on v1; its backend's own fields may have gone with the backend."""
    refs = stored.get("backendRefs", [])
    mine = any(ref.get("name") == "svc-v1" and ref.get("kind", "Service") == "Service" for ref in refs)
    return stored | {"backendRefs": [backend("v1", weight=100)]} if mine else stored


def test_rules_are_not_changed_in_place():
    stored = [rule(backend("v1"))]
    before = copy.deepcopy(stored)
    encode(stored, Routes({"v1": 50, "v2": 50}), IRIS)
    assert stored == before


def test_a_backend_elsewhere_names_its_namespace():
    (written,) = encode([rule(backend("v1"))], Routes({"v1": 50, "v3": 50}), IRIS)
    assert written["backendRefs"][1] == {"name": "svc-v3", "port": 80, "namespace": "elsewhere", "weight": 50}
    assert "namespace" not in encode([written], Routes({"v2": 100}), IRIS)[0]["backendRefs"][0]


@pytest.mark.parametrize(
    ("weights", "read"),
    [
        ((9, 1), {"v1": 90, "v2": 10}),
        ((1, 1), {"v1": 50, "v2": 50}),
        ((1, 0), {"v1": 100}),
        ((400, 100), {"v1": 80, "v2": 20}),
    ],
)
def test_weights_are_shares(weights, read):
    stored = [rule(*(backend(n, weight=w) for n, w in zip(("v1", "v2"), weights, strict=True)))]
    assert decode(stored, IRIS) == Routes(read)


def test_a_mirror_may_be_a_fraction():
    def mirrored(**how):
        target = {"backendRef": backend("v2")} | how
        return [rule(backend("v1"), filters=[{"type": "RequestMirror", "requestMirror": target}])]

    assert decode(mirrored(), IRIS).mirror == Mirror("v2", 100)
    assert decode(mirrored(fraction={"numerator": 1, "denominator": 4}), IRIS).mirror == Mirror("v2", 25)
    assert decode(mirrored(fraction={"numerator": 7}), IRIS).mirror == Mirror("v2", 7)


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        ([], "no rule has a backend of svc-v1, svc-v2, svc-v3, but only none at all"),
        ([rule({"name": "a"}, {"name": "b"})], "but only a, b"),
        ([rule(backend("v1"), {"name": "other"})], "the backend other, which is none of v1, v2, v3"),
        ([rule(backend("v1", weight=0))], "every backend has weight 0"),
        ([rule(backend("v1", weight=2), backend("v2", weight=1))], "no whole percents"),
        ([rule(backend("v1"), backend("v1", port=81))], "two backends of svc-v1 in one rule"),
        ([rule(backend("v1")), rule(backend("v2"))], "split the traffic differently"),
    ],
)
def test_rules_that_are_not_as_fairway_needs_them_are_told(stored, sentence):
    with pytest.raises(Unknown, match=sentence):
        decode(stored, IRIS)


def test_an_unknown_backend_of_weight_zero_is_no_hindrance_and_stays():
    assert decode([rule(backend("v1"), {"name": "old", "weight": 0})], IRIS) == Routes({"v1": 100})
    dark = {"name": "dr-site", "port": 9, "weight": 0}
    (written,) = encode([rule(dark, backend("v1"))], Routes({"v1": 80, "v2": 20}), IRIS)
    assert written["backendRefs"] == [backend("v1", weight=80), backend("v2", weight=20), dark]
