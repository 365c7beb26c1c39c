"""The contract of a route back end: the fake, a real Envoy, and the routes of a cluster (Gateway API, Istio, Knative,
KServe) over a cluster in memory and a real API server with their own definitions.

Covered for all: read, apply, settled, served, snapshot, restore, fencing, foreign fields, unknown backends. For Envoy,
with real traffic: the split, a removed backend, header matches, mirroring, stickiness, changes under load, a killed
candidate, a proxy that is away, refuses, restarts, or cannot find a backend, requests under way. Tolerances of counted
shares are 6.5 standard deviations (p < 1e-10). Left out: TLS upstreams (their resources are checked in
tests/steps/routing), other back ends.
"""

import copy
import logging
import math
import threading
from pathlib import Path

import pytest

from fairway_steps.errors import Fenced, NotSettled, Refused
from fairway_steps.model import HeaderMatch, Mirror, Routes, Stickiness, Version
from fairway_steps.routing import backends, xds
from fairway_steps.routing.base import Router
from fairway_steps.routing.stored import StoredRouter
from fakes_routing import (
    Client,
    Lab,
    ModelServer,
    Traffic,
    eventually,
    model_process,
)
from route_worlds import V1, WORLDS, world_of


@pytest.fixture(params=WORLDS)
def world(request, tmp_path):
    with world_of(request.param, tmp_path, request.getfixturevalue) as made:
        yield made


ROUTES = [
    Routes({"v1": 99, "v2.1": 1}),
    Routes({"v1": 50, "v2.1": 50}),
    Routes({"v1": 50, "v2.1": 30, "v3": 20}),
    Routes({"v1": 80, "v3": 20}),
    Routes({"v2.1": 100}),
    Routes({"v1": 100}, matches=(HeaderMatch("x-test", "yes", "v2.1"), HeaderMatch("x-user", "a b", "v1"))),
    Routes({"v1": 100}, mirror=Mirror("v2.1", 30)),
    Routes({"v1": 60, "v2.1": 40}, sticky=Stickiness(cookie="session")),
    Routes({"v1": 60, "v2.1": 40}, sticky=Stickiness(header="x-user")),
    Routes({"v1": 40, "v2.1": 30, "v3": 30}, sticky=Stickiness(header="x-user")),
    Routes({"v1": 70, "v3": 30}, sticky=Stickiness(header="x-user")),
]


def test_every_kind_of_routes_is_stored_settles_and_can_be_taken_back(world):
    router = world.router()
    before, foreign = router.read(), world.foreign()
    saved = router.snapshot()
    for routes in ROUTES:
        if router.capabilities.lacks(routes):
            if isinstance(router, StoredRouter):
                stored = world.foreign()
                with pytest.raises(Refused, match="cannot carry"):
                    router.apply(routes, world.known)
                assert world.foreign() == stored
                with pytest.raises(Refused, match="cannot carry"):
                    router.preflight([routes], world.known)
            continue
        if not routes.versions() <= set(world.known):
            continue
        assert router.apply(routes, world.known) == routes
        assert world.router().read() == routes
        eventually(router.settled)
    assert world.foreign() == foreign
    assert router.restore(saved) == before == world.router().read()
    eventually(router.settled)
    assert world.foreign() == foreign


def test_applying_the_same_routes_again_changes_nothing(world):
    router = world.router()
    routes = Routes({"v1": 90, "v2.1": 10})
    router.apply(routes, world.known, fence=2)
    assert router.apply(routes, world.known, fence=2) == routes


def test_an_older_holder_can_neither_apply_nor_restore(world):
    router = world.router()
    saved = router.snapshot()
    router.apply(Routes({"v1": 90, "v2.1": 10}), world.known, fence=5)
    with pytest.raises(Fenced):
        world.router().apply(Routes({"v2.1": 100}), world.known, fence=4)
    with pytest.raises(Fenced):
        world.router().restore(saved, fence=4)
    assert world.router().read() == Routes({"v1": 90, "v2.1": 10})
    world.router().restore(saved, fence=6)
    with pytest.raises(Fenced):
        router.apply(Routes({"v2.1": 100}), world.known, fence=5)
    assert router.read() == Routes({"v1": 100})


