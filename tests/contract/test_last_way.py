"""The last way back, over the cluster in memory and over a real API server: routes that no release can read any more, by hands or by a
snapshot that is unreadable, in every way a release ends. All that reaches a version reaches the primary, and what else is there stays.

Left out: rules copied in a stage (test_foreign_edits.py), which the snapshot mends.
"""

import copy
from dataclasses import replace

import pytest

from fairway_steps.back import GivenBack
from fairway_steps.clock import SystemClock
from fairway_steps.drift import Drift
from fairway_steps.errors import DomainError, NotReady, Refused
from fairway_steps.model import HeaderMatch, Mirror, Outcome, Routes, Stage
from fairway_steps.record import FileStore, Lease
from fairway_steps.release import ensure_safe, rollback, withdraw
from fairway_steps.weights import Confirmation, enter_stage
from fairway_steps.workload.place import place
from fakes_gateway import write_endpoints
from records import record
from route_worlds import IN_CLUSTER, NAMES, WORLDS, world_of

RULES = ("httproute", "grpcroute", "virtualservice")
FIRST, SECOND, _ = NAMES
CONFIRM = Confirmation(settle=10.0, requests=0, wait=0.0)


@pytest.fixture
def world(request, tmp_path):
    with world_of(request.param, tmp_path, request.getfixturevalue) as made:
        yield made


def both(*kinds):
    every = [*kinds, *(pytest.param(f"real-{kind}", marks=pytest.mark.cluster) for kind in kinds)]
    return pytest.mark.parametrize("world", every, indirect=True)


def released(world, tmp_path, **stage):
    """The store and the lease of a release in its first stage."""
    store = FileStore(tmp_path / "record.json")
    v1, v2 = (world.known[name] for name in (FIRST, SECOND))
    stages = (Stage(**{"weight": 50, "duration": 5.0} | stage),)
    begun = {"primary": v1, "candidate": v2, "stages": stages, "original": world.router().snapshot()}
    store.update(lambda _: record(**begun))
    enter_stage(store, Lease("iris-1", 1), world.router(), SystemClock(), index=0, confirm=CONFIRM)
    return store, Lease("iris-1", 1)


def backends(world):
    """Each rule's backends, as the field calls them."""
    field = "route" if world.router().part == ("http",) else "backendRefs"
    return field, world.lab.rules()


def leads(world):
    """Where each rule's traffic goes: the names of Services, without those of weight 0."""
    field, rules = backends(world)
    told = []
    for rule in rules:
        on = [one for one in rule.get(field) or () if one.get("weight", 1)]
        told.append({one["destination"]["host"] if "destination" in one else one["name"] for one in on})
    return told


def add_unreadable(world):
    """A rule of a person's that splits between the candidate and a Service of theirs, in front of all others."""
    field, rules = backends(world)
    like = next(one for rule in rules for one in rule.get(field) or () if world.lab.services[FIRST] in str(one))

    def to(host, weight):
        named = {"destination": {"host": host}} if "destination" in like else {"name": host}
        return copy.deepcopy(like) | named | {"weight": weight}

    dark = to("dark", 0)
    mine = {"name": "mine", field: [to(world.lab.services[SECOND], 70), to("somebody-elses", 30), dark]}
    world.lab.edit({"spec": {world.router().part[0]: [mine, *rules]}})
    return dark


ENDS = {
    "rollback": lambda store, lease, router: rollback(
        store, lease, router, SystemClock(), outcome=Outcome.ROLLED_BACK, reason="", confirm=CONFIRM
    ),
    "withdraw": lambda store, lease, router: withdraw(store, lease, router, SystemClock(), confirm=CONFIRM),
    "ensure-safe": lambda store, lease, router: ensure_safe(store, router, SystemClock(), holder="a person"),
}


@both(*RULES)
@pytest.mark.parametrize("end", ENDS)
def test_a_rule_that_no_release_can_read_goes_to_the_primary_too(world, tmp_path, end):
    store, lease = released(world, tmp_path)
    dark = add_unreadable(world)
    before = world.foreign()
    with pytest.raises(Refused):
        world.router().read()
    ENDS[end](store, lease, world.router())
    assert world.router().read() == Routes({FIRST: 100})
    primary = world.lab.services[FIRST]
    assert all(led == {primary} for led in leads(world) if led & set(world.lab.services.values()))
    field, (mine, *_) = backends(world)
    assert mine[field][-1] == dark, "somebody else's of weight 0 stays"
    assert world.foreign() == before


@both(*RULES)
@pytest.mark.parametrize("stage", [{}, {"weight": 0, "mirror": 50}, {"weight": 0, "header": "x-tester=yes"}])
def test_a_snapshot_that_nobody_can_read_is_not_needed(world, tmp_path, stage):
    before = world.foreign()
    store, lease = released(world, tmp_path, **stage)
    add_unreadable(world)
    store.update(lambda held: replace(held, original="{"))
    ENDS["rollback"](store, lease, world.router())
    assert world.router().read() == Routes({FIRST: 100})
    rest = [rule for rule in world.lab.rules() if rule.get("name") != "mine"]
    world.lab.edit({"spec": {world.router().part[0]: rest}})
    assert world.foreign() == before
    assert world.lab.services[SECOND] not in str(world.lab.rules())


