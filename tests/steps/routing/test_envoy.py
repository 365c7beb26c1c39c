"""What the Envoy back end refuses before it writes anything, and an admin interface that speaks nonsense.

On files and scripted answers. Left out: all that the contract suite covers with a real Envoy.
"""

import copy

import pytest
from pytest_httpserver import HTTPServer

from fairway_steps.clock import FakeClock
from fairway_steps.errors import Refused, TransientError, UsageError
from fairway_steps.model import HeaderMatch, Mirror, Routes, Stickiness, Version
from fairway_steps.routing import backends, others
from fairway_steps.routing.bootstrap import write_folder
from fairway_steps.routing.envoy import EnvoyRouter

V1, V2 = Version("v1", "http://127.0.0.1:1"), Version("v2", "http://127.0.0.1:2")
KNOWN = {"v1": V1, "v2": V2}


@pytest.fixture
def router(tmp_path, unused_port):
    write_folder(tmp_path, "iris", V1, "127.0.0.1:2", "127.0.0.1:3")
    return EnvoyRouter(tmp_path, "iris", f"http://127.0.0.1:{unused_port}", FakeClock())


@pytest.mark.parametrize(
    ("routes", "versions", "says"),
    [
        (Routes({"v1": 90}), KNOWN, "add up to 100"),
        (Routes({}), KNOWN, "add up to 100"),
        (Routes({"v1": 100, "v2": 0}), KNOWN, "from 1"),
        (Routes({"v1": 110, "v2": -10}), KNOWN, "from 1"),
        (Routes({"v1": 90, "v3": 10}), KNOWN, "nothing says where it is"),
        (Routes({"v1": 100}, mirror=Mirror("v3", 5)), KNOWN, "name version v3"),
        (Routes({"v1": 100}, sticky=Stickiness()), KNOWN, "one of the two"),
        (Routes({"v1": 100}, sticky=Stickiness("a", "b")), KNOWN, "one of the two"),
        (Routes({"v1": 100}), {"v1": Version("v1", "deployment/ns/iris")}, "cannot be routed to by Envoy"),
    ],
)
def test_routes_that_cannot_be_are_refused_and_nothing_is_written(router, routes, versions, says):
    before = {path: path.read_bytes() for path in router.folder.path.rglob("*.json")}
    with pytest.raises(UsageError, match=says):
        router.apply(routes, versions, fence=9)
    assert {path: path.read_bytes() for path in router.folder.path.rglob("*.json")} == before


def test_a_service_that_has_no_route_here_is_refused(router):
    other = EnvoyRouter(router.folder.path, "rose", "http://127.0.0.1:9", FakeClock())
    with pytest.raises(Refused, match="no route entry named 'rose'"):
        other.read()


def test_two_services_in_one_folder_leave_each_other_alone(router):
    stored = router.folder.load("routes.json")
    (entry,) = stored["resources"][0]["virtual_hosts"][0]["routes"]
    rose = {"name": "rose", "match": {"prefix": "/rose"}, "route": {"cluster": "rose/v1"}}
    stored["resources"][0]["virtual_hosts"][0]["routes"] = [rose, entry]
    router.folder.write("routes.json", stored)
    other = EnvoyRouter(router.folder.path, "rose", "http://127.0.0.1:9", FakeClock())
    other.apply(Routes({"v1": 60, "v2": 40}), KNOWN, fence=9)
    router.apply(Routes({"v1": 80, "v2": 20}), KNOWN, fence=1)
    assert (other.read(), router.read()) == (Routes({"v1": 60, "v2": 40}), Routes({"v1": 80, "v2": 20}))
    router.apply(Routes({"v2": 100}), KNOWN, fence=2)
    names = {cluster["name"] for cluster in router.folder.load("clusters.json")["resources"]}
    assert names == {"rose/v1", "rose/v2", "rose/v2+v1", "iris/v2"}


def entries_of(router):
    return router.folder.load("routes.json")["resources"][0]["virtual_hosts"][0]["routes"]