def test_the_route_itself_tells_the_highest_token_it_has_seen(world):
    router = world.router()
    assert router.fence() == 0
    router.apply(Routes({"v1": 90, "v2.1": 10}), world.known, fence=5)
    router.apply(Routes({"v1": 80, "v2.1": 20}), world.known)
    assert world.router().fence() == 5
    saved = router.snapshot()
    router.restore(saved, fence=7)
    assert world.router().fence() == 7


def test_of_two_that_claim_it_with_one_token_the_second_is_fenced_off(world):
    mine, other = world.router(), world.router()
    token = mine.fence() + 2
    before, stored = mine.read(), world.foreign()
    mine.claim(token)
    for late in (token, token - 1):
        with pytest.raises(Fenced):
            other.claim(late)
    assert (other.read(), world.foreign()) == (before, stored)
    mine.apply(Routes({"v1": 90, "v2.1": 10}), world.known, fence=token)
    assert world.router().fence() == token


def test_a_person_without_a_token_passes_and_leaves_the_fence_where_it_is(world):
    router = world.router()
    router.apply(Routes({"v1": 90, "v2.1": 10}), world.known, fence=5)
    router.apply(Routes({"v1": 80, "v2.1": 20}), world.known)
    with pytest.raises(Fenced):
        router.apply(Routes({"v2.1": 100}), world.known, fence=4)


def test_a_backend_that_fairway_does_not_know_is_refused_by_name_before_anything_is_written(world):
    world.name_unknown()
    foreign = world.foreign()
    router = world.router()
    for call in (router.read, router.snapshot, lambda: router.apply(Routes({"v1": 100}), world.known)):
        with pytest.raises(Refused, match="other"):
            call()
    assert world.foreign() == foreign


def test_counters_start_at_nothing(world):
    served = world.router().served()
    assert served is not None
    assert (served.requests, served.lost, set(served.by_version.values()) - {0}) == (0, 0, set())


# From here on a real Envoy with real traffic.


@pytest.fixture
def servers():
    both = [ModelServer("v1"), ModelServer("v2.1")]
    yield both
    for server in both:
        server.close()


@pytest.fixture
def versions(servers):
    return {server.name: server.version for server in servers}


@pytest.fixture
def lab(tmp_path, versions):
    lab = Lab(tmp_path, versions["v1"])
    lab.start()
    yield lab
    lab.stop()


@pytest.fixture
def client(lab):
    client = Client(lab.address)
    yield client
    client.close()


def near(count: int, of: int, share: float) -> bool:
    return abs(count - of * share) <= 6.5 * math.sqrt(of * share * (1 - share))


@pytest.mark.local
def test_requests_are_split_as_asked_and_counted_by_version(lab, client, versions):
    router = lab.router()
    assert client.count(20) == {"v1": 20}
    before = router.served()
    router.apply(Routes({"v1": 75, "v2.1": 25}), versions)
    eventually(router.settled)
    seen = client.count(600)
    assert near(seen["v2.1"], 600, 0.25)
    after = router.served()
    assert {name: after.by_version[name] - before.by_version.get(name, 0) for name in seen} == dict(seen)
    assert (after.requests - before.requests, after.lost) == (600, 0)


@pytest.mark.local
def test_a_backend_without_a_share_is_removed_and_its_count_is_kept(lab, client, versions, servers):
    router = lab.router()
    router.apply(Routes({"v1": 50, "v2.1": 50}), versions)
    eventually(router.settled)
    first = client.count(100)
    router.apply(Routes({"v1": 100}), versions)
    had = servers[1].requests
    assert client.count(100) == {"v1": 100}
    assert servers[1].requests == had == first["v2.1"]
    assert [c["name"] for c in lab.load("clusters.json")["resources"]] == ["iris/v1"]
    assert [path.name for path in (lab.folder / "endpoints").iterdir()] == ["iris~v1.json"]
    assert router.served().by_version == {"v1": 100 + first["v1"], "v2.1": first["v2.1"]}
    router.apply(Routes({"v2.1": 100}), versions)
    client.count(10)
    assert router.served().by_version["v2.1"] == first["v2.1"] + 10


@pytest.mark.local
def test_a_header_match_goes_before_the_weights(lab, client, versions):
    router = lab.router()
    router.apply(Routes({"v1": 100}, matches=(HeaderMatch("x-test", "yes", "v2.1"),)), versions)
    eventually(router.settled)
    assert client.count(30, x_test="yes") == {"v2.1": 30}
    assert client.count(30, x_test="no") == {"v1": 30}