@both("virtualservice")
@pytest.mark.parametrize("kind", ["tls", "tcp"])
def test_a_route_that_is_not_split_by_requests_goes_to_the_primary_and_the_release_says_that_it_is_there(
    world, tmp_path, kind
):
    store, _ = released(world, tmp_path)
    to = [{"destination": {"host": world.lab.services[name]}, "weight": 50} for name in (SECOND, FIRST)]
    match = [{"port": 443} | ({"sniHosts": ["iris.example.com"]} if kind == "tls" else {})]
    theirs = {"match": match, "route": [{"destination": {"host": "other"}}]}
    world.lab.edit({"spec": {kind: [{"match": match, "route": to}, theirs]}})
    with pytest.raises(DomainError, match=f"all traffic was given to v1, but VirtualService .* has a {kind} route to"):
        ENDS["ensure-safe"](store, None, world.router())
    assert store.load().outcome is Outcome.BROKEN
    assert store.load().reason.startswith("all traffic was given to v1, but")
    spec = world.lab.stored()["spec"]
    assert [one["destination"]["host"] for one in spec[kind][0]["route"]] == [world.lab.services[FIRST]]
    assert spec[kind][1] == theirs
    assert world.lab.services[SECOND] not in str(spec)
    # One that is broken is given back all the same each time it is asked for, until a person has mended the rest.
    world.lab.edit({"spec": {kind: [{"match": match, "route": to}]}})
    with pytest.raises(GivenBack, match=f"has a {kind} route"):
        ENDS["ensure-safe"](store, None, world.router())
    assert world.lab.services[SECOND] not in str(world.lab.stored()["spec"])
    world.lab.edit({"spec": {kind: None}})
    ENDS["ensure-safe"](store, None, world.router())
    assert store.load().outcome is Outcome.ROLLED_BACK


@both(*RULES)
def test_who_gives_up_after_three_fights_leaves_nobody_on_the_candidate(world, tmp_path):
    store, lease = released(world, tmp_path)
    store.update(lambda held: held.noted(0.0, "route", "once").noted(0.0, "route", "twice"))
    field, rules = backends(world)
    for one in (one for rule in rules for one in rule.get(field) or () if len(rule[field]) > 1):
        one["weight"] = 25 if one["weight"] == 50 and world.lab.services[SECOND] in str(one) else 75
    world.lab.edit({"spec": {world.router().part[0]: rules}})
    store.update(lambda held: replace(held, original="{"))
    with pytest.raises(DomainError, match="for the third time: the release stops"):
        Drift(store, lease, world.router(), SystemClock())()
    assert world.router().read() == Routes({FIRST: 100})


@pytest.mark.parametrize("world", WORLDS, indirect=True)
def test_all_is_given_to_one_whatever_the_routes_say(world):
    can = world.router().capabilities
    asked = Routes(
        {FIRST: 60, SECOND: 40},
        (HeaderMatch("x-tester", "yes", SECOND),) if can.header_match else (),
        Mirror(SECOND, 50) if can.mirror else None,
    )
    before = world.foreign()
    world.router().apply(asked, world.known)
    router = world.router()
    router.give_all(world.known[FIRST], fence=7)
    router.settled()
    assert (router.read(), router.fence(), world.foreign()) == (Routes({FIRST: 100}), 7, before)
    router.give_all(world.known[SECOND])
    router.settled()
    assert router.read() == Routes({SECOND: 100})


@both(*RULES)
def test_a_primary_that_is_away_takes_no_traffic_from_a_candidate_that_answers(world):
    world.router().apply(Routes({FIRST: 50, SECOND: 50}), world.known)
    before = world.lab.rules()
    world.lab.endpoints(world.lab.services[FIRST], ready=False)
    with pytest.raises(NotReady, match="v1 cannot take the traffic back"):
        world.router().give_all(world.known[FIRST])
    assert world.lab.rules() == before


def away(world, *names):
    """Of these versions nothing answers."""
    for name in names:
        if hasattr(world.lab, "ready"):
            world.lab.ready(name, ready=False)
        else:
            write_endpoints(world.lab.cluster, place(world.known[name]).service, ready=False)


@both(*RULES)
@pytest.mark.parametrize(
    ("stage", "names"),
    [
        ({"mirror": 50}, (FIRST,)),
        ({"mirror": 50, "through": "collector"}, (FIRST, SECOND)),
        ({"header": "x-tester=yes"}, (FIRST,)),
    ],
)
def test_a_primary_that_is_away_and_has_all_users_hinders_no_end(world, tmp_path, stage, names):
    before = world.foreign()
    if "through" in stage and world.router().capabilities.compared:
        collector = world.lab.collector()
        world.lab.versions = world.lab.versions | {collector.name: collector}
        stage = stage | {"through": collector.uri}
    else:
        stage = stage | {"through": ""}
    store, _ = released(world, tmp_path, weight=0, **stage)
    away(world, *names)
    ENDS["ensure-safe"](store, None, world.router())
    assert (world.router().read(), world.foreign()) == (Routes({FIRST: 100}), before)


@pytest.mark.parametrize(
    "world",
    [*IN_CLUSTER, *(pytest.param(f"real-{kind}", marks=pytest.mark.cluster) for kind in IN_CLUSTER)],
    indirect=True,
)
def test_what_a_version_has_already_is_taken_from_nobody(world):
    saved = world.router().snapshot()
    away(world, FIRST)
    assert world.router().restore(saved, fence=3) == Routes({FIRST: 100})
    world.router().give_all(world.known[FIRST], fence=4)
    assert (world.router().read(), world.router().fence()) == (Routes({FIRST: 100}), 4)


@pytest.mark.parametrize("world", ["fake", pytest.param("envoy", marks=pytest.mark.local)], indirect=True)
def test_a_backend_that_nobody_knows_is_in_nobodys_way(world):
    router = world.router()
    router.apply(Routes({FIRST: 50, SECOND: 50}), world.known)
    world.name_unknown()
    with pytest.raises(Refused):
        router.read()
    router.give_all(world.known[FIRST], fence=3)
    assert (router.read(), router.fence()) == (Routes({FIRST: 100}), 3)
