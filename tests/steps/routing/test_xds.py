"""Routes as Envoy's route entries and back: nothing is lost, nothing of others is touched.

Pure. Left out: what Envoy makes of them (tests/contract/test_router.py).
"""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairway_steps.model import HeaderMatch, Mirror, Routes, Stickiness
from fairway_steps.routing import xds

NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,4}[a-z0-9])?", fullmatch=True)
TEMPLATE = {"name": "iris", "match": {"prefix": "/"}, "route": {"timeout": "7s"}}
MARKED = {"metadata": {"filter_metadata": {"fairway": {}}}}


@st.composite
def routes(draw):
    names = draw(st.lists(NAMES, min_size=2, max_size=4, unique=True))
    cuts = sorted(draw(st.sets(st.integers(1, 99), min_size=len(names) - 1, max_size=len(names) - 1)))
    shares = [b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True)]
    version = st.sampled_from(names)
    matches = draw(st.lists(st.builds(HeaderMatch, st.just("x-test"), st.text(max_size=4), version), max_size=3))
    mirror = draw(st.none() | st.builds(Mirror, version, st.integers(1, 100)))
    sticky = draw(st.sampled_from([None, Stickiness(cookie="a"), Stickiness(header="x-a")]))
    return Routes(dict(zip(names, shares, strict=True)), tuple(matches), mirror, sticky)


@given(routes(), routes(), st.integers(0, 9))
def test_what_is_written_is_what_is_read_whatever_was_there_before(before, after, fence):
    first = xds.entries("iris", before, TEMPLATE, next(iter(before.weights)), 1)
    second = xds.entries("iris", after, first[-1], next(iter(after.weights)), fence)
    assert xds.decode("iris", first) == before
    assert xds.decode("iris", second) == after
    assert xds.noted(second) == {"fence": fence, "fallback": next(iter(after.weights))}
    assert second[-1]["route"]["timeout"] == "7s"
    assert len({entry["name"] for entry in second}) == len(second) == len(after.matches) + 1


@given(routes())
def test_every_version_but_the_fallback_has_an_arm_that_ends_there(split):
    fallback = next(iter(split.weights))
    entry = xds.entries("iris", split, TEMPLATE, fallback, 0)[-1]
    names = [cluster["name"] for cluster in entry["route"]["weighted_clusters"]["clusters"]]
    assert names[0] == f"iris/{fallback}"
    assert set(names[1:]) == {f"iris/{name}+{fallback}" for name in split.weights if name != fallback}


def test_the_users_own_fields_survive_and_ours_do_not_pile_up():
    template = {
        "name": "iris",
        "match": {"prefix": "/v2", "headers": [{"name": "x-a", "present_match": True}]},
        "metadata": {"filter_metadata": {"other": {"a": 1}}},
        "response_headers_to_add": [{"header": {"key": "x-mine", "value": "1"}}],
        "route": {
            "cluster": "iris/v1",
            "timeout": "9s",
            "retry_policy": {"retry_on": "5xx"},
            "hash_policy": [{"header": {"header_name": "x-ring"}}],
            "request_mirror_policies": [{"cluster": "audit"}],
        },
    }
    given_template = copy.deepcopy(template)
    all_of_it = Routes({"v1": 100}, (HeaderMatch("x-t", "1", "v2"),), Mirror("v2", 5))
    for _ in range(3):
        match, template = xds.entries("iris", all_of_it, template, "v1", 0)
    assert template["metadata"]["filter_metadata"]["other"] == {"a": 1}
    assert template["route"]["retry_policy"] == {"retry_on": "5xx"}
    assert template["route"]["hash_policy"] == [{"header": {"header_name": "x-ring"}}]
    assert [policy["cluster"] for policy in template["route"]["request_mirror_policies"]] == ["audit", "iris/v2@mirror"]
    assert [h["header"]["key"] for h in template["response_headers_to_add"]] == ["x-mine", "x-fairway-version"]
    assert "cluster" not in template["route"]
    assert match["match"] == {
        "prefix": "/v2",
        "headers": [{"name": "x-a", "present_match": True}, {"name": "x-t", "string_match": {"exact": "1"}}],
    }
    assert given_template["route"]["cluster"] == "iris/v1"


def test_stickiness_that_ends_leaves_no_hashing_behind():
    sticky = xds.entries("iris", Routes({"v1": 100}, sticky=Stickiness(cookie="a")), TEMPLATE, "v1", 0)[-1]
    assert "hash_policy" not in xds.entries("iris", Routes({"v1": 100}), sticky, "v1", 0)[-1]["route"]


@pytest.mark.parametrize("name", ["hash_policy", "hashPolicy"])
@given(routes(), routes())
def test_a_policy_of_the_user_s_own_is_back_once_users_are_not_kept_on_their_version(name, one, two):
    mine = [{"header": {"header_name": "x-session"}}]
    entry = {**TEMPLATE, "route": {**TEMPLATE["route"], name: mine}}
    for routes in (one, two, Routes({"v1": 100})):
        *_, entry = xds.entries("iris", routes, entry, next(iter(routes.weights)), 1)
        assert xds.decode("iris", [entry]).sticky == routes.sticky
        assert routes.sticky or entry["route"][name] == mine
    assert "hash_policy" not in xds.noted([entry])