@pytest.mark.local
def test_mirrored_requests_reach_the_version_and_its_answers_nobody(lab, client, versions, servers):
    router = lab.router()
    router.apply(Routes({"v1": 100}, mirror=Mirror("v2.1", 50)), versions)
    eventually(router.settled)
    assert client.count(300) == {"v1": 300}
    eventually(lambda: near(servers[1].requests, 300, 0.5))
    assert router.served().by_version["v1"] == router.served().requests == 300


def assigned(client: Client, sticky: Stickiness) -> dict[int, str]:
    """Which version each of 60 users has, who all keep it."""
    seen = {}
    for user in range(60):
        headers = {"cookie": f"user=u{user}"} if sticky.cookie else {"x_user": f"u{user}"}
        ((seen[user], count),) = client.count(3, **headers).items()
        assert count == 3
    return seen


@pytest.mark.local
@pytest.mark.parametrize("gone", ["v2.1", "v3"])
def test_users_of_a_version_that_leaves_an_abn_split_get_the_primary_and_all_others_keep_theirs(
    lab, client, versions, gone
):
    third, sticky, router = ModelServer("v3"), Stickiness(header="x-user"), lab.router()
    known = versions | {"v3": third.version}
    router.apply(Routes({"v1": 40, "v2.1": 30, "v3": 30}, sticky=sticky), known)
    eventually(router.settled)
    first = assigned(client, sticky)
    assert set(first.values()) == {"v1", "v2.1", "v3"}
    kept = {"v1": 70, "v2.1": 30, "v3": 30}
    del kept[gone]
    assert router.apply(Routes(kept, sticky=sticky), known) == Routes(kept, sticky=sticky)
    eventually(router.settled)
    assert assigned(client, sticky) == {user: "v1" if name == gone else name for user, name in first.items()}
    third.close()


@pytest.mark.local
@pytest.mark.parametrize("sticky", [Stickiness(header="x-user"), Stickiness(cookie="user")])
def test_a_user_keeps_the_version_also_when_the_candidate_gets_more(lab, client, versions, sticky):
    router = lab.router()
    router.apply(Routes({"v1": 60, "v2.1": 40}, sticky=sticky), versions)
    eventually(router.settled)
    first = assigned(client, sticky)
    assert set(first.values()) == {"v1", "v2.1"}
    router.apply(Routes({"v1": 30, "v2.1": 70}, sticky=sticky), versions)
    eventually(router.settled)
    second = assigned(client, sticky)
    assert [user for user in first if first[user] == "v2.1" and second[user] != "v2.1"] == []
    assert list(second.values()).count("v2.1") > list(first.values()).count("v2.1")


@pytest.mark.local
def test_twenty_changes_under_load_lose_no_request(lab, versions):
    router = lab.router()
    ramp = [10, 25, 50, 75, 90, 100, 50, 0, 1, 100, 0, 100, 99, 50, 0, 33, 66, 100, 10, 0]
    saved = router.snapshot()
    with Traffic(lab.address, 150) as one, Traffic(lab.address, 150) as two:
        for i, weight in enumerate(ramp):
            asked = len(one.answers)
            if weight == 0 and i % 2:
                router.restore(saved)
            else:
                shares = {"v1": 100 - weight, "v2.1": weight}
                router.apply(Routes({name: share for name, share in shares.items() if share}), versions)
            eventually(router.settled)
            eventually(lambda asked=asked: len(one.answers) > asked + 5)
    assert one.failed == two.failed == []
    assert len(one.answers) + len(two.answers) > 300
    served = router.served()
    assert (served.lost, served.requests) == (0, len(one.answers) + len(two.answers))


@pytest.mark.local
def test_a_candidate_killed_under_load_costs_its_users_nothing_and_is_seen(lab, versions):
    from fairway_steps.metrics.registry import open_source

    router, source = lab.router(), open_source(f"envoy:{lab.folder}", "iris")
    with model_process("v2.1") as (candidate, process), Traffic(lab.address, 150) as traffic:
        router.apply(Routes({"v1": 50, "v2.1": 50}), versions | {"v2.1": candidate})
        eventually(lambda: any(answer.body == "v2.1" for answer in traffic.answers))
        cursor = source.read(["v1", "v2.1"], {"v1": 50, "v2.1": 50}, "", 0.0).cursor
        process.kill()
        asked = len(traffic.answers)
        eventually(lambda: len(traffic.answers) > asked + 150)
    assert traffic.failed == []
    reading = source.read(["v1", "v2.1"], {"v1": 50, "v2.1": 50}, cursor, 1.0)
    by_version = {stratum.version: stratum for stratum in reading.strata}
    assert by_version["v1"].errors == 0
    assert by_version["v2.1"].failures["connect"] > 30
    assert set(by_version["v2.1"].failures) <= {"connect", "reset"}
    assert router.served().lost == 0