def add(router, *entries):
    """Entries of a person's, in front of all others."""
    stored = router.folder.load("routes.json")
    resources = copy.deepcopy(stored["resources"])
    resources[0]["virtual_hosts"][0]["routes"][:0] = entries
    router.folder.replace("routes.json", stored, resources)


def test_an_entry_that_only_starts_with_the_service_s_name_is_left_alone_also_by_the_last_way_back(router):
    health = {"name": "iris/health", "match": {"path": "/health"}, "direct_response": {"status": 200}}
    add(router, health)
    saved = router.snapshot()
    router.apply(Routes({"v1": 50, "v2": 50}, (HeaderMatch("x-t", "1", "v2"),)), KNOWN)
    for back in (lambda: router.give_all(V1), lambda: router.restore(saved)):
        back()
        assert [entry["name"] for entry in entries_of(router)] == ["iris/health", "iris"]
        assert entries_of(router)[0] == health


def clusters_of(router):
    return {cluster["name"] for cluster in router.folder.load("clusters.json")["resources"]}


def test_a_stage_for_a_header_that_the_entry_asks_for_itself_is_refused(router):
    mine = {"prefix": "/", "headers": [{"name": "X-Tester", "string_match": {"exact": "no"}}]}
    stored = router.folder.load("routes.json")
    resources = copy.deepcopy(stored["resources"])
    resources[0]["virtual_hosts"][0]["routes"][-1]["match"] = mine
    router.folder.replace("routes.json", stored, resources)
    asked = [Routes({"v1": 100}, (HeaderMatch(name, "yes", "v2"),)) for name in ("x-canary", "x-tester")]
    router.preflight(asked[:1], KNOWN)
    with pytest.raises(Refused, match="asks for the header x-tester itself: testers might match nothing"):
        router.preflight(asked, KNOWN)


def copied(router, **changed):
    return copy.deepcopy(entries_of(router)[-1]) | changed


HEALTH = {"name": "health", "match": {"prefix": "/health"}, "route": {"cluster": "iris/v1", "timeout": "3s"}}


def test_an_entry_of_the_user_s_keeps_the_cluster_that_it_points_at_through_releases(router, caplog):
    add(router, HEALTH)
    router.preflight([], KNOWN)
    assert "the route entry 'health' points at iris/v1 itself: a release does not move it" in caplog.text
    router.apply(Routes({"v1": 50, "v2": 50}), KNOWN)
    router.apply(Routes({"v2": 100}), KNOWN)
    assert (entries_of(router)[0], clusters_of(router)) == (HEALTH, {"iris/v1", "iris/v2"})
    assert (router.folder.path / "endpoints/iris~v1.json").exists()
    with pytest.raises(UsageError, match=r"the route has v1 at http://127.0.0.1:1, not at http://127.0.0.1:9"):
        router.preflight([], KNOWN | {"v1": Version("v1", "http://127.0.0.1:9")})
    add(router, {"match": {"prefix": "/peek"}, "route": {"cluster": "iris/v1"}})
    router.preflight([], KNOWN)
    assert """the route entry for {"prefix": "/peek"} points""" in caplog.text


WAYS = {"restore": lambda router, saved: router.restore(saved), "give_all": lambda router, _: router.give_all(V1)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["mine", "iris", None])
def test_a_copy_of_the_split_that_a_person_adds_goes_back_with_it(router, way, name):
    add(router, HEALTH)
    saved = router.snapshot()
    router.apply(Routes({"v1": 50, "v2": 50}, mirror=Mirror("v2", 5)), KNOWN)
    mine = copied(router, name=name, match={"prefix": "/v3"})
    mine["route"]["timeout"] = "9s"
    add(router, {key: value for key, value in mine.items() if value})
    WAYS[way](router, saved)
    first, health, own = entries_of(router)
    assert others.reached("iris", first) == others.reached("iris", own) == {"iris/v1"}
    assert (first["match"], first["route"]["timeout"], health) == ({"prefix": "/v3"}, "9s", HEALTH)
    assert own["match"] == {"prefix": "/"}
    assert (router.read(), clusters_of(router)) == (Routes({"v1": 100}), {"iris/v1"})