@given(routes(), routes())
def test_no_more_users_change_their_version_than_must(before, after):
    first = xds.ring([], before.weights)
    rings = first, xds.ring(first, after.weights)
    places = [[name for name, weight in ring for _ in range(weight)] for ring in rings]
    assert {name: places[1].count(name) for name in places[1]} == dict(after.weights)
    moved = [(was, now) for was, now in zip(*places, strict=True) if was != now]
    assert len(moved) == sum(max(0, weight - after.weights.get(name, 0)) for name, weight in before.weights.items())
    assert xds.ring(first, before.weights) == first


def test_users_of_one_that_leaves_go_to_one_that_gains_and_nobody_else_moves():
    assert xds.ring([("v1", 40), ("v2", 30), ("v3", 30)], {"v1": 70, "v3": 30}) == [("v1", 70), ("v3", 30)]
    apart = [("v1", 40), ("v2", 30), ("v1", 30)]
    assert xds.ring([("v1", 40), ("v2", 30), ("v3", 30)], {"v1": 70, "v2": 30}) == apart
    assert xds.ring(apart, {"v1": 100}) == [("v1", 100)]


def table(*names: str, name: str = "t", host: str = "h"):
    return {
        "name": name,
        "virtual_hosts": [{"name": host, "routes": [{"name": n, "n": i} | MARKED for i, n in enumerate(names)]}],
    }


def test_own_entries_are_replaced_in_place_and_all_others_stay_in_order():
    before = [table("a", "iris/match/0", "b", "iris", "c", "iris-2"), table("x", name="u")]
    untouched = copy.deepcopy(before)
    after = xds.placed("iris", before, [{"name": "iris/match/0"}, {"name": "iris"}])
    assert [entry["name"] for entry in after[0]["virtual_hosts"][0]["routes"]] == [
        "a",
        "b",
        "iris/match/0",
        "iris",
        "c",
        "iris-2",
    ]
    assert after[1] == before[1]
    assert before == untouched


@pytest.mark.parametrize(
    "theirs",
    [
        {"name": "iris/health"},
        {"name": "iris/match/0"},
        {"name": "iris/match/mine"} | MARKED,
        {"name": "iris/"} | MARKED,
    ],
)
def test_an_entry_that_is_merely_named_like_ours_stays(theirs):
    before = table("iris")
    before["virtual_hosts"][0]["routes"].insert(0, theirs)
    place = xds.find("iris", [before])
    assert place is not None
    assert [entry["name"] for entry in place.own] == ["iris"]
    (after,) = xds.placed("iris", [before], [{"name": "iris"}])
    assert after["virtual_hosts"][0]["routes"] == [theirs, {"name": "iris"}]


def test_the_place_of_a_service():
    place = xds.find("iris", [table("x"), table("iris/match/0", "iris", name="u", host="k")])
    assert place is not None
    assert (place.config, place.host, [e["name"] for e in place.own]) == ("u", "k", ["iris/match/0", "iris"])
    assert xds.find("rose", [table("iris")]) is None
    for several in ([table("iris", "iris")], [table("iris"), table("iris", name="u")]):
        with pytest.raises(ValueError, match="more than one"):
            xds.find("iris", several)


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ({"cluster": "other"}, "'other'"),
        ({"cluster": "iris-2/v1"}, "'iris-2/v1'"),
        ({"cluster_header": "x"}, "None"),
        ({"weighted_clusters": {"clusters": [{"name": "iris/v1", "weight": 50}, {"name": "o", "weight": 50}]}}, "'o'"),
        ({"weighted_clusters": {"clusters": [{"name": "iris/v1", "weight": 60}]}}, "add up to 60"),
    ],
)
def test_what_fairway_does_not_know_is_named(action, says):
    with pytest.raises(ValueError, match=says):
        xds.decode("iris", [{"name": "iris", "route": action}])


def test_a_single_cluster_is_all_of_the_traffic():
    assert xds.decode("iris", [{"name": "iris", "route": {"cluster": "iris/v1"}}]) == Routes({"v1": 100})


@pytest.mark.parametrize(
    ("asked", "current", "noted", "fallback"),
    [
        ({"v1": 90, "v2": 10}, {"v1": 100}, "v1", "v1"),
        ({"v2": 10, "v1": 90}, {"v1": 100}, "v1", "v1"),
        ({"v2": 10, "v1": 90}, {"v1": 100}, "", "v1"),
        ({"v1": 10, "v2": 90}, {"v1": 50, "v2": 50}, "v1", "v1"),
        ({"v2": 100}, {"v1": 50, "v2": 50}, "v1", "v2"),
        ({"v3": 10, "v2": 90}, {"v2": 100}, "v2", "v2"),
        ({"v3": 10, "v4": 90}, {"v2": 100}, "v2", "v3"),
    ],
)
def test_the_fallback_is_the_version_that_had_all_of_the_traffic(asked, current, noted, fallback):
    assert xds.fallback_of(Routes(asked), Routes(current), noted) == fallback


@pytest.mark.parametrize(
    ("fraction", "percent"),
    [
        ({}, 100),
        ({"runtime_fraction": {"default_value": {"numerator": 7}}}, 7),
        ({"runtime_fraction": {"default_value": {"numerator": 50, "denominator": "TEN_THOUSAND"}}}, 1),
        ({"runtime_fraction": {"default_value": {"numerator": 500_000, "denominator": "MILLION"}}}, 50),
    ],
)
def test_a_mirror_that_a_person_wrote_is_read_as_envoy_reads_it(fraction, percent):
    action = {"cluster": "iris/v1", "request_mirror_policies": [{"cluster": "iris/v2"} | fraction]}
    assert xds.decode("iris", [{"name": "iris", "route": action}]).mirror == Mirror("v2", percent)