@pytest.mark.local
def test_users_of_a_person_s_own_entries_lose_nothing_by_a_promotion_or_a_rollback(lab, versions):
    """One that points at the primary's cluster before the release, then a copy of the split."""
    router = lab.router()

    def beside(value: dict) -> None:
        routes = value["resources"][0]["virtual_hosts"][0]["routes"]
        routes[:0] = [copy.deepcopy(routes[-1]) | {"name": "mine"}]  # first, so that all traffic is its own

    saved = router.snapshot()
    lab.edit("routes.json", beside)
    with Traffic(lab.address, 150) as traffic:
        router.apply(Routes({"v2.1": 100}), versions)
        eventually(router.settled)
        asked = len(traffic.answers)
        eventually(lambda: len(traffic.answers) > asked + 50)
        assert {answer.body for answer in traffic.answers} == {"v1"}
        router.apply(Routes({"v1": 50, "v2.1": 50}), versions)

        def split(value: dict) -> None:
            routes = value["resources"][0]["virtual_hosts"][0]["routes"]
            routes[0] = copy.deepcopy(routes[-1]) | {"name": "mine"}

        lab.edit("routes.json", split)
        eventually(lambda: traffic.answers[-1].body == "v2.1")
        router.restore(saved)
        eventually(router.settled)
        asked = len(traffic.answers)
        eventually(lambda: len(traffic.answers) > asked + 50)
        assert {answer.body for answer in traffic.answers[asked + 2 :]} == {"v1"}
    assert traffic.failed == []
    assert [c["name"] for c in lab.load("clusters.json")["resources"]] == ["iris/v1"]


@pytest.mark.local
def test_a_500_of_the_candidate_is_its_own_and_is_not_tried_again(lab, client, versions, servers):
    lab.router().apply(Routes({"v1": 1, "v2.1": 99}), versions)
    eventually(lab.router().settled)
    answers = [client.ask(x_status="500") for _ in range(100)]
    assert {answer.status for answer in answers} == {500}
    assert sum(server.requests for server in servers) == 100


@pytest.mark.local
def test_a_request_that_no_version_answers_is_lost(lab, client, versions, servers):
    router = lab.router()
    router.apply(Routes({"v1": 50, "v2.1": 50}), versions)
    eventually(router.settled)
    client.count(10)
    gone = {name: Version(name, "http://127.0.0.1:9") for name in versions}
    router.apply(Routes({"v1": 50, "v2.1": 50}), gone)
    assert {client.ask().status for _ in range(10)} == {503}
    assert (router.served().requests, router.served().lost) == (20, 10)


@pytest.mark.local
def test_a_request_under_way_ends_before_its_backend_is_removed(lab, client, versions):
    router = lab.router()
    router.apply(Routes({"v2.1": 100}), versions)
    eventually(router.settled)
    answers = []
    slow = threading.Thread(target=lambda: answers.append(client.ask(x_sleep="1.5")))
    slow.start()
    eventually(lambda: router.proxy.busy(["v2.1"]) == 1)
    router.apply(Routes({"v1": 100}), versions)
    assert router.proxy.busy(["v2.1"]) == 0
    slow.join()
    assert (answers[0].status, answers[0].body) == (200, "v2.1")


@pytest.mark.local
def test_a_backend_that_does_not_get_idle_is_left_for_the_next_change(lab, client, versions, caplog):
    router = lab.router(patience=0.6)
    router.apply(Routes({"v2.1": 100}), versions)
    eventually(router.settled)
    slow = threading.Thread(target=lambda: client.ask(x_sleep="2"))
    slow.start()
    eventually(lambda: router.proxy.busy(["v2.1"]) == 1)
    assert router.apply(Routes({"v1": 100}), versions) == Routes({"v1": 100})
    assert "left in clusters.json" in caplog.text
    slow.join()
    router.apply(Routes({"v1": 100}), versions)
    assert [c["name"] for c in lab.load("clusters.json")["resources"]] == ["iris/v1"]