def test_a_copy_in_another_virtual_host_goes_back_too(router):
    router.apply(Routes({"v1": 50, "v2": 50}), KNOWN)
    saved = {"name": "other", "domains": ["b"], "routes": [copied(router)]}
    stored = router.folder.load("routes.json")
    resources = copy.deepcopy(stored["resources"])
    resources[0]["virtual_hosts"].insert(0, saved)
    router.folder.replace("routes.json", stored, resources)
    router.give_all(V1)
    assert (router.read(), clusters_of(router)) == (Routes({"v1": 100}), {"iris/v1"})


def mirroring(router, *names):
    """The virtual host copies all of its requests to clusters of these names, on a person's word."""
    stored = router.folder.load("routes.json")
    resources = copy.deepcopy(stored["resources"])
    policies = [{"cluster": name} for name in names]
    resources[0]["virtual_hosts"][0]["request_mirror_policies"] = policies
    resources[0]["requestMirrorPolicies"] = policies
    router.folder.replace("routes.json", stored, resources)


def mirrored(router):
    config = router.folder.load("routes.json")["resources"][0]
    both = (config.get("requestMirrorPolicies"), config["virtual_hosts"][0].get("request_mirror_policies"))
    assert both[0] == both[1]
    return [policy["cluster"] for policy in both[0]] if both[0] else None


ENDS = WAYS | {"promote": lambda router, _: router.apply(Routes({"v2": 100}), KNOWN)}


@pytest.mark.parametrize("way", ENDS)
@pytest.mark.parametrize("name", ["mine", None])
def test_no_entry_leads_to_a_split_or_a_mirror_that_has_ended(router, way, name):
    add(router, HEALTH)
    saved = router.snapshot()
    router.apply(Routes({"v1": 50, "v2": 50}, (HeaderMatch("x-t", "1", "v2"),), Mirror("v2", 5)), KNOWN)
    split, testers = copied(router, name=name, match={"prefix": "/v3"}), copy.deepcopy(entries_of(router)[1])
    if not name:
        del split["name"]
    audit = [{"cluster": "audit"}, {"cluster": "iris/v2@mirror"}]
    copying = {"name": "tap", "match": {"prefix": "/t"}, "route": {"cluster": "x", "request_mirror_policies": audit}}
    add(router, split, testers | {"name": "testers"}, copying)
    mirroring(router, "audit", "iris/v2@mirror")
    ENDS[way](router, saved)
    *added, health, own = entries_of(router)
    end = "iris/v2" if way == "promote" else "iris/v1"
    assert [others.reached("iris", entry) for entry in (*added, own)] == [{end}, {end}, set(), {end}]
    assert added[2]["route"]["request_mirror_policies"] == [{"cluster": "audit"}]
    assert (health, mirrored(router)) == (HEALTH, ["audit"])
    assert clusters_of(router) == {end, "iris/v1"}


def test_a_split_that_goes_on_moves_nobody_s_copy_of_it(router):
    router.apply(Routes({"v1": 50, "v2": 50}), KNOWN)
    mine = copied(router, name="mine", match={"prefix": "/v3"})
    add(router, mine)
    router.apply(Routes({"v1": 25, "v2": 75}), KNOWN)
    assert entries_of(router)[0] == mine


@pytest.mark.parametrize(("way", "left"), [("promote", ["iris/v2"]), ("restore", ["iris/v2"]), ("give_all", None)])
def test_a_whole_host_s_mirror_of_before_ends_only_on_the_last_way_back(router, way, left, caplog):
    router.apply(Routes({"v1": 50, "v2": 50}), KNOWN)
    mirroring(router, "iris/v2")
    router.apply(Routes({"v1": 100}), KNOWN)
    router.preflight([], KNOWN)
    assert "a virtual host copies requests to iris/v2: a release does not move it" in caplog.text
    saved = router.snapshot()
    router.apply(Routes({"v1": 90, "v2": 10}), KNOWN)
    ENDS[way](router, saved)
    assert mirrored(router) == left
    assert ("iris/v2" in clusters_of(router)) is bool(left)


