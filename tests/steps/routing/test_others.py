"""Entries of other names that point at a service's clusters: what stays for them, and where they go on a way back.

Pure. Left out: files and a running Envoy (test_envoy.py, tests/contract/test_router.py).
"""

import copy

import pytest

from fairway_steps.model import Mirror, Routes
from fairway_steps.routing import others, xds

TEMPLATE = {"name": "iris", "match": {"prefix": "/"}, "route": {"timeout": "7s"}}
ALONE = {"route": {"cluster": "iris/v1"}}
SPLIT = {"clusters": [{"name": "iris/v1", "weight": 50}, {"name": "iris/v2+v1", "weight": 50}]}


def table(*routes):
    return [{"name": "t", "virtual_hosts": [{"name": "h", "routes": list(routes)}, {"name": "empty"}]}]


def aggregate(name, *members):
    return {"name": name, "cluster_type": {"typed_config": {"clusters": list(members)}}}


def test_clusters_behind_an_aggregate_are_needed_too():
    own = xds.entries("iris", Routes({"v1": 90, "v2": 10}, mirror=Mirror("v3", 1)), TEMPLATE, "v1", 0)
    aggregates = [aggregate("iris/v2+v1", "iris/v2", "iris/v1"), aggregate("iris/v3@mirror", "iris/v3")]
    needed = others.needed("iris", table(*own), aggregates)
    assert {"iris/v1", "iris/v2", "iris/v2+v1", "iris/v3", "iris/v3@mirror"} <= needed


@pytest.mark.parametrize(
    "action",
    [
        {"cluster": "iris/v2"},
        {"weighted_clusters": {"clusters": [{"name": "iris/v2", "weight": 1}, {"name": "x", "weight": 99}]}},
        {"weightedClusters": {"clusters": [{"name": "iris/v2"}]}},
        {"cluster": "x", "request_mirror_policies": [{"cluster": "iris/v2"}]},
        {"cluster": "x", "requestMirrorPolicies": [{"cluster": "iris/v2"}]},
        {"cluster": "mine"},
    ],
)
def test_what_an_entry_of_any_name_leads_to_is_needed(action):
    clusters = [aggregate("mine", "iris/v3+v2"), aggregate("iris/v3+v2", "iris/v3", "iris/v2"), {"name": "iris/v4"}]
    assert "iris/v2" in others.needed("iris", table({"match": {"prefix": "/a"}, "route": action}), clusters)
    assert "iris/v4" not in others.needed("iris", table({"route": action}), clusters)


@pytest.mark.parametrize(
    ("action", "after"),
    [
        ({"weighted_clusters": SPLIT, "timeout": "3s"}, {"cluster": "iris/v1", "timeout": "3s"}),
        ({"weightedClusters": SPLIT}, {"cluster": "iris/v1"}),
        ({"cluster": "iris/v2+v1"}, {"cluster": "iris/v1"}),
        (
            {"weighted_clusters": {"clusters": [{"name": "x", "weight": 9}, {"name": "iris/v2", "weight": 1}]}},
            {"cluster": "iris/v1"},
        ),
        (
            {"cluster": "iris/v1", "request_mirror_policies": [{"cluster": "iris/v2@mirror"}, {"cluster": "x"}]},
            {"cluster": "iris/v1", "request_mirror_policies": [{"cluster": "x"}]},
        ),
        ({"cluster": "x", "requestMirrorPolicies": [{"cluster": "iris/v2"}]}, {"cluster": "x"}),
    ],
)
def test_what_reaches_another_version_is_pointed_at_the_one_and_keeps_all_else(action, after):
    mine = {"name": "mine", "match": {"prefix": "/a"}, "route": action}
    before = table(mine, {"name": "iris"})
    untouched = copy.deepcopy(before)
    assert others.led("iris", before, [], lambda _: ALONE, {"iris/v1"}.__contains__) == table(
        mine | {"route": after}, {"name": "iris"}
    )
    assert before == untouched


@pytest.mark.parametrize(
    "entry",
    [
        {"route": {"cluster": "iris/v1", "timeout": "3s"}},
        {"route": {"cluster": "iris-2/v2"}},
        {"route": {"cluster_header": "x"}},
        {"direct_response": {"status": 200}},
        {"name": "own", "route": {"cluster": "iris/v2"}},
    ],
)
def test_what_reaches_no_other_version_stays(entry):
    own = [{"name": "own", "route": {"cluster": "iris/v2"}}]
    assert others.led("iris", table(entry), own, lambda _: ALONE, {"iris/v1"}.__contains__) == table(entry)


@pytest.mark.parametrize(("match", "stays"), [({"prefix": "/"}, 1), ({"prefix": "/v3"}, 0), (None, 2)])
def test_of_several_entries_with_the_service_s_name_one_keeps_it(match, stays):
    named = [{"name": "iris", "match": {"prefix": prefix}} for prefix in ("/v3", "/", "/v4")]
    left = others.entries(others.single("iris", table(*named), match))
    assert [i for i, entry in enumerate(left) if "name" in entry] == [stays]
    assert [entry["match"] for entry in left] == [entry["match"] for entry in named]