@pytest.mark.local
def test_a_backend_that_envoy_cannot_find_leaves_the_route_as_it_was(lab, client, versions):
    router = lab.router(patience=1.0)
    lost = versions | {"v2.1": Version("v2.1", "http://no-such-host.invalid:80")}
    with pytest.raises(NotSettled, match=r"iris/v2\.1.*as they were"):
        router.apply(Routes({"v1": 90, "v2.1": 10}), lost)
    assert router.read() == Routes({"v1": 100})
    assert [c["name"] for c in lab.load("clusters.json")["resources"]] == ["iris/v1"]
    assert client.count(30) == {"v1": 30}


@pytest.mark.local
def test_a_host_name_is_resolved_by_envoy(lab, client, versions):
    router = lab.router()
    port = versions["v2.1"].uri.rpartition(":")[2]
    router.apply(Routes({"v2.1": 100}), {"v2.1": Version("v2.1", f"http://localhost:{port}")})
    eventually(router.settled)
    assert client.count(10) == {"v2.1": 10}


@pytest.mark.local
def test_a_version_that_moves_is_followed(lab, client, versions):
    router = lab.router()
    router.apply(Routes({"v1": 100}), {"v1": Version("v1", versions["v2.1"].uri)})
    eventually(router.settled)
    assert {client.ask().body for _ in range(10)} == {"v2.1"}


@pytest.mark.local
def test_without_an_envoy_the_files_are_written_for_its_next_start(lab, versions, caplog):
    lab.stop()
    router = lab.router()
    assert router.apply(Routes({"v2.1": 100}), versions) == Routes({"v2.1": 100})
    assert router.settled() is False
    assert "not running" in caplog.text
    assert router.served() is None
    lab.start()
    assert router.settled() is True
    fresh = Client(lab.address)
    assert fresh.count(10) == {"v2.1": 10}
    assert router.served().by_version["v2.1"] == 10
    fresh.close()


@pytest.mark.local
def test_the_counts_of_removed_backends_end_with_the_envoy_that_made_them(lab, client, versions, monkeypatch):
    monkeypatch.setattr("fairway_steps.routing.retired.SLACK", 0.0)
    router = lab.router()
    client.count(10)
    router.apply(Routes({"v2.1": 100}), versions)
    lab.stop()
    lab.start()
    assert router.served().by_version == {"v2.1": 0}


@pytest.mark.local
def test_a_refused_update_is_not_settled_and_said(lab, client, caplog):
    lab.edit("routes.json", lambda value: value["resources"][0]["virtual_hosts"][0].update(domains=[]))
    router = lab.router()
    with caplog.at_level(logging.WARNING):
        eventually(lambda: router.settled() is False and "refused" in caplog.text)
    assert client.count(5) == {"v1": 5}


@pytest.mark.local
def test_restore_needs_nothing_of_apply(lab, client, versions, monkeypatch):
    router = lab.router()
    saved = router.snapshot()
    router.apply(Routes({"v2.1": 100}), versions)

    def broken(*args, **kwargs):
        raise AssertionError("restore must not come here")

    for module, names in (
        (xds, ("entries", "placed", "fallback_of")),
        (backends, ("clusters", "endpoints", "address")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, broken)
    assert router.restore(saved, fence=3) == Routes({"v1": 100})
    eventually(router.settled)
    assert client.count(20) == {"v1": 20}
    assert [c["name"] for c in lab.load("clusters.json")["resources"]] == ["iris/v1"]


@pytest.mark.local
def test_restore_mends_a_route_that_was_written_wrong(lab, client, versions):
    router = lab.router()
    saved = router.snapshot()

    def spoil(value: dict) -> None:
        value["resources"][0]["virtual_hosts"][0]["routes"] = [
            {"name": "rest", "match": {"prefix": "/none"}, "direct_response": {"status": 404}}
        ]

    lab.edit("routes.json", spoil)
    assert router.restore(saved) == Routes({"v1": 100})
    eventually(router.settled)
    assert client.count(10) == {"v1": 10}


def test_the_real_router_is_one(tmp_path: Path):
    router: Router = Lab(tmp_path, V1).router()
    assert router.capabilities.mirror
