"""Covers: http routes to ``Routes`` and back for any of both, foreign fields and order, two services in one
VirtualService, hosts, subsets and models of a ModelMesh, and what is refused by name.

Leaves out: reading and writing them (test_istio.py).
"""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.cluster import Reference
from fairway_steps.model import HeaderMatch, Mirror, Routes
from fairway_steps.routing.base import Unknown
from fairway_steps.routing.virtual_service import Around, decode, encode
from fairway_steps.workload.place import Place


def place(name, namespace="ns", **more):
    return Place(Reference.of("deployment", namespace, name), more.pop("service", f"svc-{name}"), 80, **more)


IRIS = Around("iris", {"v1": place("v1"), "v2": place("v2"), "v3": place("v3", "elsewhere")}, "ns")
SUBSETS = Around("iris", {n: place(n, service="iris", subset=n) for n in ("v1", "v2")}, "ns")
MESH = Around("iris", {n: place(n, service="modelmesh-serving", vmodel=n) for n in ("v1", "v2")}, "ns")


def to(host, weight=None, **more):
    return {"destination": {"host": host}} | ({} if weight is None else {"weight": weight}) | more


names = st.sampled_from(["v1", "v2", "v3"])
shares = st.lists(st.integers(1, 99), max_size=2, unique=True).map(
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
            {"match": [{"uri": {"exact": "/other"}}], "route": [to("other")]},
            {"name": "fairway-match-0-0-other", "match": [{"headers": {"x": {"exact": "y"}}}], "route": [to("other")]},
            {"match": [{"uri": {"exact": "/old"}}], "redirect": {"uri": "/new"}},
            {"match": [{"uri": {"prefix": "/d"}}], "delegate": {"name": "d"}},
        ]
    ),
    max_size=3,
)
own = st.builds(
    lambda host, match, more: {"route": [to(host)], **match, **more},
    st.sampled_from(["svc-v1", "svc-v1.ns.svc.cluster.local"]),
    st.sampled_from(
        [
            {},
            {"match": [{"uri": {"prefix": "/a"}}, {"headers": {"x-c": {"regex": "."}}}]},
            {"match": [{"headers": {"a-c": {}, "x-c": {"exact": "."}}}]},
        ]
    ),
    st.sampled_from([{}, {"timeout": "5s"}, {"mirrors": [{"destination": {"host": "audit"}}]}]),
)


def others(http):
    """All that is not ours, in order."""
    kept = []
    for rule in http:
        if IRIS.owns(rule):
            continue
        if IRIS.manages(rule):
            mirrors = [one for one in rule.get("mirrors", ()) if not IRIS.mirrored(one["destination"])]
            ours = ("route", "mirror", "mirrorPercentage", "mirrors")
            kept.append({k: v for k, v in rule.items() if k not in ours} | ({"mirrors": mirrors} if mirrors else {}))
            continue
        kept.append(rule)
    return kept


def stored(http):
    """As an API server, whose maps are sorted, gives it back."""
    return json.loads(json.dumps(http, sort_keys=True))


def test_a_header_match_that_a_person_changed_is_not_taken_for_ours():
    http = [{"match": [{"headers": {"x-c": {"prefix": "."}}}], "route": [to("svc-v1")]}]
    once = encode({"http": http}, Routes({"v1": 100}, (HeaderMatch("x-a", "1", "v2"),)), IRIS)
    for headers in ({"x-a": {"exact": "1"}, "x-c": {}, "x-d": {"exact": "1"}}, {"x-a": {"prefix": "1"}}, {"x-c": {}}):
        once[0]["match"][0]["headers"] = headers
        with pytest.raises(
            Unknown, match="fairway-match-0-0-iris that does not ask for one header more than the user's"
        ):
            decode({"http": once}, IRIS)


@given(st.lists(st.one_of(own, foreign.filter(bool).map(lambda f: f[0])), max_size=4), own, routes, routes)
def test_what_is_encoded_is_decoded_and_all_else_is_kept(some, sure, first, second):
    http = [*some, sure]
    before = copy.deepcopy(http)
    once = stored(encode({"http": http}, first, IRIS))
    assert http == before
    assert decode({"http": once}, IRIS) == first
    assert others(once) == others(http)
    assert encode({"http": once}, first, IRIS) == once
    twice = stored(encode({"http": once}, second, IRIS))
    assert decode({"http": twice}, IRIS) == second
    assert others(twice) == others(http)


def test_two_services_in_one_virtual_service_do_not_see_each_other():
    wine = Around("wine-iris", {"w1": place("w1"), "w2": place("w2")}, "ns")
    http = [{"match": [{"uri": {"prefix": "/w"}}], "route": [to("svc-w1")]}, {"route": [to("svc-v1")]}]
    ours = Routes({"v1": 90, "v2": 10}, (HeaderMatch("x-a", "1", "v2"),), Mirror("v2", 5))
    theirs = Routes({"w1": 50, "w2": 50}, (HeaderMatch("x-b", "2", "w2"),))
    both = encode({"http": encode({"http": http}, ours, IRIS)}, theirs, wine)
    assert (decode({"http": both}, IRIS), decode({"http": both}, wine)) == (ours, theirs)
    left = encode({"http": both}, Routes({"v2": 100}), IRIS)
    assert decode({"http": left}, wine) == theirs
    assert [rule.get("name") for rule in left] == ["fairway-match-0-0-wine-iris", None, None]