def test_a_whole_host_s_mirror_that_is_set_in_a_stage_ends_with_a_rollback(router):
    saved = router.snapshot()
    router.apply(Routes({"v1": 50, "v2": 50}), KNOWN)
    mirroring(router, "iris/v2")
    router.restore(saved)
    assert (mirrored(router), clusters_of(router)) == (None, {"iris/v1"})


@pytest.mark.parametrize(
    "action",
    [
        {"cluster_header": "x-to"},
        {"clusterHeader": "x-to"},
        {"cluster": "x", "request_mirror_policies": [{"cluster_header": "x-to"}]},
        {"weighted_clusters": {"clusters": [{"cluster_header": "x-to", "weight": 1}]}},
    ],
)
def test_versions_stay_where_a_header_may_name_them(router, action, caplog):
    add(router, {"name": "pick", "match": {"prefix": "/p"}, "route": action})
    router.preflight([], KNOWN)
    assert (
        "the route entry 'pick' takes its cluster from a header of the request, which may name any version"
        in caplog.text
    )
    router.apply(Routes({"v1": 50, "v2": 50}), KNOWN)
    router.apply(Routes({"v2": 100}), KNOWN)
    assert clusters_of(router) == {"iris/v1", "iris/v2"}
    assert (router.folder.path / "endpoints/iris~v1.json").exists()


STAGES = (
    Routes({"v1": 50, "v2": 50}, (HeaderMatch("x-t", "1", "v2"),), Mirror("v2", 5)),
    Routes({"v1": 50, "v2": 50}, sticky=Stickiness(cookie="user")),
    Routes({"v2": 100}),
)


def rewrite(router, change):
    """The service's own entry, changed as by a person."""
    stored = router.folder.load("routes.json")
    resources = copy.deepcopy(stored["resources"])
    change(resources[0]["virtual_hosts"][0]["routes"][-1])
    router.folder.replace("routes.json", stored, resources)


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_person_edits_in_the_service_s_entry_in_a_stage_stays_after_a_rollback(router, stage):
    def before(entry):
        entry["response_headers_to_add"] = [{"header": {"key": "x-old", "value": "1"}}]
        del entry["metadata"], entry["stat_prefix"], entry["route"]["retry_policy"]
        entry["route"] |= {"request_mirror_policies": [{"cluster": "audit"}]}
        entry["route"] |= {"hash_policy": [{"header": {"header_name": "x-ring"}}]}

    def edit(entry):
        entry["match"] = {"prefix": "/v9"}
        entry["request_headers_to_add"] = [{"header": {"key": "a", "value": "b"}}]
        entry["response_headers_to_add"].append({"header": {"key": "x-new", "value": "1"}})
        entry["metadata"]["filter_metadata"]["theirs"] = {"a": 1}
        entry["route"]["timeout"] = "33s"
        entry["route"]["retry_policy"] = {"retry_on": "5xx"}
        entry["route"]["request_mirror_policies"].append({"cluster": "theirs"})

    rewrite(router, before)
    first = copied(router)
    saved = router.snapshot()
    router.apply(stage, KNOWN)
    rewrite(router, edit)
    router.restore(saved, fence=3)
    expected = copy.deepcopy(first)
    expected["metadata"] = {"filter_metadata": {"fairway": {"fence": 3}}}
    edit(expected)
    assert entries_of(router) == [expected]


@pytest.mark.parametrize("stage", STAGES)
def test_an_entry_that_nobody_edits_is_after_a_rollback_what_it_was(router, stage):
    def before(entry):
        del entry["metadata"], entry["response_headers_to_add"], entry["route"]["retry_policy"]
        entry["route"] |= {"request_mirror_policies": [{"cluster": "x"}]}

    rewrite(router, before)
    first = copied(router)
    saved = router.snapshot()
    router.apply(stage, KNOWN)
    router.restore(saved)
    (back,) = entries_of(router)
    assert back.pop("metadata") == {"filter_metadata": {"fairway": {"fence": 0}}}
    assert back == first