def test_a_header_match_goes_before_its_http_route_and_asks_for_all_that_it_asks():
    http = [{"match": [{"uri": {"prefix": "/a"}}, {"port": 80}], "timeout": "1s", "route": [to("svc-v1")]}]
    first, second = encode({"http": http}, Routes({"v1": 100}, (HeaderMatch("x-a", "1", "v2"),)), IRIS)
    header = {"headers": {"x-a": {"exact": "1"}}}
    assert first["match"] == [{"uri": {"prefix": "/a"}} | header, {"port": 80} | header]
    assert (first["timeout"], first["route"][0]["destination"]["host"]) == ("1s", "svc-v2")
    assert second == http[0] | {"route": [to("svc-v1", 100)]}


def test_subsets_of_a_host_are_versions():
    http = [{"route": [{"destination": {"host": "iris", "subset": "v1", "port": {"number": 9}}, "weight": 100}]}]
    split = Routes({"v1": 70, "v2": 30}, mirror=Mirror("v2", 10))
    found = encode({"http": http}, split, SUBSETS)
    assert decode({"http": found}, SUBSETS) == split
    port = {"number": 9}
    assert found[0]["route"][1] == {"destination": {"host": "iris", "subset": "v2", "port": port}, "weight": 30}
    assert found[0]["mirror"] == {"host": "iris", "subset": "v2", "port": port}


def test_models_of_a_modelmesh_are_told_apart_by_their_header():
    headers = {"request": {"set": {"mm-vmodel-id": "v1", "x-team": "iris"}}}
    http = [{"route": [to("modelmesh-serving", headers=headers)]}]
    split = Routes({"v1": 70, "v2": 30}, (HeaderMatch("x-a", "1", "v2"),))
    found = encode({"http": http}, split, MESH)
    assert decode({"http": found}, MESH) == split
    set_for = [target["headers"]["request"]["set"] for target in found[1]["route"]]
    assert set_for == [{"mm-vmodel-id": name, "x-team": "iris"} for name in ("v1", "v2")]
    with pytest.raises(Unknown, match="no mirror to v2: copies of a ModelMesh's requests keep the header"):
        encode({"http": http}, Routes({"v1": 100}, mirror=Mirror("v2", 5)), MESH)
    collected = Around("iris", {**MESH.places, "collector": place("collector")}, "ns")
    with pytest.raises(Unknown, match="no mirror to collector: copies of a ModelMesh's requests keep the header"):
        encode({"http": http}, Routes({"v1": 100}, mirror=Mirror("collector", 5)), collected)


@pytest.mark.parametrize(
    ("mirroring", "percent"),
    [
        ({"mirror": {"host": "svc-v2"}}, 100),
        ({"mirror": {"host": "svc-v2"}, "mirrorPercent": 7}, 7),
        ({"mirror": {"host": "svc-v2"}, "mirrorPercentage": {"value": 9.0}}, 9),
        ({"mirrors": [{"destination": {"host": "svc-v2"}, "percentage": {"value": 3}}]}, 3),
    ],
)
def test_a_mirror_is_read_however_it_is_written_and_taken_out(mirroring, percent):
    http = [{"route": [to("svc-v1")], **mirroring}]
    assert decode({"http": http}, IRIS) == Routes({"v1": 100}, mirror=Mirror("v2", percent))
    assert encode({"http": http}, Routes({"v1": 100}), IRIS) == [{"route": [to("svc-v1", 100)]}]


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({}, "no http route to svc-v1, svc-v2, svc-v3.elsewhere.svc.cluster.local, but only to none at all"),
        ({"http": [{"route": [to("other")]}]}, "but only to other"),
        ({"http": [{"route": [to("svc-v1", 50), to("other", 50)]}]}, "the destination other, which is none of v1"),
        ({"http": [{"route": [to("svc-v1", 2), to("svc-v2", 1)]}]}, "no whole percents"),
        ({"http": [{"route": [to("svc-v1", 75), to("svc-v1", 25)]}]}, "two destinations svc-v1 in one http route"),
        ({"http": [{"route": [to("svc-v1", 0), to("svc-v2", 0)]}]}, "every destination has weight 0"),
        ({"http": [{"route": [to("svc-v1")]}, {"route": [to("svc-v2")]}]}, "split the traffic differently"),
        ({"http": [{"delegate": {"name": "x"}}]}, "only http routes that delegate to virtualservice/ns/x"),
        ({"http": [{"route": [to("svc-v1")]}], "tls": [{"route": [to("svc-v1")]}]}, "a tls route to svc-v1"),
        ({"http": [{"route": [to("svc-v1")]}], "tcp": [{"route": [to("svc-v2")]}]}, "a tcp route to svc-v2"),
    ],
)
def test_what_is_not_as_it_must_be_is_told_by_name(spec, sentence):
    with pytest.raises(Unknown, match=sentence):
        decode(spec, IRIS)


@pytest.mark.parametrize(
    ("more", "routes", "sentence"),
    [
        ({"mirror": {"host": "audit"}}, Routes({"v1": 100}, mirror=Mirror("v2", 5)), "a mirror to audit already"),
        (
            {"match": [{"headers": {"x-a": {"prefix": "b"}}}]},
            Routes({"v1": 100}, (HeaderMatch("x-a", "1", "v2"),)),
            "asks for the header x-a itself",
        ),
    ],
)
def test_what_there_is_no_room_for_is_refused(more, routes, sentence):
    with pytest.raises(Unknown, match=sentence):
        encode({"http": [{"route": [to("svc-v1")], **more}]}, routes, IRIS)


def test_an_unknown_destination_of_weight_zero_stays():
    dark = to("dr-site", 0)
    (written,) = encode({"http": [{"route": [dark, to("svc-v1", 100)]}]}, Routes({"v1": 100}), IRIS)
    assert written["route"] == [to("svc-v1", 100), dark]