@pytest.mark.parametrize(
    "spoilt",
    [
        {"route": "x"},
        {"route": {"weighted_clusters": "x"}},
        {"match": {}},
        {"response_headers_to_add": ["x"]},
        {"route": {"cluster": "iris/v1", "request_mirror_policies": 3}},
    ],
)
def test_an_entry_that_is_spoilt_is_put_back_whole(router, spoilt):
    first, saved = copied(router), router.snapshot()
    rewrite(router, lambda entry: entry.update(spoilt))
    router.restore(saved)
    assert entries_of(router) == [first]


def test_a_split_in_protobuf_s_other_spelling_is_replaced(router):
    saved = router.snapshot()

    def spell(entry):
        entry["route"] = {"weightedClusters": {"clusters": [{"name": "iris/v2", "weight": 100}]}, "timeout": "60s"}

    rewrite(router, spell)
    router.restore(saved)
    assert "weightedClusters" not in entries_of(router)[0]["route"]
    assert router.read() == Routes({"v1": 100})


def test_an_entry_that_pointed_at_the_candidate_before_the_release_does_so_after_it(router):
    router.apply(Routes({"v1": 50, "v2": 50}), KNOWN)
    peek = {"name": "peek", "match": {"path": "/peek"}, "route": {"cluster": "iris/v2"}}
    add(router, peek)
    router.apply(Routes({"v1": 100}), KNOWN)
    saved = router.snapshot()
    router.apply(Routes({"v1": 90, "v2": 10}), KNOWN)
    router.restore(saved)
    assert (entries_of(router)[0], clusters_of(router)) == (peek, {"iris/v1", "iris/v2"})


def test_the_highest_token_stays_beside_the_route(router):
    router.apply(Routes({"v1": 80, "v2": 20}), KNOWN, fence=4)
    router.apply(Routes({"v1": 70, "v2": 30}), KNOWN, fence=0)
    (entry,) = router.folder.load("routes.json")["resources"][0]["virtual_hosts"][0]["routes"]
    assert entry["metadata"]["filter_metadata"]["fairway"] == {"fence": 4, "fallback": "v1"}


@pytest.mark.parametrize(("body", "status"), [("<html>", 200), ("nope", 404), ("busy", 503)])
def test_an_admin_interface_that_speaks_nonsense_is_worth_a_retry(tmp_path, httpserver: HTTPServer, body, status):
    write_folder(tmp_path, "iris", V1, "127.0.0.1:2", "127.0.0.1:3")
    httpserver.expect_request("/server_info").respond_with_data(body, status=status)
    router = EnvoyRouter(tmp_path, "iris", httpserver.url_for("").rstrip("/"), FakeClock())
    for call in (router.settled, router.served):
        with pytest.raises(TransientError, match="admin interface"):
            call()


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9", "https://127.0.0.1:1", "http://localhost:1"])
def test_a_version_that_has_traffic_is_not_moved_to_another_address(router, uri):
    moved = KNOWN | {"v1": Version("v1", uri)}
    with pytest.raises(UsageError, match=rf"the route has v1 at http://127.0.0.1:1, not at {uri}"):
        router.preflight([], moved)


@pytest.mark.parametrize("version", [Version("v1", "http://127.0.0.1:1/"), Version("v2", "http://127.0.0.1:9999")])
def test_the_same_address_written_otherwise_and_a_version_without_traffic_are_taken(router, version):
    router.preflight([], KNOWN | {version.name: version})


def test_what_cannot_be_a_backend_is_refused_beforehand(router):
    with pytest.raises(UsageError, match=r"v2=http://127.0.0.1:2/path cannot be routed to by Envoy"):
        router.preflight([], KNOWN | {"v2": Version("v2", "http://127.0.0.1:2/path")})


def test_servers_that_a_cluster_finds_by_itself_are_nobodys_mistake(router):
    assert backends.places({"type": "ORIGINAL_DST"}, {}) == set()
